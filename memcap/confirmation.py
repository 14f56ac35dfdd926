"""The confirmation of a net that looks right: tests of each lag, on fresh sequences."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np

from memcap.rule import MOST_SEQUENCES, Criterion, LagScore, tested_words

# The odds at which a lag is decided. A net that is wrong at some lag passes by chance in
# at most one of a thousand looks, and one that is right at 50 lags, at the first step and
# at later places, fails a look by chance in at most one of ten.
ODDS = 1000
# The odds at which a single place is decided. All places of a lag are decided together,
# too.
PLACE_ODDS = 100
# A group that is in doubt after this many sequences does not pass.
MOST_DRAWS = 12_800
# These multiples of the allowed error are told apart.
LESS = 0.5
MORE = 1.5
# Squared errors take as many sequences at least as an accuracy with this allowed error.
USUAL = 0.02
LEAST_VARIANCE = 1e-6  # relative, as sums are rounded
ROUNDING = 1e-9  # of shares
# The rule, by the same words wherever it is quoted
RULE = (
    "Each lag counts by itself: at the first step, and over all later places, the score meets the"
    " criterion, and at no later place is more than twice the error that the criterion allows."
    f" Where a length has at most {MOST_SEQUENCES:,} sequences all of them are counted; otherwise"
    " fresh ones are drawn until the odds are"
    f" {ODDS:,} to 1 that half of the allowed error is made rather than one and a half times as"
    f" much ({PLACE_ODDS} to 1 at a single place), and a net that is in doubt after"
    f" {MOST_DRAWS:,} does not pass."
)


class Tally(NamedTuple):
    """Sums over each of G groups of sequences, such as one length's; (G,)."""

    sequences: Any  # their number
    answers: Any  # number of answers that are due
    errors: Any  # number of wrong answers, or sum of squared errors
    squares: Any  # sum of the square of what a sequence adds to `errors`

    def plus(self, other: "Tally") -> "Tally":
        return Tally(*map(np.add, self, other))

    def of(self, group: int) -> "Tally":
        return Tally(*(values[[group]] for values in self))

    @property
    def pooled(self) -> "Tally":
        return Tally(*(values.sum(keepdims=True) for values in self))

    @property
    def error(self) -> Any:
        return self.errors / self.answers


@dataclass(frozen=True)
class SequentialTest:
    """A test whether the mean error of an answer is at most `allowed`.

    It weighs the odds that it is half of that against one and a half times as much.

    Source: A. Wald, Sequential tests of statistical hypotheses, Annals of Mathematical
    Statistics 16 (1945). The distribution is Bernoulli's, or Gamma for squared errors,
    with the variance of whole sequences, whose answers may be wrong together.
    """

    allowed: float
    odds: float  # at which a group passes or fails
    squared: bool  # whether errors are squared errors

    def evidence(self, tally: Tally) -> Any:
        """Return the logarithm of the odds that too much is wrong, (G,)."""
        error = tally.error
        less = LESS * self.allowed
        more = min(MORE * self.allowed, (1 + self.allowed) / 2)
        with np.errstate(divide="ignore", invalid="ignore"):
            # of a sequence's error, over the square of its mean
            variance = tally.sequences * tally.squares / tally.errors**2 - 1
            variance = np.maximum(variance, LEAST_VARIANCE)
            if self.squared:
                odds = error * (1 / less - 1 / more) - math.log(more / less)
                weight = 1 / variance
            else:
                odds = error * math.log(more / less)
                odds += (1 - error) * math.log((1 - more) / (1 - less))
                weight = np.maximum(1, (1 - error) / error / variance)
        # without any error there is no variance
        return tally.sequences * odds * np.where(error > 0, weight, 1)

    @property
    def fewest(self) -> int:
        """The number of sequences with which a group without an error passes."""
        allowed = USUAL if self.squared else self.allowed
        one = Tally(*np.array([[1.0], [1.0], [0.0], [0.0]]))
        evidence = SequentialTest(allowed, self.odds, squared=False).evidence(one)
        return math.ceil(-math.log(self.odds) / evidence.item())

    def run(
        self, draw: Callable[[], Tally], tally: Tally, pool: bool = False
    ) -> tuple[Any, Tally]:
        """Draw sequences until each group is decided, or too many are drawn.

        `tally` has the first sums, `draw` returns further ones; `pool` decides all
        groups as one. Return whether each group passes, (G,) or (1,), and the sums over
        all sequences.
        """
        verdicts: Any = 0
        while True:
            groups = tally.pooled if pool else tally
            evidence = self.evidence(groups)
            is_decided = abs(evidence) >= math.log(self.odds)
            verdicts = np.where(verdicts, verdicts, np.sign(evidence) * is_decided)
            if verdicts.all() or groups.sequences.min() >= MOST_DRAWS:
                return verdicts < 0, tally
            tally = tally.plus(draw())


@dataclass(frozen=True)
class LagTest:
    """The test of a net at one lag: at the first step, over all later places as one,
    and at each later place, where twice the error is allowed.

    Args:
        criterion: what the net must reach.
        draw: given two lengths and a number of blocks, returns the sums for each length
            from the first to the second, over so many blocks of each.
        block: number of sequences in a block.
        is_exact: whether `draw` takes each sequence there is once.
    """

    criterion: Criterion
    draw: Callable[[int, int, int], Tally]
    block: int
    is_exact: bool = False

    def score(self, shortest: int, longest: int) -> LagScore:
        """Score sequences of these lengths.

        In the shortest, what counts begins at the first step; in a longer one, later.
        """
        passes, tally = self._as_one(shortest, shortest)
        first = later = place = tally.error.item()
        parts = [(passes, first)]
        if longest > shortest:
            passes, tally = self._as_one(shortest + 1, longest)
            later = tally.pooled.error.item()
            place = tally.error.max()
            parts.append((passes, later))
        if longest > shortest and passes:
            lengths = range(shortest + 1, longest + 1)
            places = [self._at(length, tally.of(k)) for k, length in enumerate(lengths)]
            place = max(error for _, error in places)
            parts.append((all(passes for passes, _ in places), place))
        failing = [error for passes, error in parts if not passes]
        worst = max(failing or (first, later))
        scores = map(self.criterion.score, (first, later, place, worst))
        return LagScore(*scores, is_exact=self.is_exact, passes=not failing)

    def _as_one(self, first: int, last: int) -> tuple[bool, Tally]:
        test = self._test(self.criterion.allowed, ODDS)
        lengths = 1 + last - first
        each = max(test.fewest / lengths, self._place_test.fewest)
        draw = partial(self.draw, first, last, math.ceil(each / self.block))
        if self.is_exact:
            tally = draw()
            return tally.pooled.error.item() <= test.allowed + ROUNDING, tally
        passes, tally = test.run(draw, draw(), pool=True)
        return bool(passes.all()), tally

    def _at(self, length: int, tally: Tally) -> tuple[bool, float]:
        test = self._place_test
        if self.is_exact:
            error = tally.error.item()
            return error <= test.allowed + ROUNDING, error
        passes, tally = test.run(partial(self.draw, length, length, 1), tally)
        return bool(passes.all()), tally.error.item()

    @property
    def _place_test(self) -> SequentialTest:
        allowed = 2 * self.criterion.allowed
        if self.criterion.higher_is_better:
            allowed = min(allowed, (1 + self.criterion.allowed) / 2)
        return self._test(allowed, PLACE_ODDS)

    def _test(self, allowed: float, odds: float) -> SequentialTest:
        return SequentialTest(allowed, odds, not self.criterion.higher_is_better)


def anywhere_words(every: int) -> str:
    return (
        "Anywhere: solved, and the same weights are right at every lag, from the smallest to"
        " the net's own, wherever in a sequence no longer than the net's longest it begins."
        f" {RULE} {tested_words(every)}"
    )
