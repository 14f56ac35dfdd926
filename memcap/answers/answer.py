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
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from memcap.answers import words
from memcap.answers.next_study import command, next_longer
from memcap.answers.question import PROBABILITY, Question
from memcap.config.recipes import ResolvedRecipe
from memcap.frontiers.points import At, Point, References, label, references
from memcap.models.model import MOST_UNITS
from memcap.thresholds.curve import Floats, threshold
from memcap.thresholds.falls import width_to_take
from memcap.thresholds.lags import believe

EVERY_LAG = (
    50  # advice heeds each shorter lag up to this one, beyond it lags 40 % apart
)


class Advice(NamedTuple):
    """A width to take, and the width at which the share passes, at `training_lag`."""

    estimate: float
    low: float
    high: float
    units: int | None
    training_lag: int


class Passes(NamedTuple):
    """The runs of nets of the advised width or wider."""

    points: Sequence[Point]  # whose runs they are
    passed: int
    runs: int
    widest: int | None  # the widest that count, if wider ones fail more


@dataclass(frozen=True)
class Answer:
    """The numbers that answer a question. Print it for words.

    Args:
        question: the question.
        line: the frontier that the answer is read from, one point per lag, the shortest
            first.
        point: the frontier at the lag; None if the lag was not measured.
        source: the place of the rows: a name of `memcap.store.published`, such as
            "atlas", or a folder; None: rows that were passed in.
        estimate, low, high: width at which the share passes, from all lags, and its 95
            % interval; None if nets of this lag did not train, or neither it nor two
            others were measured.
        units: the width to take, for each layer; None if no width tried is known to be
            enough, if more than `MOST_UNITS` are predicted, or if nothing is known.
        training_lag: the lag at which, or up to which, to train nets of this width. It
            is longer than the question's if fewer units are then enough; `estimate` is
            of this lag.
        own: the answer of the user's own rows, if this one comes from published rows
            with more evidence.
        beside: if the task was not measured, answers for the nearest measured values of
            one of its knobs.
    """

    question: Question
    line: tuple[Point, ...] = ()
    point: Point | None = None
    source: str | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    units: int | None = None
    training_lag: int | None = None
    own: "Answer | None" = None
    beside: tuple["Answer", ...] = ()

    def __str__(self) -> str:
        return "\n".join(words.sentences(self))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the words in a notebook."""
        printer.text(str(self))

    @property
    def why(self) -> str:
        """The words that say what the answer rests on."""
        return "\n".join(words.why(self))

    def code(self, framework: str, file: str | Path | None = None) -> str:
        """Return a script that trains and judges a net of this width, in "keras",
        "torch" or "flax". With a file, such as net.py, write it there, and its
        sequences beside it.

        Raises:
            UserError: there is no such framework, no width, or no script for this cell or task.
        """
        command = f"memcap.answer(...).code({framework!r}, {str(file or 'net.py')!r})"
        path = None if file is None else Path(file)
        return words.code(self, framework, path, command)

    @cached_property
    def trained(self) -> dict[int, Point]:
        """The line's points at which a recipe trains the task, by lag."""
        return {point.lag: point for point in self.line if point.trains}

    @property
    def lags(self) -> list[int]:
        """The lags that the width rests on."""
        return [] if self.estimate is None else list(self.trained)

    @property
    def basis(self) -> Point | None:
        """The point that says how the rows were measured and judged; None if nothing is known."""
        return self.point or (None if self.estimate is None else self.line[0])

    @property
    def at(self) -> At:
        """The verdict that counts, as in `Point`."""
        return self.basis.at if self.basis else "trained"

    @property
    def as_asked(self) -> bool:
        """Tell whether it is the question's verdict: rows about one lag say nothing
        about shorter ones."""
        return self.at == "up_to" or not self.question.up_to

    @property
    def subject(self) -> str:
        """The name of the frontier's line, as in `Point.subject`."""
        question = self.question
        return (
            self.basis.subject if self.basis else label(question.task, question.model)
        )

    @property
    def trains_longer(self) -> bool:
        """Tell whether nets are to be trained up to a longer lag than the question's."""
        return self.training_lag not in (None, self.question.lag)

    @property
    def training_point(self) -> Point | None:
        """The point at the training lag; None if that was not measured."""
        longer = self.training_lag if self.trains_longer else None
        return self.trained.get(longer) if longer else self.point

    @property
    def budget(self) -> int | None:
        """The largest budget, in training steps, of the recipes that the answer rests on."""
        point = self.training_point
        points = self.trained.values() if point is None else [point]
        return max((p.recipe.budget for p in points), default=None)

    @property
    def recipe(self) -> ResolvedRecipe | None:
        """The recipe of the training lag, or else that of `next_longer`; None if
        nothing was measured."""
        longer = next_longer(self.trained.values(), self.question.lag)
        point = self.training_point or longer
        return point.recipe if point else None

    @cached_property
    def passes(self) -> Passes:
        """The runs of `units` units or more: at the training lag, or at the measured
        lags next to the question's; if no net there was as wide, at all lags."""
        units = self.units
        if units is None:
            return Passes((), 0, 0, None)
        near = [self.trained[lag] for lag in next_to(self.trained, self.question.lag)]
        if self.training_point is not None:
            near = [self.training_point]
        points = [p for p in near if p.units[-1] >= units]
        points = points or [p for p in self.trained.values() if p.units[-1] >= units]
        counts = [p.passed_from(units) for p in points]
        falls = [
            p.widest_from(units) for p in points if p.widest_from(units) < p.units[-1]
        ]
        passed = sum(count for count, _ in counts)
        return Passes(
            points, passed, sum(n for _, n in counts), min(falls, default=None)
        )

    @cached_property
    def references(self) -> References:
        """The widths that theory gives."""
        question = self.question
        return references(question.task, question.lag, model=question.model)

    @cached_property
    def command(self) -> str:
        """A command that would measure the lag; "" if only nets above `MOST_UNITS`
        could tell more."""
        known = self.low is not None and self.high is not None
        interval = (self.low, self.high) if known else None
        enough = self.units is not None
        return command(self.question, self.line, self.point, interval, enough)

    @property
    def seconds(self) -> float | None:
        """The seconds to measure the lag on one core, interpolated between measured
        lags or extrapolated to a longer one; the most of the answers in `beside`, if
        there are any; None if unknown."""
        if self.beside:
            known = [answer.seconds for answer in self.beside]
            return max((s for s in known if s is not None), default=None)
        timed = [point for point in self.line if point.seconds > 0]
        lag = self.question.lag
        if not timed or lag < timed[0].lag:
            return None
        x = np.log2([point.lag for point in timed])
        y = np.log2([point.seconds for point in timed])
        if lag <= timed[-1].lag:
            return float(np.exp2(np.interp(np.log2(lag), x, y)))
        if len(timed) <= 2:
            return None
        return float(np.exp2(np.polyval(np.polyfit(x, y, 1), np.log2(lag))))

    @property
    def between(self) -> tuple[int, int] | None:
        """The measured lags on either side, if the lag was not measured and lies between two."""
        lags = next_to(self.lags, self.question.lag)
        return (lags[0], lags[1]) if self.point is None and len(lags) == 2 else None

    @property
    def settled(self) -> bool:
        """True if the lag was measured, a width is known to be enough, and the
        threshold is a number."""
        return bool(self.point and self.units is not None and self.point.measured)


def answer(
    question: Question, points: Sequence[Point], source: str | None = None
) -> Answer:
    """Answer a question from the points of its task and its network in a frontier, all
    of one verdict; `source` is the place of their rows."""
    lag = question.lag
    points = [p for p in points if (p.task, p.model) == (question.task, question.model)]
    # Nets that were trained for another question count only if there are no others.
    same = [p for p in points if (p.evaluation.until == "up_to") == question.up_to]
    points = same or points
    # If a lag was measured in several ways, the usual length and rule come first, then
    # the most runs.
    here = [p for p in points if p.lag == lag]
    point = max(here, key=lambda p: (p.usual, sum(p.runs)), default=None)
    if point is not None:
        points = [p for p in points if p.label == point.label]
    result = Answer(question, _line(points), point, source)
    known = len(result.trained) > 1 if point is None else point.trains
    if not known:
        return result
    up_to = result.line[0].at == "up_to"
    advice = advise(result.trained, lag, question.share, up_to)
    return replace(result, **advice._asdict())


def advise(
    points: Mapping[int, Point], lag: int, share: float, up_to: bool = False
) -> Advice:
    """Advise the width that is enough at a lag, and the lag at which to train nets of
    this width.

    No lag is advised fewer units than a shorter one, measured or not. An unmeasured lag
    is not advised more than the next longer measured one, unless a shorter measured one
    needs more.

    With `up_to`, no lag is advised more units than any longer measured one, because
    nets trained up to that one are right here, too. So a measured lag does not heed
    shorter ones that need more: these take its width.

    Args:
        points: by lag, ascending, at least one.
        lag, share: those of the question.
        up_to: whether nets are right at every lag up to their own.
    """
    shorter = [k for k in points if k <= lag]
    longer = [k for k in points if k > lag]
    gap = _lags_between(max(shorter, default=0), lag)
    lags = sorted({*shorter, *gap, *(longer if up_to else longer[:1])})
    widths = _widths(points, lags, share)
    enough = {k: float(width[3]) for k, width in widths.items()}
    unknown = set()
    for k in points.keys() & enough.keys():
        units = _taken(points[k], enough[k], share)
        if units is None:
            unknown.add(k)
        else:
            enough[k] = units
    heeded = shorter[-1:] if up_to else shorter
    choices = {lag: max(enough[k] for k in (*heeded, *gap))}
    if up_to:
        if longer and unknown.intersection(heeded):
            del choices[lag]  # no width is known to be enough at a shorter lag
        choices |= {k: enough[k] for k in longer}
    elif longer and lag not in points:
        most = max(enough[k] for k in (*shorter, longer[0]))
        choices[lag] = min(choices[lag], most)
    units_at = {}
    for k in choices.keys() - unknown:
        units = math.ceil(choices[k] - 1e-6)
        if units <= (2 * points[k].units[-1] if k in points else MOST_UNITS):
            units_at[k] = units
    best = min(units_at, key=lambda k: (units_at[k], k), default=lag)
    estimate, low, high = (float(width) for width in widths[best][:3])
    return Advice(estimate, low, high, units_at.get(best), best)


def _lags_between(first: int, last: int) -> set[int]:
    """Return the lags from one to another that advice heeds, with the last one."""
    octaves = math.log(max(last / EVERY_LAG, 1), 1.4)
    far = (round(EVERY_LAG * 1.4**k) for k in range(int(octaves) + 1))
    return {k for k in (*range(1, EVERY_LAG + 1), *far, last) if first <= k <= last}


def _widths(
    points: Mapping[int, Point], lags: Sequence[int], share: float
) -> dict[int, Floats]:
    """Return estimate, low, high, and the width that is enough with `PROBABILITY`, at some lags."""
    ranks = np.array([0.5, 0.025, 0.975, PROBABILITY])
    verdicts = [{lag: point.rise for lag, point in points.items()}]
    if any(p.solved_trained != p.solved for p in points.values()):
        # nets that pass at the stretched length pass at the trained one, so they never
        # take fewer units
        verdicts.append({lag: point.rise_trained for lag, point in points.items()})
    beliefs = [believe(counts, lags) for counts in verdicts]
    return {
        lag: np.max([belief[lag].quantiles(share, ranks) for belief in beliefs], axis=0)
        for lag in lags
    }


def _taken(point: Point, width: float, share: float) -> int | None:
    """Return the width to take at a measured lag, given the one that the curves of all
    lags find enough; None if none is known to be enough."""
    if point.fit.u90.censored == "below":
        width = max(width, point.units[0])  # nothing narrower was tried
    units = math.ceil(width - 1e-6)
    reached = threshold(point.posterior, share).censored != "above"
    known = reached and units <= 2 * point.units[-1]
    return width_to_take(point.counts, share, units if known else None)


def _line(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return one point per lag, all measured in the same way: the usual one, or else
    that of most lags."""
    ways: dict[str, dict[int, Point]] = {}
    for point in sorted(points, key=lambda p: (p.label, sum(p.runs))):
        ways.setdefault(point.label, {})[point.lag] = point  # the one with most runs
    lines = [list(by_lag.values()) for by_lag in ways.values()]
    best = max(lines, key=lambda line: (line[0].usual, len(line)), default=[])
    return tuple(sorted(best, key=lambda p: p.lag))


def next_to(lags: Collection[int], lag: int) -> tuple[int, ...]:
    """Return the nearest shorter and the nearest longer of some lags, if there are any."""
    shorter = sorted(k for k in lags if k < lag)
    longer = sorted(k for k in lags if k > lag)
    return (*shorter[-1:], *longer[:1])
