"""One worker's loop: take members from the queue, train them in the lanes of one program after another, hand
in what came out.

Between chunks an ended member leaves its lane and a waiting one takes it, at no recompile. Where checkpoints
are wanted, the states of members that train long are handed in now and then.
"""

import math
import time
from typing import Any

import jax
import numpy as np

from memcap.config import Member
from memcap.training.early_stopping import Verdict
from memcap.training.lane import Checkpoint, Lane, program_of
from memcap.training.program import Compiled, Program, compiled
from memcap.training.queue import WorkerQueue
from memcap.training.results import CurveChunk, Result
from memcap.training.state import EvalOperands, TrainState
from memcap.training.step import Trainer

HAND_IN = 0.01  # of the time, at most, goes into handing in states


def run_worker(queue: WorkerQueue) -> None:
    """Train whatever the queue has, until there is nothing left."""
    while (program := queue.claim_program()) is not None:
        _train_program(program, queue, queue.checkpoint_after)


def _train_program(program: Program, queue: WorkerQueue, every: float) -> None:
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

    while queue.should_continue():
        empty = [k for k, lane in enumerate(lanes) if lane is None]
        fresh = queue.take_members(program, len(empty)) if empty else []
        if fresh:
            states = jax.tree.map(
                np.array, states
            )  # on the host while lanes change; between chunks they stay on the device
            kept = queue.load_checkpoints(fresh) if math.isfinite(every) else {}
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
                queue.add_curve(
                    CurveChunk(
                        lane.member, lane.before, losses[k, :steps], float(progress.train_score[k]), score
                    )
                )
            lane.before += steps
        if ended:
            results = [_result(code, lane, states.weights[k]) for k, lane in ended.items()]
            queue.finish(program, results)
            for k in ended:
                lanes[k], states.progress.running[k] = None, False
        now = time.monotonic()
        if now - handed_in > pause and (
            old := {k: lane for k, lane in enumerate(lanes) if lane and now - lane.since > every}
        ):
            queue.save_checkpoints(_checkpoints(old, trainer, states))
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
        program.batching,
        program.trainer.how,
        program.trainer.kernel,
        program.shape.architecture.model.units,
        program.trainer.steps,
    )
