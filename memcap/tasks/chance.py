"""The score of a net without memory, measured on drawn sequences."""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from memcap.runtime import jax_setup
from memcap.runtime.plugins import calling
from memcap.tasks import contract
from memcap.tasks.base import Batch, Task

KEYS = 20  # with which a user's task is tried


@dataclass(frozen=True)
class Measured:
    """A score and its standard error over sequences."""

    mean: float
    error: float


def sequences(
    task: Task, batch: Batch, length: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return inputs (B, length, ...), targets and mask (B, length) for all tasks.

    Targets with several values per answer are (B, length, O)."""
    inputs = np.asarray(batch.inputs)[:length].swapaxes(0, 1)
    answers = np.asarray(batch.targets)
    if task.several_values:
        answers = np.moveaxis(answers, 0, -1)
    if batch.mask is not None:
        mask = np.asarray(batch.mask)[:length].T
        return inputs, answers[:length].swapaxes(0, 1), mask
    targets = np.zeros((*inputs.shape[:2], *answers.shape[1:]), answers.dtype)
    targets[:, -1] = answers
    mask = np.zeros(inputs.shape[:2], bool)
    mask[:, -1] = True
    return inputs, targets, mask


def score(
    task: Task, guess: np.ndarray, targets: np.ndarray, mask: np.ndarray
) -> Measured:
    """Score all answers that are due; each sequence is one observation."""
    numbers = mask.sum(1)
    sums = errors(task, guess, targets, mask).sum(1)
    mean = sums.sum() / numbers.sum()
    # of a ratio of two sums
    error = (sums - mean * numbers).std() / numbers.mean() / len(numbers) ** 0.5
    if task.higher_is_better:
        mean = 1 - mean
    return Measured(float(mean), float(error))


def errors(
    task: Task, guess: np.ndarray, targets: np.ndarray, mask: np.ndarray
) -> np.ndarray:
    """Return the error of each answer, (B, T); 0 where none is due."""
    each = (guess != targets) if task.loss == "classes" else (guess - targets) ** 2
    if task.several_values:
        each = each.mean(-1)
    return np.where(mask, each, 0.0)


@lru_cache(maxsize=1024)
def without_memory(
    task: Task, lag: int, length: int, batch: int = 4096, seed: int = 1
) -> Measured:
    """Score `best_map` on drawn sequences, half of `batch` to fit it.

    Raise UserError if the task breaks its contract (`memcap.tasks.contract`)."""
    jax_setup.limit_threads()
    # few sizes, so that a task compiles few samplers
    steps = 1 << (length - 1).bit_length()
    sizes = (lag, length, steps, batch)
    first = _draw(task, "sample", seed, *sizes)
    if not task.is_own:
        for key in range(seed, seed + KEYS):  # one by one, as they may be large
            sample = _draw(task, "sample", key, *sizes)
            contract.check_batch(task, "sample", sample, length, steps, batch)
        others = [_draw(task, "sample", seed + k, *sizes) for k in (1, 2)]
        _sampler.cache_clear()  # traced anew, so that Python's own state is seen
        again = _draw(task, "sample", seed, *sizes)
        contract.check_keys(task, again, first, *others)
        if type(task).unseen is not Task.unseen:
            held_out = _draw(task, "unseen", seed, *sizes)
            contract.check_batch(task, "unseen", held_out, length, steps, batch)
    return best_map(task, *sequences(task, first, length))


def _draw(
    task: Task, method: str, seed: int, lag: int, length: int, steps: int, batch: int
) -> Any:
    import jax

    with calling(f"task {task.name}: {method}", type(task).__module__):
        result = _sampler(task, method, steps, batch)(jax.random.key(seed), lag, length)
    return jax.tree.map(np.asarray, result)


def best_map(
    task: Task, inputs: np.ndarray, targets: np.ndarray, mask: np.ndarray
) -> Measured:
    """Fit the best map from input to answer on one half, score it on the other.

    A table for symbols, for reals a quadratic form. Arrays are as from `sequences`."""
    half = len(inputs) // 2
    seen = inputs[:half][mask[:half]]
    answers = targets[:half][mask[:half]]
    if task.loss == "classes":
        answers = np.eye(task.outputs)[answers]
    answers = answers.reshape(len(answers), -1)
    inputs = inputs[half:]
    targets = targets[half:]
    mask = mask[half:]
    if task.vocabulary is None:
        # few one-hot inputs are ever seen where an answer is due
        ever = seen.any(0)
        weights = np.linalg.lstsq(_quadratic(seen[:, ever]), answers, rcond=None)[0]
        out = np.zeros((*mask.shape, answers.shape[1]))
        out[mask] = _quadratic(inputs[mask][:, ever]) @ weights
    else:
        table = np.zeros((task.vocabulary, answers.shape[1]))
        np.add.at(table, seen, answers)
        counts = np.bincount(seen, minlength=task.vocabulary)
        out = (table / np.maximum(counts, 1)[:, None])[inputs]
    if task.loss == "classes":
        return score(task, out.argmax(-1), targets, mask)
    return score(task, out if task.several_values else out[..., 0], targets, mask)


def _quadratic(inputs: np.ndarray) -> np.ndarray:
    """Map (N, F) numbers to all products of two of them and 1: (N, (F + 1)^2)."""
    x = np.concatenate([np.ones((len(inputs), 1)), inputs], -1)
    return (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)


@lru_cache(maxsize=64)
def _sampler(task: Task, method: str, steps: int, batch: int) -> Any:
    import jax

    return jax.jit(partial(getattr(task, method), steps=steps, batch=batch))
