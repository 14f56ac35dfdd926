"""How far a study is, seen from outside: from the rows in its folder and from what its jobs say of
themselves. Needs no JAX.

Several jobs may share a folder (an array of jobs, `engine.shard`) or follow each other; their members are
counted once, by key.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from io import BytesIO
from pathlib import Path

import polars as pl

from memcap.knobs import UserError
from memcap.studies import files
from memcap.studies.heartbeat import Beat, Running, beats, keys_of
from memcap.tracking.runs import named

COLUMNS = {
    "key": pl.String,
    "task": pl.String,
    "lag": pl.Int64,
    "units": pl.Int64,
    "seed": pl.Int64,
    "status": pl.String,
    "solved": pl.Boolean,
    "reason": pl.String,
    "finished": pl.Datetime("us", "UTC"),
}
LATER = "reason"  # which older tables lack


@dataclass(frozen=True)
class Failure:
    """A member that could not be trained, and why."""

    key: str
    name: str
    reason: str


@dataclass(frozen=True)
class Status:
    """How far a study is.

    Args:
        folder: the study's.
        done: members whose rows are kept and measure something; solved: how many of them are; diverged: how
            many of the others.
        failed: members that could not be trained, unless a job has them in hand again.
        running: members in training.
        waiting: members that a living job has yet to train; of a search at most.
        left_over: members that jobs which are gone set out to train, and that nobody has in hand.
        at_most: whether a search has a part in these numbers.
        a_minute: members that end in a minute, all living jobs together; None without any that ended.
        left: seconds to the end of the last living job; None if that is not known.
        longest: the members in training that have trained longest.
        jobs: all that is known of the study's jobs, the latest last.
        unfinished: those of them that are gone, and whose members failed or are in nobody's hand.
        unreadable: files of rows that cannot be read.
    """

    folder: Path
    done: int
    solved: int
    diverged: int
    failed: tuple[Failure, ...]
    running: int
    waiting: int
    left_over: int
    at_most: bool
    a_minute: float | None
    left: float | None
    longest: tuple[Running, ...]
    jobs: tuple[Beat, ...]
    unfinished: tuple[Beat, ...]
    unreadable: tuple[Path, ...]

    @property
    def members(self) -> int:
        """All that are known of."""
        return self.done + len(self.failed) + self.running + self.waiting + self.left_over


def studies(place: Path) -> list[Path]:
    """The folders of studies at or below a place.

    Raises:
        UserError: there is none.
    """
    if not place.is_dir():
        raise UserError(f"{place}: no such folder; give the folder of a study")
    found = [place] if _is_study(place) else sorted({p.parent for p in _marks(place) if _is_study(p.parent)})
    if not found:
        raise UserError(f"{place}: holds no study; train one first, as in: memcap train sweeps=first_study")
    return found


def _marks(place: Path) -> Iterable[Path]:
    return (path for name in ("rows", "jobs", "rows.parquet") for path in place.rglob(name))


def _is_study(folder: Path) -> bool:
    return any((folder / part).exists() for part in ("rows", "jobs", "rows.parquet"))


def status(folder: Path) -> Status:
    """How far the study in this folder is."""
    rows, unreadable = _rows(folder)
    said = dict(sorted(beats(folder).items(), key=lambda each: each[1].started))
    wanted = {token: keys_of(folder, token) for token in said}
    alive = {token: beat for token, beat in said.items() if beat.alive}
    gone = {token: beat for token, beat in said.items() if token not in alive and beat.ended != "done"}
    measured, broken = rows.filter(pl.col("status") != "failed"), rows.filter(pl.col("status") == "failed")
    done = frozenset(measured["key"])
    again = {
        key
        for key, finished in broken.select("key", "finished").iter_rows()
        if any(
            key in wanted[token] and finished < datetime.fromtimestamp(beat.started, UTC)
            for token, beat in alive.items()
        )
    }
    failed = tuple(
        Failure(key, named(*who), reason or "no reason given")
        for key, *who, reason in broken.select("key", "task", "lag", "units", "seed", "reason").iter_rows()
        if key not in again
    )
    ended = done | {each.key for each in failed}
    taken = frozenset().union(*(wanted[token] for token in alive))
    in_hand, left_over = _open(alive, wanted, ended), _open(gone, wanted, ended | taken)
    lost = {each.key for each in failed} | (
        frozenset().union(*(wanted[token] for token in gone)) - ended - taken
    )
    running = min(sum(beat.running for beat in alive.values()), in_hand)
    paces = [
        60 * beat.done / (beat.heard - beat.started)
        for beat in alive.values()
        if beat.done and beat.heard > beat.started
    ]
    left = [beat.left - beat.silent for beat in alive.values() if beat.left is not None]
    return Status(
        folder=folder,
        done=measured.height,
        solved=int(measured["solved"].sum()),
        diverged=measured.filter(pl.col("status") == "diverged", ~pl.col("solved")).height,
        failed=failed,
        running=running,
        waiting=in_hand - running,
        left_over=left_over,
        at_most=any(beat.searched for beat in (alive | gone).values()),
        a_minute=sum(paces) or None,
        left=max(0.0, *left) if left and len(left) == len(alive) else None,
        longest=tuple(
            sorted((each for beat in alive.values() for each in beat.longest), key=lambda each: -each.seconds)
        ),
        jobs=tuple(said.values()),
        unfinished=tuple(beat for token, beat in said.items() if token not in alive and wanted[token] & lost),
        unreadable=unreadable,
    )


def _open(jobs: dict[str, Beat], wanted: dict[str, frozenset[str]], ended: frozenset[str]) -> int:
    """How many members these jobs have yet to train. A search says so itself, as it does not want all that it
    may ask for."""
    keys = frozenset().union(*(wanted[token] for token, beat in jobs.items() if not beat.searched))
    return len(keys - ended) + sum(
        min(beat.to_come, len(wanted[token] - ended)) for token, beat in jobs.items() if beat.searched
    )


def _rows(folder: Path) -> tuple[pl.DataFrame, tuple[Path, ...]]:
    """What matters here of a study's rows, the latest of each key, and the files that cannot be read."""
    tables, unreadable = [pl.DataFrame(schema=COLUMNS)], []
    for path in [*folder.glob("rows.parquet"), *sorted(folder.glob("rows/*.parquet"))]:
        try:
            with files.open_regular(path) as file:
                content = BytesIO(file.read())
            files.check(content)
            wanted = [name for name in COLUMNS if name != LATER or name in pl.read_parquet_schema(content)]
            table = pl.read_parquet(content, columns=wanted)
            reason = pl.lit(None).alias(LATER) if LATER not in wanted else pl.col(LATER)
            tables.append(
                table.with_columns(reason).select(pl.col(name).cast(kind) for name, kind in COLUMNS.items())
            )
        except (Exception, pl.exceptions.PanicException):  # whatever Rust makes of what is no table
            unreadable.append(path)
    rows = (
        pl.concat(tables)
        .sort("finished", maintain_order=True)
        .unique("key", keep="last", maintain_order=True)
    )
    return rows, tuple(unreadable)
