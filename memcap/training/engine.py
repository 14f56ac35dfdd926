"""The engine: `train(members)` groups members by the program that they can share, trains them on all cores,
and reports each member as it ends.

On a CPU there is a worker a core: a thread of this process is one, the others are processes of their own
(workers.py). On an accelerator this process drives all devices of the host by itself.

Members that can share a compiled program (groups.py, program.py) wait together in the queue (queue.py). A
worker takes them from there, directly or over a pipe, and trains each in a lane of its program
(train_loop.py) until it is solved, steady or at the end of its budget (early_stopping.py). What a training
step computes is in step.py.
"""

import contextlib
import sys
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from functools import cache

import jax

from memcap import jax_setup
from memcap.cells import cell_class, native
from memcap.config import Engine, Member
from memcap.knobs import UserError
from memcap.training.program import MAX_PROGRAMS, compiled, side_by_side
from memcap.training.queue import Listener, Queue
from memcap.training.results import Checkpoint, CurveChunk, Result
from memcap.training.train_loop import run_worker
from memcap.training.workers import WorkerPool, in_thread

__all__ = ["Checkpoint", "CurveChunk", "Listener", "Result", "settled", "train", "worker_count"]


def worker_count(engine: Engine) -> int:
    """Workers on this host.

    Raises:
        UserError: several are asked for where one process drives all devices; JAX finds no device.
    """
    if jax_setup.platform() != "cpu":
        if engine.workers > 1:
            raise UserError(
                f"engine.workers={engine.workers}: one process drives all accelerators of a host; leave it"
                " at 0 or 1"
            )
        return 1
    return engine.workers or jax_setup.cores()


def settled(engine: Engine) -> Engine:
    """The engine with `kernel=auto` decided: native where it can run here, xla with a line on stderr where it
    should and can't.

    Raises:
        UserError: `kernel=native`, and it can't run.
    """
    if engine.kernel == "xla":
        return engine
    jax_setup.platform()
    other = None
    if side_by_side(engine):
        other = "it takes one member at a time (engine.batching=map), and here they run side by side"
    elif engine.scan == "plain":
        other = "engine.scan=plain is a loop of its own"
    why = other or native.missing()
    if why is None:
        return replace(engine, kernel="native")
    if engine.kernel == "native":
        raise UserError(f"engine.kernel=native: cannot run here: {why}; engine.kernel=xla runs anywhere")
    if other is None:
        _say(f"memcap: XLA runs the LSTM's loop, as the native kernel cannot run here: {why}")
    return replace(engine, kernel="xla")


@cache
def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def train(
    members: Sequence[Member],
    engine: Engine | None = None,
    listener: Listener | None = None,
    next_members: Callable[[Sequence[Result]], Iterable[Member]] | None = None,
    candidates: Iterable[Member] = (),
    study: Iterable[Member] = (),
) -> list[Result]:
    """Train all members.

    Args:
        members: in any order; equal members train once each.
        engine: how to share the machine; changes no result beyond float rounding.
        listener: told of curves and ended members as they come.
        next_members: members that are wanted now that these have ended; called with each batch of results,
            one call at a time.
        candidates: all that `next_members` may ask for.
        study: all members, where some have been trained before; see `Queue`.

    Returns:
        One result a member: those of `members` in their order, then those that `next_members` asked for.
    """
    jax_setup.prepare()
    engine = settled(engine or Engine())
    workers = worker_count(engine)
    if any("__main__" in (type(m.task).__module__, cell_class(m.model.cell).__module__) for m in members):
        workers = 1  # another process could not import the task or the cell
    if next_members is None:
        workers = min(workers, max(len(members), 1))

    queue = Queue(members, engine, workers, listener, next_members, candidates, study)
    with WorkerPool(queue, run_worker) as pool:
        if queue.together:  # compiling costs more than training there
            _compile_ahead(queue)
        while not queue.done.wait(0.2):  # in short waits, as an untimed one can sleep through Ctrl-C
            pool.kill_hung()
            queue.listener.tick()
    return queue.in_order(members)


def _compile_ahead(queue: Queue) -> None:
    """Compile the next programs in threads while the first one trains. A worker that comes to one that can't
    be compiled says why."""
    programs = deque(queue.programs_to_compile()[:MAX_PROGRAMS])

    def compile_next() -> None:
        with contextlib.suppress(IndexError):
            while not queue.done.is_set():
                with contextlib.suppress(jax.errors.JaxRuntimeError):
                    compiled(programs.popleft())

    for _ in range(max(1, jax_setup.cores() - 1)):
        in_thread(compile_next)
