"""Print the order of the cells at recall and at products on the map of cells, as CSV.

`place` is the middle of the places that the intervals leave open to a cell: 1 needs the
fewest bytes. Cells of which under half of the nets pass at every width come last, in
the order of their scores.

    cd sweeps/cells/supplement/beyond_the_map && python predict.py > predicted.csv
"""

import statistics
import sys

import polars as pl

from memcap.findings import load
from memcap.findings.tables import rows_of

PLACES = {"mqar": "mqar (symbols=8), lag 8", "word_problem": "word_problem, lag 12"}


def main() -> None:
    """Write the order of both tasks to standard output."""
    cell_map = load("cell_map")
    rows = pl.concat(map(rows_of, (*cell_map.RUNS, cell_map.RECIPES)))
    places = cell_map.by_place(cell_map.needs(rows))
    lines = [
        {
            "task": task,
            "cell": need.cell,
            "place": statistics.fmean(cell_map.band(need, places[place])),
            "need": need.words,
        }
        for task, place in PLACES.items()
        for need in places[place]
    ]
    pl.DataFrame(lines).sort("task", "place", "cell").write_csv(sys.stdout)


if __name__ == "__main__":
    main()
