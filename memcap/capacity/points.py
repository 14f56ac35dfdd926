"""One task and lag of a frontier: what was counted, what was fitted to it, and what theory says beside it."""

import math
from dataclasses import dataclass
from typing import Any

from memcap.capacity.thresholds import Fit, Posterior, Threshold
from memcap.cells import cell_class
from memcap.config import Evaluation, usual_until
from memcap.models.constructed import constructed_units
from memcap.models.network import Architecture, Model
from memcap.studies.rows import At
from memcap.tasks import Task, information_floor, one_per_number


@dataclass(frozen=True)
class Point:
    """One task and lag of a frontier.

    Args:
        task: the task with its knobs; lag, length: what was trained; cell, readout: of the network.
        threshold, evaluation: what decides the verdicts (memcap/training/early_stopping.py).
        recipe: the recipe that was used, as a dict of its columns; recipes: how many competed.
        at: the verdict that `solved`, `fit`, `posterior`, `u_exist` and `steps` are of: "steady", or
            "trained" (solved at the trained length), which is the only one where the task is no stream.
        u_exist: smallest width at which any seed passed, with any recipe; None if none did.
        units, solved, runs: counts by width, ascending.
        fit: thresholds with intervals; posterior: for any other share.
        trained: thresholds of the members solved at the trained length; `fit` itself where `at` is "trained".
        steps: median steps to the verdict over all members that passed; None if none did.
        stretched: median score of the solved members at `evaluation.stretch` times the lag; None if none was.
        stretched_by_width: the same by width.
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
    at: At
    u_exist: int | None
    units: tuple[int, ...]
    solved: tuple[int, ...]
    runs: tuple[int, ...]
    seeds: int
    fit: Fit
    posterior: Posterior
    trained: Fit
    steps: float | None
    stretched: float | None
    stretched_by_width: tuple[float | None, ...]

    def most(self, share: float) -> int | None:
        """The smallest width at which at least this share of the seeds passed; None if none did."""
        counts = zip(self.units, self.solved, self.runs, strict=True)
        return next((u for u, s, n in counts if s >= share * n), None)

    def stretched_at(self, units: int) -> tuple[int, float] | None:
        """The nearest width tried at or above this one, and the median stretched score of its solved members.

        None if no such width was tried, or no member of it was solved.
        """
        width, score = next(
            ((u, s) for u, s in zip(self.units, self.stretched_by_width, strict=True) if u >= units),
            (0, None),
        )
        return None if score is None else (width, score)

    def carry_numbers(self, units: int) -> int:
        """Numbers in the carry of a net of this many units."""
        return Architecture(
            Model(self.cell, units, self.readout), self.task.features, self.task.outputs
        ).carry_numbers()

    @property
    def references(self) -> "References":
        """What theory says of this task and lag."""
        return references(self.task, self.lag, self.length, self.cell)

    @property
    def measured(self) -> bool:
        """Whether u90 is a number: not censored, or 1, below which there is no net."""
        return self.fit.u90.is_number(self.units[0])

    @property
    def place(self) -> tuple[Any, ...]:
        """What the recipes that compete have in common."""
        return self.task, self.lag, self.length, self.cell, self.readout, self.threshold, self.evaluation

    @property
    def label(self) -> str:
        """Name of the line in a table or figure: the task, and what is not the default."""
        others = [f"T={self.length}"] * (self.length != self.task.length(self.lag)) + _unusual(
            self.task, self.evaluation
        )
        return label(self.task, self.cell, self.readout, *others)

    @property
    def usual(self) -> bool:
        """Whether it was measured at the task's own length, and trained and judged by the usual rule."""
        return self.length == self.task.length(self.lag) and not _unusual(self.task, self.evaluation)


def _unusual(task: Task, ours: Evaluation) -> list[str]:
    """What of an evaluation is not the default and bears on a verdict, in words."""
    rule, until = Evaluation(), usual_until(task)
    said = [f"{ours.sequences} sequences"] * (ours.sequences != rule.sequences)
    said += [f"{ours.successive} successive"] * (ours.successive != rule.successive)
    said += [f"stretch {ours.stretch}"] * (task.stream and ours.stretch != rule.stretch)
    return said + [f"trained until {ours.until}"] * (ours.until != until)


@dataclass(frozen=True)
class References:
    """Widths that need no training: see the words of the same names in memcap.tasks.base and
    memcap.models.constructed."""

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
    """The task's name with the knobs that differ from their defaults, then the cell and read-out likewise,
    then `others`."""
    said = [
        *set_knobs(task),
        *[cell] * (cell != "lstm"),
        *[f"readout={readout}"] * (readout != "dense"),
        *others,
    ]
    return task.name + (f" ({', '.join(said)})" if said else "")


def set_knobs(task: Task) -> list[str]:
    """The task's knobs that differ from their defaults, as NAME=VALUE."""
    return [f"{k}={v}" for k, v in vars(task).items() if v != vars(type(task)())[k]]


def ends(name: str, width: Threshold) -> dict[str, Any]:
    """A threshold as columns that begin with `name`: its width, the ends of its interval (null where open),
    its censoring."""
    high = None if math.isinf(width.high) else width.high
    return {
        name: width.units,
        f"{name}_low": width.low,
        f"{name}_high": high,
        f"{name}_censored": width.censored,
    }


def columns(point: Point) -> dict[str, Any]:
    """A point as one flat row: for a table, a CSV file, JSON, or W&B. `u50` and `u90` are of the verdict
    `at`."""
    f, t, r = point.fit, point.trained, point.references
    row: dict[str, Any] = {
        "task": point.task.name,
        "label": point.label,
        "lag": point.lag,
        "length": point.length,
        "cell": point.cell,
        "readout": point.readout,
        "at": point.at,
        "u_exist": point.u_exist,
        "u75_observed": point.most(0.75),
    }
    for name, width in (("u50", f.u50), ("u90", f.u90), ("u50_trained", t.u50), ("u90_trained", t.u90)):
        row |= ends(name, width)
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
        "until": point.evaluation.until,
        "steps_median": point.steps,
        "stretch": point.evaluation.stretch,
        "stretched_median": point.stretched,
        "counts": " ".join(
            f"{u}:{s}/{n}" for u, s, n in zip(point.units, point.solved, point.runs, strict=True)
        ),
    }
