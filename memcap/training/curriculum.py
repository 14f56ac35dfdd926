"""An adaptive curriculum over the lag: a member trains at a front that moves from a share of its lag up to
the lag.

The front rises by one lag when the running accuracy on training batches reaches `advance`, and is pushed
along a line that reaches the lag at `deadline` of the budget. Held-out sequences are asked at the full lag
only, once the front has arrived. A learning rate that falls with the lag (`falls_above`) falls with the
front's. With schedule=arrive it is that until the front has arrived, and falls to 0 as a cosine over what is
left of the budget.
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from memcap.config import Member

DECAY = 0.8  # of the running accuracy
AFTER_A_RISE = 0.5  # what the running accuracy starts from again


class Plan(NamedTuple):
    """A member's curriculum, as operands: scalars, and `lengths` (T + 1,) int32, of sequences by lag."""

    start: Any
    advance: Any
    deadline: Any
    arrive: Any
    falls_above: Any
    lengths: Any


class Front(NamedTuple):
    """How far the curriculum is; scalars. `arrived`: the step at which the front reached the lag; -1
    before."""

    lag: Any
    score: Any
    arrived: Any


def plan(member: Member, steps: int) -> Plan:
    """The curriculum of a member whose buffer has `steps` steps; of one that has none, it starts at the
    lag."""
    recipe, task, lag = member.recipe, member.task, member.lag
    start = lag if recipe.curriculum is None else max(task.smallest_lag, math.ceil(recipe.curriculum * lag))
    lengths = np.full(steps + 1, member.length, np.int32)
    for at in range(start, lag):
        lengths[at] = min(task.length(at), member.length)
    deadline = (recipe.deadline or 0.0) * (recipe.budget or 0)
    arrive = np.bool_(recipe.schedule == "arrive")
    falls_above = np.float32(lag if recipe.falls_above is None else recipe.falls_above)
    return Plan(
        np.int32(start), np.float32(recipe.advance or 1.0), np.float32(deadline), arrive, falls_above, lengths
    )


def start(made: Plan, lag: int) -> Front:
    """Before the first step."""
    return Front(made.start, np.float32(AFTER_A_RISE), np.int32(0 if made.start >= lag else -1))


def moved(front: Front, made: Plan, lag: jax.Array, step: jax.Array, score: jax.Array) -> Front:
    """The front after a training step.

    Args:
        front: before it.
        made: the member's plan.
        lag: () int32, the member's lag.
        step: () int32, steps taken, this one included.
        score: () accuracy of the step's batch.
    """
    mean = DECAY * front.score + (1 - DECAY) * score
    rises = mean >= made.advance
    line = made.start + (lag - made.start) * jnp.minimum(1.0, step / jnp.maximum(made.deadline, 1.0))
    at = jnp.minimum(jnp.maximum(front.lag + rises, line.astype(jnp.int32)), lag)
    arrived = jnp.where((front.arrived < 0) & (at >= lag), step, front.arrived)
    return Front(at, jnp.where(at > front.lag, AFTER_A_RISE, mean), arrived)


def share_of_rate(front: Front, made: Plan, step: jax.Array, budget: jax.Array) -> jax.Array:
    """Of the learning rate: what the front's lag leaves of it; with schedule=arrive a cosine to 0 once it has
    arrived, too."""
    after = jnp.maximum(step - front.arrived, 0) / jnp.maximum(budget - front.arrived, 1)
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * after))
    at_front = jnp.minimum(1.0, made.falls_above / jnp.maximum(front.lag, 1))
    return at_front * jnp.where(made.arrive & (front.arrived >= 0), cosine, 1.0)
