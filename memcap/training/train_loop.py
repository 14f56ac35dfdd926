"""A worker's loop: train the queue's members in the lanes of one program after another.

Between chunks a waiting member takes an ended one's lane, without a recompile.
"""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from memcap.config.member import Member
from memcap.rule import ScoreRule, Split, Stream
from memcap.runtime import jax_setup
from memcap.training.evaluation import EvalOperands, Scores
from memcap.training.host import (
    Checkpoint,
    CurveChunk,
    Result,
    empty_operands,
    empty_state,
    eval_operands,
    initial_state,
    score_lag,
    train_operands,
    weights_of,
)
from memcap.training.program import Program, compiled, program_id, way_of
from memcap.training.queue import Queue
from memcap.training.step import TrainState

MAX_SAVING = 0.01  # share of the time that handing in states may take
AT_LAGS = (Stream.UP_TO, Stream.LOOK)  # tests at several lags
Evaluations = dict[int, list[Scores]]  # by lane, of each of its operands


def run_worker(queue: Queue, worker: int) -> None:
    jax_setup.limit_blas()
    while (program := queue.claim_program(worker)) is not None:
        train_program(program, queue, worker)


def train_program(program: Program, queue: Queue, worker: int) -> None:
    lanes = Lanes(program)
    checkpoint_after = queue.checkpoint_after
    last_save = time.monotonic()
    pause = checkpoint_after

    while queue.should_continue():
        empty = lanes.empty
        members: list[Member] = []
        if empty:
            members = queue.take_members(worker, lanes.program, len(empty))
        if members:
            checkpoints: Mapping[str, Checkpoint] = {}
            if math.isfinite(checkpoint_after):
                checkpoints = queue.load_checkpoints(members)
            lanes.fill(dict(zip(empty, members, strict=False)), checkpoints)
        if not lanes.active:
            return

        for chunk in lanes.train_chunk():
            queue.add_curve(chunk)
        if results := lanes.results():
            queue.finish(worker, lanes.program, list(results.values()))
            lanes.clear(results)

        now = time.monotonic()
        if now - last_save > pause and (old := lanes.older_than(checkpoint_after)):
            queue.save_checkpoints(lanes.checkpoints(old))
            last_save = time.monotonic()
            pause = max(checkpoint_after, (last_save - now) / MAX_SAVING)


@dataclass
class Lane:
    """A member in training, as the host sees it."""

    member: Member
    rule: ScoreRule  # decides whether the member goes on
    steps: int = 0  # taken before the chunk in hand
    loss: float = math.nan  # mean over the last chunk
    seconds: float = 0.0  # its share of the time so far
    # when it entered its lane, on the monotonic clock
    since: float = field(default_factory=time.monotonic)
    # once the member has ended: score, and share of whole sequences right, at each of
    # `evaluation.lengths`
    at_lengths: list[tuple[float, float]] = field(default_factory=list)
    # (P,) the weights of the lowest validation loss, if that decides
    lowest: np.ndarray | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return plain values, without the member and `since`.

        With these and its `TrainState` a member trains on as if it had never stopped,
        as its data depend on seed and step alone, and evaluations are numbered.
        """
        return {
            "steps": self.steps,
            "loss": self.loss,
            "seconds": self.seconds,
            "rule": self.rule.state(),
            "lowest": None if self.lowest is None else self.lowest.tolist(),
        }

    @classmethod
    def from_dict(cls, member: Member, values: Mapping[str, Any]) -> "Lane":
        rule = member.rule(**values["rule"])
        lane = cls(member, rule, values["steps"], values["loss"], values["seconds"])
        if values["lowest"] is not None:
            lane.lowest = np.asarray(values["lowest"], np.float32)
        return lane

    def add_losses(self, step: int, finite: bool, losses: np.ndarray) -> None:
        """Record a chunk's losses; a diverged step does not count."""
        count = step - self.steps + (not finite)
        if count:
            self.loss = float(np.mean(losses[:count]))
        if not finite:
            self.rule.status = "diverged"


class Lanes:
    """The lanes of a program: members in flight; states and operands are stacked.

    States are on the host while members come and go; otherwise they stay on the device.
    """

    def __init__(self, program: Program):
        self.code = compiled(program)
        self.program = self.code.program  # with fewer lanes if memory is short
        self.trainer = self.program.trainer
        self.lanes: list[Lane | None] = [None] * self.program.lanes
        self.tests = self.trainer.spec.task.rule.tests
        self.states = _stack([empty_state(self.trainer)] * self.program.lanes)
        operands, _ = empty_operands(self.trainer)
        self.operands = _stack([operands] * self.program.lanes)
        self.operands_on_device: Any = None

    @property
    def active(self) -> dict[int, Lane]:
        return {k: lane for k, lane in enumerate(self.lanes) if lane is not None}

    @property
    def empty(self) -> list[int]:
        return [k for k, lane in enumerate(self.lanes) if lane is None]

    def older_than(self, seconds: float) -> list[int]:
        now = time.monotonic()
        return [k for k, lane in self.active.items() if now - lane.since > seconds]

    def fill(
        self, members: Mapping[int, Member], checkpoints: Mapping[str, Checkpoint]
    ) -> None:
        """Put members into lanes; one with a checkpoint, by key, continues from it."""
        self.states = jax.tree.map(np.array, self.states)
        for k, member in members.items():
            self.lanes[k], state = self._start(member, checkpoints.get(member.key))
            _write(self.states, k, state)
            _write(self.operands, k, train_operands(self.trainer, member))
        self.operands_on_device = self.operands
        if self.program.devices == 1:  # copied once, not every chunk
            self.operands_on_device = jax.device_put(self.operands)

    def _start(
        self, member: Member, checkpoint: Checkpoint | None
    ) -> tuple[Lane, TrainState]:
        if checkpoint is None or checkpoint.program != program_id(self.trainer):
            return Lane(member, member.rule()), initial_state(self.trainer, member)
        structure = jax.tree.structure(empty_state(self.trainer))
        state = jax.tree.unflatten(structure, checkpoint.state)
        return Lane.from_dict(member, checkpoint.host_state), state

    def train_chunk(self) -> list[CurveChunk]:
        start = time.perf_counter()
        active = self.active
        shape = (self.program.lanes, self.program.spec.evaluation.every)
        losses: Any = np.zeros(shape, np.float32)
        if any(lane.steps < lane.member.recipe.budget for lane in active.values()):
            # Otherwise they are only evaluated once more.
            self.states, losses = self.code.train_chunk(
                self.states, self.operands_on_device
            )
        steps = np.asarray(self.states.step).tolist()
        finite = np.asarray(self.states.is_active)
        train_scores = np.asarray(self.states.train_score).tolist()
        losses = np.array(losses)
        lags = self._lags(active)
        rates = self._learning_rates(active)
        for k, lane in active.items():
            lane.add_losses(steps[k], finite[k], losses[k])

        tests = {test: self._test(test, steps, train_scores) for test in self.tests}
        for k, lane in active.items():
            if lane.rule.looks_right:
                self._confirm(k, lane, steps[k])
        ended = {k: lane for k, lane in active.items() if not lane.rule.running}
        self._score_at_lengths(ended)

        if ended:
            self.states = jax.tree.map(np.array, self.states)
        seconds = (time.perf_counter() - start) / len(active)
        chunks = []
        for k, lane in active.items():
            lane.seconds += seconds
            count = steps[k] - lane.steps
            (scores,) = tests[self.tests[0]].get(k, [None])
            if count or scores:
                has_lags = any(k in tests.get(test, ()) for test in AT_LAGS)
                chunk = CurveChunk(
                    lane.member,
                    lane.steps,
                    losses[k, :count],
                    train_scores[k],
                    score=scores.mean if scores else None,
                    lag=lags.get(k),
                    lr=rates[k],
                    worst=lane.rule.worst if has_lags else None,
                    validation_loss=scores.loss
                    if scores and lane.rule.by_loss
                    else None,
                )
                chunks.append(chunk)
            lane.steps = steps[k]
        return chunks

    def _test(
        self, test: Stream | Split, steps: Sequence[int], train_scores: Sequence[float]
    ) -> Evaluations:
        active = self.active
        due = {
            k: eval_operands(lane.member, test, lane.rule.evaluations)
            for k, lane in active.items()
            if lane.rule.is_due(test, steps[k], train_scores[k])
        }
        evaluations = self._evaluate(due)
        for k, lane in active.items():
            means: dict[int, float] = {}
            loss = math.nan
            if k in due:
                lags = [int(operands.sequences.lag) for operands in due[k]]
                scores = zip(lags, evaluations[k], strict=True)
                means = {lag: each.mean for lag, each in scores}
                loss = evaluations[k][-1].loss
            lane.rule.update(test, steps[k], means, loss)
            if k in due and test is Split.HELD_OUT:
                lane.lowest = np.array(self.states.params[k])
        return evaluations

    def _confirm(self, k: int, lane: Lane, step: int) -> None:
        """Score a lane at every lag, the worst known first, until one fails."""
        member = lane.member
        lags = [*range(member.task.smallest_lag, member.lag + 1)]
        lags.sort(key=lambda lag: lag != lane.rule.worst_lag)

        def tally(operands: EvalOperands) -> np.ndarray:
            return self.code.tally(self.states.params, self._in_lanes({k: operands}))[k]

        scores = {}
        for lag in lags:
            scores[lag] = score_lag(member, lag, tally, lane.rule.next_draw)
            if not scores[lag].passes:
                break
        lane.rule.confirm(step, scores)

    def _score_at_lengths(self, ended: Mapping[int, Lane]) -> None:
        due = {
            k: eval_operands(lane.member, Stream.LENGTHS)
            for k, lane in ended.items()
            if lane.member.evaluation.lengths
        }
        for k, evaluations in self._evaluate(due).items():
            ended[k].at_lengths = [
                (scores.mean, scores.whole) for scores in evaluations
            ]

    def _lags(self, lanes: Mapping[int, Lane]) -> dict[int, int]:
        if not self.trainer.spec.has_curriculum:
            return {}
        lags = np.asarray(self.states.progress.lag).tolist()
        rising = [k for k in lanes if lanes[k].member.recipe.curriculum is not None]
        return {k: lags[k] for k in rising}

    def _learning_rates(self, lanes: Mapping[int, Lane]) -> dict[int, float]:
        operands = (self.states.step, self.states.progress, self.operands)
        operands = jax.tree.map(lambda leaf: np.asarray(leaf)[list(lanes)], operands)
        rates = self.trainer.learning_rate(*operands, np).tolist()
        # with the digits that a float32 has
        return {k: float(f"{rate:.7g}") for k, rate in zip(lanes, rates, strict=True)}

    def _evaluate(self, due: Mapping[int, Sequence[EvalOperands]]) -> Evaluations:
        evaluations: Evaluations = {k: [] for k in due}
        for index in range(max(map(len, due.values()), default=0)):
            operands = {k: each[index] for k, each in due.items() if index < len(each)}
            stacked = self._in_lanes(operands)
            scores = jax.device_get(self.code.evaluate(self.states.params, stacked))
            for k in operands:
                of_lane = jax.tree.map(lambda leaf, k=k: leaf[k].item(), scores)
                evaluations[k].append(of_lane)
        return evaluations

    def _in_lanes(self, operands: Mapping[int, EvalOperands]) -> EvalOperands:
        first = next(iter(operands.values()))
        empty = jax.tree.map(np.zeros_like, first)
        return _stack([operands.get(k, empty) for k in range(len(self.lanes))])

    def results(self) -> dict[int, Result]:
        params = self.states.params
        return {
            k: self._result(lane, params[k] if lane.lowest is None else lane.lowest)
            for k, lane in self.active.items()
            if not lane.rule.running
        }

    def _result(self, lane: Lane, weights: np.ndarray) -> Result:
        return Result(
            lane.member,
            **lane.rule.assessment(),
            steps=lane.steps,
            train_loss=lane.loss,
            weights=weights_of(self.trainer, lane.member, np.array(weights)),
            compile_seconds=self.code.seconds,
            run_seconds=lane.seconds,
            at_lengths=tuple(lane.at_lengths),
            **way_of(self.program),
        )

    def clear(self, numbers: Collection[int]) -> None:
        for k in numbers:
            self.lanes[k] = None
            self.states.is_active[k] = False

    def checkpoints(self, numbers: Collection[int]) -> list[Checkpoint]:
        program = program_id(self.trainer)
        leaves = [np.array(leaf) for leaf in jax.tree.leaves(self.states)]
        checkpoints = []
        for k, lane in self.active.items():
            if k in numbers:
                state = [leaf[k] for leaf in leaves]
                key = lane.member.key
                checkpoints.append(Checkpoint(key, program, lane.to_dict(), state))
        return checkpoints


def _stack(lanes: Sequence[Any]) -> Any:
    return jax.tree.map(lambda *leaves: np.stack(leaves), *lanes)


def _write(stacked: Any, k: int, value: Any) -> None:

    def write(rows: np.ndarray, row: np.ndarray) -> None:
        rows[k] = row

    jax.tree.map(write, stacked, value)
