"""The host's side of a member: first state, operands, and what comes of it.

Scalars and vectors are NumPy's; step.py describes them.
"""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby, pairwise
from typing import Any

import jax
import numpy as np

from memcap.config.member import Member
from memcap.confirmation import LagTest, Tally
from memcap.models.model import Params
from memcap.rule import Assessment, LagScore, Split, Stream
from memcap.tasks.base import FileTask, random_key
from memcap.training import curriculum
from memcap.training.curriculum import Curriculum, CurriculumState
from memcap.training.evaluation import (
    DrawnAtLength,
    DrawnAtLengths,
    Enumerated,
    EvalOperands,
    FilePart,
    Sequences,
)
from memcap.training.step import Trainer, TrainOperands, TrainState


@dataclass(kw_only=True)
class Result(Assessment):
    """The result of a member."""

    member: Member = field(kw_only=False)
    steps: int = 0  # training steps taken
    train_loss: float  # mean over the last chunk, in nats or squared error
    weights: Params  # nested dict of arrays
    # of the member's program, which all members in it share
    compile_seconds: float = 0.0
    # the member's share of the time that its program ran, evaluations included
    run_seconds: float = 0.0
    loop: str  # name of its loop over time (memcap/loops/)
    side_by_side: bool  # whether the program's members ran under `vmap`
    program_units: int  # width of the program, to which the member was padded
    program_steps: int  # and its length
    xla_flags: str = ""
    reason: str | None = None  # why it failed
    # (score, share of whole sequences right) at each of `evaluation.lengths`
    at_lengths: tuple[tuple[float, float], ...] = ()

    @classmethod
    def failed(cls, member: Member, reason: str, way: dict[str, Any]) -> "Result":
        return cls(
            member,
            status="failed",
            train_loss=math.nan,
            weights={},
            reason=reason,
            **way,
        )

    @property
    def passed(self) -> bool:
        """Return whether the member reached what `evaluation.until` asks for."""
        return getattr(self, str(self.member.evaluation.until)) is not None


@dataclass(frozen=True)
class CurveChunk:
    """A piece of a member's curve."""

    member: Member
    first_step: int  # steps taken before the chunk
    losses: np.ndarray  # (steps of the chunk,) float32, the training loss of each
    train_score: float  # running training score at the chunk's end
    score: float | None  # held-out score, None if it was not evaluated
    # lag of the member's curriculum at the chunk's end; None without a curriculum
    lag: int | None = None
    # held-out score at the worst lag up to its own; None if it was not evaluated
    worst: float | None = None
    # learning rate of the next step; None where it is not known
    lr: float | None = None
    # of members that are judged by it; None if it was not evaluated
    validation_loss: float | None = None

    def points(self, most: int | None = None) -> Iterator[tuple[int, dict[str, float]]]:
        """Yield (step, values) for all steps, or `most` of them; the last has scores.

        Losses are means since the previous one. Without steps it is a further
        evaluation.
        """
        metric = self.member.task.metric
        last = self.first_step + len(self.losses)
        count = min(most or len(self.losses), len(self.losses))
        ends = np.unique(np.linspace(0, len(self.losses), count + 1).astype(int))

        for start, end in pairwise(ends.tolist()):
            step = self.first_step + end
            point = {"train/loss": float(self.losses[start:end].mean())}
            if step == last:
                point[f"train/{metric}"] = self.train_score
                beside = {"train/lag": self.lag, "train/lr": self.lr}
                point |= {
                    name: value for name, value in beside.items() if value is not None
                }
                point |= self._held_out()
            yield step, point

        if not len(self.losses) and (scores := self._held_out()):
            yield last, scores

    def _held_out(self) -> dict[str, float]:
        scores = {
            f"eval/{self.member.task.metric}": self.score,
            "eval/worst": self.worst,
        }
        scores["eval/loss"] = self.validation_loss
        return {name: score for name, score in scores.items() if score is not None}


@dataclass(frozen=True)
class Checkpoint:
    """A member between two chunks."""

    key: str  # of the member
    # its program in words (`program_id`); only an equal one may continue it
    program: str
    # the host's part, as plain values: `train_loop.Lane.to_dict`
    host_state: dict[str, Any]
    state: Sequence[np.ndarray]  # the leaves of its `TrainState`

    @property
    def loop(self) -> str:
        return self.program.rpartition(" ")[2]


def stream_key(member: Member, stream: Stream, index: int = 0) -> np.ndarray:
    """Return a random stream's key, (2,) uint32; `index` numbers evaluations."""
    return np.asarray(_key_data(*member.seed_parts, stream, index))


@jax.jit
def _key_data(*parts: Any) -> jax.Array:
    return jax.random.key_data(random_key(*parts))


def empty_state(trainer: Trainer) -> TrainState:
    """Return a state of zeros, at which the optimizer starts."""
    params = np.zeros(trainer.spec.architecture.parameters(), np.float32)
    shapes = jax.eval_shape(trainer.optimizer.init, params)
    opt_state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    progress: Any = ()
    if trainer.spec.has_curriculum:
        progress = CurriculumState(np.int32(0), np.float32(0), np.int32(0))
    return TrainState(
        params,
        opt_state,
        step=np.int32(0),
        is_active=np.bool_(False),
        train_score=np.float32(np.nan),
        progress=progress,
    )


def empty_operands(trainer: Trainer) -> tuple[TrainOperands, EvalOperands]:
    number = np.int32(0)
    real = np.float32(0)
    flag = np.bool_(False)
    key = np.zeros(2, np.uint32)
    plan: Any = ()
    if trainer.spec.has_curriculum:
        lengths = np.zeros(trainer.max_length + 1, np.int32)
        criterion = () if trainer.spec.task.higher_is_better else real
        plan = Curriculum(number, real, real, flag, real, lengths, criterion)
    train = TrainOperands(key, number, number, real, number, flag, number, number, plan)
    sequences: Sequences = DrawnAtLength(key, number, number)
    if isinstance(trainer.spec.task, FileTask):
        sequences = FilePart(number, number, number)
    return train, EvalOperands(sequences, number, number)


def initial_state(trainer: Trainer, member: Member) -> TrainState:
    shared = trainer.spec.architecture
    weights = member.architecture.init(member.init, member.seed_parts)
    if member.architecture != shared:
        weights = member.architecture.resized(weights, shared.model.units)
    state = empty_state(trainer)._replace(
        params=shared.flatten(weights), is_active=np.bool_(True)
    )
    if not trainer.spec.has_curriculum:
        return state
    plan = curriculum.curriculum_of(member, trainer.max_length)
    return state._replace(progress=curriculum.initial_state(plan, member.lag))


def weights_of(trainer: Trainer, member: Member, params: np.ndarray) -> Params:
    """Return a member's own weights, nested, from its state's flat vector (P,)."""
    shared = trainer.spec.architecture
    weights = shared.unflatten(params)
    if member.architecture == shared:
        return weights
    return shared.resized(weights, member.model.units)


def train_operands(trainer: Trainer, member: Member) -> TrainOperands:
    recipe = member.recipe
    units = member.model.units
    peak = recipe.peak(member.lag, units)
    plan: Any = ()
    if trainer.spec.has_curriculum:
        peak = recipe.rate(units)
        plan = curriculum.curriculum_of(member, trainer.max_length)
    return TrainOperands(
        stream_key(member, Stream.TRAIN),
        lag=np.int32(member.lag),
        length=np.int32(member.length),
        lr=np.float32(peak),
        warmup=np.int32(recipe.warmup),
        is_cosine=np.bool_(recipe.schedule == "cosine"),
        budget=np.int32(recipe.budget),
        units=np.int32(units),
        curriculum=plan,
    )


def eval_operands(
    member: Member, test: Stream | Split, evaluation: int = 0
) -> list[EvalOperands]:
    """Return the operands of a test, one for each of its evaluations.

    `evaluation` numbers those on EVALUATE, each of which draws its own sequences. Of a
    file every stream is its held-out part.
    """
    if isinstance(member.task, FileTask):
        split = test if isinstance(test, Split) else Split.HELD_OUT
        blocks = -(-member.task.part_sizes[split.value] // member.evaluation.block)
        numbers = map(np.int32, (split.value, member.lag, member.length))
        return [_operands(member, FilePart(*numbers), blocks)]
    assert isinstance(test, Stream)
    first = evaluation if test == Stream.EVALUATE else 0
    operands = []
    for k, (*size, blocks) in enumerate(member.evaluation_sizes(test), first):
        sequences = DrawnAtLength(stream_key(member, test, k), *map(np.int32, size))
        operands.append(_operands(member, sequences, blocks))
    return operands


def score_lag(
    member: Member,
    lag: int,
    tally: Callable[[EvalOperands], np.ndarray],
    next_draw: Callable[[], int],
) -> LagScore:
    """Score a net at a lag up to its own, at all lengths (`LagTest`).

    `tally` runs `Trainer.tally`; `next_draw` numbers draws, each of its own sequences.
    """
    numbers = member.sequences_at(lag)
    shortest, longest = member.lengths_at(lag)

    def parts(lengths: range, blocks: int) -> Iterator[EvalOperands]:
        if numbers is None:
            key = stream_key(member, Stream.CONFIRM, next_draw())
            ends = map(np.int32, (lag, lengths[0], lengths[-1]))
            sequences: Sequences = DrawnAtLengths(key, *ends)
            yield _operands(member, sequences, blocks * len(lengths))
            return
        of_length = groupby(lengths, lambda length: numbers[length - shortest])
        for number, group in of_length:
            equal = [*group]
            sequences = Enumerated(*map(np.int32, (number, lag, equal[0])))
            blocks = len(equal) * -(-number // member.evaluation.block)
            yield _operands(member, sequences, blocks)

    def draw(first: int, last: int, blocks: int) -> Tally:
        operands = parts(range(first, last + 1), blocks)
        sums = np.sum([tally(each) for each in operands], axis=0, dtype=float)
        return Tally(*sums[first : last + 1].T)

    is_exact = numbers is not None
    test = LagTest(member.criterion, draw, member.evaluation.block, is_exact)
    return test.score(shortest, longest)


def _operands(member: Member, sequences: Sequences, blocks: int) -> EvalOperands:
    return EvalOperands(sequences, np.int32(blocks), np.int32(member.model.units))
