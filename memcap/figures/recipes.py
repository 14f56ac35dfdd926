"""Units against lag, a line per recipe: is a kink of the frontier the recipe's?"""

import textwrap
from collections.abc import Sequence
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.capacity import frontier
from memcap.capacity.points import Point, ends
from memcap.figures import Drawn
from memcap.figures.style import (
    COLOURS,
    MARKERS,
    draw_interval,
    highest_end,
    log2_axes,
    pass_rules,
    u90_or_nan,
    which_seeds_count,
    write_below,
)
from memcap.knobs import UserError, field_values

BEST = "the frontier: at each lag the best that competes"


def draw(rows: pl.DataFrame) -> Drawn:
    """Every recipe's u90 of some rows, for the tasks that several recipes were tried on, or for all if there
    is no such task.

    Args:
        rows: of trained members, as `memcap.store.read` gives them.

    Raises:
        UserError: there are no rows.
    """
    points = everything = frontier.fit_all_recipes(rows)
    keys: dict[str, set[Any]] = {}
    for p in points:
        keys.setdefault(p.label, set()).add(p.recipe)
    points = [p for p in points if len(keys[p.label]) > 1] or points
    if not points:
        raise UserError(
            "no rows: nothing to draw; train a study first, as in: memcap train sweeps=delay_line_recipes"
        )
    best = [p for p in frontier.best_recipes(everything) if p.label in {q.label for q in points}]
    names = recipe_names(points)
    winners = {(p.place, p.recipe) for p in best}
    data = [_columns(p, name, (p.place, p.recipe) in winners) for p, name in zip(points, names, strict=True)]
    return Drawn(plot(points, names, best), pl.DataFrame(data, infer_schema_length=None))


def recipe_names(points: Sequence[Point]) -> list[str]:
    """The name of each point's recipe, with those values in which it differs from another of that name."""
    recipes = {p.recipe for p in points}
    names = []
    for own in (p.recipe for p in points):
        alike = [other for other in recipes if other.name == own.name]
        differs = [k for k in field_values(own) if len({getattr(other, k) for other in alike}) > 1]
        names.append(", ".join([own.name, *(f"{k} {_plain(getattr(own, k))}" for k in differs)]))
    return names


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _columns(point: Point, name: str, best: bool) -> dict[str, Any]:
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


def plot(points: Sequence[Point], names: Sequence[str], best: Sequence[Point]) -> Figure:
    """Units above, units per step of lag below; a colour per recipe, a marker per task, grey for the best."""
    figure = Figure(figsize=(7.2, 9.6))
    above, below = figure.subplots(2, 1, sharex=True, gridspec_kw={"height_ratios": [3, 2], "hspace": 0.06})
    labels, recipes = list(dict.fromkeys(p.label for p in points)), list(dict.fromkeys(names))
    for k, label in enumerate(labels):
        wide: dict[str, Any] = {
            "color": "#bbbbbb",
            "lw": 6,
            "alpha": 0.6,
            "zorder": 1,
            "label": BEST if k == 0 else "_best",
        }
        _line(above, below, [p for p in best if p.label == label], wide)
        for j, name in enumerate(recipes):
            look: dict[str, Any] = {
                "color": COLOURS[j % len(COLOURS)],
                "marker": MARKERS[k % len(MARKERS)],
                "ms": 4,
                "lw": 1,
            }
            line = [p for p, n in zip(points, names, strict=True) if (p.label, n) == (label, name)]
            if line:
                _line(above, below, line, look | {"label": name if len(labels) == 1 else f"{label}: {name}"})
            for p in line:
                draw_interval(above, p.lag, p.fit.u90, COLOURS[j % len(COLOURS)])
    log2_axes(above, sorted({p.lag for p in points}), max(highest_end(p.fit.u90) for p in points))
    below.set_ylim(0, 1.1 * max(p.fit.u90.units / p.lag for p in points))
    below.grid(color="#dddddd", lw=0.5)
    above.set_ylabel("units (90 % of seeds)")
    below.set_ylabel("units per step of lag")
    below.set_xlabel("lag (time steps)")
    above.set_title("Units that training needs, by recipe")
    above.legend(frameon=False, fontsize=7, loc="upper left")
    write_below(figure, caption(points, names, best))
    return figure


def _line(above: Axes, below: Axes, line: Sequence[Point], look: dict[str, Any]) -> None:
    """u90 by lag, and u90 over the lag."""
    lags = [p.lag for p in line]
    above.plot(lags, [u90_or_nan(p) for p in line], **look)
    unnamed: dict[str, Any] = {**look, "label": "_units_a_lag"}
    below.plot(lags, [u90_or_nan(p) / p.lag for p in line], **unnamed)


def _competition(most: int) -> str:
    if most == 1:
        return "No lag has two that do."
    return f"It is the best of up to {most}, chosen on the seeds it is judged on."


def caption(points: Sequence[Point], names: Sequence[str], best: Sequence[Point]) -> str:
    """Which recipes, with how many steps and seeds, and how the frontier chooses among them."""
    budgets: dict[str, set[int]] = {}
    for point, name in zip(points, names, strict=True):
        budgets.setdefault(name, set()).add(point.recipe.budget)
    listed = "; ".join(
        f"{name}: {' or '.join(map(str, sorted(steps)))} steps" for name, steps in budgets.items()
    )
    seeds = sorted({p.seeds for p in points})
    parts = [
        f"Recipes and their budgets: {listed}. Seeds per width: up to {', '.join(map(str, seeds))}.",
        f"Grey: {BEST}. {_competition(max(p.recipes for p in best))} A recipe tried with fewer seeds than"
        " another at the same"
        " lag is drawn and does not compete.",
        which_seeds_count(points),
        *pass_rules(points),
        "Bars are 95 % intervals; an arrow marks an end that the widths tried leave open, and a line breaks"
        " where no width tried"
        " was enough. What training reached, not what a network could hold.",
    ]
    return "\n".join(textwrap.fill(part, 140) for part in parts)
