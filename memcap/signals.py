"""How a command ends when it is told to: by Ctrl-C, by a scheduler or container (SIGTERM), by a terminal that
closes (SIGHUP).

The first signal raises `Interrupted` in the main thread, so that what has ended is written; another one ends
the process at once.
"""

import contextlib
import os
import signal
import time
from collections.abc import Generator
from types import FrameType

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
ONE_MEANT = (
    0.3  # seconds in which several signals are one: `timeout` sends two, a service manager SIGTERM and SIGHUP
)


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end.

    Args:
        number: of the signal.
        kept: members whose rows are kept; None where nothing was trained.
        half_trained: members that go on from a checkpoint.
    """

    def __init__(self, number: int, kept: int | None = None, half_trained: int = 0):
        super().__init__(number)
        self.number, self.kept, self.half_trained = number, kept, half_trained

    @property
    def status(self) -> int:
        """The exit status that says so."""
        return 128 + self.number


@contextlib.contextmanager
def raised() -> Generator[None]:
    """Within, signals raise `Interrupted`. One that is ignored, as by nohup, stays so; only the main thread
    can set this up."""
    first = None

    def told(number: int, frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None:
            first = now
            raise Interrupted(number)
        if now - first > ONE_MEANT:
            os._exit(128 + number)

    before = {}
    with contextlib.suppress(ValueError):  # another thread than the main one
        for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, told)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
