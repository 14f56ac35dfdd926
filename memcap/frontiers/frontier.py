"""The frontier: the units that each task needs at each lag, from the rows of trained
members.

It says what training reached under a verdict, a budget and a recipe, never what a
network could hold. The verdict, `at`, decides which members pass:

* "trained": those solved at the length at which they were trained.
* "steady": those that also pass on sequences of `evaluation.stretch` times the lag.
* "up_to": those solved that are also right at every shorter lag.
* "anywhere": likewise, wherever in a sequence the task begins.

Each applies to members trained until it, and "steady" to streams (`Task.stream`), too;
for others the one above it is used.

At each lag the recipe with the smallest u90, then u50, then the most passes sets the
frontier, of those with the most seeds; otherwise one lucky run would. The point says
how many competed, because the best of several looks better than it is.
"""

import math
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, cast

import numpy as np
import polars as pl

from memcap.cells import cell_facts
from memcap.config.member import usual_evaluation
from memcap.config.recipes import ResolvedRecipe
from memcap.knobs import field_values, grouped, set_words
from memcap.models.constructed import constructed_units
from memcap.models.model import Model
from memcap.rule import SHORTER_LAGS, Evaluation
from memcap.store.columns import (
    IDENTITY,
    Row,
    evaluation_of,
    model_of,
    recipe_of,
    task_of,
)
from memcap.store.rows import AT, IS_BY_LOSS, STEPS_TO, At, without_failed
from memcap.tasks import Task, information_floor, least_bits, least_rank, one_per_number
from memcap.terminal.words import finite
from memcap.thresholds.curve import Counts, Fit, Posterior, Threshold, counts, no_easier
from memcap.thresholds.falls import before, fit_counts, rising_posterior

DEFAULT_MODEL = Model()
COLUMNS = {"trained": "solved"}  # of rows, where a verdict has another name there


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
    # The verdict that counts as a pass: "anywhere", "up_to", "steady", or "trained"
    # (solved at the trained length).
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
    seconds_by_width: tuple[float, ...]  # of training, all members of a width
    confidence: float = 0.95  # of the fits' intervals

    @cached_property
    def trained_fit(self) -> Fit:
        return fit_counts(self.units, self.solved_trained, self.runs, self.confidence)

    @cached_property
    def fit(self) -> Fit:
        if self.solved == self.solved_trained:
            return self.trained_fit
        strict = fit_counts(self.units, self.solved, self.runs, self.confidence)
        return no_easier(strict, self.trained_fit)  # who passes is solved, too

    @cached_property
    def counts(self) -> Counts:
        return counts(self.units, self.solved, self.runs)

    @cached_property
    def rise(self) -> Counts:
        """The counts to which `fit` is fitted, those before a fall."""
        return before(self.counts, self.fit.fall)

    @property
    def rise_trained(self) -> Counts:
        """The same widths, with the members that are solved at the trained length."""
        solved = counts(self.units, self.solved_trained, self.runs)
        return before(solved, self.fit.fall)

    @property
    def posterior(self) -> Posterior:
        return rising_posterior(self.units, self.solved, self.runs)

    @property
    def seconds(self) -> float:
        return sum(self.seconds_by_width)

    @property
    def by_width(self) -> list[tuple[int, int, int]]:
        """Units, the seeds that passed, and all seeds, the narrowest width first."""
        return list(zip(self.units, self.solved, self.runs, strict=True))

    def narrowest(self, share: float) -> int | None:
        """Return the narrowest width at which this share of the seeds passed."""
        return next((u for u, s, n in self.by_width if s >= share * n), None)

    def passed(self, units: int) -> tuple[int, int]:
        """Count the seeds that passed, and all, of a width."""
        place = self.units.index(units)
        return self.solved[place], self.runs[place]

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
        return references(self.task, self.lag, self.length, self.model)

    @property
    def measured(self) -> bool:
        """True if u90 was measured as a number: not censored, or 1."""
        return self.fit.u90.is_number(self.units[0])

    @cached_property
    def trains(self) -> bool:
        """True if the recipe trains the task at all: half of the seeds pass at some
        width, or more pass at greater widths."""
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
        """The values that competing recipes have in common."""
        net = (self.task, self.lag, self.length, self.model)
        return (*net, self.criterion, self.evaluation)

    @property
    def label(self) -> str:
        """Name of the line in a table or figure: the task, values that are not the
        default, and "every lag" or "anywhere" if the verdict is about all lags up to
        its own."""
        if self.at not in SHORTER_LAGS:
            return self._label()
        begins_anywhere = self.at == "anywhere" and self.task.filler
        return self._label("anywhere" if begins_anywhere else "every lag")

    @property
    def subject(self) -> str:
        """The label without "every lag" or "anywhere"."""
        return self._label()

    def _label(self, *others: str) -> str:
        length = [f"T={self.length}"] * (self.length != self.task.length(self.lag))
        return label(self.task, self.model, *length, *self._unusual, *others)

    @property
    def usual(self) -> bool:
        return self.length == self.task.length(self.lag) and not self._unusual

    @property
    def _unusual(self) -> list[str]:
        """Values of the evaluation that are not the default and affect the verdict."""
        values = self.evaluation.differences(usual_evaluation(self.task))
        values.pop("every", None)
        if not self.task.stream and self.evaluation.until != "steady":
            values.pop("stretch", None)
        if self.at in SHORTER_LAGS:
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

    def recipe_columns(self, *names: str) -> Row:
        attributes = {"recipe": "name"}
        return {k: getattr(self.recipe, attributes.get(k, k)) for k in names}


@dataclass(frozen=True)
class References:
    """Widths that need no training: see memcap.tasks.base and memcap.models.constructed."""

    bits: float
    least_bits: float
    information_floor: int
    readout_floor: int
    one_per_number: int
    linear_floor: int | None  # of cells linear in their inputs; None: unknown
    constructed: int | None


def references(
    task: Task, lag: int, length: int | None = None, model: Model = DEFAULT_MODEL
) -> References:
    """Return the reference widths of a task at a lag and length. Hand-set weights are
    known only for one layer."""
    facts = task.facts(lag, task.length(lag) if length is None else length)
    carry = cell_facts(model.cell, task.features)
    by_hand = carry.is_lstm and model.layers == 1
    numbers = model.layers * carry.numbers_per_unit
    readout, linear = 1, None
    if model.readout == "dense":
        readout = least_rank(facts.variances, facts.threshold)
        if numbers and facts.independent and task.loss == "values":
            held = [facts.chance] * facts.held
            linear = math.ceil(least_rank(held, facts.threshold) / numbers)
    return References(
        facts.bits,
        least_bits(task, facts),
        information_floor(task, facts, model.layers * carry.bits_per_unit),
        readout,
        one_per_number(facts, numbers),
        linear,
        constructed_units(task, lag) if by_hand else None,
    )


def label(task: Task, model: Model = DEFAULT_MODEL, *others: str) -> str:
    """Return the task's name, and in brackets its knobs, the net's values as set, and
    `others`."""
    words = [*set_words(task), *model.words, *others]
    return task.name + (f" ({', '.join(words)})" if words else "")


def of_network(rows: pl.DataFrame, model: Model) -> pl.DataFrame:
    """Return the rows of a network, of any width."""
    values = field_values(model)
    del values["units"]
    return rows.filter(**values)


def ends(name: str, width: Threshold) -> Row:
    """Return a threshold as columns NAME, NAME_low and NAME_high, null if open, and
    NAME_censored."""
    return {
        name: width.units,
        f"{name}_low": width.low or None,
        f"{name}_high": finite(width.high),
        f"{name}_censored": width.censored,
    }


def counts_text(point: Point) -> str:
    """Write the counts by width: "4:0/8 5:3/8"."""
    return " ".join(f"{u}:{s}/{n}" for u, s, n in point.by_width)


def columns(point: Point) -> Row:
    """Return a point as one flat row; `u50` and `u90` are those of the verdict `at`."""
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
        **ends("u50_trained", point.trained_fit.u50),
        **ends("u90_trained", point.trained_fit.u90),
        "lapse": fit.lapse,
        "trains": point.trains,
        "misfit": fit.misfit,
        "fits": fit.fits,
        "falls_from": fit.fall.wider if fit.fall else None,
        "bits": theory.bits,
        "information_floor": theory.information_floor,
        "readout_floor": theory.readout_floor,
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


def frontier(
    rows: pl.DataFrame,
    at: At = "anywhere",
    budget: int | None = None,
    confidence: float = 0.95,
) -> list[Point]:
    """Return the best recipe's point for each `Point.place`, by label, lag and length.

    Args:
        rows: trained members, as `memcap.store.read` returns them; one that diverged has
            no verdict that passes.
        at: the verdict that counts.
        budget: leave out recipes with more training steps than this; None: none.
        confidence: level of the intervals.
    """
    return best_recipes(fit_all_recipes(rows, at, budget, confidence))


def fit_all_recipes(
    rows: pl.DataFrame,
    at: At = "anywhere",
    budget: int | None = None,
    confidence: float = 0.95,
) -> list[Point]:
    """Return a point per place and recipe, for `frontier` to choose from."""
    rows = without_failed(rows).filter(~IS_BY_LOSS)
    if budget is not None:
        rows = rows.filter(pl.col("budget") <= budget)
    stretched = pl.col("stretched").filter("solved").median()
    widths = rows.group_by(*IDENTITY, "units").agg(
        pl.col(*STEPS_TO).sum(),
        pl.len().alias("runs"),
        pl.col("seed").n_unique().alias("seeds"),
        stretched,
        pl.col("final").median(),
        pl.col("run_seconds").sum(),
    )
    widths = widths.sort("units").group_by(IDENTITY, maintain_order=True).agg(pl.all())
    medians = rows.group_by(IDENTITY, maintain_order=True).agg(
        *(
            pl.col(steps).filter(verdict).median()
            for verdict, steps in STEPS_TO.items()
        ),
        stretched.alias("stretched_median"),
    )
    places = medians.join(
        widths, on=IDENTITY, how="left", nulls_equal=True, maintain_order="left"
    )
    points = [_point(row, at, confidence) for row in places.iter_rows(named=True)]
    return sorted(points, key=lambda p: (p.label, p.lag, p.length))


def best_recipes(points: Iterable[Point]) -> list[Point]:
    """Choose the best recipe's point for each `Point.place`; keep their order."""
    places = grouped(points, lambda point: point.place)
    return [_winner(recipes) for recipes in places.values()]


def _winner(points: list[Point]) -> Point:
    seeds = max(p.seeds for p in points)
    rivals = [p for p in points if p.seeds == seeds]
    # One seed that passed shows that a width is enough, whichever recipe trained it.
    widths = [p.u_exist for p in points if p.u_exist is not None]
    found = {"recipes": len(rivals), "u_exist": min(widths, default=None)}
    rivals = [replace(point, **found) for point in rivals]
    return min(rivals, key=_rank) if len(rivals) > 1 else rivals[0]


def _rank(point: Point) -> tuple[float, ...]:
    """Return a key that sorts by u90, then u50 (infinite if unreached), then passes."""
    thresholds = (point.fit.u90, point.fit.u50)
    units = [math.inf if t.censored == "above" else t.units for t in thresholds]
    return *units, -sum(point.solved)


def _verdict(at: At, task: Task, until: str) -> At:
    """Return the strictest verdict, up to `at`, that applies to members trained so."""
    if until in SHORTER_LAGS and AT.index(at) <= AT.index(until):
        return cast(At, until)
    if at != "trained" and (task.stream or until == "steady"):
        return "steady"
    return "trained"


def _point(row: Row, at: At, confidence: float) -> Point:
    task = task_of(row["task"], row["knobs"])
    verdict = _verdict(at, task, row["evaluation_until"])
    units = tuple(row["units"])
    column = COLUMNS.get(verdict, verdict)
    solved = tuple(row[column])
    passed = [u for u, count in zip(units, solved, strict=True) if count]
    return Point(
        task,
        row["lag"],
        row["length"],
        model_of(row),
        criterion=row["threshold"],
        evaluation=evaluation_of(row),
        recipe=recipe_of(row),
        recipes=1,
        at=verdict,
        u_exist=min(passed, default=None),
        units=units,
        solved=solved,
        solved_trained=tuple(row["solved"]),
        runs=tuple(row["runs"]),
        seeds=max(row["seeds"]),
        steps=row[STEPS_TO[column]],
        stretched=row["stretched_median"],
        stretched_by_width=tuple(row["stretched"]),
        final_by_width=tuple(row["final"]),
        seconds_by_width=tuple(row["run_seconds"]),
        confidence=confidence,
    )


def next_to(numbers: Collection[float], number: float) -> tuple[Any, ...]:
    """Return the greatest smaller number, if there is one, and the least greater
    one."""
    smaller = sorted(k for k in numbers if k < number)
    greater = sorted(k for k in numbers if k > number)
    return (*smaller[-1:], *greater[:1])


def longer_point(points: Iterable[Point], lag: int) -> Point | None:
    """Return the point whose recipe an unmeasured lag takes: of the next longer lag, as
    a recipe that trains a lag trains shorter ones, or else of the longest."""
    points = sorted(points, key=lambda p: p.lag)
    longest = points[-1] if points else None
    return next((p for p in points if p.lag >= lag), longest)
