"""The design `race`: which recipe trains a task at a lag, before `bisect` asks how many units it takes by it.

The recipes that compete train a few seeds each. First at a lean width, half a unit per symbol that is to be
held, with a small budget, one recipe after another: the first that passes there, with at least half of its
seeds solved, trains narrow nets, and wins. (Those of one name, which differ in their rates, train there
together, and the best of them wins.) Which one trains ample nets soonest does not say that: some recipes are
quick with room to spare and fail without.

Where none passes at the lean width, all race at an ample one. The worse half is left behind and the budget
doubles (successive halving), until one is left or until one passes. Where no recipe is beyond chance yet,
none is left behind. Recipes are compared by how many seeds passed, then by how few steps those took, then by
the best held-out score.

Budgets and steps are counted from the end of a recipe's warmup on. A budget that reaches a recipe's own is
its own, so that those members count for the search that follows. Every net of a race is a member like any
other, with a row and a key; what it has of its own is its budget.

The winners of all lags of a task then go into one search (`memcap.designs.bisect.Bisect`).

Source: successive halving is that of Jamieson & Talwalkar (2016).
"""

import statistics
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import replace

from memcap.config import Member
from memcap.designs.bisect import Bisect, Outcome, search_of
from memcap.recipes import ResolvedRecipe
from memcap.tasks.base import BEYOND_CHANCE

SEEDS = 3  # that each recipe trains in a race
FIRST_BUDGET = 1500  # steps of the first rung, after the warmup
LEAN = 0.5  # units per symbol that is to be held, of the width that races first
AMPLE = 2  # and of the one that races where none passes there
FEWEST_UNITS = 16  # of the ample width


def race_of(member: Member) -> tuple[Hashable, ...]:
    """What the members of one race have in common: all but width, seed and recipe."""
    return search_of(member)[:-1]


def chain_of(member: Member) -> tuple[Hashable, ...]:
    """What the members of the search that follows have in common: all but lag, width, seed and recipe."""
    task, _, _, network, evaluation = race_of(member)
    return task, network, evaluation


class LagRace:
    """The race of one task and lag.

    Args:
        members: all that differ in width, seed and recipe alone.
    """

    def __init__(self, members: Iterable[Member]):
        self.members: dict[ResolvedRecipe, list[Member]] = {}
        for member in members:
            self.members.setdefault(member.recipe, []).append(member)
        self.alive = list(self.members)
        names = dict.fromkeys(recipe.name for recipe in self.alive)
        # Those that train at the lean width together.
        self.heats = [[recipe for recipe in self.alive if recipe.name == name] for name in names]
        self.budget = FIRST_BUDGET
        held = next(iter(self.members.values()))[0].facts.held
        self.lean, self.ample = LEAN * held, max(FEWEST_UNITS, AMPLE * held)
        self._nets: dict[tuple[ResolvedRecipe, float, int], list[Member]] = {}

    @property
    def winner(self) -> ResolvedRecipe | None:
        """The recipe that is left; None while several are."""
        return self.alive[0] if len(self.alive) == 1 else None

    def nets(self, recipe: ResolvedRecipe, units: float, budget: int) -> list[Member]:
        """The nets that a recipe trains in the rung of this budget, of about so many units."""
        if (recipe, units, budget) not in self._nets:
            self._nets[recipe, units, budget] = self._nets_of(recipe, units, budget)
        return self._nets[recipe, units, budget]

    def _nets_of(self, recipe: ResolvedRecipe, units: float, budget: int) -> list[Member]:
        theirs = self.members[recipe]
        width = min({m.model.units for m in theirs}, key=lambda width: (abs(width - units), width))
        nets = sorted((m for m in theirs if m.model.units == width), key=lambda m: m.seed)[:SEEDS]
        return [replace(net, recipe=replace(recipe, budget=_budget(recipe, budget))) for net in nets]

    def candidates(self) -> list[Member]:
        """All nets that the race may come to train."""
        if self.winner is not None:
            return []
        nets: dict[Member, None] = {}
        for recipe in self.members:
            budget = FIRST_BUDGET
            nets.update(dict.fromkeys(self.nets(recipe, self.lean, budget)))
            nets.update(dict.fromkeys(self.nets(recipe, self.ample, budget)))
            while _budget(recipe, budget) != recipe.budget:
                budget *= 2
                nets.update(dict.fromkeys(self.nets(recipe, self.ample, budget)))
        return list(nets)

    def advance(self, outcomes: Mapping[Member, Outcome]) -> list[Member]:
        """Go on as far as the outcomes allow. Returns the nets of the rung at hand that have none yet; empty
        once there is a winner."""
        while self.winner is None:
            racing, units = (self.heats[0], self.lean) if self.heats else (self.alive, self.ample)
            nets = {recipe: self.nets(recipe, units, self.budget) for recipe in racing}
            missing = [net for each in nets.values() for net in each if net not in outcomes]
            if missing:
                return missing
            ends = {recipe: [outcomes[net] for net in each] for recipe, each in nets.items()}
            racing = sorted(racing, key=lambda recipe: _rank(recipe, ends[recipe]))
            best = ends[racing[0]]
            passes = 2 * sum(each.passed for each in best) >= len(best)
            if passes:
                self.alive = racing[:1]
            elif self.heats:
                # Of two that are equal at the ample width the better one here comes first.
                self.alive = [recipe for recipe in self.alive if recipe not in racing] + racing
                del self.heats[0]
            else:
                self.alive = self._next_rung(racing, max(each.share for each in best))
                self.budget *= 2
        return []

    def _next_rung(self, ranked: list[ResolvedRecipe], best: float) -> list[ResolvedRecipe]:
        """Those that go on, of recipes in the order of a rung that none of them passed; `best` is a share."""
        if all(_budget(recipe, self.budget) == recipe.budget for recipe in ranked):
            return ranked[:1]
        return ranked[: (len(ranked) + 1) // 2] if best > BEYOND_CHANCE else ranked

    def most_left(self, outcomes: Mapping[Member, Outcome]) -> int:
        """How many nets are still to train at most."""
        return 0 if self.winner is not None else sum(net not in outcomes for net in self.candidates())


def _budget(recipe: ResolvedRecipe, rung: int) -> int:
    """Steps of a recipe's nets in the rung of so many steps: after its warmup, and at most its own."""
    return min(rung + recipe.warmup_steps, recipe.budget)


def _rank(recipe: ResolvedRecipe, outcomes: list[Outcome]) -> tuple[float, ...]:
    """Most passed first, then fewest steps to it, then the best score."""
    steps = [each.steps - recipe.warmup_steps for each in outcomes if each.passed]
    return (
        -len(steps),
        statistics.median(steps) if steps else 0.0,
        -statistics.fmean(each.share for each in outcomes),
    )


class Race:
    """The design `race` of one job: members to train, requested as results come, in any order.

    Args:
        members: of the axes: every recipe that competes, with the widths and seeds of the search that
            follows.
        outcomes: what the store holds of `members` and of `candidates`.

    Raises:
        UserError: widths and seeds that cannot be searched; see `Bisect`.
    """

    def __init__(self, members: Iterable[Member], outcomes: Mapping[Member, Outcome]):
        chains: dict[Hashable, dict[Hashable, list[Member]]] = {}
        for member in dict.fromkeys(members):
            chains.setdefault(chain_of(member), {}).setdefault(race_of(member), []).append(member)
        self._races = {chain: [LagRace(lag) for lag in lags.values()] for chain, lags in chains.items()}
        self._chain_of: dict[Member, Hashable] = {}
        # What may come of a search is asked before its recipes are known: of the first ones.
        self._expected: dict[Hashable, int] = {}
        for chain, races in self._races.items():
            nets = [net for race in races for net in race.candidates()]
            self._chain_of |= dict.fromkeys(
                [*nets, *(m for lag in chains[chain].values() for m in lag)], chain
            )
            first = [member for race in races for member in race.members[race.alive[0]]]
            self._expected[chain] = Bisect(first, {}).estimate
        self._searches: dict[Hashable, Bisect] = {}
        self._outcomes = {member: outcome for member, outcome in outcomes.items() if member in self._chain_of}
        self._requested: set[Member] = set()

    @property
    def candidates(self) -> list[Member]:
        """All members that may be asked for."""
        return list(self._chain_of)

    @property
    def winners(self) -> dict[Hashable, ResolvedRecipe]:
        """The recipe that won, by `race_of` its members, where one has."""
        races = [race for each in self._races.values() for race in each]
        return {
            race_of(race.members[race.winner][0]): race.winner for race in races if race.winner is not None
        }

    def first_members(self) -> list[Member]:
        """The members to begin with. Empty if the store holds all that is wanted."""
        return [member for chain in self._races for member in self._advance(chain)]

    def next_members(self, member: Member, outcome: Outcome) -> list[Member]:
        """The members wanted now that one that was asked for has ended. Empty while others must end first."""
        chain = self._chain_of[member]
        self._outcomes[member] = outcome
        if chain in self._searches:
            return self._searches[chain].next_members(member, outcome)
        return self._advance(chain)

    @property
    def estimate(self) -> int:
        """How many members are still to end, at most, as far as can be said before a race has ended."""
        total = 0
        for chain, races in self._races.items():
            search = self._searches.get(chain)
            racing = sum(race.most_left(self._outcomes) for race in races)
            total += racing + (self._expected[chain] if search is None else search.estimate)
        return total

    def _advance(self, chain: Hashable) -> list[Member]:
        missing = [net for race in self._races[chain] for net in race.advance(self._outcomes)]
        if not missing:
            winners = [member for race in self._races[chain] for member in race.members[race.alive[0]]]
            self._searches[chain] = Bisect(winners, self._outcomes)
            missing = self._searches[chain].first_members()
        new = [member for member in missing if member not in self._requested]
        self._requested.update(new)
        return new
