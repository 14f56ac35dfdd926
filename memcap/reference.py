"""The whole method on one page: a member is trained and judged, in plain JAX, one step at a time.

The engine (memcap/training/) does the same, faster and safer: gradients written out, many members in one
program, workers, checkpoints, curves. tests/test_reference.py holds that it gives the same numbers. A
curriculum over the lag (training/curriculum.py), and lags that are drawn, are the engine's alone.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from memcap.config import Member
from memcap.loops import Answers, loss_and_score_sums
from memcap.tasks import Batch
from memcap.training.early_stopping import RARELY, near
from memcap.training.step import (
    EVALUATE,
    EVALUATION_BATCH,
    STRETCH,
    TRAIN,
    optimizer_of,
)


@dataclass
class Outcome:
    """What became of a member: as the engine's `Result`, with the weights as one vector (P,)."""

    weights: np.ndarray
    status: str = "running"  # at the end "solved", "unsolved" or "diverged"
    steps: int = 0
    solved: int | None = None  # the step at which it was; steady: at the stretched length, too
    steady: int | None = None
    score: float = float("nan")
    stretched: float = float("nan")


def train(member: Member) -> Outcome:
    """Train one member from scratch until it is solved or its budget is used up.

    Raises:
        ValueError: its recipe has a curriculum, or draws lags.
    """
    if member.recipe.curriculum is not None or member.recipe.lags is not None:
        raise ValueError(f"recipe={member.recipe.name}: has other lags, which the engine alone trains by")
    task, recipe, rule, architecture = member.task, member.recipe, member.evaluation, member.architecture
    # A recipe's file gives each of these a value.
    budget, batch_size, clip = recipe.budget or 0, recipe.batch or 0, recipe.clip or 0.0
    decays = None if recipe.decay is None else recipe.decay * architecture.matrices()
    optimizer = optimizer_of(recipe.optimizer or "adam", clip, recipe.clip_by or "norm", decays)

    def stream_key(stream: int, index: Any) -> jax.Array:
        """A stream hangs on the member alone, never on what else trains."""
        key = jax.random.key(member.seed)
        for part in (member.lag, member.model.units, stream, index):
            key = jax.random.fold_in(key, part)
        return key

    def sums(weights: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
        """Loss, score, and how many answers were due: the cell and its read-out, over time by `lax.scan`."""
        network = architecture.build(architecture.unflatten(weights))
        starts = jnp.zeros(len(batch.inputs), bool) if batch.window_starts is None else batch.window_starts
        if member.model.initial_carry == "learned":
            starts = starts.at[0].set(False)  # else nothing would reach what the sequence begins with

        def step(carry: Any, row: tuple[jax.Array, jax.Array]) -> Any:
            inputs, window_starts = row  # there the carry is set to zero, or its gradient is cut
            fresh = jax.tree.map(jnp.zeros_like if task.reset_carry else lax.stop_gradient, carry)
            carry = jax.tree.map(lambda new, old: jnp.where(window_starts, new, old), fresh, carry)
            return network.step(carry, inputs)

        _, outputs = lax.scan(step, network.carry(batch.inputs.shape[1]), (batch.inputs, starts))  # (T, B, O)
        outputs = outputs if task.answers == "every" else outputs[-1]
        answers = Answers(batch.targets, batch.mask, task.loss)
        return loss_and_score_sums(jnp.moveaxis(outputs, -1, 0), answers)

    @jax.jit
    def train_step(weights: Any, state: Any, step: Any) -> Any:
        """One batch, one step down its gradient: weights, state of the optimizer, score, whether finite."""

        def mean_loss(weights: jax.Array) -> tuple[jax.Array, jax.Array]:
            key = jax.random.fold_in(stream_key(TRAIN, 0), step)
            batch = task.sample(key, member.lag, member.length, member.length, batch_size)
            loss, score, answers = sums(weights, batch)
            return loss / answers, score / answers

        (loss, score), gradient = jax.value_and_grad(mean_loss, has_aux=True)(weights)
        direction, state = optimizer.update(gradient, state, weights)
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * step / budget)) if recipe.schedule == "cosine" else 1.0
        cosine = (recipe.floor or 0.0) + (1 - (recipe.floor or 0.0)) * cosine
        warm = jnp.minimum(1.0, (step + 1) / max(recipe.warmup_steps, 1))
        weights = weights - recipe.peak(member.lag) * warm * cosine * cast(jax.Array, direction)
        return weights, state, score, jnp.isfinite(loss) & jnp.isfinite(weights).all()

    @partial(jax.jit, static_argnames=("lag", "length", "block"))
    def block_sums(weights: jax.Array, key: jax.Array, lag: int, length: int, block: int) -> Any:
        """Score over fresh sequences, and how many answers were due."""
        return sums(weights, task.unseen(key, lag, length, length, block))[1:]

    def evaluate(weights: jax.Array, stream: int, index: int, lag: int, length: int, sequences: int) -> float:
        """Mean score over fresh sequences, drawn by the block."""
        block, key = min(EVALUATION_BATCH, rule.sequences), stream_key(stream, index)
        keys = [jax.random.fold_in(key, k) for k in range(max(1, -(-sequences // block)))]
        scores, answers = zip(*(block_sums(weights, each, lag, length, block) for each in keys), strict=True)
        return float(sum(scores) / sum(answers))

    def passes(score: float) -> bool:
        return task.passes(score, member.facts.threshold)

    weights = jnp.asarray(
        architecture.flatten(architecture.init(member.init, [member.seed, member.lag, member.model.units]))
    )
    state, running_score = optimizer.init(weights), float("nan")
    outcome, evaluations, passes_in_a_row = Outcome(np.asarray(weights)), 0, 0
    while outcome.status == "running":
        for step in range(outcome.steps, min(outcome.steps + rule.every, budget)):
            new_weights, state, score, finite = train_step(weights, state, step)
            if not finite:  # it keeps its last finite weights
                outcome.status = "diverged"
                break
            weights, outcome.steps = new_weights, step + 1
            running_score = float(score if np.isnan(running_score) else 0.9 * running_score + 0.1 * score)

        step, at_end = outcome.steps, outcome.steps >= budget
        if outcome.solved is None:  # held-out sequences are drawn where training looks good, and at the end
            evaluate_now = near(task, running_score, member.facts.threshold) or at_end
        else:
            evaluate_now = step % (RARELY * rule.every) == 0 or at_end
        if outcome.status == "running" and evaluate_now:
            outcome.score = evaluate(
                weights, EVALUATE, evaluations, member.lag, member.length, rule.sequences
            )
            evaluations, passes_in_a_row = (
                evaluations + 1,
                passes_in_a_row + 1 if passes(outcome.score) else 0,
            )
            if outcome.solved is None and passes_in_a_row >= rule.successive:
                outcome.solved = step
            if outcome.solved is None:  # one that has just passes_in_a_row at the end is asked again
                outcome.status = "unsolved" if at_end and not passes_in_a_row else "running"
            elif rule.until == "solved" or (at_end and not passes_in_a_row):
                outcome.status = "solved"
        elif outcome.status == "running":
            passes_in_a_row = 0

        if outcome.status != "running" or (outcome.solved is not None and passes_in_a_row):
            longer = *task.stretched(member.lag, rule.stretch), rule.sequences // 4
            outcome.stretched = evaluate(weights, STRETCH, 0, *longer)
            if outcome.solved is not None and outcome.status != "diverged":
                outcome.steady = step if passes_in_a_row and passes(outcome.stretched) else None
                if outcome.steady is not None or at_end:
                    outcome.status = "solved"
    outcome.weights = np.asarray(weights)
    return outcome
