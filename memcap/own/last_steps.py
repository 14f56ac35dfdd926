"""The held-out loss of predictors without state that see the last steps of a user's sequences.

One step: the best map of the current input, which includes the best constant. For
symbols the predictor is a table of the answers after each of the last k symbols,
smoothed by the table of the last k - 1 (an interpolated n-gram); for numbers a
regression on these and, if it is one step, on their products. The validation split
chooses how much to smooth.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache

import numpy as np

from memcap.own.file import Sequences
from memcap.own.task import Data

Measure = Callable[[np.ndarray, np.ndarray], float]

MOST_STEPS = 5  # to which an n-gram looks back
# answers that each context takes from the shorter one
SMOOTHINGS = (0.5, 2.0, 10.0, 50.0, 1e12)
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
    windows = np.concatenate([windows for windows, _ in parts])
    answers = np.concatenate([answers for _, answers in parts])
    part = np.repeat([0, 1, 2], [len(windows) for windows, _ in parts])
    if task.loss == "classes":
        answers = np.eye(task.outputs)[answers]
        measure = _log_loss
    else:
        answers = answers.reshape(len(answers), -1).astype(np.float64)
        measure = _squared_error
    predict = _regressions if file.symbols is None else _tables
    return min(
        [measure(guess[part == k], answers[part == k]) for k in (1, 2)]
        for guess in predict(windows, answers, part, measure)
    )[1]


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
        which, when = np.nonzero(file.due[places, first:])
        which = places[which]
        when += first
        if len(which) > most:
            some = np.random.default_rng(0).choice(len(which), most, replace=False)
            which = which[some]
            when = when[some]
        answers = file.targets[which, when]
    back = when[:, None] - np.arange(steps)[::-1]
    windows = file.inputs[which[:, None], np.maximum(back, 0)]
    windows[back < first] = file.blank
    return windows, answers


def _log_loss(guess: np.ndarray, answers: np.ndarray) -> float:
    return float(-np.log(np.maximum((guess * answers).sum(1), LEAST)).mean())


def _squared_error(guess: np.ndarray, answers: np.ndarray) -> float:
    return float(((guess - answers) ** 2).mean())


def _constant(answers: np.ndarray, part: np.ndarray, measure: Measure) -> np.ndarray:
    """Guess the mean of training's answers; of classes, with one more in each."""
    training = answers[part == 0]
    more = measure is _log_loss
    mean = (training.sum(0) + more) / (len(training) + more * training.shape[1])
    return np.tile(mean, (len(answers), 1))


def _tables(
    windows: np.ndarray, answers: np.ndarray, part: np.ndarray, measure: Measure
) -> Iterator[np.ndarray]:
    """Guess all answers by the table of training's for each number of symbols."""
    guess = _constant(answers, part, measure)
    outputs = answers.shape[1]
    symbols = int(windows.max()) + 1
    code = np.zeros(len(windows), np.int64)
    for back in range(windows.shape[1]):
        code = code * symbols + windows[:, -1 - back]
        contexts, place = np.unique(code[part == 0], return_inverse=True)
        if len(contexts) * outputs > MOST_CELLS or symbols ** (back + 1) > 1 << 62:
            break
        sums = np.zeros((len(contexts), outputs))
        np.add.at(sums, place, answers[part == 0])
        counts = np.bincount(place)[:, None]
        nearest = np.minimum(np.searchsorted(contexts, code), len(contexts) - 1)
        known = (contexts[nearest] == code)[:, None]
        options = []
        for smoothing in SMOOTHINGS:
            shares = sums[nearest] + smoothing * guess
            shares /= counts[nearest] + smoothing
            options.append(np.where(known, shares, guess))
        guess = min(options, key=lambda g: measure(g[part == 1], answers[part == 1]))
        yield guess


def _features(windows: np.ndarray, part: np.ndarray) -> np.ndarray:
    """Return features of the last steps, (A, P): 1, numbers and squares; all products
    if these are few."""
    x = windows.reshape(len(windows), -1).astype(np.float64)
    width = x.shape[1]
    first = second = np.arange(width)
    if (width + 1) ** 2 <= MOST_PRODUCTS and windows.shape[1] == 1:
        first, second = np.triu_indices(width)
    x = np.concatenate([x, x[:, first] * x[:, second]], 1)
    spread = x[part == 0].std(0)
    x = (x - x[part == 0].mean(0)) / np.where(spread > 0, spread, 1)
    return np.insert(np.clip(x, -10, 10), 0, 1, axis=1)


def _regressions(
    windows: np.ndarray, answers: np.ndarray, part: np.ndarray, measure: Measure
) -> Iterator[np.ndarray]:
    """Guess all answers by the best constant, and by a regression per penalty."""
    from scipy.special import softmax

    yield _constant(answers, part, measure)
    features = _features(windows, part)
    count = np.count_nonzero(part == 0)
    rows = np.random.default_rng(0).permutation(count)[:MOST_ROWS]
    x = features[rows]
    y = answers[rows]
    for penalty in PENALTIES:
        if measure is _log_loss:
            yield softmax(features @ _logistic(x, y, penalty), 1)
        else:
            ridge = penalty * len(x) * np.eye(x.shape[1])
            ridge[0, 0] = 0
            ridge += 1e-9 * np.eye(len(ridge))
            yield features @ np.linalg.solve(x.T @ x + ridge, x.T @ y)


def _logistic(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weights (P, C) of a multinomial logistic regression."""
    from scipy.optimize import minimize
    from scipy.special import softmax

    start = np.zeros((x.shape[1], y.shape[1]))
    start[0] = np.log(np.maximum(y.mean(0), LEAST))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(start.shape)
        guess = softmax(x @ weights, 1)
        bare = weights.copy()
        bare[0] = 0  # no penalty on the constant
        value = _log_loss(guess, y) + penalty / 2 * (bare**2).sum()
        return value, (x.T @ (guess - y) / len(x) + penalty * bare).ravel()

    options = {"maxiter": ITERATIONS}
    best = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return best.x.reshape(start.shape)
