"""The progress of a study, from the rows and heartbeats in its folder. Needs no JAX."""

import shlex
from dataclasses import dataclass
from operator import attrgetter
from pathlib import Path

import polars as pl

from memcap.knobs import UserError
from memcap.store import heartbeat, shards
from memcap.store.heartbeat import Heartbeat, Running
from memcap.store.rows import IS_BY_LOSS, right_at_every_lag, without_failed
from memcap.store.shards import is_published
from memcap.terminal.words import member_name, plural

MARKS = ("rows", "jobs", "rows.parquet")  # a folder with one of these is a study's


@dataclass(frozen=True)
class Failure:
    """A member that could not be trained."""

    key: str
    name: str
    reason: str


@dataclass(frozen=True)
class Status:
    """The progress of a study.

    Args:
        folder: the study's folder.
        done: members with rows that measure something. Among them, solved; up_to:
            right at every lag up to their own, None if not evaluated; diverged:
            unsolved; by_loss: judged by their held-out loss.
        failed: members that could not be trained, and are not in training again.
        running: members in training.
        waiting: members that a living job has yet to train; for a search, the most.
        left_over: members of jobs that are gone, which no other job is training.
        at_most: whether these numbers include those of a search.
        left: seconds to the end of the last living job; None if unknown.
        longest: the members in training that have trained longest.
        jobs: heartbeats, the latest last.
        unfinished: those of jobs that are gone, with members left to train.
        unreadable: files of rows that cannot be read.
        names: the tasks and cells of its rows.
    """

    folder: Path
    done: int
    solved: int
    up_to: int | None
    diverged: int
    failed: tuple[Failure, ...]
    running: int
    waiting: int
    left_over: int
    at_most: bool
    left: float | None
    longest: tuple[Running, ...]
    jobs: tuple[Heartbeat, ...]
    unfinished: tuple[Heartbeat, ...]
    unreadable: tuple[Path, ...]
    by_loss: int = 0
    names: tuple[str, ...] = ()

    @property
    def members(self) -> int:
        return (
            self.done + len(self.failed) + self.running + self.waiting + self.left_over
        )


def studies(place: Path) -> list[Path]:
    """Find the folders of studies at or below a place; raise UserError if there is
    none."""
    if is_published(place):
        return [place]
    if not place.is_dir():
        raise UserError(f"{place}: no such folder; give the folder of a study")
    folders = sorted({path.parent for name in MARKS for path in place.rglob(name)})
    if not folders:
        raise UserError(
            f"{place}: holds no study; train one first, as in: memcap train sweeps=first_study"
        )
    return [place] if place in folders else folders


def status(folder: Path) -> Status:
    tables, bad = shards.read_files(folder, below=False)
    rows = shards.merge(tables.values())
    measured = without_failed(rows)
    heartbeats = heartbeat.read(folder).items()
    jobs = dict(sorted(heartbeats, key=lambda item: item[1].started))
    members = {
        token: frozenset(heartbeat.read_members(folder, token, ["key"])["key"])
        for token in jobs
    }
    alive = {token: job for token, job in jobs.items() if job.alive}
    # of rows that cannot be read, some may be those of jobs that have ended well
    gone = {
        token: job
        for token, job in jobs.items()
        if token not in alive and (job.ended != "done" or (bad and not job.searched))
    }
    failed = _failures(rows, {token: members[token] for token in alive})
    failed_keys = frozenset(failure.key for failure in failed)
    ended = failed_keys.union(measured["key"])
    in_hand = frozenset().union(*(members[token] for token in alive))
    abandoned = frozenset().union(*(members[token] for token in gone)) - ended - in_hand
    to_come = _to_come(alive, members, ended)
    running = min(sum(job.running for job in alive.values()), to_come)
    seconds_left = [
        job.seconds_left - job.age
        for job in alive.values()
        if job.seconds_left is not None
    ]
    is_known = seconds_left and len(seconds_left) == len(alive)
    longest = [member for job in alive.values() for member in job.longest]
    diverged = measured.filter(~pl.col("solved"), status="diverged")
    unfinished = [
        job
        for token, job in jobs.items()
        if token not in alive and members[token] & (failed_keys | abandoned)
    ]
    return Status(
        folder=folder,
        done=measured.height,
        solved=int(measured["solved"].sum()),
        up_to=right_at_every_lag(measured),
        by_loss=measured.filter(IS_BY_LOSS).height,
        diverged=diverged.height,
        failed=failed,
        running=running,
        waiting=to_come - running,
        left_over=_to_come(gone, members, ended | in_hand),
        at_most=any(job.searched for job in (alive | gone).values()),
        left=max(0.0, *seconds_left) if is_known else None,
        longest=tuple(sorted(longest, key=attrgetter("seconds"), reverse=True)),
        jobs=tuple(jobs.values()),
        unfinished=tuple(unfinished),
        unreadable=tuple(bad),
        names=tuple(sorted({*rows["task"], *rows["cell"]})),
    )


def missing(place: Path, prefix: str = "") -> int:
    """Count the members without a row, of jobs that have not ended well, below a place.
    `prefix` begins the members' names."""
    count = 0
    for folder in {path.parent.parent for path in place.rglob("jobs/*.json")}:
        heartbeats = heartbeat.read(folder).items()
        jobs = {token: job for token, job in heartbeats if job.ended != "done"}
        members = {}
        for token in jobs:
            listed = heartbeat.read_members(folder, token, ["key", "name"])
            begins = pl.col("name").fill_null("").str.starts_with(prefix)
            members[token] = frozenset(listed.filter(begins)["key"])
        tables, _ = shards.read_files(folder, below=False)
        ended = frozenset(shards.merge(tables.values())["key"]) if jobs else frozenset()
        count += _to_come(jobs, members, ended)
    return count


def incomplete(count: int, place: Path) -> str:
    if not count:
        return ""
    members = plural(count, "member")
    where = shlex.quote(str(place))
    return f"Not complete: {members} without a row. See: memcap status {where}"


def _failures(
    rows: pl.DataFrame, in_hand: dict[str, frozenset[str]]
) -> tuple[Failure, ...]:
    """Return the members that failed, unless a living job, of those whose keys are
    `in_hand` by token, is training them again."""
    columns = ("key", "task", "lag", "units", "seed", "reason", "population")
    failures = []
    for key, *member, reason, population in (
        rows.filter(status="failed").select(columns).iter_rows()
    ):
        token = shards.token_of(population)
        others = [keys for job, keys in in_hand.items() if job != token]
        if not any(key in keys for keys in others):
            name = member_name(*member)
            failures.append(Failure(key, name, reason or "no reason given"))
    return tuple(failures)


def _to_come(
    jobs: dict[str, Heartbeat],
    members: dict[str, frozenset[str]],
    ended: frozenset[str],
) -> int:
    """Count the members that these jobs have yet to train. A search reports the number
    itself, as it will not want all its candidates."""
    listed: set[str] = set()
    count = 0
    for token, job in jobs.items():
        if job.searched:
            count += min(job.to_come, len(members[token] - ended))
        else:
            listed |= members[token]
    return count + len(listed - ended)
