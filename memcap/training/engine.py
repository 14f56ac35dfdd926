"""The engine: `train(members)` groups members into populations, trains them on all cores, and reports each member as it ends.

On a CPU there is a worker a core: this process is one, the others are its children. On an accelerator this process drives all
devices of the host by itself.
"""

import os
import sys
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from subprocess import Popen

import jax

from memcap.config import Engine, Member
from memcap.training import worker
from memcap.training.population import Chunk, Ended, work
from memcap.training.queue import Listener, Place, Queue

__all__ = ["Chunk", "Ended", "Listener", "train", "workers"]


def workers(engine: Engine) -> int:
    """Workers on this host."""
    if engine.workers:
        return engine.workers
    if jax.default_backend() != "cpu":
        return 1
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def train(
    members: Sequence[Member],
    engine: Engine | None = None,
    listener: Listener | None = None,
    more: Callable[[Sequence[Ended]], Iterable[Member]] | None = None,
) -> list[Ended]:
    """Train all members.

    Args:
        members: in any order; equal members train once each.
        engine: how to share the machine; changes no result beyond float rounding.
        listener: told of curves and ended members as they come.
        more: members that are wanted now that these have ended; called with each batch of results, one call at a time.

    Returns:
        One result a member: those of `members` in their order, then those that `more` asked for.
    """
    engine = engine or Engine()
    count = max(1, workers(engine) if more else min(workers(engine), len(members)))
    queue = Queue(members, engine, count, listener, more)
    children: list[Popen] = []

    def child(number: int) -> None:
        process = worker.start()
        children.append(process)
        if queue.over.is_set():
            process.kill()
        try:
            worker.serve(process, Place(queue, number))
        except worker.DiedError:
            if not queue.over.is_set():
                left = queue.lost(number)
                say = f"memcap: a worker died (status {process.wait()}); the others train the {left} members that it had"
                print(say, file=sys.stderr, flush=True)

    def failed(job: Future) -> None:
        if job.exception() is not None:
            queue.stop()

    with ThreadPoolExecutor(count, thread_name_prefix="memcap") as pool:
        jobs = [pool.submit(work, Place(queue, 0)), *(pool.submit(child, number) for number in range(1, count))]
        for job in jobs:
            job.add_done_callback(failed)
        try:
            while not queue.over.wait(0.5):  # in short waits, as an untimed one can sleep through Ctrl-C
                pass
        finally:
            queue.stop()
            for process in children:
                process.kill()
                process.wait()
    for process in children:
        worker.close(process)
    for job in jobs:
        job.result()
    first = dict.fromkeys(members)
    return [queue.found[member] for member in [*members, *(m for m in queue.found if m not in first)]]
