"""A tracker whose work is done elsewhere: a slow or dead service can neither slow nor stop training."""

import logging
import math
import queue
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from memcap.studies.curves import MOST_POINTS, Points, add_point, thin
from memcap.tracking.cells import Cells
from memcap.tracking.runs import Member, ProgressRecord, Record, Run, RunRecord, StudyRecord, of_member
from memcap.tracking.so_far import SoFar

log = logging.getLogger(__name__)

MOST_WAITING = (
    10_000  # records; with 100 points each a quarter of a gigabyte, reached only behind a service that hangs
)
# Members beyond which cells have runs. A project of W&B holds some 10,000, but a run costs some 20 ms: no
# more than this many are written in the seconds that there are for it where members train as fast.
MOST_MEMBER_RUNS = 300
LIVE_AFTER = 30.0  # seconds that a member trains before its curve is streamed
SECONDS_BETWEEN_POINTS = 10.0  # of the study's run; a live curve is sent on as often
POINTS_AT_ONCE = 10  # of a live curve, from what came since it was last sent on


class Sink(Protocol):
    """Where records go. It is used by the background thread: it may be slow, and whatever it raises is caught
    there."""

    replaceable: bool
    """Whether there is another sink, should this one not answer."""

    def write(self, record: Record) -> None:
        """Write one record, whole."""

    def close(self) -> str:
        """Write what is left. Returns where people find it, in one line."""

    def kill(self) -> None:
        """End at once, from any thread; `write` and `close` then raise."""


class _Live:
    """A curve in training: what was not yet sent on, and since when."""

    def __init__(self) -> None:
        self.points: Points = {}
        self.since = self.sent = time.monotonic()
        self.last = -1  # step that was sent on


class BackgroundTracker:
    """A tracker that hands records to the first of several sinks that works, in one background thread.

    A sink that raises is given up with one warning, and its record goes to the next one. After the last,
    tracking is off.

    Args:
        sinks: constructors, the best first. Iterated and called in the background thread only.
        study: name of the study.
        runs: "member", "cell", or "auto": cells if it begins with more than `MOST_MEMBER_RUNS` members. Where
            it has fewer, of a study that has more, it has only parts of cells: then members are not written.
        at_most: seconds that `close` takes at the very most. Infinite: all that was handed in is written, and
            no curve is live.
        otherwise: what to do about records that were not written, in words.
    """

    def __init__(
        self,
        sinks: Iterable[Callable[[], Sink]],
        *,
        study: str = "",
        runs: str = "auto",
        at_most: float = 5.0,
        otherwise: str = "",
    ):
        self._sinks = iter(sinks)
        self._study, self._runs, self._at_most, self._otherwise = study, runs, at_most, otherwise
        self._members: dict[str, Member] = {}
        self._in_all = 0  # members of the study, as far as is known
        self._cells = Cells(study)
        self._so_far = SoFar()
        self._told = time.monotonic()  # when the study's run last had a point
        self._lock = threading.Lock()
        self._curves: dict[str, _Live] = {}
        self._queue: queue.SimpleQueue[Record | None] = queue.SimpleQueue()  # None: no more will come
        self._sink: Sink | None = None
        self._written = 0
        self._lost = 0  # records that were refused
        self._silent = (
            threading.Event()
        )  # set once nothing is accepted any more and nothing is worth a warning
        self.where = ""
        self._thread = threading.Thread(target=self._work, name="memcap-tracking", daemon=True)
        self._thread.start()

    def begin(
        self, members: Sequence[Member], there: Sequence[Mapping[str, Any]] = (), in_all: int = 0
    ) -> None:
        """See `Tracker.begin`."""
        if self._runs == "auto" and not self._members and len(members) > MOST_MEMBER_RUNS:
            self._runs = "cell"
        self._members |= {member.key: member for member in members}
        self._in_all = max(self._in_all, in_all, len(self._members))
        before = [(self._members[row["key"]], row) for row in there]
        with self._lock:
            for member, row in before:
                self._so_far.add(member, row, trained=False)
            if self._runs == "cell":
                self._cells.expect(members, {member.key for member, _ in before})

    def curve(self, member_id: str, step: int, values: Mapping[str, float]) -> None:
        """See `Tracker.curve`."""
        if self._silent.is_set():
            return
        live = self._curves.setdefault(member_id, _Live())
        add_point(live.points, int(step), plain(values))
        now = time.monotonic()
        if (
            now - live.since > LIVE_AFTER
            and now - live.sent > SECONDS_BETWEEN_POINTS
            and self._streams(member_id)
        ):
            live.sent = now
            if points := _news(live, POINTS_AT_ONCE):
                self._put(RunRecord(of_member(self._members[member_id]), points, None))
        self._progress()

    def member(self, member_id: str, config: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """See `Tracker.member`."""
        live, known = self._curves.pop(member_id, None) or _Live(), self._members.get(member_id)
        plain_row, record = plain(row), None
        with self._lock:
            if known is not None:
                self._so_far.add(known, plain_row)
            if self._runs == "cell" and known is not None:
                record = self._cells.add(member_id, plain_row, thin(live.points))
            elif self._left_to_mirror:
                self._lost += 1
            else:
                run = (
                    Run(member_id, member_id, "member", config=plain(config))
                    if known is None
                    else of_member(known)
                )
                record = RunRecord(run, _news(live), plain_row)
        if record is not None:
            self._put(record)
        self._progress()

    def study(self, name: str, table: Sequence[Mapping[str, Any]], image: Path | None = None) -> None:
        """See `Tracker.study`."""
        self._progress(at_once=True)
        self._put(StudyRecord(plain(table), image))

    def close(self, *, at_once: bool = False) -> None:
        """See `Tracker.close`."""
        self._curves.clear()
        for record in self._cells.rest():
            self._put(record)
        self._queue.put(None)
        seconds = 0.5 if at_once else self._at_most
        half = None if math.isinf(seconds) else seconds / 2
        try:
            self._thread.join(half)
            if (
                self._thread.is_alive()
                and not self._written
                and self._sink is not None
                and self._sink.replaceable
            ):
                self._sink.kill()  # it has not worked once: the next one may
            self._thread.join(half)
            left = (
                self._lost
                + self._cells.left_out
                + (max(1, self._queue.qsize()) if self._thread.is_alive() else 0)
            )
            if left and not self._silent.is_set():
                log.warning(f"tracking: {left} of the members and results were not mirrored{self._otherwise}")
        finally:
            self._silent.set()
            if self._thread.is_alive() and self._sink is not None:
                self._sink.kill()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        self.close(at_once=kind is not None and not issubclass(kind, Exception))

    @property
    def _left_to_mirror(self) -> bool:
        """Whether the members are too many for runs of their own, and only parts of cells are to be had."""
        return self._runs == "auto" and self._in_all > MOST_MEMBER_RUNS

    def _streams(self, member_id: str) -> bool:
        live = self._runs != "cell" and not self._left_to_mirror
        return live and member_id in self._members and not math.isinf(self._at_most)

    def _progress(self, at_once: bool = False) -> None:
        """Give the study's run a point, if it had none lately."""
        now = time.monotonic()
        with self._lock:
            if not self._members or not (at_once or now - self._told > SECONDS_BETWEEN_POINTS):
                return
            self._told = now
            values = self._so_far.values()
        self._put(ProgressRecord(values))

    def _put(self, record: Record) -> None:
        while math.isinf(self._at_most) and self._queue.qsize() >= MOST_WAITING and not self._silent.is_set():
            time.sleep(0.1)
        if self._silent.is_set():
            return
        if self._queue.qsize() < MOST_WAITING:
            self._queue.put(record)
        else:
            self._lost += 1

    def _work(self) -> None:
        while True:
            record = self._queue.get()
            while not self._silent.is_set():
                try:
                    if self._sink is None:
                        if record is None:
                            break
                        self._sink = next(self._sinks)()
                    if record is None:
                        self.where = self._sink.close()
                    else:
                        self._sink.write(record)
                        self._written += 1
                    break
                except StopIteration:
                    self._silent.set()
                except (Exception, SystemExit) as error:
                    self._warn(error)
                    if self._sink is not None:
                        self._sink.kill()
                    self._sink = None
            if record is None:
                return

    def _warn(self, error: BaseException) -> None:
        if not self._silent.is_set():
            why = " ".join(str(error).split()) or type(error).__name__
            log.warning(why)


def _news(live: _Live, most: int = MOST_POINTS) -> Points:
    """What of a curve was not yet sent on, thinned; it is then forgotten. A member that began again goes on
    from where it was."""
    points = thin({step: values for step, values in live.points.items() if step > live.last}, most)
    live.last, live.points = max(points, default=live.last), {}
    return points


def plain(value: Any) -> Any:
    """`value` as dicts, lists, strings and numbers, without arrays or references to what the caller may yet
    change."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy and JAX, scalars and arrays
        return value.tolist()
    return str(value)
