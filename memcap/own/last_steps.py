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

# of training's sequences, of validation's, and of those held out
Arrays = list[np.ndarray]
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
    windows = [windows for windows, _ in parts]
    if task.loss == "classes":
        answers = [np.eye(task.outputs)[answers] for _, answers in parts]
    else:
        answers = [answers.reshape(len(answers), -1) for _, answers in parts]
        answers = [numbers.astype(np.float64) for numbers in answers]
    measure = _log_loss if task.loss == "classes" else _squared_error
    if file.symbols is None:
        guesses = _regressions(_features(windows), answers, measure)
    else:
        guesses = _tables(windows, answers, file.symbols + 1, measure)
    losses = [
        (measure(validation, answers[1]), measure(held_out, answers[2]))
        for validation, held_out in guesses
    ]
    return min(losses)[1]


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
    windows[back < first] = 0 if file.symbols is None else file.symbols
    return windows, answers


def _log_loss(guess: np.ndarray, answers: np.ndarray) -> float:
    return float(-np.log(np.maximum((guess * answers).sum(1), LEAST)).mean())


def _squared_error(guess: np.ndarray, answers: np.ndarray) -> float:
    return float(((guess - answers) ** 2).mean())


def _constants(answers: Arrays, measure: Measure) -> list[np.ndarray]:
    """Guess the same for all answers: the mean; of classes, with one more in each."""
    training, *others = answers
    more = measure is _log_loss
    mean = (training.sum(0) + more) / (len(training) + more * training.shape[1])
    return [np.tile(mean, (len(other), 1)) for other in others]


def _tables(
    windows: Arrays, answers: Arrays, symbols: int, measure: Measure
) -> Iterator[list[np.ndarray]]:
    """Guess validation's and held-out answers by the table for each number of symbols."""
    guesses = _constants(answers, measure)
    outputs = answers[0].shape[1]
    codes = [np.zeros(len(window), np.int64) for window in windows]
    for back in range(windows[0].shape[1]):
        codes = [
            code * symbols + window[:, -1 - back]
            for code, window in zip(codes, windows, strict=True)
        ]
        contexts, place = np.unique(codes[0], return_inverse=True)
        if len(contexts) * outputs > MOST_CELLS or symbols ** (back + 1) > 1 << 62:
            break
        sums = np.zeros((len(contexts), outputs))
        np.add.at(sums, place, answers[0])
        counts = np.bincount(place)[:, None]
        options = []
        for smoothing in SMOOTHINGS:
            option = []
            for code, guess in zip(codes[1:], guesses, strict=True):
                at = np.minimum(np.searchsorted(contexts, code), len(contexts) - 1)
                share = (sums[at] + smoothing * guess) / (counts[at] + smoothing)
                known = (contexts[at] == code)[:, None]
                option.append(np.where(known, share, guess))
            options.append(option)
        guesses = min(options, key=lambda option: measure(option[0], answers[1]))
        yield guesses


def _features(windows: Arrays) -> Arrays:
    """Return features of the last steps, (A, P): 1, numbers and squares; all products
    if these are few."""
    flat = [window.reshape(len(window), -1).astype(np.float64) for window in windows]
    width = flat[0].shape[1]
    first = second = np.arange(width)
    if (width + 1) ** 2 <= MOST_PRODUCTS and windows[0].shape[1] == 1:
        first, second = np.triu_indices(width)
    flat = [np.concatenate([x, x[:, first] * x[:, second]], 1) for x in flat]
    mean = flat[0].mean(0)
    spread = flat[0].std(0)
    scaled = [(x - mean) / np.where(spread > 0, spread, 1) for x in flat]
    return [np.insert(np.clip(x, -10, 10), 0, 1, axis=1) for x in scaled]


def _regressions(
    seen: Arrays, answers: Arrays, measure: Measure
) -> Iterator[list[np.ndarray]]:
    """Guess validation's and held-out answers by the best constant, and by a regression
    per penalty."""
    yield _constants(answers, measure)
    rows = np.random.default_rng(0).permutation(len(seen[0]))[:MOST_ROWS]
    x = seen[0][rows]
    y = answers[0][rows]
    for penalty in PENALTIES:
        if measure is _log_loss:
            weights = _logistic(x, y, penalty)
            yield [_softmax(features @ weights) for features in seen[1:]]
        else:
            ridge = penalty * len(x) * np.eye(x.shape[1])
            ridge[0, 0] = 0
            ridge += 1e-9 * np.eye(len(ridge))
            weights = np.linalg.solve(x.T @ x + ridge, x.T @ y)
            yield [features @ weights for features in seen[1:]]


def _softmax(logits: np.ndarray) -> np.ndarray:
    shares = np.exp(logits - logits.max(1, keepdims=True))
    return shares / shares.sum(1, keepdims=True)


def _logistic(x: np.ndarray, y: np.ndarray, penalty: float) -> np.ndarray:
    """Return the weights (P, C) of a multinomial logistic regression."""
    from scipy.optimize import minimize

    start = np.zeros((x.shape[1], y.shape[1]))
    start[0] = np.log(np.maximum(y.mean(0), LEAST))

    def loss(flat: np.ndarray) -> tuple[float, np.ndarray]:
        weights = flat.reshape(start.shape)
        guess = _softmax(x @ weights)
        bare = weights.copy()
        bare[0] = 0  # no penalty on the constant
        value = _log_loss(guess, y) + penalty / 2 * (bare**2).sum()
        return value, (x.T @ (guess - y) / len(x) + penalty * bare).ravel()

    options = {"maxiter": ITERATIONS}
    best = minimize(loss, start.ravel(), jac=True, method="L-BFGS-B", options=options)
    return best.x.reshape(start.shape)
