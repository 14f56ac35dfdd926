"""Words that many modules print; no library is needed."""

import sys
from functools import cache


def plural(count: int, noun: str) -> str:
    """Write a count with its noun: "1 row", "1,000 rows"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"


def first_paragraph(doc: str | None) -> str:
    """Return the first paragraph of a docstring, in one line."""
    return " ".join((doc or "").strip().partition("\n\n")[0].split())


@cache
def warn_once(line: str) -> None:
    """Print a line on stderr, unless this process has printed it before."""
    print(f"memcap: {line}", file=sys.stderr)
