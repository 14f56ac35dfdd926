"""One worker's loop: take members from the queue, train them in the lanes of one program after another, hand
in what came out.

Between chunks an ended member leaves its lane and a waiting one takes it, at no recompile. Where checkpoints
are wanted, the states of members that train long are handed in now and then.
"""

import math
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Protocol

import jax
import numpy as np

from memcap.config import Member
from memcap.training.early_stopping import Verdict
from memcap.training.lane import Checkpoint, Lane, program_of
from memcap.training.program import Compiled, Program, compiled
from memcap.training.state import EvalOperands, TrainState
from memcap.training.step import Trainer

HAND_IN = 0.01  # of the time, at most, goes into handing in states


@dataclass(frozen=True)
class Result:
    """What came of a member.

    Args:
        member: what was trained.
        status: "solved", "unsolved" (budget used up), "diverged", or "failed": it took two workers with it.
        steps: training steps taken.
        solved: steps to solve it, the verdict's evaluations included; steady: steps until it was steady, too;
            None if never.
        score: last held-out score; best: best one; stretched: last score at `evaluation.stretch` times the
            lag (or length).
        train_loss: mean over the last chunk, in nats or squared error.
        weights: nested dict of arrays.
        compile_seconds: of the member's program, which its population shares.
        run_seconds: the member's share of the time that its population's executables ran, evaluations
            included.
        loop: name of its loop over time (memcap/loops/); side_by_side: whether the program's members ran
            under `vmap`.
        program_units, program_steps: width and length of the program, to which the member was padded.
        reason: why it failed.
    """

    member: Member
    status: str
    steps: int
    solved: int | None
    steady: int | None
    score: float
    best: float
    stretched: float
    train_loss: float
    weights: dict[str, Any]
    compile_seconds: float
    run_seconds: float
    loop: str
    side_by_side: bool
    program_units: int
    program_steps: int
    reason: str | None = None

    @classmethod
    def failed(cls, member: Member, program: Program, reason: str) -> "Result":
        """Of a member that nobody could train: no measurement."""
        trainer, size, nan = (
            program.trainer,
            (program.shape.architecture.model.units, program.trainer.steps),
            math.nan,
        )
        scores = (nan, nan, nan, nan)
        ways = trainer.loop, trainer.side_by_side
        return cls(member, "failed", 0, None, None, *scores, {}, 0.0, 0.0, *ways, *size, reason)

    @property
    def passed(self) -> bool:
        """Whether it became what its training was for: solved, or steady, as `evaluation.until` says."""
        return (self.steady if self.member.evaluation.until == "steady" else self.solved) is not None


@dataclass(frozen=True)
class Chunk:
    """A piece of a member's curve.

    Args:
        member: whose.
        before: steps taken before the chunk.
        losses: (steps of the chunk,) float32, the training loss of each.
        train_score: running training score at the chunk's end; score: held-out, None where no evaluation was
            wanted.
    """

    member: Member
    before: int
    losses: np.ndarray
    train_score: float
    score: float | None

    def points(self, most: int | None = None) -> Iterator[tuple[int, dict[str, float]]]:
        """(step, values) of each step; the last one comes with the scores. No steps: a further evaluation of
        the last one.

        Args:
            most: points that are wanted; where there are more steps, a point has the mean loss since the one
                before.
        """
        metric, end = self.member.task.metric, self.before + len(self.losses)
        ends = np.unique(
            np.linspace(0, len(self.losses), min(most or len(self.losses), len(self.losses)) + 1).astype(int)
        )
        for before, after in pairwise(ends.tolist()):
            step, point = self.before + after, {"train/loss": float(self.losses[before:after].mean())}
            if step == end:
                point[f"train/{metric}"] = self.train_score
                if self.score is not None:
                    point[f"eval/{metric}"] = self.score
            yield step, point
        if not len(self.losses) and self.score is not None:
            yield end, {f"eval/{metric}": self.score}


class QueueClient(Protocol):
    """A worker's side of the queue."""

    def going(self) -> bool:
        """Whether the job goes on; false once it was interrupted or another worker has failed."""

    def claim(self) -> Program | None:
        """The next program to train; None when all is done. Waits where members may still come."""

    def take(self, program: Program, most: int) -> list[Member]:
        """Up to `most` waiting members for a program that was claimed."""

    def keeps(self) -> float:
        """Seconds of training after which a member's state is wanted, and wanted again; infinite: never."""

    def kept(self, members: Sequence[Member]) -> Mapping[str, Checkpoint]:
        """Those of the members, by key, that have trained before."""

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        """Hand in states of members in flight."""

    def curve(self, chunk: Chunk) -> None:
        """Hand in a piece of a curve."""

    def ended(self, program: Program, results: Sequence[Result]) -> None:
        """Hand in members that have ended."""


def work(queue: QueueClient) -> None:
    """Train whatever the queue has, until there is nothing left."""
    every = queue.keeps()
    while (program := queue.claim()) is not None:
        _population(program, queue, every)


def _population(program: Program, queue: QueueClient, every: float) -> None:
    code = compiled(program)
    program, trainer = code.program, code.program.trainer
    lanes: list[Lane | None] = [None] * program.lanes
    states = jax.tree.map(lambda *leaves: np.stack(leaves), *[trainer.blank()] * program.lanes)
    given: Any = None
    handed_in, pause = time.monotonic(), every
    _, operands, asked = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), program.example())

    def evaluate(wanted: dict[int, EvalOperands]) -> np.ndarray:
        """(lanes,) scores of the lanes in `wanted`."""
        asked.blocks[:] = 0
        for k, each in wanted.items():
            _write(asked, k, each)
        return (
            np.asarray(code.evaluate(states.weights, asked))
            if wanted
            else np.full(program.lanes, np.nan, np.float32)
        )

    while queue.going():
        empty = [k for k, lane in enumerate(lanes) if lane is None]
        fresh = queue.take(program, len(empty)) if empty else []
        if fresh:
            states = jax.tree.map(
                np.array, states
            )  # on the host while lanes change; between chunks they stay on the device
            kept = queue.kept(fresh) if math.isfinite(every) else {}
            for k, member in zip(empty, fresh, strict=False):
                lanes[k], state = _begun(member, trainer, kept.get(member.key))
                _write(states, k, state)
                _write(operands, k, trainer.operands(member))
            given = (
                jax.device_put(operands) if program.devices == 1 else operands
            )  # handed over once, not every chunk
        taken = {k: lane for k, lane in enumerate(lanes) if lane is not None}
        if not taken:
            return
        start = time.perf_counter()
        losses = np.zeros((program.lanes, program.shape.evaluation.every), np.float32)
        if any(
            lane.before < (lane.member.recipe.budget or 0) for lane in taken.values()
        ):  # else they are only asked again
            states, losses = code.advance(states, given)
        progress, losses = jax.tree.map(np.array, (states.progress, losses))
        for k, lane in taken.items():
            lane.advanced(int(progress.step[k]), bool(progress.running[k]), losses[k])
        wanted = {
            k: trainer.held_out(lane.member, lane.verdict.evaluations)
            for k, lane in taken.items()
            if lane.verdict.wants_evaluation(int(progress.step[k]), float(progress.train_score[k]))
        }
        found = evaluate(wanted)
        scores = {k: float(found[k]) for k in wanted}
        for k, lane in taken.items():
            lane.verdict.judge(int(progress.step[k]), scores.get(k))
        longer = {k: lane for k, lane in taken.items() if lane.verdict.wants_stretched()}
        stretched = evaluate({k: trainer.stretched(lane.member) for k, lane in longer.items()})
        for k, lane in longer.items():
            lane.verdict.judge_stretched(int(progress.step[k]), float(stretched[k]))
        ended = {k: lane for k, lane in taken.items() if not lane.verdict.running}
        if ended:
            states = jax.tree.map(np.array, states)
        spent = time.perf_counter() - start
        for k, lane in taken.items():
            lane.seconds += spent / len(taken)
            steps, score = int(progress.step[k]) - lane.before, scores.get(k)
            if steps or score is not None:
                queue.curve(
                    Chunk(lane.member, lane.before, losses[k, :steps], float(progress.train_score[k]), score)
                )
            lane.before += steps
        if ended:
            results = [_result(code, lane, states.weights[k]) for k, lane in ended.items()]
            queue.ended(program, results)
            for k in ended:
                lanes[k], states.progress.running[k] = None, False
        now = time.monotonic()
        if now - handed_in > pause and (
            old := {k: lane for k, lane in enumerate(lanes) if lane and now - lane.since > every}
        ):
            queue.keep(_checkpoints(old, trainer, states))
            handed_in = time.monotonic()
            pause = max(every, (handed_in - now) / HAND_IN)


def _begun(member: Member, trainer: Trainer, kept: Checkpoint | None) -> tuple[Lane, TrainState]:
    """Where a member begins, or goes on."""
    if kept is None or kept.program != program_of(trainer):
        return Lane(Verdict(member)), trainer.fresh(member)
    return Lane.resumed(member, kept.lane), jax.tree.unflatten(
        jax.tree.structure(trainer.blank()), kept.state
    )


def _checkpoints(lanes: dict[int, Lane], trainer: Trainer, states: TrainState) -> list[Checkpoint]:
    """Of some lanes."""
    program, leaves = program_of(trainer), [np.array(leaf) for leaf in jax.tree.leaves(states)]
    return [
        Checkpoint(lane.member.key, program, lane.notes, [leaf[k] for leaf in leaves])
        for k, lane in lanes.items()
    ]


def _write(stacked: Any, k: int, value: Any) -> None:
    """Replace row k of every leaf, in place."""

    def write(rows: np.ndarray, row: np.ndarray) -> None:
        rows[k] = row

    jax.tree.map(write, stacked, value)


def _result(code: Compiled, lane: Lane, weights: np.ndarray) -> Result:
    verdict, program = lane.verdict, code.program
    return Result(
        verdict.member,
        verdict.status,
        lane.before,
        verdict.solved,
        verdict.steady,
        verdict.score,
        verdict.best,
        verdict.stretched,
        lane.loss,
        program.trainer.weights(verdict.member, np.array(weights)),
        code.seconds,
        lane.seconds,
        program.trainer.loop,
        program.trainer.side_by_side,
        program.shape.architecture.model.units,
        program.trainer.steps,
    )
