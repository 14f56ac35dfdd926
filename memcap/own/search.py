"""The search for the units that a user's own sequences need; a rerun continues it.

Recipes race on one fold, at narrow and at wide widths. The winners train widths that
double, on all folds; then come more starts of the widest width that did not train, and
widths in between.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Any

import polars as pl

from memcap import store
from memcap.config.member import Engine, Member
from memcap.config.recipes import Recipe
from memcap.knobs import whole
from memcap.models.model import MOST_UNITS, Model
from memcap.own.folds import TIME
from memcap.own.losses import FALLS, REPEATS, LossCurve, WidthLoss, loss_curves
from memcap.own.task import Data
from memcap.rule import Evaluation
from memcap.store import shards
from memcap.store.shards import Study
from memcap.studies.run import run_study

BUDGET = 6000
RACE = (
    ("hold", 0.03),
    ("hold", 0.01),
    ("keras", 0.03),
    ("keras", 0.01),
    ("chrono", 0.03),
)
# the widths at which recipes race, the narrow ones together
RACE_UNITS = ((1, 2), (16,))
FIRST = 8  # units up to which widths are trained at once
BATCH = 64  # sequences a step, of all these recipes
FEWEST_STEPS = 10  # between evaluations
NARROW = 5  # units; wider nets begin with the recipe of the wide end
MOST_SEEDS = 1000
LEFT = 0.05  # of the sequences, which say where the last nets stop; and as many again
STARTS = 6  # nets of a width and fold, before it is said that they did not train


@dataclass(frozen=True)
class WidthSearch:
    """The search for a file's width."""

    task: Data  # the file, with criterion=best
    folder: Path  # the study's folder; members with rows there are not trained again
    most: int = 32  # the widest net at first
    folds: int = 5  # folds, or repeats if the file has a split of its own
    seeds: int = 2  # nets of each width and fold
    engine: Engine = field(default_factory=Engine)  # how members share the machine
    quiet: bool = False  # show no progress

    def __post_init__(self) -> None:
        whole(self.most, "most", 1, MOST_UNITS)
        whole(self.folds, "folds", 1, REPEATS)
        whole(self.seeds, "seeds", 1, MOST_SEEDS)

    def run(self) -> LossCurve:
        recipes, wide = self.race()
        widths = {*(2**k for k in range(self.most.bit_length())), self.most}
        curve = self.curve_of([units for units in widths if units <= FIRST], recipes)
        for units in sorted(units for units in widths if units > FIRST):
            if may_gain(curve, wide):
                curve = self.curve_of([units], recipes)
        # Each once: nets that diverge at once have no loss, and would be asked for for ever.
        rounds: set[tuple[int, int]] = set()
        while choices := [
            choice for choice in next_rounds(curve) if choice not in rounds
        ]:
            width, seeds = choices[0]
            rounds.add(choices[0])
            curve = self.curve_of([width], recipes, seeds)
        return curve

    def race(self) -> tuple[tuple[Recipe, Recipe], float]:
        """Return the recipes of the narrow and of the wide nets with the lowest
        first-fold validation loss, and that loss of wide nets."""
        recipes = [
            Recipe(name, lr=lr, budget=BUDGET, schedule="cosine") for name, lr in RACE
        ]
        units = itertools.chain(*RACE_UNITS)
        rows = self.train(
            [
                self.member(*kind, fold=0, seed=0)
                for kind in itertools.product(units, recipes)
            ]
        )
        rows = rows.with_columns(pl.col("validation_loss").fill_null(math.inf))

        def loss(units: tuple[int, ...], recipe: Recipe) -> Any:
            of_recipe = rows.filter(recipe=recipe.name, lr=recipe.lr)
            nets = of_recipe.filter(pl.col("units").is_in(units))
            return nets["validation_loss"].mean()

        narrow, wide = (min(recipes, key=partial(loss, ends)) for ends in RACE_UNITS)
        return (narrow, wide), loss(RACE_UNITS[1], wide)

    def curve_of(
        self, widths: Iterable[int], recipes: Sequence[Recipe], seeds: int = 0
    ) -> LossCurve:
        counts = range(self.folds), range(max(seeds, self.seeds))
        members = []
        for units, fold, seed in itertools.product(widths, *counts):
            recipe = recipes[(seed + (units > NARROW)) % len(recipes)]
            members.append(self.member(units, recipe, fold, seed))
        self.train(members)
        lag = self.task.longest_lag
        curves = loss_curves(store.read(self.folder))
        return next(curve for curve in curves if curve.is_of(self.task, lag))

    def member(self, units: int, recipe: Recipe, fold: int, seed: int) -> Member:
        """Return a member; folds, or repeats, have their own starts."""
        task = self.task
        if not task.has_own_split:
            task = replace(task, fold=fold)
        return Member(
            task,
            task.longest_lag,
            model=Model(units=units),
            recipe=recipe,
            seed=seed * REPEATS + fold,
            evaluation=self.evaluation,
        )

    def final(self, units: int, recipe: Recipe) -> pl.DataFrame:
        """Train nets of a width on nine tenths of the sequences, by time on all but the
        last ones, or on the file's own training part."""
        task = self.task
        fold = 0
        if task.order == TIME:
            fold = self.folds - 1
        elif not task.has_own_split:
            task = replace(task, held_out=LEFT)
        search = replace(self, task=task, folder=self.folder / "net")
        seeds = range(self.seeds)
        return search.train(
            [search.member(units, recipe, fold, seed) for seed in seeds]
        )

    @cached_property
    def evaluation(self) -> Evaluation:
        """Once a pass over the training sequences, if that takes 10 to 100 steps: on a
        few hundred sequences the lowest loss is soon over."""
        steps = round(len(self.task.parts[0]) / BATCH)
        return Evaluation(every=min(max(steps, FEWEST_STEPS), Evaluation.every))

    def train(self, members: Sequence[Member]) -> pl.DataFrame:
        study = Study(self.folder, self.folder.name, session=shards.new_session())
        return run_study(members, self.engine, study, self.quiet)


def recipe_of(width: WidthLoss) -> Recipe:
    recipe = width.recipe
    return Recipe(recipe.name, lr=recipe.lr, budget=recipe.budget, schedule="cosine")


def may_gain(curve: LossCurve, wide: float) -> bool:
    """Return whether nets wider than those of a curve may be better: its widest is
    below four times what is enough, or the race's wide nets had a lower first-fold
    loss, `wide`."""
    if curve.verdict in ("nothing learnt", "no state needed"):
        return wide < FALLS * curve.without_state.on_validation.folds[0]
    if not curve.enough or curve.widths[-1].units < 4 * curve.enough[0].units:
        return True
    return wide < curve.enough[0].on_validation.folds[0] - curve.margin


def next_rounds(curve: LossCurve) -> list[tuple[int, int]]:
    """Return the units to train next, each with its nets per fold (0: the usual
    number)."""
    narrower = curve.next_narrower
    rounds = []
    if narrower is not None and curve.did_not_train(narrower):
        rounds.append((narrower.units, STARTS))
    width = next_width(curve)
    return rounds if width is None else [*rounds, (width, 0)]


def next_width(curve: LossCurve) -> int | None:
    """Return the width between one that is enough and one that is not; None if the
    answer is known to an eighth."""
    enough = curve.units or 0
    if not curve.below or enough - curve.below <= max(1, enough // 8):
        return None
    return round((curve.below * enough) ** 0.5)
