"""Seeds that passed, of those trained, by task, lag, recipe and width."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import polars as pl
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure

from memcap.answers.words import wilson
from memcap.figures import Drawn
from memcap.figures.style import (
    COLOURS,
    draw_box,
    filled,
    pass_rules,
    which_seeds_count,
    write_below,
    write_in,
)
from memcap.frontiers.frontier import Point, fit_all_recipes
from memcap.knobs import UserError, field_values

MOST = 60  # most lines that can be read
# inches: the names, a line
NAMES = 3.6
LINE = 0.34
SHADES = LinearSegmentedColormap.from_list("shares", ["white", COLOURS[0]])


def draw(rows: pl.DataFrame) -> Drawn:
    points = fit_all_recipes(rows)
    if not 0 < len(points) <= MOST:
        raise UserError(
            f"{len(points)} tasks, lags and recipes: this figure has 1 to {MOST} lines; draw the"
            " frontier of larger studies"
        )
    data = [
        (p.label, p.lag, name, p.at, u, passed, seeds, *wilson(passed, seeds))
        for p, name in zip(points, _names(points), strict=True)
        for u, passed, seeds in p.by_width
    ]
    columns = [
        "label",
        "lag",
        "recipe",
        "at",
        "units",
        "passed",
        "seeds",
        "low",
        "high",
    ]
    return Drawn(plot(points), pl.DataFrame(data, columns, orient="row"))


def recipe_names(points: Sequence[Point]) -> list[str]:
    """Name each point's recipe, with what distinguishes it from others of that name."""
    values = {}  # by the recipe's name, and its field's
    for p in points:
        fields = values.setdefault(p.recipe.name, {})
        for field, value in field_values(p.recipe).items():
            fields.setdefault(field, set()).add(value)
    names = []
    for p in points:
        differ = [f for f, tried in values[p.recipe.name].items() if len(tried) > 1]
        words = [f"{field} {_plain(getattr(p.recipe, field))}" for field in differ]
        names.append(", ".join([p.recipe.name, *words]))
    return names


def _plain(value: Any) -> str:
    return f"{value:g}" if isinstance(value, (int, float)) else str(value)


def _names(points: Sequence[Point]) -> list[str]:
    names = list[str]()
    for _, own in groupby(points, key=lambda p: (p.label, p.lag)):
        names += recipe_names(list(own))
    return names


def plot(points: Sequence[Point]) -> Figure:
    widths = sorted({u for p in points for u in p.units})
    parts = [
        which_seeds_count(points),
        *pass_rules(points),
        (
            "Below each count stands the 95 % interval of its share. Widths without a box"
            " were not trained. These are widths that training reached, not what a network"
            " could hold."
        ),
    ]
    text = filled(parts, 118)
    wide = NAMES + 0.5 * max(len(widths), 6)
    high = 1.4 + LINE * len(points) + 0.12 * text.count("\n")
    figure = Figure(figsize=(wide, high))
    axes = figure.add_subplot(
        xlabel="units", title="Seeds that passed, of those trained"
    )
    for line, p in enumerate(points):
        for u, passed, seeds in p.by_width:
            share = passed / seeds
            place = widths.index(u)
            draw_box(axes, place, line, SHADES(share))
            ink = "white" if share > 0.5 else "black"
            span = "-".join(f"{100 * end:.0f}" for end in wilson(passed, seeds))
            words = f"{passed}/{seeds}\n{span} %"
            write_in(axes, place, line, words, fontsize=6, color=ink)
    pairs = zip(points, _names(points), strict=True)
    names = [f"{p.label}, lag {p.lag}, {name}" for p, name in pairs]
    axes.set_yticks(range(len(points)), names, fontsize=8)
    axes.set_xticks(range(len(widths)), [str(u) for u in widths])
    axes.set(xlim=(-0.5, len(widths) - 0.5), ylim=(len(points) - 0.5, -0.5))
    axes.tick_params(length=0)
    axes.spines[:].set_visible(False)
    write_below(figure, text)
    figure.subplots_adjust(left=NAMES / wide, top=1 - 0.35 / high)
    return figure
