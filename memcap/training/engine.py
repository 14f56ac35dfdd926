"""The engine: `train(members)` groups members by the program that they can share,
trains them on all cores, and reports each member as it ends.

On a CPU there is a worker per core: one is a thread of this process, the others are
processes of their own (workers.py). On an accelerator this process drives all devices
of the host by itself.

Members that can share a compiled program (program.py) wait together in the
queue (queue.py). A worker takes them from there, directly or over a pipe, and trains
each in a lane of its program (train_loop.py) until its verdict is in or its budget ends
(memcap/rule.py). step.py has the training step.
"""

import contextlib
from collections import deque
from collections.abc import Callable, Iterable, Sequence

import jax

from memcap import loops
from memcap.cells import cell_class
from memcap.config.knobs import UserError
from memcap.config.member import Engine, Member
from memcap.runtime import cores, jax_setup, signals
from memcap.training.program import compiled, most_kept
from memcap.training.queue import Listener, Queue
from memcap.training.results import Checkpoint, CurveChunk, Result
from memcap.training.workers import WorkerPool, in_thread

__all__ = ["Checkpoint", "CurveChunk", "Listener", "Result", "train", "worker_count"]


def worker_count(engine: Engine) -> int:
    """Return how many workers this host has; refuse several where one process drives
    all devices."""
    if jax_setup.platform() != "cpu":
        if engine.workers > 1:
            raise UserError(
                f"engine.workers={engine.workers}: one process drives all accelerators of a host;"
                " leave it at 0 or 1"
            )
        return 1
    return engine.workers or cores.count()


def train(
    members: Sequence[Member],
    engine: Engine | None = None,
    listener: Listener | None = None,
    next_members: Callable[[Sequence[Result]], Iterable[Member]] | None = None,
    candidates: Iterable[Member] = (),
    study: Iterable[Member] = (),
) -> list[Result]:
    """Train all members, in any order; equal ones train once. Return one result per
    member: those of `members` in their order, then those that `next_members` returned.

    Args:
        members: the members.
        engine: how to share the machine. This may change last bits, and through them
            single verdicts.
        listener: receives curves and ended members as they come.
        next_members: returns further members to train, given a batch of results, one
            call at a time.
        candidates: all members that `next_members` may return.
        study: all members of the study, if some have been trained before; see `Queue`.
    """
    jax_setup.setup()
    engine = engine or Engine()
    workers = worker_count(engine)
    loops.check(engine.loop)
    parts = [part for m in members for part in (type(m.task), cell_class(m.model.cell))]
    if engine.loop.startswith("__main__:") or any(
        part.__module__ == "__main__" for part in parts
    ):
        workers = 1  # another process could not import the task, the cell or the loop
    if next_members is None:
        workers = min(workers, max(len(members), 1))

    queue = Queue(members, engine, workers, listener, next_members, candidates, study)
    with WorkerPool(queue) as pool:
        # compiling then costs more than training
        if any(group.side_by_side for group in queue.pending):
            _compile_ahead(queue)
        # a wait without a timeout can sleep through Ctrl-C
        while not queue.done.wait(0.2):
            signals.look()
            pool.kill_hung()
            queue.listener.tick()
    return queue.in_order(members)


def _compile_ahead(queue: Queue) -> None:
    """Compile the next programs in threads while the first trains; one that fails, its
    worker reports."""
    waiting = queue.programs_to_compile()
    programs = deque(waiting[: min(map(most_kept, waiting), default=0)])

    def compile_next() -> None:
        with contextlib.suppress(IndexError):
            while not queue.done.is_set():
                with contextlib.suppress(jax.errors.JaxRuntimeError):
                    compiled(programs.popleft())

    for _ in range(max(1, cores.count() - 1)):
        in_thread(compile_next)
