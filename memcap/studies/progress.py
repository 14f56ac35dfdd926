"""The progress of a job on stderr: members done, solved, time left; a bar on a
terminal, a line now and then in a log file. It draws the job's heartbeat
(heartbeat.py)."""

import sys
import threading
import time
from collections.abc import Iterable

from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.text import Text

from memcap.store.heartbeat import Heartbeat, JobProgress, Running
from memcap.terminal.words import duration, number

SECONDS_BETWEEN_LINES = 30.0
SECONDS_BETWEEN_LOOKS = 0.5  # whether a line is due
LONG = 10.0  # seconds after which a member in training gets a line of its own
MOST_SHOWN = 3
WIDE = 110  # characters of a terminal with room for a long bar and the time


class ProgressBar:
    """The progress of a job on stderr, unless it is quiet; a context manager."""

    def __init__(self, progress: JobProgress, quiet: bool = False):
        self.progress = progress
        self.console = Console(stderr=True, force_jupyter=False)
        self.shows = not quiet and progress.to_come > 0
        self.bar = _Bar(progress, self.console, disable=not self.shows)
        self.last_line = time.monotonic()
        self.done = 0
        self.over = threading.Event()
        self.thread = threading.Thread(
            target=self._print_lines, name="memcap-progress", daemon=True
        )

    def print_line(self) -> None:
        """Print a line for a log file, if members have ended since the last one, long ago."""
        now = time.monotonic()
        is_due = now - self.last_line > SECONDS_BETWEEN_LINES
        if not (self.shows and is_due and self.progress.done != self.done):
            return
        heartbeat = self.progress.heartbeat()
        ends = _ends(heartbeat, self.progress)
        line = f"training {_members(heartbeat, self.progress.before)}, {ends}, {_left(heartbeat)}"
        print(line, file=sys.stderr, flush=True)
        self.last_line = now
        self.done = heartbeat.done

    def _print_lines(self) -> None:
        while not self.over.wait(SECONDS_BETWEEN_LOOKS):
            self.print_line()

    def __enter__(self) -> "ProgressBar":
        self.bar.start()
        if self.shows and not self.console.is_terminal:
            self.thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self.over.set()
        if self.thread.is_alive():
            self.thread.join()
        self.bar.stop()


class _Bar(Progress):
    """The bar, and below it the members that have trained long."""

    def __init__(self, progress: JobProgress, console: Console, disable: bool):
        self.progress = progress
        self.stderr = console
        wide = console.width >= WIDE
        columns = (
            TextColumn("training"),
            BarColumn(40 if wide else 4),
            TextColumn("{task.fields[note]}"),
            *([TimeElapsedColumn()] if wide else []),
            TextColumn("{task.fields[left]}"),
        )
        # Without a terminal it is drawn once, when it stops.
        super().__init__(
            *columns,
            console=console,
            disable=disable,
            auto_refresh=console.is_terminal,
            refresh_per_second=4,
        )
        self.add_task("", total=None, note="", left="")

    def get_renderables(self) -> Iterable[RenderableType]:
        heartbeat = self.progress.heartbeat()
        done, members = _counts(heartbeat, self.progress.before)
        ends = "compiling, and the first steps"
        if heartbeat.done or heartbeat.running:
            ends = _ends(heartbeat, self.progress)
        note = f"{_members(heartbeat, self.progress.before)}, {ends}"
        left = _left(heartbeat) if done < members else ""
        for row in self.task_ids:  # none at first, then one
            self.update(row, completed=done, total=members, note=note, left=left)
        yield self.make_tasks_table(self.tasks)
        if self.stderr.is_terminal:
            longest = [each for each in heartbeat.longest if each.seconds >= LONG]
            yield from (Text(_line(each)) for each in longest[:MOST_SHOWN])


def _counts(heartbeat: Heartbeat, before: int) -> tuple[int, int]:
    """Return the numbers of members that are done, and of all."""
    done = before + heartbeat.done
    return done, done + heartbeat.to_come


def _members(heartbeat: Heartbeat, before: int) -> str:
    done, members = _counts(heartbeat, before)
    at_most = " at most" if heartbeat.searched and done < members else ""
    return f"{done}/{members} members{at_most}"


def _ends(heartbeat: Heartbeat, progress: JobProgress) -> str:
    ends = [f"{progress.solved_before + heartbeat.solved} solved"]
    if progress.by_loss:
        ends = ["judged by loss"]
    if heartbeat.diverged:
        ends.append(f"{heartbeat.diverged} diverged")
    if heartbeat.failed:
        ends.append(f"{heartbeat.failed} failed")
    return ", ".join(ends)


def _left(heartbeat: Heartbeat) -> str:
    if heartbeat.seconds_left is None:
        return ""
    return f"about {duration(round(heartbeat.seconds_left))} left"


def _line(member: Running) -> str:
    parts = [f"{member.name}: step {member.step:,} of {member.budget:,}"]
    if member.loss is not None:
        parts.append(f"loss {number(member.loss)}")
    if member.left is not None:
        parts.append(f"at most {duration(round(member.left))} left")
    return ", ".join(parts)
