"""The whole method on one page, in plain JAX: a member is trained until docs/decides.md has its verdict.

The engine (memcap/training/) does the same, faster and safer; curricula over the lag, and lags that are
drawn, are its alone. tests/test_reference.py holds that both give the same numbers.
"""

from dataclasses import dataclass
from functools import partial, reduce
from math import isnan, nan
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax

from memcap.config import Member, Stream
from memcap.tasks import Batch


def random_key(member: Member, *parts: Any) -> jax.Array:
    """Return a key that depends on the member alone, never on what else trains."""
    parts = member.lag, member.model.units, *parts
    return reduce(jax.random.fold_in, parts, jax.random.key(member.seed))


def outputs_of(weights: jax.Array, member: Member, batch: Batch) -> jax.Array:
    """Return the network's outputs (T, B, O), or (B, O) at the last step."""
    network = member.architecture.build(member.architecture.unflatten(weights))
    starts = jnp.zeros(len(batch.inputs), bool) if batch.window_starts is None else batch.window_starts
    if member.model.initial_carry == "learned":
        starts = starts.at[0].set(False)  # else its gradient would be cut

    def step(carry: Any, row: Any) -> Any:
        inputs, is_start = row  # of a window: the carry is set to zero there, or its gradient is cut
        fresh = jax.tree.map(jnp.zeros_like if member.task.reset_carry else jax.lax.stop_gradient, carry)
        return network.step(jax.tree.map(partial(jnp.where, is_start), fresh, carry), inputs)

    _, outputs = jax.lax.scan(step, network.carry(batch.inputs.shape[1]), (batch.inputs, starts))
    return outputs if member.task.answers == "every" else outputs[-1]


def loss_and_scores(weights: jax.Array, member: Member, batch: Batch) -> tuple[jax.Array, Any]:
    """Return the mean loss of the answers that are due, and the sum of their scores with their number."""
    outputs, targets = outputs_of(weights, member, batch), batch.targets
    if member.task.loss == "classes":
        loss = optax.softmax_cross_entropy_with_integer_labels(outputs, targets)
        score = outputs.argmax(-1) == targets
    else:
        targets = jnp.moveaxis(targets, 0, -1) if member.task.several_values else targets[..., None]
        loss = score = ((outputs - targets) ** 2).mean(-1)
    due = jnp.ones(loss.shape) if batch.mask is None else batch.mask
    return (loss * due).sum() / due.sum(), ((score * due).sum(), due.sum())


def optimizer_of(member: Member) -> optax.GradientTransformationExtraArgs:
    """Return the recipe's way from a gradient to an update: clip, direction, decay, learning rate."""
    recipe, peak = member.recipe, member.recipe.peak(member.lag, member.model.units)
    clip = optax.clip if recipe.clip_by == "element" else optax.clip_by_global_norm
    others = {"sgd": optax.trace(0.9), "rmsprop": optax.scale_by_rms(0.99, 1e-8, eps_in_sqrt=False)}
    direction = others.get(recipe.optimizer, optax.scale_by_adam())
    decay: Any = (recipe.decay or 0.0) * member.architecture.matrices()

    def rate(step: Any) -> Any:
        floor = (recipe.floor or 0.0) if recipe.schedule == "cosine" else 1.0
        cosine = optax.cosine_decay_schedule(peak, recipe.budget, floor)
        return cosine(step) * jnp.minimum(1.0, (step + 1) / max(recipe.warmup_steps, 1))

    parts = clip(recipe.clip), direction, optax.add_decayed_weights(decay)
    return optax.chain(*parts, optax.scale_by_learning_rate(rate))


@partial(jax.jit, static_argnums=1)
def train_step(weights: jax.Array, member: Member, state: Any, step: int) -> tuple[Any, ...]:
    """Return weights and optimizer state after a step, the batch's score, and whether all is finite."""
    key = random_key(member, Stream.TRAIN, 0, step)
    batch = member.task.sample(key, member.lag, member.length, member.length, member.recipe.batch)
    differentiate = jax.value_and_grad(loss_and_scores, has_aux=True)
    (loss, (score, due)), gradient = differentiate(weights, member, batch)
    updates, state = optimizer_of(member).update(gradient, state, weights)
    new_weights = weights + cast(jax.Array, updates)
    return new_weights, state, score / due, jnp.isfinite(loss) & jnp.isfinite(new_weights).all()


@partial(jax.jit, static_argnums=(1, 2))
def evaluate(weights: jax.Array, member: Member, stream: Stream, index: int) -> jax.Array:
    """Return the mean score over fresh sequences, which are drawn in blocks."""
    lag, length, sequences = member.lag, member.length, member.evaluation.sequences
    block = min(256, sequences)
    if stream == Stream.STRETCH:
        (lag, length), sequences = member.task.stretched(lag, member.evaluation.stretch), sequences // 4

    def scores(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        key = random_key(member, stream, index, number)
        return loss_and_scores(weights, member, member.task.unseen(key, lag, length, length, block))[1]

    score, due = jax.lax.map(scores, jnp.arange(max(1, -(-sequences // block))))
    return score.sum() / due.sum()


@dataclass
class Verdict:
    """The state of a member in training, and the rule that ends it."""

    member: Member
    weights: jax.Array  # one vector (P,)
    status: str = "running"  # at the end "solved", "unsolved" or "diverged"
    steps: int = 0
    solved: int | None = None  # the step at which it was
    steady: int | None = None
    score: float = nan
    stretched: float = nan
    evaluations: int = 0
    in_a_row: int = 0  # evaluations passed, up to the last one

    def decide(self, training_score: float) -> None:
        """Apply docs/decides.md. Solved: evaluations in a row passed. Steady: the stretched one as well."""
        task, rule, threshold = self.member.task, self.member.evaluation, self.member.facts.threshold
        at_end, passed = self.steps >= self.member.recipe.budget, False
        near = threshold - 0.01 if task.higher_is_better else 1.5 * threshold
        if self.solved is None:
            looks_good = task.passes(training_score, near)
        else:
            looks_good = self.steps % (5 * rule.every) == 0
        if self.status == "running" and (looks_good or at_end):
            self.score = float(evaluate(self.weights, self.member, Stream.EVALUATE, self.evaluations))
            self.evaluations, passed = self.evaluations + 1, task.passes(self.score, threshold)
        self.in_a_row = self.in_a_row + 1 if passed else 0
        if self.solved is None and self.in_a_row >= rule.successive:
            self.solved = self.steps

        is_solved, has_ended = self.solved is not None, at_end and not passed  # else it is asked again
        if self.status == "running" and (has_ended or (is_solved and rule.until == "solved")):
            self.status = "solved" if is_solved else "unsolved"
        if self.status != "running" or (is_solved and passed):
            self.stretched = float(evaluate(self.weights, self.member, Stream.STRETCH, 0))
        if is_solved and passed and task.passes(self.stretched, threshold):
            self.steady = self.steps
        if is_solved and passed and (at_end or self.steady is not None):
            self.status = "solved"


def train(member: Member) -> Verdict:
    """Train a member from scratch until it is solved or its budget is used up.

    Raises:
        ValueError: its recipe has a curriculum, or draws lags.
    """
    if member.recipe.with_other_lags:
        raise ValueError(f"recipe={member.recipe.name}: has other lags, which the engine alone trains by")
    architecture, seeds = member.architecture, [member.seed, member.lag, member.model.units]
    verdict = Verdict(member, jnp.asarray(architecture.flatten(architecture.init(member.init, seeds))))
    state, mean, budget = optimizer_of(member).init(verdict.weights), nan, member.recipe.budget
    while verdict.status == "running":
        for step in range(verdict.steps, min(verdict.steps + member.evaluation.every, budget)):
            weights, state, score, is_finite = train_step(verdict.weights, member, state, step)
            if not is_finite:  # the last finite weights stay
                verdict.status = "diverged"
                break
            verdict.weights, verdict.steps = weights, step + 1
            mean = float(score) if isnan(mean) else 0.9 * mean + 0.1 * float(score)
        verdict.decide(mean)
    return verdict
