"""How much of a width is the optimizer's?"""

import itertools
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any

import polars as pl

from memcap.figures import Drawn
from memcap.findings.tables import (
    Point,
    filled,
    fraction,
    passed_column,
    passes,
    recipes_of,
    rows_of,
    shift,
    table,
    task_label,
    width,
)

from .picture import of_rows

OPTIMIZERS = ("adam", "muon", "soap", "ggt")  # in the order of columns
IN_ORDER = pl.col("optimizer").cast(pl.Enum(OPTIMIZERS))
PLACE = pl.concat_str("lag", "units", separator=" ")
ADAM = ("adam 0.02", "adam 0.02, 24,000 steps")  # by the rate of its recipe


BESIDE_ADAM = ("adam 0.05", "muon 0.05", "ggt 0.03")


NEAR_THRESHOLDS = ("8 5", "12 7", "20 10", "20 12")  # lags and units


NEAR_IN_SECONDS = ("8 5", "12 6", "20 10")


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw units against training steps and seconds, with a colour for each optimizer."""
    return of_rows(rows)


def optimizers_on_delay_lines() -> str:
    """How many nets near the thresholds passed by each optimizer."""
    near_thresholds = PLACE.is_in(NEAR_THRESHOLDS)
    rows = rows_of("optimizers").filter(near_thresholds, task="delay_line")
    near = passes(rows, "optimizer", "lr")
    near = near.sort(IN_ORDER, "lr")
    nets = ", ".join(
        f"{passed} of {nets} by {name} {rate:g}"
        for name, rate, passed, nets in near.rows()
    )
    together = f"Together these nets passed: {nets}."
    return f"{passed_by_optimizer(rows)}\n\n{filled(together)}"


@cache
def by_optimizer_of_delay_lines() -> Mapping[tuple[str, int], Mapping[str, Point]]:
    """The points of delay lines that Muon or GGT trained, by task and lag, then by
    optimizer and rate."""
    studies = "atlas", "optimizers_frontier", "muon", "delay_line_budgets"
    recipes = ("curriculum", "curriculum_muon", "curriculum_ggt")
    lines: dict[tuple[str, int], dict[str, Point]] = {}
    for p in itertools.chain(*map(recipes_of, studies)):
        if p.task.name == "delay_line" and p.recipe.name in recipes:
            longer = f", {p.recipe.budget:,} steps" * (p.recipe.budget != 8000)
            by = f"{p.recipe.optimizer} {p.recipe.lr:g}{longer}"
            lines.setdefault((p.label, p.lag), {})[by] = p
    return {place: by for place, by in lines.items() if "muon 0.05" in by}


def widths_by_optimizer() -> str:
    """Tabulate the units with which nine in ten delay lines pass by Adam, at two rates and
    for longer, by Muon and by GGT."""
    names = (*ADAM, *BESIDE_ADAM)
    lines = []
    for (task, lag), by in by_optimizer_of_delay_lines().items():
        widths = (width(by[name].fit.u90) if name in by else "" for name in names)
        lines.append((task.replace("_", " "), lag, *widths))
    return table(("task", "lag", *names), lines)


def units_in_equal_seconds() -> str:
    """Tabulate the units of delay lines by Adam, and by GGT in as many seconds, with the counts."""
    rows = rows_of("optimizers_seconds")
    by_adam_alone = {*rows["lag"]} - {*rows.filter(optimizer="ggt")["lag"]}
    points = [p for p in recipes_of("ggt") if p.lag in by_adam_alone]
    points += recipes_of("optimizers_seconds")
    points.sort(key=lambda p: (p.lag, p.recipe.name))
    lines = []
    for lag, (adam, ggt) in itertools.groupby(points, lambda p: p.lag):
        for p, ratio in ((adam, "1"), (ggt, ratio_of_u90(adam, ggt))):
            steps = f"{p.recipe.optimizer}, {p.recipe.budget:,} steps"
            widths = width(p.fit.u50), width(p.fit.u90)
            lines.append((lag, steps, *widths, ratio, passed_by_units(p)))
    near = rows.filter(PLACE.is_in(NEAR_IN_SECONDS))
    passed = {
        name: nets["steady"].sum() for (name,), nets in near.group_by("optimizer")
    }
    together = (
        f"Of {near.height // 2} nets near the thresholds (5 units at lag 8, 6 at 12, 10 at 20),"
        f" {passed['ggt']} pass by GGT and {passed['adam']} by Adam."
    )
    heads = ("lag", "by", "half", "nine in ten", "of Adam's", "units: nets that pass")
    return f"{table(heads, lines)}\n\n{filled(together)}"


def units_by_ggt() -> str:
    """Tabulate the units of delay lines by Adam and by GGT at the budget of their recipes."""
    lines = []
    for ggt in recipes_of("ggt"):
        adam = delay_lines_by_adam()[ggt.lag]
        widths = width(adam.fit.u90), width(ggt.fit.u90), ratio_of_u90(adam, ggt)
        lines.append((ggt.lag, *widths))
    return table(("lag", "u90 by Adam", "u90 by GGT", "of Adam's"), lines)


def optimizers_elsewhere() -> str:
    """Tabulate the widths by each optimizer of the tasks that hold."""

    def place(p: Point) -> tuple[Any, ...]:
        return p.label, p.lag, OPTIMIZERS.index(p.recipe.optimizer), p.recipe.lr

    points = [p for p in recipes_of("optimizers") if p.task.name != "delay_line"]
    return widths_and_counts(sorted(points, key=place))


def rates_by_optimizer() -> str:
    """Count the nets that passed at each rate of each optimizer, with the best rate in bold."""
    by = "lag", "units", "optimizer"
    counts = passes(rows_of("optimizers_rates"), *by, "lr")
    share = pl.col("passed") / pl.col("nets")
    counts = counts.with_columns(best=(share == share.max().over(by)) & (share > 0))
    lines = []
    for net, rates in counts.sort("lag", IN_ORDER, "lr").group_by(
        by, maintain_order=True
    ):
        texts = (
            f"{'**' * best}{rate:g}: {passed} of {nets}{'**' * best}"
            for rate, passed, nets, best in rates.select(pl.exclude(by)).rows()
        )
        lines.append((*net, ", ".join(texts)))
    return table(("lag", "units", "by", "peak rate: nets that pass"), lines)


def delay_lines_by_adam() -> dict[int, Point]:
    """The points of the atlas's recipe for delay lines, by lag."""
    return {
        p.lag: p
        for p in recipes_of("atlas")
        if (p.label, p.recipe.name) == ("delay_line", "curriculum")
    }


def ratio_of_u90(first: Point, second: Point) -> str:
    """The second's u90 over the first's, with its interval."""
    change = shift(first.posterior, second.posterior, 0.9)
    return f"{change.ratio:.2f} [{change.low:.2f}, {change.high:.2f}]"


def passed_by_units(point: Point) -> str:
    """How many nets passed, by units."""
    counts = point.by_width
    return ", ".join(f"{units}: {solved} of {runs}" for units, solved, runs in counts)


def widths_and_counts(points: Iterable[Point]) -> str:
    """Tabulate the widths of points by task, lag, optimizer and rate, with the counts."""
    lines = []
    for p in points:
        by = f"{p.recipe.optimizer} {p.recipe.lr:g}"
        widths = width(p.fit.u50), width(p.fit.u90)
        lines.append(
            (p.label.replace("_", " "), p.lag, by, *widths, passed_by_units(p))
        )
    heads = ("task", "lag", "by", "half", "nine in ten", "units: nets that pass")
    return table(heads, lines)


def by_optimizer(rows: pl.DataFrame, cell: Callable[[pl.DataFrame], str]) -> str:
    """A line for each task, lag and width, and a column for each optimizer with its rate."""
    recipe = "optimizer", "lr", "lr_width"
    columns = rows.select(recipe).unique().sort(IN_ORDER, "lr", "lr_width").rows()
    net = "task", "knobs", "lag", "units"
    lines = []
    for (task, knobs, lag, units), nets in rows.sort(net).group_by(
        net, maintain_order=True
    ):
        by = dict(nets.group_by(recipe))
        cells = (cell(by[column]) if column in by else "" for column in columns)
        lines.append((task_label(task, knobs).replace("_", " "), lag, units, *cells))
    heads = (
        f"{name} {rate:g}" + f" (8 / units)^{power:g}" * bool(power)
        for name, rate, power in columns
    )
    return table(("task", "lag", "units", *heads), lines)


def passed_by_optimizer(rows: pl.DataFrame) -> str:
    """How many nets passed, and the 95 % interval (Wilson) of their share."""
    rows = rows.with_columns(passed_column())
    return by_optimizer(rows, lambda nets: fraction(nets["passed"].sum(), nets.height))


TABLES = {
    "optimizers on delay lines": optimizers_on_delay_lines,
    "widths by optimizer": widths_by_optimizer,
    "units in equal seconds": units_in_equal_seconds,
    "units by ggt": units_by_ggt,
    "optimizers elsewhere": optimizers_elsewhere,
    "rates by optimizer": rates_by_optimizer,
}
