"""Widths judged by their held-out loss, for `task.criterion=best`: the frontier of a
user's own sequences.

A width is enough if its loss exceeds that of the best width tried by no more than
chance explains. Some folds are harder than others, for all widths alike, so differences
are taken fold by fold: the margin is their standard error times the one-sided 5 %
quantile of t. (The one-standard-error rule of Breiman et al., 1984, takes the standard
error of the best width's own loss, which is too large if folds differ, and too small if
they do not.) The median of all widths' standard errors is used: a narrow width that
failed to train in one fold has a large one, by which it would be enough. With many
sequences the margin goes to zero, and only the best width would be left; so 2 % of the
gain from state is forgiven, too. Of the seeds of a width and fold the one with the
lowest validation loss counts: a start that does not train says nothing about the width.

A file with a split of its own has no folds: repeats of the training, each with its own
seeds, take their place, and the margin covers only the chance in training. The choice
of test sequences affects all repeats alike, and no margin says by how much.

State helps if the best width beats the best map of the current input, fold by fold,
beyond chance (at 2.5 %, because the best of several widths looks better than it is).
"""

import math
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import polars as pl

from memcap.config.recipes import ResolvedRecipe
from memcap.models.model import Model
from memcap.own.last_steps import MOST_STEPS, loss_of_last_steps
from memcap.own.task import Data
from memcap.store.columns import IDENTITY, model_of, recipe_of, task_of
from memcap.store.rows import IS_BY_LOSS, without_failed
from memcap.tasks import Task

FORGIVEN = 0.02  # of the gain from state
# levels of the t-tests
ENOUGH = 0.95
HELPS = 0.975
REPEATS = 5  # over which seeds are spread if the file has a split of its own
# of the loss without state: a training loss below it shows that the net learns its data
FALLS = 0.95


@dataclass(frozen=True)
class Loss:
    """Held-out losses, nats or squared error, one per fold."""

    folds: tuple[float, ...]

    @property
    def mean(self) -> float:
        """The mean over the folds."""
        return float(np.mean(self.folds))

    @property
    def error(self) -> float:
        """The standard error of the mean; NaN for one fold."""
        if len(self.folds) < 2:
            return math.nan
        return float(np.std(self.folds, ddof=1) / len(self.folds) ** 0.5)

    def minus(self, other: "Loss") -> "Loss":
        """Return the differences from another loss on the same folds, fold by fold."""
        return Loss(tuple(np.subtract(self.folds, other.folds)))

    def chance(self, level: float) -> float:
        """Return how far chance brings the mean of differences above zero; NaN for one fold."""
        from scipy.special import stdtrit

        return float(stdtrit(len(self.folds) - 1, level)) * self.error

    def beats(self, other: "Loss") -> bool:
        """Tell whether it is lower than another loss on the same folds, beyond chance."""
        gain = other.minus(self)
        if len(self.folds) < 2:
            return gain.mean > FORGIVEN * other.mean
        return gain.mean > gain.chance(HELPS)


@dataclass(frozen=True)
class WidthLoss(Loss):
    """The losses of a width."""

    units: int
    train: float  # mean training loss at the end
    score: float  # mean held-out accuracy, or error
    runs: int  # number of nets trained
    keys: tuple[str, ...] = ()  # keys of the members whose losses count, one per fold


@dataclass(frozen=True)
class LossCurve:
    """The losses of all widths of one network and recipe on a user's sequences."""

    task: Data  # at fold 0
    lag: int  # of the members, as are the next two
    model: Model
    recipe: ResolvedRecipe
    # numbers of the folds; or of the repeats, if the file has a split of its own
    folds: tuple[int, ...]
    widths: tuple[WidthLoss, ...]  # the widths that have all folds, the narrowest first

    def is_of(self, task: Task, lag: int) -> bool:
        """Tell whether it belongs to a task's file, at this lag."""
        return (
            isinstance(task, Data) and self.task.file == task.file and self.lag == lag
        )

    def last_steps(self, steps: int) -> Loss:
        """Return the losses of the predictor without state that sees this many steps."""
        folds = [0] * len(self.folds) if self.task.has_own_split else self.folds
        tasks = (replace(self.task, fold=fold) for fold in folds)
        return Loss(tuple(loss_of_last_steps(task, self.lag, steps) for task in tasks))

    @cached_property
    def without_state(self) -> Loss:
        """The losses of the best map of the current input."""
        return self.last_steps(1)

    @property
    def steps(self) -> int:
        """The number of steps that the n-gram sees."""
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
    def by_chance(self) -> float:
        """How far chance brings a width's loss above that of the best width; 0 where
        that is unknown."""
        others = [width for width in self.widths if width is not self.best]
        if not others or len(self.folds) < 2:
            return 0.0
        return float(np.median([w.minus(self.best).chance(ENOUGH) for w in others]))

    @property
    def margin(self) -> float:
        """The margin by which a width's loss may exceed that of the best width."""
        return max(self.forgiven, self.by_chance)

    @property
    def forgiven(self) -> float:
        """The margin that is left with very many sequences."""
        return FORGIVEN * max(0.0, self.without_state.mean - self.best.mean)

    @property
    def enough(self) -> tuple[WidthLoss, ...]:
        """The widths that are enough; none if state does not help."""
        if not self.state_helps:
            return ()
        most = self.best.mean + self.margin
        return tuple(width for width in self.widths if width.mean <= most)

    @property
    def units(self) -> int | None:
        """The narrowest width that is enough."""
        return self.enough[0].units if self.enough else None

    @property
    def as_good(self) -> WidthLoss:
        """The narrowest width that is as good as the best but for chance, with nothing forgiven."""
        most = self.best.mean + self.by_chance
        return next(width for width in self.widths if width.mean <= most)

    @property
    def right_as_often(self) -> WidthLoss | None:
        """The narrowest width that says the right class as often as the one that is
        enough, within a standard error: more units make its probabilities better. None
        of values, and where no width is enough.
        """
        if not self.enough or self.task.loss == "values":
            return None
        score = self.enough[0].score
        judges = self.task.part_sizes[1]
        if not self.task.has_own_split:
            judges *= len(self.folds)
        least = score - (score * (1 - score) / judges) ** 0.5
        return next(width for width in self.widths if width.score >= least)

    @property
    def below(self) -> int:
        """The widest width tried below `units`; 0 if there is none."""
        least = self.units or 0
        narrower = [w.units for w in self.widths if w.units < least]
        return max(narrower, default=0)

    @cached_property
    def state_helps(self) -> bool:
        """True if a net beats the best map without state."""
        return self.best.beats(self.without_state)

    @property
    def too_few(self) -> bool:
        """True if nets learn the training sequences by heart, and nothing of it carries
        over to others."""
        learnt = min(width.train for width in self.widths)
        return not self.state_helps and learnt < FALLS * self.without_state.mean

    @property
    def learnt(self) -> WidthLoss | None:
        """The narrowest width that leaves next to nothing of the training loss: further
        units add no memory, but a better guess at other sequences."""
        nothing = FORGIVEN * self.without_state.mean
        return next((width for width in self.widths if width.train <= nothing), None)

    @property
    def widest_is_best(self) -> bool:
        """True if wider nets may be better still: only the widest one tried is enough."""
        return self.units == self.widths[-1].units and len(self.widths) > 1


def loss_curves(rows: pl.DataFrame) -> list[LossCurve]:
    """Return a curve per file, lag and network judged by loss, with the recipe that has
    most runs."""
    measured = pl.col("held_out_loss").is_not_null()
    rows = without_failed(rows).filter(IS_BY_LOSS, measured)
    tasks = {knobs: _data(knobs) for knobs in rows["knobs"].unique()}
    files = {knobs: repr(replace(task, fold=0)) for knobs, task in tasks.items()}
    folds = {  # None: seeds are repeats
        knobs: None if task.has_own_split else task.fold
        for knobs, task in tasks.items()
    }
    rows = rows.with_columns(
        file=pl.col("knobs").replace_strict(files, return_dtype=pl.String),
        fold=pl.col("knobs")
        .replace_strict(folds, return_dtype=pl.Int64)
        .fill_null(pl.col("seed") % REPEATS),
    )
    curves: dict[tuple, LossCurve] = {}
    runs: dict[tuple, int] = {}
    same = [name for name in IDENTITY if name != "knobs"]
    for _, group in rows.group_by("file", *same, maintain_order=True):
        row = group.row(0, named=True)
        task = replace(tasks[row["knobs"]], fold=0)
        place = task, row["lag"], model_of(row)
        if group.height > runs.get(place, 0):
            runs[place] = group.height
            curves[place] = LossCurve(*place, recipe_of(row), *width_losses(group))
    return list(curves.values())


def _data(knobs: str) -> Data:
    task = task_of("data", knobs)
    assert isinstance(task, Data)
    return task


def width_losses(rows: pl.DataFrame) -> tuple[tuple[int, ...], tuple[WidthLoss, ...]]:
    """Return the folds that most widths have, and the widths that have all of them."""
    best = rows.sort("validation_loss").group_by("units", "fold").first()
    parts = best.sort("units", "fold").partition_by("units")
    folds = max((tuple(part["fold"]) for part in parts), key=len)
    widths = []
    for part in parts:
        part = part.filter(pl.col("fold").is_in(folds))
        if part.height < len(folds):
            continue
        units = part["units"][0]
        train, score = part.select(pl.col("train_loss", "final").mean()).row(0)
        width = WidthLoss(
            folds=tuple(part["held_out_loss"]),
            units=units,
            train=train,
            score=score,
            runs=rows.filter(units=units).height,
            keys=tuple(part["key"]),
        )
        widths.append(width)
    return folds, tuple(widths)
