"""How many bytes of state does each cell need: to shift a sequence, to copy a list, to
recall a value by its key, and to follow a state?"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import polars as pl
from scipy.stats import kendalltau

from memcap.figures import Drawn
from memcap.findings.tables import (
    STEPS_TO,
    STUDIES,
    Question,
    atlas_rows,
    filled,
    from_rows,
    label,
    number,
    rows_of,
    span,
    table,
    task_of_row,
)

from .needs import (
    AGAIN,
    AS_ON_MAP,
    LEAST_WIDTHS,
    RECIPES,
    RUNS,
    SAME,
    STUDY,
    Need,
    agreement,
    band,
    best_of,
    by_place,
    count_bytes,
    in_bytes,
    is_met,
    last_symbols,
    least,
    members_of,
    needs,
    of_studies,
    ranking,
)
from .picture import of_needs

__all__ = [
    "AGAIN",
    "AS_ON_MAP",
    "LEAST_WIDTHS",
    "RECIPES",
    "SAME",
    "STUDY",
    "TABLES",
    "band",
    "count_bytes",
    "draw",
    "in_bytes",
    "is_met",
    "last_symbols",
    "least",
    "members_of",
    "of_needs",
    "of_studies",
    "ranking",
]


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the map of cells: bytes of state, and parameters, that each cell needs on each task."""
    return of_needs(needs(rows), rows)


def by_bytes(*studies: str) -> str:
    """Bytes of state that each cell needs at each place of some studies; those that need
    fewest first."""
    all_needs = needs_of(*studies)
    places = by_place(all_needs)
    name = {need.cell: f"`{need.cell}`{need.form}" for need in all_needs}
    cells: dict[str, dict[str, str]] = {need.cell: {} for need in all_needs}
    for place, there in places.items():
        best = best_of(there)
        for need in there:
            bold = "**" * (need in best)
            cells[need.cell][place] = f"{bold}{need.words}{bold}{need.budget}"
    floors = (number(there[0].floor) for there in places.values())
    lines = (
        (name[cell], *(words.get(place, "") for place in places))
        for cell, words in cells.items()
    )
    floor = "the proved floor", *floors
    return table(("bytes of state", *places), [floor, *lines])


def map_recipes() -> str:
    """Bytes of state of the cells that were trained by another recipe, too, next to what
    the atlas says."""
    as_others = {(need.cell, need.place): need.words for need in needs_of(*RUNS)}
    trained = set(rows_of("cell_map_recipes").select("cell", "task").rows())
    lines = []
    for need in sorted(needs_of(*STUDIES["cell_map"]), key=lambda need: need.cell):
        p = need.point
        if (need.cell, p.task.name) not in trained:
            continue
        found = from_rows(atlas_rows(), Question(p.task, p.lag, p.model, at="steady"))
        atlas = ""
        if found.estimate is not None and found.at == p.at:
            each_unit = need.u90["bytes"].units / p.fit.u90.units
            ends = (found.estimate, found.low, found.high)
            widths = (number(each_unit * units) for units in ends)
            atlas = "{} [{}, {}]".format(*widths)
        recipe = p.recipe.name + ", no curriculum" * (p.recipe.curriculum is None)
        net = f"`{need.cell}`", need.place
        words = as_others[need.cell, need.place], need.words
        if words[0] == words[1] and not atlas:
            continue
        lines.append((*net, *words, recipe, atlas))
    heads = "cell", "task", "as the other cells", "by the best recipe", "which"
    return table((*heads, "atlas"), lines)


def map_seeds(map_name: str) -> str:
    """Count the seeds on which a map rests."""
    all_needs = needs_of(*STUDIES[map_name])
    numbers, failures = (
        span(pl.Series(n.point.seeds for n in all_needs if n.point.trains is trains), 0)
        for trains in (True, False)
    )
    return filled(
        f'Each number of bytes rests on {numbers} seeds, and each "under half" on {failures}, at'
        " the width that has the most; at others a race trained fewer."
    )


def in_two_runs(runs: Sequence[str]) -> str:
    """Say where the thresholds of a map's second run, with other seeds, lie."""
    first, second = map(needs_of, runs)
    again = {(need.cell, need.place): need for need in second}
    met = 0
    inside = 0
    neither = 0
    for one in first:
        other = again[one.cell, one.place]
        low = one.u90["bytes"].low
        high = one.u90["bytes"].high
        if one.is_met and other.is_met:
            met += 1
            inside += low <= other.u90["bytes"].units <= high
        neither += not one.is_met and not other.is_met
    taus = [tau for tau, _ in agreement(first, second).values()]
    return filled(
        f"{met} of {len(first)} pairs of cell and task have a u90 in both runs. At"
        f" {inside} of them, the second u90 lies in the first's 95 % interval. At {neither}"
        " pairs no width is enough in either run. Kendall's tau between the two orders of"
        f" the cells that have a u90 in both is {min(taus):.2f} to {max(taus):.2f} by task."
    )


def of_map(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Name the task and lag of a row of the map, and its columns of score and verdict."""
    kind = task_of_row(row["task"], row["knobs"])
    score, verdict = ("stretched", "steady") if kind.stream else ("final", "solved")
    return f"{label(kind)}, lag {row['lag']}", score, verdict


def half_pass(nets: pl.DataFrame) -> dict[tuple[str, str], int]:
    """Return the bytes of the narrowest nets of which half pass on the map, by task and cell."""
    shares = (
        in_bytes(nets.with_columns(AS_ON_MAP))
        .group_by("task", "cell", "bytes")
        .agg(share=pl.col("solved").mean())
    )
    half = shares.filter(pl.col("share") >= 0.5).group_by("task", "cell")
    least = half.agg(pl.col("bytes").min())
    return {(task, cell): size for task, cell, size in least.rows()}


def cell_map_longer() -> str:
    """Count the nets that pass in 24,000 steps at widths with which under half pass on the map,
    where half do at one of them."""
    rows = rows_of("cell_map_budgets").filter(pl.col("budget") >= 3000)
    # without the widest nets, which were trained for 3,000 steps, too
    is_alone = pl.col("budget").n_unique().over("task", "cell", "units") == 1
    rows = rows.filter(is_alone, budget=24_000)
    rows = rows.join(map_rows(), on=("task", "knobs"), how="semi")
    (rate,) = rows["lr"].unique()
    lines = []
    for place, cell, nets, verdict, _ in by_net(rows):
        on_map = as_on_the_map(nets).filter(lr=rate)
        if nets.group_by("units").agg(pl.col(verdict).mean())[verdict].max() < 0.5:
            continue
        steps = nets.filter(verdict)[STEPS_TO[verdict]].median()
        counts = passing(on_map, verdict), passing(nets, verdict)
        lines.append((place, cell, *counts, f"{steps:,.0f}" if steps else ""))
    heads = "task", "cell", "units: nets that pass in 3,000 steps", "in 24,000"
    orders = orders_of_half(map_rows().filter(lr=rate), rows)
    return f"{orders}\n\n{table((*heads, 'median of their steps'), sorted(lines))}"


def orders_of_half(shorter: pl.DataFrame, longer: pl.DataFrame) -> str:
    """Compare the orders of the cells by the narrowest nets of which half pass, with
    fewer and more steps."""
    before = half_pass(shorter)
    now = half_pass(longer)
    after = {pair: min(size, now.get(pair, size)) for pair, size in before.items()}
    fewer = sum(after[pair] < size for pair, size in before.items())
    taus = []
    for task in dict.fromkeys(task for task, _ in before):
        pairs = [pair for pair in before if pair[0] == task]
        orders = ([sizes[pair] for pair in pairs] for sizes in (before, after))
        taus.append(kendalltau(*orders).statistic)
    return filled(
        f"Of {len(before)} pairs of cell and task"
        f" {fewer} have narrower nets of which half"
        " pass. Kendall's tau between the two orders of the cells by the bytes of the narrowest"
        f" is {min(taus):.2f} to {max(taus):.2f} by task."
    )


@cache
def map_rows() -> pl.DataFrame:
    """The rows of both runs of the map that have the full budget."""
    return pl.concat(map(rows_of, RUNS)).filter(budget=3000)


def as_on_the_map(nets: pl.DataFrame) -> pl.DataFrame:
    """The nets of the map with the same task, cell and units as some others."""
    return map_rows().join(nets, on=("task", "cell", "units"), how="semi")


@cache
def needs_of(*studies: str) -> Sequence[Need]:
    """What each cell of a map needs, by the better of its recipes."""
    return needs(pl.concat(map(rows_of, studies)))


def by_net(rows: pl.DataFrame) -> Iterator[tuple[str, str, pl.DataFrame, str, str]]:
    """Yield task, cell, nets, and the columns of verdict and score, of each cell on each task."""
    for (_, cell), nets in rows.group_by("task", "cell", maintain_order=True):
        place, score, verdict = of_map(nets.row(0, named=True))
        yield place, f"`{cell}`", nets, verdict, score


def passing(nets: pl.DataFrame, verdict: str) -> str:
    """Count the nets that pass, by units."""
    groups = nets.sort("units").group_by("units", maintain_order=True)
    counts = groups.agg(pl.col(verdict).sum(), nets=pl.len()).rows()
    return ", ".join(f"{units}: {good} of {number}" for units, good, number in counts)


TABLES = {
    "cell map": lambda: by_bytes(*STUDIES["cell_map"]),
    "newer cells": lambda: by_bytes("newer_cells"),
    "cell map recipes": map_recipes,
    "cell map again": lambda: in_two_runs(RUNS),
    "cell map tasks": lambda: by_bytes(*STUDIES["cell_map_tasks"]),
    "cell map tasks seeds": lambda: map_seeds("cell_map_tasks"),
    "cell map longer": cell_map_longer,
}
