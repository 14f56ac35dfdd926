"""Cycle navigation."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from memcap.knobs import knob
from memcap.tasks.base import Batch, Facts, LetterTask, Operand

if TYPE_CHECKING:
    from jaxtyping import Array, Int

_MOVES = 3  # stay, forward, back
_BLANK = 3


@dataclass(frozen=True)
class CycleNavigation(LetterTask):
    """Moves on a ring, from place 0: stay, one forward, one back. Then a blank asks for the place.

    Example (5 places; = stays, + goes forward, - back): + + = - + + + _ | lag 7 -> 4.

    Source: Delétang et al. (2023), "Neural networks and the Chomsky hierarchy", on a
    ring of 5."""

    places: int = knob(5, "number of places on the ring", at_least=3, at_most=1024)
    name = "cycle_navigation"
    letters = _MOVES
    vocabulary = _BLANK + 1  # stay, forward, back, and the blank, in that order

    @property
    def outputs(self) -> int:
        return self.places

    def _layout(
        self,
        step: Int[Array, "T 1"],
        letters: Int[Array, "T B"],
        lag: Operand,
        length: Operand,
    ) -> Batch:
        import jax.numpy as jnp

        counts = (step >= length - 1 - lag) & (step < length - 1)
        by = jnp.where(counts, jnp.where(letters == _MOVES - 1, -1, letters), 0)
        inputs = jnp.where(counts, letters, _BLANK)
        return Batch(inputs, jnp.sum(by, axis=0) % self.places)

    def facts(self, lag: int, length: int) -> Facts:
        """Hold one place. Chance is the probability of the likeliest place, 0."""
        chance = _share_of_the_likeliest(self.places, lag)
        bits = math.log2(min(self.places, 2 * lag + 1))
        return Facts(held=1, bits=bits, chance=chance)


@lru_cache(maxsize=256)
def _share_of_the_likeliest(places: int, moves: int) -> float:
    """Return the probability of place 0: the walk's Fourier sum there."""
    waves = (1 + 2 * np.cos(2 * np.pi * np.arange(places) / places)) / _MOVES
    return float(np.mean(waves**moves))
