"""Helpers of the task tests: draw a batch, pick out the answers, score the best predictor without memory."""

from functools import cache, partial
from typing import NamedTuple

import jax
import numpy as np
from hypothesis import settings
from hypothesis import strategies as st

from memcap.tasks import Batch, Task

STEPS, BATCH = 48, 32
few = settings(deadline=None, max_examples=15, derandomize=True)
seeds = st.integers(0, 2**31 - 1)


@cache
def sampler(task: Task, steps: int, batch: int):
    return jax.jit(partial(task.sample, steps=steps, batch=batch))


def draw(task: Task, lag: int, length: int | None = None, *, seed=0, steps=STEPS, batch=BATCH) -> Batch:
    """A batch as NumPy arrays, from the compiled sampler with `lag` and `length` traced."""
    drawn = sampler(task, steps, batch)(jax.random.key(seed), lag, length or task.length(lag))
    return jax.tree.map(np.asarray, drawn)


def sequences(task: Task, batch: Batch, length: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Inputs (B, length, ...), targets and mask (B, length): one form for both kinds of answers."""
    inputs = np.moveaxis(batch.inputs[:length], 0, 1)
    if task.answers == "every":
        return inputs, batch.targets[:length].T, batch.mask[:length].T
    targets = np.zeros(inputs.shape[:2], batch.targets.dtype)
    targets[:, -1] = batch.targets
    mask = np.zeros(inputs.shape[:2], bool)
    mask[:, -1] = True
    return inputs, targets, mask


class Score(NamedTuple):
    mean: float
    error: float  # standard error over sequences


def score(task: Task, guess: np.ndarray, targets: np.ndarray, mask: np.ndarray) -> Score:
    """The task's own score where an answer is due; each sequence is one observation."""
    each = (guess == targets) if task.loss == "classes" else (guess - targets) ** 2
    a_sequence = np.where(mask, each, 0).sum(1) / mask.sum(1)
    return Score(float(a_sequence.mean()), float(a_sequence.std() / len(a_sequence) ** 0.5))


def without_memory(task: Task, lag: int, batch: int = 8192, seed: int = 1) -> Score:
    """Fit the best map from the current input to the answer on one half of a batch, score it on the other half.

    A table for symbols; for reals a quadratic form, which holds the best map of every task here.
    """
    length = task.length(lag)
    inputs, targets, mask = sequences(task, draw(task, lag, length, seed=seed, batch=batch), length)
    if task.vocabulary is None:
        x = np.concatenate([np.ones((*inputs.shape[:2], 1)), inputs], -1)
        seen = (x[..., :, None] * x[..., None, :]).reshape(*inputs.shape[:2], -1)
    else:
        seen = np.eye(task.vocabulary)[inputs]
    fit, test = slice(0, batch // 2), slice(batch // 2, None)
    due = targets[fit][mask[fit]]
    wanted = np.eye(task.outputs)[due] if task.loss == "classes" else due[:, None]
    weights = np.linalg.lstsq(seen[fit][mask[fit]], wanted, rcond=None)[0]
    out = seen[test] @ weights
    guess = out.argmax(-1) if task.loss == "classes" else out[..., 0]
    return score(task, guess, targets[test], mask[test])
