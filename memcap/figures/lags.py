"""Units against lag, a line per task: solid where a task holds, dashed where it shifts at every step."""

import math
import textwrap
from collections.abc import Sequence
from itertools import groupby
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.capacity.frontier import frontier
from memcap.capacity.points import Point, ends
from memcap.figures import Drawn
from memcap.figures.style import (
    budgets,
    choice_of_recipe,
    colour_and_marker,
    draw_interval,
    highest_end,
    log2_axes,
    pass_rules,
    u90_or_nan,
    write_below,
)
from memcap.knobs import UserError

FEWEST_LAGS = 2  # of a line


def draw(rows: pl.DataFrame) -> Drawn:
    """The lines of some rows, of LSTMs where there are any: every task and set of knobs that was measured at
    two lags or more.

    Args:
        rows: of trained members, as `memcap.store.read` gives them.

    Raises:
        UserError: no task was measured at two lags.
    """
    points = frontier(rows)
    lstms = [
        p for p in points if p.model.cell == "lstm"
    ] or points  # the figure `cells` has the others beside them
    groups = [list(group) for _, group in groupby(lstms, key=lambda p: p.label)]
    lines = [line for line in groups if len({p.lag for p in line}) >= FEWEST_LAGS]
    if not lines:
        raise UserError(
            "no task at two lags: nothing to draw; train one at several, as in: memcap train"
            " sweeps=first_study"
        )
    table = pl.DataFrame([_columns(p) for line in lines for p in line], infer_schema_length=None)
    return Drawn(plot(lines), table)


def shifts(point: Point) -> bool:
    """Whether the task's content grows with the lag, as something new comes at every step."""
    return point.task.stream


def growth(line: Sequence[Point]) -> float:
    """u90 at the longest lag over u90 at the shortest; NaN where either was not reached."""
    return u90_or_nan(line[-1]) / u90_or_nan(line[0])


def _columns(point: Point) -> dict[str, Any]:
    return {
        "label": point.label,
        "shifts": shifts(point),
        "lag": point.lag,
        "bits": point.references.bits,
        **ends("u90", point.fit.u90),
        **point.recipe_columns("recipe", "budget"),
        "seeds": point.seeds,
    }


def plot(lines: Sequence[Sequence[Point]]) -> Figure:
    """u90 with its interval against lag: solid lines hold, dashed ones shift."""
    figure = Figure(figsize=(10.4, 6.2))
    axes = figure.add_subplot(xlabel="lag (time steps)", ylabel="units (90 % of seeds)")
    for k, line in enumerate(sorted(lines, key=lambda line: -highest_end(line[-1].fit.u90))):
        sideways = 2 ** ((k - (len(lines) - 1) / 2) * min(0.03, 0.3 / len(lines)))
        _line(axes, line, sideways, *colour_and_marker(k))
    points = [point for line in lines for point in line]
    log2_axes(axes, sorted({p.lag for p in points}), max(highest_end(p.fit.u90) for p in points))
    axes.set_title("Units that training needs, by lag: solid where a task holds, dashed where it shifts")
    # beside the marks: lines may be many
    axes.legend(frameon=False, fontsize=7, loc="upper left", bbox_to_anchor=(1.01, 1))
    write_below(figure, textwrap.fill(caption(points), 200))
    figure.subplots_adjust(left=0.06, right=0.74)
    return figure


def _line(axes: Axes, line: Sequence[Point], sideways: float, colour: str, marker: str) -> None:
    for point in line:
        draw_interval(axes, point.lag * sideways, point.fit.u90, colour)
    times = growth(line)
    words = "" if math.isnan(times) else f", x {times:.2g} from lag {line[0].lag} to {line[-1].lag}"
    axes.plot(
        [p.lag * sideways for p in line],
        [u90_or_nan(p) for p in line],
        color=colour,
        marker=marker,
        ms=4,
        lw=1.2,
        ls="--" if shifts(line[0]) else "-",
        label=line[0].label + words,
    )


def caption(points: Sequence[Point]) -> str:
    """What is drawn, and at which budgets."""
    return (
        "u90: the width at which 90 % of the seeds that train at all pass, with its 95 % interval (arrows: an"
        " open end). Solid: what is seen is held until it is asked for, the same content at every lag."
        " Dashed: something new comes at every step, so that the content grows with the lag."
        f"{choice_of_recipe(points)} {budgets(points)}"
        f" {' '.join(pass_rules(points))} What training reached, not what a network could hold."
    )
