"""Does the order of the cells by bytes depend on the steps that they are trained for?"""

from collections.abc import Iterable, Iterator
from itertools import pairwise
from textwrap import fill

import numpy as np
import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullLocator, ScalarFormatter
from scipy.stats import kendalltau

from memcap import UserError
from memcap.figures import Drawn
from memcap.findings import load
from memcap.findings.marks import finish, legend, look, number_x, panels
from memcap.findings.tables import filled, rows_of, table

STUDIES = (
    "cell_map",
    "cell_map_again",
    "cell_map_budgets",
    "cell_map_steps",
    "cell_map_seeds",
)
TASKS = {
    "copy": "copy of 8 bits",
    "delay_line": "delay of 8 steps",
    "mqar": "recall of four pairs",
    "parity": "parity of 16 bits",
    "word_problem": "product of 13",
}
KNOBS = {
    "copy": '{"cue": "once", "distractors": 0, "items": 8, "symbols": 2}',
    "delay_line": '{"reals": false, "symbols": 2}',
    "mqar": '{"pairs": 4, "symbols": 8}',
    "parity": "{}",
    "word_problem": '{"generators": "all", "group": "S3"}',
}
STEPS = 1000, 3000, 24_000, 100_000
LEAST_NETS = 3  # of a width that is enough


def nets(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the nets of the tasks, `solved` as the map has it, a delay line on longer
    streams, too; those of 3,000 steps again with their first 1,000 alone."""
    rows = rows.unique("key", maintain_order=True)
    of_task = [
        rows.filter(
            pl.col("budget") >= 3000,
            pl.col("curriculum").is_not_null(),
            task=task,
            knobs=knobs,
        )
        for task, knobs in KNOBS.items()
    ]
    of_map = load("cell_map")
    later = pl.concat(of_task).with_columns(of_map.SAME, *of_map.AS_ON_MAP)
    in_time = (pl.col("steps_to_solve") <= STEPS[0]).fill_null(value=False)
    early = later.filter(budget=3000).with_columns(
        solved=pl.col("solved") & in_time, budget=STEPS[0]
    )
    return pl.concat([early.cast({"budget": pl.Int64}), later])


def narrowest(
    rows: pl.DataFrame, by: str, size: str, place: str = "task", share: float = 0.5
) -> pl.DataFrame:
    """Return the size of the narrowest nets of which a share passes, by place, cell and
    `by`.

    The column `size` is null if no width tried is enough. `fails` is the widest of which
    fewer pass, of those below `size` if there is one.
    """
    net = place, "cell", by
    passes = pl.col("solved").mean() >= share
    widths = rows.group_by(*net, "lr", size).agg(
        passes=passes, enough=passes & (pl.len() >= LEAST_NETS)
    )
    widths = widths.group_by(*net, size).agg(pl.col("passes", "enough").any())
    least = pl.col(size).filter("enough").min()
    below = least.is_null() | (pl.col(size) < least)
    fails = pl.col(size).filter(~pl.col("passes") & below).max().alias("fails")
    return widths.group_by(net).agg(least, fails).sort(net)


def needs(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the bytes of the narrowest nets of which half pass, by task, cell and
    steps, as `narrowest` does."""
    sizes = load("cell_map").in_bytes(rows)
    # what is enough is still enough with more steps
    by_cell = pl.col("bytes").cum_min().forward_fill().over("task", "cell")
    return narrowest(sizes, "budget", "bytes").with_columns(by_cell)


def in_words(need: dict[str, float | None], size: str = "bytes") -> str:
    """Write a need: "96 to 128", "<= 200" if no narrower nets fail, "> 384", or nothing
    if too few nets were trained."""
    least = need[size]
    fails = need["fails"]
    if least is None:
        return "" if fails is None else f"> {fails:,.0f}"
    if fails is None or fails >= least:
        return f"<= {least:,.0f}"
    return f"{fails:,.0f} to {least:,.0f}"


def steps_table() -> str:
    """Tabulate the bytes that each cell needs by the steps that it is trained for, where
    a width is enough."""
    found = needs(nets(pl.concat(map(rows_of, STUDIES))))
    lines = []
    for (task, cell), own in found.group_by("task", "cell", maintain_order=True):
        if own["bytes"].null_count() == own.height:
            continue
        words = {need["budget"]: in_words(need) for need in own.to_dicts()}
        lines.append((TASKS[task], f"`{cell}`", *(words.get(n, "") for n in STEPS)))
    heads = [f"{steps:,} steps" for steps in STEPS]
    orders = [order(found, task, *both) for task in TASKS for both in pairwise(STEPS)]
    text = "Kendall's tau between two orders of the cells that have a number in both is"
    taus = "; ".join(filter(None, orders))
    return f"{table(('task', 'cell', *heads), lines)}\n\n{filled(f'{text} {taus}.')}"


def order(found: pl.DataFrame, task: str, fewer: int, more: int) -> str:
    """Compare the orders of the cells on a task by the bytes needed in fewer and more steps."""
    of_task = found.filter(pl.col("bytes").is_not_null(), task=task)
    both = of_task.filter(budget=fewer).join(of_task.filter(budget=more), on="cell")
    if both.height <= len(STEPS):  # too few for an order
        return ""
    tau = kendalltau(both["bytes"], both["bytes_right"]).statistic
    return f"{tau:.2f} for {TASKS[task]} in {fewer:,} and {more:,} steps ({both.height} cells)"


def curves(
    data: pl.DataFrame, x: str, y: str
) -> Iterator[tuple[str, list[tuple[float, float | None]], str]]:
    """Yield the curves of the cells: one of the cells that have it, its points, whose `y`
    is null where no width is enough, and the names of them all."""
    cells: dict[tuple[tuple[float, float | None], ...], list[str]] = {}
    for (cell,), own in data.group_by("cell", maintain_order=True):
        if own[y].null_count() < own.height:
            points = tuple(own.select(x, y).iter_rows())
            cells.setdefault(points, []).append(str(cell))
    for points, names in cells.items():
        yield names[0], list(points), fill(", ".join(names), 40)


def draw_needs(
    data: pl.DataFrame, tasks: Iterable[str], x: str, y: str
) -> tuple[Figure, dict[str, Axes]]:
    """Draw the needs `y` of the cells against `x`, a panel for each task; a curve has a
    gap where no width is enough. Return the figure, and the panels by task."""
    names = sorted(data["cell"].unique())
    picture, grid = panels((12, 10), 2, 3)
    by_task = dict(zip(tasks, grid.flat, strict=False))
    for panel in grid.flat[len(by_task) :]:
        panel.set_axis_off()
    for task, panel in by_task.items():
        for cell, points, cells in curves(data.filter(task=task), x, y):
            places, values = zip(*points, strict=True)
            shape = look(names.index(cell), label=cells)
            panel.plot(places, np.array(values, float), **shape)
        panel.set(xscale="log", yscale="log", title=TASKS[task])
        panel.yaxis.set_major_locator(LogLocator(2))
        panel.yaxis.set_major_formatter(ScalarFormatter())
        panel.yaxis.set_minor_locator(NullLocator())
    for panel in grid[:, 0]:
        panel.set_ylabel(f"{y} of state")
    return picture, by_task


def draw_legend(panel: Axes) -> None:
    """Draw the legend of a task's cells below its panel."""
    legend(panel, loc="upper center", bbox_to_anchor=(0.5, -0.2), fontsize=7)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the bytes that each cell needs against the steps that it is trained for."""
    found = needs(nets(rows))
    if found["bytes"].is_null().all():
        raise UserError("no width of a task of the map is enough: nothing to draw")
    picture, by_task = draw_needs(found, TASKS, "budget", "bytes")
    for panel in by_task.values():
        panel.set(xlabel="training steps", xlim=(STEPS[0] / 1.3, 1.3 * STEPS[-1]))
        number_x(panel, STEPS, ",")
        if panel.lines:
            draw_legend(panel)
    caption = (
        "The narrowest nets of which at least half pass, of three nets or more, by the recipe of"
        " the map of cells, with keys of 16 numbers; what passes within fewer steps counts for"
        " more, too. Cells without a line pass at no width that was tried. Of a cell with a matrix"
        " one byte is its last input, a symbol."
        " From 24,000 steps on: seeds 0 to 3, and others at the widths that decide."
    )
    return finish(
        picture, rows, found, caption, 140, bottom=0.25, top=0.95, hspace=0.85
    )


TABLES = {"cell map steps": steps_table}
