"""The mathematics of training and judging one member: pure functions of its state, its operands and its data.

Nothing here knows of lanes, devices or compiling (program.py does). All that differs between members of a
`Shape` is an operand. Data are drawn inside: the stream of a member depends on its seed, lag and units alone,
never on its neighbours.
"""

import hashlib
from dataclasses import dataclass, replace
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from memcap.cells import How
from memcap.config import Evaluation, Member
from memcap.models.network import Architecture
from memcap.tasks import Batch, Task
from memcap.training import curriculum
from memcap.training.state import EvalOperands, Progress, TrainOperands, TrainState

EVALUATION_BATCH = 256
MOMENTUM = 0.9  # of gradient descent
TRAIN, EVALUATE, STRETCH = 0, 1, 2  # streams of a member's key


@dataclass(frozen=True)
class Shape:
    """What decides a compiled program but for the sizes of its buffers: members of one shape can share one.

    Args:
        task: the task's knobs (its lag is an operand).
        architecture: structure of the network.
        batch: sequences a training step.
        clip: global gradient norm at which a gradient is clipped.
        evaluation: when a member counts as solved.
        curriculum: whether there is a front that moves up to the lag; at the lag from the start of those that
            have no curriculum.
        optimizer: "adam", or "sgd" with momentum.
    """

    task: Task
    architecture: Architecture
    batch: int
    clip: float
    evaluation: Evaluation
    curriculum: bool = False
    optimizer: str = "adam"

    @classmethod
    def of(cls, member: Member) -> "Shape":
        """The shape of a member."""
        recipe = member.recipe
        assert recipe.batch is not None
        assert recipe.clip is not None
        assert recipe.optimizer is not None
        front = recipe.curriculum is not None
        return cls(
            member.task,
            member.architecture,
            recipe.batch,
            recipe.clip,
            member.evaluation,
            front,
            recipe.optimizer,
        )

    def at_width(self, units: int) -> "Shape":
        """The same with another number of units."""
        return replace(self, architecture=self.architecture.at_width(units))

    @property
    def name(self) -> str:
        """16 hex digits."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


@jax.jit
def stream(seed: Any, lag: Any, units: Any, number: Any, index: Any) -> jax.Array:
    """(2,) uint32: the key of one of a member's streams; `index` counts the evaluations."""
    key = jax.random.key(seed)
    for part in (lag, units, number, index):
        key = jax.random.fold_in(key, part)
    return jax.random.key_data(key)


def tally(task: Task, outputs: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sums over the answers that are due: loss (nats, or squared error), score (hits, or squared error), and
    how many.

    Args:
        task: says whether outputs are logits or values.
        outputs: (O, B) or (O, T, B).
        batch: targets and mask of the same trailing shape; several values an answer are averaged over.
    """
    if task.loss == "classes":
        at_target = jnp.arange(outputs.shape[0]).reshape(-1, *[1] * batch.targets.ndim) == batch.targets
        loss = jax.nn.logsumexp(outputs, axis=0) - jnp.where(at_target, outputs, 0).sum(0)
        score = (jnp.argmax(outputs, axis=0) == batch.targets).astype(loss.dtype)
    elif task.several_values:
        loss = score = ((outputs - batch.targets) ** 2).mean(0)
    else:
        loss = score = (outputs[0] - batch.targets) ** 2
    due = jnp.ones_like(loss) if batch.mask is None else batch.mask.astype(loss.dtype)
    return (loss * due).sum(), (score * due).sum(), due.sum()


def rate(operands: TrainOperands, step: jax.Array) -> jax.Array:
    """Learning rate: linear warmup, then constant or a cosine to 0 at the budget."""
    warm = jnp.minimum(1.0, (step + 1) / jnp.maximum(operands.warmup, 1))
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * step / operands.budget))
    return operands.lr * warm * jnp.where(operands.cosine, cosine, 1.0)


@dataclass(frozen=True)
class Trainer:
    """Trains and judges one member.

    Args:
        shape: of the members.
        steps: buffer T of the training sequences, at least the longest length.
        evaluation_steps: buffer T of the evaluations; the stretched one is the longest.
        together: whether many members run this side by side (`vmap`): then loops have trip counts that all
            share, and masks.
        plain: whether the loop over time is the plain one.
        kernel: "native" where the loop ("loop") is the LSTM's in C, else "xla"; see `memcap.training.kernel`.
    """

    shape: Shape
    steps: int
    evaluation_steps: int
    together: bool = False
    plain: bool = False
    kernel: str = "xla"

    @property
    def how(self) -> How:
        """The loop over time."""
        return "plain" if self.plain else "scan" if self.together else "loop"

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Clipping and Adam, or momentum, over the flat vector; the caller applies the learning rate, as it
        is an operand."""
        direction = optax.scale_by_adam() if self.shape.optimizer == "adam" else optax.trace(MOMENTUM)
        return optax.chain(optax.clip_by_global_norm(self.shape.clip), direction)

    @property
    def block(self) -> int:
        """Sequences B of an evaluation that are drawn at once."""
        return min(EVALUATION_BATCH, self.shape.evaluation.sequences)

    def blank(self) -> TrainState:
        """An empty state: zeros on the host. The optimizer's state starts at zero, so `fresh` needs only the
        weights."""
        weights = np.zeros(self.shape.architecture.parameters(), np.float32)
        state = jax.eval_shape(self.optimizer.init, weights)
        optimizer = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
        front = (
            curriculum.CurriculumState(np.int32(0), np.float32(0), np.int32(0))
            if self.shape.curriculum
            else ()
        )
        return TrainState(
            weights, optimizer, Progress(np.int32(0), np.bool_(False), np.float32(np.nan), front)
        )

    def fresh(self, member: Member) -> TrainState:
        """The state of a member that is about to start."""
        own, shared = member.architecture, self.shape.architecture
        weights = own.init(member.init, [member.seed, member.lag, member.model.units])
        if own != shared:
            weights = own.resized(weights, shared.model.units)
        blank = self.blank()
        front = (
            curriculum.initial_state(curriculum.curriculum_of(member, self.steps), member.lag)
            if self.shape.curriculum
            else ()
        )
        progress = blank.progress._replace(running=np.bool_(True), front=front)
        return blank._replace(weights=shared.flatten(weights), progress=progress)

    def weights(self, member: Member, vector: np.ndarray) -> dict[str, Any]:
        """A member's own weights, a nested dict, from the flat vector of its state."""
        own, shared = member.architecture, self.shape.architecture
        weights = shared.unflatten(vector)
        return weights if own == shared else shared.resized(weights, own.model.units)

    def operands(self, member: Member) -> TrainOperands:
        """A member's operands."""
        recipe = member.recipe
        return TrainOperands(
            self._key(member, TRAIN, 0),
            *(np.int32(v) for v in (member.lag, member.length)),
            np.float32(recipe.lr if self.shape.curriculum else recipe.peak(member.lag)),
            np.int32(recipe.warmup or 0),
            np.bool_(recipe.schedule == "cosine"),
            np.int32(recipe.budget or 0),
            np.int32(member.model.units),
            curriculum.curriculum_of(member, self.steps) if self.shape.curriculum else (),
        )

    def held_out(self, member: Member, index: int) -> EvalOperands:
        """A member's held-out evaluation number `index`."""
        return self._asked(
            member, EVALUATE, index, member.lag, member.length, self.shape.evaluation.sequences
        )

    def stretched(self, member: Member) -> EvalOperands:
        """A member's evaluation at `evaluation.stretch` times its lag or length, over a quarter as many
        sequences."""
        lag, length = member.task.stretched(member.lag, member.evaluation.stretch)
        return self._asked(member, STRETCH, 0, lag, length, self.shape.evaluation.sequences // 4)

    def _asked(
        self, member: Member, number: int, index: int, lag: int, length: int, sequences: int
    ) -> EvalOperands:
        blocks = max(1, -(-sequences // self.block))
        sizes = map(np.int32, (lag, length, blocks, member.model.units))
        return EvalOperands(self._key(member, number, index), *sizes)

    def _key(self, member: Member, number: int, index: int) -> np.ndarray:
        return np.asarray(stream(member.seed, member.lag, member.model.units, number, index))

    def _run(
        self, weights: Any, batch: Batch, length: Any, units: Any
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        task, architecture = self.shape.task, self.shape.architecture
        network, every = architecture.build(architecture.unflatten(weights)), task.answers == "every"
        how = "native" if self.kernel == "native" else self.how
        _, outputs = network(
            batch.inputs,
            length,
            boundary=batch.boundary,
            every=every,
            reset=task.reset_carry,
            how=how,
            units=units,
        )
        return tally(task, outputs, batch)

    def asked(self, state: TrainState, operands: TrainOperands) -> tuple[Any, Any]:
        """Lag and length of the sequences that a member trains on next: its own, or those of its curriculum's
        front."""
        if not self.shape.curriculum:
            return operands.lag, operands.length
        lag = state.progress.front.lag
        return lag, operands.plan.lengths[lag]

    def update(
        self, state: TrainState, operands: TrainOperands, batch: Batch, on: Any = True
    ) -> tuple[TrainState, jax.Array]:
        """One training step of one member on a batch. Returns the state and the batch's mean loss.

        Args:
            state: the member's.
            operands: the member's.
            batch: as the task draws it.
            on: () bool; where it is false, nothing changes.
        """

        def mean_loss(weights: Any) -> tuple[jax.Array, jax.Array]:
            loss, score, due = self._run(weights, batch, self.asked(state, operands)[1], operands.units)
            return loss / due, score / due

        (loss, score), gradient = jax.value_and_grad(mean_loss, has_aux=True)(state.weights)
        direction, optimizer = self.optimizer.update(gradient, state.optimizer)
        progress = state.progress
        speed = rate(operands, progress.step)
        if self.shape.curriculum:
            speed = speed * curriculum.lr_scale(progress.front, operands.plan, progress.step, operands.budget)
        weights = state.weights - speed * cast(jax.Array, direction)
        finite = jnp.isfinite(loss) & jnp.isfinite(weights).all()
        # A diverged member keeps its last finite weights and stops here.
        taken = finite & progress.running & on
        weights, optimizer = jax.tree.map(
            lambda new, old: jnp.where(taken, new, old),
            (weights, optimizer),
            (state.weights, state.optimizer),
        )
        mean = jnp.where(jnp.isnan(progress.train_score), score, 0.9 * progress.train_score + 0.1 * score)
        front = progress.front
        if self.shape.curriculum:
            moved = curriculum.update(front, operands.plan, operands.lag, progress.step + 1, score)
            mean = jnp.where(
                front.lag < operands.lag, jnp.nan, mean
            )  # a score at another lag asks for no evaluation
            front = jax.tree.map(lambda new, old: jnp.where(taken, new, old), moved, front)
        progress = Progress(
            step=progress.step + taken,
            running=jnp.where(on, finite & progress.running, progress.running),
            train_score=jnp.where(taken, mean, progress.train_score),
            front=front,
        )
        return TrainState(weights, optimizer, progress), loss

    def advance(self, state: TrainState, operands: TrainOperands) -> tuple[TrainState, jax.Array]:
        """A chunk of training for one member.

        Returns the state, and the loss of each of the chunk's steps: (evaluation.every,), 0 for steps not
        taken.
        """
        every = self.shape.evaluation.every
        left = jnp.minimum(every, operands.budget - state.progress.step)

        def drawn(state: TrainState) -> Batch:
            key = jax.random.fold_in(jax.random.wrap_key_data(operands.key), state.progress.step)
            return self.shape.task.sample(key, *self.asked(state, operands), self.steps, self.shape.batch)

        if self.together:  # a trip count that all share; those that have ended wait, masked

            def masked(k: jax.Array, both: tuple[TrainState, jax.Array]) -> tuple[TrainState, jax.Array]:
                state, losses = both
                on = (k < left) & state.progress.running
                state, loss = self.update(state, operands, drawn(state), on)
                return state, losses.at[k].set(jnp.where(on, loss, 0))

            return lax.fori_loop(0, every, masked, (state, jnp.zeros(every)))

        def going(carried: Any) -> jax.Array:
            k, state, _ = carried
            return (k < left) & state.progress.running

        def step(carried: Any) -> Any:
            k, state, losses = carried
            state, loss = self.update(state, operands, drawn(state))
            return k + 1, state, losses.at[k].set(loss)

        _, state, losses = lax.while_loop(going, step, (jnp.int32(0), state, jnp.zeros(every)))
        return state, losses

    def evaluate(self, weights: jax.Array, asked: EvalOperands) -> jax.Array:
        """Score of one member over fresh sequences; NaN where none are wanted. Side by side, one that is
        costs all lanes."""
        key = jax.random.wrap_key_data(asked.key)

        def block(k: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            sequences = jax.random.fold_in(key, k), asked.lag, asked.length, self.evaluation_steps, self.block
            _, score, due = self._run(weights, self.shape.task.unseen(*sequences), asked.length, asked.units)
            return sums[0] + score, sums[1] + due

        score, due = lax.fori_loop(0, asked.blocks, block, (jnp.float32(0), jnp.float32(0)))
        return score / due
