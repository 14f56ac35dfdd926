"""Train and judge one net as the engine does, in plain JAX: shorter, and slower.

docs/decides.md explains the rules. The engine adds curricula, many nets at a time, speed, and
the verdict `anywhere`, whose test of each lag is memcap/confirmation.py: it is refused here.
"""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import optax

from memcap.config.member import Member
from memcap.models.network import forward_pass
from memcap.optimizers import NET_OPTIMIZERS, freeze_cell
from memcap.rule import Stream, Verdict
from memcap.tasks.base import Batch, Task, random_key

# The held-out sequences on which a stricter verdict than "solved" is found
STREAMS = {Verdict.STEADY: Stream.STRETCH, Verdict.UP_TO: Stream.UP_TO}


@jax.jit(static_argnums=1)
def loss_and_score(
    weights: jax.Array, member: Member, batch: Batch
) -> tuple[jax.Array, jax.Array]:
    """Compute a net's loss and score on a batch of sequences.

    Returns:
        The mean loss over the answers that are due, a scalar; and an array (2,) of the
        sum of their scores, and their number. A score is 1 for the right class and 0
        for another one; for values it is the squared error.
    """
    network = member.architecture.build(member.architecture.unflatten(weights))
    # `forward_pass` packs the inputs, and `run` passes over them in the plain loop. Outputs
    # are those of all T steps, (O, T, B), or (O, B) if the task asks at the last one only.
    _, outputs = network.run(forward_pass(member.task, batch), "plain")
    if member.task.loss == "classes":
        cross_entropy = optax.softmax_cross_entropy_with_integer_labels
        loss = cross_entropy(outputs, batch.targets, axis=0)
        score = outputs.argmax(0) == batch.targets
    else:
        loss = ((outputs - batch.targets) ** 2).mean(0)
        score = loss
    # The mask is 1 where an answer is due, and 0 elsewhere.
    mask = jnp.ones(loss.shape) if batch.mask is None else batch.mask
    number = mask.sum()
    return (loss * mask).sum() / number, jnp.stack([(score * mask).sum(), number])


def base_optimizer(member: Member) -> optax.GradientTransformation:
    """Return the recipe's optimizer without learning rate, clipping and decay."""
    name = member.recipe.optimizer
    if name in NET_OPTIMIZERS:
        return NET_OPTIMIZERS[name](member.architecture)
    if name == "sgd":
        return optax.trace(0.9)  # descent with momentum
    if name == "rmsprop":
        return optax.scale_by_rms(0.99, 1e-8, eps_in_sqrt=False)
    return optax.scale_by_adam()


def learning_rate(member: Member) -> optax.Schedule:
    """Return the learning rate as a function of the step: a warmup times a schedule."""
    recipe = member.recipe
    peak = recipe.peak(member.lag, member.model.units)
    schedule = optax.constant_schedule(peak)
    if recipe.schedule == "cosine":
        schedule = optax.cosine_decay_schedule(peak, recipe.budget)
    warmup = optax.linear_schedule(0.0, 1.0, max(recipe.warmup, 1))
    return lambda step: schedule(step) * warmup(step + 1)


def optimizer(member: Member) -> optax.GradientTransformationExtraArgs:
    """Chain the recipe's clipping, optimizer, weight decay and learning rate."""
    recipe = member.recipe
    net = member.architecture
    clip = optax.clip_by_global_norm(recipe.clip)
    # All weights are one vector. The mask is 1 for those in a matrix, and 0 for biases,
    # which do not decay.
    mask = jnp.asarray(net.matrix_mask())
    # Each weight decays by its own rate: optax multiplies this vector by the weights.
    decay = optax.add_decayed_weights((recipe.decay or 0.0) * mask)
    transform = optax.chain(clip, base_optimizer(member), decay)
    if recipe.freeze == "cell":
        transform = freeze_cell(net, transform)
    return optax.chain(transform, optax.scale_by_learning_rate(learning_rate(member)))


@jax.jit(static_argnums=1)
def train_step(
    weights: jax.Array, member: Member, state: optax.OptState, step: int
) -> tuple[jax.Array, optax.OptState, jax.Array, jax.Array]:
    """Train on one batch.

    Returns:
        The new weights, the optimizer's new state, and two scalars: the batch's mean
        score, and whether its loss and the new weights are finite.
    """
    # As for held-out sequences, a stream, a number (0 here) and a place in it
    key = random_key(*member.seed_parts, Stream.TRAIN, 0, step)
    length = member.length  # also of the buffer `steps`: nothing is padded here
    batch = member.task.sample(
        key, member.lag, length, steps=length, batch=member.recipe.batch
    )
    loss_and_gradient = jax.value_and_grad(loss_and_score, has_aux=True)
    (loss, (score, number)), gradient = loss_and_gradient(weights, member, batch)
    # Muon takes `units`, as the engine may pad the weights; other optimizers ignore it.
    updates, state = optimizer(member).update(
        gradient, state, weights, units=member.model.units
    )
    weights = weights + jnp.asarray(updates)
    is_finite = jnp.isfinite(loss) & jnp.isfinite(weights).all()
    return weights, state, score / number, is_finite


@jax.jit(static_argnums=(0, 2, 3, 4))
def held_out(task: Task, key: jax.Array, lag: int, length: int, size: int) -> Batch:
    """Draw sequences that training never draws."""
    return task.unseen(key, lag, length, steps=length, batch=size)


@dataclass
class Net:
    """A net in training."""

    # the settings of this run: task, network, recipe, evaluation and seed
    member: Member
    weights: jax.Array  # all of them, as one vector
    steps: int = 0
    status: str = "running"  # at the end "solved", "unsolved" or "diverged"
    # The step at which it got each verdict
    verdicts: dict[Verdict, int] = field(default_factory=dict)
    # The last mean score on each stream of held-out sequences: an accuracy, or a squared
    # error, of which less is better
    scores: dict[Stream, float] = field(default_factory=dict)
    evaluations: int = 0
    # The evaluations passed in a row. A chunk without an evaluation sets it to 0, so if it
    # is above 0, the present weights have passed at their own lag.
    passes_in_a_row: int = 0

    def score(
        self, stream: Stream, number: int, lag: int, length: int, blocks: int
    ) -> float:
        """Compute the mean score on held-out sequences, which are drawn in blocks.

        `stream` and `number` are parts of the random key: each pair of them gives other
        sequences.
        """
        block_size = self.member.evaluation.block
        total = jnp.zeros(2)
        for block in range(blocks):
            key = random_key(*self.member.seed_parts, stream, number, block)
            batch = held_out(self.member.task, key, lag, length, block_size)
            total = total + loss_and_score(self.weights, self.member, batch)[1]
        return float(total[0] / total[1])

    def evaluate(self, stream: Stream, number: int = 0) -> bool:
        """Score the net at each lag and length of a stream, and record the mean score.

        The sequences of the k-th lag are drawn with number + k. EVALUATE has one lag, and
        each evaluation on it gets the next number, so other sequences. On the other
        streams the number is 0, so each test has the same sequences.

        Returns:
            Whether the net passes: the mean meets the criterion, and each of the scores
            meets it with a margin for chance.
        """
        scores = []
        for lag, length, blocks in self.member.evaluation_sizes(stream):
            scores.append(self.score(stream, number, lag, length, blocks))
            number += 1
        mean = sum(scores) / len(scores)
        self.scores[stream] = mean
        criterion = self.member.criterion
        with_margin = criterion.with_margin(self.member.evaluation.block)
        return criterion.passes(mean) and all(map(with_margin.passes, scores))

    def is_near(self, training_score: float) -> bool:
        """Return whether the training score is close enough to the criterion to evaluate."""
        criterion = self.member.criterion
        if criterion.higher_is_better:
            return training_score >= criterion.value - 0.01
        return training_score <= 1.5 * criterion.value

    def decide(self, training_score: float) -> None:
        """Evaluate the net if it is time to, record its verdicts, and set its status.

        A net that is not solved is evaluated when its training score is near the
        criterion. A solved net is evaluated after every fifth chunk of `evaluation.every`
        steps. Every net is evaluated at the end of its budget. If it passes then, but not
        yet often enough, the status stays "running", and `train` calls this again without
        a step: the next evaluation is on other sequences.
        """
        evaluation = self.member.evaluation
        at_end = self.steps == self.member.recipe.budget
        if Verdict.SOLVED in self.verdicts:
            is_due = self.steps % (5 * evaluation.every) == 0
        else:
            is_due = self.is_near(training_score)
        passes = False
        if is_due or at_end:
            passes = self.evaluate(Stream.EVALUATE, self.evaluations)
            self.evaluations += 1
        self.passes_in_a_row = self.passes_in_a_row + 1 if passes else 0

        if self.passes_in_a_row >= evaluation.successive:
            self.verdicts.setdefault(Verdict.SOLVED, self.steps)
        is_solved = Verdict.SOLVED in self.verdicts
        # The verdict at which training stops. Where a config says null, `Member` has
        # filled in the usual verdict of the task.
        until = Verdict(str(evaluation.until))
        # If it is a stricter one, test these weights for that, too, as they have passed.
        if is_solved and passes and until in STREAMS and self.evaluate(STREAMS[until]):
            self.verdicts[until] = self.steps

        if until in self.verdicts or (at_end and is_solved):
            self.status = "solved"
        elif at_end and not passes:
            self.status = "unsolved"


def train(member: Member) -> Net:
    """Train a net until it has the verdict that its evaluation asks for, or to the end of
    its budget. Then test it on longer sequences.

    Raises:
        ValueError: the recipe trains at other lags, too, or nets are to be right anywhere,
            which only the engine does.
    """
    if member.recipe.with_other_lags:
        raise ValueError(f"recipe={member.recipe.name}: trains at other lags")
    if member.evaluation.until == Verdict.ANYWHERE:
        raise ValueError("evaluation.until=anywhere: only the engine confirms it")
    start = member.architecture.init(member.init, member.seed_parts)
    net = Net(member, jnp.asarray(member.architecture.flatten(start)))
    state = optimizer(member).init(net.weights)
    running_score = 0.0
    while net.status == "running":
        if net.steps < member.recipe.budget:
            weights, state, score, is_finite = train_step(
                net.weights, member, state, net.steps
            )
            if not is_finite:
                net.status = "diverged"  # the net keeps its last finite weights
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
    # Score every net on longer sequences. A net is steady if it is solved, and its last
    # weights pass there and at their own lag. For one that trained until steady, this
    # repeats the last test.
    is_right_when_longer = net.evaluate(Stream.STRETCH)
    if is_right_when_longer and net.status == "solved" and net.passes_in_a_row:
        net.verdicts[Verdict.STEADY] = net.steps
    return net
