"""The engine: `train(members)` groups members into populations, trains them, and reports each member as it ends.

Populations are trained side by side on a CPU's cores (a thread each: the work is inside compiled programs), the costliest first.
Between chunks an ended member leaves its lane and the next one in the queue takes it, at no recompile.
"""

import os
import threading
import time
from collections import deque
from collections.abc import Iterable, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

from memcap.config import Engine, Member
from memcap.training.program import Compiled, Lane, Operands, Program, Status, compiled


@dataclass(frozen=True)
class Ended:
    """A member's result.

    Args:
        member: what was trained.
        status: "solved", "unsolved" (budget used up) or "diverged".
        steps: training steps taken; where solved, the steps to solve it, the verdict's evaluations included.
        score: last held-out score; best: best one; stretched: score at `evaluation.stretch` times the lag.
        train_loss: mean over the last chunk, in nats or squared error.
        weights: nested dict of arrays.
        compile_seconds: of the member's program, which its population shares.
        run_seconds: the member's share of the time its population ran.
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


class Listener:
    """What happens while members train; every method may be called from several threads. This one ignores it all."""

    def started(self, members: Sequence[Member]) -> None:
        """A population has been made."""

    def curve(self, member: Member, step: int, values: dict[str, float]) -> None:
        """A point on a member's curve."""

    def ended(self, population: Sequence[Member], ended: Sequence[Ended]) -> None:
        """Members of a population have ended."""


def side_by_side(engine: Engine) -> bool:
    """Whether lanes run under `vmap`. On a CPU they gain nothing from it."""
    return engine.batching == "vmap" or (engine.batching == "auto" and jax.default_backend() != "cpu")


def programs(members: Iterable[Member], engine: Engine) -> dict[Program, list[Member]]:
    """Members by the program that trains them: one a width (and cell and task shape), with a buffer for the longest of them."""
    groups: dict[tuple, list[Member]] = {}
    for member in members:
        recipe = member.recipe
        shape = (member.task, member.functional, recipe.batch, recipe.clip, member.evaluation)
        groups.setdefault(shape, []).append(member)
    lanes = engine.lanes or (8 if jax.default_backend() == "cpu" else 256)
    result = {}
    for shape, group in groups.items():
        steps = max(m.length for m in group)
        stretched = max(m.task.stretched(m.lag, m.evaluation.stretch)[1] for m in group)
        program = Program(*shape, steps, stretched, lanes, side_by_side(engine))
        result[program] = group
    return dict(sorted(result.items(), key=lambda item: -sum(map(_cost, item[1]))))


def _cost(member: Member) -> float:
    """Rough work of a member, to start the longest first: steps x length x batch x (units + overhead)^2."""
    recipe, units = member.recipe, member.model.units
    return (recipe.budget or 0) * member.length * (recipe.batch or 0) * (units + 8.0) ** 2


def workers(engine: Engine) -> int:
    """Populations trained at once."""
    if engine.workers:
        return engine.workers
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train(members: Sequence[Member], engine: Engine | None = None, listener: Listener | None = None) -> list[Ended]:
    """Train all members.

    Args:
        members: in any order; equal members train once each.
        engine: how to share the machine; changes no result beyond float rounding.
        listener: told of curves and ended members as they come.

    Returns:
        One result a member, in the order of `members`.
    """
    engine, listener = engine or Engine(), listener or Listener()
    stop = threading.Event()
    groups = programs(dict.fromkeys(members), engine)
    found: dict[Member, Ended] = {}
    with ThreadPoolExecutor(workers(engine), thread_name_prefix="memcap") as pool:
        jobs = [pool.submit(_population, program, group, listener, stop) for program, group in groups.items()]
        try:
            waiting = set(jobs)
            while waiting:  # in short waits, as an untimed one can sleep through Ctrl-C
                done, waiting = wait(waiting, timeout=0.5, return_when=FIRST_COMPLETED)
                for job in done:
                    found.update({ended.member: ended for ended in job.result()})
        except BaseException:
            stop.set()
            pool.shutdown(cancel_futures=True)
            raise
    return [found[member] for member in members]


def _population(program: Program, members: Sequence[Member], listener: Listener, stop: threading.Event) -> list[Ended]:
    listener.started(members)
    code = compiled(program)
    queue = deque(members)
    seats: list[Member | None] = [None] * program.lanes
    seconds = np.zeros(program.lanes)
    lanes = jax.tree.map(lambda *leaves: np.stack(leaves), *[program.blank()] * program.lanes)
    operands = jax.tree.map(lambda leaf: np.ones(leaf.shape, leaf.dtype), program.example[1])
    results: list[Ended] = []
    while not stop.is_set():
        for k in range(program.lanes):
            if seats[k] is None and queue:
                seats[k] = member = queue.popleft()
                seconds[k] = 0.0
                _write(lanes, k, program.fresh(member))
                _write(operands, k, program.operands(member))
        if not any(seats):
            break
        before, asked, start = lanes.step.copy(), lanes.evaluations.copy(), time.perf_counter()
        lanes, losses = jax.tree.map(lambda leaf: np.array(leaf), code.advance(lanes, operands))
        work = (lanes.step - before + 1) * operands.length * [seat is not None for seat in seats]
        seconds += (time.perf_counter() - start) * work / work.sum()
        for k, seat in enumerate(seats):
            if seat is not None and lanes.step[k] > before[k]:
                _curve(listener, seat, int(before[k]), lanes, losses[k], k, lanes.evaluations[k] > asked[k])
        waiting = [k for k, seat in enumerate(seats) if seat is not None and lanes.status[k] != Status.RUNNING]
        if waiting:
            ended = _collect(program, code, seats, lanes, operands, seconds, waiting)
            results += ended
            listener.ended(members, ended)
            for k in waiting:
                seats[k], lanes.status[k] = None, Status.EMPTY
    return results


def _write(stacked: Any, k: int, value: Any) -> None:
    """Replace row k of every leaf, in place."""

    def write(rows: np.ndarray, row: np.ndarray) -> None:
        rows[k] = row

    jax.tree.map(write, stacked, value)


def _curve(listener: Listener, member: Member, before: int, lanes: Any, losses: np.ndarray, k: int, evaluated: bool) -> None:
    """Report a lane's chunk: the loss of every step; at its end the training score, and the held-out one where it is new."""
    end = int(lanes.step[k])
    for step, loss in enumerate(losses[: end - before], start=before + 1):
        listener.curve(member, step, {"train/loss": float(loss)})
    metric = member.task.metric
    point = {f"train/{metric}": float(lanes.train_score[k])}
    listener.curve(member, end, point | ({f"eval/{metric}": float(lanes.score[k])} if evaluated else {}))


def _collect(
    program: Program,
    code: Compiled,
    seats: Sequence[Member | None],
    lanes: Lane,
    operands: Operands,
    seconds: np.ndarray,
    which: list[int],
) -> list[Ended]:
    """The results of the members in lanes `which`, after one more evaluation at the stretched lag for all of them.

    lanes, operands: stacked, (lanes, ...); seconds: (lanes,), spent so far on each lane's member.
    """
    wanted = np.isin(np.arange(program.lanes), which)
    start = time.perf_counter()
    stretched = np.asarray(code.stretched(lanes.weights, operands, wanted))
    share = (time.perf_counter() - start) / len(which)
    members = {k: member for k in which if (member := seats[k]) is not None}
    return [
        Ended(
            member,
            Status(lanes.status[k]).name.lower(),
            int(lanes.step[k]),
            float(lanes.score[k]),
            float(lanes.best[k]),
            float(stretched[k]),
            float(lanes.loss[k]),
            program.functional.unflatten(np.array(lanes.weights[k])),
            code.seconds,
            float(seconds[k] + share),
            "vmap" if program.side_by_side else "map",
        )
        for k, member in members.items()
    ]
