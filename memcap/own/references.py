"""Predictors that train no state, by scikit-learn: which memory would do, and how well?

Each is the best, by validation, of a few linear models on features of the sequences.

* constant: the shares of the classes, or the mean.
* last step: the current input, and its products. What equals it needs no state.
* window: the last few inputs, and their squares.
* all steps: all inputs so far, side by side. No fixed number of units stands for it.
"""

import warnings
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

import numpy as np

from memcap.own.file import Sequences
from memcap.own.task import Data

ALL = "all steps"
KINDS = ("constant", "last step", "window", ALL)
WINDOW = 5  # steps
STRENGTHS = (0.01, 1.0, 100.0)  # inverse of the penalty on squared weights
MOST_ROWS = 8000  # of training
MOST_PRODUCTS = 300
MOST_COLUMNS = 2000  # of all steps
MOST_CELLS = 20_000_000
LEAST = 1e-6  # probability of a class
# of a guess: the rest is the constant's, as the next answer may be of any class
SURE = 0.999
ITERATIONS = 50
FREQUENT = 10  # lines with a symbol; rarer ones count as one


def kinds(task: Data, lag: int) -> tuple[str, ...]:
    return KINDS if (lag + 1) * task.features <= MOST_COLUMNS else KINDS[:-1]


@lru_cache(maxsize=256)
def losses(task: Data, lag: int, kind: str) -> tuple[float, float]:
    """Return a kind's mean losses on the fold's validation and held-out answers, in
    nats or squared error. At most `lag` + 1 steps count."""
    features, answers, part = _table(task, lag, kind)
    judged = part > 0
    constant = _constant(task, answers[part == 0])
    fitted = [] if kind == "constant" else _guesses(task, features, answers, part)
    options = [np.tile(constant, (int(judged.sum()), 1)), *fitted]
    if task.loss == "classes":
        chosen = np.arange(len(options[0])), answers[judged]
        options = [SURE * guess + (1 - SURE) * constant for guess in options]
        errors = [-np.log(np.maximum(guess[chosen], LEAST)) for guess in options]
    else:
        errors = [((guess - answers[judged]) ** 2).mean(1) for guess in options]
    parts = part[judged]
    pairs = [(float(e[parts == 1].mean()), float(e[parts == 2].mean())) for e in errors]
    return min(pairs)


def _table(task: Data, lag: int, kind: str) -> tuple[Any, np.ndarray, np.ndarray]:
    """Return features (A, P), answers (A,) or (A, O), and the part of each."""
    file = task.file_content
    # all steps are shown twice, in float64
    steps = 4 * (lag + 1) if kind == ALL else WINDOW
    most = MOST_CELLS // (steps * max(task.features, task.outputs))
    places = [_answers(file, part, lag, most) for part in task.parts]
    part = np.repeat([0, 1, 2], [len(which) for which, _ in places])
    which, when = (np.concatenate(each) for each in zip(*places, strict=True))
    answers = file.targets[which] if file.due is None else file.targets[which, when]
    if task.loss == "values":
        answers = answers.reshape(len(answers), -1).astype(np.float64)
    first = _first(file, lag)
    seen = np.arange(len(first))[:, None], first[:, None] + np.arange(lag + 1)
    inputs = file.inputs[seen]
    when = when - first[which]
    return _features(inputs, which, when, kind, file.blank), answers, part


def _first(file: Sequences, lag: int) -> np.ndarray:
    if file.lengths is not None:
        return np.maximum(file.lengths - 1 - lag, 0)
    return np.full(len(file.inputs), file.steps - 1 - lag)


def _answers(
    file: Sequences, places: np.ndarray, lag: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    if file.due is None:
        return places, np.full(len(places), file.steps - 1)
    first = _first(file, lag)[places, None]
    which, when = np.nonzero(file.due[places] & (np.arange(file.steps) >= first))
    if len(which) > most:
        some = np.random.default_rng(0).choice(len(which), most, replace=False)
        which = which[some]
        when = when[some]
    return places[which], when


def _last(
    inputs: np.ndarray, which: np.ndarray, when: np.ndarray, steps: int, blank: int
) -> np.ndarray:
    back = when[:, None] - np.arange(steps)[::-1]
    windows = inputs[which[:, None], np.maximum(back, 0)]
    windows[back < 0] = blank
    return windows


def _all(
    inputs: np.ndarray, which: np.ndarray, when: np.ndarray, blank: int
) -> np.ndarray:
    """Return all steps up to each answer, (A, P), aligned at the last one and perhaps
    also at the first one, with a mask."""
    steps = inputs.shape[1]
    parts = [_last(inputs, which, when, steps, blank)]
    if np.ptp(when):
        later = np.arange(steps) > when[:, None]
        seen = inputs[which]
        seen[later] = blank
        parts += [seen, later]
    return np.concatenate([part.reshape(len(which), -1) for part in parts], 1)


def _features(
    inputs: np.ndarray, which: np.ndarray, when: np.ndarray, kind: str, blank: int
) -> Any:
    """Return features of the steps up to each answer, (A, P); the last inputs come
    first."""
    steps = WINDOW if kind == "window" else 1
    x = _last(inputs, which, when, steps, blank).reshape(len(which), -1)
    rest = [_all(inputs, which, when, blank)] if kind == ALL else []
    if inputs.ndim == 2:
        from sklearn.preprocessing import OneHotEncoder

        columns = np.concatenate([x, *rest], 1)
        return OneHotEncoder(min_frequency=FREQUENT).fit_transform(columns)
    x = x.astype(np.float64)
    width = x.shape[1]
    first = second = np.arange(width)
    if (width + 1) ** 2 <= MOST_PRODUCTS and steps == 1:
        first, second = np.triu_indices(width)
    return np.concatenate([x, x[:, first] * x[:, second], *rest], 1)


def _constant(task: Data, answers: np.ndarray) -> np.ndarray:
    """Return mean answers, (O,); of classes shares, with one more in each."""
    if task.loss == "values":
        return answers.mean(0)
    counts = np.bincount(answers, minlength=task.outputs) + 1
    return counts / counts.sum()


def _guesses(
    task: Data, features: Any, answers: np.ndarray, part: np.ndarray
) -> Iterator[np.ndarray]:
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.preprocessing import StandardScaler
    from threadpoolctl import threadpool_limits

    answers = answers.squeeze()
    training = np.flatnonzero(part == 0)
    training = np.random.default_rng(0).permutation(training)[:MOST_ROWS]
    has_classes = task.loss == "classes"
    models: list[Any] = [
        LogisticRegression(C=strength, max_iter=ITERATIONS)
        if has_classes
        else Ridge(1 / strength)
        for strength in STRENGTHS
    ]
    if isinstance(features, np.ndarray):
        scaler = StandardScaler().fit(features[training])
        features = np.clip(scaler.transform(features), -10, 10)
    if len(np.unique(answers[training])) < 2:
        return
    for model in models:
        with warnings.catch_warnings(), threadpool_limits(1):
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(features[training], answers[training])
        if not has_classes:
            guess = model.predict(features[part > 0])
            yield guess.reshape(len(guess), -1)
            continue
        shares = np.zeros((np.count_nonzero(part), task.outputs))
        shares[:, model.classes_] = model.predict_proba(features[part > 0])
        yield shares
