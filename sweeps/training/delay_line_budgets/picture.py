"""The picture of the budgets: units against lag, with a line for each."""

import math
from collections.abc import Sequence

import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.lines import (
    Line,
    Panel,
    by_label,
    picture,
    reference_line,
    rules,
    table,
    threshold_line,
)
from memcap.figures.style import COLOURS, MARKERS, choice_of_recipe
from memcap.frontiers.frontier import Point, best_recipes, ends, fit_all_recipes
from memcap.knobs import UserError
from memcap.store.columns import Row


def of_rows(rows: pl.DataFrame) -> Drawn:
    """Draw the frontier of some rows at each budget, for the tasks that were trained
    with several, or for all if none was."""
    budgets = sorted(rows["budget"].unique())
    if len(budgets) < 2:
        problem = f"all rows have budget {budgets[0]}" if budgets else "no rows"
        raise UserError(
            f"{problem}: nothing to compare; train with recipe.budget=... of two values or more"
        )
    several = rows.filter(pl.col("budget").n_unique().over("task") > 1)
    rows = rows if several.is_empty() else several
    points = fit_all_recipes(rows)
    budgets = sorted(rows["budget"].unique())
    within = {
        b: best_recipes(p for p in points if p.recipe.budget <= b) for b in budgets
    }
    return Drawn(
        plot(within),
        table(_columns(p, budget) for budget, own in within.items() for p in own),
    )


def _columns(point: Point, budget: int) -> Row:
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


def plot(within: dict[int, list[Point]]) -> Figure:
    """Draw the frontiers of all budgets, u90 by lag, a colour per budget and a marker
    per task; for the longest budget also the least width of any seed."""
    longest = max(within)
    lines = []
    by_task = by_label(within[longest])
    for k, (label, last) in enumerate(by_task.items()):
        task = "" if len(by_task) == 1 else f"{label}: "
        marker = MARKERS[k % len(MARKERS)]
        lines += [reference_line(last), _any_seed(task, last, marker, longest)]
        for j, (budget, points) in reversed([*enumerate(within.items())]):
            own = [p for p in points if p.label == label]
            name = f"{task}up to {budget:,} steps"
            if own:
                colour = COLOURS[j % len(COLOURS)]
                lines.append(threshold_line(name, own, colour, marker))
    panel = Panel("units (90 % of seeds)", lines)
    return picture([[panel]], "Units that training needs, by budget", caption(within))


def _any_seed(task: str, points: Sequence[Point], marker: str, budget: int) -> Line:
    widths = [math.nan if p.u_exist is None else p.u_exist for p in points]
    look = {
        "color": "#333333",
        "marker": marker,
        "ms": 4,
        "mfc": "white",
        "lw": 0.8,
        "ls": "--",
    }
    return Line(
        f"{task}any seed, up to {budget:,} steps", [p.lag for p in points], widths, look
    )


def caption(within: dict[int, list[Point]]) -> list[str]:
    """Say what a line is, and the budgets with their recipes and seeds."""
    about = (
        "Each line shows the units that 90 % of the seeds need within a training budget. A line"
        " uses the recipes of shorter budgets, too, and repeats their widths at lags where its"
        " own budget was not tried. The dashed line shows the narrowest net that passed with any"
        " seed and recipe. The dotted line shows one carry number per symbol held (a reference,"
        " not a limit)."
    )
    each = [_budget(budget, points) for budget, points in within.items()]
    return [about, *each, *rules([p for points in within.values() for p in points])]


def _budget(budget: int, points: Sequence[Point]) -> str:
    recipes = ", ".join(dict.fromkeys(p.recipe.name for p in points))
    text = (
        f"Up to {budget:,} steps: {recipes}; up to {max(p.seeds for p in points)} seeds per"
        " width."
    )
    return text + choice_of_recipe(points)
