"""The end of a command on Ctrl-C, on SIGTERM of a scheduler or container, on SIGHUP of
a closed terminal.

Python runs a handler between two steps of the main thread: an exception from it would
vanish in a callback of the garbage collector, and could break an import. So the
handlers do nothing, and a thread hears signals (`signal.set_wakeup_fd`). It ends the
process

* at once where nothing is unsaved: while libraries are imported, rows are read, a figure
  is drawn. Files are written whole or not at all;
* within `saving` only if the main thread, which looks now and then (`look`), has not
  begun to end by itself after `PATIENCE`;
* at a second signal.

First it writes what is cheap to write. In a launcher that is not ours the main thread
waits where it cannot look: see `raising`.
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
# The same if the handler raises, as libraries then end their processes.
PATIENCE_WITH_LIBRARIES = 6.0
REPEAT = (
    2.0  # seconds after which a handler raises again, if its exception has vanished
)
SECONDS_TO_SAVE = 2.0  # for writing what is cheap to write
END = 0  # no signal: the command has ended


class Interrupted(KeyboardInterrupt):
    """A signal asked the process to end. `rows_saved` counts the members whose rows are
    saved, None if nothing was trained; `half_trained` those that resume from a
    checkpoint."""

    def __init__(
        self, number: int, rows_saved: int | None = None, half_trained: int = 0
    ):
        super().__init__(number)
        self.number = number
        self.rows_saved = rows_saved
        self.half_trained = half_trained

    @property
    def status(self) -> int:
        """The exit status of a process that this signal ended."""
        return 128 + self.number

    def __str__(self) -> str:
        return f"interrupted ({signal.Signals(self.number).name})"


class Watch:
    """A thread that hears signals."""

    def __init__(self, line: Callable[[Interrupted], str]) -> None:
        self.line = line  # the words about a process that ends
        self.number: int | None = None  # the first signal
        self.ending = False  # whether the main thread is about to end
        # write what is unsaved, the innermost last
        self.unsaved: list[Callable[[Interrupted], None]] = []
        self.raises = False  # whether the handler raises
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._writer, False)
        numbers = [getattr(signal, name) for name in NAMES if hasattr(signal, name)]
        self._handlers = {
            number: signal.signal(number, self._handle)
            for number in numbers
            if signal.getsignal(number) not in (signal.SIG_IGN, None)  # as under nohup
        }
        self._descriptor = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        self._thread = threading.Thread(
            target=self._listen, name="memcap-signals", daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        """Return signals to their former handlers."""
        self.restore()
        os.write(self._writer, bytes([END]))
        self._thread.join()
        os.close(self._reader)
        os.close(self._writer)

    def restore(self) -> None:
        """Set the former handlers."""
        signal.set_wakeup_fd(self._descriptor)
        for number, handler in self._handlers.items():
            signal.signal(number, handler)

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.raises and not self.ending:
            raise Interrupted(number)

    def _listen(self) -> None:
        """Hear signals until one has to end the process, or the command has ended."""
        number = self._next()
        if number is None or number == END:
            return
        self.number = number
        first = last = time.monotonic()  # the last one may be our own repetition
        while (later := self._next(0.02)) != END:
            now = time.monotonic()
            patience = PATIENCE_WITH_LIBRARIES if self.raises else PATIENCE
            waits = self.ending or (self.unsaved and now - first <= patience)
            if not waits or (later and now - last > ONE_SIGNAL):
                self._leave(later or number)
                return
            if self.raises and not self.ending and now - last > REPEAT:
                last = now
                signal.pthread_kill(threading.main_thread().ident or 0, number)

    def _next(self, seconds: float | None = None) -> int | None:
        """Wait for one of the signals, or the end; None after this many seconds without."""
        while select.select([self._reader], [], [], seconds)[0]:
            number = os.read(self._reader, 1)[0]
            if number == END or number in self._handlers:  # others have handlers, too
                return number
        return None

    def _leave(self, number: int) -> None:
        """End the process after writing what is cheap to write, even if something hangs."""
        interrupted = Interrupted(number)
        saving = threading.Thread(target=self._save, args=[interrupted], daemon=True)
        saving.start()
        saving.join(SECONDS_TO_SAVE)
        if saving.is_alive():
            os.write(2, f"memcap: {interrupted}; not all was saved\n".encode())
        os._exit(interrupted.status)

    def _save(self, interrupted: Interrupted) -> None:
        for save in reversed(self.unsaved):
            try:
                save(interrupted)
            except OSError as error:
                complain(f"not saved: {error}")
        with contextlib.suppress(OSError, ValueError):
            sys.stdout.flush()
            complain(self.line(interrupted))


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
    """Let signals end the process as this module describes; an ignored signal, as under
    nohup, stays ignored.

    Only the main thread can set this up; other threads change nothing. Within another
    `watching` only the line changes, the words if the main thread is not the one that
    ends.
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
    """Raise `Interrupted` each time, where the main thread may end, if there ever was a signal."""
    if _watch is not None and _watch.number is not None:
        _watch.ending = True
        raise Interrupted(_watch.number)


def pending() -> bool:
    """Tell whether there was a signal, so that the end of a command waits less."""
    return _watch is not None and _watch.number is not None


@contextlib.contextmanager
def saving(save: Callable[[Interrupted], None] = lambda _: None) -> Generator[None]:
    """Give the main thread time to end by itself: within this context it looks, or
    finishes a file. `save` writes what is cheap to write, and counts it; another thread
    calls it, perhaps while this one writes.
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


@contextlib.contextmanager
def raising() -> Generator[None]:
    """Let handlers raise `Interrupted` until it arrives here, for libraries that wait
    in the main thread."""
    if _watch is None:
        yield
        return
    watch = _watch
    watch.raises = True
    try:
        with saving():
            yield
    finally:
        watch.raises = False
