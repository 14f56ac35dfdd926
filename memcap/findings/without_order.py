"""The scores of copying for a net that knows which symbols came, but not their order.

Nets stay on this plateau for long: with ten symbols of eight kinds its accuracy is
0.302, where a net without memory has 0.125, and its loss 1.660 nats instead of 2.079.
"""

import math
from collections import Counter
from collections.abc import Iterator
from functools import cache


@cache
def accuracy(items: int, symbols: int) -> float:
    """Return the best accuracy: that of answering the most frequent symbol
    everywhere."""
    return sum(share * max(counts) / items for counts, share in _counts(items, symbols))


@cache
def nats(items: int, symbols: int) -> float:
    """Return the least cross entropy of a symbol: that of giving each symbol its
    share."""
    return sum(
        share * _entropy(counts, items) for counts, share in _counts(items, symbols)
    )


def _entropy(counts: tuple[int, ...], items: int) -> float:
    return -sum(n / items * math.log(n / items) for n in counts)


def _counts(items: int, symbols: int) -> Iterator[tuple[tuple[int, ...], float]]:
    """Yield descending counts of a sequence's symbols, with their share of
    sequences."""
    for counts in _partitions(items, symbols, items):
        names = math.factorial(symbols)
        for alike in (*Counter(counts).values(), symbols - len(counts)):
            names //= math.factorial(alike)
        orders = math.factorial(items)
        for n in counts:
            orders //= math.factorial(n)
        yield counts, names * orders / symbols**items


def _partitions(total: int, parts: int, most: int) -> Iterator[tuple[int, ...]]:
    """Yield the ways to write a number as a descending sum of at most `parts` numbers,
    none above `most`."""
    if total == 0:
        yield ()
    elif parts:
        for first in range(min(total, most), 0, -1):
            for rest in _partitions(total - first, parts - 1, first):
                yield (first, *rest)
