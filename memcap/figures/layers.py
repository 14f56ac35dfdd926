"""State and parameters that nets of one layer and of several layers need, by lag."""

from collections.abc import Sequence

import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.lines import Panel, picture, rules, table, threshold_line
from memcap.figures.style import budgets, choice_of_recipe, colour_and_marker
from memcap.frontiers.comparison import in_numbers
from memcap.frontiers.frontier import ends
from memcap.frontiers.layers import COUNTS, Shape, sentence, shapes
from memcap.knobs import UserError, grouped
from memcap.store.columns import Row
from memcap.terminal.words import finite, plural


def draw(rows: pl.DataFrame) -> Drawn:
    groups = shapes(rows)
    if not groups:
        raise UserError(
            "no rows: nothing to draw; train some, as in: memcap train sweeps=answers/layers"
        )
    return Drawn(plot(groups), table(_columns(net) for nets in groups for net in nets))


def _columns(net: Shape) -> Row:
    point = net.point
    row: Row = {"label": net.line, "lag": point.lag, "layers": point.model.layers}
    row |= ends("u90", point.fit.u90)
    for name in COUNTS:
        row |= ends(f"{name}_u90", in_numbers(point, "u90", net.counts[name]))
    for name in COUNTS:
        times = net.times.get(name)
        row |= {
            f"{name}_times": times and times.ratio,
            f"{name}_times_low": times and (times.low or None),
            f"{name}_times_high": times and finite(times.high),
        }
    return row | point.recipe_columns("recipe", "budget") | {"seeds": point.seeds}


def plot(groups: Sequence[Sequence[Shape]]) -> Figure:
    """Draw panels per task, carry numbers left, parameters right."""
    tasks = grouped((net for nets in groups for net in nets), lambda net: net.line)
    panels = [
        [_panel(task, nets, name) for name in COUNTS] for task, nets in tasks.items()
    ]
    return picture(
        panels,
        "State and parameters that training needs, by layers and lag",
        caption(groups),
    )


def _panel(task: str, nets: Sequence[Shape], name: str) -> Panel:
    lines = []
    for k, number in enumerate(sorted({net.point.model.layers for net in nets})):
        own = [net for net in nets if net.point.model.layers == number]
        numbers = [in_numbers(net.point, "u90", net.counts[name]) for net in own]
        points = [net.point for net in own]
        layers = plural(number, "layer")
        lines.append(
            threshold_line(layers, points, *colour_and_marker(k), thresholds=numbers)
        )
    return Panel(name.replace("_", " "), lines, f"{task}: {COUNTS[name]}")


def caption(groups: Sequence[Sequence[Shape]]) -> list[str]:
    points = [net.point for nets in groups for net in nets]
    about = (
        "Each mark shows the width at which 90 % of the seeds that train at all pass, in numbers"
        ' of the carry and in parameters of the whole net with its read-out. "Not surely" means'
        " that the ratio to another shape may be 1, by its interval."
    )
    seeds = f"Up to {max(p.seeds for p in points)} seeds."
    recipes = f"{budgets(points)} {seeds}{choice_of_recipe(points)}"
    return [*map(sentence, groups), about, recipes, *rules(points)]
