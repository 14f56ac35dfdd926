"""Runs of cells: one for all members that differ in their seed alone, with the quantiles over seeds of every
metric."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence, Set
from typing import Any

import numpy as np

from memcap.studies.curves import Points, spread
from memcap.tracking.runs import Member, Run, RunRecord, of_cell

QUANTILES = {"q25": 0.25, "q50": 0.5, "q75": 0.75}
SUMMED_UP = ("final", "best", "stretched", "steps", "steps_to_solve", "steps_to_steady", "run_seconds")


class Cells:
    """Collects members of a study until their cell is whole.

    A cell of which some members ended in an earlier job is left out: what could be said of it here would not
    be all.
    """

    def __init__(self, study: str):
        self.study = study
        self.expected: set[str] = set()  # keys
        self.runs: dict[str, Run] = {}  # by the member's key, of those that are still to come
        self.left: Counter[str] = Counter()
        self.partial: set[str] = set()
        self.ended: dict[str, list[tuple[Run, dict[str, Any], Points]]] = defaultdict(list)
        self.left_out = 0  # members that were

    def expect(self, members: Iterable[Member], there: Set[str]) -> None:
        """Say which members may come, each once; `there`: the keys of those that ended in an earlier job, and
        will not."""
        for member in members:
            if member.key not in self.expected:
                self.expected.add(member.key)
                run = self.runs[member.key] = of_cell(member, self.study)
                self.left[run.id] += 1
            if member.key in there and member.key in self.runs:  # else it ended in this job
                run = self.runs.pop(member.key)
                self.left[run.id] -= 1
                self.partial.add(run.id)

    def add(self, key: str, row: dict[str, Any], curve: Points) -> RunRecord | None:
        """Take in a member that has ended. Returns the cell's run once it is whole."""
        run = self.runs.pop(key, None)
        if run is None:
            return None
        if run.id in self.partial:
            self.left_out += 1
            return None
        self.ended[run.id].append((run, row, curve))
        self.left[run.id] -= 1
        return None if self.left[run.id] else _record(self.ended.pop(run.id))

    def rest(self) -> list[RunRecord]:
        """The cells that are not whole, as a search leaves them that wanted no more."""
        self.left_out += sum(len(self.ended.pop(name, ())) for name in self.partial)
        return [_record(self.ended.pop(name)) for name in list(self.ended)]


def _record(ended: Sequence[tuple[Run, dict[str, Any], Points]]) -> RunRecord:
    run, rows = ended[0][0], [row for _, row, _ in ended]
    summary: dict[str, Any] = {"members": len(rows), **Counter(f"members_{row['status']}" for row in rows)}
    for name in ("solved", "steady"):
        summary[f"share_{name}"] = sum(bool(row[name]) for row in rows) / len(rows)
    for name in SUMMED_UP:
        summary |= _quantiles(name, [row[name] for row in rows if row.get(name) is not None])
    return RunRecord(run, quantiles([curve for _, _, curve in ended]), summary)


def quantiles(curves: Sequence[Points]) -> Points:
    """Quantiles over curves, at steps that some of them have.

    A curve that has ended stays at its last value; NaN is left out.

    Returns:
        At most `MOST_POINTS` points, with METRIC/q25, METRIC/q50 and METRIC/q75 for each metric.
    """
    steps = np.array(spread(sorted({step for curve in curves for step in curve})), np.int64)
    found: Points = {int(step): {} for step in steps}
    for metric in dict.fromkeys(name for curve in curves for point in curve.values() for name in point):
        held = np.array([_held(curve, metric, steps) for curve in curves])
        for step, values in zip(found, held.T, strict=True):
            found[step] |= _quantiles(metric, values)
    return {step: point for step, point in found.items() if point}


def _held(curve: Points, metric: str, steps: np.ndarray) -> np.ndarray:
    """The last value of a metric at or before each of `steps`; NaN before the first."""
    known = [(step, point[metric]) for step, point in curve.items() if metric in point]
    at, values = (
        np.array([step for step, _ in known], np.int64),
        np.array([np.nan, *(value for _, value in known)], float),
    )
    return values[np.searchsorted(at, steps, side="right")]


def _quantiles(name: str, values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Of the values that are not NaN: values that are there, no means between them, as some may be
    infinite."""
    known = np.sort([value for value in values if value == value])
    return {
        f"{name}/{q}": float(known[round(share * (len(known) - 1))])
        for q, share in QUANTILES.items()
        if len(known)
    }
