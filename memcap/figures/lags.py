"""Units against lag, for tasks that hold and for tasks that shift."""

import math
from collections.abc import Sequence

import polars as pl
from matplotlib import colormaps
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.figures.lines import (
    Line,
    Panel,
    by_label,
    picture,
    rules,
    table,
    threshold_line,
)
from memcap.figures.style import budgets, choice_of_recipe, seeds
from memcap.frontiers.frontier import Point, ends, frontier
from memcap.knobs import UserError
from memcap.rule import SHORTER_LAGS
from memcap.store.columns import Row

SHADES = {
    False: "Blues",
    True: "Oranges",
}  # of tasks that hold, and of tasks that shift
EVERY = ", right at every lag up to it"
WORDS = {
    False: "Seen once, held until asked for",
    True: "Something new at every step, the latest held",
}


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw every task and set of knobs measured at two lags or more, for LSTMs if there
    are any; of a task, only nets trained until right at every lag, if there are any."""
    points = frontier(rows)
    # the figure `cells` compares other cells
    points = [p for p in points if p.model.cell == "lstm"] or points
    lines = [line for line in by_label(points).values() if line[0].lag < line[-1].lag]
    every_lag = {line[0].task.name for line in lines if line[0].at in SHORTER_LAGS}
    lines = [
        line
        for line in lines
        if line[0].at in SHORTER_LAGS or line[0].task.name not in every_lag
    ]
    if not lines:
        raise UserError(
            "no task at two lags: nothing to draw; train one at several, as in: memcap train"
            " sweeps=first_study"
        )
    rows = rows.filter(pl.col("task").is_in({line[0].task.name for line in lines}))
    return Drawn(
        plot(lines, seeds(rows)), table(_columns(p) for line in lines for p in line)
    )


def growth(line: Sequence[Point]) -> float:
    """Return u90 at the longest lag over u90 at the shortest; NaN if unknown."""
    first = line[0].fit.u90
    last = line[-1].fit.u90
    if "above" in (first.censored, last.censored):
        return math.nan
    return last.units / first.units


def _columns(point: Point) -> Row:
    return {
        "label": point.label,
        "shifts": point.task.stream,
        "lag": point.lag,
        "bits": point.references.bits,
        **ends("u90", point.fit.u90),
        **point.recipe_columns("recipe", "budget"),
        "seeds": point.seeds,
    }


def plot(lines: Sequence[Sequence[Point]], seed_words: str) -> Figure:
    shaded_lines = []
    key = []
    every = all(
        p.at in SHORTER_LAGS or p.task.stream for line in lines for p in line
    )  # then no name says so
    for kind in (True, False):
        own = [line for line in lines if line[0].task.stream == kind]
        if own:
            shaded_lines += _shaded(own, SHADES[kind], every)
            times = sorted(each for each in map(growth, own) if not math.isnan(each))
            words = WORDS[kind] + EVERY * (every and not kind)
            if times:
                words += f": {times[0]:.2g} to {times[-1]:.2g} times the units at the longest lag"
            key.append((words, to_hex(colormaps[SHADES[kind]](0.8))))
    points = [p for line in lines for p in line]
    panel = Panel("units (90 % of seeds)", shaded_lines)
    return picture(
        [[panel]], "Units that training needs, by lag", caption(points, seed_words), key
    )


def _shaded(lines: Sequence[Sequence[Point]], shades: str, every: bool) -> list[Line]:
    """Return lines in shades of a colour, darkest for the most units; tasks that always
    need one unit share the widest line. `every`: no name says which lags count."""
    names = {
        line[0].label: line[0].subject if every else line[0].label for line in lines
    }
    ones = [line for line in lines if all(map(_needs_one, line))]
    others = sorted(
        (line for line in lines if line not in ones),
        key=lambda line: -line[-1].fit.u90.units,
    )
    line_by_name = {names[line[0].label] + _times(line): line for line in others}
    if ones:
        widest: dict[int, Point] = {}
        for point in sorted(
            (p for line in ones for p in line),
            key=lambda p: (p.fit.u90.units, p.fit.u90.high),
        ):
            widest[point.lag] = point
        name = "1 unit: " + ", ".join(names[line[0].label] for line in ones)
        line_by_name[name] = [widest[lag] for lag in sorted(widest)]
    colours = [
        to_hex(colormaps[shades](0.95 - 0.4 * k / len(line_by_name)))
        for k in range(len(line_by_name))
    ]
    shaded = zip(line_by_name.items(), colours, strict=True)
    return [threshold_line(name, line, colour) for (name, line), colour in shaded]


def _needs_one(point: Point) -> bool:
    return point.fit.u90.censored != "above" and round(point.fit.u90.units) == 1


def _times(line: Sequence[Point]) -> str:
    times = growth(line)
    return "" if math.isnan(times) else f", x {times:.2g}"


def caption(points: Sequence[Point], seed_words: str) -> list[str]:
    about = (
        "Each mark shows the width at which 90 % of the seeds that train at all pass, with its 95"
        ' % interval. "x 3" means 3 times as many units at the longest lag as at the shortest.'
    )
    return [
        about,
        f"{seed_words} {budgets(points)}{choice_of_recipe(points)}",
        *rules(points),
    ]
