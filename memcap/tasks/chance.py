"""The score of a net without memory, measured on drawn sequences: a check of a task's facts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np

from memcap.runtime import jax_setup
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
    """Return inputs (B, length, ...), targets and mask (B, length): one form for both
    kinds of answers.

    Targets with several values per answer are (B, length, O).
    """
    inputs = np.moveaxis(np.asarray(batch.inputs)[:length], 0, 1)
    due = np.asarray(batch.targets)
    if task.several_values:
        due = np.moveaxis(due, 0, -1)
    if task.answers == "every":
        assert batch.mask is not None
        return (
            inputs,
            np.moveaxis(due[:length], 0, 1),
            np.asarray(batch.mask)[:length].T,
        )
    targets = np.zeros((*inputs.shape[:2], *due.shape[1:]), due.dtype)
    targets[:, -1] = due
    mask = np.zeros(inputs.shape[:2], bool)
    mask[:, -1] = True
    return inputs, targets, mask


def score(
    task: Task, guess: np.ndarray, targets: np.ndarray, mask: np.ndarray
) -> Measured:
    """Return the task's own score over all answers that are due, with a standard error
    for which each sequence is one observation."""
    each = (guess == targets) if task.loss == "classes" else (guess - targets) ** 2
    each = each.mean(-1) if task.several_values else each
    due = mask.sum(1)
    sums = np.where(mask, each, 0).sum(1)
    mean = sums.sum() / due.sum()
    error = (
        (sums - mean * due).std() / due.mean() / len(due) ** 0.5
    )  # of a ratio of two sums
    return Measured(float(mean), float(error))


@lru_cache(maxsize=1024)
def without_memory(
    task: Task, lag: int, length: int, batch: int = 4096, seed: int = 1
) -> Measured:
    """Apply `best_map` to as many drawn sequences as `batch`, for both halves together;
    raise UserError if the task breaks its contract (`memcap.tasks.contract`)."""
    jax_setup.setup()
    steps = (
        1 << (length - 1).bit_length()
    )  # few sizes, so that a task compiles few samplers
    anybodys = not type(task).__module__.startswith("memcap.")
    seeds = range(seed, seed + (3 if anybodys else 1))
    arrays, *others = (
        _draw(task, "sample", each, (lag, length, steps, batch)) for each in seeds
    )
    if anybodys:
        for each in range(seed, seed + KEYS):  # one by one, as they may be large
            draw = _draw(task, "sample", each, (lag, length, steps, batch))
            contract.check_batch(task, "sample", draw, length, steps, batch)
        contract.check_keys(task, [arrays, *others])
        _sampler.cache_clear()  # traced anew, so that Python's own state is seen
        again = _draw(task, "sample", seed, (lag, length, steps, batch))
        contract.check_again(task, arrays, again)
        if type(task).unseen is not Task.unseen:
            held_out = _draw(task, "unseen", seed, (lag, length, steps, batch))
            contract.check_batch(task, "unseen", held_out, length, steps, batch)
    return best_map(task, *sequences(task, arrays, length))


def _draw(task: Task, method: str, seed: int, sizes: tuple[int, int, int, int]) -> Any:
    """Draw sequences of a lag and length, in so many steps and of so many in a batch."""
    import jax

    lag, length, steps, batch = sizes
    try:
        result = _sampler(task, method, steps, batch)(jax.random.key(seed), lag, length)
    except (Exception, SystemExit) as error:  # it may be a user's task
        raise contract.broken(task, method, error) from error
    return jax.tree.map(np.asarray, result)


def best_map(
    task: Task, inputs: np.ndarray, targets: np.ndarray, mask: np.ndarray
) -> Measured:
    """Fit the best map from the current input to the answer on one half of some
    sequences, and score it on the other half.

    A table for symbols; for reals a quadratic form. A constant answer is among these
    maps. Arrays are as from `sequences`, (B, length, ...) and (B, length).
    """
    fit = slice(0, len(inputs) // 2)
    test = slice(len(inputs) // 2, None)
    due = targets[fit][mask[fit]]
    answers = (
        np.eye(task.outputs)[due]
        if task.loss == "classes"
        else due.reshape(len(due), -1)
    )
    if task.vocabulary is None:
        seen = inputs[fit][mask[fit]].any(
            0
        )  # few one-hot inputs are ever seen where an answer is due
        weights = np.linalg.lstsq(
            _quadratic(inputs[fit][mask[fit]][:, seen]), answers, rcond=None
        )[0]
        out = np.zeros((*inputs[test].shape[:2], answers.shape[1]))
        out[mask[test]] = _quadratic(inputs[test][mask[test]][:, seen]) @ weights
    else:
        symbols = inputs[fit][mask[fit]]
        table = np.zeros((task.vocabulary, answers.shape[1]))
        np.add.at(table, symbols, answers)
        out = (
            table
            / np.maximum(np.bincount(symbols, minlength=task.vocabulary), 1)[:, None]
        )[inputs[test]]
    guess = (
        out.argmax(-1)
        if task.loss == "classes"
        else out
        if task.several_values
        else out[..., 0]
    )
    return score(task, guess, targets[test], mask[test])


def _quadratic(inputs: np.ndarray) -> np.ndarray:
    """Map (N, F) numbers to all products of two of them and 1: (N, (F + 1)^2)."""
    x = np.concatenate([np.ones((len(inputs), 1)), inputs], -1)
    return (x[:, :, None] * x[:, None, :]).reshape(len(x), -1)


@lru_cache(maxsize=64)
def _sampler(task: Task, method: str, steps: int, batch: int) -> Any:
    import jax

    return jax.jit(partial(getattr(task, method), steps=steps, batch=batch))
