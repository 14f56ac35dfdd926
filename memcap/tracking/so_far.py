"""How a study stands while it trains, in numbers that a curve can show."""

import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

from memcap.tracking.runs import Member, of_cell, task_at_lag


class SoFar:
    """Counts members as they end, each once."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.solved = 0
        self.runs: Counter[tuple[str, int, str]] = Counter()  # by task at lag, units and cell
        self.passed: Counter[tuple[str, int, str]] = Counter()
        self.start = time.monotonic()
        self.since, self.trained = (
            self.start,
            0,
        )  # when it was last asked, and the members that have ended since

    def add(self, member: Member, row: Mapping[str, Any], trained: bool = True) -> None:
        """Count one more member; `trained`: by this job."""
        if member.key in self.keys:
            return
        self.keys.add(member.key)
        self.trained += trained
        self.solved += bool(row["solved"])
        where = (task_at_lag(member), member.config["model"]["units"], of_cell(member, "").id)
        self.runs[where] += 1
        self.passed[where] += bool(row["steady" if row["evaluation_until"] == "steady" else "solved"])

    def values(self) -> dict[str, float]:
        """Members done, solved, and a second since it was last asked; and for each task and lag the frontier
        so far.

        That is the fewest units of which at least half of the seeds passed, by any recipe and cell, of those
        that have ended.
        """
        now = time.monotonic()
        rate = self.trained / max(now - self.since, 1e-3)
        counts = {
            "seconds": now - self.start,
            "done": len(self.keys),
            "solved": self.solved,
            "members_a_second": rate,
        }
        self.since, self.trained = now, 0
        least: dict[str, float] = {}
        for (name, units, cell), runs in self.runs.items():
            if 2 * self.passed[name, units, cell] >= runs:
                least[name] = min(units, least.get(name, units))
        return {f"study/{k}": v for k, v in counts.items()} | {f"frontier/{k}": v for k, v in least.items()}
