"""Units against lag, a line a training budget: how much of a width is bought by training longer?"""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point
from memcap.figures import Drawn
from memcap.figures.frontier import COLOURS, MARKERS, doublings, rules, verdict, write_below
from memcap.knobs import UserError


def draw(rows: pl.DataFrame) -> Drawn:
    """The frontier of some rows at each budget that they were trained with.

    Args:
        rows: of trained members, as `memcap.studies.store.read` gives them.

    Raises:
        UserError: fewer than two budgets.
    """
    budgets = sorted(rows["budget"].unique())
    if len(budgets) < 2:
        found = f"all rows have budget {budgets[0]}" if budgets else "no rows"
        raise UserError(f"{found}: nothing to compare; train with recipe.budget=... of two values or more")
    lines = {budget: frontier(rows, budget=budget) for budget in budgets}
    data = [_columns(p, budget) for budget, points in lines.items() for p in points]
    return Drawn(plot(lines), pl.DataFrame(data, infer_schema_length=None))


def _columns(point: Point, budget: int) -> dict[str, Any]:
    width = point.fit.u90
    return {
        "label": point.label,
        "lag": point.lag,
        "budget": budget,
        "at": point.at,
        "u90": width.units,
        "u90_low": width.low,
        "u90_high": None if math.isinf(width.high) else width.high,
        "u90_censored": width.censored,
        "u_exist": point.u_exist,
        "one_per_number": point.references.one_per_number,
        **{f"used_{k}": point.recipe[k] for k in ("recipe", "budget")},
        "recipes": point.recipes,
        "seeds": point.seeds,
    }


def plot(lines: dict[int, list[Point]]) -> Figure:
    """u90 by lag, a colour a budget and a marker a task; at the longest budget also the least that any seed needed."""
    drawn = Figure(figsize=(7.2, 6.8))
    axes = drawn.add_subplot(xlabel="lag (time steps)", ylabel="units")
    longest = max(lines)
    everything = lines[longest]
    labels = list(dict.fromkeys(p.label for p in everything))
    for k, label in enumerate(labels):
        name = "" if len(labels) == 1 else f"{label}: "
        marker = MARKERS[k % len(MARKERS)]
        for j, (budget, points) in enumerate(lines.items()):
            line, colour = [p for p in points if p.label == label], COLOURS[j % len(COLOURS)]
            for p in line:
                axes.plot([p.lag, p.lag], [p.fit.u90.low, _top(p)], color=colour, lw=0.8, alpha=0.5, label="_interval")
                if math.isinf(p.fit.u90.high):
                    axes.plot(p.lag, _top(p), marker="^", color=colour, ms=4, ls="", label="_open_end")
            units = [math.nan if p.fit.u90.censored == "above" else p.fit.u90.units for p in line]
            shown = f"{name}90 % of seeds, up to {budget:,} steps" if line else "_none"
            axes.plot([p.lag for p in line], units, color=colour, marker=marker, ms=5, lw=1.3, label=shown)
        own = [p for p in everything if p.label == label]
        exist = [math.nan if p.u_exist is None else p.u_exist for p in own]
        shown = f"{name}any seed of any recipe, up to {longest:,} steps"
        axes.plot([p.lag for p in own], exist, color="#333333", marker=marker, ms=4, mfc="white", lw=0.8, ls="--", label=shown)
        reference = [p.references.one_per_number for p in own]
        shown = "one carry number a symbol held (a reference, not a limit)" if k == 0 else "_one_per_number"
        axes.plot([p.lag for p in own], reference, color="grey", lw=1, ls=":", label=shown)
    drawn_points = [p for points in lines.values() for p in points]
    widest = max(max(_top(p), p.references.one_per_number) for p in drawn_points)
    doublings(axes, sorted({p.lag for p in drawn_points}), widest)
    axes.set_title("Units that training needs, by budget")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    write_below(drawn, caption(lines))
    return drawn


def _top(point: Point) -> float:
    """The upper end of an interval, or where the arrow of an open one stands."""
    width = point.fit.u90
    return 1.25 * max(width.units, width.low) if math.isinf(width.high) else width.high


def caption(lines: dict[int, list[Point]]) -> str:
    """Budgets with their recipes and seeds, and what the lines mean."""
    parts = [_budget(budget, points) for budget, points in lines.items()]
    everything = [p for points in lines.values() for p in points]
    parts += [
        verdict(everything),
        *rules(everything),
        "A line is the frontier of the recipes that train for at most so many steps: a longer budget has the shorter ones'"
        " recipes too, and where it was not tried at a lag its line repeats theirs. Bars are 95 % intervals; an arrow marks an"
        " end that the widths tried leave open, and a line breaks where no width tried was enough. What training reached, not"
        " what a network could hold.",
    ]
    return "\n".join(textwrap.fill(part, 140) for part in parts)


def _budget(budget: int, points: Sequence[Point]) -> str:
    recipes = ", ".join(dict.fromkeys(p.recipe["recipe"] for p in points))
    said = f"Up to {budget:,} steps: {recipes}; up to {max(p.seeds for p in points)} seeds a width."
    most = max(p.recipes for p in points)
    return said + (f" At each lag the best of up to {most} recipes, chosen on the seeds it is judged on." if most > 1 else "")
