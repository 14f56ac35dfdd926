"""Points of a frontier: the counts at one task and lag, the thresholds fitted to them,
and theory's reference widths."""

import math
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
from memcap.tasks import Task, information_floor, least_bits, one_per_number
from memcap.thresholds.curve import Counts, Fit, Posterior, Threshold, counts, no_easier
from memcap.thresholds.falls import before, fit_counts, rising_posterior

DEFAULT_MODEL = Model()


@dataclass(frozen=True)
class Point:
    """One task and lag of a frontier: how many seeds passed at each width."""

    task: Task  # with its knobs
    lag: int  # of the training, as is the length
    length: int
    model: Model  # what all widths have in common, at one unit
    criterion: float
    evaluation: Evaluation
    recipe: ResolvedRecipe  # the best of those that competed
    recipes: int  # how many did
    # The verdict that counts as a pass: "up_to", "steady", or "trained" (solved at the
    # trained length).
    at: At
    u_exist: int | None  # narrowest width at which any seed passed, with any recipe
    units: tuple[int, ...]  # W widths, ascending; the next three are (W,) counts
    solved: tuple[int, ...]  # that passed
    solved_trained: tuple[int, ...]  # that are solved at the trained length
    runs: tuple[int, ...]
    seeds: int  # most at a width
    steps: float | None  # median until the verdict
    stretched: float | None  # median score of solved members at the stretched lag
    stretched_by_width: tuple[float | None, ...]
    final_by_width: tuple[float | None, ...]  # median last score; None: all diverged
    seconds: float  # of training, all members together
    confidence: float = 0.95  # of the fits' intervals

    @cached_property
    def trained(self) -> Fit:
        """The thresholds of members that are solved at the trained length."""
        return fit_counts(self.units, self.solved_trained, self.runs, self.confidence)

    @cached_property
    def fit(self) -> Fit:
        """The thresholds of members that passed."""
        if self.solved == self.solved_trained:
            return self.trained
        strict = fit_counts(self.units, self.solved, self.runs, self.confidence)
        return no_easier(strict, self.trained)  # who passes is solved, too

    @cached_property
    def counts(self) -> Counts:
        """The counts of members that passed."""
        return counts(self.units, self.solved, self.runs)

    @cached_property
    def rise(self) -> Counts:
        """The counts to which `fit` is fitted: those of the widths before a fall."""
        return before(self.counts, self.fit.fall)

    @property
    def rise_trained(self) -> Counts:
        """The same widths, with the members that are solved at the trained length."""
        solved = counts(self.units, self.solved_trained, self.runs)
        return before(solved, self.fit.fall)

    @property
    def posterior(self) -> Posterior:
        """The posterior of `fit`, for any share of the seeds."""
        return rising_posterior(self.units, self.solved, self.runs)

    def narrowest(self, share: float) -> int | None:
        """Return the narrowest width at which this share of the seeds passed."""
        by_width = zip(self.units, self.solved, self.runs, strict=True)
        return next((u for u, s, n in by_width if s >= share * n), None)

    def passed_from(self, units: int) -> tuple[int, int]:
        """Count the seeds that passed, and all, from this width to `widest_from`."""
        widest = self.widest_from(units)
        wide = [k for k, u in enumerate(self.units) if units <= u <= widest]
        return sum(self.solved[k] for k in wide), sum(self.runs[k] for k in wide)

    def widest_from(self, units: int) -> int:
        """Return the widest width that counts with this one: the last before a fall."""
        fall = self.fit.fall
        return fall.last if fall and units <= fall.last else self.units[-1]

    def stretched_at(self, units: int) -> tuple[int, float] | None:
        """Return the nearest width from this one on, and its stretched score."""
        by_width = zip(self.units, self.stretched_by_width, strict=True)
        width, score = next((pair for pair in by_width if pair[0] >= units), (0, None))
        return None if score is None else (width, score)

    @property
    def numbers_per_unit(self) -> int:
        """Carry numbers that a unit of width adds, in all layers."""
        facts = cell_facts(self.model.cell, self.task.features)
        return self.model.layers * facts.numbers_per_unit

    @property
    def references(self) -> "References":
        """The widths that theory gives."""
        return references(self.task, self.lag, self.length, self.model)

    @property
    def measured(self) -> bool:
        """True if u90 is a number: not censored, or 1, the narrowest net."""
        return self.fit.u90.is_number(self.units[0])

    @cached_property
    def trains(self) -> bool:
        """True if the recipe trains the task at all: half of the seeds pass at some
        width, or more pass at greater widths. Otherwise the widths say nothing."""
        if self.narrowest(0.5) is not None:
            return True
        solved = np.array(self.solved)
        runs = np.array(self.runs)
        x = np.log2(self.units)
        mean = solved.sum() / runs.sum()
        off = x - runs @ x / runs.sum()
        spread = mean * (1 - mean) * (runs @ off**2)
        rise = solved @ off
        return bool(rise > 0 and spread > 0 and rise**2 > spread)

    @property
    def place(self) -> tuple[Any, ...]:
        """What competing recipes have in common."""
        net = (self.task, self.lag, self.length, self.model)
        return (*net, self.criterion, self.evaluation)

    @property
    def label(self) -> str:
        """Name of the line in a table or figure: the task, values that are not the
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
        """True if it has the task's own length, and the usual rule."""
        return self.length == self.task.length(self.lag) and not self._unusual

    @property
    def _unusual(self) -> list[str]:
        """Values of the evaluation that are not the default and affect the verdict."""
        values = self.evaluation.differences(usual_evaluation(self.task))
        values.pop("every", None)
        if not self.task.stream and self.evaluation.until != "steady":
            values.pop("stretch", None)
        if self.at == "up_to":
            values.pop("until")
        forms = {
            "sequences": "{} sequences",
            "successive": "{} successive",
            "until": "trained until {}",
        }
        return [forms.get(k, f"{k} {{}}").format(v) for k, v in values.items()]

    @property
    def evaluation_words(self) -> list[str]:
        """Values of the evaluation that are not the default, as words of a command."""
        values = self.evaluation.differences(usual_evaluation(self.task))
        return [f"evaluation.{name}={value}" for name, value in values.items()]

    def recipe_columns(self, *names: str) -> dict[str, Any]:
        """Return values of the recipe by their names in rows."""
        attributes = {"recipe": "name"}
        return {k: getattr(self.recipe, attributes.get(k, k)) for k in names}


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
    by_hand = carry.is_lstm and model.layers == 1
    return References(
        facts.bits,
        least_bits(task, facts),
        information_floor(task, facts, model.layers * carry.bits_per_unit),
        one_per_number(facts, model.layers * carry.numbers_per_unit),
        constructed_units(task, lag) if by_hand else None,
    )


def label(task: Task, model: Model = DEFAULT_MODEL, *others: str) -> str:
    """Return the task's name, and in brackets its knobs, the net's values as set, and `others`."""
    words = [*set_words(task), *model.words, *others]
    return task.name + (f" ({', '.join(words)})" if words else "")


def of_network(rows: pl.DataFrame, model: Model) -> pl.DataFrame:
    """Return the rows of a network, of any width."""
    values = field_values(model)
    del values["units"]
    return rows.filter(**values)


def ends(name: str, width: Threshold) -> dict[str, Any]:
    """Return a threshold as columns NAME, NAME_low and NAME_high, null if open, and
    NAME_censored."""
    return {
        name: width.units,
        f"{name}_low": None if width.low == 0 else width.low,
        f"{name}_high": None if math.isinf(width.high) else width.high,
        f"{name}_censored": width.censored,
    }


def counts_text(point: Point) -> str:
    """Write the counts by width: "4:0/8 5:3/8"."""
    by_width = zip(point.units, point.solved, point.runs, strict=True)
    return " ".join(f"{u}:{s}/{n}" for u, s, n in by_width)


def columns(point: Point) -> dict[str, Any]:
    """Return a point as one flat row for a table or JSON; `u50` and `u90` are those of
    the verdict `at`."""
    fit = point.fit
    theory = point.references
    return {
        "task": point.task.name,
        "label": point.label,
        "lag": point.lag,
        "length": point.length,
        "cell": point.model.cell,
        "readout": point.model.readout,
        "layers": point.model.layers,
        "at": point.at,
        "u_exist": point.u_exist,
        "u75_observed": point.narrowest(0.75),
        **ends("u50", fit.u50),
        **ends("u90", fit.u90),
        **ends("u50_trained", point.trained.u50),
        **ends("u90_trained", point.trained.u90),
        "lapse": fit.lapse,
        "trains": point.trains,
        "misfit": fit.misfit,
        "fits": fit.fits,
        "falls_from": fit.fall.wider if fit.fall else None,
        "bits": theory.bits,
        "information_floor": theory.information_floor,
        "one_per_number": theory.one_per_number,
        "constructed": theory.constructed,
        **point.recipe_columns("recipe", "lr", "schedule", "budget"),
        "recipes": point.recipes,
        "seeds": point.seeds,
        "runs": sum(point.runs),
        "until": point.evaluation.until,
        "steps_median": point.steps,
        "stretch": point.evaluation.stretch,
        "stretched_median": point.stretched,
        "counts": counts_text(point),
    }
