"""Words that many modules say: what imports them needs no library."""

import sys
from functools import cache


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 row", "1,000 rows"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def first_paragraph(doc: str | None) -> str:
    """What a docstring says first, in one line."""
    return " ".join((doc or "").strip().partition("\n\n")[0].split())


@cache
def warn_once(line: str) -> None:
    """Print a line on stderr, unless this process has printed it before: of what a reader skips, however
    often it meets it."""
    print(f"memcap: {line}", file=sys.stderr)
