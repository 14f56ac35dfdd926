"""Units against lag, a line a training budget: how much of a width is bought by training longer?"""

import math
import textwrap
from collections.abc import Sequence
from typing import Any

import polars as pl
from matplotlib.figure import Figure

from memcap.capacity.frontier import best_recipes, fit_all_recipes
from memcap.capacity.points import Point, ends
from memcap.figures import Drawn
from memcap.figures.style import (
    COLOURS,
    MARKERS,
    ONE_PER_SYMBOL,
    choice_of_recipe,
    draw_interval,
    highest_end,
    log2_axes,
    pass_rules,
    u90_or_nan,
    which_seeds_count,
    write_below,
)
from memcap.knobs import UserError


def draw(rows: pl.DataFrame) -> Drawn:
    """The frontier of some rows at each budget, for the tasks that were trained with several, or for all if
    none was.

    Args:
        rows: of trained members, as `memcap.store.read` gives them.

    Raises:
        UserError: fewer than two budgets.
    """
    budgets = sorted(rows["budget"].unique())
    if len(budgets) < 2:
        problem = f"all rows have budget {budgets[0]}" if budgets else "no rows"
        raise UserError(f"{problem}: nothing to compare; train with recipe.budget=... of two values or more")
    several = rows.filter(pl.col("budget").n_unique().over("task") > 1)
    rows = rows if several.is_empty() else several
    points = fit_all_recipes(rows)
    budgets = sorted(rows["budget"].unique())
    lines = {b: best_recipes(p for p in points if p.recipe.budget <= b) for b in budgets}
    data = [_columns(p, budget) for budget, points in lines.items() for p in points]
    return Drawn(plot(lines), pl.DataFrame(data, infer_schema_length=None))


def _columns(point: Point, budget: int) -> dict[str, Any]:
    return {
        "label": point.label,
        "lag": point.lag,
        "budget": budget,
        "at": point.at,
        **ends("u90", point.fit.u90),
        "u_exist": point.u_exist,
        "one_per_number": point.references.one_per_number,
        "used_recipe": point.recipe.name,
        "used_budget": point.recipe.budget,
        "recipes": point.recipes,
        "seeds": point.seeds,
    }


def plot(lines: dict[int, list[Point]]) -> Figure:
    """u90 by lag, a colour per budget and a marker per task.

    At the longest budget also the least that any seed needed.
    """
    figure = Figure(figsize=(7.2, 6.8))
    axes = figure.add_subplot(xlabel="lag (time steps)", ylabel="units")
    longest = max(lines)
    labels = list(dict.fromkeys(p.label for p in lines[longest]))
    for k, label in enumerate(labels):
        name, marker = "" if len(labels) == 1 else f"{label}: ", MARKERS[k % len(MARKERS)]
        for j, (budget, points) in enumerate(lines.items()):
            line, colour = [p for p in points if p.label == label], COLOURS[j % len(COLOURS)]
            for p in line:
                draw_interval(axes, p.lag, p.fit.u90, colour)
            bold: dict[str, Any] = {
                "color": colour,
                "marker": marker,
                "ms": 5,
                "lw": 1.3,
                "zorder": 3 - j / len(lines),
            }
            name_of_line = f"{name}90 % of seeds, up to {budget:,} steps" if line else "_none"
            axes.plot([p.lag for p in line], [u90_or_nan(p) for p in line], label=name_of_line, **bold)
        last_line = [p for p in lines[longest] if p.label == label]
        exist = [math.nan if p.u_exist is None else p.u_exist for p in last_line]
        open_marks: dict[str, Any] = {
            "color": "#333333",
            "marker": marker,
            "ms": 4,
            "mfc": "white",
            "lw": 0.8,
            "ls": "--",
        }
        axes.plot(
            [p.lag for p in last_line],
            exist,
            label=f"{name}any seed of any recipe, up to {longest:,} steps",
            **open_marks,
        )
    for k, label in enumerate(labels):
        reference = [(p.lag, p.references.one_per_number) for p in lines[longest] if p.label == label]
        name_of_line = ONE_PER_SYMBOL if k == 0 else "_one_per_number"
        axes.plot(*zip(*reference, strict=True), color="grey", lw=1, ls=":", label=name_of_line)
    points = [p for line in lines.values() for p in line]
    widest = max(max(highest_end(p.fit.u90), p.references.one_per_number) for p in points)
    log2_axes(axes, sorted({p.lag for p in points}), widest)
    axes.set_title("Units that training needs, by budget")
    axes.legend(frameon=False, fontsize=8, loc="upper left")
    write_below(figure, caption(lines))
    return figure


def caption(lines: dict[int, list[Point]]) -> str:
    """Budgets with their recipes and seeds, and what the lines mean."""
    parts = [_budget(budget, points) for budget, points in lines.items()]
    everything = [p for points in lines.values() for p in points]
    parts += [
        which_seeds_count(everything),
        *pass_rules(everything),
        "A line is the frontier of the recipes that train for at most so many steps: a longer budget has"
        " the shorter ones'"
        " recipes too, and where it was not tried at a lag its line repeats theirs. Bars are 95 %"
        " intervals; an arrow marks an"
        " end that the widths tried leave open, and a line breaks where no width tried was enough. What"
        " training reached, not"
        " what a network could hold.",
    ]
    return "\n".join(textwrap.fill(part, 140) for part in parts)


def _budget(budget: int, points: Sequence[Point]) -> str:
    recipes = ", ".join(dict.fromkeys(p.recipe.name for p in points))
    text = f"Up to {budget:,} steps: {recipes}; up to {max(p.seeds for p in points)} seeds per width."
    return text + choice_of_recipe(points)
