"""Estimators of sequences with scikit-learn's conventions.

    net = memcap.SequenceClassifier().fit(X, y)
    net.units_, net.score(new_X, new_y)

X is an array (sequences, steps, numbers), a list of arrays (steps, numbers) of
different lengths, or an array (sequences, steps). y has an answer for each sequence.
"""

import tempfile
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import polars as pl
from scipy.special import softmax
from sklearn.base import BaseEstimator, ClassifierMixin, RegressorMixin
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_array,
    check_consistent_length,
    check_is_fitted,
    column_or_1d,
    validate_data,
)

from memcap import figures, store
from memcap.config.member import Engine
from memcap.config.recipes import Recipe
from memcap.knobs import UserError, whole
from memcap.models.model import MOST_UNITS
from memcap.own.fitted import best_net
from memcap.own.folds import CLASSES, TIME
from memcap.own.search import BUDGET, RACE, WidthSearch, recipe_of
from memcap.own.table import LongForm, array_form, form_of
from memcap.own.task import FEWEST, own_task
from memcap.own.words import as_dict
from memcap.store.shards import OUTPUTS
from memcap.terminal.words import InWords, plural, warn_once


@contextmanager
def _value_errors() -> Generator[None]:
    try:
        yield
    except UserError as error:
        raise ValueError(str(error)) from error


@dataclass(eq=False, repr=False)
class SequenceNet:
    """The part that classes and values share.

    Args:
        units: units of the LSTM; None: search for the narrowest width that is enough.
        most, folds, seeds: of the search, see `fit`.
        order: of the folds, see `memcap.own.task.Data`.
        symbols: whether sequences are (steps,) whole numbers from 0 that name symbols.
        folder: for rows and weights, which are not trained again; None: not kept.
        workers: processes that train.
        progress: whether to show progress on stderr.

    Attributes:
        units_: units of the net; if no width is enough, those of the best one.
        net_: the `memcap.own.fitted.FittedNet`, to export or save.
        answer_: what `memcap fit --json` prints; None if `units` is given.
    """

    units: int | None = None
    _: KW_ONLY
    most: int = 32
    folds: int = 5
    seeds: int = 2
    order: str = CLASSES
    symbols: bool = False
    folder: str | Path | None = None
    workers: int = 1
    progress: bool = False

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """Train the net.

        Args:
            X: sequences.
            y: (N,) a class for each; or (N,) or (N, O) values.
            groups: (N,) whole numbers; a group is never on both sides of a split.
        """
        with _value_errors():
            return self._train(self._form(X, y, groups))

    def _form(self, X: Any, y: Any, groups: Any = None, split: Any = None) -> LongForm:
        answers = self._answers(y)
        check_consistent_length(X, answers)
        return array_form(self._sequences(X, y), answers, groups, split)

    def _answers(self, y: Any) -> np.ndarray:
        raise NotImplementedError

    def _train(self, form: LongForm) -> Self:
        with tempfile.TemporaryDirectory() as empty:
            folder = Path(self.folder or empty)
            path = form.save(folder / f"sequences-{form.digest}.npz")
            search = WidthSearch(
                own_task(path, self.order),
                folder,
                self.most,
                self.folds,
                self.seeds,
                Engine(workers=self.workers),
                quiet=not self.progress,
            )
            if self.units is None:
                curve = search.run()
                width = (curve.within or (curve.best,))[0]
                self.units_ = width.units
                self.answer_: Any = as_dict(curve)
                recipe = recipe_of(width)
            else:
                self.units_ = whole(self.units, "units", 1, MOST_UNITS)
                self.answer_ = None
                name, lr = RACE[0]
                recipe = Recipe(name, lr=lr, budget=BUDGET, schedule="cosine")
            rows = search.final(self.units_, recipe)
            self.net_ = best_net(rows, folder / "net", form)
        return self

    def _sequences(self, X: Any, y: Any = None) -> Sequence[np.ndarray]:
        """Return (T,) symbols or (T, F) numbers of each; with `y`, to train on."""
        sequences: Sequence[np.ndarray]
        if isinstance(X, (list, tuple)) and any(np.ndim(x) != 1 for x in X):
            sequences = [check_array(x, dtype=float) for x in X]
        elif isinstance(X, (list, tuple)) and len({len(x) for x in X}) > 1:
            columns = ([[number] for number in x] for x in X)
            sequences = [check_array(x, dtype=float)[:, 0] for x in columns]
        elif getattr(X, "ndim", 2) == 3:
            sequences = check_array(X, dtype=float, allow_nd=True)
            steps, numbers = sequences.shape[1:]
            if numbers > steps:
                warn_once(
                    f"X is read as {plural(steps, 'step')} of {numbers} numbers; if it is"
                    f" {steps} channels of {numbers} steps, give X.transpose(0, 2, 1)"
                )
        elif y is None:
            sequences = validate_data(self, X, dtype=float, reset=False)
        else:
            least = {"ensure_min_samples": FEWEST, "ensure_min_features": 2}
            sequences = validate_data(self, X, dtype=float, **least)
        if not self.symbols:
            return [x if x.ndim > 1 else x[:, None] for x in sequences]
        if any((x != x.round()).any() for x in sequences):
            raise ValueError(
                "X holds numbers that are not whole; of numbers leave symbols=False"
            )
        return [x.astype(int) for x in sequences]

    def _outputs(self, X: Any) -> list[np.ndarray]:
        check_is_fitted(self)
        is_frame = hasattr(X, "columns") or isinstance(X, dict)
        with _value_errors():
            if self.net_.columns is not None and is_frame:
                return self.net_.outputs(self.net_.sequences(X))
            return self.net_.outputs(self._sequences(X))


class SequenceClassifier(ClassifierMixin, SequenceNet, BaseEstimator):
    """An LSTM that predicts the class of a sequence. Arguments as of `SequenceNet`."""

    def _answers(self, y: Any) -> np.ndarray:
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        self.classes_, codes = np.unique(y, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError("y has 1 class; there must be at least 2")
        return codes

    def predict_proba(self, X: Any) -> np.ndarray:
        """Return class probabilities, (N, classes), in the order of `classes_`."""
        return softmax(np.array(self._outputs(X)), -1)

    def predict(self, X: Any) -> np.ndarray:
        """Return the most probable classes, (N,)."""
        places = np.array(self._outputs(X)).argmax(-1)
        return self.classes_[places]


class SequenceRegressor(RegressorMixin, SequenceNet, BaseEstimator):
    """An LSTM that predicts values of a sequence. Arguments as of `SequenceNet`."""

    def _answers(self, y: Any) -> np.ndarray:
        if y is None:
            raise ValueError("it requires y to be passed, but the target y is None")
        y = check_array(y, ensure_2d=False, dtype=float, input_name="y")
        return y[:, 0] if y.shape[1:] == (1,) else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def predict(self, X: Any) -> np.ndarray:
        """Return the values of each sequence, (N,) or (N, O)."""
        values = np.array(self._outputs(X))
        return values[:, 0] if values.shape[1:] == (1,) else values


@dataclass(frozen=True)
class FoundWidth(InWords):
    """The width that `memcap.fit` found; it prints as words.

    Args:
        estimator: the fitted net.
        folder: its rows, weights and sequences.
    """

    estimator: SequenceClassifier | SequenceRegressor
    folder: Path

    @property
    def answer(self) -> dict[str, Any]:
        """Return what `memcap fit --json` prints."""
        return self.estimator.answer_

    @property
    def units(self) -> int | None:
        """The narrowest width that is enough; None if none helps."""
        return self.answer["units"]

    @property
    def widths(self) -> pl.DataFrame:
        """The losses, a row per width."""
        return pl.DataFrame(self.answer["widths"])

    @property
    def figure(self) -> figures.Drawn:
        """Held-out loss against width."""
        with figures.own_style():
            return figures.find("held_out").draw(store.read(self.folder))

    def __str__(self) -> str:
        return "\n".join(self.answer["words"])


def fit(
    x: Any,
    y: Any,
    *,
    most: int = 32,
    folds: int = 5,
    seeds: int = 2,
    order: str | None = None,
    folder: str | Path | None = None,
    workers: int | None = None,
    progress: bool = True,
    **columns: Any,
) -> FoundWidth:
    """Find how many units sequences need, as `memcap fit` does, and fit such a net.

    Args:
        x: a polars or pandas table, a line per step; or sequences as for
            `SequenceClassifier`, where whole numbers (N, T) are symbols.
        y: the column to predict; or for each sequence a class (whole number or text) or
            values (floats).
        most, folds, seeds: units of the widest net at first, folds of the
            cross-validation, and nets per width and fold.
        order: of the folds, see `memcap.own.task.Data`; None: classes, or with `window`
            time.
        folder: for rows and weights, which are not trained again; None: one in outputs.
        workers: processes that train; None: one a core.
        progress: whether to report findings and progress on stderr.
        columns: see `memcap.own.table.Columns`; for sequences `groups` and `split`.

    Raises:
        UserError: the sequences do not match.

    Example:
        >>> found = memcap.fit(frame, "fault", sequence="machine")
        >>> found.units, found.estimator.predict(new_frame)
    """
    form = None
    symbols = False
    if isinstance(y, str):
        form = form_of(x, y, columns)
        has_classes = form.arrays["targets"].dtype.kind == "i"
    else:
        has_classes = np.asarray(y).dtype.kind != "f"
        symbols = all(
            np.ndim(sequence) == 1 and np.asarray(sequence).dtype.kind in "iu"
            for sequence in x
        )
    kind = SequenceClassifier if has_classes else SequenceRegressor
    estimator = kind(
        most=most,
        folds=folds,
        seeds=seeds,
        order=order or (TIME if "window" in columns else CLASSES),
        symbols=symbols,
        workers=workers or 0,
        progress=progress,
    )
    if form is None:
        form = estimator._form(x, y, **columns)
    elif isinstance(estimator, SequenceClassifier):
        estimator.classes_ = form.arrays["class_names"]
    place = Path(folder or OUTPUTS / f"fit-{form.digest}")
    for line in form.words if progress else ():
        warn_once(line)
    return FoundWidth(estimator.set_params(folder=place)._train(form), place)
