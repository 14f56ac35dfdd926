"""Words, numbers, tables and JSON for the terminal; tables hide columns to fit it.

Rich is imported only to print a table, so that commands start at once.
"""

from __future__ import annotations

import json
import math
import re
import sys
import textwrap
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from shutil import get_terminal_size
from typing import TYPE_CHECKING, Any, Self, TextIO

from memcap.knobs import printable

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
    from rich.table import Table

WIDTH = 80  # most characters of a line of words; fewer on a narrow terminal
COMMAND = re.compile(
    r"(?s)(.*?:) (memcap .+|cd .+ && memcap .+)"
)  # words that end in a command
EXAMPLE = re.compile(r"( +\S.*?  +)(\S.*)")  # an indented line of two columns
HANGING = 6  # characters before the words of an example that stand below it
UNBOUNDED = 1_000_000  # characters of a line that no screen limits
SECONDS_OF_SILENCE = 2.0
FOLDED = 16  # least characters of a column that folds


def plural(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def first_paragraph(doc: str | None) -> str:
    return " ".join((doc or "").strip().partition("\n\n")[0].split())


def fold(text: str, stream: TextIO) -> str:
    """Fold a line for a terminal, without breaking words or a command at its end."""
    if not stream.isatty():
        return text
    width = min(WIDTH, get_terminal_size().columns)
    words, command = (
        match.groups() if (match := COMMAND.fullmatch(text)) else (text, "")
    )
    return "\n".join(filter(None, [fill(words, width), command]))


def fold_help(text: str, width: int) -> str:
    """Fold a help text by paragraphs and indented lines."""
    lines: list[str] = []
    goes_on = False
    for line in text.splitlines():
        if goes_on and line[:1].strip():
            lines[-1] += " " + line
        else:
            lines.append(line)
        goes_on = (
            len(line) >= WIDTH and line[:1] != " "
        )  # a shorter line ends a paragraph
    return "\n".join(
        (
            line
            if len(line) <= width
            else _fold_example(line, width)
            if line[0] == " "
            else fill(line, width)
        )
        for line in lines
    )


def _fold_example(line: str, width: int) -> str:
    """Fold an indented line, its second column below itself."""
    match = EXAMPLE.fullmatch(line)
    head, words = match.groups() if match else ("", line.lstrip())
    if head and 2 * len(head) <= width:
        return fill(words, width, head, " " * len(head))
    if not head and words.startswith("memcap "):
        return line
    indent = " " * HANGING
    return (head.rstrip() + "\n" if head else "") + fill(words, width, indent, indent)


def fill(text: str, width: int, first: str = "", indent: str = "") -> str:
    return textwrap.fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def complain(line: str) -> None:
    print(fold(f"memcap: {line}", sys.stderr), file=sys.stderr)


@cache
def warn_once(line: str) -> None:
    complain(printable(line))


@dataclass(frozen=True)
class Column:
    """A column of a listing."""

    head: str  # the column's name
    about: str = (
        ""  # the name's meaning, for the lines below the table; "" if the name is clear
    )
    right: bool = False  # whether its cells are numbers, aligned to the right
    # whether long cells fold on a narrow terminal; otherwise they stay on one line
    folds: bool = False


NumberColumn = partial(Column, right=True)


@dataclass(frozen=True)
class Listing:
    """A table with a line that explains its heads.

    On a narrow terminal the columns `drops` are hidden, and named below; no cell is
    cut. Elsewhere it is plain: all columns, one line per row.
    """

    title: str  # the line above
    columns: Sequence[Column]
    rows: Sequence[Sequence[Any]]  # one value per column
    drops: Sequence[str] = ()  # heads of the columns that may be hidden, in this order
    notes: Sequence[str] = ()  # further lines below the table

    @property
    def texts(self) -> list[list[str]]:
        return [[printable(text_of(cell)) for cell in row] for row in self.rows]

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        from rich.measure import Measurement
        from rich.text import Text

        unbounded = options.update(width=UNBOUNDED, max_width=UNBOUNDED)
        plain = not console.is_terminal
        heads = [column.head for column in self.columns]
        drops = [head for head in self.drops if head in heads]
        for count in range(len(drops) + 1):
            table = self._table(drops[:count], plain)
            width = Measurement.get(console, unbounded, table).minimum
            if plain or width <= options.max_width:
                break
        yield Text(printable(self.title), style="bold")
        width = max(width, options.max_width)
        yield from console.render(table, options.update(max_width=width))
        yield from (Text(printable(note)) for note in self._below(drops[:count]))

    def _table(self, dropped: Sequence[str], plain: bool) -> Table:
        from rich import box
        from rich.cells import cell_len
        from rich.table import Table
        from rich.text import Text

        style, gap = (None, 2) if plain else (box.SIMPLE_HEAD, 1)  # the box adds one
        table = Table(
            box=style, padding=(0, gap, 0, 0), pad_edge=False, show_edge=False
        )
        kept = [column for column in self.columns if column.head not in dropped]
        places = [self.columns.index(column) for column in kept]
        rows = [[row[place] for place in places] for row in self.texts]
        for place, column in enumerate(kept):
            cells = [row[place] for row in rows]
            folds = column.folds and not plain
            width = max(map(cell_len, [column.head, *cells]))
            table.add_column(
                column.head,
                justify="right" if column.right else "left",
                no_wrap=not folds,
                overflow="fold",
                min_width=min(width, FOLDED) if folds else None,
                width=None if folds else width,  # not measured again, cell by cell
            )
        for row in rows:
            table.add_row(*map(Text, row))
        return table

    def _below(self, dropped: Sequence[str]) -> Iterable[str]:
        for each in self.columns:
            if each.about and each.head not in dropped:
                yield f"{each.head}: {each.about}."
        yield from self.notes
        if dropped:
            yield (
                f"Hidden on a narrow terminal: {', '.join(dropped)}. Piped, the table has all"
                " columns."
            )


@dataclass(frozen=True)
class Blocks(Listing):
    """A table that a terminal shows as a paragraph per row, without the columns
    `drops`."""

    leads: int = 1  # columns that the first line of a paragraph has

    def __rich_console__(
        self, console: Console, options: ConsoleOptions
    ) -> RenderResult:
        from rich.padding import Padding
        from rich.text import Text

        if not console.is_terminal:
            yield from super().__rich_console__(console, options)
            return
        yield Text(printable(self.title), style="bold")
        heads = [f"{column.head}: " for column in self.columns[self.leads :]]
        for texts in self.texts:
            yield Text(": ".join(texts[: self.leads]))
            words = [
                head + text
                for head, text in zip(heads, texts[self.leads :], strict=True)
                if text not in ("", "-") and head[:-2] not in self.drops
            ]
            rest = Text("; ".join(words))
            rest.highlight_words(heads, "bold")
            yield Padding(rest, (0, 0, 0, HANGING))
        yield from (Text(printable(note)) for note in self._below(self.drops))


def show(what: RenderableType) -> None:
    from rich.console import Console

    what = printable(what) if isinstance(what, str) else what
    console = Console()
    if console.is_terminal:
        console.print(what, crop=False, highlight=False, markup=False)
        return
    console = Console(width=UNBOUNDED)
    with console.capture() as printed:
        console.print(what, highlight=False, markup=False)
    for line in printed.get().splitlines():
        print(line.rstrip())


def text_of(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return number(value) if value is None or isinstance(value, float) else str(value)


def finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def number(value: float | None) -> str:
    """Write a number with three significant digits; "" for None and NaN."""
    if value is None or math.isnan(value):
        return ""
    if math.isinf(value):
        return str(value)
    return (
        f"{value:.0f}" if value == int(value) and abs(value) < 1e6 else f"{value:.3g}"
    )


def bound(value: float) -> str:
    """Write a number with three significant digits, or five if three would round it to
    1."""
    text = f"{value:.3g}"
    return f"{value:.5g}" if text == "1" else text


def scaled(value: float, unit: str) -> str:
    """Write a quantity with a prefix, such as "8.4 MB"."""
    prefixes = {
        1e12: "T",
        1e9: "G",
        1e6: "M",
        1e3: "k",
        1.0: "",
        1e-3: "m",
        1e-6: "\u00b5",
        1e-9: "n",
    }
    size = next((each for each in prefixes if value >= each), 1.0)
    return f"{number(value / size)} {prefixes[size]}{unit}"


def member_name(
    task: str, lag: int, units: int | None = None, seed: int | None = None
) -> str:
    """Name members with these values, such as `delay_line-L8-u7-s3`."""
    parts = {"L": lag, "u": units, "s": seed}
    return "-".join(
        [
            task,
            *(
                f"{letter}{value}"
                for letter, value in parts.items()
                if value is not None
            ),
        ]
    )


class InWords:
    """A result whose words, `str`, stand for it in a notebook, too."""

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        printer.text(str(self))


class Waiting:
    """Says on stderr what a slow command does, at most every two seconds."""

    def __init__(self, what: str):
        self._what = what
        self._last = ""
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._say, daemon=True)

    def now(self, what: str) -> None:
        self._what = what

    def _say(self) -> None:
        while not self._over.wait(SECONDS_OF_SILENCE):
            if self._what != self._last:
                self._last = self._what
                print(f"memcap: {self._last} ...", file=sys.stderr)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join()


def duration(seconds: float) -> str:
    """Write a time in words, such as "12 minutes" or "3.5 hours"."""
    for unit, size in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds)} second{'s' * (seconds != 1)}"


def print_json(value: Any) -> None:
    """Print plain values as JSON; numbers that are not finite become null."""

    def plain(v: Any) -> Any:
        if isinstance(v, dict):
            return {k: plain(x) for k, x in v.items()}
        if isinstance(v, (list, tuple)):
            return [plain(x) for x in v]
        return finite(v) if isinstance(v, float) else v

    print(json.dumps(plain(value), indent=2, default=str))
