"""The whole method in plain JAX: train a member, and evaluate it until its verdict is in (docs/decides.md).

The engine (memcap/training/) gives the same numbers, only faster (tests/test_reference.py). It alone trains
with a curriculum over the lag, or at random lags.
"""

from dataclasses import dataclass
from functools import partial, reduce
from math import ceil, isnan, nan
from typing import Any, cast

import jax
import jax.numpy as jnp
import optax

from memcap.config import Member, Stream
from memcap.optimizers import NET_OPTIMIZERS
from memcap.tasks import Batch


def random_key(member: Member, *parts: Any) -> jax.Array:
    """Return a key that depends only on the member and the parts, never on what else trains."""
    parts = member.lag, member.model.units, *parts
    return reduce(jax.random.fold_in, parts, jax.random.key(member.seed))


def outputs_of(weights: jax.Array, member: Member, batch: Batch) -> jax.Array:
    """Return the network's outputs (T, B, O), or (B, O) at the last step."""
    network = member.architecture.build(member.architecture.unflatten(weights))
    starts = jnp.zeros(len(batch.inputs), bool) if batch.window_starts is None else batch.window_starts
    if member.model.initial_carry == "learned":
        starts = starts.at[0].set(False)  # a cut at step 0 would leave the initial carry without a gradient

    def step(carry: Any, row: Any) -> Any:
        inputs, starts_window = row
        cut = jax.tree.map(jnp.zeros_like if member.task.reset_carry else jax.lax.stop_gradient, carry)
        return network.step(jax.tree.map(partial(jnp.where, starts_window), cut, carry), inputs)

    _, outputs = jax.lax.scan(step, network.carry(batch.inputs.shape[1]), (batch.inputs, starts))
    return outputs if member.task.answers == "every" else outputs[-1]


def loss_and_scores(weights: jax.Array, member: Member, batch: Batch) -> tuple[jax.Array, Any]:
    """Return the mean loss over the answers that are due; as aux, their summed score and their number."""
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
    """Return the recipe's optimizer: clipping, direction, weight decay, learning rate."""
    recipe, peak = member.recipe, member.recipe.peak(member.lag, member.model.units)
    clip = optax.clip if recipe.clip_by == "element" else optax.clip_by_global_norm
    directions = {"sgd": optax.trace(0.9), "rmsprop": optax.scale_by_rms(0.99, 1e-8, eps_in_sqrt=False)}
    direction = directions.get(recipe.optimizer, optax.scale_by_adam())  # adam and adamw
    if recipe.optimizer in NET_OPTIMIZERS:
        direction = NET_OPTIMIZERS[recipe.optimizer](member.architecture)
    decay: Any = (recipe.decay or 0.0) * member.architecture.matrices()

    def rate(step: Any) -> Any:
        floor = (recipe.floor or 0.0) if recipe.schedule == "cosine" else 1.0
        cosine = optax.cosine_decay_schedule(peak, recipe.budget, floor)
        return cosine(step) * jnp.minimum(1.0, (step + 1) / max(recipe.warmup_steps, 1))

    parts = [clip(recipe.clip), direction, optax.add_decayed_weights(decay)]
    if recipe.freeze == "cell":
        readout = min(place.start for place in jax.tree.leaves(member.architecture.places()["readout"]))
        zero = optax.stateless(lambda updates, _: cast(Any, updates).at[:readout].set(0.0))
        parts = [zero, *parts, zero]
    return optax.chain(*parts, optax.scale_by_learning_rate(rate))


@partial(jax.jit, static_argnums=1)
def train_step(weights: jax.Array, member: Member, state: Any, step: int) -> tuple[Any, ...]:
    """Return weights and optimizer state after a step, the batch's mean score, and whether all is finite."""
    key = random_key(member, Stream.TRAIN, 0, step)
    batch = member.task.sample(key, member.lag, member.length, member.length, member.recipe.batch)
    differentiate = jax.value_and_grad(loss_and_scores, has_aux=True)
    (loss, (score, due)), gradient = differentiate(weights, member, batch)
    updates, state = optimizer_of(member).update(gradient, state, weights, units=member.model.units)
    new_weights = weights + cast(jax.Array, updates)
    return new_weights, state, score / due, jnp.isfinite(loss) & jnp.isfinite(new_weights).all()


@partial(jax.jit, static_argnums=(1, 2, 3))
def mean_score(weights: jax.Array, member: Member, size: tuple[int, int], blocks: int, key: Any) -> jax.Array:
    """Return the mean score over fresh sequences of a lag and length, drawn block by block to save memory."""
    lag, length = size

    def scores(number: jax.Array) -> tuple[jax.Array, jax.Array]:
        block, draw = min(256, member.evaluation.sequences), member.task.unseen
        batch = draw(jax.random.fold_in(key, number), lag, length, length, block)
        return loss_and_scores(weights, member, batch)[1]

    score, due = jax.lax.map(scores, jnp.arange(blocks))
    return score.sum() / due.sum()


def evaluate(weights: jax.Array, member: Member, stream: Stream, index: int = 0) -> float:
    """Return the score of one of a member's evaluations."""
    size, sequences = (member.lag, member.length), member.evaluation.sequences
    if stream == Stream.STRETCH:  # fewer sequences, because they are longer
        size, sequences = member.task.stretched(member.lag, member.evaluation.stretch), sequences // 4
    if stream == Stream.UP_TO:  # fewer, because they have many lags
        size, sequences = member.lags_up_to[index], 1
    blocks = max(1, ceil(sequences / min(256, member.evaluation.sequences)))
    return float(mean_score(weights, member, size, blocks, random_key(member, stream, index)))


@dataclass
class Verdict:
    """A member in training: its weights, its scores, and what they decide."""

    member: Member
    weights: jax.Array  # one vector (P,)
    status: str = "running"  # at the end "solved", "unsolved" or "diverged"
    steps: int = 0
    solved: int | None = None  # steps taken when it was solved
    steady: int | None = None  # steps taken when it was steady
    up_to: int | None = None  # steps taken when it was right at every lag up to its own
    score: float = nan  # of the last evaluation
    stretched: float = nan  # the score at the stretched length
    evaluations: int = 0
    passed_in_a_row: int = 0

    def is_due(self, training_score: float) -> bool:
        """Tell whether to evaluate the member: near the criterion; once solved, now and then; and at the
        end."""
        task, criterion = self.member.task, self.member.facts.threshold
        if self.steps >= self.member.recipe.budget:
            return True
        if self.solved is not None:
            return self.steps % (5 * self.member.evaluation.every) == 0
        return task.passes(training_score, criterion - 0.01 if task.higher_is_better else 1.5 * criterion)

    def decide(self, training_score: float) -> None:
        """Evaluate the member if it is due, and end its training once the verdict is in."""
        task, rule, criterion = self.member.task, self.member.evaluation, self.member.facts.threshold
        passed = False
        if self.status == "running" and self.is_due(training_score):
            self.score = evaluate(self.weights, self.member, Stream.EVALUATE, self.evaluations)
            self.evaluations += 1
            passed = task.passes(self.score, criterion)
        self.passed_in_a_row = self.passed_in_a_row + 1 if passed else 0
        if self.passed_in_a_row >= rule.successive and self.solved is None:
            self.solved = self.steps

        is_solved = self.solved is not None
        once_more = passed and not is_solved  # another evaluation in a row may solve it, even at the end
        at_end = self.steps >= self.member.recipe.budget and not once_more
        if self.status == "running" and (at_end or (is_solved and rule.until == "solved")):
            self.status = "solved" if is_solved else "unsolved"
        if is_solved and passed and rule.until == "up_to" and self.passes_up_to(criterion):
            self.status, self.up_to = "solved", self.steps
        if self.status != "running" or (is_solved and passed and rule.until == "steady"):
            self.stretched = evaluate(self.weights, self.member, Stream.STRETCH)
        if is_solved and passed and task.passes(self.stretched, criterion):
            self.status, self.steady = "solved", self.steps

    def passes_up_to(self, criterion: float) -> bool:
        """Tell whether its mean score over all lags up to its own passes, and no lag's is worse than chance
        allows."""
        task, lags = self.member.task, range(len(self.member.lags_up_to))
        scores = [evaluate(self.weights, self.member, Stream.UP_TO, lag) for lag in lags]
        worst = min(scores) if task.higher_is_better else max(scores)
        least = task.allowed(criterion, min(256, self.member.evaluation.sequences))
        return task.passes(sum(scores) / len(scores), criterion) and task.passes(worst, least)


def train(member: Member) -> Verdict:
    """Train a member from scratch until its verdict is in.

    Raises:
        ValueError: its recipe has a curriculum or random lags.
    """
    if member.recipe.with_other_lags:
        raise ValueError(f"recipe={member.recipe.name}: has other lags, which the engine alone trains by")
    architecture, seeds = member.architecture, [member.seed, member.lag, member.model.units]
    verdict = Verdict(member, jnp.asarray(architecture.flatten(architecture.init(member.init, seeds))))
    state, mean, budget = optimizer_of(member).init(verdict.weights), nan, member.recipe.budget
    while verdict.status == "running":
        for step in range(verdict.steps, min(verdict.steps + member.evaluation.every, budget)):
            weights, state, score, is_finite = train_step(verdict.weights, member, state, step)
            if not is_finite:
                verdict.status = "diverged"  # with the last finite weights
                break
            verdict.weights, verdict.steps = weights, step + 1
            mean = float(score) if isnan(mean) else 0.9 * mean + 0.1 * float(score)
        verdict.decide(mean)
    return verdict
