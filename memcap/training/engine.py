"""The engine: `train(members)` trains members on all cores or devices, as they end.

On a CPU there is a worker per core: a thread here, unless JAX was in use before, and
processes (workers.py). On an accelerator this process drives all devices. A worker
takes members that can share a program (program.py) from the queue (queue.py), and
trains each in a lane (train_loop.py) until its verdict is in or its budget ends
(memcap/rule.py).
"""

import contextlib
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from typing import Any, Self

import jax

from memcap import loops
from memcap.cells import cell_class
from memcap.config.member import Engine, Member
from memcap.knobs import UserError
from memcap.runtime import cores, jax_setup, signals
from memcap.terminal.words import plural
from memcap.training.host import Checkpoint, CurveChunk, Result
from memcap.training.program import compiled, most_kept
from memcap.training.queue import Listener, Queue
from memcap.training.train_loop import run_worker
from memcap.training.workers import PeerDiedError, WorkerProcess

__all__ = [
    "Checkpoint",
    "CurveChunk",
    "Listener",
    "Result",
    "start_jax",
    "train",
    "worker_count",
]


# deaths in a row of workers without members: the environment is broken
MAX_FALSE_STARTS = 3
# seconds between two of our checks after which this process itself was stopped
CLOCK_JUMP = 5.0
# seconds that a worker in this process has to end its chunk once the job is over; then we leave it
SHUTDOWN_WAIT = 0.3


def start_jax(engine: Engine) -> bool:
    """Start JAX; return whether worker 0 is a thread of this process.

    All workers have one thread of XLA, so that it does not matter which one trains a
    member, unless JAX was in use before.
    """
    jax_setup.setup()
    is_worker = engine.workers == 1 or jax_setup.limit_threads()
    return jax_setup.platform() != "cpu" or is_worker


def worker_count(engine: Engine) -> int:
    """Return how many workers this host has; one if it drives all devices."""
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
    """Train all members, in any order; equal ones train once.

    Return the results of `members` in their order, then those of `next_members`.

    Args:
        members: the members.
        engine: how to share the machine; this may change last bits, and so verdicts.
        listener: receives curves and ended members as they come.
        next_members: returns further members, given results, one call at a time.
        candidates: all members that `next_members` may return.
        study: all members of the study, if some have been trained before; see `Queue`.
    """
    engine = engine or Engine()
    is_worker = start_jax(engine)
    workers = worker_count(engine)
    loops.check(engine.loop)
    parts = [part for m in members for part in (type(m.task), cell_class(m.model.cell))]
    if engine.loop.startswith("__main__:") or any(
        part.__module__ == "__main__" for part in parts
    ):
        # another process could not import the task, the cell or the loop
        workers, is_worker = 1, True
    if next_members is None:
        workers = min(workers, max(len(members), 1))

    queue = Queue(members, engine, workers, listener, next_members, candidates, study)
    with WorkerPool(queue, is_worker) as pool:
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
    """Compile the next programs in threads; a worker reports one that fails."""
    waiting = queue.programs_to_compile()
    programs = deque(waiting[: min(map(most_kept, waiting), default=0)])

    def compile_next() -> None:
        with contextlib.suppress(IndexError):
            while not queue.done.is_set():
                with contextlib.suppress(jax.errors.JaxRuntimeError):
                    compiled(programs.popleft())

    for _ in range(max(1, cores.count() - 1)):
        in_thread(compile_next)


class WorkerPool:
    """All workers of a job: number 0 is a thread here, if it `is_worker`, and each
    other one a process, answered by a thread here.

    A context manager: leaving ends workers that still run, and raises their errors.
    """

    def __init__(self, queue: Queue, is_worker: bool = True):
        self.queue = queue
        self.is_worker = is_worker
        self.processes: dict[int, WorkerProcess] = {}
        self.jobs: list[Future[None]] = []
        self.last_check = time.monotonic()

    def __enter__(self) -> Self:
        try:
            if self.is_worker:
                self.jobs.append(in_thread(run_worker, self.queue, 0))
            for number in range(1, self.queue.workers + (not self.is_worker)):
                self.jobs.append(in_thread(self.serve, number))
            for job in self.jobs:
                job.add_done_callback(self._stop_if_failed)
        except BaseException:
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._end()
        if kind is None:
            for job in self.jobs:
                if job.done():
                    job.result()

    def _stop_if_failed(self, job: Future[None]) -> None:
        if job.exception() is not None:
            self.queue.stop()

    def _end(self) -> None:
        self.queue.stop()
        for worker in list(self.processes.values()):
            worker.kill()  # the threads that serve them end, too
        wait(self.jobs, SHUTDOWN_WAIT)
        self.queue.detach()

    def serve(self, number: int) -> None:
        false_starts = 0
        while not self.queue.done.is_set():
            worker = self.processes[number] = WorkerProcess()
            if self.queue.done.is_set():
                worker.kill()
            try:
                worker.serve(self.queue, number)
                return
            except PeerDiedError:
                if self.queue.done.is_set():
                    return
                worker.kill()
                false_starts = 0 if self._requeue(number, worker) else false_starts + 1
                if false_starts == MAX_FALSE_STARTS:
                    raise UserError(
                        f"{false_starts} workers in a row ended before they had a member; the"
                        f" last {worker.exit_reason()}; engine.workers=1 trains without workers"
                    ) from None
            finally:
                worker.close()

    def _requeue(self, number: int, worker: WorkerProcess) -> bool:
        """Queue a dead worker's members again; return whether it had any."""
        reason = worker.exit_reason()
        suspects, failed = self.queue.worker_died(number, reason)
        if suspects:
            line = (
                f"memcap: a worker (process {worker.process.pid}) {reason}; restarted"
            )
            if again := len(suspects) - len(failed):
                line += f"; {plural(again, 'member')} queued again"
            if failed:
                line += (
                    f"; {' '.join(m.key for m in failed)}: recorded as failed, as two workers"
                    " died of it"
                )
            print(line, file=sys.stderr, flush=True)
        return bool(suspects)

    def kill_hung(self) -> None:
        """Kill processes that hang, unless this process was stopped, too."""
        now = time.monotonic()
        workers = list(self.processes.values())
        if now - self.last_check > CLOCK_JUMP:
            for worker in workers:
                worker.last_message = max(worker.last_message, now)
        self.last_check = now
        for worker in workers:
            worker.kill_if_hung()


def in_thread(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    job = Future()

    def call() -> None:
        try:
            job.set_result(function(*arguments))
        except BaseException as error:
            job.set_exception(error)

    threading.Thread(target=call, name="memcap-worker", daemon=True).start()
    return job
