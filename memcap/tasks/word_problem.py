"""Word problem of finite groups."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations
from typing import TYPE_CHECKING

import numpy as np

from memcap.knobs import UserError, knob
from memcap.tasks.base import (
    Batch,
    Facts,
    Operand,
    RandomKey,
    SpanTask,
    answer_mask,
    integers,
)

if TYPE_CHECKING:
    from jaxtyping import Array, Int


@dataclass(frozen=True)
class WordProblem(SpanTask):
    """Elements of a finite group come; the answer is their product so far, at every
    step except the first.

    Example (Z6, whose product is the sum modulo 6): 3 5 4 | lag 2 -> . 2 0 (no answer
    is due at a dot).

    S3 and S5 are all permutations of 3 and 5 things, A4 and A5 the even ones of 4 and
    5; Z2 (parity), Z6, Z12 and Z60 are sums modulo 2, 6, 12, 60. Nets that track states
    in general must solve A5 and S5, which are not solvable groups; S3 and A4 do not
    commute; cyclic groups are counting.

    Source: Merrill, Petty & Sabharwal (2024), "The illusion of state in state-space
    models", with A5, A4 x Z5 and Z60, and up to 20 elements. Swaps as the only
    generators: Grazzi et al. (2025)."""

    group: str = knob(
        "S3", "the group", choices=("S3", "Z6", "A4", "Z12", "A5", "Z60", "S5", "Z2")
    )
    generators: str = knob(
        "all",
        "elements that come: all, or swaps of two things (groups S)",
        choices=("all", "swaps"),
    )
    name = "word_problem"
    filler = "blanks"
    answers = "every"

    def __post_init__(self) -> None:
        if self.generators == "swaps" and not self.group.startswith("S"):
            raise UserError(
                f"task.generators=swaps: task.group={self.group} is not made of swaps; S3 and"
                " S5 are"
            )

    @property
    def vocabulary(self) -> int:
        """One symbol per element that may come, then a blank."""
        return len(_generators(self.group, self.generators)) + 1

    @property
    def outputs(self) -> int:
        return len(_table(self.group))

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax.numpy as jnp
        from jax import lax

        which = _generators(self.group, self.generators)
        table = jnp.asarray(_table(self.group))
        elements = jnp.asarray(np.append(which, 0))
        first = length - 1 - lag
        letters = integers(key, (steps, batch), 0, len(which))
        inputs = jnp.where(jnp.arange(steps)[:, None] >= first, letters, len(which))

        def multiply(
            product: Int[Array, " B"], row: tuple[Int[Array, " B"]]
        ) -> tuple[Int[Array, " B"], Int[Array, " B"]]:
            product = table[product, row[0]]
            return product, product

        _, products = lax.scan(
            multiply, jnp.zeros(batch, jnp.int32), (elements[inputs],)
        )
        return Batch(inputs, products, answer_mask(products, first + 1, length))

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one element; with swaps a net that knows the time holds a bit less.

        Chance is the likeliest product, given the element just read."""
        order = self.outputs
        if self.generators == "all":
            return Facts(held=1, bits=math.log2(order), chance=1 / order)
        return Facts(
            held=1, bits=math.log2(order / 2), chance=_chance_by_swaps(self.group, lag)
        )


@lru_cache(maxsize=16)
def _permutations(group: str) -> np.ndarray:
    """Return (order, n) permutations, the identity first; for a group A even ones."""
    n = int(group[1:])
    rows = np.array(list(permutations(range(n))))
    inversions = np.sum(np.triu(rows[:, :, None] > rows[:, None, :]), axis=(1, 2))
    return rows if group[0] == "S" else rows[inversions % 2 == 0]


@lru_cache(maxsize=16)
def _table(group: str) -> np.ndarray:
    """Return (order, order) int32: the product of two elements, the left one first."""
    n = int(group[1:])
    if group[0] == "Z":
        return ((np.arange(n)[:, None] + np.arange(n)) % n).astype(np.int32)
    rows = _permutations(group)
    digits = n ** np.arange(n)[::-1]
    products = np.transpose(rows[:, rows], (1, 0, 2))  # [a, b]: a, then b
    return np.searchsorted(rows @ digits, products @ digits).astype(np.int32)


@lru_cache(maxsize=16)
def _generators(group: str, kind: str) -> np.ndarray:
    if kind == "all":
        return np.arange(len(_table(group)), dtype=np.int32)
    rows = _permutations(group)
    moved = np.sum(rows != rows[0], axis=1)
    return np.flatnonzero(moved == 2).astype(np.int32)


@lru_cache(maxsize=256)
def _chance_by_swaps(group: str, lag: int) -> float:
    table = _table(group)
    swaps = _generators(group, "swaps")
    before = np.zeros(len(table))
    before[swaps] = 1 / len(swaps)
    # the probability that each swap was read and each product is due
    after = np.zeros((len(swaps), len(table)))
    for _ in range(lag):
        products = np.zeros_like(after)
        for k, swap in enumerate(swaps):
            # multiplying by an element is one to one
            products[k, table[:, swap]] = before / len(swaps)
        after += products
        before = products.sum(0)
    return float(after.max(1).sum() / lag)
