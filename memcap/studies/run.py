"""A run of one job: trains the members without rows, writes each row as it comes.

It draws the job's heartbeat (heartbeat.py) on stderr: a bar on a terminal, or a line
now and then in a log file.
"""

import math
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl
from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Column
from rich.text import Text

from memcap import loops
from memcap.config.member import Engine, Member
from memcap.designs import Design
from memcap.designs.members import outcome_of, search_by
from memcap.designs.race import Race
from memcap.runtime import signals
from memcap.runtime.signals import Interrupted
from memcap.store import heartbeat, shards
from memcap.store.heartbeat import Heartbeat, JobProgress, Running
from memcap.store.rows import frame, one_per_key, passed_column, without_failed
from memcap.store.shards import Study
from memcap.studies.checkpoints import Checkpoints
from memcap.studies.writer import StudyWriter, members_table
from memcap.tasks import FileTask
from memcap.terminal.words import duration, number, warn_once
from memcap.training.engine import Result, start_jax, train

SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_LOOKS = 0.5  # whether a line is due
LONG = 10.0  # seconds after which a member in training gets a line of its own
MOST_SHOWN = 3


@dataclass(frozen=True)
class Todo:
    """The work of a job: the rows that its folder holds, and the missing members."""

    rows: pl.DataFrame  # rows in the folder of the job's members
    finished: frozenset[str]  # keys of all rows in the folder, including other members'
    missing: list[Member]  # the job's other members, each once
    candidates: Sequence[Member]  # all members that may be trained
    # of a design that chooses by results; None: every missing member is trained
    search: Design[Member] | None
    # the members to train first: all missing ones, or those with which the search begins
    first: list[Member]
    # most members that will be trained; a search may want more if counts are not
    # monotone
    most: int
    # the number that such a search trains in simulated studies, if known
    usual: int | None = None


def what_is_missing(members: Sequence[Member], study: Study) -> Todo:
    """Compare members with the rows of the study's folder, if any; write nothing."""
    candidates = members if study.design != "race" else Race(members, {}).candidates
    by_key = {member.key: member for member in candidates}
    folder = study.folder
    there = shards.read(folder) if folder is not None and folder.exists() else frame([])
    there = without_failed(there)
    finished = frozenset(there["key"])
    rows = there.filter(pl.col("key").is_in(list(by_key)))
    missing = [member for key, member in by_key.items() if key not in finished]
    if not study.is_searched:
        return Todo(rows, finished, missing, members, None, missing, len(missing))
    best = pl.col("best").fill_null(math.nan)
    ends = rows.select("key", passed_column(), "steps", best)
    outcomes = {
        by_key[key]: outcome_of(by_key[key], *end) for key, *end in ends.iter_rows()
    }
    search = search_by(study.design, members, outcomes, study.precision)
    first = search.first_members()
    most = search.estimate if first else 0
    return Todo(
        rows, finished, missing, search.candidates, search, first, most, search.usual
    )


def run_study(
    members: Sequence[Member], engine: Engine, study: Study, quiet: bool = False
) -> pl.DataFrame:
    """Train the members without rows, or that failed; return the rows that were wanted.

    Half-trained members continue. `quiet`: show no progress.
    """
    start_jax(engine)
    loops.check(engine.loop)
    lags: dict[FileTask, int] = {}
    for member in members:
        if isinstance(member.task, FileTask):
            lags[member.task] = max(member.lag, lags.get(member.task, 0))
    for task, lag in lags.items():
        for doubt in task.doubts(lag):
            warn_once(doubt)
    if study.folder is not None:
        shards.prepare(study.folder)
    todo = what_is_missing(members, study)
    solved = int(todo.rows["solved"].sum())
    progress = JobProgress(todo.most, study, todo.rows.height, solved)
    progress.by_loss = all(member.task.rule.by_loss for member in members)
    checkpoints = None
    if study.folder is not None:
        checkpoints = Checkpoints(
            study.folder, todo.candidates, engine, progress.token, todo.finished
        )
    writer = StudyWriter(progress, checkpoints)
    to_come = members_table(todo.missing if todo.first else [])

    def save(interrupted: Interrupted) -> None:
        writer.flush()
        writer.count(interrupted)

    try:
        with (
            signals.saving(save),
            ProgressBar(progress, quiet),
            heartbeat.writing(progress, to_come),
            writer,
        ):
            if todo.first:
                _train(todo, engine, writer)
    except Interrupted as interrupted:
        writer.count(interrupted)
        raise
    return one_per_key([todo.rows, frame(writer.rows)])


def _train(todo: Todo, engine: Engine, writer: StudyWriter) -> None:
    search = todo.search
    if search is None:
        train(todo.first, engine, writer, None, (), todo.candidates)
    else:

        def next_members(results: Iterable[Result]) -> list[Member]:
            more = []
            for end in results:
                outcome = outcome_of(end.member, end.passed, end.steps, end.best)
                more += search.next_members(end.member, outcome)
            writer.progress.expect(search.estimate)
            writer.progress.frontier = search.frontier
            return more

        train(todo.first, engine, writer, next_members, todo.candidates)
    if writer.checkpoints is not None:
        # The rest are members that an earlier search wanted, and this one does not.
        writer.checkpoints.drop(list(writer.checkpoints.states))


class ProgressBar:
    """A job's progress on stderr, unless it is quiet; a context manager."""

    def __init__(self, progress: JobProgress, quiet: bool = False):
        self.progress = progress
        # a notebook asks Rich for colours, but is no terminal, and would keep each state
        self.console = Console(
            stderr=True, force_jupyter=False, force_terminal=sys.stderr.isatty()
        )
        self.shows = not quiet and progress.to_come > 0
        words = TextColumn("{task.description}", table_column=Column())  # which folds
        self.bar = Progress("training", BarColumn(10), words, TimeElapsedColumn())
        self.row = self.bar.add_task("", total=None)
        # Without a terminal it is drawn once, when it stops.
        self.live = Live(
            console=self.console,
            auto_refresh=self.console.is_terminal,
            get_renderable=self.picture,
        )
        self.last_line = time.monotonic()
        self.done = 0
        self.over = threading.Event()
        self.thread = threading.Thread(
            target=self._print_lines, name="memcap-progress", daemon=True
        )

    def picture(self) -> Group:
        """Return the bar and, on a terminal, the members that have trained long."""
        heartbeat = self.progress.heartbeat()
        done, members = _counts(heartbeat, self.progress.before)
        words = self._words(heartbeat)
        self.bar.update(self.row, completed=done, total=members, description=words)
        lines = []
        if self.console.is_terminal:
            longest = [each for each in heartbeat.longest if each.seconds >= LONG]
            lines = [*self.progress.frontier, *map(_line, longest[:MOST_SHOWN])]
        return Group(self.bar, *map(Text, lines))

    def print_line(self) -> None:
        """Print a line, at long intervals, if members have ended or none has begun."""
        now = time.monotonic()
        if not self.shows or now - self.last_line < SECONDS_BETWEEN_LINES:
            return
        heartbeat = self.progress.heartbeat()
        begun = heartbeat.done or heartbeat.running
        if begun and heartbeat.done == self.done:
            return
        line = f"training {self._words(heartbeat)}"
        print(line, *self.progress.frontier, sep="\n", file=sys.stderr, flush=True)
        self.last_line = now
        self.done = heartbeat.done

    def _words(self, heartbeat: Heartbeat) -> str:
        parts = [
            _members(heartbeat, self.progress.before),
            _ends(heartbeat, self.progress),
            _left(heartbeat),
        ]
        return ", ".join(filter(None, parts))

    def _print_lines(self) -> None:
        while not self.over.wait(SECONDS_BETWEEN_LOOKS):
            self.print_line()

    def __enter__(self) -> "ProgressBar":
        if self.shows:
            self.live.start()
            if not self.console.is_terminal:
                self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        if self.thread.is_alive():
            self.thread.join()
        self.live.stop()
        if self.shows and not self.console.is_interactive:
            self.console.print()  # the end of the line, which Rich leaves open


def _counts(heartbeat: Heartbeat, before: int) -> tuple[int, int]:
    done = before + heartbeat.done
    return done, done + heartbeat.to_come


def _members(heartbeat: Heartbeat, before: int) -> str:
    done, members = _counts(heartbeat, before)
    at_most = " at most" if heartbeat.searched and done < members else ""
    return f"{done}/{members} members{at_most}"


def _ends(heartbeat: Heartbeat, progress: JobProgress) -> str:
    if not heartbeat.done and not heartbeat.running:
        seconds = round(heartbeat.updated - heartbeat.started)
        return f"compiling, and the first steps: {duration(seconds)}"
    ends = [f"{progress.solved_before + heartbeat.solved} solved"]
    if progress.by_loss:
        ends = ["judged by loss"]
    if heartbeat.diverged:
        ends.append(f"{heartbeat.diverged} diverged")
    if heartbeat.failed:
        ends.append(f"{heartbeat.failed} failed")
    return ", ".join(ends)


def _left(heartbeat: Heartbeat) -> str:
    if heartbeat.seconds_left is None or not heartbeat.to_come:
        return ""
    most = "at most " if heartbeat.searched else ""
    return f"{most}about {duration(round(heartbeat.seconds_left))} left"


def _line(member: Running) -> str:
    parts = [f"{member.name}: step {member.step:,} of {member.budget:,}"]
    if member.loss is not None:
        parts.append(f"loss {number(member.loss)}")
    return ", ".join(parts)
