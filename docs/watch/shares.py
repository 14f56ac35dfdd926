"""Print how many of the page's nets pass, beside the published ones.

python docs/watch/shares.py                       a line for each lag that is published
python docs/watch/shares.py delay_line 5 4 60     of one width, 60 nets
"""

import sys
from typing import Any

from nets import run
from published import STUDIES, rows_of

SEEDS = 20
RATES = {"latch": 0.06, "parity": 0.06, "delay_line": 0.03}
MOST_LAG = {"latch": 50, "parity": 50, "delay_line": 5}
TRAIN = """
result = 0;
for (let seed = 0; seed < seeds; seed++) {
  const training = new Training({ ...settings, seed });
  while (training.status === "running") training.step();
  result += training.status === "passed";
}
"""


def passed(task: str, lag: int, units: int, seeds: int) -> int:
    """Train nets of the page, and count those that pass."""
    settings: dict[str, Any] = {"task": task, "lag": lag, "units": units, "prefix": 0}
    settings |= {"forget_bias": 1, "rate": RATES[task]}
    return run(TRAIN, settings=settings, seeds=seeds)


def main() -> None:
    """Print the table, a line as soon as its nets are trained."""
    print(f"| task | lag | units | passed of {SEEDS} | published | its 95 % interval |")
    print("| --- " * 6 + "|")
    for task in STUDIES:
        for lag, rows in rows_of(task).items():
            if lag > MOST_LAG[task]:
                continue
            counts = [str(passed(task, lag, row["units"], SEEDS)) for row in rows]
            units = [str(row["units"]) for row in rows]
            published = [f"{row['passed']} of {row['nets']}" for row in rows]
            intervals = [f"{row['low']:.0%} to {row['high']:.0%}" for row in rows]
            cells = map(", ".join, (units, counts, published, intervals))
            print("|", " | ".join([task, str(lag), *cells]), "|", flush=True)


if __name__ == "__main__":
    if sys.argv[1:]:
        task, *numbers = sys.argv[1:]
        print(passed(task, *map(int, numbers)))
    else:
        main()
