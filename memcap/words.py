"""Words that many modules say: what imports them needs no library."""


def plural(count: int, noun: str) -> str:
    """A count with its noun: "1 row", "1,000 rows"."""
    return f"{count:,} {noun}{'s' * (count != 1)}"
