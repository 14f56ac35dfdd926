"""Units against lag, both on a scale of doublings.

A line that rises pays for information.
"""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point, columns
from memcap.capacity.thresholds import Threshold
from memcap.config import Evaluation
from memcap.figures import Drawn
from memcap.knobs import UserError
from memcap.training.early_stopping import criterion, rule, steady_rule

COLOURS = ("#0b5394", "#b45f06", "#38761d", "#741b47", "#5b5b5b", "#bf9000", "#134f5c", "#990000")
MARKERS = "osD^vP<>"
SHARE = ", {} % of seeds"


def look(k: int) -> tuple[str, str]:
    """Colour and marker of line `k`; both come again at other lines, so that 64 lines differ."""
    return COLOURS[k % len(COLOURS)], MARKERS[(k + k // len(COLOURS)) % len(MARKERS)]


def draw(rows: pl.DataFrame) -> Drawn:
    """The frontier of some rows.

    Args:
        rows: of trained members, as `memcap.studies.store.read` gives them.

    Raises:
        UserError: there are no rows.
    """
    points = frontier(rows)
    if not points:
        raise UserError(
            "no rows: nothing to draw; train a study first, as in: memcap train sweeps=first_study"
        )
    return Drawn(plot(points), pl.DataFrame([columns(p) for p in points], infer_schema_length=None))


def plot(points: Sequence[Point]) -> Figure:
    """The figure: u90 (filled) and u50 (open) of each task against lag with intervals, reference widths, and
    a caption."""
    drawn = Figure(figsize=(7.2, 6.4))
    axes = drawn.add_subplot()
    lines = {label: list(group) for label, group in groupby(points, key=lambda p: p.label)}
    for k, (label, line) in enumerate(lines.items()):
        shift = (k - (len(lines) - 1) / 2) * min(0.08, 0.3 / len(lines))
        _line(axes, label, line, *look(k), shift)
    _scales(axes, points)
    axes.set_xlabel("lag (time steps)")
    axes.set_ylabel("units")
    axes.set_title("Units that training needs, by lag")
    _legend(axes)
    write_below(drawn, caption(points))
    return drawn


def write_below(drawn: Figure, said: str) -> None:
    """Write lines below the axes, and make room for them."""
    inch = 1 / drawn.get_figheight()
    drawn.subplots_adjust(
        left=0.09, right=0.97, top=0.95, bottom=inch * (0.64 + 0.12 * (said.count("\n") + 1))
    )
    drawn.text(0.02, 0.012, said, fontsize=7, va="bottom")


def _line(axes: Axes, label: str, line: Sequence[Point], colour: str, marker: str, shift: float) -> None:
    """One task; `shift` (in doublings) keeps the intervals of tasks and shares apart."""
    for which, sideways in (("u50", shift - 0.02), ("u90", shift + 0.02)):
        known = [(p.lag * 2**sideways, getattr(p.fit, which)) for p in line]
        for (x, threshold), point in zip(known, line, strict=True):
            draw_interval(axes, x, threshold, colour, narrower=point.units[0] > 1)
        # Where no width was enough the line breaks: it must not run on as if something had been measured
        # there.
        measured = [(x, math.nan if t.censored == "above" else t.units) for x, t in known]
        face, width = (colour, 1.4) if which == "u90" else ("white", 0.7)
        axes.plot(
            *_columns(measured),
            color=colour,
            marker=marker,
            ms=5,
            mfc=face,
            lw=width,
            label=label + SHARE.format(which[1:]),
        )
    references = [(p.lag, p.references) for p in line]
    axes.plot(
        *_columns([(lag, r.one_per_number) for lag, r in references]),
        ls=":",
        color=colour,
        lw=1,
        label="_one_per_number",
    )
    hand_set = [(lag, r.constructed) for lag, r in references if r.constructed is not None]
    axes.plot(*_columns(hand_set), ls="", marker="x", color=colour, ms=8, mew=1, label="_constructed")


def _columns(pairs: Sequence[tuple[float, float]]) -> tuple[list[float], list[float]]:
    return [x for x, _ in pairs], [y for _, y in pairs]


def draw_interval(axes: Axes, x: float, threshold: Threshold, colour: str, narrower: bool) -> None:
    """A bar from low to high. An arrow up where the high end is open or the threshold was not reached; an
    arrow down where the low end is open: `narrower` nets exist and were not tried.
    """
    open_high, open_low = math.isinf(threshold.high), threshold.low <= 1 and narrower
    high = max(threshold.units, threshold.low) * 1.25 if open_high else threshold.high
    low = threshold.units / 1.25 if open_low else threshold.low
    axes.plot([x, x], [low, high], color=colour, lw=1, alpha=0.7, label="_interval")
    for end, is_open, arrow in ((high, open_high, "^"), (low, open_low, "v")):
        if is_open:
            axes.plot(x, end, marker=arrow, color=colour, ms=4, ls="", label="_open_end")


def _legend(axes: Axes) -> None:
    """One entry a task, then grey ones for what the marks mean."""
    named = zip(*axes.get_legend_handles_labels(), strict=True)
    entries = [
        (line, name.removesuffix(SHARE.format(90))) for line, name in named if name.endswith(SHARE.format(90))
    ]
    grey: dict[str, Any] = {"color": "grey", "ms": 5}
    entries += [
        (Line2D([], [], marker="o", lw=1.4, **grey), "90 % of seeds pass"),
        (Line2D([], [], marker="o", lw=0.7, mfc="white", **grey), "50 % of seeds pass"),
        (Line2D([], [], ls=":", lw=1, **grey), "one carry number a symbol held (a reference, not a limit)"),
        (
            Line2D([], [], ls="", marker="x", mew=1, color="grey", ms=8),
            "constructed: hand-set weights, no training",
        ),
    ]
    lines, names = zip(*entries, strict=True)
    axes.legend(lines, names, frameon=False, fontsize=8, loc="upper left")


def _scales(axes: Axes, points: Sequence[Point]) -> None:
    """Both scales, with room for every threshold, interval and reference width."""
    widest = max(reach(t) for p in points for t in (p.fit.u50, p.fit.u90))
    widest = max(widest, *(max(p.references.one_per_number, p.references.constructed or 1) for p in points))
    doublings(axes, sorted({p.lag for p in points}), widest)


def reach(threshold: Threshold) -> float:
    """The largest width that is drawn of a threshold and its interval, but for an arrow."""
    return max(threshold.units, threshold.high if math.isfinite(threshold.high) else threshold.low)


def height(point: Point) -> float:
    """u90, or NaN, which breaks a line, where no width tried was enough."""
    return math.nan if point.fit.u90.censored == "above" else point.fit.u90.units


def doublings(axes: Axes, lags: Sequence[int], widest: float) -> None:
    """Lags and units on scales of doublings."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlim(lags[0] / 1.25, lags[-1] * 1.25)
    axes.set_ylim(0.8, widest * 1.6)
    axes.xaxis.set_major_locator(FixedLocator(lags))
    axes.yaxis.set_major_locator(FixedLocator([2**k for k in range(int(math.log2(widest)) + 2)]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axis.set_minor_locator(NullLocator())
    axes.grid(color="#dddddd", lw=0.5)


def caption(points: Sequence[Point]) -> str:
    """Recipes with learning rate and budget, seeds, and what the marks mean: a frontier is never shown
    without them."""
    parts = []
    for label, group in groupby(points, key=lambda p: p.label):
        line = list(group)
        used: dict[tuple[str, float, int], list[int]] = {}
        for p in line:
            used.setdefault((p.recipe["recipe"], p.recipe["lr"], p.recipe["budget"]), []).append(p.lag)
        said = [
            f"lag {_listed(lags)}: {name}, lr {lr:g}, budget {budget} steps"
            for (name, lr, budget), lags in used.items()
        ]
        most = "up to " if any(min(p.runs) < p.seeds for p in line) else ""
        parts.append(
            f"{label}: {'; '.join(said)}; {most}{_span([p.seeds for p in line])} seeds a"
            f" width.{best_of(line)}"
        )
    parts += [verdict(points), *rules(points)]
    parts.append(
        "Bars are 95 % intervals; an arrow marks an end that the widths tried leave open. A training"
        " frontier at this budget, not"
        " a capacity limit."
    )
    return "\n".join(textwrap.fill(part, 140) for part in parts)


def best_of(points: Sequence[Point]) -> str:
    """A sentence on the recipes that competed; empty where none did."""
    most = max(p.recipes for p in points)
    return (
        f" At each lag the best of up to {most} recipes, chosen on the seeds it is judged on."
        if most > 1
        else ""
    )


def rules(points: Sequence[Point]) -> list[str]:
    """What "solved" and, where it counts, "steady" mean for these points, in words: a sentence for each way
    of judging."""
    asked: dict[Evaluation, dict[str, set[float]]] = {}
    for p in points:  # neither decides whether a member is solved
        alike = replace(p.evaluation, stretch=1, until=None)
        asked.setdefault(alike, {}).setdefault(p.task.metric, set()).add(p.threshold)
    said = []
    for evaluation, thresholds in asked.items():
        criteria = []
        for metric, values in sorted(thresholds.items()):
            least, most = min(values), max(values)
            criteria.append(
                criterion(metric, most) + (f" (down to {least:.3g}, by lag)" if least < most else "")
            )
        said.append(rule(" or ".join(criteria), evaluation))
    steady = {(p.evaluation.stretch, p.evaluation.every) for p in points if p.at == "steady"}
    return said + [steady_rule(stretch, every) for stretch, every in sorted(steady)]


def verdict(points: Sequence[Point]) -> str:
    """Which members count, in words."""
    counted: dict[str, list[str]] = {}
    for p in points:
        counted.setdefault("steady" if p.at == "steady" else "solved", []).append(p.label)
    return (
        "Seeds that count:"
        f" {'; '.join(f'{word} ones of {_listed(names)}' for word, names in sorted(counted.items()))}."
    )


def _listed(values: Sequence[Any]) -> str:
    return ", ".join(map(str, dict.fromkeys(values)))


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"
