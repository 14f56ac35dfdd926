"""How many bits of state does each cell need?"""

import math
from collections.abc import Mapping
from typing import Any

import polars as pl

from memcap.cells.sizes import NUMBERS_PER_UNIT
from memcap.findings import load
from memcap.findings.tables import rows_of, table, task_of_row
from memcap.tasks import least_bits

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


def nets() -> pl.DataFrame:
    """Return the nets of few bits, and those of the map with the same budget and rate.

    `each` is the number of bits of a number of the carry; `bits` those of the state.
    """
    steps = load("cell_map_steps")
    few = rows_of("cell_map_bits")
    suffix = r"\+bits(\d+)$"
    each = pl.col("cell").str.extract(suffix).cast(pl.Int64).fill_null(BITS[-1])
    cell = pl.col("cell").str.replace(suffix, "")
    studies = *load("cell_map").RUNS, "keys"
    full = pl.concat(rows_of(name) for name in studies).filter(budget=3000, lr=0.02)
    rows = pl.concat([few, full.select(few.columns)]).with_columns(each=each, cell=cell)
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
    return counts.with_columns(pl.Series("bits", bits), load("cell_map").SAME)


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
    by_cell = nets().sort("task", "cell").group_by("task", "cell", maintain_order=True)
    for (task, cell), own in by_cell:
        needs = {each: need(own.filter(each=each)) for each in BITS}
        has_rows = set(own["each"])
        words = (in_words(*needs[each]) if each in has_rows else "" for each in BITS)
        found = [least for least, _ in needs.values() if least is not None]
        fewest = f"{min(found):,.0f}" if found else ""
        least = f"{floor(own.row(0, named=True)):.1f}"
        lines.append((tasks[task], f"`{cell}`", *words, fewest, least))
    heads = [f"{each} bit{'s' * (each > 1)} each" for each in BITS]
    return table(("task", "cell", *heads, "the fewest", "the floor"), lines)


TABLES = {"cell map bits": bits_table}
