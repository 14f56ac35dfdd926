"""From the measurements of a task to the units to take at a lag.

In simulated studies 92 to 94 % of fresh trainable seeds pass at the advised widths
(tests/thresholds/test_lags.py).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
import polars as pl

from memcap.config.recipes import ResolvedRecipe
from memcap.frontiers.frontier import At, Point, longer_point, next_to
from memcap.knobs import UserError
from memcap.models.model import MOST_UNITS, Model
from memcap.rule import SHORTER_LAGS
from memcap.store.shards import OUTPUTS
from memcap.tasks import Task
from memcap.thresholds.curve import threshold
from memcap.thresholds.falls import width_to_take
from memcap.thresholds.lags import PROBABILITY, believe

ONE_UNIT = Model(units=1)  # the network of a question that names none
# Lags at which widths are predicted, beside the question's: each to 50, and then lags
# 40 % apart to beyond the longest that there may be
LAGS = (*range(1, 50), *(round(50 * 1.4**k) for k in range(30)))
# Seeds of one width, all of them failed, from which on a lag counts as measured
FEWEST = 4
# The order in which a question takes nets, by their verdict
FOR_EVERY_LAG = {"anywhere": 0, "up_to": 1}  # then all others
FOR_ONE_LAG = {"up_to": 1, "anywhere": 2}  # after all others

Kind = Literal[
    # with a width:
    "measured",  # at the lag
    "longer",  # up to a longer lag
    "predicted",  # from other lags
    "tested",  # predicted, and nets of fresh seeds were trained at it
    # without one:
    "not enough",  # measured, and no width tried is known to be enough
    "untrained",  # measured, and most seeds failed at every width
    "too wide",  # predicted to need more than is allowed
    "between",  # measured at a smaller and at a greater value of one knob
    "unknown",
]


@dataclass(frozen=True)
class Question:
    """A question: how many units a task takes at a lag.

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
        return self.at in SHORTER_LAGS and self.task.has_other_lags(self.lag)

    @property
    def folder(self) -> Path:
        return self.rows if isinstance(self.rows, Path) else OUTPUTS

    def __post_init__(self) -> None:
        least = self.task.smallest_lag
        if self.lag < least:
            raise UserError(
                f"--lag {self.lag}: the least lag of {self.task.name} is {least}"
            )


class Width(NamedTuple):
    """The width at which the share passes at a lag, by the curves of all lags."""

    estimate: float
    low: float  # of the 95 % interval
    high: float
    units: float  # the width that is enough with `PROBABILITY`, not rounded


class Advice(NamedTuple):
    """The units to take, and the width at which the share passes, for `training_lag`."""

    estimate: float
    low: float
    high: float
    units: int | None
    training_lag: int


class Measurement(NamedTuple):
    """A published study's narrowest width at which the share passed, or else the one at
    which most did."""

    study: str
    point: Point
    units: int


class Passes(NamedTuple):
    """How many runs passed, of nets of one width."""

    points: Sequence[Point]  # the measurements that the runs belong to
    units: int  # the width: the advised one, or the nearest that was tried
    passed: int  # how many of the runs passed
    runs: int  # how many there are


class Evidence(NamedTuple):
    """The evidence of an answer; the first field in which two answers differ decides."""

    is_about_every_lag: bool  # or the question is not
    is_as_asked: bool  # the rows were judged as the question asks
    is_conclusive: bool
    is_known: bool  # measured, at the lag or up to a longer one
    is_measured: bool  # at the lag
    # at the lag, if the answer is conclusive, and otherwise at all lags that it is made
    # from, where a run at half or twice the lag counts half
    runs: float


@dataclass(frozen=True)
class Answer:
    """The numbers that answer a question.

    Args:
        question: the question.
        points: the measurements used, by lag, ascending.
        source: the place of the rows: a name of `memcap.store.shards.NAMES` or a
            folder; None: rows that were passed in.
        estimate, low, high: the width at which the share passes, from all lags, and its
            95 % interval. None if no recipe trains the task at this lag, or if the lag
            was not measured and fewer than two others were.
        units: the width to take, for each layer; None if none is known to be enough, or
            if more than `MOST_UNITS` are predicted.
        training_lag: the lag at which, or up to which, to train nets of this width, and
            of which `estimate` is. It is longer than the question's if that takes no
            more units.
        second: what the user's own rows would answer, if this answer comes from
            published ones, or the other way round; None if those say nothing.
        beside: if the task was not measured with these knobs, answers for the nearest
            measured values of one knob, and for one layer of several.
        elsewhere: if no width was measured for the lag, the published measurement that
            bears most on it.
        missing: members of this task and lag in the user's own studies without a row.
        fresh: published measurements of nets as advised, on seeds that chose neither
            recipe nor width.
        cells: if nothing is known, the cells with rows of the task.
        further: if most seeds failed at every width, published runs with more units or
            steps, by units and budget: those that passed, and all.
    """

    question: Question
    points: Mapping[int, Point] = field(default_factory=dict)
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
    cells: tuple[str, ...] = ()
    further: Mapping[tuple[int, int], Sequence[int]] = field(default_factory=dict)

    @cached_property
    def kind(self) -> Kind:
        if self.units is not None:
            if self.training_lag != self.question.lag:
                return "longer"
            if self.point is not None:
                return "measured"
            return "tested" if self.fresh else "predicted"
        if self.point is not None and self.point.trains:
            return "not enough"
        if self.point is not None and self.point.seeds >= FEWEST:
            return "untrained"
        if self.estimate is not None:
            return "too wide"
        # an answer for one layer, where several are asked about, has another network
        models = [other.question.model for other in self.beside]
        return "between" if models == [self.question.model] * 2 else "unknown"

    @property
    def lacks(self) -> Literal["shorter lags", "later starts", None]:
        """Return what the rows leave open, if anything."""
        if self.question.up_to and self.at not in SHORTER_LAGS:
            return "shorter lags"
        begins_first = self.at == "up_to" and self.question.at == "anywhere"
        return "later starts" if begins_first and self.question.task.filler else None

    @property
    def is_known(self) -> bool:
        """True if a width was measured to be enough."""
        return self.kind in ("measured", "longer") and self.lacks is None

    @property
    def is_width_measured(self) -> bool:
        """True if nets of the advised width were trained and judged as asked."""
        return self.is_known and self.passes.units == self.units

    @property
    def is_conclusive(self) -> bool:
        """True if the lag was measured, and both a width and the threshold are known."""
        return bool(self.point and self.units is not None and self.point.measured)

    @property
    def evidence(self) -> Evidence:
        lag = self.question.lag
        lags = [lag] if self.is_conclusive else self.lags
        runs = (sum(self.points[k].runs) * min(k, lag) / max(k, lag) for k in lags)
        return Evidence(
            bool(self.points) and self.lacks != "shorter lags",
            bool(self.points) and self.lacks is None,
            self.is_conclusive,
            self.is_known,
            self.point is not None,
            sum(runs),
        )

    @property
    def point(self) -> Point | None:
        return self.points.get(self.question.lag)

    @property
    def training_point(self) -> Point | None:
        return self.points.get(self.training_lag or self.question.lag)

    @cached_property
    def trainable(self) -> dict[int, Point]:
        """The measurements of lags at which a recipe trains the task, by lag."""
        return {lag: point for lag, point in self.points.items() if point.trains}

    @property
    def lags(self) -> list[int]:
        """The lags that the estimate is made from."""
        return [] if self.estimate is None else list(self.trainable)

    @property
    def example(self) -> Point | None:
        """The measurement at the lag, or else the first; None if nothing is known."""
        first = next(iter(self.points.values()), None)
        return self.point or (first if self.lags else None)

    @property
    def at(self) -> At | None:
        """The verdict that counted as a pass."""
        return self.example.at if self.example else None

    @property
    def recipe(self) -> ResolvedRecipe | None:
        """The recipe of the training lag, or else that of `longer_point`."""
        longer = longer_point(self.trainable.values(), self.question.lag)
        point = self.training_point or longer
        return point.recipe if point else None

    @property
    def nearest(self) -> list[Point]:
        """The measurement at the training lag, or else those at the lags next to it."""
        if self.training_point is not None:
            return [self.training_point]
        return [
            self.trainable[lag] for lag in next_to(self.trainable, self.question.lag)
        ]

    @cached_property
    def passes(self) -> Passes:
        """The runs of the advised width, or of the next wider one, or of the widest; of
        `fresh` nets if there are any."""
        if self.units is None:
            return Passes((), 0, 0, 0)
        points = self.fresh or self.nearest
        widths = sorted({units for point in points for units in point.units})
        units = next((u for u in widths if u >= self.units), widths[-1])
        same = [point for point in points if units in point.units]
        counts = [point.passed(units) for point in same]
        return Passes(same, units, *map(sum, zip(*counts, strict=True)))


def answer(
    question: Question, points: Iterable[Point], source: str | None = None
) -> Answer:
    lag = question.lag
    result = Answer(question, _choose(question, points), source)
    # An unmeasured lag is predicted from at least two others.
    can_advise = result.point.trains if result.point else len(result.trainable) > 1
    if not can_advise:
        return result
    every_lag = next(iter(result.points.values())).at in SHORTER_LAGS
    advice = advise(result.trainable, lag, question.share, every_lag)
    return replace(result, **advice._asdict())


def _choose(question: Question, points: Iterable[Point]) -> dict[int, Point]:
    """Return a question's points by lag, ascending, all measured in one way
    (`Point.label`).

    A question about every lag prefers nets that trained for that; one about a single
    lag prefers others. A way that has the lag comes first, then the usual one, then the
    one with the most runs, or lags if none has the lag.
    """

    def rank(point: Point) -> int:
        if question.up_to:
            return FOR_EVERY_LAG.get(point.at, 2)
        return FOR_ONE_LAG.get(point.evaluation.until, 0)

    def evidence(way: Mapping[int, Point]) -> tuple[bool, bool, int]:
        first, *_ = way.values()
        point = way.get(question.lag)
        number = sum(point.runs) if point else len(way)
        return point is not None, first.usual, number

    subject = question.task, question.model
    points = [point for point in points if (point.task, point.model) == subject]
    first = min(map(rank, points), default=0)
    ways: dict[str, dict[int, Point]] = {}
    for point in sorted(points, key=lambda p: (p.label, p.lag, sum(p.runs))):
        if rank(point) == first:
            # a later point at the same lag has more runs
            ways.setdefault(point.label, {})[point.lag] = point
    return max(ways.values(), key=evidence, default={})


def advise(
    points: Mapping[int, Point], lag: int, share: float, up_to: bool = False
) -> Advice:
    """Advise a width that is enough at a lag, and the lag at which to train nets of it.

    Counts are noisy and each lag has its own recipe, so a longer lag may seem to need
    fewer units. The advice never falls with the lag all the same:

    * One lag alone takes the most that this lag or any shorter one needs; if it was not
      measured, no more than the measured ones up to the next longer one.
    * With `up_to`, take the fewest that this lag or a longer measured one needs, and
      train up to that one. If this lag was not measured, all from the next shorter
      measured one on count as this one.

    Args:
        points: by lag, ascending, at least one.
        lag, share: those of the question.
        up_to: whether nets that pass are right at every lag up to their own.
    """
    shorter = [k for k in points if k <= lag]
    longer = [k for k in points if k > lag]
    # from the nearest of the shorter ones to the lag itself, both included
    between = [k for k in (*LAGS, lag) if max(shorter, default=0) <= k <= lag]
    lags = {*shorter, *between, *(longer if up_to else longer[:1])}
    widths = _widths(points, sorted(lags), share)
    by_counts = {
        k: _units_at(points[k], widths[k].units, share) for k in points.keys() & lags
    }
    needed = {k: by_counts.get(k) or widths[k].units for k in lags}
    unsure = {k for k, units in by_counts.items() if units is None}
    counted = shorter[-1:] if up_to else shorter
    width = max(needed[k] for k in (*counted, *between))
    if longer and lag not in points and not up_to:
        width = min(width, max(needed[k] for k in (*shorter, longer[0])))
    units = {k: _rounded_up(needed[k]) for k in longer if up_to and k not in unsure}
    is_sure = not unsure.intersection(counted if up_to and longer else [lag])
    most = 2 * points[lag].units[-1] if lag in points else MOST_UNITS
    if is_sure and _rounded_up(width) <= most:
        units[lag] = _rounded_up(width)
    training_lag = min(units, key=lambda k: (units[k], k not in points, k), default=lag)
    *interval, _ = widths[training_lag]
    return Advice(*interval, units.get(training_lag), training_lag)


def _rounded_up(width: float) -> int:
    return math.ceil(width - 1e-6)


def _widths(
    points: Mapping[int, Point], lags: Sequence[int], share: float
) -> dict[int, Width]:
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
    """Return the units to take at a measured lag, if a width is known to be enough.
    `width` is what the curves of all lags predict."""
    if point.fit.u90.censored == "below":
        # u90 lies below the narrowest width tried: take at least that width.
        width = max(width, point.units[0])
    units = _rounded_up(width)
    # The lag's own counts must show that the share passes at some width.
    is_reached = threshold(point.posterior, share).censored != "above"
    is_known = is_reached and units <= 2 * point.units[-1]
    return width_to_take(point.counts, share, units if is_known else None)
