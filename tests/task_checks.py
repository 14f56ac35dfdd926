"""Helpers of the task tests: draw a batch, and every task that the package finds, at
several settings of its knobs."""

from collections.abc import Iterator
from dataclasses import Field, fields, replace
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from hypothesis import settings, strategies as st
from lstm_reference import quick_jit

from memcap.tasks import Batch, Task, task_classes

STEPS = 48
BATCH = 32
# other values of knobs that are any text
TEXTS = {"file": [str(Path(__file__).with_name("tasks") / "sequences.npz")]}
few = settings(deadline=None, max_examples=15, derandomize=True)
seeds = st.integers(0, 2**31 - 1)


@cache
def sampler(task: Task, steps: int, batch: int):
    """Draw symbols without optimisation, which compiles sooner: no last bit of a number decides."""
    jit = jax.jit if task.vocabulary is None or task.loss == "values" else quick_jit
    return jit(partial(task.sample, steps=steps, batch=batch))


def draw(
    task: Task, lag: int, length: int | None = None, *, seed=0, steps=STEPS, batch=BATCH
) -> Batch:
    """A batch as NumPy arrays, from the compiled sampler with `lag` and `length` traced."""
    drawn = sampler(task, steps, batch)(
        jax.random.key(seed), lag, length or task.length(lag)
    )
    return jax.tree.map(np.asarray, drawn)


def evenly(counts: np.ndarray, kinds: int, errors: float = 4) -> bool:
    """Return whether each of so many kinds came about as often: within so many standard errors."""
    share = 1 / kinds
    total = np.sum(counts)
    apart = abs(np.asarray(counts) / total - share)
    return len(counts) == kinds and bool(
        np.all(apart < errors * (share * (1 - share) / total) ** 0.5)
    )


def other_values(field: Field) -> list[Any]:
    """Other values of a knob than its default, from what the knob itself allows.

    Of a number, the least that is allowed and one a little above the default: 3 more,
    as 1 more may change nothing (an alphabet of one distractor is a blank).
    """
    limits = field.metadata
    default = field.default
    if limits["choices"] is not None:
        return [value for value in limits["choices"] if value != default]
    if isinstance(default, str):
        return TEXTS[field.name]
    if default is None:  # a number that may be left out
        return [limits["at_least"] or 0.75]
    if isinstance(default, bool):
        return [not default]
    assert isinstance(default, (int, float)), (
        f"the knob {field.name} needs `choices`, or a number as its default"
    )
    least = limits["at_least"]
    most = limits["at_most"]
    if limits["below"] is not None:
        return [(default + limits["below"]) / 2]
    higher = default + 3 if most is None or default + 3 <= most else most
    return sorted(
        {type(default)(value) for value in (least, higher) if value is not None}
        - {default}
    )


def variants(cls: type[Task]) -> Iterator[tuple[str, Task]]:
    """The task with one knob at another value: (knob, task)."""
    return (
        (f.name, replace(cls(), **{f.name: value}))
        for f in fields(cls)
        for value in other_values(f)
    )


def every_task() -> list[Task]:
    """Each task of the package, and each with one knob at another value."""
    return [
        task
        for cls in task_classes().values()
        for task in (cls(), *(task for _, task in variants(cls)))
    ]
