"""The design `adaptive`: trains the members that say most about u90 per training step,
until u90 of every lag is known to `precision`.

All lags are read by one model (`memcap.thresholds.lags`). Members come in rounds: first
at lags near a shorter one whose u50 is known, then wherever u90 is not precise enough.
A lag gets `BATCH` of them, at the widths expected to reduce the variance of log u90
most per step; nets that fail take their whole budget. The choice depends only on
results, so the likelihood holds unchanged.

Sources: Kontsevich & Tyler (1999) and QUEST+ (Watson, 2017), for choosing trials by
expected information.
"""

from collections.abc import Iterable, Mapping
from typing import Generic

import numpy as np

from memcap.designs.bisect import REACH, Search
from memcap.designs.design import C, Design, Outcome, SearchKey
from memcap.knobs import UserError, grouped
from memcap.thresholds.curve import SMALLEST, Counts, Floats, logistic, logit
from memcap.thresholds.lags import Belief, believe

PRECISION = 0.15  # of u90, by default
BATCH = 4  # members per lag and round
# least seeds at a lag, in widths' worth, so that a few lucky passes do not end it
LEAST_WIDTHS = 1.5
MOST_WIDTHS = 4  # most seeds at a lag, in widths' worth
USUAL_WIDTHS = 1.8  # about how many in simulated studies (docs/decides.md)
SETTLED_RATIO = (
    1.6  # high / low of a lag's interval of u50 at which longer lags may start
)
SETTLED_WIDTHS = 1.5  # or high - low, in units
LEAST_GAIN = 0.01  # least share of the variance of log u90 that a member must be expected to remove
# assumed of seeds in choosing members: the share that no width saves, and intraclass
# correlation at one width
LAPSE = 0.05
CORRELATION = 0.1
# share of its budget that a passing member is assumed to take, until one has passed
PASS_STEPS = 0.35
NEGLIGIBLE = (
    0.05  # for `memcap.thresholds.lags.believe`: coarser and faster than for an answer
)
# range of widths to consider, as shares of u50's lower and u90's upper end
LOWER_MARGIN = 0.5
UPPER_MARGIN = 1.3
ENDS = np.array([0.025, 0.5, 0.975])
SHARE = 0.9


class LagLine(Generic[C]):
    """The lags of one task, network and recipe.

    Args:
        members: all members that differ only in lag, width and seed.
        outcomes: those in the store.
        precision: how far the ends of the interval of u90 may lie from its middle, as a
            share of it.

    Raises:
        UserError: as for `Search`; or one lag has several lengths.
    """

    def __init__(
        self, members: Iterable[C], outcomes: Mapping[C, Outcome], precision: float
    ):
        groups = grouped(members, lambda member: member.lag)
        for lag, group in groups.items():
            lengths = sorted({member.length for member in group})
            if len(lengths) > 1:
                raise UserError(
                    f"design=adaptive: {group[0].series} at lag {lag} has lengths"
                    f" {', '.join(map(str, lengths))}; give each a study of its own, or set"
                    " design=bisect"
                )
        self.name = str(next(iter(groups.values()))[0].series)
        self.precision = precision
        self.searches = {lag: Search(groups[lag]) for lag in sorted(groups)}
        self.in_training: set[C] = set()
        # outcomes in the store that do not count yet
        self._stored = {
            member: outcomes[member]
            for group in groups.values()
            for member in group
            if member in outcomes
        }
        self._ended: set[C] = set()
        # shares of their budgets that passing members took, by lag
        self._pass_steps: dict[int, list[float]] = {lag: [] for lag in groups}
        self._open = list(self.searches)  # the lags that are not done
        self._u90: dict[int, Floats] = {}  # ends and middle, of the lags with results

    def record(self, member: C, outcome: Outcome) -> None:
        self._ended.add(member)
        self.searches[member.lag].record(member.width, outcome.passed)
        if outcome.passed:
            self._pass_steps[member.lag].append(outcome.steps / member.recipe.budget)

    def advance(self) -> list[C]:
        """Go through the rounds that the store has; return the members missing in the
        next one."""
        while chosen := self._next_round():
            stored = [member for member in chosen if member in self._stored]
            missing = [member for member in chosen if member not in self._stored]
            # no round of an earlier run: all other outcomes count from here on
            if self._stored and not stored:
                stored = list(self._stored)
                missing = []
            for member in stored:
                self.record(member, self._stored.pop(member))
            if missing:
                self.in_training.update(missing)
                return missing
        return []

    def _next_round(self) -> list[C]:
        """Return the members of the next round; empty once all lags are done."""
        lags = list(self.searches)
        beliefs = believe(self._counts(), lags, NEGLIGIBLE)
        u50 = {lag: beliefs[lag].quantiles(0.5, ENDS) for lag in lags}
        u90 = {lag: beliefs[lag].quantiles(SHARE, ENDS) for lag in lags}
        self._u90 = {lag: u90[lag] for lag in lags if self.searches[lag].total}
        self._open = [lag for lag in lags if not self._is_done(lag, u90[lag])]
        while self._open:
            unsettled = [
                lag for lag in self._open if not self._is_settled(lag, u50[lag])
            ]
            reach = REACH * max(set(lags).difference(unsettled), default=0)
            near = [lag for lag in unsettled if lag == unsettled[0] or lag <= reach]
            round_lags = near or self._open
            chosen = []
            for lag in round_lags:
                chosen += self._batch(lag, beliefs[lag], u50[lag][0], u90[lag][2])
            if chosen:
                return chosen
            # no member there would tell much
            self._open = [lag for lag in self._open if lag not in round_lags]
        return []

    @property
    def frontier(self) -> str:
        """The interval of u90 by now at each lag with results, in a line."""
        intervals = [
            f"{low:.2g} to {high:.2g} at lag {lag}"
            for lag, (low, _, high) in self._u90.items()
        ]
        return ", ".join(intervals)

    @property
    def most_left(self) -> int:
        return sum(_most(search) - search.total for search in self._open_searches)

    @property
    def usual_left(self) -> int:
        """About how many further members it takes in simulated studies."""
        remaining = 0
        for search in self._open_searches:
            usual = round(USUAL_WIDTHS * search.seeds) - search.total
            remaining += min(_most(search) - search.total, max(BATCH, usual))
        return remaining

    @property
    def _open_searches(self) -> list[Search[C]]:
        return [self.searches[lag] for lag in self._open]

    def _counts(self) -> dict[int, Counts]:
        """Return the counts by lag, always with the outermost widths of the shortest
        lag, from which the model knows how wide nets may be."""
        counts = {}
        for lag, search in self.searches.items():
            tried = search.runs > 0
            if lag == min(self.searches):
                tried[[0, -1]] = True
            if tried.any():
                widths = np.array(search.widths)[tried]
                solved = np.array(search.solved)[tried]
                counts[lag] = Counts(widths, solved, search.runs[tried])
        return counts

    def _is_settled(self, lag: int, u50: Floats) -> bool:
        low, _, high = u50
        is_narrow = high / low < SETTLED_RATIO or high - low < SETTLED_WIDTHS
        return self.searches[lag].total > 0 and bool(is_narrow)

    def _is_done(self, lag: int, u90: Floats) -> bool:
        search = self.searches[lag]
        low, middle, high = u90
        if search.total >= _most(search):
            return True
        if search.total < LEAST_WIDTHS * search.seeds:
            return False
        if high / low <= (1 + self.precision) ** 2 or high - low <= 1:
            return True
        return search.runs[-1] == search.seeds and middle > search.widths[-1]

    def _batch(
        self, lag: int, belief: Belief, lowest: float, highest: float
    ) -> list[C]:
        search = self.searches[lag]
        widths = np.array(search.widths)
        first = max(int(np.searchsorted(widths, LOWER_MARGIN * lowest)) - 1, 0)
        end = int(np.searchsorted(widths, UPPER_MARGIN * highest)) + 1
        log_widths = np.log2(widths[first:end])
        seeds_to_try = [
            [member for member in members if member not in self._ended]
            for members in search.members[first:end]
        ]
        count = search.runs[first:end].astype(float)
        mu = np.broadcast_to(belief.mu[:, None], belief.weights.shape).ravel()
        slope = np.broadcast_to(belief.slope, belief.weights.shape).ravel()
        weights = belief.weights.ravel()
        # the rest changes no choice, and takes most of the time
        likely = weights > 1e-3 * np.max(weights)
        mu = mu[likely]
        slope = slope[likely]
        weights = weights[likely] / weights[likely].sum()
        log_u90 = np.maximum(mu + logit(SHARE) / slope, 0)
        passes = (1 - LAPSE) * logistic(slope * (log_widths[:, None] - mu))
        passes = np.maximum(passes, SMALLEST)
        log_passes = np.log(passes)
        log_fails = np.log1p(-passes)
        pass_steps = self._pass_steps[lag]
        share = (sum(pass_steps) + PASS_STEPS) / (len(pass_steps) + 1)
        is_begun = search.total >= BATCH
        chosen = []
        for _ in range(min(BATCH, _most(search) - search.total)):
            chance = passes @ weights
            mean = weights @ log_u90
            if_passed = (passes * weights) @ log_u90 / chance
            if_failed = (mean - chance * if_passed) / (1 - chance)
            narrowed = (
                chance * (if_passed - mean) ** 2
                + (1 - chance) * (if_failed - mean) ** 2
            )
            has_seeds = np.array([len(seeds) > 0 for seeds in seeds_to_try])
            narrowed *= has_seeds / (1 + CORRELATION * count) ** 2
            best = int(np.argmax(narrowed / (chance * share + 1 - chance)))
            least = LEAST_GAIN * (weights @ (log_u90 - mean) ** 2)
            if is_begun and narrowed[best] <= least:
                break
            if narrowed[best] == 0:  # all is known, but too little was measured here
                best = int(np.argmin(np.abs(log_widths - mean)))
            if not seeds_to_try[best]:
                break
            chosen.append(seeds_to_try[best].pop(0))
            count[best] += 1
            expected = (
                chance[best] * log_passes[best] + (1 - chance[best]) * log_fails[best]
            )
            weights = weights * np.exp(
                (expected - expected.max()) / (1 + CORRELATION * count[best])
            )
            weights /= weights.sum()
        return chosen


def _most(search: Search) -> int:
    return min(MOST_WIDTHS, len(search.widths)) * search.seeds


class Adaptive(Design[C]):
    """The design `adaptive` of one job, with arguments and errors as of `LagLine`."""

    def __init__(
        self,
        members: Iterable[C],
        outcomes: Mapping[C, Outcome],
        precision: float = PRECISION,
    ):
        groups = grouped(
            dict.fromkeys(members), lambda member: SearchKey.of(member).across_lags
        )
        self._line_of: dict[C, LagLine[C]] = {}
        for group in groups.values():
            line = LagLine(group, outcomes, precision)
            self._line_of |= dict.fromkeys(group, line)
        self.candidates = list(self._line_of)
        self._lines = list(dict.fromkeys(self._line_of.values()))

    def first_members(self) -> list[C]:
        return [member for line in self._lines for member in line.advance()]

    def next_members(self, member: C, outcome: Outcome) -> list[C]:
        line = self._line_of[member]
        line.in_training.remove(member)
        line.record(member, outcome)
        return [] if line.in_training else line.advance()

    @property
    def frontier(self) -> list[str]:
        return [
            f"{line.name}, units: {line.frontier}"
            for line in self._lines
            if line.frontier
        ]

    @property
    def estimate(self) -> int:
        return sum(line.most_left for line in self._lines)

    @property
    def usual(self) -> int:
        return sum(line.usual_left for line in self._lines)
