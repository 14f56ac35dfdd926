"""Rank a cell among those of the map of cells, by the bytes of state that it needs on five tasks.

It trains what the cells of that map trained, some minutes on a CPU: a race of learning rates at each task,
then the widths that find u90 (sweeps/cell_map.yaml).

  memcap rank my_cells:Fast            into outputs/rank_my_cells_Fast; a rerun trains only what is missing
  memcap rank delta_net                of a cell that is on the map: nothing is trained
"""

import re
from argparse import ArgumentParser, Namespace
from typing import Any

from memcap import api, figures
from memcap.commands.arguments import location
from memcap.store.shards import OUTPUTS
from memcap.terminal.printing import Column, Listing, add_json, number, order, print_json, show

COLUMNS = (
    Column("task"),
    Column("lag", right=True),
    Column("verdict", "steady: right on longer sequences, too"),
    Column("rank", "by bytes of state, of so many cells"),
    Column(
        "bytes",
        "of state at which 90 % of the seeds that train at all pass, with a 95 % interval; open above: not"
        " enough where the search ended; under half: of the seeds at every width",
    ),
    Column("parameters", "of the whole net there", right=True),
    Column("fewest", "the cell that needs the fewest bytes, and how many"),
)
DROPS = ("parameters", "lag")


def add_arguments(parser: ArgumentParser) -> None:
    """Add the cell, and the folders of its rows and of the figure."""
    parser.add_argument("cell", help="MODULE:CLASS of your own, a cell of memcap or of flax.nnx")
    about = f"folder of its rows and of the figure (default: {OUTPUTS}/rank_CELL)"
    parser.add_argument("-o", "--output", type=location, help=about)
    add_json(parser)
    parser.epilog = order(DROPS)


def run(arguments: Namespace) -> None:
    """Train what is missing, print a line per task, and draw the map of cells with this one on it."""
    word = re.sub(r"\W", "_", arguments.cell)
    folder = arguments.output or OUTPUTS / f"rank_{word}"
    ranking = api.rank(arguments.cell, folder, progress=not arguments.json)
    picture = figures.save(ranking.map, folder / "figures", "cell_map")
    lines = ranking.table.to_dicts()
    if arguments.json:
        print_json({"cell": ranking.cell, "tasks": lines, "figure": str(picture)})
        return
    title = f"{ranking.cell} on the map of cells"
    show(Listing(title, COLUMNS, [_cells(line) for line in lines], DROPS))
    print(f"Figure: {picture}")


def _cells(line: dict[str, Any]) -> list[str]:
    is_met = line["rank"] is not None
    return [
        line["task"],
        str(line["lag"]),
        line["verdict"],
        f"{line['rank'] if is_met else 'open'} of {line['cells']}",
        line["words"],
        f"{line['parameters_u90']:.0f}" if is_met else "",
        f"{line['best_cell']} {number(line['best_bytes'])}" if line["best_cell"] else "none",
    ]
