"""The worker processes of a job: each is replaced when it dies or hangs, and its members wait again."""

import sys
import time

from memcap.knobs import UserError
from memcap.training.line import DiedError
from memcap.training.queue import LocalClient, Queue
from memcap.training.workers import Worker

FALSE_STARTS = 3  # deaths in a row of workers that had no members, after which the environment is broken
LATE = 5.0  # seconds between two looks after which it was we who slept


class Crew:
    """Worker processes at one queue, each with a thread of ours that serves it."""

    def __init__(self, queue: Queue):
        self.queue = queue
        self.workers: dict[int, Worker] = {}
        self.looked = time.monotonic()

    def serve(self, number: int) -> None:
        """Have one worker at work, this one or its successors, until all is done.

        Raises:
            UserError: none can start.
            RuntimeError: an error in a worker, with its traceback.
        """
        idle = 0
        while not self.queue.over.is_set():
            worker = self.workers[number] = Worker()
            if self.queue.over.is_set():
                worker.kill()
            try:
                worker.serve(LocalClient(self.queue, number))
                return
            except DiedError:
                if self.queue.over.is_set():
                    return
                worker.kill()
                idle = 0 if self._bury(number, worker) else idle + 1
                if idle == FALSE_STARTS:
                    why = (
                        f"{idle} workers in a row ended before they had a member; the last {worker.epitaph()}"
                    )
                    raise UserError(f"{why}; engine.workers=1 trains without workers") from None
            finally:
                worker.close()

    def _bury(self, number: int, worker: Worker) -> bool:
        """Let what a dead worker had wait again, and say so. Returns whether it had anything."""
        why = worker.epitaph()
        blamed, failed = self.queue.lost(number, why)
        if blamed:
            say = f"memcap: a worker (process {worker.process.pid}) {why}; another takes its place"
            if waiting := len(blamed) - len(failed):
                say += f" and trains what it had, {waiting} member{'s' * (waiting != 1)}"
            if failed:
                say += f"; {' '.join(m.key for m in failed)}: recorded as failed, as two workers died of it"
            print(say, file=sys.stderr, flush=True)
        return bool(blamed)

    def look(self) -> None:
        """Kill the workers that hang. If it is long since we last looked, it was this process that was
        stopped."""
        now = time.monotonic()
        workers = list(self.workers.values())
        if now - self.looked > LATE:
            for worker in workers:
                worker.heard = max(worker.heard, now)
        self.looked = now
        for worker in workers:
            worker.look()

    def end(self) -> None:
        """Kill all; the threads that serve them end."""
        for worker in list(self.workers.values()):
            worker.kill()
