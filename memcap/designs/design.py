"""The interface of a design, which decides the members of a study to train, and their order."""

import math
from abc import ABC, abstractmethod
from dataclasses import replace
from functools import lru_cache
from typing import NamedTuple

from memcap.config.member import Member
from memcap.config.recipes import ResolvedRecipe
from memcap.models.model import Model
from memcap.rule import Evaluation
from memcap.tasks import Task

DESIGNS = ("grid", "bisect", "adaptive", "race")
FEWEST_WIDTHS = 3  # of a search


class Outcome(NamedTuple):
    """The part of a member's result that a design needs."""

    passed: bool  # whether it reached the verdict that it trained for
    steps: int = 0  # training steps taken
    # its best held-out score, on a scale from 0 at chance to 1 for a perfect one
    share: float = 0.0

    @classmethod
    def of(cls, member: Member, passed: bool, steps: int, best: float) -> "Outcome":
        """Return the outcome of a member; `best` is its best held-out accuracy or error, or NaN."""
        chance = member.facts.chance
        perfect = float(member.task.higher_is_better)
        share = (best - chance) / (perfect - chance)
        return cls(
            passed, steps, min(1.0, max(0.0, share)) if math.isfinite(share) else 0.0
        )


class SearchKey(NamedTuple):
    """The values that the members of one search of widths share: all but width and seed."""

    task: Task
    model: Model  # the network, at one unit
    evaluation: Evaluation
    lag: int | None  # None, as the length, if the key spans all lags
    length: int | None
    recipe: ResolvedRecipe | None  # None if the key spans all recipes

    @classmethod
    def of(cls, member: Member) -> "SearchKey":
        """Return the key of a member's search."""
        model = _at_one_unit(member.model)
        return cls(
            member.task,
            model,
            member.evaluation,
            member.lag,
            member.length,
            member.recipe,
        )

    @property
    def across_lags(self) -> "SearchKey":
        """The key without lag and length."""
        return self._replace(lag=None, length=None)

    @property
    def across_recipes(self) -> "SearchKey":
        """The key without the recipe."""
        return self._replace(recipe=None)


@lru_cache(maxsize=1024)
def _at_one_unit(model: Model) -> Model:
    return replace(model, units=1)


class Design(ABC):
    """A design that chooses members by results; members may end in any order."""

    candidates: list[Member]  # all members that it may ask for

    @property
    @abstractmethod
    def estimate(self) -> int:
        """The most members that are still to end, as far as can be said by now."""

    @property
    def usual(self) -> int | None:
        """The number of members that are still to end in most simulated studies, if known."""
        return None

    @property
    def frontier(self) -> list[str]:
        """The units that each lag needs, as far as the results say by now, a line for
        each task; empty for a design that reads no frontier."""
        return []

    @abstractmethod
    def first_members(self) -> list[Member]:
        """Return the first members to train; empty if the store has all that are wanted."""

    @abstractmethod
    def next_members(self, member: Member, outcome: Outcome) -> list[Member]:
        """Return the members wanted after one that it asked for has ended; empty while
        others must end first.

        Raises:
            ValueError: the member was not asked for, or has ended before.
        """
