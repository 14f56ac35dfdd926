"""The board of memory golf: scores the entries in this folder, and writes board.csv.

  python examples/golf/board.py 20261207            all
  python examples/golf/board.py 20261207 copy       one, whose line replaces its earlier one

The first number is the seed, drawn after the entries were handed in.
"""

import sys
from pathlib import Path

import polars as pl

from memcap.answers.golf import Score, score

HERE = Path(__file__).parent
BOARD = HERE / "board.csv"


def main(seed: int, names: list[str]) -> None:
    """Score entries of these names, or all."""
    folders = [HERE / name for name in names]
    for folder in folders or sorted(path.parent for path in HERE.glob("*/entry.py")):
        line, judgements = score(folder, seed)
        print(folder.name, line, *judgements, sep="\n", flush=True)
        write(folder.name, seed, line)


def write(name: str, seed: int, line: Score) -> None:
    """Write an entry's line, in place of its earlier one."""
    board = pl.DataFrame([{"entry": name, "seed": seed, **line._asdict()}])
    if BOARD.exists():
        others = pl.read_csv(BOARD, schema=board.schema).filter(pl.col("entry") != name)
        board = pl.concat([others, board])
    board.sort("task", "weights", "bytes", "entry").write_csv(BOARD)


if __name__ == "__main__":
    seed, *names = sys.argv[1:]
    main(int(seed), names)
