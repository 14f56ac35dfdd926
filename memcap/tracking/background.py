"""A tracker whose work is done in one background thread: a slow or dead sink can neither slow nor stop training."""

import logging
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

from memcap.tracking.curve import Points, add_point, thin

log = logging.getLogger(__name__)

MOST_WAITING = 10_000  # records; with 200 points each about half a gigabyte, reached only behind a sink that hangs


@dataclass(frozen=True)
class MemberRecord:
    """A member that has ended."""

    member_id: str
    config: dict[str, Any]
    row: dict[str, Any]
    curve: Points


@dataclass(frozen=True)
class StudyRecord:
    """A result of a whole study."""

    name: str
    table: list[dict[str, Any]]
    image: Path | None


Record = MemberRecord | StudyRecord


class Sink(Protocol):
    """Where records go. It lives in the background thread: it may be slow, and whatever it raises is caught there."""

    def write(self, record: Record) -> None:
        """Write one record, whole."""


class BackgroundTracker:
    """A tracker that hands records to the first of several sinks that works.

    A sink that raises is given up with one warning, and its record goes to the next one. After the last, tracking is
    off.

    Args:
        sinks: name and constructor of each sink, the best first. Iterated and called in the background thread only.
        patience: seconds without progress after which `close` leaves what is still waiting.
        at_most: seconds that `close` takes at the very most.
    """

    def __init__(self, sinks: Iterable[tuple[str, Callable[[], Sink]]], *, patience: float = 30.0, at_most: float = 600.0):
        self._sinks = iter(sinks)
        self._patience, self._at_most = patience, at_most
        self._curves: dict[str, Points] = {}
        self._queue: queue.SimpleQueue[Record | None] = queue.SimpleQueue()  # None: no more will come
        self._done = 0  # records that the thread is through with
        self._overflowed = False
        self._silent = threading.Event()  # set once nothing is accepted any more and nothing is worth a warning
        self._thread = threading.Thread(target=self._work, name="memcap-tracking", daemon=True)
        self._thread.start()

    def curve(self, member_id: str, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.curve`."""
        if not self._silent.is_set():
            add_point(self._curves.setdefault(member_id, {}), int(step), plain(values))

    def member(self, member_id: str, config: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """See `Tracker.member`."""
        curve = thin(self._curves.pop(member_id, {}))
        self._put(MemberRecord(member_id, plain(config), plain(row), curve))

    def study(self, name: str, table: Sequence[Mapping[str, Any]], image: Path | None = None) -> None:
        """See `Tracker.study`."""
        self._put(StudyRecord(name, plain(table), image))

    def close(self) -> None:
        """See `Tracker.close`. A second Ctrl-C during the wait leaves at once."""
        self._curves.clear()
        self._queue.put(None)
        end, progress = time.monotonic() + self._at_most, -1
        try:
            while self._thread.is_alive() and self._done != progress and time.monotonic() < end:
                progress = self._done
                self._thread.join(min(self._patience, max(0.0, end - time.monotonic())))
            if self._thread.is_alive() and not self._silent.is_set():
                log.warning("W&B: gave up waiting; %d records were not mirrored", max(1, self._queue.qsize()))
        finally:
            self._silent.set()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.close()

    def _put(self, record: Record) -> None:
        if self._silent.is_set():
            return
        if self._queue.qsize() < MOST_WAITING:
            self._queue.put(record)
        elif not self._overflowed:
            self._overflowed = True
            log.warning("W&B: %d records are waiting; later ones are not mirrored", MOST_WAITING)

    def _work(self) -> None:
        name, sink = "", None
        while (record := self._queue.get()) is not None:
            while not self._silent.is_set():
                try:
                    if sink is None:
                        name, make = next(self._sinks)
                        sink = make()
                    sink.write(record)
                    break
                except StopIteration:
                    self._silent.set()
                except (Exception, SystemExit) as error:
                    sink = None
                    self._warn(name, error)
            self._done += 1

    def _warn(self, name: str, error: BaseException) -> None:
        if not self._silent.is_set():
            why = " ".join(str(error).split()) or type(error).__name__
            log.warning("W&B %s does not work and is left: %s", name, why)


def plain(value: Any) -> Any:
    """`value` as dicts, lists, strings and numbers, without arrays or references to what the caller may yet change."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy and JAX, scalars and arrays
        return value.tolist()
    return str(value)
