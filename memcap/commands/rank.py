"""Rank a cell among those of the map of cells, by the bytes of state that it needs on five
tasks.

It trains what the cells of the map trained, with other seeds, in some minutes on a CPU:
a race of learning rates at each task, then the widths that find u90
(sweeps/cells/cell_map.yaml). If the 95 % intervals of cells overlap, their order is not
known: "3 to 7 of 16" are the places that the cell may have. A cell that does not train
with this budget has none.

  memcap rank
      the published cells: which may need the fewest, and how sure that is
  memcap rank my_cells:Fast
      into outputs/rank_my_cells_Fast; a rerun trains only what is missing
  memcap rank delta_net
      a cell that is on the map: nothing is trained

Read more: memcap docs cell_map
"""

import re
from argparse import ArgumentParser, Namespace
from operator import itemgetter
from pathlib import Path
from typing import Any

from memcap import api, figures, store
from memcap.cells import LAYERS
from memcap.commands.arguments import add_json, add_output
from memcap.figures.style import budgets
from memcap.knobs import grouped
from memcap.store.columns import Row
from memcap.store.shards import OUTPUTS, load_findings, rows_file
from memcap.terminal.words import Column, Listing, NumberColumn, print_json, show

COLUMNS = (
    Column("task"),
    NumberColumn("lag"),
    Column("verdict", "verdict that counts; steady: right on longer sequences, too"),
    Column(
        "place",
        "place by bytes of state, among all cells; none: the cell does not train with this budget",
    ),
    Column(
        "bytes",
        "bytes of state at which 90 % of the seeds that train at all pass, with a 95 % interval"
        " (A to B: none pass with A, all with B, and no width between was tried); open above: no"
        " width was enough; under half: fewer than half of the seeds pass at every"
        " width, with the best score of any net",
    ),
    NumberColumn("parameters", "parameters of the whole net at this width"),
    Column(
        "fewest",
        "cell with the fewest bytes, and the number of cells that overlap with it",
    ),
)
DROPS = ("parameters", "lag")
PUBLISHED = (
    Column("task"),
    NumberColumn(
        "tau",
        "Kendall's tau between the orders of two runs with different seeds, by one recipe",
    ),
    NumberColumn("of", "cells that have a u90 in both"),
    Column("train", "cells with which half of the seeds pass at some width"),
    Column(
        "may need the fewest bytes of state",
        "cells whose 95 % intervals overlap with the smallest one's",
    ),
)


def add_arguments(parser: ArgumentParser) -> None:
    about = "MODULE:CLASS of your own, a cell of memcap or of flax.nnx; none: the published cells"
    parser.add_argument("cell", nargs="?", help=about)
    about = f"folder of its rows and of the figure (default: {OUTPUTS}/rank_CELL)"
    add_output(parser, about)
    about = f"first of its seeds (default: {api.FRESH_SEED}; the published cells have 0 to 7)"
    parser.add_argument("--seed", type=int, default=api.FRESH_SEED, help=about)
    add_json(parser)


@figures.own_style()
def run(arguments: Namespace) -> None:
    if arguments.cell is None:
        _show_published(arguments.json)
        return
    cell = arguments.cell
    word = re.sub(r"\W", "_", cell)
    folder = arguments.output or OUTPUTS / f"rank_{word}"
    ranking = api.rank(cell, folder, progress=not arguments.json, seed=arguments.seed)
    picture = figures.save(ranking.map, folder / "figures", "cell_map")
    lines = ranking.table.to_dicts()
    if arguments.json:
        print_json({"cell": ranking.cell, "tasks": lines, "figure": str(picture)})
        return
    title = f"{ranking.cell} on the map of cells, all by one recipe"
    rows = list(map(_cells, lines))
    notes = [_rates(lines), _budgets(lines), _form(ranking.cell)]
    show(Listing(title, COLUMNS, rows, DROPS, notes))
    print(f"Figure: {picture}")


def _cells(line: Row) -> list[Any]:
    parameters = line["parameters_u90"]
    best = "none"
    if line["best_cells"]:
        first, *others = line["best_cells"]
        more = f" and {len(others)} more" if others else ""
        best = f"{first} {line['best_words']}{more}"
    names = ("task", "lag", "verdict", "band", "words")
    whole = None if parameters is None else round(parameters)
    return [*(line[name] for name in names), whole, best]


def _rates(lines: list[Row]) -> str:
    by_rate = sorted(grouped(lines, itemgetter("lr")).items())
    rates = (
        f"{lr:g} in {', '.join(dict.fromkeys(line['task'] for line in own))}"
        for lr, own in by_rate
    )
    return f"Learning rates that won their races: {'; '.join(rates)}."


def _budgets(lines: list[Row]) -> str:
    own, others = (
        max(line[name] for line in lines) for name in ("budget", "budget_of_others")
    )
    return f"Training steps, at most: {own:,}; the other cells {others:,}."


def _form(cell: str) -> str:
    """Say what a cell lacks of its published layer."""
    if cell in LAYERS:
        return f"{cell} is bare: it lacks the parts that {LAYERS[cell]} has."
    return "Cells are bare, in one layer."


def _show_published(as_json: bool) -> None:
    cell_map = load_findings("cell_map")
    runs = [cell_map.needs(store.read(rows_file(name))) for name in cell_map.RUNS]
    taus = cell_map.agreement(*runs)
    needs = cell_map.needs(store.rows_of(Path(cell_map.STUDY)))
    places = cell_map.by_place(needs)
    rows = []
    lines = []
    for task, needs in places.items():
        tau, cells = taus[task]
        train = sum(need.point.trains for need in needs)
        best = cell_map.best_of(needs)
        lines.append(
            {
                "task": task,
                "tau": tau,
                "tau_cells": cells,
                "cells": len(needs),
                "train": train,
                "best": {need.cell: need.u90["bytes"].units for need in best},
            }
        )
        words = ", ".join(f"{need.cell} {need.width}" for need in best)
        rows.append([task, tau, cells, f"{train} of {len(needs)}", words])
    if as_json:
        print_json({"tasks": lines})
    else:
        notes = [f"Cells are bare, in one layer. {budgets(n.point for n in needs)}"]
        show(Listing("The map of cells", PUBLISHED, rows, notes=notes))
