"""Widths judged by their loss, for `task.criterion=best`. docs/sequences.md has the
rule.

Validation chooses a width; the held-out part only reports. With many sequences the
margin goes to zero, so 2 % of the gain from state is forgiven, too.
"""

import itertools
import math
from collections import Counter
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, cast

import numpy as np
import polars as pl

from memcap.config.recipes import ResolvedRecipe
from memcap.models.model import Model
from memcap.own import references
from memcap.own.task import Data
from memcap.store.columns import IDENTITY, RECIPE, START, model_of, recipe_of, task_of
from memcap.store.rows import IS_BY_LOSS, without_failed
from memcap.tasks import Task

FORGIVEN = 0.02  # of the gain from state
# levels of the t-tests
ENOUGH = 0.95
HELPS = 0.975
REPEATS = 5  # folds, or repeats, over which seeds are spread
# of the gain from state, or of the loss without state: where chance hides more, there
# are too few sequences to tell
MOST_MARGIN = 0.2
# Best nets of folds did not all train if their excess differs by more than this share of
# the gain, and than so many margins of chance: such a margin is 0.95 standard deviations, and
# five numbers lie within 3.9 of these in 95 %.
UNLIKE = 0.2
RANGE = 4
TRAINED = 0.05  # of the gain
# of the loss without state: a loss below it shows that a net learns its data
FALLS = 0.95
LEARNT = 0.5  # least share that nets reach of what a predictor without state gains
DRAWS = 200  # of the folds, for the interval of the width
ALWAYS = 5  # folds in which a width is worse, so that this is hardly chance

Verdict = Literal[
    "enough", "too few to tell", "no state needed", "did not train", "nothing learnt"
]


@dataclass(frozen=True)
class Loss:
    """Losses, nats or squared error, one per fold.

    Args:
        folds: on held-out sequences.
        validation: on validation's, which choose; empty if unknown.
    """

    folds: tuple[float, ...]
    validation: tuple[float, ...] = ()

    @property
    def on_validation(self) -> "Loss":
        return Loss(self.validation or self.folds)

    @property
    def mean(self) -> float:
        return float(np.mean(self.folds))

    @property
    def error(self) -> float:
        """Standard error of the mean; NaN for one fold."""
        if len(self.folds) < 2:
            return math.nan
        return float(np.std(self.folds, ddof=1) / len(self.folds) ** 0.5)

    def gain(self, other: "Loss") -> tuple[float, float]:
        """Return how far it is below another loss, fold by fold, and the margin of
        chance."""
        gain = Loss(tuple(np.subtract(other.folds, self.folds)))
        if len(self.folds) < 2:
            return gain.mean, FORGIVEN * other.mean
        return gain.mean, _quantile(len(self.folds), HELPS) * gain.error

    def beats(self, other: "Loss") -> bool:
        """Return whether it is lower than another loss beyond chance."""
        gain, chance = self.gain(other)
        return gain > chance

    def is_nothing_of(self, other: "Loss") -> bool:
        return self.mean <= FORGIVEN * other.mean


@dataclass(frozen=True, kw_only=True)
class WidthLoss(Loss):
    """The losses of a width.

    Args:
        units: the width.
        recipe: of most of the nets that count.
        train: mean training loss at the end.
        score: mean held-out accuracy; or root mean square error in the target's unit.
        runs: number of nets trained.
        keys: of the members that count, one per fold.
    """

    units: int
    recipe: ResolvedRecipe
    train: float
    score: float
    runs: int
    keys: tuple[str, ...] = ()


def _quantile(folds: int, level: float) -> float:
    from scipy.special import stdtrit

    return float(stdtrit(folds - 1, level))


def enough_of(
    losses: np.ndarray, without_state: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Return which widths are enough, (W, ...) bool, and the margin of chance, (...); 0
    where that is unknown.

    Some folds are harder for all widths alike, so the margin is of differences fold by
    fold: their standard error times the 5 % quantile of t. (The one-standard-error rule
    of Breiman et al., 1984, ignores this.) It is the median over widths with half of
    the gain or more, as nets that failed to train differ far more.

    Args:
        losses: of each width and fold, (W, ..., K).
        without_state: of each fold, (..., K).
    """
    means = losses.mean(-1)
    best = np.expand_dims(means.argmin(0), (0, -1))
    worse = losses - np.take_along_axis(losses, best, 0)
    excess = worse.mean(-1)
    gain = np.maximum(without_state.mean(-1) - means.min(0), 0)
    folds = losses.shape[-1]
    chance = np.zeros(gain.shape)
    if folds > 1 and len(losses) > 1:
        good = excess <= gain / 2
        errors = np.where(good, worse.std(-1, ddof=1) / folds**0.5, np.inf)
        # of the best width itself it is 0; of a pair in the middle the lower one counts
        middle = np.maximum(good.sum(0), 1) // 2
        median = np.take_along_axis(np.sort(errors, 0), middle[None], 0)[0]
        chance = _quantile(folds, ENOUGH) * np.where(good.sum(0) > 1, median, 0)
    forgiven = FORGIVEN * gain
    always = (worse > forgiven[..., None]).all(-1) & (folds >= ALWAYS)
    return (excess <= np.maximum(forgiven, chance)) & ~always, chance


def interval_of(losses: np.ndarray, without_state: np.ndarray) -> tuple[int, int]:
    """Return the places of the middle 95 % of the narrowest widths that are enough, by
    a bootstrap of the folds."""
    folds = losses.shape[1]
    draws = np.random.default_rng(0).integers(folds, size=(DRAWS, folds))
    enough, _ = enough_of(losses[:, draws], without_state[draws])
    low, high = np.quantile(enough.argmax(0), [0.025, 0.975], method="nearest")
    return int(low), int(high)


@dataclass(frozen=True)
class LossCurve:
    """The losses of all widths of one network on a user's sequences.

    With the user's own split, repeats replace folds, and margins cover only the chance
    in training, not the choice of test sequences.
    """

    task: Data  # at fold 0
    lag: int  # of the members, as is the next one
    model: Model
    # numbers of the folds; or of the repeats, if the file has a split of its own
    folds: tuple[int, ...]
    widths: tuple[WidthLoss, ...]  # the widths that have all folds, the narrowest first

    def is_of(self, task: Task, lag: int) -> bool:
        return (
            isinstance(task, Data) and self.task.file == task.file and self.lag == lag
        )

    def reference(self, kind: str) -> Loss:
        folds = [0] * len(self.folds) if self.task.has_own_split else self.folds
        tasks = [replace(self.task, fold=fold) for fold in folds]
        pairs = [references.losses(task, self.lag, kind) for task in tasks]
        validation, held_out = zip(*pairs, strict=True)
        return Loss(held_out, validation)

    @cached_property
    def references(self) -> dict[str, Loss]:
        kinds = references.kinds(self.task, self.lag)
        return {kind: self.reference(kind) for kind in kinds}

    @property
    def without_state(self) -> Loss:
        """The losses of the best map of the current input."""
        return self.references["last step"]

    @cached_property
    def memory(self) -> str | None:
        """The best predictor that sees more than the last step, if it beats that."""
        kinds = dict(self.references)
        constant = kinds.pop("constant")
        last = kinds.pop("last step")
        if last.is_nothing_of(constant):
            return None
        better = [kind for kind, loss in kinds.items() if loss.beats(last)]
        return min(better, key=lambda kind: kinds[kind].mean, default=None)

    @cached_property
    def best(self) -> WidthLoss:
        return min(self.widths, key=lambda width: width.on_validation.mean)

    @property
    def recipe(self) -> ResolvedRecipe:
        return (self.enough or (self.best,))[0].recipe

    @cached_property
    def gain(self) -> float:
        lowest = self.best.on_validation.mean
        return max(0.0, self.without_state.on_validation.mean - lowest)

    @cached_property
    def _arrays(self) -> tuple[np.ndarray, np.ndarray]:
        losses = np.array([width.on_validation.folds for width in self.widths])
        return losses, np.array(self.without_state.on_validation.folds)

    @cached_property
    def _rule(self) -> tuple[np.ndarray, np.ndarray]:
        return enough_of(*self._arrays)

    @property
    def by_chance(self) -> float:
        return float(self._rule[1])

    @property
    def margin(self) -> float:
        return max(self.forgiven, self.by_chance)

    @property
    def forgiven(self) -> float:
        """The margin left with very many sequences."""
        return FORGIVEN * self.gain

    @property
    def within(self) -> tuple[WidthLoss, ...]:
        """The widths no worse than the best one; none if state does not help."""
        if not self.state_helps:
            return ()
        return tuple(itertools.compress(self.widths, self._rule[0]))

    @property
    def enough(self) -> tuple[WidthLoss, ...]:
        """The widths that are enough; none if there are too few sequences to tell."""
        return self.within if self.verdict == "enough" else ()

    @property
    def units(self) -> int | None:
        return self.enough[0].units if self.enough else None

    @property
    def interval(self) -> tuple[int, int] | None:
        """Middle 95 % of the narrowest width that is enough, and the next narrower ones
        that did not train; None if state does not help."""
        if not self.within:
            return None
        low, high = interval_of(*self._arrays)
        while low and self.did_not_train(self.widths[low - 1]):
            low -= 1
        return self.widths[low].units, self.widths[high].units

    @cached_property
    def verdict(self) -> Verdict:
        most = MOST_MARGIN * self.gain
        if self.state_helps:
            lowest = min(width.mean for width in self.widths)
            few = self.margin > most or self.within[0].mean - lowest > most
            return "too few to tell" if few else "enough"
        if self.memory is not None:
            lags_behind = self.references[self.memory].beats(self.best)
            return "did not train" if lags_behind else "too few to tell"
        constant = self.references["constant"]
        last = self.without_state
        if not last.is_nothing_of(constant):
            gain, chance = self.best.gain(last)
            if gain + chance > MOST_MARGIN * last.mean:
                return "too few to tell"
        knows = last.mean < FALLS * constant.mean and last.beats(constant)
        return "no state needed" if knows else "nothing learnt"

    def did_not_train(self, width: WidthLoss) -> bool:
        """Return whether more starts might make a width enough: its nets differ from
        fold to fold more than good ones, or gain next to nothing."""
        if not self.within or width in self.within:
            return False
        losses = np.array(width.on_validation.folds)
        good = np.mean([each.on_validation.folds for each in self.within], 0)
        excess = np.ptp(losses - good)
        gains = np.array(self.without_state.on_validation.folds) - losses
        unlike = excess > max(UNLIKE * self.gain, RANGE * self.by_chance)
        return bool(unlike or gains.max() < TRAINED * self.gain)

    @property
    def next_narrower(self) -> WidthLoss | None:
        least = self.within[0].units if self.within else 0
        narrower = [width for width in self.widths if width.units < least]
        return narrower[-1] if narrower else None

    @property
    def below(self) -> int:
        return self.next_narrower.units if self.next_narrower else 0

    @cached_property
    def state_helps(self) -> bool:
        """True if a net beats the imperfect best map without state, and gains at least
        half as much as the best predictor that sees more."""
        last = self.without_state
        if last.is_nothing_of(self.references["constant"]):
            return False
        if self.memory is not None:
            least = LEARNT * (last.mean - self.references[self.memory].mean)
            if last.mean - self.best.mean < least:
                return False
        return self.best.beats(last)

    @property
    def by_heart(self) -> bool:
        """True if nets learn the training sequences by heart, but not others."""
        learnt = min(width.train for width in self.widths)
        learns = learnt < FALLS * self.without_state.mean
        return self.verdict == "nothing learnt" and learns

    @property
    def learnt(self) -> WidthLoss | None:
        """The narrowest width that has learnt all training sequences."""
        nothing = FORGIVEN * self.without_state.mean
        return next((width for width in self.widths if width.train <= nothing), None)

    @property
    def widest_is_best(self) -> bool:
        return self.units == self.widths[-1].units and len(self.widths) > 1


def loss_curves(rows: pl.DataFrame) -> list[LossCurve]:
    measured = pl.col("held_out_loss").is_not_null()
    rows = without_failed(rows).filter(IS_BY_LOSS, measured)
    if rows.is_empty():
        return []
    tasks = {
        knobs: cast(Data, task_of("data", knobs)) for knobs in rows["knobs"].unique()
    }
    files = {knobs: repr(replace(task, fold=0)) for knobs, task in tasks.items()}
    folds = {  # None: seeds are repeats
        knobs: None if task.has_own_split else task.fold
        for knobs, task in tasks.items()
    }
    units = {knobs: _unit(task) for knobs, task in tasks.items()}
    knobs = pl.col("knobs")
    unit = knobs.replace_strict(units, return_dtype=pl.Float64)
    rows = rows.with_columns(
        file=knobs.replace_strict(files, return_dtype=pl.String),
        fold=knobs.replace_strict(folds, return_dtype=pl.Int64).fill_null(
            pl.col("seed") % REPEATS
        ),
        final=pl.coalesce(unit * pl.col("final").sqrt(), "final"),
    )
    varies = {"knobs", *START, *RECIPE, "evaluation_every"}
    same = [name for name in IDENTITY if name not in varies]
    curves = []
    for _, group in rows.group_by("file", *same, maintain_order=True):
        counts = group.group_by(*RECIPE, "units").agg(pl.col("fold").n_unique())
        whole = counts.filter(pl.col("fold") == pl.col("fold").max())
        group = group.join(whole, on=list(RECIPE), how="semi", nulls_equal=True)
        row = group.row(0, named=True)
        task = replace(tasks[row["knobs"]], fold=0)
        curves.append(LossCurve(task, row["lag"], model_of(row), *width_losses(group)))
    return curves


def _unit(task: Data) -> float | None:
    if task.loss == "classes":
        return None
    return 1.0 if task.outputs > 1 else float(task.file_content.target_scale.spread)


def width_losses(rows: pl.DataFrame) -> tuple[tuple[int, ...], tuple[WidthLoss, ...]]:
    """Return the folds that most widths have, and the widths with all of them."""
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
        recipes = Counter(map(recipe_of, part.iter_rows(named=True)))
        width = WidthLoss(
            folds=tuple(part["held_out_loss"]),
            validation=tuple(part["validation_loss"]),
            units=units,
            recipe=recipes.most_common(1)[0][0],
            train=train,
            score=score,
            runs=rows.filter(units=units).height,
            keys=tuple(part["key"]),
        )
        widths.append(width)
    return folds, tuple(widths)
