"""The search for the units that a user's own sequences need, in rounds that a rerun continues.

First recipes race on one fold, by validation loss. The best of them trains widths that
double, on all folds; then widths between the narrowest that is enough and the next
narrower one.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import polars as pl

from memcap import store
from memcap.config.member import Engine, Member
from memcap.config.recipes import Recipe
from memcap.models.model import Model
from memcap.own.losses import REPEATS, LossCurve, loss_curves
from memcap.own.task import Data
from memcap.store import shards
from memcap.store.shards import Study
from memcap.studies.run import run_study

BUDGET = 6000
RACE = (
    ("hold", 0.03),
    ("hold", 0.01),
    ("forget_bias", 0.01),
    ("forget_bias", 0.003),
    ("chrono", 0.01),
)
RACE_UNITS = (2, 16)
RACE_SEEDS = 2


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

    def run(self) -> LossCurve:
        """Train what is missing; return the losses of the widths."""
        recipe = self.race()
        powers = [2**k for k in range(self.most.bit_length())]
        curve = self.curve_of({*powers, self.most}, recipe)
        while (width := next_width(curve)) is not None:
            curve = self.curve_of([width], recipe)
        return curve

    def race(self) -> Recipe:
        """Return the recipe whose nets have the lowest validation loss on the first fold."""
        recipes = [
            Recipe(name, lr=lr, budget=BUDGET, schedule="cosine") for name, lr in RACE
        ]
        kinds = itertools.product(RACE_UNITS, recipes, [0], range(RACE_SEEDS))
        rows = self._train([self.member(*kind) for kind in kinds])

        def loss(recipe: Recipe) -> Any:
            nets = rows.filter(recipe=recipe.name, lr=recipe.lr)
            return nets["validation_loss"].fill_null(math.inf).mean()

        return min(recipes, key=loss)

    def curve_of(self, widths: Iterable[int], recipe: Recipe) -> LossCurve:
        """Train some widths; return the curve of all widths with this recipe."""
        kinds = itertools.product(
            widths, [recipe], range(self.folds), range(self.seeds)
        )
        self._train([self.member(*kind) for kind in kinds])
        rows = store.read(self.folder).filter(
            recipe=recipe.name, lr=recipe.lr, budget=recipe.budget
        )
        lag = self.task.longest_lag
        return next(curve for curve in loss_curves(rows) if curve.is_of(self.task, lag))

    def member(self, units: int, recipe: Recipe, fold: int, seed: int) -> Member:
        """Return a member of a width; if the file has a split of its own, repeats take
        the place of folds."""
        task = self.task
        if task.has_own_split:
            seed = seed * REPEATS + fold
        else:
            task = replace(task, fold=fold)
        return Member(
            task, task.longest_lag, model=Model(units=units), recipe=recipe, seed=seed
        )

    def _train(self, members: Sequence[Member]) -> pl.DataFrame:
        study = Study(self.folder, self.folder.name, session=shards.new_session())
        return run_study(members, self.engine, study, self.quiet)


def next_width(curve: LossCurve) -> int | None:
    """Return the next width to try, between one that is enough and one that is not;
    None if none is left, or if the answer is known to an eighth."""
    enough = curve.units or 0
    if not curve.below or enough - curve.below <= max(1, enough // 8):
        return None
    return round((curve.below * enough) ** 0.5)
