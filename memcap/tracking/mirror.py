"""The mirror of a study: sends what its folder holds and no service has yet. It only reads."""

import contextlib
import itertools
import json
import math
import os
import time
from collections.abc import Collection
from pathlib import Path
from typing import Any

import polars as pl

from memcap import store
from memcap.frontiers.frontier import columns, frontier
from memcap.own.losses import loss_curves
from memcap.own.words import as_dict
from memcap.store import curves, heartbeat, rows, shards
from memcap.store.curves import Points
from memcap.store.files import BadFileError
from memcap.terminal.words import plural
from memcap.tracking.runs import (
    Entry,
    Run,
    entry,
    frontier_so_far,
    is_by_loss,
    quantiles,
    run_of_agent,
    run_of_member,
    run_of_seeds,
    run_of_study,
    summary_of,
)
from memcap.tracking.services import Sender, wandb_agent
from memcap.tracking.settings import Tracking

SECONDS_BETWEEN_POINTS = 10.0  # in the study's run
POINTS_AT_ONCE = 10  # of a member in training
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
# With more members, groups of seeds have runs instead. A project of W&B holds some
# 10,000 runs, but a run costs some 20 ms, and there may be only seconds to write them
# if members train as fast.
MOST_MEMBER_RUNS = 300


class Mirror:
    """Sends a study's folder, which need not exist yet, or one file of rows.

    Args:
        settings: the knobs of tracking. study: the study's name. place: its folder.
        session: the command whose members are sent; "": all commands.
        command: its command line; "": the last one in the folder.
        members: members that may come, with the columns of
            `memcap.store.heartbeat.MEMBERS`, as far as they are known.
    """

    def __init__(
        self,
        settings: Tracking,
        study: str,
        place: Path,
        session: str = "",
        command: str = "",
        members: pl.DataFrame | None = None,
    ):
        self.settings = settings
        self.study = study
        self.place = place
        self.folder = place.parent if place.is_file() else place
        self.session = session
        self.commands = {session: command}  # by session
        self.agent = wandb_agent() if settings.mode == "wandb" else None
        self.sender = Sender(settings, study, self.folder.absolute())
        self.jobs: set[str] = set()  # tokens of jobs whose members are known
        self.live: list[str] = []  # tokens of the session's jobs that train
        self.others_train = False  # whether jobs of other sessions do
        self.members: dict[str, Entry] = {}  # by key
        self.seen = rows.frame([]).select(SEEN)
        self.started = self.last_point = time.monotonic()
        self.counted = 0  # ended members at the last point
        if members is not None:
            self._expect(members, is_ours=True)

    def send(self, last: bool = False) -> None:
        """Send what was not sent yet; `last`: as if nothing more will come."""
        self._look()
        most = {"auto": MOST_MEMBER_RUNS, "member": math.inf, "seeds": 0}
        by_seeds = len(self.members) > most[self.settings.runs]
        groups = self._whole_groups(last) if by_seeds else []
        single = {self.single} if by_seeds else ()
        singles = [
            member
            for member in self.members.values()
            if not by_seeds or member in single
        ]
        ended = [member for member in singles if member.is_unsent]
        points = self._points([*ended, *itertools.chain(*groups)])
        for member in ended:
            row = json.loads(json.dumps(member.row, default=str))
            self._send_member(member, points.get(member.key, {}), row)
        for group in groups:
            curve = quantiles([points.get(member.key, {}) for member in group])
            self._send(
                group, run_of_seeds(group[0], self.study), curve, _summary(group)
            )
        live = {} if last else self._live_points()
        for member in singles:
            if member.key in live:
                self._send_member(member, live[member.key])
        if ended or groups or live:
            self._send_progress()

    def finish(self, with_results: bool = True) -> str:
        """Send the rest, with the results of the whole study unless another command
        trains on, and end all runs. Return in one line where to find them."""
        self.send(last=True)
        ours = [member for member in self.ended if member.is_ours]
        if self.agent and ours and self.single is None:
            summary = _summary(ours) | frontier_so_far(ours)
            self._send([], run_of_agent(self.agent, ours), {}, summary)
        if with_results and self.ended and not self.others_train:
            self._send_results()
        return self.sender.close()

    def left(self, folder: Path, has_results: bool = False) -> str:
        """Return a line that counts what was not sent, with the command that sends it;
        "" if nothing is left."""
        self._look()
        count = sum(member.is_unsent for member in self.ended)
        if not (count or has_results):
            return ""
        by_hand = self.settings.command(folder)
        if self.agent:  # otherwise its run would stay as it is
            ids = f"WANDB_SWEEP_ID={self.agent.sweep} WANDB_RUN_ID={self.agent.id}"
            by_hand = f"{ids} {by_hand}"
        what = plural(count, "member")
        return f"tracking: {what} and the results were not sent; this sends them: {by_hand}"

    @property
    def ended(self) -> list[Entry]:
        """The members with rows."""
        return [member for member in self.members.values() if member.row]

    @property
    def single(self) -> Entry | None:
        """The member whose run is the agent's."""
        if self.agent is None:
            return None
        ours = [member for member in self.members.values() if member.is_ours]
        return ours[0] if len(ours) == 1 else None

    def _is_ours(self, name: str) -> bool:
        return not self.session or shards.session_of(name) == self.session

    def _look(self) -> None:
        """Read what is new: lists of members, and rows."""
        if not self.place.exists():
            return
        beats = heartbeat.read(self.folder)
        beats = {
            token: beat for token, beat in beats.items() if beat.study == self.study
        }
        ours = set(filter(self._is_ours, beats))
        alive = {token for token, beat in beats.items() if beat.alive}
        self.live = sorted(alive & ours)
        self.others_train = not alive <= ours
        for token in (alive | ours) - self.jobs:
            members = heartbeat.read_members(self.folder, token)
            self._expect(members, token in ours)
            self.jobs.add(token)
        for token, beat in sorted(beats.items(), key=lambda item: item[1].started):
            self.commands[shards.session_of(token)] = beat.command or ""
        tables, _ = shards.read_files(self.place, below=False)
        news = [table.join(self.seen, SEEN, "anti") for table in tables.values()]
        self.seen = pl.concat([self.seen, *(table.select(SEEN) for table in news)])
        single = self.single
        for row in shards.merge(news).filter(study=self.study).iter_rows(named=True):
            is_ours = self._is_ours(row["population"])
            member = self._expect_one(row, is_ours)
            member.row = row
            member.is_unsent = is_ours or member is single

    def _expect(self, members: pl.DataFrame, is_ours: bool) -> None:
        for line in members.drop_nulls("config").iter_rows(named=True):
            self._expect_one(line, is_ours)

    def _expect_one(self, line: dict[str, Any], is_ours: bool) -> Entry:
        if line["key"] not in self.members:
            self.members[line["key"]] = entry(line)
        member = self.members[line["key"]]
        member.is_ours |= is_ours
        return member

    def _whole_groups(self, last: bool) -> list[list[Entry]]:
        """Return the ended members of groups of seeds of which some were not sent, once
        all have ended, or nobody will train the others."""
        groups: dict[str, list[Entry]] = {}
        for member in self.members.values():
            groups.setdefault(member.config_without_seed, []).append(member)
        is_over = last and not self.others_train
        return [
            [member for member in group if member.row]
            for group in groups.values()
            if any(member.is_unsent for member in group)
            and (is_over or all(member.row for member in group))
        ]

    def _points(self, members: Collection[Entry]) -> dict[str, Points]:
        """Read the curves of ended members."""
        paths = {self.folder / "curves.parquet"}
        for name in {member.row["population"] for member in members}:
            paths.update(self.folder.glob(f"curves/{name}.*parquet"))
        return _read_points(paths, members)

    def _live_points(self) -> dict[str, Points]:
        """Read the curves of members in training."""
        paths = {curves.running_path(self.folder, token) for token in self.live}
        members = [member for member in self.members.values() if not member.row]
        return _read_points(paths, members)

    def _send(self, members: Collection[Entry], *run: Any) -> None:
        """Send a run, after which these members are sent."""
        self.sender.call("send", *run)
        if self.sender.works:
            for member in members:
                member.is_unsent = False

    def _send_member(
        self, member: Entry, points: Points, row: dict[str, Any] | None = None
    ) -> None:
        """Send new points of a member, and its row once it has ended."""
        about = {}
        if row is not None:
            command = self.commands.get(shards.session_of(row["population"]))
            about = {name: row[name] for name in ENVIRONMENT} | {"command": command}
        agent = self.agent if member is self.single else None
        run = run_of_member(member, agent, about)
        new = {step: values for step, values in points.items() if step > member.step}
        if row is not None:
            self._send([member], run, new, row)
        elif new:
            new = curves.thin(new, POINTS_AT_ONCE)
            member.step = max(new)
            self._send([], run, new)

    def _send_progress(self, is_due: bool = False) -> None:
        """Add a point to the study's run, if there was none lately and nobody else does."""
        now = time.monotonic()
        seconds = now - self.last_point
        if self.others_train or not (is_due or seconds > SECONDS_BETWEEN_POINTS):
            return
        ended = self.ended
        pace = (len(ended) - self.counted) / max(seconds, 1e-3)
        values = {
            "study/seconds": now - self.started,
            "study/done": len(ended),
            "study/members_a_second": pace,
        }
        if not all(is_by_loss(member.row) for member in ended):
            values["study/solved"] = sum(bool(member.row["solved"]) for member in ended)
        self.last_point = now
        self.counted = len(ended)
        values |= frontier_so_far(ended)
        self.sender.call("show", self._study_run(), values)

    def _send_results(self) -> None:
        """Send the frontier of the whole study, or the losses of its widths, and the figure."""
        found = store.read(self.place).filter(study=self.study)
        table = [
            {"file": curve["file"], **width}
            for curve in map(as_dict, loss_curves(found))
            for width in curve["widths"]
        ]
        name = "held_out" if table else "frontier"
        figure = self.folder / "figures" / f"{name}.png"
        table = table or [columns(point) for point in frontier(found)]
        self._send_progress(is_due=True)
        self.sender.call("show_results", self._study_run(), table, figure)

    def _study_run(self) -> Run:
        name = os.environ.get("WANDB_NAME") if self.settings.mode == "wandb" else ""
        last = max(self.ended, key=lambda member: member.row["finished"])
        return run_of_study(
            self.study,
            name or self.study,
            self.members.values(),
            command=self.commands[self.session] or [*self.commands.values()][-1],
            git_commit=last.row["git_commit"],
        )


def _summary(members: Collection[Entry]) -> dict[str, Any]:
    return summary_of([member.row for member in members])


def _read_points(
    paths: Collection[Path], members: Collection[Entry]
) -> dict[str, Points]:
    """Read the curves of members from some files, by key."""
    tables = [pl.DataFrame(schema=curves.SCHEMA)]
    for path in paths if members else ():
        with contextlib.suppress(BadFileError):  # they are only to look at
            tables.append(curves.read_file(path))
    metrics = {member.key: member.metric for member in members}
    lines = pl.concat(tables).filter(pl.col("key").is_in(list(metrics)))
    parts = lines.unique(["key", "step"]).sort("step").partition_by("key")
    by_key = {part["key"][0]: part for part in parts}
    return {key: curves.points(part, metrics[key]) for key, part in by_key.items()}
