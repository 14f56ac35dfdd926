"""Units against lag, a line a recipe: is a kink of the frontier the recipe's?"""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.capacity.frontier import frontier, tried
from memcap.capacity.points import Point
from memcap.figures import Drawn
from memcap.figures.frontier import COLOURS, MARKERS, doublings, rules, verdict, write_below
from memcap.knobs import UserError
from memcap.studies.store import TRAINING

BEST = "the frontier: at each lag the best that competes"


def draw(rows: pl.DataFrame) -> Drawn:
    """Every recipe's u90 of some rows, for each task that most recipes were tried on.

    Args:
        rows: of trained members, as `memcap.studies.store.read` gives them.

    Raises:
        UserError: there are no rows.
    """
    points = tried(rows)
    if not points:
        raise UserError("no rows: nothing to draw; train a study first, as in: memcap train sweeps=delay_line_recipes")
    best = frontier(rows)
    names = recipe_names(points)
    chosen = {(p.place, key(p)) for p in best}
    data = [_columns(p, name, (p.place, key(p)) in chosen) for p, name in zip(points, names, strict=True)]
    return Drawn(plot(points, names, best), pl.DataFrame(data, infer_schema_length=None))


def key(point: Point) -> tuple[Any, ...]:
    """What makes a recipe the same at all lags: its name and values. What a start makes of the lag is none of them."""
    start = point.recipe["forget_bias"] if point.recipe["init"] == "forget_bias" else None
    return point.recipe["recipe"], point.recipe["init"], start, *(point.recipe[name] for name in TRAINING)


def recipe_names(points: Sequence[Point]) -> list[str]:
    """The name of each point's recipe, with those values in which it differs from another of that name."""
    fields = ("recipe", "init", "forget_bias", *TRAINING)
    keys = [key(p) for p in points]
    names = []
    for own in keys:
        alike = [other for other in set(keys) if other[0] == own[0]]
        differs = [k for k in range(1, len(fields)) if len({other[k] for other in alike}) > 1]
        names.append(", ".join([own[0], *(f"{fields[k]} {_plain(own[k])}" for k in differs)]))
    return names


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _columns(point: Point, name: str, best: bool) -> dict[str, Any]:
    width = point.fit.u90
    return {
        "label": point.label,
        "lag": point.lag,
        "recipe": name,
        **{k: point.recipe[k] for k in ("lr", "batch", "budget")},
        "at": point.at,
        "u90": width.units,
        "u90_low": width.low,
        "u90_high": None if math.isinf(width.high) else width.high,
        "u90_censored": width.censored,
        "units_a_lag": width.units / point.lag,
        "seeds": point.seeds,
        "runs": sum(point.runs),
        "best": best,
    }


def plot(points: Sequence[Point], names: Sequence[str], best: Sequence[Point]) -> Figure:
    """Units above, units a step of lag below; a colour a recipe, a marker a task, and a wide grey line for the frontier."""
    drawn = Figure(figsize=(7.2, 9.6))
    above, below = drawn.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2]})
    labels, known = list(dict.fromkeys(p.label for p in points)), list(dict.fromkeys(names))
    for k, label in enumerate(labels):
        frontier_line = [p for p in best if p.label == label]
        for axes, heights in ((above, _units), (below, _units_a_lag)):
            axes.plot(*heights(frontier_line), color="#bbbbbb", lw=6, alpha=0.6, zorder=1, label=BEST if k == 0 else "_best")
        for j, name in enumerate(known):
            line = [p for p, n in zip(points, names, strict=True) if (p.label, n) == (label, name)]
            shown = name if len(labels) == 1 else f"{label}: {name}"
            look: dict[str, Any] = {"color": COLOURS[j % len(COLOURS)], "marker": MARKERS[k % len(MARKERS)], "ms": 4, "lw": 1}
            if line:
                above.plot(*_units(line), label=shown, **look)
                below.plot(*_units_a_lag(line), label="_units_a_lag", **look)
                _bars(above, line, look["color"])
    doublings(above, sorted({p.lag for p in points}), max(_top(p) for p in points))
    below.set_ylim(bottom=0)
    below.grid(color="#dddddd", lw=0.5)
    above.set_ylabel("units (90 % of seeds)")
    below.set_ylabel("units a step of lag")
    below.set_xlabel("lag (time steps)")
    above.set_title("Units that training needs, by recipe")
    above.legend(frameon=False, fontsize=7, loc="upper left")
    write_below(drawn, caption(points, names, best))
    return drawn


def _units(line: Sequence[Point]) -> tuple[list[int], list[float]]:
    """Lags and u90; NaN, which breaks a line, where it was not reached."""
    return [p.lag for p in line], [math.nan if p.fit.u90.censored == "above" else p.fit.u90.units for p in line]


def _units_a_lag(line: Sequence[Point]) -> tuple[list[int], list[float]]:
    lags, units = _units(line)
    return lags, [u / lag for u, lag in zip(units, lags, strict=True)]


def _top(point: Point) -> float:
    width = point.fit.u90
    return 1.25 * width.units if math.isinf(width.high) else width.high


def _bars(axes: Axes, line: Sequence[Point], colour: str) -> None:
    """Intervals; an arrow up where the upper end is open or the threshold was not reached."""
    for p in line:
        axes.plot([p.lag, p.lag], [p.fit.u90.low, _top(p)], color=colour, lw=0.7, alpha=0.5, label="_interval")
        if math.isinf(p.fit.u90.high):
            axes.plot(p.lag, _top(p), marker="^", color=colour, ms=4, ls="", label="_open_end")


def caption(points: Sequence[Point], names: Sequence[str], best: Sequence[Point]) -> str:
    """Which recipes, with how many steps and seeds, and how the frontier chooses among them."""
    budgets: dict[str, set[int]] = {}
    for point, name in zip(points, names, strict=True):
        budgets.setdefault(name, set()).add(point.recipe["budget"])
    listed = "; ".join(f"{name}: {' or '.join(map(str, sorted(steps)))} steps" for name, steps in budgets.items())
    seeds = sorted({p.seeds for p in points})
    parts = [
        f"Recipes and their budgets: {listed}. Seeds a width: up to {', '.join(map(str, seeds))}.",
        f"Grey: {BEST}, of up to {max(p.recipes for p in best)}, chosen on the seeds it is judged on. Recipes tried with fewer"
        " seeds than another at the same lag are drawn and do not compete.",
        verdict(points),
        *rules(points),
        "Bars are 95 % intervals; an arrow marks an end that the widths tried leave open, and a line breaks where no width tried"
        " was enough. What training reached, not what a network could hold.",
    ]
    return "\n".join(textwrap.fill(part, 140) for part in parts)
