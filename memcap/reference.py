"""Train and judge one net as the engine does, in plain JAX: shorter, and slower.

docs/decides.md explains the rules. The engine adds curricula, many nets at a time, and speed.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import optax

from memcap.config.member import Member
from memcap.models.network import pass_of
from memcap.optimizers import NET_OPTIMIZERS, freeze_cell
from memcap.rule import Stream
from memcap.tasks.base import Batch, Task, random_key


@jax.jit(static_argnums=1)
def loss_and_score(
    weights: jax.Array, member: Member, batch: Batch
) -> tuple[jax.Array, jax.Array]:
    """Compute a net's loss and score on a batch of sequences.

    Returns:
        The mean loss over the answers that are due, (); and as aux the sum of their
        scores and their number, (2,). A score is 1 for the right class and 0 for
        another one; for values it is the squared error.
    """
    network = member.architecture.build(member.architecture.unflatten(weights))
    # (O, T, B), or (O, B) if the task asks at the last step only
    _, outputs = network.run(pass_of(member.task, batch), "plain")
    if member.task.loss == "classes":
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels
        loss = cross_entropy(outputs, batch.targets, axis=0)
        score = outputs.argmax(0) == batch.targets
    else:
        loss = ((outputs - batch.targets) ** 2).mean(0)
        score = loss
    due = jnp.ones(loss.shape) if batch.mask is None else batch.mask
    mean_loss = (loss * due).sum() / due.sum()
    return mean_loss, jnp.stack([(score * due).sum(), due.sum()])


def direction_of(member: Member) -> optax.GradientTransformation:
    """Return the transformation that gives the recipe's optimizer its name."""
    name = member.recipe.optimizer
    if name in NET_OPTIMIZERS:
        return NET_OPTIMIZERS[name](member.architecture)
    if name == "sgd":
        return optax.trace(0.9)
    if name == "rmsprop":
        return optax.scale_by_rms(0.99, 1e-8, eps_in_sqrt=False)
    return optax.scale_by_adam()


def learning_rate_of(member: Member) -> optax.Schedule:
    """Return the learning rate as a function of the step: a warmup times a schedule."""
    recipe = member.recipe
    peak = recipe.peak(member.lag, member.model.units)
    end = 1.0
    if recipe.schedule == "cosine":
        end = recipe.floor or 0.0
    decay = optax.cosine_decay_schedule(peak, recipe.budget, end)
    warmup = optax.linear_schedule(0.0, 1.0, max(recipe.warmup_steps, 1))
    return lambda step: decay(step) * warmup(step + 1)


def optimizer_of(member: Member) -> optax.GradientTransformationExtraArgs:
    """Chain the recipe's clipping, direction, weight decay and learning rate."""
    recipe = member.recipe
    net = member.architecture
    clip = optax.clip_by_global_norm
    if recipe.clip_by == "element":
        clip = optax.clip
    decay = (recipe.decay or 0.0) * jnp.asarray(net.matrices())
    optimizer = optax.chain(
        clip(recipe.clip), direction_of(member), optax.add_decayed_weights(decay)
    )
    if recipe.freeze == "cell":
        optimizer = freeze_cell(net, optimizer)
    return optax.chain(
        optimizer, optax.scale_by_learning_rate(learning_rate_of(member))
    )


@jax.jit(static_argnums=1)
def train_step(
    weights: jax.Array, member: Member, state: optax.OptState, step: int
) -> tuple[jax.Array, optax.OptState, jax.Array, jax.Array]:
    """Train on one batch.

    Returns:
        The new weights, the optimizer's new state, the batch's mean score, (), and
        whether its loss and the new weights are finite, () bool.
    """
    key = random_key(*member.seeds, Stream.TRAIN, 0, step)
    batch = member.task.sample(
        key, member.lag, member.length, member.length, member.recipe.batch
    )
    loss_and_gradient = jax.value_and_grad(loss_and_score, has_aux=True)
    (loss, (score, due)), gradient = loss_and_gradient(weights, member, batch)
    updates, state = optimizer_of(member).update(
        gradient, state, weights, units=member.model.units
    )
    weights = weights + jnp.asarray(updates)
    is_finite = jnp.isfinite(loss) & jnp.isfinite(weights).all()
    return weights, state, score / due, is_finite


@jax.jit(static_argnums=(0, 2, 3, 4))
def unseen(task: Task, key: jax.Array, lag: int, length: int, size: int) -> Batch:
    """Draw sequences that training never draws."""
    return task.unseen(key, lag, length, length, size)


@dataclass
class Net:
    """A net in training."""

    member: Member  # its task, network, recipe, evaluation and seed
    weights: jax.Array  # all of them, as one vector
    steps: int = 0
    status: str = "running"  # at the end "solved", "unsolved" or "diverged"
    # The step at which it became "solved", "steady" or "up_to".
    verdicts: dict[str, int] = field(default_factory=dict)
    # The last mean score on each stream of held-out sequences.
    scores: dict[Stream, float] = field(default_factory=dict)
    evaluations: int = 0
    passes_in_a_row: int = 0

    def scores_on(self, stream: Stream, index: int) -> Iterator[float]:
        """Compute the mean score at each lag and length of a stream."""
        member = self.member
        block_size = member.evaluation.block
        for number, (lag, length, blocks) in enumerate(member.sizes(stream), index):
            total = jnp.zeros(2)
            for block in range(blocks):
                key = random_key(*member.seeds, stream, number, block)
                batch = unseen(member.task, key, lag, length, block_size)
                total = total + loss_and_score(self.weights, member, batch)[1]
            yield float(total[0] / total[1])

    def passes(self, stream: Stream, index: int = 0) -> bool:
        """Judge a stream: its mean meets the criterion, and no lag falls short beyond chance."""
        criterion = self.member.criterion
        criterion_of_a_lag = criterion.on_few(self.member.evaluation.block)
        scores = list(self.scores_on(stream, index))
        mean = sum(scores) / len(scores)
        self.scores[stream] = mean
        if not criterion.passes(mean):
            return False
        return all(criterion_of_a_lag.passes(score) for score in scores)

    def is_near(self, training_score: float) -> bool:
        """Return True if the training score is close enough to the criterion to evaluate."""
        criterion = self.member.criterion.value
        if self.member.criterion.higher_is_better:
            return training_score >= criterion - 0.01
        return training_score <= 1.5 * criterion

    def decide(self, training_score: float) -> None:
        """Evaluate if it is time to, record the verdicts, and set the status.

        A net is evaluated near the criterion, every fifth time once it is solved, and
        at the end. A net that passes at the end for the first time trains on, so that
        it can pass again.
        """
        evaluation = self.member.evaluation
        at_end = self.steps == self.member.recipe.budget
        if "solved" in self.verdicts:
            is_due = at_end or self.steps % (5 * evaluation.every) == 0
        else:
            is_due = at_end or self.is_near(training_score)
        has_passed = is_due and self.passes(Stream.EVALUATE, self.evaluations)
        self.evaluations += is_due
        self.passes_in_a_row = self.passes_in_a_row + 1 if has_passed else 0

        if self.passes_in_a_row >= evaluation.successive:
            self.verdicts.setdefault("solved", self.steps)
        is_solved = "solved" in self.verdicts
        until = evaluation.until or "solved"
        stricter = {"steady": Stream.STRETCH, "up_to": Stream.UP_TO}
        may_pass = is_solved and has_passed and until in stricter
        if may_pass and self.passes(stricter[until]):
            self.verdicts[until] = self.steps

        ends_unsolved = at_end and not has_passed
        ends_solved = at_end and is_solved
        if until in self.verdicts or ends_solved or ends_unsolved:
            self.status = "solved" if is_solved else "unsolved"


def train(member: Member) -> Net:
    """Train a net to its verdict, then test it on longer sequences.

    Raises:
        ValueError: its recipe trains at other lags, too, which only the engine does.
    """
    if member.recipe.with_other_lags:
        raise ValueError(f"recipe={member.recipe.name}: trains at other lags")
    start = member.architecture.init(member.init, member.seeds)
    net = Net(member, jnp.asarray(member.architecture.flatten(start)))
    state = optimizer_of(member).init(net.weights)
    running_score = 0.0
    while net.status == "running":
        if net.steps < member.recipe.budget:
            weights, state, score, is_finite = train_step(
                net.weights, member, state, net.steps
            )
            if not is_finite:
                net.status = "diverged"  # it keeps its last finite weights
                break
            net.weights = weights
            net.steps += 1
            if net.steps == 1:
                running_score = float(score)
            else:
                running_score = 0.9 * running_score + 0.1 * float(score)
        at_end = net.steps == member.recipe.budget
        if at_end or net.steps % member.evaluation.every == 0:
            net.decide(running_score)
    if net.passes(Stream.STRETCH) and net.status == "solved" and net.passes_in_a_row:
        net.verdicts["steady"] = net.steps
    return net
