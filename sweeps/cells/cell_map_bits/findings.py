"""How many bits of state does each cell need?"""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl
from scipy.stats import kendalltau

from memcap import UserError
from memcap.figures import Drawn
from memcap.findings import load
from memcap.findings.marks import finish, level, number_x
from memcap.findings.tables import rows_of, table, task_of_row
from memcap.tasks import least_bits

STUDIES = "cell_map", "cell_map_again", "keys", "cell_map_bits"
BITS = 1, 2, 4, 8, 16, 32  # of each number of the state
STEPS = load("cell_map_steps")


def bits_of(net: Mapping[str, Any]) -> float:
    """Return the bits of a net's state: `each` bits for a number, and of the last
    input, a symbol, the logarithm of its number of values."""
    task = task_of_row(net["task"], net["knobs"])
    symbols = load("cell_map").last_symbols(net["cell"], task)
    numbers = net["carry_numbers"] - symbols * task.features
    return net["each"] * numbers + symbols * math.log2(task.features)


def needs(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the bits of the narrowest nets of which half pass, by task, cell and the
    bits of a number, `each`: of nets of few bits, and of those of the map with the same
    budget and rate.

    `bits` and `fails` are as `narrowest` of cell_map_steps has them; `floor` are the bits
    without which no net solves the task, by a theorem.
    """
    suffix = r"\+bits(\d+)$"
    each = pl.col("cell").str.extract(suffix).cast(pl.Int64).fill_null(BITS[-1])
    cell = pl.col("cell").str.replace(suffix, "")
    rows = rows.filter(budget=3000, lr=0.02).with_columns(
        *load("cell_map").AS_ON_MAP, each=each, cell=cell
    )
    tasks = list(STEPS.KNOBS.items())
    of_map = pl.DataFrame(tasks, schema=("task", "knobs"), orient="row")
    rows = rows.join(of_map, on=("task", "knobs"), how="semi")
    few = rows.filter(pl.col("each") < BITS[-1])
    rows = rows.join(few, on=("task", "cell"), how="semi")
    place = "task", "knobs", "lag", "length"
    nets = rows.select(*place, "cell", "each", "carry_numbers", "lr", "solved")
    bits = [bits_of(net) for net in nets.to_dicts()]
    nets = nets.with_columns(pl.Series("bits", bits, pl.Float64), load("cell_map").SAME)
    floors = nets.select(place).unique()
    floor = [_floor(net) for net in floors.to_dicts()]
    floors = floors.select("task", pl.Series("floor", floor, pl.Float64))
    least = STEPS.narrowest(nets, "each", "bits").join(floors, on="task")
    return least.sort("task", "cell", "each")


def _floor(net: Mapping[str, Any]) -> float:
    task = task_of_row(net["task"], net["knobs"])
    return least_bits(task, task.facts(net["lag"], net["length"]))


def _of_studies() -> pl.DataFrame:
    return needs(pl.concat(map(rows_of, STUDIES), how="diagonal_relaxed"))


def orders_table() -> str:
    """List the cells by the fewest bits that each needs, and by those of float32 numbers."""
    lines = []
    for (task,), own in _of_studies().group_by("task", maintain_order=True):
        enough = own.drop_nulls("bits").sort("bits", "each", maintain_order=True)
        full = enough.filter(each=BITS[-1]).select("cell", "bits")
        few = enough.filter(pl.col("each") < BITS[-1]).unique(
            "cell", keep="first", maintain_order=True
        )
        both = few.join(full, on="cell", maintain_order="left")
        tau = kendalltau(both["bits"], both["bits_right"]).statistic
        cut = [
            f"{need['cell']} {need['bits']:,.0f} ({need['each']})"
            for need in both.to_dicts()
        ]
        whole = [
            f"{cell} {bits:,.0f}"
            for cell, bits in full.join(both, on="cell", how="semi").rows()
        ]
        orders = ", ".join(cut), ", ".join(whole), f"{tau:.2f}"
        lines.append((STEPS.TASKS[task], f"{own['floor'][0]:.1f}", *orders))
    few_bits = "bits of state (bits of a number) where few are enough"
    heads = "task", "the floor", few_bits, "bits of state as float32", "tau"
    return table(heads, lines)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the bits of state that each cell needs against the bits of a number."""
    data = needs(rows)
    if data.is_empty():
        raise UserError("no nets of few bits on a task of the map: nothing to draw")
    tasks = data["task"].unique(maintain_order=True)
    picture, by_task = STEPS.draw_needs(data, tasks, "each", "bits")
    for task, panel in by_task.items():
        floor = data.filter(task=task)["floor"][0]
        level(panel, floor, "no network with fewer")
        panel.set_xlabel("bits of a number of the state")
        number_x(panel, BITS, "d")
        STEPS.draw_legend(panel)
    caption = (
        "The narrowest nets of which at least half pass, of three nets or more, by the recipe of"
        " the map of cells in 3,000 steps. A last input counts as one symbol, of a cell with a"
        " matrix. Where a cell has no mark, no width that was tried is enough."
    )
    return finish(picture, rows, data, caption, 140, bottom=0.25, top=0.95, hspace=0.85)


TABLES = {"cell map orders in bits": orders_table}
