"""The frontier figure: units against lag, both on a scale of doublings. A line that rises is paid for in bits, a flat one in none."""

import math
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from memcap.capacity.frontier import Point, columns
from memcap.capacity.thresholds import Threshold
from memcap.knobs import UserError

COLOURS = ("#0b5394", "#b45f06", "#38761d", "#741b47", "#5b5b5b", "#bf9000", "#134f5c", "#990000")
MARKERS = "osD^vP<>"


def draw(points: Sequence[Point], folder: Path) -> Path:
    """Draw the frontier into folder/frontier.png and .pdf, with the numbers drawn in frontier.csv.

    Returns:
        Path of the PNG.

    Raises:
        UserError: there is nothing to draw, or the folder cannot be written.
    """
    if not points:
        raise UserError("no rows: nothing to draw; train a study first, as in: memcap train sweeps=first_study")
    picture = folder / "frontier.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        pl.DataFrame([columns(p) for p in points], infer_schema_length=None).write_csv(folder / "frontier.csv")
        drawn = plot(points)
        drawn.savefig(picture, dpi=200)
        drawn.savefig(folder / "frontier.pdf")
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another folder with -o") from error
    plt.close(drawn)
    return picture


def plot(points: Sequence[Point]) -> Figure:
    """The figure: u90 (filled, with intervals) and u50 (open) of each task against lag, reference widths, and a caption."""
    drawn, axes = plt.subplots(figsize=(7.2, 6.0))
    lines = {label: list(group) for label, group in groupby(points, key=lambda p: p.label)}
    for k, (label, line) in enumerate(lines.items()):
        _line(
            axes, label, line, COLOURS[k % len(COLOURS)], MARKERS[k % len(MARKERS)], (k - (len(lines) - 1) / 2) * 0.03
        )
    _scales(axes, points)
    axes.set_xlabel("lag (time steps)")
    axes.set_ylabel("units")
    axes.set_title("Units that training needs, by lag")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    drawn.subplots_adjust(left=0.1, right=0.97, top=0.94, bottom=0.27)
    drawn.text(0.02, 0.015, caption(points), fontsize=7, va="bottom", wrap=True)
    return drawn


def _line(axes: Axes, label: str, line: Sequence[Point], colour: str, marker: str, shift: float) -> None:
    """One task; `shift` (in doublings) keeps overlapping intervals apart."""
    lags = [p.lag for p in line]
    for which, style in (("u90", {"mfc": colour}), ("u50", {"mfc": "white"})):
        known = [(p.lag, getattr(p.fit, which)) for p in line]
        sideways = shift + (0.012 if which == "u90" else -0.012)
        for lag, threshold in known:
            _interval(axes, lag * 2**sideways, threshold, colour)
        measured = [(lag * 2**sideways, t.units) for lag, t in known if t.censored != "above"]
        if measured:
            x, y = zip(*measured, strict=True)
            name = f"{label}, {which[1:]} % of seeds"
            axes.plot(x, y, marker=marker, color=colour, ms=5, lw=1.2 if which == "u90" else 0.6, label=name, **style)
    reference = [p.references for p in line]
    axes.plot(
        lags,
        [r.one_per_number for r in reference],
        ls=":",
        color=colour,
        lw=1,
        label="  one carry number a symbol held",
    )
    hand_set = [(lag, r.constructed) for lag, r in zip(lags, reference, strict=True) if r.constructed is not None]
    if hand_set:
        x, y = zip(*hand_set, strict=True)
        axes.plot(x, y, ls="", marker="x", color=colour, ms=7, label="  constructed (hand-set weights)")


def _interval(axes: Axes, x: float, threshold: Threshold, colour: str) -> None:
    """A bar from low to high; an arrow where an end is open or the threshold was not reached."""
    top = threshold.high if math.isfinite(threshold.high) else max(threshold.units, threshold.low) * 1.3
    axes.plot([x, x], [max(threshold.low, 1), top], color=colour, lw=1, alpha=0.7)
    if math.isinf(threshold.high):
        axes.plot(x, top, marker="^", color=colour, ms=5, ls="")


def _scales(axes: Axes, points: Sequence[Point]) -> None:
    lags = sorted({p.lag for p in points})
    widest = max(
        max(t.units, t.high if math.isfinite(t.high) else t.units) for p in points for t in (p.fit.u50, p.fit.u90)
    )
    widest = max(widest, *(max(p.references.one_per_number, p.references.constructed or 1) for p in points))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    axes.set_xlim(lags[0] / 1.25, lags[-1] * 1.25)
    axes.set_ylim(0.8, widest * 1.6)
    plain = FuncFormatter(lambda value, _: f"{value:g}")
    axes.xaxis.set_major_locator(FixedLocator(lags))
    axes.yaxis.set_major_locator(FixedLocator([2**k for k in range(int(math.log2(widest)) + 2)]))
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(plain)
        axis.set_minor_locator(NullLocator())
    axes.grid(color="#dddddd", lw=0.5)


def caption(points: Sequence[Point]) -> str:
    """Recipes with learning rate and budget, seeds, and what the marks mean: a frontier is never shown without them."""
    parts = []
    for label, group in groupby(points, key=lambda p: p.label):
        used: dict[tuple, list[Point]] = {}
        for p in group:
            used.setdefault((p.recipe["recipe"], p.recipe["lr"], p.recipe["budget"]), []).append(p)
        said = [
            f"lag {_span([p.lag for p in ps])}: {recipe}, lr {lr:g}, budget {budget} steps"
            for (recipe, lr, budget), ps in used.items()
        ]
        seeds = _span([p.seeds for p in used_points(used)])
        parts.append(f"{label}: {'; '.join(said)}; {seeds} seeds a width.")
    parts.append(
        "Bars are 95 % intervals; an arrow marks an end that the widths tried leave open. A seed counts as solved when held-out"
        " accuracy is at least .99 (or the task's error bound) on two successive evaluations. A training frontier at this budget,"
        " not a capacity limit. Crosses need no training: they are hand-set weights."
    )
    return "\n".join(_wrapped(part) for part in parts)


def used_points(used: dict[tuple, list[Point]]) -> list[Point]:
    """All points of all recipes."""
    return [p for ps in used.values() for p in ps]


def _span(values: Sequence[int]) -> str:
    low, high = min(values), max(values)
    return f"{low}" if low == high else f"{low} to {high}"


def _wrapped(text: str, width: int = 128) -> str:
    import textwrap

    return textwrap.fill(text, width)
