"""Units against lag, both on a scale of doublings.

A line that rises pays for information.
"""

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
from memcap.figures.style import choice_of_recipe, colour_and_marker, listing
from memcap.frontiers.frontier import Point, columns, frontier
from memcap.knobs import UserError, grouped


def draw(rows: pl.DataFrame) -> Drawn:
    points = frontier(rows)
    if not points:
        raise UserError(
            "no counts: nothing to draw; memcap figure held_out draws rows of memcap fit; for"
            " others train a study first, as in: memcap train sweeps=first_study"
        )
    return Drawn(plot(points), table(map(columns, points)))


def plot(points: Sequence[Point]) -> Figure:
    """Draw u90 (filled) and u50 (open) by lag, with intervals and reference widths."""
    lines: list[Line] = []
    for k, (label, line) in enumerate(by_label(points).items()):
        colour, marker = colour_and_marker(k)
        lines += [reference_line(line, colour), *_hand_set(line, colour)]
        lines.append(threshold_line("", line, colour, marker, "u50"))
        lines.append(threshold_line(label, line, colour, marker))
    return picture(
        [[Panel("units", lines)]], "Units that training needs, by lag", caption(points)
    )


def _hand_set(line: Sequence[Point], colour: str) -> list[Line]:
    known = {p.lag: p.references.constructed for p in line}
    known = {lag: width for lag, width in known.items() if width is not None}
    look = {"color": colour, "ls": "", "marker": "x", "ms": 8, "mew": 1}
    return [Line("", list(known), list(known.values()), look)] if known else []


def caption(points: Sequence[Point]) -> list[str]:
    """Name also the recipes: a frontier means nothing without them."""
    marks = (
        "Filled marks show the width at which 90 % of the seeds that train at all pass, and open"
        " marks 50 %. The dotted line shows one carry number per symbol held (a reference, not a"
        " limit). Crosses show widths at which weights set by hand solve the task, without"
        " training."
    )
    recipes = [_recipes(label, line) for label, line in by_label(points).items()]
    return [marks, *recipes, *rules(points)]


def _recipes(label: str, line: Sequence[Point]) -> str:
    tried = grouped(line, lambda p: (p.recipe.name, p.recipe.lr, p.recipe.budget))
    recipes = "; ".join(
        f"lag {listing(p.lag for p in own)}: {name}, lr {lr:g}, budget {budget} steps"
        for (name, lr, budget), own in tried.items()
    )
    up_to = "up to " if any(min(p.runs) < p.seeds for p in line) else ""
    numbers = sorted({p.seeds for p in line})
    seeds = " to ".join(dict.fromkeys([f"{numbers[0]}", f"{numbers[-1]}"]))
    return (
        f"{label}: {recipes}; {up_to}{seeds} seeds per width.{choice_of_recipe(line)}"
    )
