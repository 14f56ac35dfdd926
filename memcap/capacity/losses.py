"""Widths judged by their held-out loss, as `task.criterion=best` asks: the frontier of own sequences.

A width is enough if its loss is above that of the best width tried by no more than chance makes of a
difference. Folds differ in how hard they are, for all widths alike, so differences are taken fold by fold:
the margin is their standard error times the one-sided 5 % quantile of t. (The one-standard-error rule of
Breiman et al., 1984, takes the standard error of the best width's own loss, which is too much where folds
differ, and too little where they do not.) Of the standard errors of all widths the median counts: a narrow
width of which one fold did not train has a large one, and would be enough by its own. With many sequences the
margin goes to zero, and only the best would be left; so 2 % of what state gains is forgiven, too. Of the
seeds of a width and fold the one with the lowest loss on validation counts: a start that does not train says
nothing of the width.

A file that has a split of its own has no folds: repeats of training stand in their place, each of its own
seeds, and the margin is what chance makes of training alone. What it makes of the test sequences is the same
for all repeats, and no margin says how much that is.

State helps if the best width beats the best map of the current input, fold by fold, beyond chance (at 2.5 %:
the best of several widths looks better than it is).
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from memcap.capacity.last_steps import MOST_STEPS, loss_of_last_steps
from memcap.models.model import Model
from memcap.recipes import ResolvedRecipe
from memcap.store.columns import IDENTITY, model_of, recipe_of, task_of
from memcap.store.rows import IS_BY_LOSS, without_failed
from memcap.tasks import Task
from memcap.tasks.data import Data

FORGIVEN = 0.02  # of what state gains
ENOUGH, HELPS = 0.95, 0.975  # levels of the t-tests
REPEATS = 5  # that seeds are dealt to where the file has a split of its own
FALLS = 0.95  # of the loss without state, below which a training loss shows that the net learns what it sees


@dataclass(frozen=True)
class Loss:
    """Held-out losses, nats or squared error, one a fold."""

    folds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Over the folds."""
        return float(np.mean(self.folds))

    @property
    def error(self) -> float:
        """The standard error of the mean; NaN of one fold."""
        return float(np.std(self.folds, ddof=1) / len(self.folds) ** 0.5) if len(self.folds) > 1 else math.nan

    def minus(self, other: "Loss") -> "Loss":
        """Return the differences from another one of the same folds, fold by fold."""
        return Loss(tuple(mine - theirs for mine, theirs in zip(self.folds, other.folds, strict=True)))

    def chance(self, level: float) -> float:
        """Return how far the mean of differences comes above zero by chance; NaN of one fold."""
        from scipy.special import stdtrit

        return float(stdtrit(len(self.folds) - 1, level)) * self.error

    def beats(self, other: "Loss") -> bool:
        """Tell whether it is lower than another one of the same folds, beyond chance."""
        gain = other.minus(self)
        return gain.mean > (FORGIVEN * other.mean if len(self.folds) < 2 else gain.chance(HELPS))


@dataclass(frozen=True)
class WidthLoss(Loss):
    """The losses of a width.

    Args:
        units: the width.
        train: mean training loss at the end.
        score: mean held-out accuracy, or error.
        runs: how many nets were trained.
        keys: of the members whose losses count, one a fold.
    """

    units: int
    train: float
    score: float
    runs: int
    keys: tuple[str, ...] = ()


@dataclass(frozen=True)
class LossCurve:
    """The losses of all widths of one network and recipe on a user's sequences.

    Args:
        task: at fold 0.
        lag, model, recipe: theirs.
        folds: by number; or repeats, where the file has a split of its own.
        widths: the narrowest first; those that have all folds.
    """

    task: Data
    lag: int
    model: Model
    recipe: ResolvedRecipe
    folds: tuple[int, ...]
    widths: tuple[WidthLoss, ...]

    def is_of(self, task: Task, lag: int) -> bool:
        """Tell whether it is of a task's file, at this lag."""
        return isinstance(task, Data) and self.task.file == task.file and self.lag == lag

    def last_steps(self, steps: int) -> Loss:
        """Return the losses of what sees so many steps and has no state."""
        folds = [0] * len(self.folds) if self.task.has_own_split else self.folds
        return Loss(
            tuple(loss_of_last_steps(replace(self.task, fold=fold), self.lag, steps) for fold in folds)
        )

    @cached_property
    def without_state(self) -> Loss:
        """The losses of the best map of the current input."""
        return self.last_steps(1)

    @property
    def steps(self) -> int:
        """The steps that an n-gram sees."""
        return min(MOST_STEPS, self.lag + 1)

    @cached_property
    def n_gram(self) -> Loss:
        """The losses of the best map of the last few inputs."""
        return self.last_steps(self.steps)

    @cached_property
    def best(self) -> WidthLoss:
        """The width of the lowest loss."""
        return min(self.widths, key=lambda width: width.mean)

    @cached_property
    def margin(self) -> float:
        """How far above the best width's loss another one's may be."""
        others = [each.minus(self.best) for each in self.widths if each is not self.best]
        if not others or len(self.folds) < 2:
            return self.forgiven
        return max(self.forgiven, float(np.median([each.chance(ENOUGH) for each in others])))

    @property
    def forgiven(self) -> float:
        """The margin that is left where there are very many sequences."""
        return FORGIVEN * max(0.0, self.without_state.mean - self.best.mean)

    @property
    def enough(self) -> tuple[WidthLoss, ...]:
        """The widths that are enough: none where state does not help."""
        if not self.state_helps:
            return ()
        return tuple(width for width in self.widths if width.mean <= self.best.mean + self.margin)

    @property
    def units(self) -> int | None:
        """The narrowest width that is enough."""
        return self.enough[0].units if self.enough else None

    @property
    def below(self) -> int:
        """The widest width tried below `units`; 0 where there is none."""
        return max((each.units for each in self.widths if each.units < (self.units or 0)), default=0)

    @cached_property
    def state_helps(self) -> bool:
        """Whether a net beats what has no state."""
        return self.best.beats(self.without_state)

    @property
    def too_few(self) -> bool:
        """Whether nets learn what they are shown by heart, and nothing of it holds for others."""
        learnt = min(width.train for width in self.widths)
        return not self.state_helps and learnt < FALLS * self.without_state.mean

    @property
    def learnt(self) -> WidthLoss | None:
        """The narrowest width that leaves next to nothing of the training loss: what more units add is no
        memory of what was asked, but a better guess at other sequences."""
        nothing = FORGIVEN * self.without_state.mean
        return next((width for width in self.widths if width.train <= nothing), None)

    @property
    def widest_is_best(self) -> bool:
        """Whether wider nets may be better still: the widest one tried alone is enough."""
        return self.units == self.widths[-1].units and len(self.widths) > 1


def loss_curves(rows: pl.DataFrame) -> list[LossCurve]:
    """Return a curve per file, lag and network of the rows that are judged so: its recipe has most runs."""
    rows = by_loss(rows).filter(pl.col("held_out_loss").is_not_null())
    same = [name for name in IDENTITY if name != "knobs"]
    curves: list[tuple[int, LossCurve]] = []
    tasks, repeats = {}, []
    for text in rows["knobs"].unique():
        tasks[text] = _data(text)
        if tasks[text].has_own_split:  # asked here, where its file has just been read
            repeats.append(text)
    names = {text: repr(replace(task, fold=0)) for text, task in tasks.items()}
    folds = {text: task.fold for text, task in tasks.items()}
    rows = rows.with_columns(
        file=pl.col("knobs").replace_strict(names, return_dtype=pl.String),
        fold=pl.when(pl.col("knobs").is_in(repeats))
        .then(pl.col("seed") % REPEATS)
        .otherwise(pl.col("knobs").replace_strict(folds, return_dtype=pl.Int64)),
    )
    for _, group in rows.group_by("file", *same, maintain_order=True):
        row = group.row(0, named=True)
        folds, widths = width_losses(group)
        task = replace(tasks[row["knobs"]], fold=0)
        curve = LossCurve(task, row["lag"], model_of(row), recipe_of(row), folds, widths)
        curves.append((group.height, curve))
    places: dict[tuple, tuple[int, LossCurve]] = {}
    for height, curve in curves:
        place = curve.task, curve.lag, curve.model
        places[place] = max(places.get(place, (0, curve)), (height, curve), key=lambda each: each[0])
    return [curve for _, curve in places.values()]


def _data(knobs: str) -> Data:
    task = task_of("data", knobs)
    assert isinstance(task, Data)
    return task


def width_losses(rows: pl.DataFrame) -> tuple[tuple[int, ...], tuple[WidthLoss, ...]]:
    """Return the folds that the most widths have, and the widths that have all of them."""
    chosen = rows.sort("validation_loss").group_by("units", "fold").first().sort("units", "fold")
    runs = dict(rows.group_by("units").len().iter_rows())
    by_width = {units: part for (units,), part in chosen.group_by("units", maintain_order=True)}
    folds = max((tuple(part["fold"]) for part in by_width.values()), key=len)
    widths = []
    for units, part in by_width.items():
        part = part.filter(pl.col("fold").is_in(folds))
        if tuple(part["fold"]) == folds:
            means = part.select(pl.col("train_loss", "final").mean()).row(0)
            widths.append(
                WidthLoss(tuple(part["held_out_loss"]), units, *means, runs[units], tuple(part["key"]))
            )
    return folds, tuple(widths)


def by_loss(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the rows whose widths are judged by their held-out loss."""
    return without_failed(rows).filter(IS_BY_LOSS)
