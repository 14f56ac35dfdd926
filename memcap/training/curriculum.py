"""An adaptive curriculum: a member trains at a lag that rises to its own.

It rises by one when the running training accuracy reaches `advance`, and is pushed
along a line that ends at `deadline` of the budget. An error counts as the accuracy 1 -
`PER_CRITERION` * error / criterion. Evaluations begin at the arrival.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from memcap.config.member import Member

DECAY = 0.8  # of the running accuracy
AFTER_A_RISE = 0.5  # the running accuracy starts here again
# what an error as large as the criterion takes off an accuracy of 1
PER_CRITERION = 0.01


class Curriculum(NamedTuple):
    """A member's curriculum, as operands: scalars, but for `lengths`."""

    start: Any
    advance: Any
    deadline: Any
    arrive: Any
    falls_above: Any
    lengths: Any  # (T + 1,) int32, the length of sequences for each lag
    # the error at which the member counts as solved; () for a task scored by accuracy
    criterion: Any = ()


class CurriculumState(NamedTuple):
    """Progress of a curriculum, as scalars."""

    lag: Any  # the current one
    score: Any  # the running accuracy there
    arrived: Any  # the step at which it arrived at the member's lag; -1 before


def curriculum_of(member: Member, max_length: int) -> Curriculum:
    """Return a member's curriculum; without one, it starts at the member's lag.

    With uniform lags it has a length for each lag, for a buffer of `max_length` steps.
    """
    recipe = member.recipe
    task = member.task
    lag = member.lag
    start = (
        lag
        if recipe.curriculum is None
        else max(task.smallest_lag, math.ceil(recipe.curriculum * lag))
    )
    lengths = np.full(max_length + 1, member.length, np.int32)
    for shorter in range(start if recipe.lags is None else task.smallest_lag, lag):
        lengths[shorter] = member.length_at(shorter)
    return Curriculum(
        np.int32(start),
        np.float32(recipe.advance or 1.0),
        np.float32((recipe.deadline or 0.0) * recipe.budget),
        np.bool_(recipe.schedule == "arrive"),
        np.float32(lag if recipe.falls_above is None else recipe.falls_above),
        lengths,
        () if task.higher_is_better else np.float32(member.facts.threshold),
    )


def initial_state(curriculum: Curriculum, lag: int) -> CurriculumState:
    arrived = np.int32(0 if curriculum.start >= lag else -1)
    return CurriculumState(curriculum.start, np.float32(AFTER_A_RISE), arrived)


def next_progress(
    state: CurriculumState,
    curriculum: Curriculum,
    lag: jax.Array,
    step: jax.Array,
    score: jax.Array,
) -> CurriculumState:
    """Return the state after a training step.

    `lag` and `step` are () int32, `step` counting this one; `score` is the batch's
    accuracy or error, ().
    """
    if not isinstance(curriculum.criterion, tuple):
        score = jnp.clip(1 - PER_CRITERION * score / curriculum.criterion, 0, 1)
    mean = DECAY * state.score + (1 - DECAY) * score
    rises = mean >= curriculum.advance
    rise = (lag - curriculum.start) * jnp.minimum(
        1.0, step / jnp.maximum(curriculum.deadline, 1.0)
    )
    line = curriculum.start + rise
    new_lag = jnp.minimum(jnp.maximum(state.lag + rises, line.astype(jnp.int32)), lag)
    arrived = jnp.where((state.arrived < 0) & (new_lag >= lag), step, state.arrived)
    return CurriculumState(
        new_lag, jnp.where(new_lag > state.lag, AFTER_A_RISE, mean), arrived
    )


def lr_scale(
    state: CurriculumState,
    curriculum: Curriculum,
    step: jax.Array,
    budget: jax.Array,
    xp: Any = jnp,
) -> jax.Array:
    """Return the factor of the learning rate at the current lag.

    With schedule=arrive, times a cosine to 0 from the arrival on. `xp`: jax.numpy or
    NumPy.
    """
    since = xp.maximum(step - state.arrived, 0) / xp.maximum(budget - state.arrived, 1)
    cosine = 0.5 * (1 + xp.cos(xp.pi * since))
    at_lag = xp.minimum(1.0, curriculum.falls_above / xp.maximum(state.lag, 1))
    return at_lag * xp.where(curriculum.arrive & (state.arrived >= 0), cosine, 1.0)
