"""The mirror: follows a study's folder and sends what is new to a tracking service.

It runs beside the job that trains (`memcap.tracking.process`), or by hand, long after it.
"""

import contextlib
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import polars as pl

from memcap.config.knobs import UserError
from memcap.runtime import plugins
from memcap.store import curves, heartbeat
from memcap.store.columns import columns_of, task_of
from memcap.store.curves import Points
from memcap.store.follow import Follower, News
from memcap.terminal.printing import member_name
from memcap.tracking import trackio_service, wandb_service
from memcap.tracking.report import OFFLINE, ONLINE, TRACKIO, Report
from memcap.tracking.runs import (
    Entry,
    Run,
    SeedGroup,
    Target,
    frontier_so_far,
    is_by_loss,
    of_members,
    plain,
    quantiles,
    run_of_agent,
    run_of_member,
    run_of_seeds,
    summary_of,
)

SECONDS_BETWEEN_POLLS = 1.0
SECONDS_BETWEEN_POINTS = (
    10.0  # in the study's run; live curves come as often, see `memcap.store.curves`
)
# Seconds that a member trains before its curve is streamed, including those before the
# job writes the curve at all.
STREAM_AFTER = 30.0
POINTS_AT_ONCE = 10  # that a live curve sends at a time
# With more members, groups of seeds have runs instead. A project of W&B holds some
# 10,000 runs, but a run costs some 20 ms, and there may be only seconds to write them
# if members train as fast.
MOST_MEMBER_RUNS = 300


class Service(Protocol):
    """A tracking service, made from a `memcap.tracking.runs.Target`.

    It may be slow. If it raises anything, it is no longer used, with one warning.
    """

    def run(self, run: Run, points: Points, row: dict[str, Any] | None) -> None:
        """Add points to a run, by step; with `row` the run has ended."""

    def progress(self, values: dict[str, float]) -> None:
        """Add a point to the study's run."""

    def result(self, table: list[dict[str, Any]], image: Path | None) -> None:
        """Show a table, a dict per row, and a picture (PNG) in the study's run."""

    def close(self) -> str:
        """End all runs. Return in one line where to find them."""


def services(target: Target) -> Iterator[tuple[str, Callable[[], Service]]]:
    """Yield the services to try, with their names, the best first. W&B offline comes
    after online."""
    if target.service == TRACKIO:
        yield TRACKIO, lambda: trackio_service.TrackioService(target)
    elif target.service != "wandb":
        make = plugins.import_object(target.service, "tracking")
        yield target.service, lambda: make(target)
    else:
        mode = wandb_service.chosen_mode(target.mode)
        if mode == "online":
            yield (
                ONLINE,
                lambda: wandb_service.WandbService(replace(target, mode="online")),
            )
        yield (
            OFFLINE,
            lambda: wandb_service.WandbService(replace(target, mode="offline")),
        )


class Sender:
    """Calls the first of several services that works.

    A service that raises is no longer used, with one warning, and the next one gets the
    call that failed; after the last one nothing more is sent. Without the path of a
    report warnings are printed.
    """

    def __init__(self, target: Target, path: Path | None = None):
        self.report = Report({"wandb": "W&B"}.get(target.service, target.service))
        self.path = path
        self.works = True
        self.agent = target.agent
        self.target = target
        self._services: Iterator[tuple[str, Callable[[], Service]]] | None = None
        self._service: Service | None = None

    def describe(self, study: Run) -> None:
        """Set the study's run, before any service is called."""
        self.target = replace(self.target, study=study)

    def send(self, call: Callable[[Service], Any], count: int = 0) -> None:
        """Call a service; if this works, it has `count` more members and results."""
        while self.works:
            try:
                self._services = self._services or services(self.target)
                if self._service is None:
                    name, make = next(self._services)
                    self._note(service=name)
                    self._service = make()
                call(self._service)
            except StopIteration:
                self.works = False
            except (Exception, SystemExit) as error:
                self._service = None
                self._warn(" ".join(str(error).split()) or type(error).__name__)
            else:
                if count:
                    self._note(sent=self.report.sent + count)
                return

    def close(self, left: int) -> Report:
        """End all runs. Return the report, with the number of members and results that
        were not sent."""
        places = [""]
        if self._service is not None:
            self.send(lambda service: places.append(service.close()))
        self._note(where=places[-1], left=left)
        return self.report

    def _warn(self, why: str) -> None:
        line = f"{self.report.service} does not work and is left: {why}"
        if self.path is None:
            print(line, file=sys.stderr)
        self._note(warnings=(*self.report.warnings, line))

    def _note(self, **values: Any) -> None:
        self.report = replace(self.report, **values)
        if self.path is not None:
            with contextlib.suppress(
                OSError
            ):  # if the disk is full, go on sending without a report
                self.report.write(self.path)


class _Live:
    """A curve in training: since when it is known, and the last step that was sent."""

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.last = -1

    def new_points(self, curve: Points, most: int = curves.MOST_POINTS) -> Points:
        """Return the points that were not sent yet, thinned. If a member began again,
        its curve continues from where it was."""
        points = curves.thin(
            {step: values for step, values in curve.items() if step > self.last}, most
        )
        self.last = max(points, default=self.last)
        return points


class StudyMirror:
    """The mirror of one study: sends its members as their rows and curves come.

    Args:
        sender: takes runs.
        study: the study's name.
        runs: "member", "seeds" (a run for each group of members that differ only in the
            seed), or "auto": seeds if it starts with more than `MOST_MEMBER_RUNS`
            members. If it has fewer but the folder has more, it may have only parts of
            groups; then members are left to a mirror of the whole folder.
        command: the command that trains it, if known; git_commit: commit of its code.
            None: that of its rows.
    """

    def __init__(
        self,
        sender: Sender,
        study: str,
        runs: str,
        command: str = "",
        git_commit: str | None = None,
    ):
        self.sender = sender
        self.study = study
        self.runs = runs
        self.command = command
        self.git_commit = git_commit
        self.ended = 0  # number of members and results to send
        self._members: dict[
            str, Entry
        ] = {}  # members that may come; by key, like the next two
        self._rows: dict[
            str, dict[str, Any]
        ] = {}  # rows of ended members, also of earlier commands
        self._live: dict[str, _Live] = {}
        self._too_many = False
        self._single: Entry | None = (
            None  # its run is that of the agent that started the command
        )
        self._groups: dict[
            str, SeedGroup
        ] = {}  # groups that were not sent, by the run's id
        self._started = self._last_point = time.monotonic()  # of the study's run
        self._trained = 0  # members that have ended since its last point

    def update(self, news: News) -> None:
        """Send what is new of this study."""
        ended = news.rows.select("key", "config", "metric")
        self.git_commit = self.git_commit or next(
            filter(None, news.rows["git_commit"]), None
        )
        self._expect(
            [*ended.iter_rows(named=True), *news.members.iter_rows(named=True)],
            news.earlier,
        )
        for key in news.curves.keys() - set(ended["key"]):
            if key in self._members:
                self._stream(self._members[key], news.curves[key])
        for row in news.rows.iter_rows(named=True):
            self._end(self._members[row["key"]], row, news.curves.get(row["key"]))
        if len(ended) or news.curves:
            self._progress()

    def _expect(self, rows: Sequence[Mapping[str, Any]], earlier: pl.DataFrame) -> None:
        """Record which members may come, before they come, and which of them ended in
        an earlier command."""
        new = {row["key"]: row for row in rows if row["key"] not in self._members}
        if not new:
            return
        members = {key: _entry(row) for key, row in new.items()}
        there = earlier.filter(pl.col("key").is_in(list(new))).iter_rows(named=True)
        rows_there = {row["key"]: plain(row) for row in there}
        if not self._members:
            if self.runs == "auto" and len(new) > MOST_MEMBER_RUNS:
                self.runs = "seeds"
            if self.sender.agent is not None and len(new) == 1:
                (self._single,) = members.values()
            about = self.study, self.command, self.git_commit
            self.sender.describe(
                of_members(self.sender.target.study, *about, members.values())
            )
            for config in earlier["config"] if self.runs == "seeds" else ():
                self._group_of(Entry("", "", json.loads(config), "")).is_partial = True
        self._members |= members
        self._rows |= rows_there
        self._too_many = (
            len(self._members.keys() | set(earlier["key"])) > MOST_MEMBER_RUNS
        )
        for key, member in members.items():
            self._group_of(member).to_come += key not in rows_there
        if (
            self._single is not None and self._single.key in rows_there
        ):  # the agent still waits for its run
            self.ended += 1
            self._send_run(self._single, {}, rows_there[self._single.key])

    def _group_of(self, member: Entry) -> SeedGroup:
        run = run_of_seeds(member, self.study)
        return self._groups.setdefault(run.id, SeedGroup(run))

    @property
    def left(self) -> int:
        """Return the number of members and results that were not sent."""
        return self.ended - self.sender.report.sent

    def finish(
        self, table: list[dict[str, Any]] | None = None, image: Path | None = None
    ) -> Report:
        """Send the groups that still wait and the results of the whole study, its
        frontier (a dict per row) and its figure, if known, and end all runs."""
        for group in list(
            self._groups.values()
        ):  # a search may have wanted no more of their seeds
            self._send_group(group)
        agent = self.sender.agent
        rows = list(self._rows.values())
        if agent is not None and self._single is None and rows:
            run = run_of_agent(agent)
            summary = summary_of(rows) | self._frontier()
            self.ended += 1
            self.sender.send(lambda service: service.run(run, {}, summary), 1)
        if table is not None:
            self.ended += 1
            self._progress(at_once=True)
            self.sender.send(lambda service: service.result(table, image), 1)
        return self.sender.close(self.left)

    def _has_run(self, member: Entry) -> bool:
        """Return whether a member has a run of its own.

        It has none if groups have runs, or if there are too many members and perhaps
        only parts of groups here.
        """
        return member == self._single or (
            self.runs != "seeds" and not (self.runs == "auto" and self._too_many)
        )

    def _stream(self, member: Entry, lines: pl.DataFrame) -> None:
        if not self._has_run(member):
            return
        live = self._live.setdefault(member.key, _Live())
        if time.monotonic() - live.since >= STREAM_AFTER - curves.RUNNING_AFTER:
            points = live.new_points(
                curves.points(lines, member.metric), POINTS_AT_ONCE
            )
            if points:
                self._send_run(member, points, None)

    def _send_run(
        self, member: Entry, points: Points, row: dict[str, Any] | None
    ) -> None:
        agent = self.sender.agent if member == self._single else None
        run = run_of_member(member) if agent is None else run_of_agent(agent, member)
        self.sender.send(lambda service: service.run(run, points, row), row is not None)

    def _end(
        self, member: Entry, row: dict[str, Any], lines: pl.DataFrame | None
    ) -> None:
        curve = {} if lines is None else curves.points(lines, member.metric)
        is_new = member.key not in self._rows
        self.ended = self.ended + 1
        self._trained = self._trained + is_new
        self._rows[member.key] = row = plain(row)
        if self._has_run(member):
            points = self._live.pop(member.key, _Live()).new_points(curve)
            self._send_run(member, points, row)
        elif self.runs == "seeds" and is_new:
            group = self._group_of(member)
            group.rows.append(row)
            group.curves.append(curves.thin(curve))
            group.to_come -= 1
            if not group.to_come:
                self._send_group(group)

    def _send_group(self, group: SeedGroup) -> None:
        """Send the run of a group of seeds, unless only part of the group is here."""
        del self._groups[group.run.id]
        if group.rows and not group.is_partial:
            points = quantiles(group.curves)
            summary = summary_of(group.rows)
            self.sender.send(
                lambda service: service.run(group.run, points, summary), len(group.rows)
            )

    def _progress(self, at_once: bool = False) -> None:
        """Add a point to the study's run, if there was none lately."""
        now = time.monotonic()
        seconds = now - self._last_point
        if not at_once and seconds <= SECONDS_BETWEEN_POINTS:
            return
        values = {
            "study/seconds": now - self._started,
            "study/done": len(self._rows),
            "study/members_a_second": self._trained / max(seconds, 1e-3),
        } | self._frontier()
        rows = self._rows.values()
        if not rows or not all(map(is_by_loss, rows)):
            values["study/solved"] = sum(bool(row["solved"]) for row in rows)
        self._last_point = now
        self._trained = 0
        self.sender.send(lambda service: service.progress(values))

    def _frontier(self) -> dict[str, float]:
        return frontier_so_far(
            (self._members[key], row) for key, row in self._rows.items()
        )


def _entry(row: Mapping[str, Any]) -> Entry:
    """Return the member of a line of `News`; a row's name follows from its config."""
    config = json.loads(row["config"])
    return Entry(row["key"], row.get("name") or _name(config), config, row["metric"])


def _name(config: dict[str, Any]) -> str:
    columns = columns_of(config)
    where = columns["lag"], columns["units"], config["seed"]
    try:
        return heartbeat.long_name(task_of(columns["task"], columns["knobs"]), *where)
    except UserError:  # its task cannot be imported here
        return member_name(columns["task"], *where)


def mirror(
    follower: Follower,
    make: Callable[[str], StudyMirror | None],
    ends: Callable[[], bool] | None,
    wait: Callable[[], Any],
    members: pl.DataFrame | None = None,
) -> dict[str, StudyMirror]:
    """Send what is in a folder, and what comes, until the end.

    Args:
        follower: of the folder.
        make: makes the mirror of a study, given its name; returns None for a study that
            is not wanted.
        ends: tells whether the next look is the last one; called before each look.
            None: look until no job trains.
        wait: called between two looks.
        members: members that may come, like those of `memcap.store.follow.News`.

    Returns:
        The mirrors of the studies in the folder, by name; none of them is finished.
    """
    mirrors: dict[str, StudyMirror] = {}
    while True:
        last = ends is not None and ends()
        news = follower.poll()
        if members is not None:
            news = news._replace(members=pl.concat([members, news.members]))
            members = None
        for study in dict.fromkeys([*news.members["study"], *news.rows["study"]]):
            if study not in mirrors and (made := make(study)) is not None:
                mirrors[study] = made
        for study, each in mirrors.items():
            rows = news.rows.filter(study=study)
            new_members = news.members.filter(study=study)
            each.update(news._replace(rows=rows, members=new_members))
        if last or (ends is None and news.over):
            return mirrors
        wait()
