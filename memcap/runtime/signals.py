"""The end of a command on Ctrl-C, SIGTERM, or SIGHUP of a closed terminal.

Python runs handlers between two steps of the main thread, which may be busy in C for
minutes. So a thread hears signals (`signal.set_wakeup_fd`), and ends the process at
once where nothing is unsaved. Within `saving` the main thread ends by itself where it
next looks (`look`); if it takes too long, the thread saves and ends it, at once at a
second signal.
"""

import contextlib
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Generator
from types import FrameType

from memcap.terminal.words import complain

NAMES = ("SIGINT", "SIGTERM", "SIGHUP")
# seconds in which several signals count as one, as `timeout` sends two, a service
# manager SIGTERM and SIGHUP
ONE_SIGNAL = 0.3
PATIENCE = 1.0  # seconds that the main thread has to look after a signal
END = 0  # no signal: the command has ended


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end.

    `rows_saved` counts members with saved rows, None if nothing was trained;
    `half_trained` those that resume from a checkpoint.
    """

    def __init__(
        self, number: int, rows_saved: int | None = None, half_trained: int = 0
    ):
        super().__init__(number)
        self.number = number
        self.rows_saved = rows_saved
        self.half_trained = half_trained

    @property
    def status(self) -> int:
        return 128 + self.number

    def __str__(self) -> str:
        return f"interrupted ({signal.Signals(self.number).name})"


def _leave_to_thread(number: int, frame: FrameType | None) -> None:
    """Do nothing: the thread of `Watch` hears the signal, too."""


class Watch:
    """A thread that hears signals."""

    def __init__(self, line: Callable[[Interrupted], str]) -> None:
        self.line = line  # the words about a process that ends
        self.number: int | None = None  # the first signal
        self.ending = False  # whether the main thread ends by itself
        # write what is unsaved, the innermost last
        self.unsaved: list[Callable[[Interrupted], None]] = []
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
        self._handlers = {
            number: signal.signal(number, _leave_to_thread)
            for number in numbers
            if signal.getsignal(number) not in (signal.SIG_IGN, None)  # as under nohup
        }
        self._descriptor = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._thread = threading.Thread(
            target=self._listen, name="memcap-signals", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self.restore()
        os.write(self._writer, bytes([END]))
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def restore(self) -> None:
        signal.set_wakeup_fd(self._descriptor)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _listen(self) -> None:
        number = self._next()
        if number is None or number == END:
            return
        self.number = number
        first = time.monotonic()
        while self.unsaved or self.ending:
            later = self._next(PATIENCE)
            if later == END:
                return
            if later is not None and time.monotonic() - first > ONE_SIGNAL:
                complain(f"{Interrupted(later)}; not all was saved")
                os._exit(Interrupted(later).status)
            if later is None and not self.ending:
                break
        self._leave(Interrupted(number))

    def _next(self, seconds: float | None = None) -> int | None:
        while select.select([self._reader], [], [], seconds)[0]:
            number = os.read(self._reader, 1)[0]
            if number == END or number in self._handlers:  # others have handlers, too
                return number
        return None

    def _leave(self, interrupted: Interrupted) -> None:
        for save in reversed(self.unsaved):
            try:
                save(interrupted)
            except OSError as error:
                complain(f"not saved: {error}")
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            complain(self.line(interrupted))
        os._exit(interrupted.status)


_watch: Watch | None = None  # of this process


def _leave_to_parent() -> None:
    """Restore the handlers in a fork, which has no thread to hear signals."""
    global _watch
    if _watch is not None:
        _watch.restore()
        _watch = None


os.register_at_fork(after_in_child=_leave_to_parent)


@contextlib.contextmanager
def watching(line: Callable[[Interrupted], str] = str) -> Generator[None]:
    """Let signals end the process; one that is ignored, as under nohup, stays so.

    Only the main thread can set this up. Within another `watching` only `line` changes:
    the words if the main thread is not the one that ends.
    """
    global _watch
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    if _watch is not None:
        _watch.line = line
        yield
        return
    _watch = watch = Watch(line)
    try:
        yield
    finally:
        _watch = None
        watch.close()


def look() -> None:
    """Raise `Interrupted` if there ever was a signal."""
    if _watch is not None and _watch.number is not None:
        _watch.ending = True
        raise Interrupted(_watch.number)


def pending() -> bool:
    return _watch is not None and _watch.number is not None


@contextlib.contextmanager
def saving(save: Callable[[Interrupted], None] = lambda _: None) -> Generator[None]:
    """Give the main thread time to end by itself: to look, or to finish a file.

    `save` writes what is cheap, and counts it; another thread calls it, perhaps
    meanwhile.
    """
    watch = _watch
    if watch is None:
        yield
        return
    watch.unsaved.append(save)
    try:
        yield
    except Interrupted:
        watch.ending = True
        raise
    finally:
        watch.unsaved.remove(save)
