"""Memory golf: the smallest state that solves a task.

An entry is a folder with `entry.py`: `TASK`, `LAG`, if needed `KNOBS` (["symbols=32"]),
and `net()` for weights set by hand, or else `train(seeds)`, which returns one net for
each seed. A net is a `memcap.Trained`, or a layer as `memcap inspect` takes it.
"""

import math
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx

from memcap.answers.judge import Judgement, judge
from memcap.config.member import Member, task_of
from memcap.knobs import LONGEST, MOST, UserError, set_words, whole
from memcap.models.layer_state import arrays_of, call_layer
from memcap.proofs.proof import prove
from memcap.runtime.plugins import calling, import_file
from memcap.tasks import Task
from memcap.trained import Trained

MODULE = "memcap_golf_entry"
SEEDS = 8  # that an entry is trained with
SEQUENCES = 1024  # that a net gets at once


class Score(NamedTuple):
    """A line of the board; sizes are those of the largest net."""

    task: str  # name and knobs
    lag: int
    weights: str  # "by hand" or "trained"
    units: int | None  # None: of a layer of another library
    numbers: int  # of the state of one sequence, the most after any step
    bytes: int  # of these
    parameters: int | None  # None: unknown
    nets: int
    right: int  # of these, by `memcap.judge`
    proved: int  # of those that are right, by `memcap prove`


def score(folder: Path, seed: int = 0) -> tuple[Score, list[Judgement]]:
    """Score an entry, with the judgement of each of its nets.

    Args:
        folder: has `entry.py`, whose code runs.
        seed: of training and sequences.

    Raises:
        UserError: no such file, it fails, or it returns no net.
    """
    path = folder / "entry.py"
    if not path.is_file():
        raise UserError(f"{path}: no such file; memcap docs golf says what it holds")
    drawn = np.random.default_rng(whole(seed, "seed", 0, MOST))
    seeds = drawn.integers(MOST, size=SEEDS).tolist()
    with calling(str(path), MODULE):
        entry = import_file(path, MODULE)
        task = task_of(entry.TASK, getattr(entry, "KNOBS", ()))
        lag = whole(entry.LAG, "LAG", 1, LONGEST)
        by_hand = hasattr(entry, "net")
        given = [entry.net()] if by_hand else list(entry.train(seeds))
    if not by_hand and len(given) != SEEDS:
        raise UserError(
            f"{path}: train gave {len(given)} nets for {SEEDS} seeds; it must give one"
            " for each, right or not"
        )
    nets = [_Net(each, task, lag) for each in given]
    judgements = [
        judge(net, task, lag, net.own is None, SEQUENCES, seed) for net in nets
    ]
    proved = [
        judgement.right and net.own is not None and prove(net.own).verdict == "proved"
        for net, judgement in zip(nets, judgements, strict=True)
    ]
    board = Score(
        " ".join([task.name, *set_words(task)]),
        lag,
        "by hand" if by_hand else "trained",
        max((net.own.member.model.units for net in nets if net.own), default=None),
        max(net.numbers for net in nets),
        max(net.bytes for net in nets),
        max((net.parameters for net in nets if net.parameters), default=None),
        len(nets),
        sum(judgement.right for judgement in judgements),
        sum(proved),
    )
    return board, judgements


class _Net:
    """A net of an entry that remembers nothing but its state, which is counted.

    A layer of another library gets one step at a time, and the two halves of a batch
    take turns: what it keeps elsewhere is that of the other half.
    """

    def __init__(self, net: Any, task: Task, lag: int):
        self.layer = net
        self.own = None
        self.numbers = 0
        self.bytes = 0
        self.parameters = _parameters(net)
        if isinstance(net, Trained):
            member = Member(task, lag, model=net.member.model)
            self.own = Trained(member, net.weights)
            self._count(self.own.initialize_carry(), 1)

    def __call__(self, inputs: np.ndarray) -> np.ndarray:
        if self.own is not None:
            # In sequences of one length it compiles once; no output sees what comes after.
            steps = inputs.shape[1]
            rest = max(self.own.member.length - steps, 0)
            filler = [(0, 0), (0, rest), (0, 0)][: inputs.ndim]
            outputs, _ = self.own.run(np.pad(inputs, filler).swapaxes(0, 1))
            return outputs[:steps].swapaxes(0, 1)
        halves = np.array_split(inputs, 2)
        states = [None, None]
        outputs = [[], []]
        for t in range(inputs.shape[1]):
            for k, half in enumerate(halves):
                output, states[k] = call_layer(
                    self.layer, half[:, t : t + 1], states[k]
                )
                self._count(states[k], len(half))
                outputs[k].append(np.asarray(output))
        return np.concatenate([np.concatenate(each, 1) for each in outputs])

    def _count(self, state: Any, sequences: int) -> None:
        arrays = arrays_of(self.layer, state).values()
        sizes = [math.prod(array.shape) for array in arrays]
        held = sum(
            n * array.dtype.itemsize for n, array in zip(sizes, arrays, strict=True)
        )
        self.numbers = max(self.numbers, math.ceil(sum(sizes) / sequences))
        self.bytes = max(self.bytes, math.ceil(held / sequences))


def _parameters(net: Any) -> int | None:
    if isinstance(net, Trained):
        return sum(leaf.size for leaf in jax.tree.leaves(net.weights))
    if hasattr(net, "state_dict"):
        return sum(each.numel() for each in net.parameters())
    if isinstance(net, nnx.Module):
        return sum(leaf.size for leaf in jax.tree.leaves(nnx.state(net, nnx.Param)))
    return None
