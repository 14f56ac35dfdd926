"""The answer: how many units a task takes at a lag, given the measurements at all lags.

One rule holds for every lag, measured or not: take the narrowest width that is enough,
with a probability of at least `PROBABILITY`, for the wanted share of the seeds that
train at all (memcap.thresholds.lags). The width never falls with the lag (`advise`). In
simulated studies 92 to 94 % of fresh seeds pass at the advised widths; most of the
others fail at every width (tests/thresholds/test_lags.py).

A net that is right at every lag up to 50 is right at every lag up to 8. So if every lag
counts, nets trained up to a longer lag compete at a shorter one, and the narrowest is
advised; the answer says up to which lag to train (`Answer.training_lag`).

If fewer seeds pass at greater widths, no rising curve fits the counts: then only widths
that were tried are advised, by their own counts (memcap.thresholds.falls).
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import groupby

import numpy as np

from memcap.answers.next_study import command, next_longer
from memcap.answers.question import Question
from memcap.cells import cell_facts
from memcap.config.recipes import ResolvedRecipe
from memcap.frontiers.points import At, Point, References, label, references
from memcap.models.model import MOST_UNITS
from memcap.tasks import Task
from memcap.thresholds.curve import Floats, counts, threshold
from memcap.thresholds.falls import width_to_take
from memcap.thresholds.lags import believe

PROBABILITY = 0.9  # least probability that the advised width is enough
EVERY_LAG = 50  # the advice heeds each shorter lag up to this one, and beyond it lags 40 % apart


@dataclass(frozen=True)
class Answer:
    """The numbers that answer a question.

    Args:
        question: the question.
        line: the frontier that the answer is read from, one point per lag, the shortest first.
        point: the frontier at the lag; None if the lag was not measured.
        widths: estimate, low and high (95 % interval) of the width at which the share
            passes, from all lags; None if unknown: nets of this lag did not train, or
            neither it nor two others were measured.
        units: the width to take, for each layer. None if no width tried is known to be
            enough, if more than `MOST_UNITS` are predicted, or if nothing is known.
        training_lag: the lag at which, or up to which, to train nets of this width. It
            is longer than the question's if fewer units are then enough; `widths` are
            those of this lag.
        source: the place of the rows: a name of `memcap.store.published`, such as
            "atlas", or a folder; None: rows that were passed in.
        own: the answer of the user's own rows, if this one comes from published rows
            with more evidence.
        beside: if the task was not measured, answers for the nearest measured values of
            one of its knobs.
    """

    question: Question
    line: tuple[Point, ...] = ()
    point: Point | None = None
    widths: tuple[float, float, float] | None = None
    units: int | None = None
    training_lag: int | None = None
    source: str | None = None
    own: "Answer | None" = None
    beside: tuple["Answer", ...] = ()

    @property
    def task(self) -> Task:
        """The task of the question."""
        return self.question.task

    @property
    def lag(self) -> int:
        """The lag of the question."""
        return self.question.lag

    @property
    def share(self) -> float:
        """The share of the seeds that should pass."""
        return self.question.share

    @property
    def cell(self) -> str:
        """The cell of the question."""
        return self.question.model.cell

    @property
    def layers(self) -> int:
        """The number of the network's layers."""
        return self.question.model.layers

    @property
    def estimate(self) -> float | None:
        """The width at which the share passes; `low` and `high` are the ends of its 95
        % interval."""
        return None if self.widths is None else self.widths[0]

    @property
    def low(self) -> float | None:
        """The lower end of the interval."""
        return None if self.widths is None else self.widths[1]

    @property
    def high(self) -> float | None:
        """The upper end of the interval."""
        return None if self.widths is None else self.widths[2]

    @cached_property
    def trained(self) -> dict[int, Point]:
        """The line's points at which a recipe trains the task, by lag."""
        return {point.lag: point for point in self.line if point.trains}

    @property
    def lags(self) -> tuple[int, ...]:
        """The lags that the width rests on."""
        return () if self.widths is None else tuple(self.trained)

    @property
    def left_out(self) -> tuple[int, ...]:
        """The lags at which no recipe trained the task, so that they say nothing about widths."""
        return tuple(point.lag for point in self.line if not point.trains)

    @property
    def first(self) -> Point | None:
        """The point that says how the rows were measured and judged; None if nothing is known."""
        return self.point or (None if self.widths is None else self.line[0])

    @property
    def at(self) -> At:
        """The verdict that counts, as in `Point`."""
        return "trained" if self.first is None else self.first.at

    @property
    def as_asked(self) -> bool:
        """Tell whether it is the question's verdict: rows about one lag say nothing
        about shorter ones."""
        return self.at == "up_to" or not self.question.up_to

    @property
    def stretch(self) -> int:
        """The multiple of the lag that "steady" asks for."""
        return 1 if self.first is None else self.first.evaluation.stretch

    @property
    def subject(self) -> str:
        """The name of the frontier's line, as in `Point.subject`."""
        return (
            label(self.task, self.question.model)
            if self.first is None
            else self.first.subject
        )

    @property
    def budget(self) -> int | None:
        """The largest budget, in training steps, of the recipes that the answer rests on."""
        own = self._training_point
        points = self.trained.values() if own is None else [own]
        return max((point.recipe.budget for point in points), default=None)

    @property
    def trains_longer(self) -> bool:
        """Tell whether nets are to be trained up to a longer lag than the question's."""
        return self.training_lag not in (None, self.lag)

    @property
    def _training_point(self) -> Point | None:
        """The point at the training lag; None if that was not measured."""
        return (
            self.trained.get(self.training_lag or self.lag)
            if self.trains_longer
            else self.point
        )

    @property
    def passed_from(self) -> int:
        """The number of runs of `units` units or more that passed; `runs_from` is the
        number of all."""
        return self._outcomes[0]

    @property
    def widest_from(self) -> int | None:
        """The width of the widest net that `passed_from` counts, if wider ones fail
        more; else None."""
        widest = [
            (p.widest_from(self.units or 1), p.units[-1]) for p in self.points_from
        ]
        return min((some for some, tried in widest if some < tried), default=None)

    @property
    def runs_from(self) -> int:
        """The number of runs of `units` units or more at `points_from`; 0 if `units` is None."""
        return self._outcomes[1]

    @cached_property
    def points_from(self) -> tuple[Point, ...]:
        """The points whose runs of `units` units or more count: that of the training
        lag, or those of the measured lags next to the question's; if no net there was
        as wide, those of all lags."""
        if (units := self.units) is None:
            return ()
        near = [self._training_point] if self._training_point is not None else []
        near = near or [self.trained[lag] for lag in next_to(self.trained, self.lag)]
        places = (near, self.trained.values())
        return next(
            (
                wide
                for some in places
                if (wide := tuple(p for p in some if p.units[-1] >= units))
            ),
            (),
        )

    @cached_property
    def _outcomes(self) -> tuple[int, int]:
        counts = [point.passed_from(self.units or 1) for point in self.points_from]
        return sum(passed for passed, _ in counts), sum(runs for _, runs in counts)

    @property
    def recipe(self) -> ResolvedRecipe | None:
        """The recipe of the training lag, or else that of `next_longer`; None if
        nothing was measured."""
        point = self._training_point or next_longer(self.trained.values(), self.lag)
        return None if point is None else point.recipe

    @cached_property
    def references(self) -> References:
        """The widths that theory gives."""
        return references(self.task, self.lag, model=self.question.model)

    @cached_property
    def command(self) -> str:
        """A command that would measure the lag; "" if only nets above `MOST_UNITS`
        could tell more."""
        return command(
            self.question, self.line, self.point, self.widths, self.units is not None
        )

    @property
    def seconds(self) -> float | None:
        """The seconds to measure the lag on one core, interpolated between measured
        lags or extrapolated to a longer one; the most of the answers in `beside`, if
        there are any; None if unknown."""
        if self.beside:
            return max(
                (s for each in self.beside if (s := each.seconds) is not None),
                default=None,
            )
        timed = [point for point in self.line if point.seconds > 0]
        if not timed or self.lag < timed[0].lag:
            return None
        lag, (lags, seconds) = (
            np.log2(self.lag),
            np.log2([(each.lag, each.seconds) for each in timed]).T,
        )
        if self.lag <= timed[-1].lag:
            return float(np.exp2(np.interp(lag, lags, seconds)))
        return (
            float(np.exp2(np.polyval(np.polyfit(lags, seconds, 1), lag)))
            if len(timed) > 2
            else None
        )

    @property
    def held(self) -> int:
        """Symbols (or reals) that must be held at the worst moment."""
        length = self.task.length(self.lag) if self.point is None else self.point.length
        return self.task.facts(self.lag, length).held

    @property
    def carry_numbers(self) -> int | None:
        """Numbers in the carry of a net of `units` units, in all its layers."""
        each = self.layers * cell_facts(self.cell).numbers_per_unit
        return None if self.units is None else each * self.units

    @property
    def between(self) -> tuple[int, int] | None:
        """The measured lags on either side, if the lag was not measured and lies between two."""
        lags = next_to(self.lags, self.lag)
        return (lags[0], lags[1]) if self.point is None and len(lags) == 2 else None

    @property
    def settled(self) -> bool:
        """True if the lag was measured, a width is known to be enough, and the
        threshold is a number."""
        point = self.point
        return (
            point is not None
            and self.units is not None
            and point.fit.u90.is_number(point.units[0])
        )


def answer(
    question: Question, points: Sequence[Point], source: str | None = None
) -> Answer:
    """Answer a question from the points of its task and its network in a frontier, all
    of one verdict; `source` is the place of their rows."""
    task = question.task
    lag = question.lag
    points = [p for p in points if (p.task, p.model) == (task, question.model)]
    # Nets that were trained for another question count only if there are no others.
    same = [p for p in points if (p.evaluation.until == "up_to") == question.up_to]
    points = same or points
    # If a lag was measured in several ways, the usual length and rule come first, then
    # the most runs.
    point = max(
        (p for p in points if p.lag == lag),
        key=lambda p: (p.usual, sum(p.runs)),
        default=None,
    )
    line = _line(
        points if point is None else [p for p in points if p.label == point.label]
    )
    result = Answer(question, tuple(line), point, source=source)
    if not (len(result.trained) > 1 if point is None else point.trains):
        return result
    up_to = line[0].at == "up_to"
    widths, units, training_lag = advise(result.trained, lag, question.share, up_to)
    return replace(result, widths=widths, units=units, training_lag=training_lag)


def advise(
    points: Mapping[int, Point], lag: int, share: float, up_to: bool = False
) -> tuple[tuple[float, float, float], int | None, int]:
    """Return estimate, low and high of the width that is enough at a lag; the width to
    take there, None if none is known to be enough; and the lag at which to train nets
    of this width.

    No lag is advised fewer units than a shorter one, measured or not. An unmeasured lag
    is not advised more than the next longer measured one, unless a shorter measured one
    needs more.

    With `up_to`, no lag is advised more units than any longer measured one, because
    nets trained up to that one are right here, too. So a measured lag does not heed
    shorter ones that need more: these take its width.

    Args:
        points: by lag, at least one.
        lag, share: those of the question.
        up_to: whether nets are right at every lag up to their own.
    """
    shorter = [each for each in points if each <= lag]
    longer = sorted(each for each in points if each > lag)
    far = (
        round(EVERY_LAG * 1.4**k)
        for k in range(int(math.log(max(lag / EVERY_LAG, 1), 1.4)) + 1)
    )
    gap = {
        each
        for each in (*range(1, EVERY_LAG + 1), *far, lag)
        if max(shorter, default=0) <= each <= lag
    }
    lags = sorted({*shorter, *gap, *(longer if up_to else longer[:1])})
    widths = _widths(points, lags, share)
    sure = {each: float(width[3]) for each, width in widths.items()}
    unknown = set()
    for each in points.keys() & sure.keys():
        if (units := _taken(points[each], sure[each], share)) is None:
            unknown.add(each)
        else:
            sure[each] = units
    nearest = shorter[-1:] if up_to else shorter
    choices = {lag: max(sure[each] for each in (*nearest, *gap))}
    if longer and lag not in points and not up_to:
        choices[lag] = min(
            choices[lag], max(sure[each] for each in (*shorter, longer[0]))
        )
    if up_to:
        if longer and unknown.intersection(nearest):
            del choices[
                lag
            ]  # no width is known to be enough at a shorter lag, so none is here
        choices |= {each: sure[each] for each in longer}
    most = {each: 2 * points[each].units[-1] for each in points}
    whole = {
        each: math.ceil(width - 1e-6)
        for each, width in choices.items()
        if each not in unknown
    }
    whole = {
        each: units
        for each, units in whole.items()
        if units <= most.get(each, MOST_UNITS)
    }
    best = min(whole, key=lambda each: (whole[each], each), default=lag)
    estimate, low, high = (float(width) for width in widths[best][:3])
    return (estimate, low, high), whole.get(best), best


def _widths(
    points: Mapping[int, Point], lags: Sequence[int], share: float
) -> dict[int, Floats]:
    """Return estimate, low, high, and the width that is enough with `PROBABILITY`, at some lags."""
    ranks = np.array([0.5, 0.025, 0.975, PROBABILITY])
    measured = [{each: p.rise(p.solved) for each, p in points.items()}]
    if any(p.solved_trained != p.solved for p in points.values()):
        # nets that pass at the stretched length pass at the trained one, so they never
        # take fewer units
        measured.append({each: p.rise(p.solved_trained) for each, p in points.items()})
    beliefs = [believe(some, lags) for some in measured]
    return {
        each: np.max([some[each].quantiles(share, ranks) for some in beliefs], axis=0)
        for each in lags
    }


def _taken(point: Point, width: float, share: float) -> int | None:
    """Return the width to take at a measured lag, given the one that the curves of all
    lags find enough; None if none is known to be enough."""
    if point.fit.u90.censored == "below":
        width = max(width, point.units[0])  # nothing narrower was tried
    units = math.ceil(width - 1e-6)
    reached = threshold(point.posterior, share).censored != "above"
    known = reached and units <= 2 * point.units[-1]
    return width_to_take(
        counts(point.units, point.solved, point.runs), share, units if known else None
    )


def _line(points: Sequence[Point]) -> list[Point]:
    """Return one point per lag, all measured in the same way: the usual one, or else
    that of most lags."""
    ways = [
        list(way)
        for _, way in groupby(
            sorted(points, key=lambda p: p.label), key=lambda p: p.label
        )
    ]
    best = max(
        ways, key=lambda way: (way[0].usual, len({p.lag for p in way})), default=[]
    )
    return sorted(
        {p.lag: p for p in sorted(best, key=lambda p: sum(p.runs))}.values(),
        key=lambda p: p.lag,
    )


def next_to(lags: Collection[int], lag: int) -> tuple[int, ...]:
    """Return the nearest shorter and the nearest longer of some lags, if there are any."""
    shorter = sorted(each for each in lags if each < lag)
    longer = sorted(each for each in lags if each > lag)
    return (*shorter[-1:], *longer[:1])
