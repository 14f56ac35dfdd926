"""Progress of a job: members done, solved, time left; a bar on a terminal, a line now and then in a log file."""

import sys
import time
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from memcap.training.engine import Result

SECONDS_BETWEEN_LINES = 30.0


class Progress:
    """Progress on stderr; a context manager.

    Args:
        members: how many the job has.
        done: how many of them were there before.
        quiet: show nothing.
    """

    def __init__(self, members: int, done: int, quiet: bool = False):
        self.members, self.before, self.done, self.quiet = members, done, done, quiet
        self.solved = 0
        self.ends = {"diverged": 0, "failed": 0}  # that are worth a word
        self.bound = "about"
        self.console = Console(stderr=True)
        self.started = self.said = time.monotonic()
        self.bar = Bar(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("members, {task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=members == done or quiet,
        )
        self.task = self.bar.add_task("", total=members, completed=done, note="compiling")

    def ended(self, ended: Result) -> None:
        """Count one more member."""
        self.solved += ended.solved is not None
        if ended.status in self.ends:
            self.ends[ended.status] += 1
        note = ", ".join([f"{self.solved} solved", *(f"{count} {status}" for status, count in self.ends.items() if count)])
        self.bar.update(self.task, advance=1, note=note)
        self.done += 1
        now = time.monotonic()
        if not self.quiet and not self.console.is_terminal and now - self.said > SECONDS_BETWEEN_LINES:
            left = (now - self.started) / (self.done - self.before) * (self.members - self.done)
            line = f"training {self.done}/{self.members} members, {note}, {self.bound} {left:.0f} s left"
            print(line, file=sys.stderr, flush=True)
            self.said = now

    def expect(self, left: int) -> None:
        """Set how many members are still to come at most, where a design finds out as it goes."""
        self.members, self.bound = self.done + left, "at most"
        self.bar.update(self.task, total=self.members)

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()
