"""The answer: how many units a task takes at a lag, given the measurements at all lags.

One rule holds for every lag, measured or not. Some seeds fail at every width; the
others can be trained. A width is enough if the wanted share of those others pass at it.
Take the narrowest width that is enough with a probability of at least `PROBABILITY`
(memcap.thresholds.lags). The width never falls with the lag (`advise`). In simulated
studies 92 to 94 % of fresh seeds pass at the advised widths; most of the others fail at
every width (tests/thresholds/test_lags.py).

A net that is right at every lag up to 50 is right at every lag up to 8. So if the
question is about every lag up to 8, a net may as well be trained up to 50. Sometimes
fewer units are known to be enough there, as each lag has a recipe of its own, and as
counts are noisy. The answer advises the lag up to which a net needs the fewest units
(`Answer.training_lag`).

If fewer seeds pass at greater widths, no rising curve fits the counts. Then only widths
that were tried are advised, by their own counts (memcap.thresholds.falls).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from memcap.answers import words
from memcap.config.recipes import ResolvedRecipe
from memcap.frontiers.frontier import At, Point, longer_point, next_to
from memcap.knobs import UserError
from memcap.models.model import MOST_UNITS, Model
from memcap.rule import SHORTER_LAGS
from memcap.store.shards import OUTPUTS
from memcap.tasks import Task
from memcap.terminal.words import InWords
from memcap.thresholds.curve import threshold
from memcap.thresholds.falls import width_to_take
from memcap.thresholds.lags import PROBABILITY, believe

ONE_UNIT = Model(units=1)  # the network of a question that names none
# For unmeasured lags, widths are predicted at each lag up to this one, and beyond it at
# lags 40 % apart.
EACH_LAG_TO = 50
LAG_RATIO = 1.4


@dataclass(frozen=True)
class Question:
    """The question how many units a task takes at a lag.

    Raises:
        UserError: the task has no such lag.
    """

    task: Task  # the task with its knobs
    lag: int  # time steps
    model: Model = ONE_UNIT  # the network, at one unit
    # the share of seeds that should pass, of those that train at all
    share: float = 0.9
    # the verdict that counts as a pass ("anywhere", "up_to", "steady" or "trained", not a
    # lag), and the budget within which it counts, as in
    # `memcap.frontiers.frontier.frontier`
    at: At = "anywhere"
    budget: int | None = None
    # the only rows that count: a table, a folder, or a name of
    # `memcap.store.shards.NAMES`; None: those in `outputs`, and the published ones
    rows: pl.DataFrame | Path | None = None
    strict: bool = False  # refuse bad files of rows, as in `memcap.store.read`
    config_dir: Path | None = None  # of the user's own recipes, for the next command

    @property
    def up_to(self) -> bool:
        """Tell whether the question is about every lag from the smallest up to this one."""
        return self.at in SHORTER_LAGS and self.task.has_other_lags(self.lag)

    @property
    def folder(self) -> Path:
        """The folder whose rows count, for a user's own sequences."""
        return self.rows if isinstance(self.rows, Path) else OUTPUTS

    def __post_init__(self) -> None:
        least = self.task.smallest_lag
        if self.lag < least:
            raise UserError(
                f"--lag {self.lag}: the least lag of {self.task.name} is {least}"
            )


class Width(NamedTuple):
    """The width at which the share passes at a lag, as the curves of all lags say."""

    estimate: float
    low: float  # of the 95 % interval
    high: float
    units: float  # the width that is enough with `PROBABILITY`, not rounded


class Advice(NamedTuple):
    """A width to take, `units`, and an estimate of the width at which the share passes;
    both are for `training_lag`."""

    estimate: float
    low: float
    high: float
    units: int | None
    training_lag: int


class Measurement(NamedTuple):
    """What a published study measured, at one width: the narrowest at which the share of
    a question passed, or else the one at which most passed."""

    study: str
    point: Point
    units: int


class Passes(NamedTuple):
    """How many runs passed, of nets of one width."""

    points: Sequence[Point]  # the measurements that the runs belong to
    units: int  # the width: the advised one, or the nearest that was tried
    passed: int  # how many of the runs passed
    runs: int  # how many there are


@dataclass(frozen=True)
class Answer(InWords):
    """The numbers that answer a question. Print it for words.

    Args:
        question: the question.
        points: the measurements that the answer is read from, one per lag, the shortest
            first.
        point: the measurement at the lag; None if the lag was not measured.
        source: the place of the rows: a name of `memcap.store.shards.NAMES`, such as
            "atlas", or a folder; None: rows that were passed in.
        estimate, low, high: the width at which the share passes, from all lags, and its
            95 % interval. None if no recipe trains the task at this lag, or if the lag
            was not measured and fewer than two others were.
        units: the width to take, for each layer; None if no width tried is known to be
            enough, if more than `MOST_UNITS` are predicted, or if nothing is known.
        training_lag: the lag at which, or up to which, to train nets of this width. It
            is longer than the question's if fewer units are then enough, or as many,
            and only the longer one was measured. `estimate` is for this lag.
        second: if this answer comes from published rows, what the user's own would
            answer; if it comes from the user's own, what published ones would. None if
            there are none with a word to say.
        beside: if the task was not measured with these knobs, answers for the nearest
            measured values of one knob, and for one layer of several.
        elsewhere: if no width was measured for the lag, the published measurement that
            bears most on it, by whatever verdict.
        missing: number of members of this task and lag, in the user's own studies, that
            have no row yet.
        fresh: published measurements of nets of the advised width, as it advises to
            train them, on seeds that chose neither recipe nor width.
    """

    question: Question
    points: tuple[Point, ...] = ()
    point: Point | None = None
    source: str | None = None
    estimate: float | None = None
    low: float | None = None
    high: float | None = None
    units: int | None = None
    training_lag: int | None = None
    second: "Answer | None" = None
    beside: tuple["Answer", ...] = ()
    elsewhere: Measurement | None = None
    missing: int = 0
    fresh: tuple[Point, ...] = ()

    def __str__(self) -> str:
        return "\n".join(words.sentences(self))

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
    def trainable(self) -> dict[int, Point]:
        """The measurements of lags at which a recipe trains the task, by lag."""
        return {point.lag: point for point in self.points if point.trains}

    @property
    def lags(self) -> list[int]:
        """The lags whose measurements the estimate is made from."""
        return [] if self.estimate is None else list(self.trainable)

    @property
    def example(self) -> Point | None:
        """A measurement that shows how all of them were made and judged: the one at the
        lag, or else the first; None if nothing is known."""
        return self.point or (self.points[0] if self.lags else None)

    @property
    def at(self) -> At:
        """The verdict that counted as a pass in the rows, as in `Point.at`."""
        return self.example.at if self.example else "trained"

    @property
    def every_lag_as_asked(self) -> bool:
        """Tell whether the rows are about every lag where the question is; rows about a
        single lag are not enough."""
        return self.at in SHORTER_LAGS or not self.question.up_to

    @property
    def as_asked(self) -> bool:
        """Tell whether the rows were judged as the question asks. If it may begin
        anywhere, rows of nets for which it began at the first step are not enough."""
        begins_first = self.at == "up_to" and self.question.at == "anywhere"
        can_begin_later = begins_first and bool(self.question.task.filler)
        return self.every_lag_as_asked and not can_begin_later

    @property
    def is_conclusive(self) -> bool:
        """True if the lag was measured, a width is known to be enough, and the threshold
        (here u90, in units) is a number (`Point.measured`)."""
        return bool(self.point and self.units is not None and self.point.measured)

    @property
    def is_known(self) -> bool:
        """True if a width is known to be enough for what was asked: it was measured, at
        the lag or up to a longer one."""
        known = self.units is not None and self.training_point is not None
        return known and self.as_asked

    @property
    def is_width_measured(self) -> bool:
        """True if nets of the advised width were trained and judged as the question asks."""
        return self.is_known and self.passes.units == self.units

    @property
    def is_bracketed(self) -> bool:
        """Tell whether `beside` has a smaller and a greater value of one knob."""
        models = [other.question.model for other in self.beside]
        return models == [self.question.model] * 2

    @property
    def is_predicted(self) -> bool:
        """True if there is a width, of which no net was trained at the lag or up to a
        longer one, also none on fresh seeds."""
        return bool(self.units) and not self.training_point and not self.fresh

    @property
    def contradicts(self) -> bool:
        """Tell whether `second` answers otherwise, and as much of what was asked."""
        other = self.second
        if other is None or other.units in (None, self.units):
            return False
        return other.as_asked >= self.as_asked

    @property
    def is_far(self) -> bool:
        """True if a width is predicted for more than twice the longest measured lag."""
        return self.is_predicted and self.question.lag > 2 * max(self.lags)

    @property
    def trains_longer(self) -> bool:
        """Tell whether the advice is to train up to a longer lag than the question's."""
        return self.training_lag not in (None, self.question.lag)

    @property
    def training_point(self) -> Point | None:
        """The measurement at the training lag, which is the question's own unless the
        advice is a longer one. A longer one was always measured; None if the training
        lag is the question's own and was not."""
        lag = self.training_lag
        return self.trainable[lag] if lag and self.trains_longer else self.point

    @property
    def recipe(self) -> ResolvedRecipe | None:
        """The recipe of the training lag, or else that of `longer_point`; None if
        nothing was measured."""
        longer = longer_point(self.trainable.values(), self.question.lag)
        point = self.training_point or longer
        return point.recipe if point else None

    @property
    def nearest(self) -> list[Point]:
        """The measurement at the training lag. If that was not measured, those at the
        measured lags next to the question's."""
        if self.training_point is not None:
            return [self.training_point]
        return [
            self.trainable[lag] for lag in next_to(self.trainable, self.question.lag)
        ]

    @cached_property
    def passes(self) -> Passes:
        """The runs of nets of the advised width, or of the next wider one that was
        tried, or of the widest. They are those of `fresh`, if there are any, and
        otherwise those of `nearest`."""
        if self.units is None:
            return Passes((), 0, 0, 0)
        points = self.fresh or self.nearest
        widths = sorted({units for point in points for units in point.units})
        units = next((u for u in widths if u >= self.units), widths[-1])
        return _passes_at(units, points)

    @property
    def narrower_passes(self) -> Passes | None:
        """The runs of the next narrower nets at the training lag; None if there are none."""
        points = [self.training_point] if self.training_point else []
        units = self.units or 0
        widths = [each for point in points for each in point.units if each < units]
        return _passes_at(max(widths), points) if widths else None


def _passes_at(units: int, points: Sequence[Point]) -> Passes:
    same = [point for point in points if units in point.units]
    passed, runs = map(sum, zip(*(point.passed(units) for point in same), strict=True))
    return Passes(same, units, passed, runs)


def answer(
    question: Question, points: Sequence[Point], source: str | None = None
) -> Answer:
    """Answer a question from the points of a frontier, which were all judged by one
    verdict. Points of other tasks and networks are left out. `source` is the place of
    their rows."""
    lag = question.lag
    points = [p for p in points if (p.task, p.model) == (question.task, question.model)]
    # A question about every lag takes nets that trained to be right anywhere, or else at
    # every lag. A question about a single lag takes nets that trained for another
    # verdict, or else those of `up_to` alone: of two ways one could answer at a lag, and
    # the other at the next. If there are no such nets, either takes all there are.
    anywhere = [p for p in points if p.at == "anywhere"]
    up_to = [p for p in points if p.at == "up_to"]
    other = [p for p in points if p.evaluation.until not in SHORTER_LAGS]
    trained_up_to = [p for p in points if p.evaluation.until == "up_to"]
    wanted = anywhere or up_to if question.up_to else other or trained_up_to
    points = wanted or points
    # If the lag was measured in several ways (`Point.label` names the way), take the
    # usual length and rule, or else the way with the most runs.
    at_lag = [p for p in points if p.lag == lag]
    point = max(at_lag, key=lambda p: (p.usual, sum(p.runs)), default=None)
    if point is not None:
        points = [p for p in points if p.label == point.label]
    result = Answer(question, _one_per_lag(points), point, source)
    # An unmeasured lag is predicted from at least two others.
    can_advise = point.trains if point else len(result.trainable) > 1
    if not can_advise:
        return result
    every_lag = result.points[0].at in SHORTER_LAGS
    advice = advise(result.trainable, lag, question.share, every_lag)
    return replace(result, **advice._asdict())


def advise(
    points: Mapping[int, Point], lag: int, share: float, up_to: bool = False
) -> Advice:
    """Advise a width that is enough at a lag, and the lag at which to train nets of it.

    Without `up_to`: a shorter lag may need a wider net, as counts are noisy, so the
    width is the widest that the lag or any shorter one needs, measured or not: it never
    falls with the lag. At an unmeasured lag it is no wider than what the measured lags
    up to the next longer one need.

    With `up_to` the rule is another one. A net that was trained up to a longer lag is
    right at this one, too, so each longer measured lag is a candidate for training,
    beside the lag itself. The candidate that needs the fewest units is advised, and of
    several the shortest that was measured. As what suffices for a longer lag suffices
    for a shorter one, the advised width does not fall with the lag, and shorter lags
    need not be looked at: the lag itself needs the widest of the nearest measured lag
    that is not longer, and of the lags from there on.

    Each lag needs the width that `_widths` predicts for it. A measured one needs that of
    `_units_at` in its place, if a width is known to be enough there.

    Args:
        points: the measurements by lag, ascending, at least one.
        lag, share: the lag and the share of the question.
        up_to: whether the nets that pass are right at every lag up to their own.
    """
    not_longer = [k for k in points if k <= lag]
    longer = [k for k in points if k > lag]
    # from the nearest of these to the lag itself, both included
    on_the_way = _lags_between(max(not_longer, default=0), lag)
    compared = longer if up_to else longer[:1]
    widths = _widths(points, sorted({*not_longer, *on_the_way, *compared}), share)
    needed = {k: width.units for k, width in widths.items()}
    without_width = set()  # measured lags at which no width is known to be enough
    for k in points.keys() & widths.keys():
        units = _units_at(points[k], needed[k], share)
        if units is None:
            without_width.add(k)
        else:
            needed[k] = units
    # the measured lags that decide the width for the lag itself
    counted = not_longer[-1:] if up_to else not_longer
    width = max(needed[k] for k in (*counted, *on_the_way))
    if longer and lag not in points and not up_to:
        around = (*not_longer, longer[0])
        width = min(width, max(needed[k] for k in around))
    candidates = {k: needed[k] for k in longer} if up_to else {}
    # The lag itself is always a candidate where there is no other. Beside others, it is
    # one only if a width is known to be enough at each lag of `counted`.
    if not candidates or not without_width.intersection(counted):
        candidates[lag] = width
    units_by_lag = {}
    for k in candidates.keys() - without_width:
        units = _rounded_up(candidates[k])
        # at a measured lag, at most twice the widest net tried
        most = 2 * points[k].units[-1] if k in points else MOST_UNITS
        if units <= most:
            units_by_lag[k] = units
    training_lag = min(
        units_by_lag, key=lambda k: (units_by_lag[k], k not in points, k), default=lag
    )
    *interval, _ = widths[training_lag]
    return Advice(*interval, units_by_lag.get(training_lag), training_lag)


def _rounded_up(width: float) -> int:
    """Round a width up, but for a rounding error above a whole number."""
    return math.ceil(width - 1e-6)


def _lags_between(first: int, last: int) -> set[int]:
    """Return the lags from `first` to `last` for which widths are predicted, `last`
    among them."""
    count = int(math.log(max(last / EACH_LAG_TO, 1), LAG_RATIO)) + 1
    far = (round(EACH_LAG_TO * LAG_RATIO**k) for k in range(count))
    lags = (*range(1, EACH_LAG_TO + 1), *far, last)
    return {k for k in lags if first <= k <= last}


def _widths(
    points: Mapping[int, Point], lags: Sequence[int], share: float
) -> dict[int, Width]:
    """Predict the width at which the share passes at some lags, by lag.

    `Point.rise` has the counts of passes by width, before a fall, and `rise_trained`
    those of nets that are solved at the trained length.
    """
    # the quantiles of the width, in the order of the fields of `Width`
    ranks = np.array([0.5, 0.025, 0.975, PROBABILITY])
    counts = [{lag: point.rise for lag, point in points.items()}]
    if any(p.solved_trained != p.solved for p in points.values()):
        # A net that passes by a stricter verdict is also solved at the trained length.
        # So the width for that weaker verdict can only be smaller: take the greater of
        # the two widths that are estimated.
        counts.append({lag: point.rise_trained for lag, point in points.items()})
    beliefs = [believe(by_lag, lags) for by_lag in counts]
    widths = {}
    for lag in lags:
        quantiles = [belief[lag].quantiles(share, ranks) for belief in beliefs]
        widths[lag] = Width(*np.max(quantiles, axis=0).tolist())
    return widths


def _units_at(point: Point, width: float, share: float) -> int | None:
    """Return the units to take at a measured lag, given the width that the curves of all
    lags predict to be enough; None if no width is known to be enough.

    The threshold of a share is the width at which that share passes. It is censored
    ("below", "above") if it lies outside of the widths tried. `width_to_take` returns the
    predicted width (None if it gets None), unless wider nets may fail more: then it
    chooses by the counts alone.
    """
    if point.fit.u90.censored == "below":
        # u90 lies below the narrowest width tried: take at least that width.
        width = max(width, point.units[0])
    units = _rounded_up(width)
    # The lag's own counts must show that the share passes at some width.
    is_reached = threshold(point.posterior, share).censored != "above"
    is_known = is_reached and units <= 2 * point.units[-1]
    return width_to_take(point.counts, share, units if is_known else None)


def _one_per_lag(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return one point per lag, all measured in the same way: in the usual one, or else
    in the way that has the most lags. Of several points at a lag, return the one with
    the most runs."""
    by_way: dict[str, dict[int, Point]] = {}
    for point in sorted(points, key=lambda p: (p.label, sum(p.runs))):
        # a later point at the same lag has more runs
        by_way.setdefault(point.label, {})[point.lag] = point
    ways = [sorted(way.values(), key=lambda p: p.lag) for way in by_way.values()]
    best = max(ways, key=lambda way: (way[0].usual, len(way)), default=[])
    return tuple(best)
