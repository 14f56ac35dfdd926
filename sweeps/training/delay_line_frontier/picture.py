"""The picture of the recipes: units against lag, with a line for each."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.lines import Line, Panel, picture, rules, table, threshold_line
from memcap.figures.seeds import recipe_names
from memcap.figures.style import COLOURS, MARKERS
from memcap.frontiers.frontier import Point, best_recipes, ends, fit_all_recipes
from memcap.knobs import UserError
from memcap.store.columns import Row


def of_rows(rows: pl.DataFrame) -> Drawn:
    """Draw every recipe's u90 for the tasks on which several recipes were tried, or for
    all if there are none."""
    everything = fit_all_recipes(rows)
    recipes = {(p.label, p.recipe) for p in everything}
    tried = Counter(label for label, _ in recipes)
    points = [p for p in everything if tried[p.label] > 1] or everything
    if not points:
        raise UserError(
            "no rows: nothing to draw; train a study first, as in: memcap train"
            " sweeps=training/delay_line_recipes"
        )
    best = best_recipes(points)
    names = recipe_names(points)
    winners = {(p.place, p.recipe) for p in best}
    data = [
        _columns(p, name, (p.place, p.recipe) in winners)
        for p, name in zip(points, names, strict=True)
    ]
    return Drawn(plot(points, names, best), table(data))


def _columns(point: Point, name: str, best: bool) -> Row:
    return {
        "label": point.label,
        "lag": point.lag,
        "recipe": name,
        **point.recipe_columns("lr", "batch", "budget"),
        "at": point.at,
        **ends("u90", point.fit.u90),
        "units_a_lag": point.fit.u90.units / point.lag,
        "seeds": point.seeds,
        "runs": sum(point.runs),
        "best": best,
    }


def plot(
    points: Sequence[Point], names: Sequence[str], best: Sequence[Point]
) -> Figure:
    """Draw units above and units per step of lag below: a colour per recipe, a marker
    per task, grey for the best."""
    above: list[Line] = []
    pairs = list(zip(points, names, strict=True))
    labels = list(dict.fromkeys(p.label for p in points))
    for k, label in enumerate(labels):
        grey = {"color": "#bbbbbb", "lw": 6, "alpha": 0.6}
        winners = threshold_line("", [p for p in best if p.label == label], "grey")
        above.append(replace(winners, look=grey, thresholds=()))
        for j, recipe in enumerate(dict.fromkeys(names)):
            own = [p for p, name in pairs if (p.label, name) == (label, recipe)]
            name = recipe if len(labels) == 1 else f"{label}: {recipe}"
            if own:
                look = COLOURS[j % len(COLOURS)], MARKERS[k % len(MARKERS)]
                above.append(threshold_line(name, own, *look))
    below = Panel("units per step of lag", list(map(_per_lag, above)))
    panels = [[Panel("units (90 % of seeds)", above)], [below]]
    return picture(
        panels, "Units that training needs, by recipe", caption(points, names, best)
    )


def _per_lag(line: Line) -> Line:
    """Return the line with widths divided by their lags, without intervals."""
    widths = [width / lag for lag, width in zip(line.lags, line.widths, strict=True)]
    return replace(line, widths=widths, thresholds=())


def caption(
    points: Sequence[Point], names: Sequence[str], best: Sequence[Point]
) -> list[str]:
    """Say how the frontier chooses among recipes, and the steps and seeds of each."""
    budgets: dict[str, set[int]] = {}
    for point, name in zip(points, names, strict=True):
        budgets.setdefault(name, set()).add(point.recipe.budget)
    listed = "; ".join(
        f"{name}: {' or '.join(map(str, sorted(own)))} steps"
        for name, own in budgets.items()
    )
    seeds = sorted({p.seeds for p in points})
    most = max(p.recipes for p in best)
    competition = "No lag has two of these."
    if most > 1:
        competition = (
            f"It is the best of up to {most}, chosen on the seeds that it is judged on."
        )
    return [
        (
            "Each line shows the units that 90 % of the seeds need with one recipe. The grey"
            " line is the frontier: at each lag, the best of the recipes that were tried with"
            f" the most seeds. {competition}"
        ),
        (
            f"Recipes and their budgets: {listed}. Seeds per width: up to"
            f" {', '.join(map(str, seeds))}."
        ),
        *rules(points),
    ]
