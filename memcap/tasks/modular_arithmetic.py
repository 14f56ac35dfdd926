"""Modular arithmetic."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, Operand, RandomKey, SpanTask, integers

if TYPE_CHECKING:
    from jaxtyping import Array, Int

_OPERATORS = 3  # plus, minus, times


@dataclass(frozen=True)
class ModularArithmetic(SpanTask):
    """Digits with +, - or x between them, then a blank that asks for the value modulo
    m; x binds closer.

    Example (m = 5): 2 + 3 x 4 - 1 _ | lag 7 -> 2 + 12 - 1 = 13, so 3.

    `lag` is the steps from the first digit to the answer. An expression has an odd
    number of symbols, so at an even lag a blank comes first.

    Source: Delétang et al. (2023), "Neural networks and the Chomsky hierarchy", modulo
    5. Grazzi et al. (2025) ask the same of linear RNNs."""

    modulus: int = knob(5, "the prime m", choices=(3, 5, 7))
    name = "modular_arithmetic"
    filler = "blanks"
    smallest_lag = 5  # in a shorter expression nothing waits for a product

    @property
    def vocabulary(self) -> int:
        """The m digits, plus, minus, times, blank."""
        return self.modulus + _OPERATORS + 1

    @property
    def outputs(self) -> int:
        return self.modulus

    def sample(
        self, key: RandomKey, lag: Operand, length: Operand, steps: int, batch: int
    ) -> Batch:
        import jax
        import jax.numpy as jnp
        from jax import lax

        digit_key, operator_key = jax.random.split(key)
        digits = integers(digit_key, (steps, batch), 0, self.modulus)
        operators = integers(operator_key, (steps, batch), 0, _OPERATORS)
        step = jnp.arange(steps)
        place = step - (length - 1 - lag + (1 - lag % 2))  # 0: the first digit
        in_expression = (place >= 0) & (step < length - 1)
        is_digit = in_expression & (place % 2 == 0)
        is_operator = in_expression & (place % 2 == 1)

        def read(
            state: tuple[Int[Array, " B"], ...], row: tuple[jax.Array, ...]
        ) -> tuple[tuple[Int[Array, " B"], ...], None]:
            # of the finished terms; of the current term, with its sign
            total, product = state
            digit, operator, reads, joins = row
            product = jnp.where(reads, product * digit % self.modulus, product)
            ends = joins & (operator < 2)
            total = jnp.where(ends, (total + product) % self.modulus, total)
            sign = jnp.where(operator == 0, 1, self.modulus - 1)
            return (total, jnp.where(ends, sign, product)), None

        start = jnp.zeros(batch, jnp.int32), jnp.ones(batch, jnp.int32)
        (total, product), _ = lax.scan(
            read, start, (digits, operators, is_digit, is_operator)
        )
        blank = self.modulus + _OPERATORS
        inputs = jnp.where(is_operator[:, None], self.modulus + operators, blank)
        inputs = jnp.where(is_digit[:, None], digits, inputs)
        return Batch(inputs, (total + product) % self.modulus)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold a sum and an unfinished product, a digit each: all m^2 pairs differ.

        Chance is the probability of the likeliest value, 0."""
        bits = 2 * math.log2(self.modulus)
        chance = _share_of_the_likeliest(self.modulus, (lag + 1) // 2)
        return Facts(held=2, bits=bits, chance=chance)


@lru_cache(maxsize=256)
def _share_of_the_likeliest(modulus: int, digits: int) -> float:
    """Return the probability of the likeliest value of an expression."""
    shares = np.zeros((modulus, modulus))  # of each (sum, product)
    shares[0, 1] = 1
    for left in reversed(range(digits)):
        read = np.zeros_like(shares)
        for digit in range(modulus):
            for product in range(modulus):
                read[:, product * digit % modulus] += shares[:, product] / modulus
        ends = np.zeros(modulus)
        for product in range(modulus):
            ends += np.roll(read[:, product], product)
        if not left:
            return float(np.max(ends))
        shares = read / _OPERATORS
        shares[:, 1] += ends / _OPERATORS
        shares[:, modulus - 1] += ends / _OPERATORS
    raise AssertionError("an expression has a digit")
