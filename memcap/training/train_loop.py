"""A worker's loop: take members from the queue, train them in the lanes of one program
after another, and hand in the results.

Between chunks an ended member leaves its lane and a waiting one takes it, without a
recompile. If checkpoints are wanted, the states of members that train for long are
handed in now and then.
"""

import math
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from memcap.config.member import Member, Stream
from memcap.training.early_stopping import EarlyStopping
from memcap.training.lowest_loss import LowestLoss
from memcap.training.operands import (
    empty_state,
    eval_operands,
    initial_state,
    train_operands,
    weights_of,
)
from memcap.training.program import Program, compiled
from memcap.training.queue import WorkerQueue
from memcap.training.results import Checkpoint, CurveChunk, Result, program_id, way_of
from memcap.training.step import EvalOperands, TrainState

MAX_SAVING = 0.01  # share of the time that handing in states may take


def run_worker(queue: WorkerQueue) -> None:
    """Train members of the queue until none is left."""
    while (program := queue.claim_program()) is not None:
        train_program(program, queue)


def train_program(program: Program, queue: WorkerQueue) -> None:
    """Train members in the lanes of one program, until the queue has no more for it."""
    lanes = Lanes(program)
    checkpoint_after = queue.checkpoint_after
    last_save = time.monotonic()
    pause = checkpoint_after

    while queue.should_continue():
        empty = lanes.empty
        members = queue.take_members(lanes.program, len(empty)) if empty else []
        if members:
            checkpoints = (
                queue.load_checkpoints(members)
                if math.isfinite(checkpoint_after)
                else {}
            )
            lanes.fill(dict(zip(empty, members, strict=False)), checkpoints)
        if not lanes.active:
            return

        for chunk in lanes.train_chunk():
            queue.add_curve(chunk)
        if results := lanes.results():
            queue.finish(lanes.program, list(results.values()))
            lanes.clear(results)

        now = time.monotonic()
        if now - last_save > pause and (old := lanes.older_than(checkpoint_after)):
            queue.save_checkpoints(lanes.checkpoints(old))
            last_save = time.monotonic()
            pause = max(checkpoint_after, (last_save - now) / MAX_SAVING)


@dataclass
class Lane:
    """A member in training, as the host sees it."""

    stopping: EarlyStopping  # decides whether the member goes on
    steps: int = 0  # taken before the chunk in hand
    loss: float = math.nan  # mean over the last chunk
    seconds: float = 0.0  # its share of the time so far
    since: float = field(
        default_factory=time.monotonic
    )  # when it entered its lane, on the monotonic clock
    # once the member has ended: score, and share of whole sequences right, at each of
    # `evaluation.lengths`
    at_lengths: list[tuple[float, float]] = field(default_factory=list)
    lowest: np.ndarray | None = (
        None  # (P,) the weights of the lowest validation loss, if that decides
    )

    @property
    def member(self) -> Member:
        """The member in the lane."""
        return self.stopping.member

    def to_dict(self) -> dict[str, Any]:
        """Return the lane as plain values, without the member and `since`.

        A member's data depend on its seed and step alone, and its evaluations are
        numbered, so with these values and its `TrainState` it trains on as if it had
        never stopped.
        """
        stopping = {
            name: value
            for name, value in vars(self.stopping).items()
            if name != "member"
        }
        values = {
            "steps": self.steps,
            "loss": self.loss,
            "seconds": self.seconds,
            "stopping": stopping,
        }
        return (
            values if self.lowest is None else values | {"lowest": self.lowest.tolist()}
        )

    @classmethod
    def from_dict(cls, member: Member, values: Mapping[str, Any]) -> "Lane":
        """Invert `to_dict`."""
        stopping = _stopping_of(member)(member, **values["stopping"])
        lane = cls(stopping, values["steps"], values["loss"], values["seconds"])
        lane.lowest = (
            np.asarray(values["lowest"], np.float32) if "lowest" in values else None
        )
        return lane

    def add_losses(self, step: int, finite: bool, losses: np.ndarray) -> None:
        """Record the losses of a chunk that ended at `step`; a step that diverged does
        not count as taken."""
        count = step - self.steps + (not finite)
        if count:
            self.loss = float(np.mean(losses[:count]))
        if not finite:
            self.stopping.status = "diverged"


class Lanes:
    """The lanes of a program: members in flight, and their states and operands, stacked.

    States are on the host while members come and go; between chunks they stay on the device.
    """

    def __init__(self, program: Program):
        self.code = compiled(program)
        self.program = self.code.program  # with fewer lanes if memory is short
        self.trainer = self.program.trainer
        self.lanes: list[Lane | None] = [None] * self.program.lanes
        empty = [empty_state(self.trainer)] * self.program.lanes
        self.states = jax.tree.map(lambda *leaves: np.stack(leaves), *empty)
        zeros = jax.tree.map(
            lambda leaf: np.zeros(leaf.shape, leaf.dtype), self.program.example()
        )
        _, self.operands, self.eval_operands = zeros
        self.operands_on_device: Any = None

    @property
    def active(self) -> dict[int, Lane]:
        """Lanes with a member, by number."""
        return {k: lane for k, lane in enumerate(self.lanes) if lane is not None}

    @property
    def empty(self) -> list[int]:
        """Numbers of the lanes without a member."""
        return [k for k, lane in enumerate(self.lanes) if lane is None]

    def older_than(self, seconds: float) -> list[int]:
        """Return the numbers of the lanes whose member entered more than `seconds` ago."""
        now = time.monotonic()
        return [k for k, lane in self.active.items() if now - lane.since > seconds]

    def fill(
        self, members: Mapping[int, Member], checkpoints: Mapping[str, Checkpoint]
    ) -> None:
        """Put members into lanes, by number; a member with a checkpoint, by key,
        continues from it."""
        self.states = jax.tree.map(np.array, self.states)
        for k, member in members.items():
            self.lanes[k], state = self._start(member, checkpoints.get(member.key))
            _write(self.states, k, state)
            _write(self.operands, k, train_operands(self.trainer, member))
        # Copied to the device once, not every chunk.
        one_device = self.program.devices == 1
        self.operands_on_device = (
            jax.device_put(self.operands) if one_device else self.operands
        )

    def _start(
        self, member: Member, checkpoint: Checkpoint | None
    ) -> tuple[Lane, TrainState]:
        if checkpoint is None or checkpoint.program != program_id(self.trainer):
            return Lane(_stopping_of(member)(member)), initial_state(
                self.trainer, member
            )
        structure = jax.tree.structure(empty_state(self.trainer))
        return Lane.from_dict(member, checkpoint.host_state), jax.tree.unflatten(
            structure, checkpoint.state
        )

    def train_chunk(self) -> list[CurveChunk]:
        """Train all members for a chunk, then run the evaluations that are due."""
        start = time.perf_counter()
        active = self.active
        losses = np.zeros(
            (self.program.lanes, self.program.spec.evaluation.every), np.float32
        )
        if any(lane.steps < lane.member.recipe.budget for lane in active.values()):
            # Otherwise they are only evaluated once more.
            self.states, losses = self.code.train_chunk(
                self.states, self.operands_on_device
            )
        leaves = self.states.step, self.states.active, self.states.train_score
        steps, finite, train_scores = (np.asarray(leaf).tolist() for leaf in leaves)
        losses = np.array(losses)
        lags = self._lags(active)
        rates = self._learning_rates(active)
        for k, lane in active.items():
            lane.add_losses(steps[k], finite[k], losses[k])

        scores = self._evaluate(
            {
                k: eval_operands(
                    self.trainer,
                    lane.member,
                    Stream.EVALUATE,
                    lane.stopping.evaluations,
                )
                for k, lane in active.items()
                if lane.stopping.wants_evaluation(steps[k], train_scores[k])
            }
        )
        for k, lane in active.items():
            each = scores.get(k)
            lane.stopping.update(
                steps[k], *((None,) if each is None else (each[0], each[-1]))
            )
        up_to = {k: lane for k, lane in active.items() if lane.stopping.wants_lags()}
        for k, at_lags in self._evaluate_each(up_to, Stream.UP_TO).items():
            active[k].stopping.update_lags(steps[k], [score for score, *_ in at_lags])
        self._evaluate_stretched(active, steps)
        ended = {k: lane for k, lane in active.items() if not lane.stopping.running}
        for k, at_lengths in self._evaluate_each(ended, Stream.LENGTHS).items():
            active[k].at_lengths = [(score, whole) for score, whole in at_lengths]

        if not all(lane.stopping.running for lane in active.values()):
            self.states = jax.tree.map(np.array, self.states)
        seconds = (time.perf_counter() - start) / len(active)
        chunks = []
        for k, lane in active.items():
            lane.seconds += seconds
            count = steps[k] - lane.steps
            if count or k in scores:
                chunk = CurveChunk(
                    lane.member,
                    lane.steps,
                    losses[k, :count],
                    train_scores[k],
                    score=scores[k][0] if k in scores else None,
                    lag=lags.get(k),
                    lr=rates[k],
                    worst=lane.stopping.worst if k in up_to else None,
                    validation_loss=(
                        scores[k][-1]
                        if k in scores and lane.member.task.by_loss
                        else None
                    ),
                )
                chunks.append(chunk)
            lane.steps = steps[k]
        return chunks

    def _evaluate_stretched(
        self, active: Mapping[int, Lane], steps: Sequence[int]
    ) -> None:
        """Evaluate lanes at the stretched length, or on held-out sequences if their
        loss is the judge."""
        operands = {
            k: eval_operands(self.trainer, lane.member, Stream.STRETCH)
            for k, lane in active.items()
            if lane.stopping.wants_stretched()
        }
        for k, each in self._evaluate(operands).items():
            active[k].stopping.update_stretched(steps[k], each[0], each[-1])
            if active[k].member.task.by_loss:
                active[k].lowest = np.array(self.states.params[k])

    def _lags(self, lanes: Mapping[int, Lane]) -> dict[int, int]:
        if not self.trainer.spec.curriculum:
            return {}
        lags = np.asarray(self.states.curriculum.lag).tolist()
        return {
            k: lags[k]
            for k, lane in lanes.items()
            if lane.member.recipe.curriculum is not None
        }

    def _learning_rates(self, lanes: Mapping[int, Lane]) -> dict[int, float]:
        step, at, operands = jax.tree.map(
            lambda leaf: np.asarray(leaf)[list(lanes)],
            (self.states.step, self.states.curriculum, self.operands),
        )
        rates = self.trainer.learning_rate(step, at, operands, np)
        return {
            k: float(f"{rate:.7g}")
            for k, rate in zip(lanes, rates.tolist(), strict=True)
        }  # as float32

    def _evaluate_each(
        self, lanes: Mapping[int, Lane], stream: Stream
    ) -> dict[int, list[list[float]]]:
        """Evaluate some lanes at each size that the members have for the stream."""
        counts = {k: len(lane.member.sizes(stream)) for k, lane in lanes.items()}
        scores: dict[int, list[list[float]]] = {k: [] for k in lanes}
        for index in range(max(counts.values(), default=0)):
            due = {k: lane.member for k, lane in lanes.items() if index < counts[k]}
            operands = {
                k: eval_operands(self.trainer, each, stream, index)
                for k, each in due.items()
            }
            for k, each in self._evaluate(operands).items():
                scores[k].append(each)
        return scores

    def _evaluate(self, by_lane: Mapping[int, EvalOperands]) -> dict[int, list[float]]:
        """Evaluate some lanes: score, and with `evaluation.lengths` the share of whole
        sequences right; or score and loss for members that are judged by their loss."""
        if not by_lane:
            return {}
        self.eval_operands.blocks[:] = 0  # of all other lanes
        for k, operands in by_lane.items():
            _write(self.eval_operands, k, operands)
        scores = np.asarray(self.code.evaluate(self.states.params, self.eval_operands))
        return {k: scores[k].reshape(-1).tolist() for k in by_lane}

    def results(self) -> dict[int, Result]:
        """Return the results of the members that have ended, by lane."""
        params = self.states.params
        return {
            k: self._result(lane, params[k] if lane.lowest is None else lane.lowest)
            for k, lane in self.active.items()
            if not lane.stopping.running
        }

    def _result(self, lane: Lane, weights: np.ndarray) -> Result:
        return Result(
            **lane.stopping.verdicts(),
            steps=lane.steps,
            train_loss=lane.loss,
            weights=weights_of(self.trainer, lane.member, np.array(weights)),
            compile_seconds=self.code.seconds,
            run_seconds=lane.seconds,
            at_lengths=tuple(lane.at_lengths),
            **way_of(self.program),
        )

    def clear(self, numbers: Collection[int]) -> None:
        """Empty some lanes, whose states are on the host."""
        for k in numbers:
            self.lanes[k], self.states.active[k] = None, False

    def checkpoints(self, numbers: Collection[int]) -> list[Checkpoint]:
        """Return checkpoints of the members in some lanes."""
        program = program_id(self.trainer)
        leaves = [np.array(leaf) for leaf in jax.tree.leaves(self.states)]
        return [
            Checkpoint(
                lane.member.key, program, lane.to_dict(), [leaf[k] for leaf in leaves]
            )
            for k, lane in self.active.items()
            if k in numbers
        ]


def _stopping_of(member: Member) -> type[EarlyStopping]:
    return LowestLoss if member.task.by_loss else EarlyStopping


def _write(stacked: Any, k: int, value: Any) -> None:

    def write(rows: np.ndarray, row: np.ndarray) -> None:
        rows[k] = row

    jax.tree.map(write, stacked, value)
