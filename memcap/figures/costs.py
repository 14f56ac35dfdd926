"""Units against what is held, and what a bit of it costs: a line per family of tasks, and none over all.

Families do not cost the same. What is held until it is asked for is one thing; what is shifted on at every
step, as in a delay line, is another; the bits of a real number follow from the error that was allowed, so
that reals are counted in numbers. A slope over all of them would be an average of unlike things.
"""

import math
import textwrap
from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from typing import Any

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.special import stdtrit

from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point, label
from memcap.figures import Drawn
from memcap.figures.style import budgets, colour_and_marker, pass_rules, which_seeds_count, write_below
from memcap.knobs import UserError
from memcap.tasks.base import SHARE_OF_BITS

FEWEST_CLUSTERS = 3  # that an interval is made from


@dataclass(frozen=True)
class Cost:
    """What a family of tasks costs: the straight line units = intercept + slope * content, by least squares
    over its thresholds (u90).

    Args:
        family: its name, with the cell where that is not the LSTM.
        unit: of the content, "bit" or "number".
        intercept: units at no content.
        slope: units per bit, or per number.
        low, high: its 95 % interval, which takes as independent only the clusters; -inf and inf where there
            are too few of them.
        points, clusters: thresholds that the line goes through, and in how many clusters: the lags of a task
            whose content grows with the lag; elsewhere the sets of knobs, as the lags of one are alike.
    """

    family: str
    unit: str
    intercept: float
    slope: float
    low: float
    high: float
    points: int
    clusters: int

    def units(self, content: np.ndarray) -> np.ndarray:
        """The line at these contents."""
        return self.intercept + self.slope * content


def family(point: Point) -> str:
    """The family of a point: its task, and of one whose content grows with the lag its knobs, too."""
    task = point.task if point.task.stream else type(point.task)()
    return label(task, replace(point.model, readout="dense"))


def unit(point: Point) -> str:
    """What the content of a point is counted in: bits have a meaning of their own for symbols alone."""
    return "bit" if point.task.loss == "classes" else "number"


def content(point: Point) -> float:
    """Bits that must be held, or numbers."""
    if point.task.loss == "classes":
        return point.references.bits
    return float(point.task.facts(point.lag, point.length).held)


def cluster(point: Point) -> Hashable:
    """What a point is no news about, once another of its cluster is known."""
    return point.lag if point.task.stream else point.label


def costs(points: Iterable[Point]) -> list[Cost]:
    """One cost per family, sorted by name, over its measured points; of families that were measured at three
    points, and at more than one content."""
    ordered = sorted((p for p in points if p.measured), key=family)
    groups = [(name, list(group)) for name, group in groupby(ordered, key=family)]
    return [
        _cost(name, group) for name, group in groups if len(group) > 2 and len(set(map(content, group))) > 1
    ]


def _cost(name: str, points: Sequence[Point]) -> Cost:
    x, y = np.array([(content(p), p.fit.u90.units) for p in points]).T
    slope, intercept = (float(v) for v in np.polyfit(x, y, 1))
    off, names = x - x.mean(), [cluster(p) for p in points]
    moments: dict[Hashable, float] = {}
    for each, moment in zip(names, off * (y - intercept - slope * x), strict=True):
        moments[each] = moments.get(each, 0.0) + float(moment)
    count, spread = len(moments), math.inf
    if count >= FEWEST_CLUSTERS:  # the sandwich of Liang & Zeger (1986), corrected for few clusters
        few = count / (count - 1) * (len(x) - 1) / (len(x) - 2)
        error = math.sqrt(few * sum(m**2 for m in moments.values())) / float((off**2).sum())
        spread = float(stdtrit(count - 1, 0.975)) * error
    return Cost(name, unit(points[0]), intercept, slope, slope - spread, slope + spread, len(x), count)


def sentence(cost: Cost) -> str:
    """A cost in words."""
    interval = f" [{cost.low:.2f}, {cost.high:.2f}]" if math.isfinite(cost.low) else ""
    return f"{cost.slope:.2f}{interval} units per {cost.unit}"


def draw(rows: pl.DataFrame) -> Drawn:
    """What the tasks of some rows cost.

    Args:
        rows: of trained members, as `memcap.store.read` gives them.

    Raises:
        UserError: no width was enough anywhere, or there are no rows.
    """
    points = [p for p in frontier(rows) if p.measured]
    if not points:
        raise UserError(
            "no measured u90: nothing to draw; train wider nets, as in: memcap train sweeps=first_study"
        )
    lines = costs(points)
    table = pl.DataFrame([_columns(p, lines) for p in points], infer_schema_length=None)
    return Drawn(plot(points, lines), table)


def _columns(point: Point, lines: Sequence[Cost]) -> dict[str, Any]:
    cost = next((cost for cost in lines if cost.family == family(point)), None)
    width, references = point.fit.u90, point.references
    return {
        "label": point.label,
        "family": family(point),
        "cell": point.model.cell,
        "lag": point.lag,
        "content": content(point),
        "content_unit": unit(point),
        "bits": references.bits,
        "u90": width.units,
        "u90_low": width.low or None,
        "u90_high": None if math.isinf(width.high) else width.high,
        "carry_numbers": point.numbers_per_unit * width.units,
        "one_per_number": references.one_per_number,
        "information_floor": references.information_floor,
        **point.recipe_columns("recipe", "budget"),
        "slope": None if cost is None else cost.slope,
        "slope_low": None if cost is None or math.isinf(cost.low) else cost.low,
        "slope_high": None if cost is None or math.isinf(cost.high) else cost.high,
        "intercept": None if cost is None else cost.intercept,
        "points": None if cost is None else cost.points,
        "clusters": None if cost is None else cost.clusters,
    }


def plot(points: Sequence[Point], lines: Sequence[Cost]) -> Figure:
    """u90 against what is held: a marker and a line per family; and the two reference lines of an LSTM."""
    figure = Figure(figsize=(10.4, 6.2))
    axes = figure.add_subplot(xlabel="bits held (of reals: numbers)", ylabel="units (90 % of seeds)")
    ordered = sorted(points, key=family)
    for k, (name, group) in enumerate(groupby(ordered, key=family)):
        cost = next((cost for cost in lines if cost.family == name), None)
        _family(axes, name, list(group), cost, *colour_and_marker(k))
    bits = _range([p for p in points if unit(p) == "bit"] or points)
    axes.plot(
        bits, bits / 2, color="grey", lw=0.8, ls=":", label="LSTM, one bit per carry number (a reference)"
    )
    axes.plot(
        bits,
        SHARE_OF_BITS * bits / 64,
        color="grey",
        lw=0.8,
        ls=(0, (5, 5)),
        label="LSTM, float32 information (a floor)",
    )
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_ylim(0.6, 1.8 * max(p.fit.u90.units for p in points))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(lambda value, _: f"{value:g}")
    axes.set_title("Units that training needs, by what is held")
    axes.grid(color="#dddddd", lw=0.5)
    # beside the marks: families may be many
    axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))
    write_below(figure, textwrap.fill(caption(points), 200))
    figure.subplots_adjust(left=0.06, right=0.63)
    return figure


def _range(points: Sequence[Point]) -> np.ndarray:
    """(100,) contents from the least to the most of some points."""
    contents = [content(p) for p in points]
    return np.geomspace(min(contents), max(contents), 100)


def _family(
    axes: Axes, name: str, points: Sequence[Point], cost: Cost | None, colour: str, marker: str
) -> None:
    contents, units = [content(p) for p in points], [p.fit.u90.units for p in points]
    for x, point in zip(contents, points, strict=True):
        width = point.fit.u90
        high = width.units if math.isinf(width.high) else width.high
        low = width.low or width.units
        axes.plot([x, x], [low, high], color=colour, lw=0.8, alpha=0.6, label="_interval")
    words = name if cost is None else f"{name}: {sentence(cost)}"
    axes.plot(contents, units, color=colour, marker=marker, ms=5, ls="", label=words)
    if cost is not None:
        own = _range(points)  # nothing was measured beyond it
        axes.plot(own, np.maximum(cost.units(own), 0.7), color=colour, lw=1, label="_cost")


def caption(points: Sequence[Point]) -> str:
    """What is drawn, and at which budgets."""
    return (
        "Each mark is one task and lag: the width at which 90 % of the seeds that train at all pass, with"
        " its 95 % interval."
        " Thresholds that the widths tried leave open are not drawn. Bits are those that must cross from"
        " one step to the next."
        " Lines: least squares, a family each; the 95 % interval of a slope takes as independent the lags of"
        " a task whose content grows with the lag, elsewhere the sets of knobs; of fewer than"
        f" {FEWEST_CLUSTERS} there is none. {budgets(points)} {which_seeds_count(points)}"
        f" {' '.join(pass_rules(points))} What training reached, not what a network could hold."
    )
