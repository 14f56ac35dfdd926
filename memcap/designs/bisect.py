"""The design `bisect`: finds u50 and u90 of every lag by halving the gap between widths
that pass and widths that do not.

A search (all widths and seeds of a task, lag and recipe) gallops from a guess until one
width passes and one does not, then halves the gap; each probe asks for the fewest seeds
that can settle it. A width well below u50, and one well above u90, then tell steep
curves from shallow ones.

Failures to train make counts that are not monotone; the smallest width known to pass
still passes. The stopping rule depends only on results, so the likelihood of
memcap.thresholds.curve holds unchanged.

The guess lies on a line through the answers of shorter lags, so a lag starts once u50
is known at 1 / `REACH` of it or more.
"""

from collections.abc import Hashable, Iterable, Mapping
from typing import Generic

import numpy as np
from numpy.typing import NDArray

from memcap.designs.design import FEWEST_WIDTHS, C, Design, Outcome, SearchKey
from memcap.knobs import UserError, grouped

# most times the longest known lag that a lag may be to start from its answer
REACH = 2.5
GALLOP = 0.1  # first step of a gallop, as a share of its first width
# distance of the two last widths below u50's answer and above u90's, as a share of it
BESIDE = 0.25


def seeds_needed(seeds: int) -> tuple[int, int]:
    """Return how many of a width's seeds must solve for it to pass at u50, and at u90:
    there 7 of 8, as some seeds fail to train at any width."""
    return (seeds + 1) // 2, max(1, 9 * seeds // 10)


class Search(Generic[C]):
    """All widths and seeds of one task, lag and recipe. It refuses fewer than 3 widths,
    and widths with different seeds."""

    def __init__(self, members: Iterable[C]):
        by_width = grouped(
            sorted(members, key=lambda member: member.seed), lambda member: member.width
        )
        self.widths = sorted(by_width)
        self.members = [by_width[width] for width in self.widths]
        first = self.members[0][0]
        self.lag = first.lag
        self.position = (first.lag, first.length)
        self.recipe = first.recipe
        where = (
            f"a search of widths: recipe {first.recipe.name} of {first.series} at lag"
            f" {first.lag}"
        )
        if len(self.widths) < FEWEST_WIDTHS:
            raise UserError(
                f"{where} has {len(self.widths)} of the {FEWEST_WIDTHS} widths it needs; list"
                " more in model.units, or set design=grid"
            )
        seeds = [[member.seed for member in group] for group in self.members]
        for width, of_width in zip(self.widths, seeds, strict=True):
            if of_width != seeds[0]:
                raise UserError(
                    f"{where} has other seeds at {width} units than at {self.widths[0]};"
                    " give every width the same seeds, or set design=grid"
                )
        self.seeds = len(seeds[0])
        self.u50, self.u90 = seeds_needed(self.seeds)
        self.solved = [0] * len(self.widths)
        self.failed = [0] * len(self.widths)
        self.start: int | None = None
        # by need; cleared when a result comes
        self._brackets: dict[int, tuple[int, int]] = {}

    @property
    def runs(self) -> NDArray[np.int64]:
        return np.add(self.solved, self.failed)

    @property
    def total(self) -> int:
        return sum(self.solved) + sum(self.failed)

    @property
    def answer(self) -> int:
        """The smallest width known to pass at u50; the largest width if none does."""
        return self.widths[min(self.bracket(self.u50)[1], len(self.widths) - 1)]

    def begin(self, guess: float) -> None:
        self.start = self._nearest(guess)

    def record(self, width: int, solved: bool) -> None:
        (self.solved if solved else self.failed)[self.widths.index(width)] += 1
        self._brackets.clear()

    def verdict(self, place: int, need: int) -> bool | None:
        """Return whether the width passes; None while missing seeds could decide either
        way."""
        if self.solved[place] >= need:
            return True
        return False if self.failed[place] > self.seeds - need else None

    def bracket(self, need: int) -> tuple[int, int]:
        """Return the places of the narrowest passing width, second, and of the widest
        failing one below it (-1: none)."""
        if need not in self._brackets:
            last = len(self.widths)
            high = next((k for k in range(last) if self.verdict(k, need)), last)
            low = next(
                (k for k in range(high - 1, -1, -1) if self.verdict(k, need) is False),
                -1,
            )
            self._brackets[need] = low, high
        return self._brackets[need]

    def is_settled(self, need: int) -> bool:
        low, high = self.bracket(need)
        return high - low == 1

    def demand(self) -> dict[int, int]:
        """Return how many results each width should have by now, by place."""
        if self.start is None:
            return {}
        if not self.is_settled(self.u50):
            return self._probe(self.u50, self.start)
        middle = min(self.bracket(self.u50)[1], len(self.widths) - 1)
        if not self.is_settled(self.u90):
            return self._probe(self.u90, middle)
        if self.bracket(self.u50)[1] == len(self.widths):
            return {}  # no width passes, so there are no answers to confirm
        last = min(self.bracket(self.u90)[1], len(self.widths) - 1)
        below = min(
            self._nearest((1 - BESIDE) * self.widths[middle]), max(middle - 1, 0)
        )
        return {below: (self.seeds + 1) // 2} | dict.fromkeys(
            self._above(last), self.seeds
        )

    def _above(self, place: int) -> list[int]:
        """Return the widths that confirm u90's answer: one well above it and, unless
        that passes, ever wider ones, until two in a row pass or none is left."""
        places = []
        in_a_row = self.verdict(place, self.u90) is True
        widest = len(self.widths) - 1
        while not places or (place < widest and in_a_row < 2):
            place = min(
                max(self._nearest((1 + BESIDE) * self.widths[place]), place + 1), widest
            )
            places.append(place)
            verdict = self.verdict(place, self.u90)
            if verdict is None:
                break
            in_a_row = in_a_row + 1 if verdict else 0
        return places

    def _nearest(self, width: float) -> int:
        """Return the place of the width nearest to this one; of two, the narrower."""
        return min(
            range(len(self.widths)), key=lambda place: abs(self.widths[place] - width)
        )

    def _probe(self, need: int, start: int) -> dict[int, int]:
        """Return the next width, and the fewest results that could settle its
        verdict."""
        low, high = self.bracket(need)
        step = max(1, round(GALLOP * (start + 1)))
        if low >= 0 and high < len(self.widths):
            place = (low + high) // 2
        elif low >= start:
            place = min(2 * low - start + step, len(self.widths) - 1)
        elif high <= start:
            place = max(2 * high - start - step, 0)
        else:
            place = start
        to_pass = need - self.solved[place]
        to_fail = self.seeds - need + 1 - self.failed[place]
        return {place: int(self.runs[place]) + min(to_pass, to_fail)}

    def most_left(self) -> int:
        """Return the most further results, if counts are monotone in width."""
        gaps = [
            (low, high)
            for low, high in map(self.bracket, (self.u50, self.u90))
            if high - low > 1
        ]
        if gaps or self.start is None:
            wide = len(self.widths).bit_length()
            halvings = [(high - low - 1).bit_length() for low, high in gaps]
            gallops = [
                wide for low, high in gaps if low < 0 or high == len(self.widths)
            ]
            most = self.seeds * (sum(halvings) + sum(gallops) + 2)
        else:
            missing = [n - self.runs[place] for place, n in self.demand().items()]
            most = sum(max(0, int(n)) for n in missing)
        return min(most, self.seeds * len(self.widths) - self.total)


class Bisect(Design[C]):
    """The design `bisect` of one job, given all members that it may ask for, and
    outcomes in the store. Errors are those of `Search`."""

    def __init__(self, members: Iterable[C], outcomes: Mapping[C, Outcome]):
        groups = grouped(dict.fromkeys(members), SearchKey.of)
        self._search_of: dict[C, Search[C]] = {}
        # the searches of one task and network, whose longer lags wait for shorter ones
        self._series: dict[Hashable, list[Search[C]]] = {}
        for key, group in groups.items():
            search = Search(group)
            self._search_of |= dict.fromkeys(group, search)
            self._series.setdefault(key.series, []).append(search)
        self.candidates = list(self._search_of)
        self._requested: set[C] = set()
        for member in self._search_of:
            if member in outcomes:
                self._record(member, outcomes[member].passed)

    def first_members(self) -> list[C]:
        first = []
        for series in self._series.values():
            first += self._request(self._begin_searches(series))
        return first

    def next_members(self, member: C, outcome: Outcome) -> list[C]:
        self._record(member, outcome.passed)
        search = self._search_of[member]
        series = self._series[member.series]
        return self._request([search, *self._begin_searches(series)])

    @property
    def estimate(self) -> int:
        """The most members still to end; only counts that are not monotone can raise
        it."""
        searches = dict.fromkeys(self._search_of.values())
        return sum(search.most_left() for search in searches)

    def _record(self, member: C, solved: bool) -> None:
        self._requested.add(member)
        self._search_of[member].record(member.width, solved)

    def _begin_searches(self, series: list[Search[C]]) -> list[Search[C]]:
        """Begin the searches of a series that need wait no longer."""
        begun = []
        for search in sorted(
            (s for s in series if s.start is None), key=lambda s: s.position
        ):
            shorter = [s for s in series if s.position < search.position]
            before = [s for s in shorter if s.recipe == search.recipe] or shorter
            answers = [(s.lag, s.answer) for s in before if s.is_settled(s.u50)]
            longest = max((lag for lag, _ in answers), default=0)
            if len(answers) == len(before) or search.lag <= REACH * longest:
                search.begin(_guess(answers, search.lag))
                begun.append(search)
        return begun

    def _request(self, searches: list[Search[C]]) -> list[C]:
        more = []
        for search in searches:
            for place, count in search.demand().items():
                members = search.members[place]
                not_requested = [
                    member for member in members if member not in self._requested
                ]
                missing = count - (len(members) - len(not_requested))
                more += not_requested[: max(missing, 0)]
        self._requested.update(more)
        return more


def _guess(answers: list[tuple[int, int]], lag: int) -> float:
    """Return the units that a lag may need: on a line through the answers, in
    proportion to one, or 1."""
    if not answers:
        return 1.0
    lags, units = zip(*answers, strict=True)
    if len(set(lags)) > 1:
        slope, intercept = np.polyfit(lags, units, 1)
        return float(slope * lag + intercept)
    return min(units) * lag / lags[0]
