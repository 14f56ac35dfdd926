"""The frontier: for each task and lag, how many units it takes, from the rows of trained members.

A frontier belongs to a budget and a recipe; it says what training reached, never what a network could hold. Where a study
trained a set of recipes, each is fitted by itself and the one with the smallest u90 stands for the lag; it is named, with how
many there were to choose from. Only recipes that were tried at the same widths with as many seeds compete.
"""

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from memcap.capacity.thresholds import Fit, Posterior, fit, posterior, threshold
from memcap.cells import cell_class
from memcap.config import Evaluation
from memcap.knobs import completed, typed
from memcap.models.constructed import constructed_units
from memcap.models.network import Architecture, Model
from memcap.studies.store import TRAINING
from memcap.tasks import Task, information_floor, one_per_number, task_class

CELL = ["task", "knobs", "lag", "length", "cell", "readout"]
# Members judged by different rules are no further seeds of each other.
VERDICT = ["threshold", "evaluation_sequences", "evaluation_every", "evaluation_successive"]
RECIPE = ["recipe", "init", "input_bias", "forget_bias", "output_bias", "gain", "orthogonal", *TRAINING]


@dataclass(frozen=True)
class Point:
    """One task and lag of a frontier.

    Args:
        task: the task with its knobs; lag, length: what was trained; cell, readout: of the network.
        threshold, evaluation: what decides "solved" (memcap/training/verdict.py).
        recipe: the recipe that stands for this lag, as a dict of its columns; recipes: how many competed.
        u_exist: smallest width that any seed solved, with any recipe; None if none was.
        units, solved, runs: counts by width, ascending.
        fit: thresholds with intervals; posterior: for any other share.
        steps: median steps to solve over all solved members; None if none was.
        stretched: median score of the solved members at `stretch` times the lag; None if none was.
    """

    task: Task
    lag: int
    length: int
    cell: str
    readout: str
    threshold: float
    evaluation: Evaluation
    recipe: dict[str, Any]
    recipes: int
    u_exist: int | None
    units: tuple[int, ...]
    solved: tuple[int, ...]
    runs: tuple[int, ...]
    fit: Fit
    posterior: Posterior
    steps: float | None
    stretch: int
    stretched: float | None

    def most(self, share: float) -> int | None:
        """The smallest width at which at least this share of the seeds solved; None if none did."""
        counts = zip(self.units, self.solved, self.runs, strict=True)
        return next((u for u, s, n in counts if s >= share * n), None)

    def carry_numbers(self, units: int) -> int:
        """Numbers in the carry of a net of this many units."""
        return Architecture(Model(self.cell, units, self.readout), self.task.features, self.task.outputs).carry_numbers()

    @property
    def references(self) -> "References":
        """What theory says of this task and lag."""
        return references(self.task, self.lag, self.length, self.cell)

    @property
    def seeds(self) -> int:
        """Seeds at the width that has most."""
        return max(self.runs)

    @property
    def label(self) -> str:
        """Name of the line in a table or figure: the task, and what is not the default."""
        rule, ours = Evaluation(), self.evaluation
        others = [f"T={self.length}"] * (self.length != self.task.length(self.lag))
        others += [f"{ours.sequences} sequences"] * (ours.sequences != rule.sequences)
        others += [f"{ours.successive} successive"] * (ours.successive != rule.successive)
        return label(self.task, self.cell, self.readout, *others)

    @property
    def usual(self) -> bool:
        """Whether it was measured at the task's own length and judged by the usual rule."""
        rule, ours = Evaluation(), self.evaluation
        judged = (ours.sequences, ours.successive) == (rule.sequences, rule.successive)
        return judged and self.length == self.task.length(self.lag)


@dataclass(frozen=True)
class References:
    """Widths that need no training: see the words of the same names in memcap.tasks.base and memcap.models.constructed."""

    bits: float
    information_floor: int
    one_per_number: int
    constructed: int | None


def references(task: Task, lag: int, length: int | None = None, cell: str = "lstm") -> References:
    """Reference widths of a task at a lag and length (the task's own by default), for a cell."""
    facts = task.facts(lag, task.length(lag) if length is None else length)
    network = Architecture(Model(cell, 1), task.features, task.outputs)
    floor = information_floor(task, facts, network.bits_per_unit())
    hand_set = constructed_units(task, lag) if cell_class(cell).is_lstm else None
    return References(facts.bits, floor, one_per_number(facts, network.numbers_per_unit()), hand_set)


def label(task: Task, cell: str = "lstm", readout: str = "dense", *others: str) -> str:
    """The task's name with the knobs that differ from their defaults, then the cell and read-out likewise, then `others`."""
    said = [*set_knobs(task), *[cell] * (cell != "lstm"), *[f"readout={readout}"] * (readout != "dense"), *others]
    return task.name + (f" ({', '.join(said)})" if said else "")


def set_knobs(task: Task) -> list[str]:
    """The task's knobs that differ from their defaults, as NAME=VALUE."""
    return [f"{k}={v}" for k, v in vars(task).items() if v != vars(type(task)())[k]]


def frontier(rows: pl.DataFrame, confidence: float = 0.95) -> list[Point]:
    """One point a task and lag (and cell and read-out), sorted by label and lag. Diverged members count as not solved."""
    points = []
    for _, group in rows.group_by(CELL + VERDICT, maintain_order=True):
        tried = [_point(part, confidence) for _, part in group.group_by(RECIPE, maintain_order=True)]
        fullest = max(tried, key=lambda p: sum(p.runs))
        fair = [p for p in tried if (p.units, p.runs) == (fullest.units, fullest.runs)]
        exist = [p.u_exist for p in tried if p.u_exist is not None]
        points.append(replace(min(fair, key=_rank), recipes=len(fair), u_exist=min(exist, default=None)))
    return sorted(points, key=lambda p: (p.label, p.lag, p.length))


def _rank(point: Point) -> tuple[float, ...]:
    """Smallest u90 first, "not reached" last; then u50, then most solved."""
    measured = [math.inf if t.censored == "above" else t.units for t in (point.fit.u90, point.fit.u50)]
    return *measured, -sum(point.solved)


def _point(rows: pl.DataFrame, confidence: float) -> Point:
    first = rows.row(0, named=True)
    task = task_class(first["task"])
    counts = rows.group_by("units").agg(pl.col("solved").sum(), pl.len().alias("runs")).sort("units")
    units, solved, runs = (counts[c].to_list() for c in ("units", "solved", "runs"))
    done = rows.filter(pl.col("solved"))
    fitted = fit(units, solved, runs, confidence)
    return Point(
        typed(task, completed(task, json.loads(first["knobs"])), "task"),
        *(first[k] for k in ("lag", "length", "cell", "readout")),
        threshold=first["threshold"],
        evaluation=Evaluation(*(first[f"evaluation_{k}"] for k in ("every", "sequences", "successive")), first["stretch"]),
        recipe={k: first[k] for k in RECIPE},
        recipes=1,
        u_exist=fitted.u_exist,
        units=tuple(units),
        solved=tuple(solved),
        runs=tuple(runs),
        fit=fitted,
        posterior=posterior(units, solved, runs),
        steps=_median(done["steps_to_solve"]),
        stretch=first["stretch"],
        stretched=_median(done["stretched"]),
    )


def _median(values: pl.Series) -> float | None:
    return None if values.is_empty() else float(np.median(values.to_numpy()))


def columns(point: Point) -> dict[str, Any]:
    """A point as one flat row: for a table, a CSV file, JSON, or W&B."""
    f, r = point.fit, point.references
    row: dict[str, Any] = {
        "task": point.task.name,
        "label": point.label,
        "lag": point.lag,
        "length": point.length,
        "cell": point.cell,
        "readout": point.readout,
        "u_exist": point.u_exist,
        "u75_observed": point.most(0.75),
    }
    for name, width in (("u50", f.u50), ("u90", f.u90)):
        row |= {
            name: width.units,
            f"{name}_low": width.low,
            f"{name}_high": None if math.isinf(width.high) else width.high,
            f"{name}_censored": width.censored,
        }
    return row | {
        "lapse": f.lapse,
        "bits": r.bits,
        "information_floor": r.information_floor,
        "one_per_number": r.one_per_number,
        "constructed": r.constructed,
        **{k: point.recipe[k] for k in ("recipe", "lr", "schedule", "budget")},
        "recipes": point.recipes,
        "seeds": point.seeds,
        "runs": sum(point.runs),
        "steps_median": point.steps,
        "stretch": point.stretch,
        "stretched_median": point.stretched,
        "counts": " ".join(f"{u}:{s}/{n}" for u, s, n in zip(point.units, point.solved, point.runs, strict=True)),
    }


@dataclass(frozen=True)
class Prediction:
    """Width at a lag that was not measured, from a straight line through the lags that were. A guess, marked as one.

    Args:
        units, low, high: the line at the lag, and its 95 % prediction interval; inf where there are too few lags.
        lags: the lags that the line goes through.
        left_out: measured lags where the share was not reached, and which no line can use: it may be too low.
        inside: whether the lag lies between `lags`.
    """

    units: float
    low: float
    high: float
    lags: tuple[int, ...]
    left_out: tuple[int, ...]
    inside: bool


def predict(points: Iterable[Point], lag: int, share: float = 0.9) -> Prediction | None:
    """Units at an unmeasured lag for a share of the seeds, by least squares of the threshold against the lag.

    A threshold that is only known to lie at or below the smallest width tried counts as that width. None without two
    measured lags.
    """
    found = [(p.lag, threshold(p.posterior, share)) for p in points]
    used = [(x, t.units) for x, t in found if t.censored != "above"]
    if len({x for x, _ in used}) < 2:
        return None
    x, y = (np.array(v, float) for v in zip(*used, strict=True))
    line = stats.linregress(x, y)
    at = max(1.0, float(line.intercept + line.slope * lag))
    spread = math.inf
    if len(x) > 2:
        error = math.sqrt(((y - line.intercept - line.slope * x) ** 2).sum() / (len(x) - 2))
        leverage = 1 + 1 / len(x) + (lag - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum()
        spread = float(stats.t.ppf(0.975, len(x) - 2) * error * math.sqrt(leverage))
    lags = tuple(sorted({int(v) for v in x}))
    left_out = tuple(sorted({x for x, _ in found} - set(lags)))
    return Prediction(at, max(1.0, at - spread), at + spread, lags, left_out, lags[0] <= lag <= lags[-1])
