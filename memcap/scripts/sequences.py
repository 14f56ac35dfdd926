"""Batches for other libraries, and a script's as a file that `memcap fit` reads."""

import itertools
import math
from collections.abc import Iterator
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.rule import SHORTER_LAGS, Evaluation, Verdict
from memcap.runtime import jax_setup
from memcap.tasks import FileTask, Task
from memcap.tasks.base import random_key

# Steps in a file, padding included: about a third each for training at the member's own
# lag, for training at shorter ones, and for tests. A number takes two steps' space.
STEPS = 1 << 22
MORE = 4  # times as many steps where lengths differ at each lag, too
MOST_LAGS = 64  # of training; lags between them train at the next longer one
MOST = 1 << 14  # sequences of training at one lag
MOST_LENGTHS = 64  # at one lag
BLOCK = 256  # sequences of a test at a shorter lag
AT_FIRST = 3 * BLOCK  # of those in which what counts begins at the first step
FEWEST = 32

Arrays = dict[str, np.ndarray]


class MaskedBatch(NamedTuple):
    """A batch of N sequences in T steps, with a target at every step."""

    inputs: np.ndarray  # (N, T, F) float32, or symbols (N, T) int64
    targets: np.ndarray  # classes (N, T), or values (N, T, O)
    mask: np.ndarray  # (N, T) bool: the steps at which an answer is due


def batches(
    task: Task, lag: int, size: int, seed: int, exactly: bool, one_hot: bool
) -> Iterator[MaskedBatch]:
    """Yield batches of a task without end. Arguments as of `memcap.sequences`."""
    jax_setup.setup()
    anywhere = task.has_other_lags(lag) and not exactly
    until = "anywhere" if anywhere else None
    member = Member(task, lag, evaluation=Evaluation(until=until), seed=seed)
    sample = _compiled(task.sample, 3, 4)
    rng = np.random.default_rng(seed)
    for number in itertools.count():
        length = member.length
        if anywhere:
            lag = int(rng.integers(task.smallest_lag, member.lag, endpoint=True))
            length = int(rng.integers(*member.lengths_at(lag), endpoint=True))
        key = random_key(seed, number)
        batch = sample(key, lag, length, member.length, size)
        arrays = _arrays(task, batch, length)
        inputs = task.encoded(arrays["inputs"], one_hot)
        # copies, as PyTorch warns of arrays that it may not write
        yield MaskedBatch(inputs, np.array(arrays["targets"]), np.array(arrays["mask"]))


def first_lag(task: Task, lag: int, recipe: Recipe) -> int:
    return max(task.smallest_lag, math.ceil((recipe.curriculum or 1) * lag))


def counts(member: Member) -> dict[tuple[str, int], int]:
    task: Any = member.task
    last = member.lag
    room = _room(task, member.length)
    if member.recipe.before is not None:
        room *= MORE
    first = task.smallest_lag
    if member.recipe.lags is None:
        first = first_lag(task, last, member.recipe)
    lags = sorted({int(lag) for lag in np.linspace(first, last, MOST_LAGS)} - {last})
    until = member.evaluation.until
    tests = [
        lag for lag, _ in member.lags_up_to if until in SHORTER_LAGS and lag < last
    ]
    held_out = task.part_sizes[1] if isinstance(task, FileTask) else 0
    block = MORE * BLOCK if until == Verdict.ANYWHERE else BLOCK
    testing = {("test", lag): _count(block, room // 2 // len(tests)) for lag in tests}
    testing |= {("test", lag): number for lag, number in all_tests(member).items()}
    return {
        **{("train", lag): _count(MOST, room // len(lags)) for lag in lags},
        ("train", last): len(task.parts[0]) if held_out else _count(MOST, room),
        ("test", last): held_out or _count(member.evaluation.sequences, room // 2),
        **testing,
    }


def all_tests(member: Member) -> dict[int, int]:
    """Count all sequences of each lag; nothing if a file cannot hold them, or if what
    counts begins at the first step."""
    if member.evaluation.until != Verdict.ANYWHERE:
        return {}
    numbers = {}
    for lag in range(member.task.smallest_lag, member.lag + 1):
        if (at_lengths := member.sequences_at(lag)) is None:
            return {}
        numbers[lag] = sum(at_lengths)
    return numbers if sum(numbers.values()) * member.length <= STEPS else {}


def _room(task: Task, length: int) -> int:
    numbers = 1 if task.vocabulary else 2 * task.features
    return STEPS // (3 * numbers * length)


def _count(most: int, room: int) -> int:
    return max(FEWEST, min(most, room))


def sequences(member: Member) -> Arrays:
    """Draw the sequences on which a member's script trains, and those that judge it.

    Returns:
        `inputs` (N, T) or (N, T, F), `targets` (N, T) or (N, T, O), `mask` (N, T), true
        where an answer is due, `lengths` (N,), `lags` (N,) and `split` (N,), train or
        test; until steady also `longer_inputs`, `longer_targets` and `longer_mask`.
    """
    task: Any = member.task
    parts = []
    for number, ((split, lag), count) in enumerate(counts(member).items()):
        for length, batch, most in _batches(member, number, split, lag, count):
            part = {k: v[:most] for k, v in _arrays(task, batch, length).items()}
            labels = {"lengths": length, "lags": lag, "split": split}
            parts.append(
                part | {k: np.full(len(part["mask"]), v) for k, v in labels.items()}
            )
    result = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    if member.evaluation.until == "steady":
        lag, length = task.stretched(member.lag, member.evaluation.stretch)
        count = _count(member.evaluation.sequences // 4, _room(task, length))
        batch = _compiled(task.sample, 3, 4)(
            random_key(member.seed, number + 1), lag, length, length, count
        )
        longer = _arrays(task, batch, length)
        result |= {f"longer_{name}": array for name, array in longer.items()}
    return result


def _batches(
    member: Member, number: int, split: str, lag: int, count: int
) -> Iterator[tuple[int, Any, int]]:
    """Yield batches of one length, each with the number of sequences that count."""
    task: Any = member.task
    length = member.length_at(lag)
    if isinstance(task, FileTask):  # where each counts once
        places = task.parts[0 if split == "train" else 2]
        chosen = np.random.default_rng(lag).permutation(places)[:count]
        yield length, task.laid_out(chosen, lag, length, member.length, np), count
        return
    sample = _compiled(task.sample, 3, 4)
    has_places = member.evaluation.until == Verdict.ANYWHERE
    if split == "train":
        has_places = member.recipe.before is not None
    if not has_places:
        key = random_key(member.seed, number)
        yield length, sample(key, lag, length, member.length, count), count
        return
    ends = member.lengths_at(lag)
    numbers = member.sequences_at(lag)
    if split == "test" and numbers and all_tests(member):
        draw = _compiled(task.enumerated, 3)
        for length, most in enumerate(numbers, ends[0]):
            batch = draw(np.arange(most), lag, length, member.length)
            yield length, batch, most
        return
    lengths = sorted({round(length) for length in np.linspace(*ends, MOST_LENGTHS)})
    share = math.ceil(count / len(lengths))
    for k, length in enumerate(lengths):
        key = random_key(member.seed, number, k)
        # What begins at the first step is counted by itself.
        most = max(share, AT_FIRST) if split == "test" and k == 0 else share
        # The shares of lags differ. Of powers of two there are few, so that few
        # programs are compiled.
        block = 1 << (most - 1).bit_length()
        yield length, sample(key, lag, length, member.length, block), most


@lru_cache(maxsize=2)
def _compiled(draw: Any, *sizes: int) -> Any:
    import jax

    return jax.jit(draw, static_argnums=sizes)


def _arrays(task: Task, batch: Any, length: int) -> Arrays:
    """Return a batch in a file's order, with a target at every step."""
    inputs = np.array(batch.inputs).swapaxes(0, 1)
    inputs[:, length:] = 0
    targets = np.asarray(batch.targets).T
    if task.loss == "values" and not task.several_values:
        targets = targets[..., None]
    if batch.mask is None:
        due = np.arange(inputs.shape[1]) == length - 1
        mask = np.broadcast_to(due, inputs.shape[:2])
        targets = targets[:, None] * due.reshape(-1, *[1] * (targets.ndim - 1))
    else:
        mask = np.asarray(batch.mask).T
    if task.vocabulary:
        inputs = inputs.astype(np.min_scalar_type(task.vocabulary))
    if task.loss == "classes":
        targets = targets.astype(np.min_scalar_type(task.outputs))
    return {"inputs": inputs, "targets": targets, "mask": mask}
