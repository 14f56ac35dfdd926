"""The progress of a job, written every couple of seconds. Needs no JAX.

    DIR/jobs/TOKEN.json             its heartbeat: who it is and how far
    DIR/jobs/TOKEN.members.parquet  the members that it may train (`MEMBERS`)

Rows say what is done; heartbeats say which jobs still train. A job that was killed
leaves its files behind.
"""

import contextlib
import heapq
import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Generator, Sequence
from dataclasses import asdict, dataclass, fields, replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import polars as pl

from memcap.knobs import set_words
from memcap.store import files
from memcap.store.files import BadFileError
from memcap.store.shards import Study, new_token
from memcap.tasks import Task
from memcap.terminal.words import member_name

SECONDS = 2.0  # between two heartbeats
HEARTBEAT_TIMEOUT = 60.0  # seconds without a heartbeat after which a job counts as gone
MOST_LISTED = 20  # members in training that a heartbeat lists one by one
# members that have ended when the pace is known: most end long before their budget, and
# until some do, an estimate is many times too long
ENOUGH = 3
NO_STUDY = Study()

# The columns of a list of members: the name is `long_name`'s, the metric the task's, and
# the config the whole resolved one, as JSON, as in rows.
MEMBERS = dict.fromkeys(("key", "name", "metric", "config"), pl.String)


def long_name(task: Task, lag: int, units: int, seed: int) -> str:
    """Return the name of a member, as delay_line(symbols=4)-L8-u7-s3."""
    knobs = ",".join(set_words(task))
    name = f"{task.name}({knobs})" if knobs else task.name
    return member_name(name, lag, units, seed)


@dataclass(frozen=True)
class Running:
    """A member in training."""

    key: str
    name: str
    step: int  # training steps taken
    budget: int  # most that it may take
    loss: float | None  # mean over its last chunk; None if that chunk took no step
    seconds: float  # since its first chunk


@dataclass(frozen=True)
class Heartbeat:
    """The report of a job on itself."""

    token: str  # the job's token, which names its files (shards.py)
    study: str  # what was started
    command: str | None  # None if it was started from Python
    folder: str  # where it was started
    host: str  # that of its process
    pid: int
    started: float  # in seconds since 1970, as is the next
    updated: float  # when it wrote this
    # None while it trains, then "done", "interrupted" or the error that ended it
    ended: str | None = None
    searched: bool = False  # whether the design chooses members as results come
    # members that have ended since it began; `solved` of them were solved. `diverged`
    # and `failed` count how they ended, so a member may be both solved and diverged
    done: int = 0
    solved: int = 0
    diverged: int = 0
    failed: int = 0
    to_come: int = 0  # most members that have yet to end
    running: int = 0  # members in training
    # seconds to the end, at the pace so far; None before `ENOUGH` members have ended
    seconds_left: float | None = None
    # the members that have trained longest, the longest first
    longest: tuple[Running, ...] = ()

    @property
    def exists(self) -> bool:
        """True if the process exists, as far as this host can see."""
        if self.host != socket.gethostname():
            return True
        try:
            os.kill(self.pid, 0)
        except ProcessLookupError:
            return False
        except OSError:  # another user's process
            return True
        return True

    @property
    def age(self) -> float:
        """Seconds since the heartbeat was written."""
        return max(0.0, time.time() - self.updated)

    @property
    def ahead(self) -> float:
        """Seconds by which the heartbeat is dated later than this host's clock."""
        return max(0.0, self.updated - time.time())

    @property
    def alive(self) -> bool:
        """True if it has not ended, its process exists, and its date is near enough to
        now."""
        apart = max(self.age, self.ahead)
        return self.ended is None and self.exists and apart < HEARTBEAT_TIMEOUT


@dataclass
class _Training:
    """A member in training: its last chunk, and the time of its first one."""

    name: str
    budget: int
    resumed_at: int
    first_time: float
    step: int
    loss: float | None

    def share(self, since: int = 0) -> float:
        """Return the share of the budget trained since a step."""
        return (self.step - since) / (self.budget or self.step or 1)

    def report(self, key: str, now: float) -> Running:
        seconds = now - self.first_time
        return Running(key, self.name, self.step, self.budget, self.loss, seconds)


class JobProgress:
    """The counts of a job, from which its heartbeat is made; thread-safe.

    Args:
        to_come: most members that the job may train.
        study: the study that it trains.
        before, solved_before: members that had rows before, and of those solved.
    """

    def __init__(
        self,
        to_come: int,
        study: Study = NO_STUDY,
        before: int = 0,
        solved_before: int = 0,
    ):
        self.study = study
        self.token = new_token(study.session)  # names the job's files
        self.before = before
        self.solved_before = solved_before
        # members are judged by their held-out loss, so that none counts as solved
        self.by_loss = False
        self.frontier: list[str] = []  # what a search knows by now, in lines
        self.folder = str(Path.cwd())
        self.started = time.time()
        self.clock_started = time.monotonic()
        self.done = 0
        self.solved = 0
        self.counts: Counter[str] = Counter()  # members that have ended, by status
        self.to_come = to_come
        self.training: dict[str, _Training] = {}  # by the member's key
        self.lock = threading.Lock()

    def chunk(
        self,
        key: str,
        name: str,
        budget: int,
        before: int,
        step: int,
        loss: float | None,
    ) -> None:
        """Record a chunk of training: the steps taken before and after it, equal if the
        member was only evaluated, and the mean loss."""
        now = time.monotonic()
        with self.lock:
            member = self.training.get(key)
            # it begins, or begins again
            if member is None or step < member.step:
                self.training[key] = _Training(name, budget, before, now, step, loss)
            elif step > before:
                member.step = step
                member.loss = loss

    def ended(self, key: str, status: str, solved: bool) -> None:
        with self.lock:
            self.training.pop(key, None)
            self.done += 1
            self.solved += solved
            self.to_come -= 1
            self.counts[status] += 1

    def expect(self, to_come: int) -> None:
        """Set the most members still to come, for a design that finds out as it
        goes."""
        self.to_come = to_come

    def heartbeat(self) -> Heartbeat:
        with self.lock:
            return Heartbeat(
                token=self.token,
                study=self.study.name,
                command=self.study.command,
                folder=self.folder,
                host=socket.gethostname(),
                pid=os.getpid(),
                started=self.started,
                updated=time.time(),
                searched=self.study.is_searched,
                done=self.done,
                solved=self.solved,
                diverged=self.counts["diverged"],
                failed=self.counts["failed"],
                to_come=self.to_come,
                running=len(self.training),
                seconds_left=self._seconds_left(),
                longest=tuple(self.longest(MOST_LISTED)),
            )

    def longest(self, most: int, seconds: float = 0.0) -> list[Running]:
        """Return the `most` members that have trained longest, and for `seconds`."""
        now = time.monotonic()
        reports = [member.report(key, now) for key, member in [*self.training.items()]]
        old = (report for report in reports if report.seconds >= seconds)
        return heapq.nlargest(most, old, key=attrgetter("seconds"))

    def _seconds_left(self) -> float | None:
        """Estimate the seconds left; members in training count by the share of their
        budgets."""
        if self.done < ENOUGH:
            return None
        # Only what this job has trained shows its pace: a member may have been
        # half-trained when it began.
        members = self.training.values()
        trained = self.done + sum(each.share(each.resumed_at) for each in members)
        to_come = self.to_come - sum(each.share() for each in members)
        return (time.monotonic() - self.clock_started) / trained * max(0.0, to_come)


@contextlib.contextmanager
def writing(progress: JobProgress, members: pl.DataFrame) -> Generator[None]:
    """Write the job's heartbeat from a thread within the context; the last one says how
    the job ended. What cannot be written does not stop training. Files of earlier jobs
    that this one replaces are deleted."""
    folder = progress.study.folder
    if folder is None or members.is_empty():
        yield
        return
    over = threading.Event()

    def write(ended: str | None = None) -> None:
        with contextlib.suppress(OSError):
            text = json.dumps(asdict(replace(progress.heartbeat(), ended=ended)))
            files.replace(folder / "jobs" / f"{progress.token}.json", text.encode())

    def beat() -> None:
        while not over.wait(SECONDS):
            write()

    with contextlib.suppress(OSError):
        (folder / "jobs").mkdir(parents=True, exist_ok=True)
        _remove_old(folder, frozenset(members["key"]))
        write_members(folder, progress.token, members)
    write()
    thread = threading.Thread(target=beat, name="memcap-heartbeat", daemon=True)
    ended = "done"
    thread.start()
    try:
        yield
    except KeyboardInterrupt:
        ended = "interrupted"
        raise
    except BaseException as error:
        ended = f"{type(error).__name__}: {error}".splitlines()[0]
        raise
    finally:
        over.set()
        thread.join()
        write(ended)


def read(folder: Path) -> dict[str, Heartbeat]:
    """Read the last heartbeats in a study's folder, by token; skip what cannot be
    read."""
    heartbeats = {}
    for path in sorted((folder / "jobs").glob("[!.]*.json")):
        bad = OSError, ValueError, TypeError, LookupError, RecursionError
        with contextlib.suppress(*bad):
            stored = json.loads(path.read_text(encoding="utf-8"))
            longest = (_dataclass_of(Running, each) for each in stored["longest"])
            heartbeat = _dataclass_of(Heartbeat, stored | {"longest": tuple(longest)})
            heartbeats[path.stem] = heartbeat
    return heartbeats


def _dataclass_of(kind: type[Any], stored: dict[str, Any]) -> Any:
    """Return a dataclass of what was stored, which may have further fields."""
    return kind(**{field.name: stored[field.name] for field in fields(kind)})


def write_members(folder: Path, token: str, members: pl.DataFrame) -> None:
    path = members_path(folder, token)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_table(path, members.select(*MEMBERS))


def read_members(
    folder: Path, token: str, columns: Sequence[str] = tuple(MEMBERS)
) -> pl.DataFrame:
    """Read the members that a job may train, as in `MEMBERS`; none without a readable
    file."""
    try:
        path = members_path(folder, token)
        return files.read_table(path, "a table of members", list(columns))
    except BadFileError:
        return pl.DataFrame(schema={name: MEMBERS[name] for name in columns})


def members_path(folder: Path, token: str) -> Path:
    return folder / "jobs" / f"{token}.members.parquet"


def _remove_old(folder: Path, keys: frozenset[str]) -> None:
    """Delete the files of jobs that are done, or gone and wanted only these members."""
    for token, job in read(folder).items():
        wanted = frozenset(read_members(folder, token, ["key"])["key"])
        if job.ended == "done" or (not job.alive and wanted <= keys):
            (folder / "jobs" / f"{token}.json").unlink(missing_ok=True)
            members_path(folder, token).unlink(missing_ok=True)
