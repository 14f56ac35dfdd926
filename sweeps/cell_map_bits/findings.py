"""How many bits of state does each cell need?"""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl
from matplotlib.ticker import NullLocator, ScalarFormatter
from scipy.stats import kendalltau

from memcap import UserError
from memcap.cells.sizes import NUMBERS_PER_UNIT
from memcap.figures import Drawn
from memcap.findings import load
from memcap.findings.marks import finish, legend, level, look, number_x, panels
from memcap.findings.tables import rows_of, table, task_of_row
from memcap.tasks import least_bits

STUDIES = "cell_map", "cell_map_again", "keys", "cell_map_bits"
BITS = 1, 2, 4, 8, 32  # of each number of the state
MATRIX = 16  # numbers that a unit adds to a cell whose carry has the last input, too
LEAST_NETS = 3  # of a width that is enough


def bits_of(net: Mapping[str, Any]) -> float:
    """Return the bits of a net's state: `each` bits for a number, and of the last
    input, a symbol, the logarithm of its number of values."""
    numbers = net["carry_numbers"]
    if NUMBERS_PER_UNIT.get(net["cell"].partition("+")[0]) != MATRIX:
        return net["each"] * numbers
    symbols = task_of_row(net["task"], net["knobs"]).features
    return net["each"] * (numbers - symbols) + math.log2(symbols)


def nets(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the widths of the nets of few bits and of those of the map with the same
    budget and rate.

    `each` is the number of bits of a number of the carry; `bits` those of the state.
    """
    steps = load("cell_map_steps")
    suffix = r"\+bits(\d+)$"
    each = pl.col("cell").str.extract(suffix).cast(pl.Int64).fill_null(BITS[-1])
    cell = pl.col("cell").str.replace(suffix, "")
    rows = rows.filter(budget=3000, lr=0.02).with_columns(each=each, cell=cell)
    tasks = pl.DataFrame(
        list(steps.KNOBS.items()), schema=("task", "knobs"), orient="row"
    )
    rows = rows.join(tasks, on=("task", "knobs"), how="semi")
    small = rows.filter(pl.col("each") < BITS[-1])
    rows = rows.join(small, on=("task", "cell"), how="semi")
    place = "task", "knobs", "lag", "length"
    columns = *place, "cell", "each", "carry_numbers"
    counts = rows.group_by(*columns).agg(pl.len(), share=pl.col("solved").mean())
    bits = [float(bits_of(net)) for net in counts.to_dicts()]
    counts = counts.with_columns(pl.Series("bits", bits), load("cell_map").SAME)
    return counts.sort("task", "cell", "each", "bits")


def floor(net: Mapping[str, Any]) -> float:
    """Return the bits without which no net solves a net's task, by a theorem."""
    task = task_of_row(net["task"], net["knobs"])
    return least_bits(task, task.facts(net["lag"], net["length"]))


def need(widths: pl.DataFrame) -> tuple[float | None, float]:
    """Return the bits of the narrowest width of which half pass, or None, and those of
    the widest below it, or 0."""
    enough = (pl.col("share") >= 0.5) & (pl.col("len") >= LEAST_NETS)
    least = widths.filter(enough)["bits"].min()
    below = widths if least is None else widths.filter(pl.col("bits") < least)
    return least, below["bits"].max() or 0


def in_words(least: float | None, below: float) -> str:
    """Write a need: "96 to 128", "<= 128" if nothing narrower was trained, or "> 96"."""
    if least is None:
        return f"> {below:,.0f}"
    return f"{below:,.0f} to {least:,.0f}" if below else f"<= {least:,.0f}"


def bits_table() -> str:
    """Tabulate the bits of state that each cell needs, by the bits of a number."""
    lines = []
    tasks = load("cell_map_steps").TASKS
    found = nets(pl.concat(map(rows_of, STUDIES), how="diagonal_relaxed"))
    for (task, cell), own in found.group_by("task", "cell", maintain_order=True):
        needs = {each: need(own.filter(each=each)) for each in BITS}
        has_rows = set(own["each"])
        words = (in_words(*needs[each]) if each in has_rows else "" for each in BITS)
        least = [least for least, _ in needs.values() if least is not None]
        fewest = f"{min(least):,.0f}" if least else ""
        bound = f"{floor(own.row(0, named=True)):.1f}"
        lines.append((tasks[task], f"`{cell}`", *words, fewest, bound))
    heads = [f"{each} bit{'s' * (each > 1)} each" for each in BITS]
    return table(("task", "cell", *heads, "the fewest", "the floor"), lines)


def orders_table() -> str:
    """List the cells by the fewest bits that each needs, and by those of float32 numbers."""
    names = load("cell_map_steps").TASKS
    found = nets(pl.concat(map(rows_of, STUDIES), how="diagonal_relaxed"))
    lines = []
    for (task,), of_task in found.group_by("task", maintain_order=True):
        full = {}
        fewest = {}
        for (cell,), own in of_task.group_by("cell", maintain_order=True):
            needs = {each: need(own.filter(each=each))[0] for each in BITS}
            sizes = [(bits, each) for each, bits in needs.items() if bits is not None]
            if needs[BITS[-1]] is not None and len(sizes) > 1:
                full[cell] = needs[BITS[-1]]
                fewest[cell] = min(sizes)
        tau = kendalltau(list(full.values()), [fewest[cell][0] for cell in full])
        cut = [
            f"{cell} {bits:,.0f} ({each})"
            for cell, (bits, each) in sorted(fewest.items(), key=lambda pair: pair[1])
        ]
        whole = [
            f"{cell} {bits:,.0f}"
            for cell, bits in sorted(full.items(), key=lambda pair: pair[1])
        ]
        bound = f"{floor(of_task.row(0, named=True)):.1f}"
        orders = ", ".join(cut), ", ".join(whole), f"{tau.statistic:.2f}"
        lines.append((names[task], bound, *orders))
    few = "bits of state (bits of a number) where few are enough"
    heads = "task", "the floor", few, "bits of state as float32", "tau"
    return table(heads, lines)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the bits of state that each cell needs against the bits of a number."""
    found = nets(rows)
    if found.is_empty():
        raise UserError("no nets of few bits on a task of the map: nothing to draw")
    names = sorted(found["cell"].unique())
    tasks = found["task"].unique(maintain_order=True)
    picture, axes = panels((4.2 * len(tasks), 5.5), 1, len(tasks), squeeze=False)
    drawn = []
    for panel, task in zip(axes.flat, tasks, strict=True):
        of_task = found.filter(task=task)
        for (cell,), own in of_task.group_by("cell", maintain_order=True):
            for each in BITS:
                least, _ = need(own.filter(each=each))
                net = {"task": task, "cell": cell, "each": each}
                drawn.append(net | {"bits": math.nan if least is None else least})
            bits = [net["bits"] for net in drawn[-len(BITS) :]]
            panel.plot(BITS, bits, **look(names.index(cell), label=cell))
        level(panel, floor(of_task.row(0, named=True)), "no network with fewer")
        panel.set(xscale="log", yscale="log", xlabel="bits of a number of the state")
        panel.set_title(load("cell_map_steps").TASKS[task])
        number_x(panel, BITS, "d")
        panel.yaxis.set_major_formatter(ScalarFormatter())
        panel.yaxis.set_minor_locator(NullLocator())
        legend(
            panel, loc="upper center", bbox_to_anchor=(0.5, -0.15), fontsize=7, ncols=2
        )
    axes[0, 0].set_ylabel("bits of state")
    caption = (
        "The narrowest nets of which at least half pass, of three nets or more, by the recipe of"
        " the map of cells in 3,000 steps. A last input counts as one symbol, of a cell with a"
        " matrix. Where a cell has no mark, no width that was tried is enough."
    )
    data = pl.DataFrame(drawn)
    return finish(picture, rows, data, caption, 140, bottom=0.36, top=0.93, wspace=0.25)


TABLES = {"cell map bits": bits_table, "cell map orders in bits": orders_table}
