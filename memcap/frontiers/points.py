"""Points of a frontier: the counts at one task and lag, the thresholds fitted to them,
and theory's reference widths."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import polars as pl

from memcap.cells import cell_facts
from memcap.config.knobs import field_values, set_words
from memcap.config.member import usual_evaluation
from memcap.config.recipes import ResolvedRecipe
from memcap.models.constructed import constructed_units
from memcap.models.model import Model
from memcap.rule import Evaluation
from memcap.store.rows import At
from memcap.tasks import FileTask, Task, information_floor, least_bits, one_per_number
from memcap.terminal.printing import number
from memcap.terminal.words import plural
from memcap.thresholds.curve import (
    Counts,
    Fall,
    Fit,
    Posterior,
    Threshold,
    counts,
    posterior,
)
from memcap.thresholds.falls import before, possible_fall

DEFAULT_MODEL = Model()
REACH = 4  # units on either side of the width at which most seeds passed


@dataclass(frozen=True)
class Point:
    """One task and lag of a frontier."""

    task: Task  # the task with its knobs
    lag: int  # of the training, as is the length
    length: int
    model: Model  # the network that all widths have in common, given at one unit
    threshold: float  # the criterion
    evaluation: Evaluation  # the rule of the verdicts (memcap/rule.py)
    recipe: ResolvedRecipe  # the recipe that was used
    recipes: int  # how many competed
    # the verdict of `solved`, `fit`, `posterior`, `u_exist` and `steps`: "up_to",
    # "steady", or "trained" (solved at the trained length), which is the only one if
    # the task is no stream and members were trained until solved
    at: At
    u_exist: (
        int | None
    )  # smallest width at which any seed passed, with any recipe; None if none did
    units: tuple[int, ...]  # widths, ascending; the next two are counts by width
    solved: tuple[int, ...]
    runs: tuple[int, ...]
    seeds: int
    fit: Fit  # thresholds with intervals
    # the same for members solved at the trained length; `fit` itself where `at` is
    # "trained"
    trained: Fit
    solved_trained: tuple[
        int, ...
    ]  # counts of the members solved at the trained length
    steps: (
        float | None
    )  # median steps to the verdict over all members that passed; None if none did
    stretched: (
        float | None
    )  # median score of the solved members at the stretched lag; None if none was
    stretched_by_width: tuple[float | None, ...]  # the same by width
    final_by_width: tuple[
        float | None, ...
    ]  # median last held-out score; None where all diverged
    seconds: float  # training time of all its members together

    @cached_property
    def posterior(self) -> Posterior:
        """The posterior from which `fit` is read; gives the width for any other share
        of seeds, too."""
        rise = self.rise(self.solved)
        return posterior(rise.widths, rise.solved, rise.runs)

    def rise(self, solved: Sequence[int]) -> Counts:
        """Return the part of some counts to which `fit` is fitted: the widths before a fall."""
        return before(counts(self.units, solved, self.runs), self.fit.fall)

    @cached_property
    def possible_fall(self) -> Fall | None:
        """The width from which wider nets may fail more; `fit.fall` is set if they do."""
        return possible_fall(counts(self.units, self.solved, self.runs))

    @property
    def around_best(self) -> tuple[int, int]:
        """The first and last width to try around the one at which most seeds passed."""
        shares = [(s / n, n) for s, n in zip(self.solved, self.runs, strict=True)]
        tried = (0, *self.units, self.units[-1] + 1)
        best = shares.index(max(shares)) + 1
        return max(tried[best - 1] + 1, tried[best] - REACH), min(
            tried[best + 1] - 1, tried[best] + REACH
        )

    def most(self, share: float) -> int | None:
        """Return the smallest width at which at least this share of the seeds passed;
        None if none did."""
        counts = zip(self.units, self.solved, self.runs, strict=True)
        return next((u for u, s, n in counts if s >= share * n), None)

    def passed_from(self, units: int) -> tuple[int, int]:
        """Count the seeds that passed from this width up to a fall of the counts, and
        all trained there."""
        widest = self.widest_from(units)
        counts = zip(self.units, self.solved, self.runs, strict=True)
        wide = [(s, n) for u, s, n in counts if units <= u <= widest]
        return sum(s for s, _ in wide), sum(n for _, n in wide)

    def widest_from(self, units: int) -> int:
        """Return the widest width that may be counted with this one: the last before a fall."""
        fall = self.fit.fall
        return fall.last if fall is not None and units <= fall.last else self.units[-1]

    def stretched_at(self, units: int) -> tuple[int, float] | None:
        """Return the nearest width from this one on, and the median stretched score
        there, or None."""
        scores = zip(self.units, self.stretched_by_width, strict=True)
        width, score = next(((u, s) for u, s in scores if u >= units), (0, None))
        return None if score is None else (width, score)

    @property
    def numbers_per_unit(self) -> int:
        """Carry numbers that each unit of width adds: the cell's, times the layers."""
        return (
            self.model.layers
            * cell_facts(self.model.cell, self.task.features).numbers_per_unit
        )

    @property
    def references(self) -> "References":
        """The reference widths of this task and lag."""
        return references(self.task, self.lag, self.length, self.model)

    @property
    def measured(self) -> bool:
        """True if u90 is a number: not censored, or 1, below which there is no net."""
        return self.fit.u90.is_number(self.units[0])

    @property
    def trains(self) -> bool:
        """True if the recipe trains the task at all: at some width at least half of the
        seeds passed, or counts rise with the width. Otherwise widths say nothing."""
        if any(2 * s >= n for s, n in zip(self.solved, self.runs, strict=True)):
            return True
        solved = np.array(self.solved)
        runs = np.array(self.runs)
        x = np.log2(self.units)
        mean = solved.sum() / runs.sum()
        off = x - runs @ x / runs.sum()
        spread = mean * (1 - mean) * (runs @ off**2)
        return bool(spread > 0 and (solved @ off) ** 2 > spread and solved @ off > 0)

    @property
    def place(self) -> tuple[Any, ...]:
        """Everything that competing recipes have in common."""
        return (
            self.task,
            self.lag,
            self.length,
            self.model,
            self.threshold,
            self.evaluation,
        )

    @property
    def label(self) -> str:
        """Name of the line in a table or figure: the task, all values that are not the
        default, and "every lag" if the verdict is about all lags up to its own."""
        return self._label(*["every lag"] * (self.at == "up_to"))

    @property
    def subject(self) -> str:
        """The label without "every lag", for a sentence that says which lags count."""
        return self._label()

    def _label(self, *others: str) -> str:
        length = [f"T={self.length}"] * (self.length != self.task.length(self.lag))
        return label(self.task, self.model, *length, *self._unusual, *others)

    @property
    def usual(self) -> bool:
        """True if it was measured at the task's own length, and trained and judged by
        the usual rule."""
        return self.length == self.task.length(self.lag) and not self._unusual

    @property
    def _unusual(self) -> list[str]:
        """The values of the evaluation that are not the default and affect the verdict,
        in words."""
        values = self.evaluation.unlike(usual_evaluation(self.task))
        if not (self.task.stream or self.evaluation.until == "steady"):
            values.pop("stretch", None)
        if self.at == "up_to":
            values.pop("until")
        forms = {
            "sequences": "{} sequences",
            "successive": "{} successive",
            "until": "trained until {}",
        }
        return [
            forms.get(name, name + " {}").format(v)
            for name, v in values.items()
            if name != "every"
        ]

    @property
    def evaluation_words(self) -> list[str]:
        """The values of the evaluation that are not the default, as words of a command."""
        values = self.evaluation.unlike(usual_evaluation(self.task))
        return [f"evaluation.{name}={value}" for name, value in values.items()]

    def recipe_columns(self, *names: str) -> dict[str, Any]:
        """Return some values of the recipe under the names that they have in rows."""
        return {
            name: getattr(self.recipe, "name" if name == "recipe" else name)
            for name in names
        }


@dataclass(frozen=True)
class References:
    """Widths that need no training: see memcap.tasks.base and memcap.models.constructed."""

    bits: float
    least_bits: float
    information_floor: int
    one_per_number: int
    constructed: int | None


def references(
    task: Task, lag: int, length: int | None = None, model: Model = DEFAULT_MODEL
) -> References:
    """Return the reference widths of a task at a lag and length (by default the task's
    own), for a net. Hand-set weights are known only for one layer."""
    facts = task.facts(lag, task.length(lag) if length is None else length)
    carry = cell_facts(model.cell, task.features)
    floor = information_floor(task, facts, model.layers * carry.bits_per_unit)
    hand_set = (
        constructed_units(task, lag) if carry.is_lstm and model.layers == 1 else None
    )
    each = one_per_number(facts, model.layers * carry.numbers_per_unit)
    return References(facts.bits, least_bits(task, facts), floor, each, hand_set)


def label(task: Task, model: Model = DEFAULT_MODEL, *others: str) -> str:
    """Return the task's name, and in brackets its knobs, the net's values as set, and `others`."""
    words = [*set_words(task), *model.words, *others]
    return task.name + (f" ({', '.join(words)})" if words else "")


def of_network(rows: pl.DataFrame, model: Model) -> pl.DataFrame:
    """Return the rows of a network, of any width."""
    return rows.filter(
        **{
            name: value
            for name, value in field_values(model).items()
            if name != "units"
        }
    )


def fall_words(fall: Fall, which: str = "wider nets") -> str:
    """Say that some nets fail more than narrower ones, with the counts."""
    few = (
        f"{fall.wider_passed} of {fall.wider_runs} passed with"
        f" {widths_words(fall.wider, fall.widest)}"
    )
    more = f"{fall.passed} of {fall.runs} with {widths_words(fall.first, fall.last)}"
    return f"{which} fail more: {few} units, {more}"


def widths_words(first: int, last: int) -> str:
    """Return a range of widths in words."""
    if first == last:
        return str(first)
    return f"{first} {'or' if last == first + 1 else 'to'} {last}"


def closing(point: Point) -> str | None:
    """Say which seeds to train to close the open ends of the intervals of u50 and u90;
    None: none is."""
    low = point.fit.u50.low == 0
    high = math.isinf(point.fit.u90.high)
    units = point.units
    if not low and not high:
        return None
    if point.fit.u50.censored == "below":
        seeds, first = (
            (8, max(1, units[0] // 2)) if low else (2 * point.seeds, units[0])
        )
        return f"train {seeds} seeds {_at(first, units[0])}"
    under = [u for u in units if u < point.fit.u50.units]
    over = [u for u in units if u >= point.fit.u90.units]
    first = under[-1] if low and under else math.floor(point.fit.u50.units)
    last = over[0] if over else units[-1]
    if high:
        last = max(last, math.ceil(1.25 * units[-1]))
    few = [n for u, n in zip(units, point.runs, strict=True) if first <= u <= last]
    seeds = 8 if min(few, default=0) < 8 else 16
    return f"train {seeds} seeds {_at(first, last)}"


def _at(first: int, last: int) -> str:
    return (
        f"at {first} to {last} units" if first < last else f"at {plural(last, 'unit')}"
    )


def scores_words(point: Point) -> str:
    """Return what nets of each width scored at last, and what else could compare the widths."""
    scores = zip(point.units, point.final_by_width, strict=True)
    texts = [f"{units}:{number(score) or 'diverged'}" for units, score in scores]
    words = f"median {point.task.metric} at the end, by units: {' '.join(texts)}"
    if isinstance(point.task, FileTask):
        return f"{words}; {point.task.mend_unsolved}"
    return words


def interval_text(width: Threshold, write: Callable[[float], str] = number) -> str:
    """Return a threshold with its interval in words: "open" for an end, "<=" or ">" if
    it is censored."""
    low = "open" if width.low == 0 else write(width.low)
    high = "open" if math.isinf(width.high) else write(width.high)
    units = {"no": "", "below": "<= ", "above": "> "}[width.censored] + write(
        width.units
    )
    return (
        units
        if width.low == width.high or (low, high) == ("open", "open")
        else f"{units} [{low}, {high}]"
    )


def ends(name: str, width: Threshold) -> dict[str, Any]:
    """Return a threshold as columns NAME, NAME_low and NAME_high, null if open, and
    NAME_censored."""
    return {
        name: width.units,
        f"{name}_low": None if width.low == 0 else width.low,
        f"{name}_high": None if math.isinf(width.high) else width.high,
        f"{name}_censored": width.censored,
    }


def columns(point: Point) -> dict[str, Any]:
    """Return a point as one flat row for a table or JSON; `u50` and `u90` are those of
    the verdict `at`."""
    f = point.fit
    t = point.trained
    r = point.references
    row: dict[str, Any] = {
        "task": point.task.name,
        "label": point.label,
        "lag": point.lag,
        "length": point.length,
        **{name: getattr(point.model, name) for name in ("cell", "readout", "layers")},
        "at": point.at,
        "u_exist": point.u_exist,
        "u75_observed": point.most(0.75),
    }
    for name, width in (
        ("u50", f.u50),
        ("u90", f.u90),
        ("u50_trained", t.u50),
        ("u90_trained", t.u90),
    ):
        row |= ends(name, width)
    return row | {
        "lapse": f.lapse,
        "trains": point.trains,
        "misfit": f.misfit,
        "fits": f.fits,
        "falls_from": None if f.fall is None else f.fall.wider,
        "bits": r.bits,
        "information_floor": r.information_floor,
        "one_per_number": r.one_per_number,
        "constructed": r.constructed,
        **point.recipe_columns("recipe", "lr", "schedule", "budget"),
        "recipes": point.recipes,
        "seeds": point.seeds,
        "runs": sum(point.runs),
        "until": point.evaluation.until,
        "steps_median": point.steps,
        "stretch": point.evaluation.stretch,
        "stretched_median": point.stretched,
        "counts": " ".join(
            f"{u}:{s}/{n}"
            for u, s, n in zip(point.units, point.solved, point.runs, strict=True)
        ),
    }
