"""Words that many modules print; needs no library."""

import contextlib
import re
import sys
import threading
from collections.abc import Generator
from functools import cache
from shutil import get_terminal_size
from textwrap import fill
from typing import TextIO

WIDTH = 80  # most characters of a line of words; fewer on a narrow terminal
COMMAND = re.compile(
    r"(?s)(.*?:) (memcap .+|cd .+ && memcap .+)"
)  # words that end in a command
EXAMPLE = re.compile(r"( +\S.*?  +)(\S.*)")  # an indented line of two columns
SECONDS_OF_PATIENCE = 5.0
HANGING = 6  # characters before the words of an example that stand below it


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: "1 row", "1,000 rows"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def printable(text: str) -> str:
    """Escape line ends and control characters of a text, which may come from a stranger's file."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def first_paragraph(doc: str | None) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return " ".join((doc or "").strip().partition("\n\n")[0].split())


def fold(text: str, stream: TextIO) -> str:
    """Fold a line of words for a terminal without breaking words or a command at its
    end. Elsewhere the line stays whole."""
    if not stream.isatty():
        return text
    width = min(WIDTH, get_terminal_size().columns)
    words, command = (
        match.groups() if (match := COMMAND.fullmatch(text)) else (text, "")
    )
    return "\n".join(filter(None, [_fill(words, width), command]))


def fold_help(text: str, width: int) -> str:
    """Fold a help text by paragraphs and indented lines, without breaking words or commands."""
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
            else _fill(line, width)
        )
        for line in lines
    )


def _fold_example(line: str, width: int) -> str:
    """Fold an indented line, its second column below itself, or below the first."""
    match = EXAMPLE.fullmatch(line)
    head, words = match.groups() if match else ("", line.lstrip())
    if head and 2 * len(head) <= width:
        return _fill(words, width, head, " " * len(head))
    if not head and words.startswith("memcap "):
        return line
    indent = " " * HANGING
    return (head.rstrip() + "\n" if head else "") + _fill(words, width, indent, indent)


def _fill(text: str, width: int, first: str = "", indent: str = "") -> str:
    return fill(
        text,
        width,
        initial_indent=first,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
    )


def complain(line: str) -> None:
    """Print a line on stderr, marked as memcap's."""
    print(fold(f"memcap: {line}", sys.stderr), file=sys.stderr)


@contextlib.contextmanager
def patience(what: str) -> Generator[None]:
    """Say on stderr what is waited for, if it takes more than some seconds."""
    timer = threading.Timer(SECONDS_OF_PATIENCE, complain, [f"waits for {what}"])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@cache
def warn_once(line: str) -> None:
    """Print a line on stderr, unless this process has printed it before."""
    complain(printable(line))
