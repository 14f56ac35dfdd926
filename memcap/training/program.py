"""The compiled program that trains a population: members of one width and task shape, whatever their lag, rate, budget or seed.

A member in flight occupies a lane. One call takes every running lane through a chunk of training steps and then, where a verdict
is near, through a held-out evaluation on fresh sequences. All that differs between members is an operand, so a program compiles
once. Data are drawn inside the program: the stream of a member depends on its seed, lag and units alone, never on its neighbours.
"""

import time
from dataclasses import dataclass
from enum import IntEnum
from functools import cached_property, lru_cache
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from memcap.config import Evaluation, Member
from memcap.models.network import Functional
from memcap.tasks import Batch, Task

EVALUATION_BATCH = 256
TRAIN, EVALUATE, STRETCH = 0, 1, 2  # streams of a member's key


class Status(IntEnum):
    """Where a lane stands."""

    EMPTY = 0
    RUNNING = 1
    SOLVED = 2
    UNSOLVED = 3
    DIVERGED = 4


class Operands(NamedTuple):
    """What may differ between the members of one program; scalars."""

    seed: Any
    lag: Any
    length: Any
    lr: Any
    warmup: Any
    cosine: Any
    budget: Any
    threshold: Any
    stretched_lag: Any
    stretched_length: Any


class Lane(NamedTuple):
    """State of one member in flight. `score` and `best` are held-out; `train_score` is a running mean over about 10 steps.

    Weights, and Adam's moments in `optimizer`, are one flat (P,) vector each: fewer and larger operations to compile and run.
    """

    weights: Any
    optimizer: Any
    step: Any
    status: Any
    passed: Any
    evaluations: Any
    loss: Any
    train_score: Any
    score: Any
    best: Any


def tally(task: Task, outputs: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sums over the answers that are due: loss (nats, or squared error), score (hits, or squared error), and how many.

    Args:
        task: says whether outputs are logits or values.
        outputs: (O, B) or (O, T, B).
        batch: targets and mask of the same trailing shape.
    """
    if task.loss == "classes":
        at_target = jnp.arange(outputs.shape[0]).reshape(-1, *[1] * batch.targets.ndim) == batch.targets
        loss = jax.nn.logsumexp(outputs, axis=0) - jnp.where(at_target, outputs, 0).sum(0)
        score = (jnp.argmax(outputs, axis=0) == batch.targets).astype(loss.dtype)
    else:
        loss = score = (outputs[0] - batch.targets) ** 2
    due = jnp.ones_like(loss) if batch.mask is None else batch.mask.astype(loss.dtype)
    return (loss * due).sum(), (score * due).sum(), due.sum()


@dataclass(frozen=True)
class Program:
    """What one compiled program depends on.

    Args:
        task: the task's knobs (its lag is an operand).
        functional: structure of the network.
        batch: sequences a training step.
        clip: global gradient norm at which a gradient is clipped.
        evaluation: when a member counts as solved.
        steps: buffer T of the training sequences, at least the longest length.
        stretched_steps: buffer T of the stretched evaluation.
        lanes: members in flight.
        side_by_side: `vmap` over the lanes (GPU, TPU) instead of `lax.map` (CPU).
    """

    task: Task
    functional: Functional
    batch: int
    clip: float
    evaluation: Evaluation
    steps: int
    stretched_steps: int
    lanes: int
    side_by_side: bool

    @cached_property
    def optimizer(self) -> optax.GradientTransformation:
        """Clipping and Adam over the flat vector; the learning rate is applied by the caller, as it is an operand."""
        return optax.chain(optax.clip_by_global_norm(self.clip), optax.scale_by_adam())

    def blank(self) -> Lane:
        """An empty lane: zeros on the host. Adam's state starts at zero, so `fresh` needs only the weights."""
        weights = np.zeros(self.functional.parameters(), np.float32)
        state = jax.eval_shape(self.optimizer.init, weights)
        optimizer = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
        return Lane(weights, optimizer, *(np.int32(0),) * 4, *(np.float32(np.nan),) * 4)

    def fresh(self, member: Member) -> Lane:
        """The lane of a member that is about to start."""
        weights = self.functional.init(member.init, [member.seed, member.lag, member.model.units])
        return self.blank()._replace(weights=self.functional.flatten(weights), status=np.int32(Status.RUNNING))

    def operands(self, member: Member) -> Operands:
        """A member's operands."""
        lag, length = member.task.stretched(member.lag, member.evaluation.stretch)
        recipe = member.recipe
        return Operands(
            *(np.int32(v) for v in (member.seed, member.lag, member.length)),
            np.float32(recipe.lr),
            np.int32(recipe.warmup or 0),
            np.bool_(recipe.schedule == "cosine"),
            np.int32(recipe.budget or 0),
            np.float32(member.task.threshold(member.lag)),
            np.int32(lag),
            np.int32(length),
        )

    def _key(self, operands: Operands, stream: int) -> jax.Array:
        key = jax.random.key(operands.seed)
        for part in (operands.lag, self.functional.model.units, stream):
            key = jax.random.fold_in(key, part)
        return key

    def _run(self, weights: Any, batch: Batch, length: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        every = self.task.answers == "every"
        network = self.functional.build(self.functional.unflatten(weights))
        _, outputs = network(batch.inputs, length, boundary=batch.boundary, every=every, reset=self.task.reset_carry)
        return tally(self.task, outputs, batch)

    def _evaluate(self, weights, operands, key, lag, length, steps, sequences, wanted):
        """Score over fresh sequences; NaN, at no cost, where it isn't wanted."""
        size = min(EVALUATION_BATCH, sequences)
        blocks = -(-sequences // size)

        def block(k, sums):
            batch = self.task.sample(jax.random.fold_in(key, k), lag, length, steps, size)
            _, score, due = self._run(weights, batch, length)
            return sums[0] + score, sums[1] + due

        score, due = lax.fori_loop(0, jnp.where(wanted, blocks, 0), block, (jnp.float32(0), jnp.float32(0)))
        return score / due

    def _rate(self, operands: Operands, step: jax.Array) -> jax.Array:
        """Learning rate: linear warmup, then constant or a cosine to 0 at the budget."""
        warm = jnp.minimum(1.0, (step + 1) / jnp.maximum(operands.warmup, 1))
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * step / operands.budget))
        return operands.lr * warm * jnp.where(operands.cosine, cosine, 1.0)

    def _train_step(self, lane: Lane, operands: Operands, key: jax.Array) -> tuple[Lane, jax.Array]:
        key = jax.random.fold_in(key, lane.step)
        return self.update(lane, operands, self.task.sample(key, operands.lag, operands.length, self.steps, self.batch))

    def update(self, lane: Lane, operands: Operands, batch: Batch) -> tuple[Lane, jax.Array]:
        """One training step of one member on a batch. Returns the lane and the batch's mean loss."""

        def mean_loss(weights):
            loss, score, due = self._run(weights, batch, operands.length)
            return loss / due, score / due

        (loss, score), gradient = jax.value_and_grad(mean_loss, has_aux=True)(lane.weights)
        direction, optimizer = self.optimizer.update(gradient, lane.optimizer)
        rate = self._rate(operands, lane.step)
        weights = lane.weights - rate * cast(jax.Array, direction)
        finite = jnp.isfinite(loss) & jnp.isfinite(weights).all()
        # A diverged lane keeps its last finite weights and stops here.
        alive = finite & (lane.status == Status.RUNNING)
        weights, optimizer = jax.tree.map(
            lambda new, old: jnp.where(alive, new, old), (weights, optimizer), (lane.weights, lane.optimizer)
        )
        mean = jnp.where(jnp.isnan(lane.train_score), score, 0.9 * lane.train_score + 0.1 * score)
        lane = lane._replace(
            weights=weights,
            optimizer=optimizer,
            step=lane.step + alive,
            status=jnp.where(finite, lane.status, Status.DIVERGED),
            train_score=jnp.where(alive, mean, lane.train_score),
        )
        return lane, loss

    def _passes(self, score: jax.Array, threshold: jax.Array) -> jax.Array:
        return score >= threshold if self.task.higher_is_better else score <= threshold

    def _near(self, score: jax.Array, threshold: jax.Array) -> jax.Array:
        """Whether the training score is good enough to ask for a held-out evaluation. It decides nothing else."""
        return score >= threshold - 0.01 if self.task.higher_is_better else score <= 1.5 * threshold

    def _advance(self, lane: Lane, operands: Operands) -> tuple[Lane, jax.Array]:
        """A chunk of training and, where a verdict is near, an evaluation, for one member.

        Returns the lane, and the loss of each of the chunk's steps: (evaluation.every,), 0 for steps not taken.
        """
        key = self._key(operands, TRAIN)
        left = jnp.minimum(self.evaluation.every, operands.budget - lane.step)
        left = jnp.where(lane.status == Status.RUNNING, left, 0)

        def going(state):
            k, lane, _ = state
            return (k < left) & (lane.status == Status.RUNNING)

        def step(state):
            k, lane, losses = state
            lane, loss = self._train_step(lane, operands, key)
            return k + 1, lane, losses.at[k].set(loss)

        start = (jnp.int32(0), lane, jnp.zeros(self.evaluation.every))
        taken, lane, losses = lax.while_loop(going, step, start)
        lane = lane._replace(loss=jnp.where(taken > 0, losses.sum() / taken, lane.loss))
        running, ended = lane.status == Status.RUNNING, lane.step >= operands.budget
        wanted = running & (ended | self._near(lane.train_score, operands.threshold))
        score = self._evaluate(
            lane.weights,
            operands,
            jax.random.fold_in(self._key(operands, EVALUATE), lane.evaluations),
            operands.lag,
            operands.length,
            self.steps,
            self.evaluation.sequences,
            wanted,
        )
        passes = wanted & self._passes(score, operands.threshold)
        passed = jnp.where(passes, lane.passed + 1, jnp.where(running, 0, lane.passed))
        solved = running & (passed >= self.evaluation.successive)
        # At the end of the budget a net that has just passed is asked again, on other sequences, until the verdict is in.
        unsolved = running & ended & ~passes
        status = jnp.where(solved, Status.SOLVED, jnp.where(unsolved, Status.UNSOLVED, lane.status))
        better = jnp.fmax if self.task.higher_is_better else jnp.fmin
        lane = lane._replace(
            status=status.astype(jnp.int32),
            passed=passed.astype(jnp.int32),
            evaluations=lane.evaluations + wanted,
            score=jnp.where(wanted, score, lane.score),
            best=better(lane.best, score),
        )
        return lane, losses

    def _stretched(self, weights: Any, operands: Operands, wanted: jax.Array) -> jax.Array:
        """Score at `evaluation.stretch` times the lag, over a quarter as many sequences."""
        return self._evaluate(
            weights,
            operands,
            self._key(operands, STRETCH),
            operands.stretched_lag,
            operands.stretched_length,
            self.stretched_steps,
            max(self.evaluation.sequences // 4, 1),
            wanted,
        )

    def _over_lanes(self, function: Any, *arguments: Any) -> Any:
        if self.side_by_side:
            return jax.vmap(function)(*arguments)
        return lax.map(lambda each: function(*each), arguments)

    @cached_property
    def example(self) -> tuple[Lane, Operands]:
        """Shapes of the stacked lanes and operands."""
        lane = self.blank()
        number, real = jax.ShapeDtypeStruct((self.lanes,), jnp.int32), jax.ShapeDtypeStruct((self.lanes,), jnp.float32)
        truth = jax.ShapeDtypeStruct((self.lanes,), jnp.bool_)
        operands = Operands(number, number, number, real, number, truth, number, real, number, number)
        stacked = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((self.lanes, *leaf.shape), leaf.dtype), lane)
        return stacked, operands


@dataclass(frozen=True)
class Compiled:
    """A program's two executables and the seconds that it took to get them."""

    advance: Any
    stretched: Any
    seconds: float


@lru_cache(maxsize=64)
def compiled(program: Program) -> Compiled:
    """Compile a program, once a process."""
    start = time.perf_counter()
    lanes, operands = program.example
    wanted = jax.ShapeDtypeStruct((program.lanes,), jnp.bool_)
    advance = jax.jit(lambda *a: program._over_lanes(program._advance, *a), donate_argnums=0)
    stretched = jax.jit(lambda *a: program._over_lanes(program._stretched, *a))
    return Compiled(
        advance.lower(lanes, operands).compile(),
        stretched.lower(lanes.weights, operands, wanted).compile(),
        time.perf_counter() - start,
    )
