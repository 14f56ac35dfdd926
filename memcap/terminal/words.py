"""Words that many modules print; no library is needed."""

import sys
from functools import cache


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: "1 row", "1,000 rows"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def printable(text: str) -> str:
    """Return a text, which may come from a stranger's file, with what would end its line or steer a terminal
    escaped."""
    return text if text.isprintable() else "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    return letter if letter.isprintable() else letter.encode("unicode_escape").decode()


def first_paragraph(doc: str | None) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return " ".join((doc or "").strip().partition("\n\n")[0].split())


@cache
def warn_once(line: str) -> None:
    """Print a line on stderr, unless this process has printed it before."""
    print(f"memcap: {printable(line)}", file=sys.stderr)
