"""Train and judge one net by the engine's method (docs/decides.md), in plain JAX:
shorter, and slower."""

from dataclasses import dataclass, field

import jax
import jax.numpy as jnp
import optax

from memcap.config.member import Member, Stream
from memcap.models.network import pass_of
from memcap.optimizers import NET_OPTIMIZERS, freeze_cell
from memcap.tasks.base import Batch, random_key

unseen = jax.jit(
    lambda task, *arguments: task.unseen(*arguments), static_argnums=(0, 2, 3, 4, 5)
)


@jax.jit(static_argnums=1)
def loss_and_score(
    weights: jax.Array, member: Member, batch: Batch
) -> tuple[jax.Array, jax.Array]:
    """Return the mean loss over the answers that are due, and as aux their summed score
    and their count."""
    task = member.task
    network = member.architecture.build(member.architecture.unflatten(weights))
    _, outputs = network.run(
        pass_of(task, batch), "plain"
    )  # (O, T, B), or (O, B) at the last step
    if task.loss == "classes":
        loss = optax.softmax_cross_entropy_with_integer_labels(
            outputs, batch.targets, axis=0
        )
        score = outputs.argmax(0) == batch.targets
    else:
        loss = score = ((outputs - batch.targets) ** 2).mean(0)
    due = jnp.ones(loss.shape) if batch.mask is None else batch.mask
    return (loss * due).sum() / due.sum(), jnp.stack([(score * due).sum(), due.sum()])


def optimizer_of(member: Member) -> optax.GradientTransformationExtraArgs:
    """Return the recipe's optimizer: clipping, direction, weight decay, learning rate."""
    recipe = member.recipe
    net = member.architecture
    name = member.recipe.optimizer
    clip = optax.clip if recipe.clip_by == "element" else optax.clip_by_global_norm
    simple = {
        "sgd": optax.trace(0.9),
        "rmsprop": optax.scale_by_rms(0.99, 1e-8, eps_in_sqrt=False),
    }
    elementwise = simple.get(name, optax.scale_by_adam())
    direction = NET_OPTIMIZERS[name](net) if name in NET_OPTIMIZERS else elementwise
    decay = (recipe.decay or 0.0) * jnp.asarray(net.matrices())
    optimizer = optax.chain(
        clip(recipe.clip), direction, optax.add_decayed_weights(decay)
    )
    end = (recipe.floor or 0.0) if recipe.schedule == "cosine" else 1.0
    peak = optax.cosine_decay_schedule(
        recipe.peak(member.lag, member.model.units), recipe.budget, end
    )
    warmup = optax.linear_schedule(0.0, 1.0, max(recipe.warmup_steps, 1))
    rate = optax.scale_by_learning_rate(lambda step: peak(step) * warmup(step + 1))
    return optax.chain(
        freeze_cell(net, optimizer) if recipe.freeze == "cell" else optimizer, rate
    )


@jax.jit(static_argnums=1)
def train_step(
    weights: jax.Array, member: Member, state: optax.OptState, step: int
) -> tuple:
    """Take one step; return weights, optimizer state, mean score, and whether loss and
    weights are finite."""
    key = random_key(*member.seeds, Stream.TRAIN, 0, step)
    batch = member.task.sample(
        key, member.lag, member.length, member.length, member.recipe.batch
    )
    (loss, (score, due)), gradient = jax.value_and_grad(loss_and_score, has_aux=True)(
        weights, member, batch
    )
    updates, state = optimizer_of(member).update(
        gradient, state, weights, units=member.model.units
    )
    weights = weights + jnp.asarray(updates)
    return weights, state, score / due, jnp.isfinite(loss) & jnp.isfinite(weights).all()


@dataclass
class Net:
    """A net in training."""

    member: Member  # its task, network, recipe, evaluation and seed
    weights: jax.Array  # one vector
    steps: int = 0
    status: str = "running"  # at the end "solved", "unsolved" or "diverged"
    verdicts: dict[str, int] = field(
        default_factory=dict
    )  # the step of "solved", "steady" and "up_to"
    scores: dict[Stream, float] = field(
        default_factory=dict
    )  # the last mean score on each stream
    evaluations: int = 0
    passed_in_a_row: int = 0

    def passes(self, stream: Stream, index: int = 0) -> bool:
        """Score and record a stream; return True if its mean passes and no lag falls
        short beyond chance."""
        member = self.member
        task = self.member.task
        size = self.member.evaluation.block
        scores = []
        for number, (lag, length, blocks) in enumerate(member.sizes(stream), index):
            keys = (
                random_key(*member.seeds, stream, number, block)
                for block in range(blocks)
            )
            batches = (unseen(task, key, lag, length, length, size) for key in keys)
            score, due = sum(
                loss_and_score(self.weights, member, batch)[1] for batch in batches
            )
            scores.append(float(score / due))
        self.scores[stream] = mean = sum(scores) / len(scores)
        threshold = member.facts.threshold
        at_each_lag = task.allowed(member.facts.threshold, size)
        return task.passes(mean, threshold) and all(
            task.passes(each, at_each_lag) for each in scores
        )

    def decide(self, training_score: float) -> None:
        """Evaluate near the criterion, every fifth time once solved, and at the end;
        then set the status."""
        rule = self.member.evaluation
        task = self.member.task
        criterion = self.member.facts.threshold
        near = task.passes(
            training_score,
            criterion - 0.01 if task.higher_is_better else 1.5 * criterion,
        )
        fifth = self.steps % (5 * rule.every) == 0
        at_end = self.steps == self.member.recipe.budget
        is_due = at_end or (fifth if "solved" in self.verdicts else near)
        passed = is_due and self.passes(Stream.EVALUATE, self.evaluations)
        self.evaluations += is_due
        self.passed_in_a_row = self.passed_in_a_row + 1 if passed else 0
        if self.passed_in_a_row >= rule.successive:
            self.verdicts.setdefault("solved", self.steps)
        solved = "solved" in self.verdicts
        stricter = {"steady": Stream.STRETCH, "up_to": Stream.UP_TO}
        if (
            solved
            and passed
            and rule.until in stricter
            and self.passes(stricter[rule.until])
        ):
            self.verdicts[rule.until] = self.steps
        if rule.until in self.verdicts or (
            at_end and (solved or not passed)
        ):  # a late pass is tested again
            self.status = "solved" if solved else "unsolved"


def train(member: Member) -> Net:
    """Train a net to its verdict, then test longer sequences; refuse recipes that train
    at other lags."""
    if member.recipe.with_other_lags:
        raise ValueError(
            f"recipe={member.recipe.name}: trains at other lags, which only the engine does"
        )
    start = member.architecture.init(member.init, member.seeds)
    net = Net(member, jnp.asarray(member.architecture.flatten(start)))
    mean = 0.0
    state = optimizer_of(member).init(net.weights)
    budget = member.recipe.budget
    while net.status == "running":
        if net.steps < budget:
            weights, state, score, is_finite = train_step(
                net.weights, member, state, net.steps
            )
            if not is_finite:
                net.status = "diverged"  # it keeps its last finite weights
                break
            net.weights = weights
            net.steps = net.steps + 1
            mean = float(score) if net.steps == 1 else 0.9 * mean + 0.1 * float(score)
        if net.steps % member.evaluation.every == 0 or net.steps == budget:
            net.decide(mean)
    if net.passes(Stream.STRETCH) and net.status == "solved" and net.passed_in_a_row:
        net.verdicts["steady"] = net.steps
    return net
