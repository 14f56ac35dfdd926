"""The design `race`: finds the recipe that trains a task at a lag, before `bisect`
finds the units that the task takes with it.

Recipes take turns at a narrow width, with a few seeds and a small budget; the first to
solve half of its seeds wins, as some recipes are fast only with room to spare. If none
does, all race at a wide one: the worse half is dropped and the budget doubles, until
one is left or passes. Budgets count from the end of the warmup; a net with the recipe's
whole budget counts for the search that follows.

Source: Jamieson & Talwalkar (2016), for successive halving.
"""

import itertools
import statistics
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import cache

from memcap.config.member import Member
from memcap.config.recipes import ResolvedRecipe
from memcap.designs.bisect import Bisect
from memcap.designs.design import Design, Outcome, SearchKey
from memcap.knobs import grouped
from memcap.tasks.base import BEYOND_CHANCE

SEEDS = 3  # per recipe in a race
FIRST_BUDGET = 1500  # steps of the first round, after the warmup
NARROW_PER_SYMBOL = 0.5  # units per symbol to be held, at the first width of a race
WIDE_PER_SYMBOL = 2  # likewise, at the width of a race if none passes there
FEWEST_WIDE_UNITS = 16


class LagRace:
    """The race of one task and lag, among members that differ in width, seed and
    recipe."""

    def __init__(self, members: Iterable[Member]):
        self.members = grouped(members, lambda member: member.recipe)
        self.rivals = list(self.members)
        names = dict.fromkeys(recipe.name for recipe in self.rivals)
        # The recipes of each remaining turn at the narrow width.
        self.turns = [
            [recipe for recipe in self.rivals if recipe.name == name] for name in names
        ]
        self.budget = FIRST_BUDGET
        held = self.members[self.rivals[0]][0].facts.held
        self.narrow_units = NARROW_PER_SYMBOL * held
        self.wide_units = max(FEWEST_WIDE_UNITS, WIDE_PER_SYMBOL * held)
        self.nets = cache(self._nets)  # as each new member is checked

    @property
    def winner(self) -> ResolvedRecipe | None:
        return self.rivals[0] if len(self.rivals) == 1 else None

    def _nets(self, recipe: ResolvedRecipe, units: float, budget: int) -> list[Member]:
        """Return the nets of about `units` units that a recipe trains in a round."""
        members = self.members[recipe]
        widths = sorted({member.model.units for member in members})
        width = min(widths, key=lambda width: abs(width - units))
        nets = [member for member in members if member.model.units == width]
        nets = sorted(nets, key=lambda net: net.seed)[:SEEDS]
        shorter = replace(recipe, budget=_budget(recipe, budget))
        return [replace(net, recipe=shorter) for net in nets]

    def candidates(self) -> list[Member]:
        if self.winner is not None:
            return []
        nets = []
        for recipe in self.members:
            budget = FIRST_BUDGET
            nets += self.nets(recipe, self.narrow_units, budget)
            nets += self.nets(recipe, self.wide_units, budget)
            while _budget(recipe, budget) != recipe.budget:
                budget *= 2
                nets += self.nets(recipe, self.wide_units, budget)
        return list(dict.fromkeys(nets))

    def advance(self, outcomes: Mapping[Member, Outcome]) -> list[Member]:
        """Go on as far as outcomes allow; return the nets without one, none once there
        is a winner."""
        while self.winner is None:
            racing = self.rivals
            units = float(self.wide_units)
            if self.turns:
                racing = self.turns[0]
                units = self.narrow_units
            nets = {recipe: self.nets(recipe, units, self.budget) for recipe in racing}
            missing = [
                net for each in nets.values() for net in each if net not in outcomes
            ]
            if missing:
                return missing
            ends = {
                recipe: [outcomes[net] for net in each] for recipe, each in nets.items()
            }
            racing = sorted(racing, key=lambda recipe: _rank(recipe, ends[recipe]))
            best = ends[racing[0]]
            passes = 2 * sum(each.passed for each in best) >= len(best)
            if passes:
                self.rivals = racing[:1]
            elif self.turns:
                # Of two recipes that tie at the wide width, the better one here comes first.
                self.rivals = [
                    recipe for recipe in self.rivals if recipe not in racing
                ] + racing
                del self.turns[0]
            else:
                self.rivals = self._survivors(racing, max(each.share for each in best))
                self.budget *= 2
        return []

    def _survivors(
        self, ranked: list[ResolvedRecipe], best: float
    ) -> list[ResolvedRecipe]:
        """Return the recipes that go on after a round in which none passed, given those
        of the round and the best net's share."""
        if all(_budget(recipe, self.budget) == recipe.budget for recipe in ranked):
            return ranked[:1]
        return ranked[: (len(ranked) + 1) // 2] if best > BEYOND_CHANCE else ranked

    def most_left(self, outcomes: Mapping[Member, Outcome]) -> int:
        return sum(net not in outcomes for net in self.candidates())


def _budget(recipe: ResolvedRecipe, steps: int) -> int:
    """Return the budget for `steps` after a recipe's warmup, its own at most."""
    return min(steps + recipe.warmup, recipe.budget)


def _rank(recipe: ResolvedRecipe, outcomes: list[Outcome]) -> tuple[float, ...]:
    """Rank most passes first, then fewest steps to them, then the best score."""
    steps = [each.steps - recipe.warmup for each in outcomes if each.passed]
    share = statistics.fmean(each.share for each in outcomes)
    return -len(steps), statistics.median(steps) if steps else 0.0, -share


class Race(Design[Member]):
    """The design `race` of one job, given members with every competing recipe. Errors
    are those of `Bisect`."""

    def __init__(self, members: Iterable[Member], outcomes: Mapping[Member, Outcome]):
        by_lag = grouped(
            dict.fromkeys(members), lambda member: SearchKey.of(member).across_recipes
        )
        # One search follows the races of all lags of a task and network.
        self._races: dict[SearchKey, list[LagRace]] = {}
        for key, group in by_lag.items():
            self._races.setdefault(key.across_lags, []).append(LagRace(group))
        candidates = []
        # Before its recipes are known, a search is expected to use the first ones.
        self._expected: dict[SearchKey, int] = {}
        for series, races in self._races.items():
            for race in races:
                candidates += race.candidates()
            for race in races:
                candidates += itertools.chain(*race.members.values())
            self._expected[series] = Bisect(_of_leaders(races), {}).estimate
        self.candidates = list(dict.fromkeys(candidates))
        self._searches: dict[SearchKey, Bisect[Member]] = {}
        self._outcomes = {
            member: outcomes[member] for member in self.candidates if member in outcomes
        }
        self._requested: set[Member] = set()

    def first_members(self) -> list[Member]:
        return [member for series in self._races for member in self._advance(series)]

    def next_members(self, member: Member, outcome: Outcome) -> list[Member]:
        series = SearchKey.of(member).across_lags.across_recipes
        self._outcomes[member] = outcome
        if series in self._searches:
            return self._searches[series].next_members(member, outcome)
        return self._advance(series)

    @property
    def estimate(self) -> int:
        """The most members still to end, as far as can be said before a race has
        ended."""
        total = 0
        for series, races in self._races.items():
            search = self._searches.get(series)
            racing = sum(race.most_left(self._outcomes) for race in races)
            total += racing + (
                self._expected[series] if search is None else search.estimate
            )
        return total

    def _advance(self, series: SearchKey) -> list[Member]:
        races = self._races[series]
        missing = [net for race in races for net in race.advance(self._outcomes)]
        if not missing:
            self._searches[series] = Bisect(_of_leaders(races), self._outcomes)
            missing = self._searches[series].first_members()
        new = [member for member in missing if member not in self._requested]
        self._requested.update(new)
        return new


def _of_leaders(races: Iterable[LagRace]) -> list[Member]:
    return [member for race in races for member in race.members[race.rivals[0]]]
