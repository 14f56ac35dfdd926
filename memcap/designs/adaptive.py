"""The design `adaptive`: trains the members that say most about u90 per training step,
until u90 of every lag is known as precisely as the user wants.

The lags of one task, network and recipe are a line. Its counts are read by the model of
all lags (`memcap.thresholds.lags`), as in `memcap answer`: lags share their trend,
steepness and lapse, so that after two or three lags the next one is predicted to some
10 %, and few members settle it.

Members come in rounds, each chosen from the results of all earlier rounds. At first a
round has every lag that is near enough to a shorter one whose u50 is known, until the
u50 of all lags is known; then every lag whose u90 is not yet known to `precision`. Each
such lag gets `BATCH` members, one by one: at the width whose next seed is expected to
reduce the variance of log u90 most per training step, as if the members chosen before
it had come out as expected. Nets that fail take their whole budget, so widths somewhat
above the threshold are often worth more. Seeds of one width are alike, so each further
one counts for less.

A lag ends when the 95 % interval of its u90 lies within a factor of 1 + `precision` of
its middle, or within one unit, and enough members were trained (`LEAST_WIDTHS`); when
no remaining member would tell much; when the widest nets have used up their seeds and
u90 lies beyond them; or after the seeds of `MOST_WIDTHS` widths.

Rows of other designs are used. A study that was killed asks for the same members again:
it repeats its rounds with the rows that exist, up to the first round that lacks some.

The choice of members depends only on results, so the likelihood of
`memcap.thresholds.lags` holds unchanged. Choosing by expected information, one trial at
a time, is from Kontsevich & Tyler (1999) and QUEST+ (Watson, 2017). docs/decides.md
compares its cost with that of `bisect` and the grid.
"""

from collections.abc import Iterable, Mapping

import numpy as np

from memcap.config.knobs import UserError
from memcap.config.member import Member
from memcap.designs.bisect import REACH, Search
from memcap.designs.design import Design, Outcome, SearchKey
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


class LagLine:
    """The lags of one task, network and recipe.

    Args:
        members: all members that differ only in lag, width and seed.
        precision: how far the ends of the interval of u90 may lie from its middle, as a
            share of it.

    Raises:
        UserError: as for `Search`; or one lag has several lengths.
    """

    def __init__(self, members: Iterable[Member], precision: float):
        groups: dict[int, list[Member]] = {}
        for member in members:
            groups.setdefault(member.lag, []).append(member)
        for lag, group in groups.items():
            if len(lengths := sorted({member.length for member in group})) > 1:
                raise UserError(
                    f"design=adaptive: {group[0].task.name} at lag {lag} has lengths"
                    f" {', '.join(map(str, lengths))}; give each a study of its own, or set"
                    " design=bisect"
                )
        self.searches = [Search(groups[lag]) for lag in sorted(groups)]
        self.lags = [search.lag for search in self.searches]
        self.precision = precision
        self._pass_steps: dict[int, list[float]] = {lag: [] for lag in self.lags}
        self._ended: set[Member] = set()
        self._open = list(
            range(len(self.searches))
        )  # indices of the lags that are not done

    def record(self, member: Member, outcome: Outcome) -> None:
        """Count one result."""
        self._ended.add(member)
        self.searches[self.lags.index(member.lag)].record(
            member.model.units, outcome.passed
        )
        if outcome.passed:
            self._pass_steps[member.lag].append(outcome.steps / member.recipe.budget)

    def next_round(self) -> list[Member]:
        """Return the members of the next round, by the results so far; empty once all
        lags are done."""
        beliefs = believe(self._counts(), self.lags, NEGLIGIBLE)
        u50, u90 = (
            [beliefs[lag].quantiles(share, ENDS) for lag in self.lags]
            for share in (0.5, SHARE)
        )
        self._open = [k for k in range(len(self.lags)) if not self._is_done(k, u90[k])]
        while self._open:
            unsettled = [k for k in self._open if not self._is_settled(k, u50[k])]
            reach = REACH * max(
                (lag for k, lag in enumerate(self.lags) if k not in unsettled),
                default=0,
            )
            near = [k for k in unsettled if k == unsettled[0] or self.lags[k] <= reach]
            batches = {
                k: self._batch(
                    self.searches[k], beliefs[self.lags[k]], u50[k][0], u90[k][2]
                )
                for k in near or self._open
            }
            if chosen := [member for batch in batches.values() for member in batch]:
                return chosen
            self._open = [
                k for k in self._open if k not in batches
            ]  # no member there would tell much
        return []

    def most_left(self) -> int:
        """Return the most further members that it may take."""
        return sum(self._most(search) - total(search) for search in self._still())

    def usual_left(self) -> int:
        """Return about how many further members it takes in simulated studies."""
        return sum(
            min(
                self._most(s) - total(s),
                max(BATCH, round(USUAL_WIDTHS * s.seeds) - total(s)),
            )
            for s in self._still()
        )

    def _still(self) -> list[Search]:
        return [self.searches[k] for k in self._open]

    @staticmethod
    def _most(search: Search) -> int:
        return min(MOST_WIDTHS, len(search.widths)) * search.seeds

    def _counts(self) -> dict[int, Counts]:
        """Return the counts of the lags with results, by lag; the shortest lag with its
        outermost widths even without results, so that the model knows how wide nets may
        be."""
        counts = {}
        for search in self.searches:
            runs = np.add(search.solved, search.failed)
            tried = runs > 0
            if search is self.searches[0]:
                tried[[0, -1]] = True
            if tried.any():
                widths = np.array(search.widths)[tried]
                solved = np.array(search.solved)[tried]
                counts[search.lag] = Counts(widths, solved, runs[tried])
        return counts

    def _is_settled(self, k: int, u50: Floats) -> bool:
        low, _, high = u50
        return total(self.searches[k]) > 0 and bool(
            high / low < SETTLED_RATIO or high - low < SETTLED_WIDTHS
        )

    def _is_done(self, k: int, u90: Floats) -> bool:
        search, (low, middle, high) = self.searches[k], u90
        if total(search) >= self._most(search):
            return True
        if total(search) < LEAST_WIDTHS * search.seeds:
            return False
        if high / low <= (1 + self.precision) ** 2 or high - low <= 1:
            return True
        return (
            search.solved[-1] + search.failed[-1] == search.seeds
            and middle > search.widths[-1]
        )

    def _batch(
        self, search: Search, belief: Belief, lowest: float, highest: float
    ) -> list[Member]:
        """Choose the next members of one lag."""
        widths = np.array(search.widths)
        runs = np.add(search.solved, search.failed)
        first = max(int(np.searchsorted(widths, LOWER_MARGIN * lowest)) - 1, 0)
        places = np.arange(
            first,
            min(int(np.searchsorted(widths, UPPER_MARGIN * highest)) + 1, len(widths)),
        )
        at, slope = (
            each.ravel()
            for each in np.broadcast_arrays(belief.mu[:, None], belief.slope)
        )
        weights = belief.weights.ravel()
        likely = weights > 1e-3 * np.max(
            weights
        )  # the rest changes no choice, and takes most of the time
        at = at[likely]
        slope = slope[likely]
        weights = weights[likely] / weights[likely].sum()
        log_u90 = np.maximum(at + logit(SHARE) / slope, 0)
        passes = (1 - LAPSE) * logistic(slope * (np.log2(widths[places])[:, None] - at))
        passes = np.maximum(passes, SMALLEST)
        log_passes = np.log(passes)
        log_fails = np.log1p(-passes)
        pass_steps = self._pass_steps[search.lag]
        share = (sum(pass_steps) + PASS_STEPS) / (len(pass_steps) + 1)
        left = [
            [m for m in search.members[place] if m not in self._ended]
            for place in places
        ]
        count = runs[places].astype(float)
        chosen = []
        for _ in range(min(BATCH, self._most(search) - int(runs.sum()))):
            chance = passes @ weights
            mean = weights @ log_u90
            if_passed = (passes * weights) @ log_u90 / chance
            if_failed = (mean - chance * if_passed) / (1 - chance)
            narrowed = (
                chance * (if_passed - mean) ** 2
                + (1 - chance) * (if_failed - mean) ** 2
            )
            narrowed *= (
                np.array([len(seeds) > 0 for seeds in left])
                / (1 + CORRELATION * count) ** 2
            )
            best = int(np.argmax(narrowed / (chance * share + 1 - chance)))
            if (
                runs.sum() < BATCH and narrowed[best] == 0
            ):  # all is known, but too little was measured here
                best = int(np.argmin(np.abs(np.log2(widths[places]) - mean)))
            elif (
                narrowed[best] <= LEAST_GAIN * (weights @ (log_u90 - mean) ** 2)
                and runs.sum() >= BATCH
            ):
                break
            if not left[best]:
                break
            chosen.append(left[best].pop(0))
            count[best] += 1
            expected = (
                chance[best] * log_passes[best] + (1 - chance[best]) * log_fails[best]
            )
            weights = weights * np.exp(
                (expected - expected.max()) / (1 + CORRELATION * count[best])
            )
            weights /= weights.sum()
        return chosen


def total(search: Search) -> int:
    """Return the number of a search's results."""
    return sum(search.solved) + sum(search.failed)


class Adaptive(Design):
    """The design `adaptive` of one job, with arguments and errors as of `Bisect` and `LagLine`."""

    def __init__(
        self,
        members: Iterable[Member],
        outcomes: Mapping[Member, Outcome],
        precision: float = PRECISION,
    ):
        groups: dict[SearchKey, list[Member]] = {}
        for member in dict.fromkeys(members):
            groups.setdefault(SearchKey.of(member).across_lags, []).append(member)
        self._line_of: dict[Member, LagLine] = {}
        for group in groups.values():
            self._line_of |= dict.fromkeys(group, LagLine(group, precision))
        self.candidates = list(self._line_of)
        self._lines = list(dict.fromkeys(self._line_of.values()))
        self._rows: dict[LagLine, dict[Member, Outcome]] = {
            line: {} for line in self._lines
        }
        for member, line in self._line_of.items():
            if member in outcomes:
                self._rows[line][member] = outcomes[member]
        self._in_training: dict[LagLine, set[Member]] = {
            line: set() for line in self._lines
        }

    def first_members(self) -> list[Member]:
        """Return the members to begin with."""
        return [member for line in self._lines for member in self._advance(line)]

    def next_members(self, member: Member, outcome: Outcome) -> list[Member]:
        """Return the members wanted now."""
        line = self._line_of[member]
        if member not in self._in_training[line]:
            raise ValueError(f"{member}: was not asked for, or has ended before")
        self._in_training[line].remove(member)
        line.record(member, outcome)
        return [] if self._in_training[line] else self._advance(line)

    @property
    def estimate(self) -> int:
        """The most members that are still to end."""
        return sum(line.most_left() for line in self._lines)

    @property
    def usual(self) -> int:
        """The number of members still to end in most simulated studies."""
        return sum(line.usual_left() for line in self._lines)

    def _advance(self, line: LagLine) -> list[Member]:
        """Go through the rounds for which there are rows; return the members missing in
        the next one."""
        rows = self._rows[line]
        while chosen := line.next_round():
            there = [member for member in chosen if member in rows]
            missing = [member for member in chosen if member not in rows]
            if (
                not there
            ):  # not a round of an earlier run: all other rows count from here on
                there = list(rows)
                missing = [] if there else chosen
            for member in there:
                line.record(member, rows.pop(member))
            if missing:
                self._in_training[line].update(missing)
                return missing
        return []
