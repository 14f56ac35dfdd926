"""Progress of a job on stderr: members done, solved, time left; a bar on a terminal, a line now and then in a
log file."""

import sys
import time
from collections.abc import Iterable
from types import TracebackType

from rich.console import Console, RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TextColumn, TimeElapsedColumn
from rich.progress import Progress as Bar
from rich.text import Text

from memcap.printing import duration, number
from memcap.studies.heartbeat import Running
from memcap.studies.tally import Tally
from memcap.training.engine import Chunk, Result

SECONDS_BETWEEN_LINES = 30.0
LONG = 10.0  # seconds after which a member that is in training is shown by itself
MOST_SHOWN = 3


class Progress:
    """Progress on stderr; a context manager.

    Args:
        members: how many the job has.
        done: how many of them were there before.
        quiet: show nothing.
    """

    def __init__(self, members: int, done: int, quiet: bool = False):
        self.tally, self.quiet = Tally(members, done), quiet
        self.console = Console(stderr=True)
        self.said = self.tally.started
        self.bar = _Bar(self.tally, self.console, disable=members == done or quiet)
        self.task = self.bar.add_task(
            "", total=members, completed=done, note="compiling, and the first steps"
        )
        self.begun = False

    def curve(self, chunk: Chunk) -> None:
        """Take note of a chunk of a member's training."""
        self.tally.curve(chunk)
        if not self.begun:
            self.begun = True
            self.bar.update(self.task, note=self.tally.words)

    def ended(self, ended: Result) -> None:
        """Count one more member."""
        tally = self.tally
        tally.ended(ended)
        self.bar.update(self.task, advance=1, note=tally.words)
        now = time.monotonic()
        if not self.quiet and not self.console.is_terminal and now - self.said > SECONDS_BETWEEN_LINES:
            line = f"training {tally.done}/{tally.members} members, {tally.words}, {left(tally)}"
            print(line, file=sys.stderr, flush=True)
            self.said = now

    def expect(self, left: int) -> None:
        """Set how many members are still to come at most, where a design finds out as it goes."""
        self.tally.expect(left)
        self.bar.update(self.task, total=self.tally.members)

    def __enter__(self) -> "Progress":
        self.bar.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.bar.stop()


class _Bar(Bar):
    """The bar, and below it the members that train long."""

    def __init__(self, tally: Tally, console: Console, disable: bool):
        self.tally, self.stderr = tally, console
        columns = (
            TextColumn("training"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("members, {task.fields[note]}"),
            TimeElapsedColumn(),
            _Left(tally),
        )
        super().__init__(*columns, console=console, disable=disable, refresh_per_second=4)

    def get_renderables(self) -> Iterable[RenderableType]:
        yield self.make_tasks_table(self.tasks)
        if self.stderr.is_terminal:
            yield from (Text(line(each)) for each in self.tally.longest(MOST_SHOWN, LONG))


class _Left(ProgressColumn):
    """The time left, as the log's lines have it."""

    def __init__(self, tally: Tally):
        self.tally = tally
        super().__init__()

    def render(self, task: Task) -> Text:
        return Text("" if task.finished else left(self.tally))


def left(tally: Tally) -> str:
    """The time left in words; nothing where it is not known."""
    seconds = tally.left()
    return "" if seconds is None else f"{tally.bound} {duration(round(seconds))} left"


def line(member: Running) -> str:
    """A member in training, in one line."""
    said = [f"{member.name}: step {member.step:,} of {member.budget:,}"]
    said += [] if member.loss is None else [f"loss {number(member.loss)}"]
    said += [] if member.left is None else [f"at most {duration(round(member.left))} left"]
    return ", ".join(said)
