"""The answer: how many units a task takes at a lag, given the measurements at all lags.

One rule holds for every lag, measured or not: take the narrowest width that is enough,
with a probability of at least `PROBABILITY`, for the wanted share of the seeds that
train at all (memcap.thresholds.lags). The width never falls with the lag (`advise`). In
simulated studies 92 to 94 % of fresh seeds pass at the advised widths; most of the
others fail at every width (tests/thresholds/test_lags.py).

A net that is right at every lag up to 50 is right at every lag up to 8. So if the
question is about every lag, nets trained up to a longer lag are considered for a
shorter one, too, and the narrowest is advised; the answer says up to which lag to train
(`Answer.training_lag`).

If fewer seeds pass at greater widths, no rising curve fits the counts: then only widths
that were tried are advised, by their own counts (memcap.thresholds.falls).
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from memcap.answers import words
from memcap.answers.next_study import longer_point, next_to
from memcap.config.recipes import ResolvedRecipe
from memcap.frontiers.frontier import At, Point
from memcap.knobs import UserError
from memcap.models.model import MOST_UNITS, Model
from memcap.store.shards import OUTPUTS
from memcap.tasks import Task
from memcap.thresholds.curve import threshold
from memcap.thresholds.falls import width_to_take
from memcap.thresholds.lags import PROBABILITY, believe

ONE_UNIT = Model(units=1)  # the network of a question that names none
# An advised width is enough for each shorter lag up to this one; beyond it only lags
# 40 % apart are looked at.
EACH_LAG_TO = 50


@dataclass(frozen=True)
class Question:
    """The question how many units a task takes at a lag.

    Raises:
        UserError: the task has no such lag.
    """

    task: Task  # the task with its knobs
    lag: int  # time steps
    model: Model = ONE_UNIT  # the network, at one unit
    share: float = 0.9  # of the seeds that train at all; so many should pass
    # the verdict and the budget that count, as in `memcap.frontiers.frontier.frontier`
    at: At = "up_to"
    budget: int | None = None
    # the only rows that count: a table, a folder, or a name of
    # `memcap.store.published`; None: those in `outputs`, and the published ones
    rows: pl.DataFrame | Path | None = None
    strict: bool = False  # refuse bad files of rows, as in `memcap.store.read`
    config_dir: Path | None = None  # of the user's own recipes, for the next command

    @property
    def up_to(self) -> bool:
        """Tell whether the question is about every lag from the smallest up to this one."""
        return self.at == "up_to" and self.task.has_other_lags(self.lag)

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
    """The width at which the share passes at a lag."""

    estimate: float
    low: float  # of the 95 % interval
    high: float
    enough: float  # a width that is enough with `PROBABILITY`


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
        points: the measurements that the answer is read from, one per lag, the shortest
            first.
        point: the measurement at the lag; None if the lag was not measured.
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
        from_own_rows: the answer of the user's own rows, if this one comes from
            published rows with more evidence.
        beside: if the task was not measured, answers for the nearest measured values of
            one of its knobs.
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
    from_own_rows: "Answer | None" = None
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
    def trainable(self) -> dict[int, Point]:
        """The measurements of lags at which a recipe trains the task, by lag."""
        return {point.lag: point for point in self.points if point.trains}

    @property
    def lags(self) -> list[int]:
        """The lags that the width rests on."""
        return [] if self.estimate is None else list(self.trainable)

    @property
    def basis(self) -> Point | None:
        """The point that says how the rows were measured and judged; None if nothing is known."""
        return self.point or (self.points[0] if self.lags else None)

    @property
    def at(self) -> At:
        """The verdict by which the rows were judged, as in `Point`."""
        return self.basis.at if self.basis else "trained"

    @property
    def as_asked(self) -> bool:
        """Tell whether it is the question's verdict: rows about one lag say nothing
        about shorter ones."""
        return self.at == "up_to" or not self.question.up_to

    @property
    def is_conclusive(self) -> bool:
        """True if the lag was measured, a width is known to be enough, and the
        threshold is a number."""
        return bool(self.point and self.units is not None and self.point.measured)

    @property
    def trains_longer(self) -> bool:
        """Tell whether nets are to be trained up to a longer lag than the question's."""
        return self.training_lag not in (None, self.question.lag)

    @property
    def training_point(self) -> Point | None:
        """The measurement at the training lag; None if that was not measured."""
        lag = self.training_lag
        return self.trainable[lag] if lag and self.trains_longer else self.point

    @property
    def recipe(self) -> ResolvedRecipe | None:
        """The recipe of the training lag, or else that of `longer_point`; None if
        nothing was measured."""
        longer = longer_point(self.trainable.values(), self.question.lag)
        point = self.training_point or longer
        return point.recipe if point else None

    @cached_property
    def passes(self) -> Passes:
        """The runs of `units` units or more: at the training lag, or at the measured
        lags next to the question's; if no net there was as wide, at all lags."""
        units = self.units
        if units is None:
            return Passes((), 0, 0, None)
        if self.training_point is not None:
            near = [self.training_point]
        else:
            lags = next_to(self.trainable, self.question.lag)
            near = [self.trainable[lag] for lag in lags]
        points = [p for p in near if p.units[-1] >= units]
        points = points or [p for p in self.trainable.values() if p.units[-1] >= units]
        counts = [p.passed_from(units) for p in points]
        widest = [p.widest_from(units) for p in points]
        falls = [u for u, p in zip(widest, points, strict=True) if u < p.units[-1]]
        passed = sum(passed for passed, _ in counts)
        runs = sum(runs for _, runs in counts)
        return Passes(points, passed, runs, min(falls, default=None))


def answer(
    question: Question, points: Sequence[Point], source: str | None = None
) -> Answer:
    """Answer a question from the points of its task and its network in a frontier, all
    of one verdict; `source` is the place of their rows."""
    lag = question.lag
    points = [p for p in points if (p.task, p.model) == (question.task, question.model)]
    # Nets that were trained for another question count only if there are no others.
    alike = [p for p in points if question.up_to == (p.evaluation.until == "up_to")]
    points = alike or points
    # If a lag was measured in several ways, the usual length and rule come first, then
    # the most runs.
    at_lag = [p for p in points if p.lag == lag]
    point = max(at_lag, key=lambda p: (p.usual, sum(p.runs)), default=None)
    if point is not None:
        points = [p for p in points if p.label == point.label]
    result = Answer(question, _one_per_lag(points), point, source)
    known = len(result.trainable) > 1 if point is None else point.trains
    if not known:
        return result
    up_to = result.points[0].at == "up_to"
    advice = advise(result.trainable, lag, question.share, up_to)
    return replace(result, **advice._asdict())


def advise(
    points: Mapping[int, Point], lag: int, share: float, up_to: bool = False
) -> Advice:
    """Advise the width that is enough at a lag, and the lag at which to train nets of
    this width.

    No lag is advised fewer units than a shorter one, measured or not: its width is the
    widest that any of them takes. An unmeasured lag is not advised more than the next
    longer measured one, unless a shorter measured one needs more.

    With `up_to`, nets trained up to a longer measured lag are right here, too, so the
    narrowest of its width and theirs is advised. Then a measured lag needs no more than
    its own width, whatever a shorter one takes.

    Args:
        points: by lag, ascending, at least one.
        lag, share: those of the question.
        up_to: whether nets are right at every lag up to their own.
    """
    shorter = [k for k in points if k <= lag]
    longer = [k for k in points if k > lag]
    unmeasured = _lags_between(max(shorter, default=0), lag)
    compared = longer if up_to else longer[:1]
    widths = _widths(points, sorted({*shorter, *unmeasured, *compared}), share)
    enough = {k: width.enough for k, width in widths.items()}
    unknown = set()  # measured lags at which no width is known to be enough
    for k in points.keys() & widths.keys():
        units = _taken(points[k], enough[k], share)
        if units is None:
            unknown.add(k)
        else:
            enough[k] = units
    measured = shorter[-1:] if up_to else shorter
    widest = max(enough[k] for k in (*measured, *unmeasured))
    if not up_to:
        if longer and lag not in points:
            limit = max(enough[k] for k in (*shorter, longer[0]))
            widest = min(widest, limit)
        choices = {lag: widest}
    elif longer and unknown.intersection(measured):
        choices = {k: enough[k] for k in longer}
    else:
        choices = {lag: widest} | {k: enough[k] for k in longer}
    units_at = {}
    for k in choices.keys() - unknown:
        units = math.ceil(choices[k] - 1e-6)
        most = 2 * points[k].units[-1] if k in points else MOST_UNITS
        if units <= most:
            units_at[k] = units
    best = min(units_at, key=lambda k: (units_at[k], k), default=lag)
    return Advice(*widths[best][:3], units_at.get(best), best)


def _lags_between(first: int, last: int) -> set[int]:
    """Return the lags from one to another at which widths are computed, with the last one."""
    count = int(math.log(max(last / EACH_LAG_TO, 1), 1.4)) + 1
    far = (round(EACH_LAG_TO * 1.4**k) for k in range(count))
    lags = (*range(1, EACH_LAG_TO + 1), *far, last)
    return {k for k in lags if first <= k <= last}


def _widths(
    points: Mapping[int, Point], lags: Sequence[int], share: float
) -> dict[int, Width]:
    """Return the widths at which the share passes at some lags."""
    ranks = np.array([0.5, 0.025, 0.975, PROBABILITY])
    verdicts = [{lag: point.rise for lag, point in points.items()}]
    if any(p.solved_trained != p.solved for p in points.values()):
        # nets that pass at the stretched length pass at the trained one, so the former
        # never take fewer units
        verdicts.append({lag: point.rise_trained for lag, point in points.items()})
    beliefs = [believe(counts, lags) for counts in verdicts]
    widths = {}
    for lag in lags:
        quantiles = [belief[lag].quantiles(share, ranks) for belief in beliefs]
        widths[lag] = Width(*np.max(quantiles, axis=0).tolist())
    return widths


def _taken(point: Point, width: float, share: float) -> int | None:
    """Return the width to take at a measured lag, given the one that the curves of all
    lags find enough; None if none is known to be enough."""
    if point.fit.u90.censored == "below":  # even the narrowest width tried is enough
        width = max(width, point.units[0])
    units = math.ceil(width - 1e-6)
    # "above": not even the widest width tried is enough
    reached = threshold(point.posterior, share).censored != "above"
    known = reached and units <= 2 * point.units[-1]
    return width_to_take(point.counts, share, units if known else None)


def _one_per_lag(points: Iterable[Point]) -> tuple[Point, ...]:
    """Return one point per lag, all measured in the same way: the usual one, or else
    that of most lags."""
    ways: dict[str, dict[int, Point]] = {}
    for point in sorted(points, key=lambda p: (p.label, sum(p.runs))):
        ways.setdefault(point.label, {})[point.lag] = point  # the one with most runs
    lines = [sorted(way.values(), key=lambda p: p.lag) for way in ways.values()]
    best = max(lines, key=lambda line: (line[0].usual, len(line)), default=[])
    return tuple(best)
