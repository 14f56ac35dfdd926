"""What runs in a worker's process: the loop of population.py, at a queue that is in the parent."""

import traceback
from collections.abc import Sequence
from typing import Any

import jax

from memcap.config import Member
from memcap.training.lane import Checkpoint
from memcap.training.line import DiedError, Line
from memcap.training.program import Program
from memcap.training.train_loop import Chunk, Result, work


class RemoteClient:
    """The side of the queue that a worker in a process of its own sees: what the parent's `LocalClient`
    answers."""

    def __init__(self, line: Line):
        self.line = line

    def _ask(self, name: str, *arguments: Any) -> Any:
        self.line.send((name, arguments, True))
        return self.line.receive()

    def _tell(self, name: str, *arguments: Any) -> None:
        self.line.send((name, arguments, False))

    def going(self) -> bool:
        """See `QueueClient`."""
        return True  # the parent ends the process

    def claim(self) -> Program | None:
        """See `QueueClient`."""
        return self._ask("claim")

    def take(self, program: Program, most: int) -> list[Member]:
        """See `QueueClient`."""
        return self._ask("take", program, most)

    def keeps(self) -> float:
        """See `QueueClient`."""
        return self._ask("keeps")

    def kept(self, members: Sequence[Member]) -> dict[str, Checkpoint]:
        """See `QueueClient`."""
        return self._ask("kept", members)

    def keep(self, checkpoints: Sequence[Checkpoint]) -> None:
        """See `QueueClient`."""
        self._tell("keep", checkpoints)

    def curve(self, chunk: Chunk) -> None:
        """See `QueueClient`."""
        self._tell("curve", chunk)

    def ended(self, program: Program, results: Sequence[Result]) -> None:
        """See `QueueClient`."""
        self._tell("ended", program, results)


def main(line: Line) -> None:
    """Take over the parent's settings, then work until there is nothing left."""
    try:
        for name, value in line.receive().items():
            jax.config.update(name, value)
        work(RemoteClient(line))
        line.send(None)
    except DiedError:
        pass  # the parent is gone
    except Exception:
        line.send(("failed", (traceback.format_exc(),), False))
