"""Progress of a job on the terminal: members done, solved, time left."""

from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from memcap.training.engine import Ended


class Progress:
    """A bar on stderr; a context manager.

    Args:
        members: how many the job has.
        done: how many of them were there before.
    """

    def __init__(self, members: int, done: int):
        self.solved = self.diverged = 0
        self.console = Console(stderr=True)
        self.bar = Bar(
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("members, {task.fields[note]}"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
            disable=members == done,
        )
        self.task = self.bar.add_task("", total=members, completed=done, note="compiling")

    def ended(self, ended: Ended) -> None:
        """Count one more member."""
        self.solved += ended.status == "solved"
        self.diverged += ended.status == "diverged"
        note = f"{self.solved} solved" + (f", {self.diverged} diverged" if self.diverged else "")
        self.bar.update(self.task, advance=1, note=note)

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()
