"""Judgement of a network of any library by its answers to fresh sequences of a task."""

import itertools
import math
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import jax
import numpy as np
import polars as pl

from memcap.config.member import Member
from memcap.confirmation import ODDS, LagTest, SequentialTest, Tally
from memcap.knobs import MOST, UserError, whole
from memcap.rule import Evaluation
from memcap.runtime import jax_setup
from memcap.runtime.plugins import raised
from memcap.tasks import FileTask, Task, chance
from memcap.tasks.base import Batch
from memcap.terminal.words import InWords, Waiting, bound, number

# Outputs that differ by no more, or by no larger share, may differ by rounding alone.
ROUNDING = 1e-3
TENTHS = 10  # parts of a longer stream, each of which counts by itself
MOST_NUMBERS = 2**29  # that a net gets at once: 2 GiB
KEEPS_STATE = (
    " Its outputs change if the same sequences come again: it keeps a state between calls"
    " (Keras: stateful=True, reset it), or it is random (dropout)."
)
FIRST_STEP = " Where it begins at the first step, it is right at every lag."
LOOKS_AHEAD = (
    " Its answers change with inputs that come after them: it looks ahead, so this shows"
    " no memory."
)


@dataclass(frozen=True)
class Judgement(InWords):
    """The scores of a network on a task, and the verdict. Print it for words.

    Args:
        task, lag: those at which it was judged.
        table: a row for each lag: `lag`, `length`, the score (`accuracy` or `mse`),
            `chance`, the score of a net without memory, and `passes`; except of a
            stream, `exact`: whether all possible sequences were counted. Where filler
            may come before what counts, `first_step` is the score at `length` without
            filler, `later` that over all later places in up to `longest` steps, and
            `worst_place` that at the worst of these; the score is the worse of the
            first two, or of what does not pass. Of a stream, `worst_tenth` is the score
            at the worst tenth of the steps.
        right: whether it reaches what members are trained for: steady on a stream;
            otherwise right at every lag up to its own, wherever in a sequence it
            begins.
        up_to: the longest lag up to which it is right at every lag, wherever it begins.
            None if it is wrong at the shortest, or if there is only one lag.
        words: the verdict in words.
        diagnosis: why a model is not right (`memcap.answers.diagnosis`), or None.
    """

    task: Task
    lag: int
    table: pl.DataFrame
    right: bool
    up_to: int | None
    words: str
    diagnosis: Any = None

    def __str__(self) -> str:
        return "\n".join(map(str, filter(None, (self.words, self.diagnosis))))


def judge(
    net: Callable[[np.ndarray], Any],
    task: Task,
    lag: int,
    one_hot: bool = True,
    sequences: int = 256,
    seed: int = 0,
) -> Judgement:
    """Judge a network by its answers to fresh sequences, as `memcap.judge` does.

    Raises:
        UserError: no such lag, no criterion, or outputs that are no answers.
    """
    if not callable(net):
        raise UserError(f"net: must be a function of inputs, not {type(net).__name__}")
    jax_setup.setup()
    whole(sequences, "sequences", 1, MOST)
    if isinstance(task, FileTask):
        sequences = task.part_sizes[1]  # all that are held out, whatever was asked for
    key = jax.random.key(whole(seed, "seed", 0, MOST))
    every_lag = task.has_other_lags(lag)
    # The network is judged like a member with the same task and lag.
    until = "anywhere" if every_lag else None
    member = Member(task, lag, evaluation=Evaluation(until=until))
    if task.rule.by_loss:
        raise UserError(
            "judge: criterion=best compares nets by their loss; give a score, as criterion=0.95"
        )
    lags = range(task.smallest_lag, lag + 1) if every_lag else [lag]
    sizes = [(lag, *member.lengths_at(lag)) for lag in lags]
    if task.stream:
        longer, length = task.stretched(lag, member.evaluation.stretch)
        sizes.append((longer, length, length))
    *_, steps = sizes[-1]
    size = steps * (task.features if one_hot else 1)
    if sequences * size > MOST_NUMBERS:
        raise UserError(
            f"sequences={sequences}: of {steps:,} steps they are {sequences * size * 4:.1e} bytes,"
            f" and a net gets at most {MOST_NUMBERS * 4:.1e} at once: at most"
            f" {MOST_NUMBERS // size} sequences at this lag"
        )
    draw = jax.jit(partial(task.unseen, steps=steps, batch=sequences))
    enumerated = jax.jit(partial(task.enumerated, steps=steps))
    outputs = partial(outputs_of, net, task, one_hot)
    candidate = _Candidate(outputs, member, sequences, key, draw, enumerated)
    rows = []
    with Waiting("judging") as waiting:
        hint = candidate.hint()
        for each, shortest, longest in sizes:
            waiting.now(f"judging at lag {each} of {lag}")
            score = candidate.score_stream if task.stream else candidate.score
            scores, exact, passes = score(each, shortest, longest)
            rows.append(
                {
                    "lag": each,
                    "length": shortest,
                    "longest": longest,
                    **scores,
                    "chance": task.facts(each, shortest).chance,
                    "exact": exact,
                    "passes": passes,
                }
            )
    return _verdict(member, pl.DataFrame(rows), hint)


@dataclass(frozen=True)
class _Candidate:
    """A network to judge, and the sequences that it gets."""

    outputs: Callable[[np.ndarray], np.ndarray]  # its outputs for a task's inputs
    member: Member  # with the task and the longest lag
    sequences: int  # of a block
    key: jax.Array  # of all draws
    draw: Callable[..., Batch]  # draws a block, given a key, a lag and a length
    enumerated: Callable[..., Batch]  # the same, given numbers of sequences
    draws: Iterator[int] = field(default_factory=itertools.count)  # numbers of draws

    def hint(self) -> str:
        """Say whether outputs show that it keeps a state between calls, or looks ahead."""
        task = self.member.task
        length = self.member.length
        batch = self.draw(self.key, self.member.lag, length)
        inputs, _, mask = chance.sequences(task, batch, length)
        outputs = self.outputs(inputs)
        _answers(task, outputs, mask)
        if not np.allclose(outputs, self.outputs(inputs), ROUNDING, ROUNDING):
            return KEEPS_STATE
        if task.answers == "last":
            return ""  # nothing comes after the step that counts
        # From some step on each sequence goes on as another one. Half of the answers are
        # due before that step, or fewer if all sequences end alike.
        changed = np.roll(inputs, 1, axis=0)
        last = np.argwhere((changed != inputs).any(0))[:, 0].max(initial=0)
        before = np.arange(length) < min(np.median(np.nonzero(mask)[1]), last)
        changed[:, before] = inputs[:, before]
        mask = mask & before
        others = self.outputs(changed)[mask]
        is_same = np.allclose(outputs[mask], others, ROUNDING, ROUNDING)
        return "" if is_same else LOOKS_AHEAD

    def score(
        self, lag: int, shortest: int, longest: int
    ) -> tuple[dict[str, float], bool, bool]:
        """Score a lag: return scores by name, whether all are counted, and whether
        it is right."""
        member = self.member
        if isinstance(member.task, FileTask):
            tally = self.tally(lag, shortest, shortest, 1)
            score = member.criterion.score(tally.error.item())
            return {member.task.metric: score}, False, member.criterion.passes(score)
        is_exact = member.sequences_at(lag) is not None
        draw = partial(self.tally, lag)
        test = LagTest(member.criterion, draw, self.sequences, is_exact)
        first, later, place, worst, _, passes = test.score(shortest, longest)
        scores = {
            member.task.metric: worst,
            "first_step": first,
            "later": later,
            "worst_place": place,
        }
        return scores, is_exact, passes

    def score_stream(
        self, lag: int, length: int, _: int
    ) -> tuple[dict[str, float], bool, bool]:
        """Score a stream in the same way; of one that is longer than in training, each
        tenth counts by itself."""
        criterion = self.member.criterion
        number = TENTHS if length > self.member.length else 1
        parts = np.arange(length) * number // length
        test = SequentialTest(
            criterion.allowed, ODDS, squared=not criterion.higher_is_better
        )
        blocks = math.ceil(test.fewest / self.sequences)

        def draw() -> Tally:
            return Tally(*self._sums(self._blocks(lag, length, blocks, None), parts))

        passes, tally = test.run(draw, draw())
        scores = {
            self.member.task.metric: criterion.score(tally.pooled.error.item()),
            "worst_tenth": criterion.score(tally.error.max()),
        }
        return scores, False, bool(passes.all())

    def tally(self, lag: int, first: int, last: int, blocks: int) -> Tally:
        shortest, _ = self.member.lengths_at(lag)
        numbers = self.member.sequences_at(lag)
        tallies = []
        for length in range(first, last + 1):
            number = None if numbers is None else numbers[length - shortest]
            batches = self._blocks(lag, length, blocks, number)
            tallies.append(self._sums(batches, np.zeros(length, int)))
        return Tally(*np.concatenate(tallies, 1))

    def _blocks(
        self, lag: int, length: int, blocks: int, number: int | None
    ) -> Iterator[tuple[Batch, Any]]:
        """Yield blocks of sequences, all `number` or drawn ones, and a mask (B,) of
        those that count."""
        if number is None:
            key = jax.random.fold_in(self.key, next(self.draws))
            for k in range(blocks):
                yield self.draw(jax.random.fold_in(key, k), lag, length), True
            return
        for first in range(0, number, self.sequences):
            # The last block is filled up, so that all have the same size.
            numbers = first + np.arange(self.sequences)
            batch = self.enumerated(np.minimum(numbers, number - 1), lag, length)
            yield batch, numbers < number

    def _sums(
        self, batches: Iterator[tuple[Batch, Any]], parts: np.ndarray
    ) -> np.ndarray:
        """Return the sums of a `Tally`, (4, G), for the G parts of steps in `parts`
        (T,)."""
        task = self.member.task
        number = parts.max() + 1
        sums = np.zeros((4, number))
        for batch, counts in batches:
            inputs, targets, mask = chance.sequences(task, batch, len(parts))
            answers = _answers(task, self.outputs(inputs), mask)
            errors = chance.errors(task, answers, targets, mask)
            for part in range(number):
                steps = parts == part
                due = mask[:, steps].sum(1)
                wrong = errors[:, steps].sum(1)
                each = np.stack([np.ones_like(wrong), due, wrong, wrong**2])
                sums[:, part] += (each * counts).sum(1)
        return sums


def outputs_of(net: Any, task: Task, one_hot: bool, inputs: np.ndarray) -> np.ndarray:
    inputs = task.encoded(inputs, one_hot)
    if hasattr(net, "state_dict"):
        inputs = sys.modules["torch"].from_numpy(inputs)
    # A plain call of a Keras model takes much longer.
    call = getattr(net, "predict_on_batch", net)
    try:
        outputs = call(inputs)
    except (Exception, SystemExit) as error:
        why = raised(error, getattr(net, "__module__", ""))
        raise UserError(f"net: given inputs {tuple(inputs.shape)}, {why}") from error
    if hasattr(outputs, "detach"):  # PyTorch's, which may have a gradient
        outputs = outputs.detach().cpu()
    try:
        array = np.asarray(outputs)
    except (ValueError, TypeError, RuntimeError):  # outputs with a carry, say
        raise UserError(
            f"net: gave {type(outputs).__name__}; it must be one array of outputs"
        ) from None
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise UserError(
            "net: gave outputs that are infinite or NaN: its training diverged; clip the"
            " gradient to a norm of 1, or lower the learning rate, where you train it"
        )
    return array


def _answers(task: Task, array: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return a net's answers, (N, T) or (N, T, O); `mask` (N, T) is true where one is
    due."""
    shape = mask.shape
    count, steps = shape
    given = f"{array.dtype} of shape {array.shape}"
    has_classes = task.loss == "classes"
    answer_shape = (task.outputs,) if task.several_values else ()
    if has_classes:
        are_logits = array.dtype.kind == "f" and array.shape[-1:] == (task.outputs,)
        if are_logits:
            array = array.argmax(-1)
    elif not task.several_values and steps > 1 and array.shape[1:][-1:] == (1,):
        # The net gave (N, T, 1), or (N, 1) though T > 1: drop the axis of its only output.
        array = array[..., 0]
    at_last = task.answers == "last"
    if at_last and array.shape == (count, *answer_shape):
        array = np.repeat(array[:, None], steps, 1)  # only the last step counts
    has_numbers = array.dtype.kind in ("biu" if has_classes else "biuf")
    if has_numbers and array.shape == (*shape, *answer_shape):
        due = array[mask]
        if has_classes and not np.isin(due, range(task.outputs)).all():
            raise UserError(
                f"net: gave classes from {due.min()} to {due.max()}; {task.name} has 0 to"
                f" {task.outputs - 1}"
            )
        return array
    noun = "float logits" if has_classes else "values"
    forms = [f"{noun} {(*shape, task.outputs)}"]
    if at_last:
        forms.append(f"{noun} {(count, task.outputs)} of the last step")
    if has_classes:
        forms.append(f"whole numbers {shape}")
    raise UserError(f"net: gave {given}; {task.name} takes {', or '.join(forms)}")


def _verdict(member: Member, table: pl.DataFrame, hint: str) -> Judgement:
    task = member.task
    lag = member.lag
    right = table["passes"].all()
    scores = table[task.metric].to_list()
    deciding = table if right else table.filter(~table["passes"])
    index = member.criterion.index_of_worst(deciding[task.metric].to_list())
    decides = deciding.row(index, named=True)
    note = (
        f"without memory {number(decides['chance'])}; criterion"
        f" {bound(member.facts.threshold)}"
    )
    verdict = "RIGHT" if right else "NOT RIGHT"
    worst = f"{task.metric} {decides[task.metric]:.4f}"
    if not right and member.criterion.passes(decides[task.metric]):
        worst += ", too near the criterion,"
    up_to = None
    unused = ["longest", "first_step", "later", "worst_place"]
    if task.stream:
        # A stream is judged at one lag, so there are two rows: the first one is at the
        # trained length, the second one at the stretched length.
        unused.append("exact")
        verdict = "STEADY" if right else "NOT SOLVED"
        if table["passes"][0] and not right:
            verdict = "SOLVED, and not steady"
        words = (
            f"{verdict} at lag {lag}: {task.metric} {scores[0]:.4f} on sequences of"
            f" {member.length} steps, {scores[1]:.4f} on those of {table['length'][1]}, and"
            f" {table['worst_tenth'][1]:.4f} in the worst tenth of these ({note})."
        )
    elif len(table) == 1:
        words = f"{verdict} AT LAG {lag}: {worst} ({note})."
    else:
        where = ""
        if task.filler:
            where = f", WHEREVER IT BEGINS WITHIN {member.length} STEPS"
            unused = []
        wrong = table["lag"].filter(~table["passes"]).to_list()
        if task.smallest_lag not in wrong:
            up_to = min(wrong, default=lag + 1) - 1
        extent = ""
        first = ""
        if not right:
            longest = f"up to {up_to} it is" if up_to else "nor at the shortest"
            extent = f" ({longest}; wrong at {len(wrong)} of {len(table)} lags)"
            if member.criterion.passes(table["first_step"]).all():
                first = FIRST_STEP
        words = (
            f"{verdict} AT EVERY LAG UP TO {lag}{where}{extent}: {worst} at worst, at lag"
            f" {decides['lag']} ({note}).{first}"
        )
    scores = table.select(
        {task.metric, "worst_place", "worst_tenth"} & {*table.columns}
    )
    if right and task.higher_is_better and min(scores.min().row(0)) < 1:
        words += f" It is right in {member.criterion.value:.0%}, not on all."
    return Judgement(
        task, lag, table.drop(unused, strict=False), right, up_to, words + hint
    )
