"""One task and lag of a frontier: what was counted, what was fitted to it, and what theory says beside it."""

import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np

from memcap.cells import cell_facts
from memcap.config import Evaluation, usual_until
from memcap.knobs import UserError, completed
from memcap.models.constructed import constructed_units
from memcap.recipes import Recipe, recipe_file
from memcap.store.rows import At
from memcap.tasks import Task, information_floor, one_per_number
from memcap.terminal.printing import number
from memcap.thresholds.curve import Fit, Posterior, Threshold, posterior


@dataclass(frozen=True)
class Point:
    """One task and lag of a frontier.

    Args:
        task: the task with its knobs; lag, length: what was trained; cell, readout, layers, initial_carry: of
            the network.
        threshold, evaluation: what decides the verdicts (memcap/training/early_stopping.py).
        recipe: the recipe that was used, as a dict of its columns; recipes: how many competed.
        at: the verdict that `solved`, `fit`, `posterior`, `u_exist` and `steps` are of: "steady", or
            "trained" (solved at the trained length), which is the only one where the task is no stream and
            members were not trained until steady.
        u_exist: smallest width at which any seed passed, with any recipe; None if none did.
        units, solved, runs: counts by width, ascending.
        fit: thresholds with intervals.
        trained: thresholds of the members solved at the trained length; `fit` itself where `at` is "trained".
        solved_trained: counts of the members solved at the trained length.
        steps: median steps to the verdict over all members that passed; None if none did.
        stretched: median score of the solved members at `evaluation.stretch` times the lag; None if none was.
        stretched_by_width: the same by width.
        seconds: that all its members trained, one after the other.
    """

    task: Task
    lag: int
    length: int
    cell: str
    readout: str
    layers: int
    initial_carry: str
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
    trained: Fit
    solved_trained: tuple[int, ...]
    steps: float | None
    stretched: float | None
    stretched_by_width: tuple[float | None, ...]
    seconds: float

    @cached_property
    def posterior(self) -> Posterior:
        """What `fit` is of, for any other share."""
        return posterior(self.units, self.solved, self.runs)

    def most(self, share: float) -> int | None:
        """The smallest width at which at least this share of the seeds passed; None if none did."""
        counts = zip(self.units, self.solved, self.runs, strict=True)
        return next((u for u, s, n in counts if s >= share * n), None)

    def passed_from(self, units: int) -> tuple[int, int]:
        """How many seeds passed at this width and wider ones, and of how many."""
        counts = zip(self.units, self.solved, self.runs, strict=True)
        wide = [(s, n) for u, s, n in counts if u >= units]
        return sum(s for s, _ in wide), sum(n for _, n in wide)

    def stretched_at(self, units: int) -> tuple[int, float] | None:
        """The nearest width tried at or above this one, and the median stretched score of its solved members.

        None if no such width was tried, or no member of it was solved.
        """
        width, score = next(
            ((u, s) for u, s in zip(self.units, self.stretched_by_width, strict=True) if u >= units),
            (0, None),
        )
        return None if score is None else (width, score)

    @property
    def numbers_per_unit(self) -> int:
        """Carry numbers that each unit of width brings: of the cell, times the layers."""
        return self.layers * cell_facts(self.cell, self.task.features).numbers_per_unit

    @property
    def net(self) -> str:
        """The cell, how many layers there are of it, if several, and whether their initial carry is
        learned."""
        layers = "" if self.layers == 1 else f", {self.layers} layers"
        return self.cell + layers + ", learned initial carry" * (self.initial_carry == "learned")

    @property
    def references(self) -> "References":
        """What theory says of this task and lag."""
        return references(self.task, self.lag, self.length, self.cell, self.layers)

    @property
    def measured(self) -> bool:
        """Whether u90 is a number: not censored, or 1, below which there is no net."""
        return self.fit.u90.is_number(self.units[0])

    @property
    def trains(self) -> bool:
        """Whether the recipe trains the task at all: at some width at least half of the seeds passed, or
        counts rise with the width. Where it does not, widths say nothing."""
        if any(2 * s >= n for s, n in zip(self.solved, self.runs, strict=True)):
            return True
        solved, runs, x = np.array(self.solved), np.array(self.runs), np.log2(self.units)
        mean = solved.sum() / runs.sum()
        off = x - runs @ x / runs.sum()
        spread = mean * (1 - mean) * (runs @ off**2)
        return bool(spread > 0 and (solved @ off) ** 2 > spread and solved @ off > 0)

    @property
    def network(self) -> tuple[Any, ...]:
        """The net but for its width: cell, read-out, layers, initial carry."""
        return self.cell, self.readout, self.layers, self.initial_carry

    @property
    def place(self) -> tuple[Any, ...]:
        """What the recipes that compete have in common."""
        return self.task, self.lag, self.length, self.network, self.threshold, self.evaluation

    @property
    def label(self) -> str:
        """Name of the line in a table or figure: the task, and what is not the default."""
        others = [f"T={self.length}"] * (self.length != self.task.length(self.lag)) + _unusual(
            self.task, self.evaluation
        )
        network = {"layers": self.layers, "initial_carry": self.initial_carry}
        return label(self.task, self.cell, self.readout, *others, **network)

    @property
    def usual(self) -> bool:
        """Whether it was measured at the task's own length, and trained and judged by the usual rule."""
        return self.length == self.task.length(self.lag) and not _unusual(self.task, self.evaluation)


def _unusual(task: Task, ours: Evaluation) -> list[str]:
    """What of an evaluation is not the default and bears on a verdict, in words."""
    rule, until = Evaluation(), usual_until(task)
    stretches = task.stream or ours.until == "steady"
    differences = [f"{ours.sequences} sequences"] * (ours.sequences != rule.sequences)
    differences += [f"{ours.successive} successive"] * (ours.successive != rule.successive)
    differences += [f"stretch {ours.stretch}"] * (stretches and ours.stretch != rule.stretch)
    return differences + [f"trained until {ours.until}"] * (ours.until != until)


@dataclass(frozen=True)
class References:
    """Widths that need no training: see the words of the same names in memcap.tasks.base and
    memcap.models.constructed."""

    bits: float
    information_floor: int
    one_per_number: int
    constructed: int | None


def references(
    task: Task, lag: int, length: int | None = None, cell: str = "lstm", layers: int = 1
) -> References:
    """Reference widths of a task at a lag and length (the task's own by default), for layers of a cell.
    Hand-set weights are known for one layer alone."""
    facts = task.facts(lag, task.length(lag) if length is None else length)
    carry = cell_facts(cell, task.features)
    floor = information_floor(task, facts, layers * carry.bits_per_unit)
    hand_set = constructed_units(task, lag) if carry.is_lstm and layers == 1 else None
    return References(facts.bits, floor, one_per_number(facts, layers * carry.numbers_per_unit), hand_set)


def label(
    task: Task,
    cell: str = "lstm",
    readout: str = "dense",
    *others: str,
    layers: int = 1,
    initial_carry: str = "fixed",
) -> str:
    """The task's name with the knobs that differ from their defaults, then the cell, read-out, layers and
    initial carry likewise, then `others`."""
    return in_words(task, *set_knobs(task), *network_words(cell, readout, layers, initial_carry), *others)


def in_words(task: Task, *parts: str) -> str:
    """The task's name, and in brackets what else there is to say."""
    return task.name + (f" ({', '.join(parts)})" if parts else "")


def network_words(
    cell: str, readout: str = "dense", layers: int = 1, initial_carry: str = "fixed"
) -> list[str]:
    """What of a net is not the default."""
    return [
        *[cell] * (cell != "lstm"),
        *[f"readout={readout}"] * (readout != "dense"),
        *[f"layers={layers}"] * (layers != 1),
        *[f"initial_carry={initial_carry}"] * (initial_carry != "fixed"),
    ]


def set_knobs(task: Task) -> list[str]:
    """The task's knobs that differ from their defaults, as NAME=VALUE."""
    return [f"{k}={v}" for k, v in vars(task).items() if v != vars(type(task)())[k]]


def recipe_words(point: Point) -> list[str]:
    """The recipe of a point as words of a command: its name, and the values that its file has otherwise."""
    name = point.recipe["recipe"]
    words = [f"recipe={name}"]
    try:
        in_file = completed(Recipe, recipe_file(name))
    except UserError:  # a user's own, whose folder is not here
        return words
    for field in fields(Recipe):
        value = point.recipe.get(field.name)
        if field.name == "forget_bias" and point.recipe["init"] != "forget_bias":
            continue  # it comes with the start
        if field.name in point.recipe and value is not None and value != in_file.get(field.name):
            words.append(
                f"recipe.{field.name}={value:g}"
                if isinstance(value, float)
                else f"recipe.{field.name}={value}"
            )
    return words


def evaluation_words(point: Point) -> list[str]:
    """What of a point's evaluation is not the default, as words of a command."""
    usual, ours = Evaluation(), point.evaluation
    words = [
        f"evaluation.{name}={getattr(ours, name)}"
        for name in ("every", "sequences", "successive", "stretch")
        if getattr(ours, name) != getattr(usual, name)
    ]
    return words + [f"evaluation.until={ours.until}"] * (ours.until != usual_until(point.task))


def closing(point: Point) -> str | None:
    """What would close the open ends of the intervals of u50 and u90: which seeds to train. None: all are
    closed."""
    low, high, units = point.fit.u50.low == 0, math.isinf(point.fit.u90.high), point.units
    if not low and not high:
        return None
    if point.fit.u50.censored == "below":
        return (
            f"train 8 seeds at {max(1, units[0] // 2)} to {units[0]} units"
            if low
            else f"train {2 * point.seeds} seeds at {units[0]} units"
        )
    under = [u for u in units if u < point.fit.u50.units]
    over = [u for u in units if u >= point.fit.u90.units]
    first = under[-1] if low and under else math.floor(point.fit.u50.units)
    last = over[0] if over else units[-1]
    if high:
        last = max(last, math.ceil(1.25 * units[-1]))
    few = [n for u, n in zip(units, point.runs, strict=True) if first <= u <= last]
    seeds = 8 if min(few, default=0) < 8 else 16
    return f"train {seeds} seeds at {first} to {last} units"


def interval_text(width: Threshold) -> str:
    """A threshold with its interval, "open" at an end without bound; "<=" or ">" where it is censored."""
    low = "open" if width.low == 0 else number(width.low)
    high = "open" if math.isinf(width.high) else number(width.high)
    units = {"no": "", "below": "<= ", "above": "> "}[width.censored] + number(width.units)
    return units if width.low == width.high or (low, high) == ("open", "open") else f"{units} [{low}, {high}]"


def ends(name: str, width: Threshold) -> dict[str, Any]:
    """A threshold as columns that begin with `name`: its width, the ends of its interval (null where open),
    its censoring."""
    return {
        name: width.units,
        f"{name}_low": None if width.low == 0 else width.low,
        f"{name}_high": None if math.isinf(width.high) else width.high,
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
        "layers": point.layers,
        "at": point.at,
        "u_exist": point.u_exist,
        "u75_observed": point.most(0.75),
    }
    for name, width in (("u50", f.u50), ("u90", f.u90), ("u50_trained", t.u50), ("u90_trained", t.u90)):
        row |= ends(name, width)
    return row | {
        "lapse": f.lapse,
        "trains": point.trains,
        "misfit": f.misfit,
        "fits": f.fits,
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
