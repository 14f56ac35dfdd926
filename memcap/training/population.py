"""One worker's loop: take members from a desk, train them in the lanes of one program after another, hand in what came out.

Between chunks an ended member leaves its lane and a waiting one takes it, at no recompile.
"""

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import jax
import numpy as np

from memcap.config import Member
from memcap.training.program import Compiled, EvalOperands, Program, compiled


@dataclass(frozen=True)
class Result:
    """A member's result.

    Args:
        member: what was trained.
        status: "solved", "unsolved" (budget used up) or "diverged".
        steps: training steps taken; where solved, the steps to solve it, the verdict's evaluations included.
        score: last held-out score; best: best one; stretched: score at `evaluation.stretch` times the lag.
        train_loss: mean over the last chunk, in nats or squared error.
        weights: nested dict of arrays.
        compile_seconds: of the member's program, which its population shares.
        run_seconds: the member's share of the time that its population's executables ran, evaluations included.
        batching: "map" or "vmap".
    """

    member: Member
    status: str
    steps: int
    score: float
    best: float
    stretched: float
    train_loss: float
    weights: dict[str, Any]
    compile_seconds: float
    run_seconds: float
    batching: str


@dataclass(frozen=True)
class Chunk:
    """A piece of a member's curve.

    Args:
        member: whose.
        before: steps taken before the chunk.
        losses: (steps of the chunk,) float32, the training loss of each.
        train_score: running training score at the chunk's end; score: held-out, None where no evaluation was wanted.
    """

    member: Member
    before: int
    losses: np.ndarray
    train_score: float
    score: float | None

    def points(self) -> Iterator[tuple[int, dict[str, float]]]:
        """(step, values) of each step; the last one comes with the scores. No steps: a further evaluation of the last one."""
        metric, end = self.member.task.metric, self.before + len(self.losses)
        for step, loss in enumerate(self.losses.tolist(), start=self.before + 1):
            point = {"train/loss": loss}
            if step == end:
                point[f"train/{metric}"] = self.train_score
                if self.score is not None:
                    point[f"eval/{metric}"] = self.score
            yield step, point
        if not len(self.losses) and self.score is not None:
            yield end, {f"eval/{metric}": self.score}


class QueueClient(Protocol):
    """Where a worker gets members and leaves what it found."""

    def going(self) -> bool:
        """Whether the job goes on; false once it was interrupted or another worker has failed."""

    def claim(self) -> Program | None:
        """The next program to train; None when all is done. Waits where members may still come."""

    def take(self, program: Program, most: int) -> list[Member]:
        """Up to `most` waiting members for a program that was claimed."""

    def curve(self, chunk: Chunk) -> None:
        """Hand in a piece of a curve."""

    def ended(self, program: Program, ended: Sequence[Result]) -> None:
        """Hand in members that have ended."""


def work(desk: QueueClient) -> None:
    """Train whatever the desk has, until there is nothing left."""
    while (program := desk.claim()) is not None:
        _population(program, desk)


@dataclass
class Lane:
    """A member in flight, as the host sees it. `passed` counts successive evaluations that passed."""

    member: Member
    before: int = 0
    status: str = "running"
    passed: int = 0
    evaluations: int = 0
    score: float = math.nan
    best: float = math.nan
    loss: float = math.nan
    seconds: float = 0.0

    def advanced(self, step: int, running: bool, losses: np.ndarray) -> None:
        """Take note of a chunk. The step that diverged has a loss, but does not count as taken."""
        taken = step - self.before + (not running)
        if taken:
            self.loss = float(np.mean(losses[:taken]))
        if not running:
            self.status = "diverged"

    def wants_evaluation(self, step: int, train_score: float) -> bool:
        """At the budget's end, or where the training score is good enough to ask. It decides nothing else."""
        task, threshold = self.member.task, self.member.task.threshold(self.member.lag)
        near = train_score >= threshold - 0.01 if task.higher_is_better else train_score <= 1.5 * threshold
        return self.status == "running" and (near or step >= (self.member.recipe.budget or 0))

    def judge(self, step: int, score: float | None) -> None:
        """The verdict after a chunk; `score`: held-out, None where it wasn't wanted.

        At the end of the budget a net that has just passed is asked again, on other sequences, until the verdict is in.
        """
        if self.status != "running":
            return
        if score is None:
            self.passed = 0
            return
        task, threshold = self.member.task, self.member.task.threshold(self.member.lag)
        passes = score >= threshold if task.higher_is_better else score <= threshold
        self.evaluations, self.score = self.evaluations + 1, score
        self.best = float((np.fmax if task.higher_is_better else np.fmin)(self.best, score))
        self.passed = self.passed + 1 if passes else 0
        if self.passed >= self.member.evaluation.successive:
            self.status = "solved"
        elif step >= (self.member.recipe.budget or 0) and not passes:
            self.status = "unsolved"


def _population(program: Program, desk: QueueClient) -> None:
    code = compiled(program)
    program = code.program
    seats: list[Lane | None] = [None] * program.lanes
    lanes = jax.tree.map(lambda *leaves: np.stack(leaves), *[program.blank()] * program.lanes)
    given: Any = None
    _, operands, asked = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), program.example())

    def evaluate(wanted: dict[int, EvalOperands]) -> np.ndarray:
        """(lanes,) scores of the lanes in `wanted`."""
        asked.blocks[:] = 0
        for k, each in wanted.items():
            _write(asked, k, each)
        return np.asarray(code.evaluate(lanes.weights, asked)) if wanted else np.full(program.lanes, np.nan, np.float32)

    while desk.going():
        empty = [k for k, seat in enumerate(seats) if seat is None]
        fresh = desk.take(program, len(empty)) if empty else []
        if fresh:
            lanes = jax.tree.map(np.array, lanes)  # on the host while seats change; between chunks they stay on the device
            for k, member in zip(empty, fresh, strict=False):
                seats[k] = Lane(member)
                _write(lanes, k, program.fresh(member))
                _write(operands, k, program.operands(member))
            given = jax.device_put(operands) if program.devices == 1 else operands  # handed over once, not every chunk
        taken = {k: seat for k, seat in enumerate(seats) if seat is not None}
        if not taken:
            return
        start = time.perf_counter()
        lanes, losses = code.advance(lanes, given)
        progress, losses = jax.tree.map(np.array, (lanes.progress, losses))
        for k, seat in taken.items():
            seat.advanced(int(progress.step[k]), bool(progress.running[k]), losses[k])
        wanted = {
            k: program.held_out(seat.member, seat.evaluations)
            for k, seat in taken.items()
            if seat.wants_evaluation(int(progress.step[k]), float(progress.train_score[k]))
        }
        found = evaluate(wanted)
        scores = {k: float(found[k]) for k in wanted}
        for k, seat in taken.items():
            seat.judge(int(progress.step[k]), scores.get(k))
        ended = {k: seat for k, seat in taken.items() if seat.status != "running"}
        if ended:
            stretched = evaluate({k: program.stretched(seat.member) for k, seat in ended.items()})
            lanes = jax.tree.map(np.array, lanes)
        spent = time.perf_counter() - start
        for k, seat in taken.items():
            seat.seconds += spent / len(taken)
            steps, score = int(progress.step[k]) - seat.before, scores.get(k)
            if steps or score is not None:
                desk.curve(Chunk(seat.member, seat.before, losses[k, :steps], float(progress.train_score[k]), score))
            seat.before += steps
        if ended:
            results = [_result(code, seat, lanes.weights[k], float(stretched[k])) for k, seat in ended.items()]
            desk.ended(program, results)
            for k in ended:
                seats[k], lanes.progress.running[k] = None, False


def _write(stacked: Any, k: int, value: Any) -> None:
    """Replace row k of every leaf, in place."""

    def write(rows: np.ndarray, row: np.ndarray) -> None:
        rows[k] = row

    jax.tree.map(write, stacked, value)


def _result(code: Compiled, seat: Lane, weights: np.ndarray, stretched: float) -> Result:
    return Result(
        seat.member,
        seat.status,
        seat.before,
        seat.score,
        seat.best,
        stretched,
        seat.loss,
        code.program.architecture.unflatten(np.array(weights)),
        code.seconds,
        seat.seconds,
        "vmap" if code.program.side_by_side else "map",
    )
