"""A follower of a study's folder: it finds new rows, curves and heartbeats. It only
reads, and needs no JAX."""

import contextlib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import polars as pl

from memcap.store import curves, files, heartbeat, rows, shards
from memcap.store.files import BadFileError, State
from memcap.store.heartbeat import Heartbeat


class News(NamedTuple):
    """New things in a folder."""

    rows: (
        pl.DataFrame
    )  # of members that have ended, one per key, as in `memcap.store.rows.SCHEMA`
    earlier: (
        pl.DataFrame
    )  # rows of other commands at the first look; none if all commands are followed
    # by key, with the columns of `memcap.store.curves.SCHEMA`: whole for the members of
    # `rows`, so far for members in training
    curves: dict[str, pl.DataFrame]
    members: (
        pl.DataFrame
    )  # that jobs may train, as in `memcap.store.heartbeat.MEMBERS`, and `study`
    over: bool  # whether no job trains any more, so that nothing more will come


class Follower:
    """A reader that looks into a study's folder, which need not exist yet, or into one
    file of rows, again and again. It follows the jobs of one command's session; None:
    of all commands, as for a file.

    A file that is replaced while it is read, or cannot be read, is tried again the next time.
    """

    def __init__(self, place: Path, session: str | None = None):
        self.place = place
        self.folder = place.parent if place.is_file() else place
        self.session = None if place.is_file() else session
        self.bad: dict[
            Path, str
        ] = {}  # files that could not be read last time, and why
        self._states: dict[Path, State] = {}  # states of the files when they were read
        self._places: dict[
            str, list[Any]
        ] = {}  # place in `PREFERENCE` of reported rows, by key
        self._jobs: set[str] = set()  # tokens of jobs whose members were reported
        self._earlier: pl.DataFrame | None = None if self.session else rows.frame([])

    def poll(self) -> News:
        """Look into the folder again, and return what is new."""
        heartbeats = {
            token: each
            for token, each in heartbeat.read(self.folder).items()
            if self._follows(token)
        }
        alive = [
            token for token, each in heartbeats.items() if each.alive
        ]  # must come before rows are read
        if self._earlier is None:
            self._earlier = self._rows_of_others()
        members = self._members(heartbeats)
        new_rows, lines = self._rows_and_curves(over=not alive)
        lines |= {
            key: each
            for key, each in self._running(alive).items()
            if key not in self._places
        }
        return News(new_rows, self._earlier, lines, members, not alive)

    def _follows(self, name: str) -> bool:
        """Return whether a token, or a shard's name, belongs to a job that is followed."""
        return self.session is None or shards.session_of(name) == self.session

    def _members(self, heartbeats: dict[str, Heartbeat]) -> pl.DataFrame:
        tables = [pl.DataFrame(schema={**heartbeat.MEMBERS, "study": pl.String})]
        for token in heartbeats.keys() - self._jobs:
            table = heartbeat.read_members(self.folder, token)
            if not table.is_empty():
                self._jobs.add(token)
                tables.append(table.with_columns(study=pl.lit(heartbeats[token].study)))
        return (
            pl.concat(tables)
            .filter(pl.col("config").is_not_null())
            .unique("key", maintain_order=True)
        )

    def _rows_of_others(self) -> pl.DataFrame:
        tables = []
        for path in shards.paths(self.place, below=False):
            if not self._follows(path.stem):
                with contextlib.suppress(BadFileError):
                    tables.append(shards.read_file(path))
        return rows.without_failed(rows.one_per_key(tables))

    def _rows_and_curves(
        self, over: bool
    ) -> tuple[pl.DataFrame, dict[str, pl.DataFrame]]:
        tables: list[pl.DataFrame] = []
        lines: dict[str, pl.DataFrame] = {}
        for path in filter(
            lambda path: self._follows(path.stem), shards.paths(self.place, below=False)
        ):
            try:
                state = files.state_of(path)
                if self._states.get(path) == state:
                    continue
                table = self._new_of(shards.read_file(path))
                lines |= self._curves_of(table, over)
            except BadFileError as error:
                self.bad[path] = str(error)
                continue
            self.bad.pop(path, None)
            self._states[path] = state
            self._places |= {
                key: place
                for key, *place in table.select("key", *rows.PREFERENCE).iter_rows()
            }
            tables.append(table)
        return rows.one_per_key(tables), lines

    def _new_of(self, table: pl.DataFrame) -> pl.DataFrame:
        """Return the rows of a file that are unknown, or that replace known ones."""
        places = table.select("key", *rows.PREFERENCE).iter_rows()
        new = [
            key not in self._places or place > self._places[key]
            for key, *place in places
        ]
        return table.filter(pl.Series(new, dtype=pl.Boolean))

    def _curves_of(self, table: pl.DataFrame, over: bool) -> dict[str, pl.DataFrame]:
        """Return the curves of rows, by key: those written with the row's shard, or the
        folded ones. Raise BadFileError if they cannot be read now, but perhaps the next
        time."""
        folded = self.folder / "curves.parquet"
        by_path: dict[Path, list[str]] = {}
        for key, name in table.select("key", "population").iter_rows():
            path = self.folder / "curves" / f"{name}.parquet"
            by_path.setdefault(path if path.exists() else folded, []).append(key)
        lines: dict[str, pl.DataFrame] = {}
        for path, keys in by_path.items():
            try:
                lines |= _by_key(
                    curves.read_file(path).filter(pl.col("key").is_in(keys))
                )
            except BadFileError as error:
                if isinstance(error.__cause__, FileNotFoundError):
                    continue
                if not over:
                    raise
                self.bad[path] = str(error)
        return lines

    def _running(self, tokens: Iterable[str]) -> dict[str, pl.DataFrame]:
        """Return the curves of members in training that have changed, by key."""
        lines: dict[str, pl.DataFrame] = {}
        for token in tokens:
            path = curves.running_path(self.folder, token)
            with contextlib.suppress(BadFileError):
                state = files.state_of(path)
                if self._states.get(path) != state:
                    lines |= _by_key(curves.read_file(path))
                    self._states[path] = state
        return lines


def _by_key(table: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """Return the lines of each member by key, in the order of their steps."""
    lines = table.unique(["key", "step"], keep="last", maintain_order=True).sort(
        "key", "step"
    )
    return {
        str(key): part
        for (key,), part in lines.partition_by("key", as_dict=True).items()
    }
