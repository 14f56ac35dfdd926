"""What a reader of rows passed over, said in one line on stderr, once a process however often it is met."""

import sys
from functools import cache


@cache
def note(line: str) -> None:
    """Print a line on stderr, unless it was printed before."""
    print(f"memcap: {line}", file=sys.stderr)
