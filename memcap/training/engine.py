"""The engine: `train(members)` groups members into populations, trains them on all cores, and reports each
member as it ends.

On a CPU there is a worker a core: a thread of this process is one, the others are its children (crew.py). On
an accelerator this process drives all devices of the host by itself.

Members that can share a compiled program (program.py) wait together in the queue (queue.py). A worker takes
them from there, through a `LocalClient` or over a pipe (worker.py), and trains each in a lane of its program
(population.py) until the verdict is in (verdict.py). What a training step computes is in step.py.
"""

import contextlib
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, wait
from dataclasses import replace
from functools import cache
from typing import Any

import jax

from memcap import jax_setup
from memcap.cells import cell_class, native
from memcap.config import Engine, Member
from memcap.knobs import UserError
from memcap.training.crew import Crew
from memcap.training.lane import Checkpoint
from memcap.training.program import MOST_PROGRAMS, Program, compiled, side_by_side
from memcap.training.queue import Listener, LocalClient, Queue
from memcap.training.train_loop import Chunk, Result, work

__all__ = ["Checkpoint", "Chunk", "Listener", "Result", "settled", "train", "workers"]

# seconds that a worker in this process has to end its chunk once the job is over; then it is left to it
PATIENCE = 0.3


def workers(engine: Engine) -> int:
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
    more: Callable[[Sequence[Result]], Iterable[Member]] | None = None,
    possible: Iterable[Member] = (),
    study: Iterable[Member] = (),
) -> list[Result]:
    """Train all members.

    Args:
        members: in any order; equal members train once each.
        engine: how to share the machine; changes no result beyond float rounding.
        listener: told of curves and ended members as they come.
        more: members that are wanted now that these have ended; called with each batch of results, one call
            at a time.
        possible: all that `more` may ask for.
        study: all members, where some have been trained before; see `Queue`.

    Returns:
        One result a member: those of `members` in their order, then those that `more` asked for.
    """
    jax_setup.prepare()
    engine = settled(engine or Engine())
    count = workers(engine)
    if any("__main__" in (type(m.task).__module__, cell_class(m.model.cell).__module__) for m in members):
        count = 1  # another process could not import the task or the cell
    if more is None:
        count = min(count, max(len(members), 1))
    queue = Queue(members, engine, count, listener, more, possible, study)
    crew = Crew(queue)

    def failed(job: Future) -> None:
        if job.exception() is not None:
            queue.stop()

    def compile_ahead(programs: deque[Program]) -> None:
        """Compile the next programs while the first one trains. A worker that comes to one that can't be
        compiled says why."""
        with contextlib.suppress(IndexError):
            while not queue.over.is_set():
                with contextlib.suppress(jax.errors.JaxRuntimeError):
                    compiled(programs.popleft())

    jobs: list[Future] = []
    try:
        jobs += [
            _in_thread(work, LocalClient(queue, 0)),
            *(_in_thread(crew.serve, number) for number in range(1, count)),
        ]
        for job in jobs:
            job.add_done_callback(failed)
        if queue.together:  # compiling costs more than training there
            ahead = deque(queue.ahead()[:MOST_PROGRAMS])
            for _ in range(max(1, jax_setup.cores() - 1)):
                _in_thread(compile_ahead, ahead)
        while not queue.over.wait(0.2):  # in short waits, as an untimed one can sleep through Ctrl-C
            crew.look()
            queue.listener.meanwhile()
    finally:
        queue.stop()
        crew.end()
        wait(jobs, PATIENCE)
        queue.close()
    for job in jobs:
        if job.done():
            job.result()
    first = dict.fromkeys(members)
    return [queue.found[member] for member in [*members, *(m for m in queue.found if m not in first)]]


def _in_thread(function: Callable[..., Any], *arguments: Any) -> Future:
    """Call in a daemon thread: nobody waits for it when the job is over, not even the interpreter at its
    end."""
    job: Future = Future()

    def call() -> None:
        try:
            job.set_result(function(*arguments))
        except BaseException as error:
            job.set_exception(error)

    threading.Thread(target=call, name="memcap-worker", daemon=True).start()
    return job
