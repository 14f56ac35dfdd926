"""The held-out loss of predictors without state that see the last steps of a user's sequences.

One step: the best map of the current input, which includes the best constant. For
symbols the predictor is a table of the answers after each of the last k symbols,
smoothed by the table of the last k - 1 (an interpolated n-gram); for numbers a
regression on these and, if it is one step, on their products. The validation split
chooses how much to smooth.
"""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from memcap.own.file import Sequences
from memcap.own.task import Data

MOST_STEPS = 5  # to which an n-gram looks back
SMOOTHINGS = (
    0.5,
    2.0,
    10.0,
    50.0,
    1e12,
)  # answers that each context takes from the shorter one
PENALTIES = (1e-3, 1e-1)  # on squared weights of a regression, per answer
MOST_ROWS = 8000
MOST_PRODUCTS = 300
MOST_CELLS = 20_000_000
LEAST = 1e-6  # probability of a class
ITERATIONS = 60  # of L-BFGS


@lru_cache(maxsize=256)
def loss_of_last_steps(task: Data, lag: int, steps: int) -> float:
    """Return the mean loss over the held-out answers of the task's fold, in nats or
    squared error. At most `lag` steps of a sequence count, and it sees `steps` of them
    before each answer, the current one among them."""
    file = task.file_content
    most = MOST_CELLS // (task.outputs * (1 if file.symbols else 8))
    parts = [_windows(file, places, lag, steps, most) for places in task.parts]
    answers = [_as_numbers(task, answers) for _, answers in parts]
    windows = [windows for windows, _ in parts]
    classes = task.loss == "classes"
    if file.symbols is None:
        guesses = _regressions(_features(windows), answers, classes)
    else:
        guesses = _tables(windows, answers, file.symbols + 1, classes)
    return min(guesses)[1]


def _windows(
    file: Sequences, places: np.ndarray, lag: int, steps: int, most: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return the last steps up to each answer of some sequences, (A, steps, ...), and
    the answers."""
    first = file.steps - 1 - lag
    if file.due is None:
        which = places
        when = np.full(len(places), file.steps - 1)
        answers = file.targets[which]
    else:
        which, when = np.nonzero(file.due[places])
        which = places[which]
        which = which[when >= first]
        when = when[when >= first]
        if len(which) > most:
            some = np.random.default_rng(0).choice(len(which), most, replace=False)
            which = which[some]
            when = when[some]
        answers = file.targets[which, when]
    back = when[:, None] - np.arange(steps)[::-1]
    windows = file.inputs[which[:, None], np.maximum(back, 0)]
    windows[back < first] = 0 if file.symbols is None else file.symbols
    return windows, answers


def _as_numbers(task: Data, answers: np.ndarray) -> np.ndarray:
    """Return answers as (A, O): values, or one-hot classes."""
    if task.loss == "classes":
        return np.eye(task.outputs)[answers]
    return answers.reshape(len(answers), -1).astype(np.float64)


def _loss(guess: np.ndarray, answers: np.ndarray, classes: bool) -> float:
    if classes:
        return float(-np.log(np.maximum((guess * answers).sum(1), LEAST)).mean())
    return float(((guess - answers) ** 2).mean())


def _tables(
    windows: Sequence[np.ndarray],
    answers: Sequence[np.ndarray],
    symbols: int,
    classes: bool,
) -> list[tuple[float, float]]:
    """Return the validation and held-out losses of the table for each number of symbols."""
    count = len(answers[0])
    total = answers[0].sum(0)
    constant = (total + classes) / (count + classes * len(total))
    guesses = [np.tile(constant, (len(each), 1)) for each in answers[1:]]
    losses = []
    codes = [np.zeros(len(each), np.int64) for each in windows]
    for back in range(windows[0].shape[1]):
        codes = [
            code * symbols + each[:, -1 - back]
            for code, each in zip(codes, windows, strict=True)
        ]
        names, own = np.unique(codes[0], return_inverse=True)
        if len(names) * len(total) > MOST_CELLS or symbols ** (back + 1) > 1 << 62:
            break
        sums = np.zeros((len(names), len(total)))
        np.add.at(sums, own, answers[0])
        counts = np.bincount(own)
        options = []
        for smoothing in SMOOTHINGS:
            new = []
            for code, guess in zip(codes[1:], guesses, strict=True):
                at = np.minimum(np.searchsorted(names, code), len(names) - 1)
                known = (names[at] == code)[:, None]
                own_share = (sums[at] + smoothing * guess) / (
                    counts[at, None] + smoothing
                )
                new.append(np.where(known, own_share, guess))
            options.append(
                (
                    _loss(new[0], answers[1], classes),
                    _loss(new[1], answers[2], classes),
                    new,
                )
            )
        best = min(options, key=lambda option: option[0])
        losses.append(best[:2])
        guesses = best[2]
    return losses


def _features(windows: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Return features of the last steps, (A, P): 1, numbers and squares; all products
    if these are few."""
    flat = [each.reshape(len(each), -1).astype(np.float64) for each in windows]
    few = (flat[0].shape[1] + 1) ** 2 <= MOST_PRODUCTS and windows[0].shape[1] == 1
    if few:
        first, second = np.triu_indices(flat[0].shape[1])
        flat = [
            np.concatenate([each, each[:, first] * each[:, second]], 1) for each in flat
        ]
    else:
        flat = [np.concatenate([each, each**2], 1) for each in flat]
    mean = flat[0].mean(0)
    spread = flat[0].std(0)
    scaled = [(each - mean) / np.where(spread > 0, spread, 1) for each in flat]
    return [
        np.concatenate([np.ones((len(each), 1)), np.clip(each, -10, 10)], 1)
        for each in scaled
    ]


def _regressions(
    seen: Sequence[np.ndarray], answers: Sequence[np.ndarray], classes: bool
) -> list[tuple[float, float]]:
    """Return the validation and held-out losses of the best constant, and of a
    regression per penalty."""
    rows = np.random.default_rng(0).permutation(len(seen[0]))[:MOST_ROWS]
    x = seen[0][rows]
    y = answers[0][rows]
    constant = (answers[0].sum(0) + classes) / (len(answers[0]) + classes * y.shape[1])
    guesses = [[np.tile(constant, (len(each), 1)) for each in answers[1:]]]
    for penalty in PENALTIES:
        if classes:
            weights = _logistic(x, y, penalty)
            guesses.append([_softmax(each @ weights) for each in seen[1:]])
        else:
            ridge = penalty * len(x) * np.eye(x.shape[1])
            ridge[0, 0] = 0
            weights = np.linalg.solve(
                x.T @ x + ridge + 1e-9 * np.eye(len(ridge)), x.T @ y
            )
            guesses.append([each @ weights for each in seen[1:]])
    _, validation, held = answers
    return [
        (_loss(one, validation, classes), _loss(other, held, classes))
        for one, other in guesses
    ]


def _softmax(logits: np.ndarray) -> np.ndarray:
    each = np.exp(logits - logits.max(1, keepdims=True))
    return each / each.sum(1, keepdims=True)


def _logistic(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weights (P, C) of a multinomial logistic regression."""
    from scipy.optimize import minimize

    shape = x.shape[1], y.shape[1]

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(shape)
        guess = _softmax(x @ weights)
        bare = np.concatenate([np.zeros((1, shape[1])), weights[1:]])
        value = _loss(guess, y, classes=True) + penalty / 2 * (bare**2).sum()
        return value, (x.T @ (guess - y) / len(x) + penalty * bare).ravel()

    start = np.zeros(shape)
    start[0] = np.log(np.maximum(y.mean(0), LEAST))
    found = minimize(
        loss,
        start.ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": ITERATIONS},
    )
    return found.x.reshape(shape)
