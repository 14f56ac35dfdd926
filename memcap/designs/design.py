"""The interface of a design, which decides the training runs of a study, and their
order."""

from abc import ABC, abstractmethod
from collections.abc import Hashable
from typing import Generic, NamedTuple, Protocol, TypeVar

DESIGNS = ("grid", "bisect", "adaptive", "race")
FEWEST_WIDTHS = 3  # of a search


class Training(Hashable, Protocol):
    """How a candidate is trained: its recipe."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def budget(self) -> int:
        """The most training steps."""


class Candidate(Hashable, Protocol):
    """A training run that a design may ask for."""

    @property
    def series(self) -> Hashable:
        """Return what members of other widths, seeds, lags and recipes share with it;
        `str` names it."""

    @property
    def lag(self) -> int:
        """Time steps to remember; 1 if there are no lags."""

    @property
    def length(self) -> int:
        """Time steps of a sequence; 1 if there are no lengths."""

    @property
    def recipe(self) -> Training:
        """How it is trained."""

    @property
    def width(self) -> int:
        """Units of the network."""

    @property
    def seed(self) -> int:
        """Its number among the candidates of its width."""


C = TypeVar("C", bound=Candidate)


class Outcome(NamedTuple):
    """The part of a result that a design needs."""

    passed: bool  # whether it reached the verdict that it trained for
    steps: int = 0  # training steps taken
    # its best held-out score, on a scale from 0 at chance to 1 for a perfect one
    share: float = 0.0


class SearchKey(NamedTuple):
    """A key of a search of widths: what its candidates share, all but width and seed."""

    series: Hashable
    lag: int | None  # None, as the length, if the key spans all lags
    length: int | None
    recipe: Hashable  # None if the key spans all recipes

    @classmethod
    def of(cls, candidate: Candidate) -> "SearchKey":
        return cls(candidate.series, candidate.lag, candidate.length, candidate.recipe)

    @property
    def across_lags(self) -> "SearchKey":
        return self._replace(lag=None, length=None)

    @property
    def across_recipes(self) -> "SearchKey":
        return self._replace(recipe=None)


class Design(ABC, Generic[C]):
    """A design that chooses candidates by results; they may end in any order."""

    candidates: list[C]  # all that it may ask for

    @property
    @abstractmethod
    def estimate(self) -> int:
        """The most candidates that are still to end, as far as is known."""

    @property
    def usual(self) -> int | None:
        """Return how many candidates are still to end in most simulated studies."""
        return None

    @property
    def frontier(self) -> list[str]:
        """The units that each lag needs by now, a line for each task; empty for a
        design that reads no frontier."""
        return []

    @abstractmethod
    def first_members(self) -> list[C]:
        """Return the first ones to train; empty if the store has all that are
        wanted."""

    @abstractmethod
    def next_members(self, member: C, outcome: Outcome) -> list[C]:
        """Return those wanted after one that it asked for has ended; empty while others
        must end first.

        Raises:
            ValueError: it was not asked for, or has ended before.
        """
