"""Sends what a study's folder holds and no service has yet. It only reads."""

import json
import threading
import time
from collections.abc import Collection
from operator import attrgetter
from pathlib import Path
from typing import Self

import polars as pl

from memcap import store
from memcap.frontiers.frontier import columns, frontier
from memcap.knobs import UserError
from memcap.own.losses import loss_curves
from memcap.own.words import as_dict
from memcap.runtime import signals
from memcap.store import curves, files, heartbeat, rows, shards
from memcap.store.columns import Row
from memcap.store.curves import Points
from memcap.store.shards import Study
from memcap.terminal.words import Waiting, plural, warn_once
from memcap.tracking.runs import (
    Entry,
    Run,
    entry,
    frontier_so_far,
    is_by_loss,
    run_of_member,
    run_of_study,
)
from memcap.tracking.services import Sender
from memcap.tracking.settings import Tracking

SECONDS_BETWEEN_POINTS = 10.0  # in the study's run
POINTS_AT_ONCE = 10  # of a member in training
SECONDS_BETWEEN_LOOKS = 3.0
SECONDS_AT_THE_END = 50.0  # in which the rest is sent
SECONDS_WHEN_INTERRUPTED = 0.5
SECONDS_BETWEEN_SIGNALS = 0.1
# Columns of rows that the config of a member's run has, too.
ENVIRONMENT = (
    "study",
    "git_commit",
    "memcap",
    "python",
    "jax",
    "jaxlib",
    "flax",
    "optax",
)
SEEN = ["key", "finished"]  # of a row that was read


class Mirror:
    """Sends a study's folder, which need not exist yet, or one file of rows.

    Args:
        settings: the knobs of tracking.
        study: the study; without a session, of all commands.
        members: members that may come, with columns of
            `memcap.store.heartbeat.MEMBERS`.
    """

    def __init__(
        self, settings: Tracking, study: Study, members: pl.DataFrame | None = None
    ):
        for name in ("project", "entity"):
            if getattr(settings, name) == "":  # W&B would silently use the default
                raise UserError(f"tracking.{name}: is empty; name one, or leave it out")
        assert study.folder is not None
        self.settings = settings
        self.study = study.name
        self.command = settings.command(study.folder)  # that sends the folder by hand
        self.place = study.folder.absolute()  # even if the job changes its folder
        self.folder = self.place.parent if self.place.is_file() else self.place
        self.session = study.session
        self.trained_by = study.command  # a command; by hand that of the last job
        self.sender = Sender(settings, study.name, self.folder)
        self.jobs: set[str] = set()  # tokens of jobs whose members are known
        self.live: list[str] = []  # tokens of the session's jobs that train
        self.others_train = False  # whether jobs of other sessions do
        self.members: dict[str, Entry] = {}  # by key
        self.seen = rows.frame([]).select(SEEN)
        self.started = self.last_point = time.monotonic()
        if members is not None:
            self._expect(members)

    def send(self, last: bool = False) -> None:
        """Send what was not sent yet; `last`: nothing more will come."""
        self._look()
        is_news = self._send_ended()
        if not last:
            is_news |= self._send_running()
        if is_news:
            self._send_progress()

    def finish(self, with_results: bool = True) -> str:
        """Send the rest, with results unless another command trains on, end all runs,
        and return where to find them."""
        self.send(last=True)
        if with_results and self.ended and not self.others_train:
            self._send_results()
        return self.sender.close()

    def left(self, has_results: bool = False) -> str:
        """Return a line on what was not sent, with the command that sends it; or ""."""
        self._look()
        count = sum(member.is_unsent for member in self.ended)
        if not (count or has_results):
            return ""
        what = plural(count, "member")
        return f"tracking: {what} and the results were not sent; this sends them: {self.command}"

    @property
    def ended(self) -> list[Entry]:
        return [member for member in self.members.values() if member.row]

    def _is_ours(self, name: str) -> bool:
        return not self.session or shards.session_of(name) == self.session

    def _look(self) -> None:
        if not self.place.exists():
            return
        jobs = [
            job
            for job in heartbeat.read(self.folder).values()
            if job.study == self.study
        ]
        alive = [job.token for job in jobs if job.alive]
        self.live = list(filter(self._is_ours, alive))
        self.others_train = len(self.live) < len(alive)
        for job in sorted(jobs, key=attrgetter("started")):
            token = job.token
            self.trained_by = self.trained_by if self.session else job.command
            if token not in self.jobs and (self._is_ours(token) or job.alive):
                self.jobs.add(token)
                self._expect(heartbeat.read_members(self.folder, token))
        tables, _ = shards.read_files(self.place, below=False)
        news = [table.join(self.seen, SEEN, "anti") for table in tables.values()]
        self.seen = pl.concat([self.seen, *(table.select(SEEN) for table in news)])
        for row in shards.merge(news).filter(study=self.study).iter_rows(named=True):
            member = self._member(row)
            member.row = row
            member.is_unsent = self._is_ours(row["population"])

    def _expect(self, members: pl.DataFrame) -> None:
        for line in members.iter_rows(named=True):
            self._member(line)

    def _member(self, line: Row) -> Entry:
        key = line["key"]
        if key not in self.members:
            self.members[key] = entry(line)
        return self.members[key]

    def _send_ended(self) -> bool:
        """Send members that have ended; return whether any had."""
        ended = [member for member in self.ended if member.is_unsent]
        curves_of = self._read_ended(ended)
        for member in ended:
            run = run_of_member(
                member, {name: member.row[name] for name in ENVIRONMENT}
            )
            row = json.loads(json.dumps(member.row, default=str))
            points = _after(member.step, curves_of.get(member.key, {}))
            self.sender.call("send", run, points, row)
            member.is_unsent = not self.sender.works
        return bool(ended)

    def _send_running(self) -> bool:
        """Send new points of members in training; return whether any came."""
        paths = [curves.running_path(self.folder, token) for token in self.live]
        running = [member for member in self.members.values() if not member.row]
        curves_of = _read_points(paths, running)
        for key, points in curves_of.items():
            member = self.members[key]
            if new := _after(member.step, points):
                few = curves.thin(new, POINTS_AT_ONCE)
                self.sender.call("send", run_of_member(member), few)
                member.step = max(few)
        return bool(curves_of)

    def _read_ended(self, members: Collection[Entry]) -> dict[str, Points]:
        paths = {self.folder / "curves.parquet"}
        for name in {member.row["population"] for member in members}:
            paths.update(self.folder.glob(f"curves/{name}.*parquet"))
        return _read_points(paths, members)

    def _send_progress(self, is_due: bool = False) -> None:
        """Add a point to the study's run, if there was none lately and nobody else
        does."""
        now = time.monotonic()
        is_due |= now - self.last_point > SECONDS_BETWEEN_POINTS
        ended = self.ended
        if self.others_train or not is_due or not ended:
            return
        values = {"study/seconds": now - self.started, "study/done": len(ended)}
        if not all(is_by_loss(member.row) for member in ended):
            values["study/solved"] = sum(bool(member.row["solved"]) for member in ended)
        self.last_point = now
        values |= frontier_so_far(ended)
        self.sender.call("show", self._study_run(), values)

    def _send_results(self) -> None:
        rows = store.read(self.place).filter(study=self.study)
        table = [
            {"file": curve["file"], **width}
            for curve in map(as_dict, loss_curves(rows))
            for width in curve["widths"]
        ]
        name = "held_out" if table else "frontier"
        figure = self.folder / "figures" / f"{name}.png"
        table = table or [columns(point) for point in frontier(rows)]
        self._send_progress(is_due=True)
        self.sender.call("show_results", self._study_run(), table, figure)

    def _study_run(self) -> Run:
        last = max(self.ended, key=lambda member: member.row["finished"])
        return run_of_study(
            self.study,
            self.members.values(),
            command=self.trained_by,
            git_commit=last.row["git_commit"],
        )


def _after(step: int, points: Points) -> Points:
    return {other: values for other, values in points.items() if other > step}


def _read_points(
    paths: Collection[Path], members: Collection[Entry]
) -> dict[str, Points]:
    if not members:
        return {}
    tables, _ = files.read_all(paths, curves.read_file)  # they are only to look at
    metrics = {member.key: member.metric for member in members}
    lines = pl.concat([pl.DataFrame(schema=curves.SCHEMA), *tables.values()])
    lines = lines.filter(pl.col("key").is_in(list(metrics))).unique(["key", "step"])
    by_key = lines.sort("step").group_by("key", maintain_order=True)
    return {key: curves.points(part, metrics[key]) for (key,), part in by_key}


class Tracker:
    """A context manager that sends a study's folder while jobs train, and the rest at
    its end. A service that hangs is left behind with its thread."""

    def __init__(self, settings: Tracking, study: Study, members: pl.DataFrame):
        self.where = ""  # once it has ended: where to find the runs, in one line
        self._mirror = Mirror(settings, study, members)
        self._over = threading.Event()
        self._with_results = True
        self._thread = threading.Thread(
            target=self._follow, name="memcap-tracking", daemon=True
        )
        self._thread.start()

    def _follow(self) -> None:
        try:
            while not self._over.wait(SECONDS_BETWEEN_LOOKS):
                self._mirror.send()
            self.where = self._mirror.finish(self._with_results)
        except Exception as error:  # of the folder: training goes on
            warn_once(f"tracking does not work and is left: {error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: object
    ) -> None:
        """Wait until all is sent, but only half a second after an interrupt, and not
        after a user's mistake."""
        is_mistake = kind is not None and issubclass(kind, SystemExit)
        is_interrupted = kind is not None and not issubclass(kind, Exception)
        seconds = SECONDS_WHEN_INTERRUPTED if is_interrupted else SECONDS_AT_THE_END
        self._with_results = not is_interrupted
        self._over.set()
        self._wait(0 if is_mistake else seconds)
        self._mirror.sender.works = False
        note = self._mirror.left(has_results=self._thread.is_alive())
        if note and not is_mistake:
            warn_once(note)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with Waiting("sending the last results (Ctrl-C ends this), a minute at most"):
            while self._thread.is_alive() and (now := time.monotonic()) < end:
                if signals.pending():
                    end = min(end, now + SECONDS_WHEN_INTERRUPTED)
                self._thread.join(SECONDS_BETWEEN_SIGNALS)
