"""How a command ends on Ctrl-C, on SIGTERM of a scheduler or container, and on SIGHUP of a closed terminal.

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
# seconds in which several signals count as one: `timeout` sends two, a service manager SIGTERM and SIGHUP
ONE_SIGNAL = 0.3


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end.

    Args:
        number: of the signal.
        rows_saved: members whose rows are saved; None where nothing was trained.
        half_trained: members that resume from a checkpoint.
    """

    def __init__(self, number: int, rows_saved: int | None = None, half_trained: int = 0):
        super().__init__(number)
        self.number, self.rows_saved, self.half_trained = number, rows_saved, half_trained

    @property
    def status(self) -> int:
        """The exit status of a process that this signal ended."""
        return 128 + self.number


@contextlib.contextmanager
def raise_on_signal() -> Generator[None]:
    """Within, signals raise `Interrupted`; one that is ignored, as under nohup, stays ignored.

    Only the main thread can set this up.
    """
    first = None

    def handle(number: int, frame: FrameType | None) -> None:
        nonlocal first
        now = time.monotonic()
        if first is None:
            first = now
            raise Interrupted(number)
        if now - first > ONE_SIGNAL:
            os._exit(128 + number)

    before = {}
    with contextlib.suppress(ValueError):  # another thread than the main one
        for number in (getattr(signal, name) for name in NAMES if hasattr(signal, name)):
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, handle)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
