"""The mathematics of training and evaluating one member: pure functions of its state, its operands and its
data.

Nothing here knows of lanes, devices or compiling (program.py does), or of what the host prepares
(operands.py). All that differs between members of a `TrainSpec` is an operand. Data are drawn inside: the
stream of a member depends on its seed, lag and units alone, never on its neighbours.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from memcap.config import Evaluation, Member
from memcap.loops import Answers, Pass, loss_and_score_sums
from memcap.models.architecture import Architecture
from memcap.models.network import Network
from memcap.recipes import EPSILON, MOMENTUM, RMS_DECAY
from memcap.tasks import Batch, Task
from memcap.tasks.base import integers
from memcap.training import curriculum

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int, Key

EVALUATION_BATCH = 256


class TrainOperands(NamedTuple):
    """Operands of one member's training: all that may differ between the members of a program. `key`: (2,)
    uint32, of the training stream; the others are scalars.

    `curriculum`: a `Curriculum`; () without one.
    """

    key: Any
    lag: Any
    length: Any
    lr: Any
    warmup: Any
    cosine: Any
    budget: Any
    units: Any
    curriculum: Any = ()


class EvalOperands(NamedTuple):
    """Operands of one member's evaluation. `key`: (2,) uint32; `blocks` of sequences, 0: none is wanted; the
    others are scalars, too."""

    key: Any
    lag: Any
    length: Any
    blocks: Any
    units: Any


class TrainState(NamedTuple):
    """State of one member in flight; scalars but for `params` and `opt_state`.

    `params`, and moments in `opt_state`, are one flat (P,) vector each: fewer and larger operations to
    compile and run. `active` ends where the loss or a weight is no longer finite. `train_score` is a running
    mean over about 10 steps; NaN while a curriculum is on its way. `curriculum`: a `CurriculumState`; ()
    without one.
    """

    params: Any
    opt_state: Any
    step: Any
    active: Any
    train_score: Any
    curriculum: Any = ()


@dataclass(frozen=True)
class TrainSpec:
    """Specification of a program, but for the sizes of its buffers: members of one spec can share a program.

    Args:
        task: the task's knobs (its lag is an operand).
        architecture: structure of the network.
        batch: sequences per training step.
        clip: limit at which a gradient is clipped; `clip_by` says how.
        evaluation: when a member counts as solved.
        curriculum: whether the lag at hand rises up to the member's; that of members without a curriculum is
            there from the start.
        optimizer: one of `OPTIMIZERS`.
        decay: weight decay of matrices per step, before the learning rate.
        floor: share of the peak learning rate at which a cosine ends.
        uniform: whether each batch has a lag of its own, up to the lag at hand.
        clip_by: one of `CLIPPINGS`.
    """

    task: Task
    architecture: Architecture
    batch: int
    clip: float
    evaluation: Evaluation
    curriculum: bool = False
    optimizer: str = "adam"
    decay: float = 0.0
    floor: float = 0.0
    uniform: bool = False
    clip_by: str = "norm"

    @classmethod
    def of(cls, member: Member) -> TrainSpec:
        """Return the spec of a member."""
        recipe = member.recipe
        return cls(
            member.task,
            member.architecture,
            recipe.batch,
            recipe.clip,
            member.evaluation,
            recipe.with_other_lags,
            recipe.optimizer,
            recipe.decay or 0.0,
            recipe.floor or 0.0,
            recipe.lags == "uniform",
            recipe.clip_by,
        )

    def at_width(self, units: int) -> TrainSpec:
        """Return the same with another number of units."""
        return replace(self, architecture=self.architecture.at_width(units))

    @property
    def name(self) -> str:
        """16 hex digits."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


# By `recipe.optimizer`, without the learning rate, which is an operand. Each begins with a state of zeros and
# makes zeros of a gradient of zeros: units that only pad a member never move.
OPTIMIZERS: Mapping[str, Callable[[], optax.GradientTransformation]] = {
    "adam": optax.scale_by_adam,
    "sgd": partial(optax.trace, MOMENTUM),
    "rmsprop": partial(optax.scale_by_rms, RMS_DECAY, EPSILON, eps_in_sqrt=False),  # as PyTorch has it
    "adamw": optax.scale_by_adam,  # to whose direction the decay is added
}

# By `recipe.clip_by`, of `recipe.clip`.
CLIPPINGS: Mapping[str, Callable[[float], optax.GradientTransformation]] = {
    "norm": optax.clip_by_global_norm,
    "element": optax.clip,
}


def optimizer_of(
    name: str, clip: float, clip_by: str = "norm", decays: Float[np.ndarray, " P"] | None = None
) -> optax.GradientTransformationExtraArgs:
    """Return clipping, then the optimizer of that name, then the decay of each weight, if any."""
    steps = [CLIPPINGS[clip_by](clip), OPTIMIZERS[name]()]
    if decays is not None:
        steps.append(optax.add_decayed_weights(jnp.asarray(decays)))
    return optax.chain(*steps)


def right_sequences(outputs: Float[Array, "O *T B"], batch: Batch) -> Bool[Array, " B"]:
    """Return which sequences have nothing but right answers, for a task with classes."""
    right = jnp.argmax(outputs, axis=0) == batch.targets
    return right if batch.mask is None else (right | ~batch.mask).all(0)


def learning_rate(operands: TrainOperands, step: Int[Array, ""], floor: float = 0.0) -> Float[Array, ""]:
    """Return the learning rate: linear warmup, then constant or a cosine to 0, or to a share of the rate, at
    the budget."""
    warm = jnp.minimum(1.0, (step + 1) / jnp.maximum(operands.warmup, 1))
    cosine = 0.5 * (1 + jnp.cos(jnp.pi * step / operands.budget))
    if floor:
        cosine = floor + (1 - floor) * cosine
    return operands.lr * warm * jnp.where(operands.cosine, cosine, 1.0)


@dataclass(frozen=True)
class Trainer:
    """The pure functions that train and evaluate one member.

    Args:
        spec: of the members.
        max_length: buffer T of the training sequences, at least the longest length.
        max_eval_length: buffer T of the evaluations; the stretched one is the longest.
        loop: name of the loop over time (memcap/loops/).
        side_by_side: whether many members run this under `vmap`: then the loop over training steps has a trip
            count that all share, and a mask.
    """

    spec: TrainSpec
    max_length: int
    max_eval_length: int
    loop: str = "while"
    side_by_side: bool = False

    @property
    def optimizer(self) -> optax.GradientTransformationExtraArgs:
        """The optimizer over the flat vector; the caller applies the learning rate, as it is an operand."""
        spec = self.spec
        decays = spec.decay * spec.architecture.matrices() if spec.decay else None
        return optimizer_of(spec.optimizer, spec.clip, spec.clip_by, decays)

    @property
    def block(self) -> int:
        """Sequences B of an evaluation that are drawn at once."""
        return min(EVALUATION_BATCH, self.spec.evaluation.sequences)

    def _network(self, params: Float[Array, " P"]) -> Network:
        architecture = self.spec.architecture
        return architecture.build(architecture.unflatten(params))

    def _pass(self, batch: Batch, length: Int[Array, ""], units: Int[Array, ""]) -> Pass:
        task = self.spec.task
        return Pass(
            batch.inputs,
            length,
            batch.window_starts,
            task.reset_carry,
            return_sequences=task.answers == "every",
            num_units=units,
        )

    def _answers(self, batch: Batch) -> Answers:
        return Answers(batch.targets, batch.mask, self.spec.task.loss)

    def lag_and_length(self, state: TrainState, operands: TrainOperands) -> tuple[Any, Any]:
        """Return lag and length of the sequences that a member trains on next: its own, or those of its
        curriculum; drawn up to these where lags are uniform."""
        if not self.spec.curriculum:
            return operands.lag, operands.length
        lag = state.curriculum.lag
        if self.spec.uniform:
            # Steps count down from -1 here: the keys of the batches are those from 0 on.
            key = jax.random.fold_in(jax.random.wrap_key_data(operands.key), -1 - state.step)
            lag = integers(key, (), self.spec.task.smallest_lag, lag + 1)
        return lag, operands.curriculum.lengths[lag]

    def train_step(
        self, state: TrainState, operands: TrainOperands, batch: Batch, on: Bool[Array, ""] | bool = True
    ) -> tuple[TrainState, Float[Array, ""]]:
        """Take one training step on a batch; return the state and the batch's mean loss.

        Args:
            state: the member's.
            operands: the member's.
            batch: as the task draws it.
            on: where it is false, nothing changes.
        """

        def mean_loss(params: Float[Array, " P"]) -> tuple[Float[Array, ""], Float[Array, ""]]:
            length = self.lag_and_length(state, operands)[1]
            network = self._network(params)
            over = self._pass(batch, length, operands.units)
            loss, score, due = network.score(over, self._answers(batch), self.loop)
            return loss / due, score / due

        (loss, score), gradient = jax.value_and_grad(mean_loss, has_aux=True)(state.params)
        direction, opt_state = self.optimizer.update(gradient, state.opt_state, state.params)
        lr = learning_rate(operands, state.step, self.spec.floor)
        if self.spec.curriculum:
            lr = lr * curriculum.lr_scale(state.curriculum, operands.curriculum, state.step, operands.budget)
        params = state.params - lr * cast(jax.Array, direction)
        finite = jnp.isfinite(loss) & jnp.isfinite(params).all()

        # A diverged member keeps its last finite weights and stops here.
        applied = finite & state.active & on
        params, opt_state = jax.tree.map(
            lambda new, old: jnp.where(applied, new, old),
            (params, opt_state),
            (state.params, state.opt_state),
        )
        mean = jnp.where(jnp.isnan(state.train_score), score, 0.9 * state.train_score + 0.1 * score)
        new_curriculum = state.curriculum
        if self.spec.curriculum:
            updated = curriculum.update(
                state.curriculum, operands.curriculum, operands.lag, state.step + 1, score
            )
            # A score at another lag asks for no evaluation.
            mean = jnp.where(state.curriculum.lag < operands.lag, jnp.nan, mean)
            new_curriculum = jax.tree.map(
                lambda new, old: jnp.where(applied, new, old), updated, state.curriculum
            )
        new_state = TrainState(
            params,
            opt_state,
            step=state.step + applied,
            active=jnp.where(on, finite & state.active, state.active),
            train_score=jnp.where(applied, mean, state.train_score),
            curriculum=new_curriculum,
        )
        return new_state, loss

    def train_chunk(
        self, state: TrainState, operands: TrainOperands
    ) -> tuple[TrainState, Float[Array, " every"]]:
        """Take a chunk of training steps; return the state and the loss of each step, 0 for steps not
        taken."""
        every = self.spec.evaluation.every
        steps_left = jnp.minimum(every, operands.budget - state.step)

        def draw(state: TrainState) -> Batch:
            key = jax.random.fold_in(jax.random.wrap_key_data(operands.key), state.step)
            lag, length = self.lag_and_length(state, operands)
            return self.spec.task.sample(key, lag, length, self.max_length, self.spec.batch)

        if self.side_by_side:  # a trip count that all share; those that have ended wait, masked

            def masked(k: jax.Array, both: tuple[TrainState, jax.Array]) -> tuple[TrainState, jax.Array]:
                state, losses = both
                on = (k < steps_left) & state.active
                state, loss = self.train_step(state, operands, draw(state), on)
                return state, losses.at[k].set(jnp.where(on, loss, 0))

            return lax.fori_loop(0, every, masked, (state, jnp.zeros(every)))

        def goes_on(loop: Any) -> jax.Array:
            k, state, _ = loop
            return (k < steps_left) & state.active

        def step(loop: Any) -> Any:
            k, state, losses = loop
            state, loss = self.train_step(state, operands, draw(state))
            return k + 1, state, losses.at[k].set(loss)

        _, state, losses = lax.while_loop(goes_on, step, (jnp.int32(0), state, jnp.zeros(every)))
        return state, losses

    def evaluate(self, params: Float[Array, " P"], operands: EvalOperands) -> Float[Array, ""]:
        """Return a member's score over fresh sequences; NaN where none are wanted. Side by side, one member's
        evaluation costs all lanes."""
        key = jax.random.wrap_key_data(operands.key)

        def block(k: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            draw = jax.random.fold_in(key, k)
            batch, outputs = self._unseen(params, operands, draw)
            _, score, due = loss_and_score_sums(outputs, self._answers(batch))
            return sums[0] + score, sums[1] + due

        score, due = lax.fori_loop(0, operands.blocks, block, (jnp.float32(0), jnp.float32(0)))
        return score / due

    def evaluate_sequences(self, params: Float[Array, " P"], operands: EvalOperands) -> Float[Array, 2]:
        """Return score, and share of whole sequences right (NaN for values), over the sequences of
        `evaluate`."""
        key, task = jax.random.wrap_key_data(operands.key), self.spec.task

        def block(k: jax.Array, sums: Float[Array, 3]) -> Float[Array, 3]:
            batch, outputs = self._unseen(params, operands, jax.random.fold_in(key, k))
            _, score, due = loss_and_score_sums(outputs, self._answers(batch))
            whole = right_sequences(outputs, batch).sum() if task.loss == "classes" else jnp.nan
            return sums + jnp.stack([score, due, jnp.float32(whole)])

        score, due, whole = lax.fori_loop(0, operands.blocks, block, jnp.zeros(3))
        return jnp.stack([score / due, whole / (operands.blocks * self.block)])

    def _unseen(
        self, params: Float[Array, " P"], operands: EvalOperands, key: Key[Array, ""]
    ) -> tuple[Batch, Float[Array, "O *T B"]]:
        """Draw a block of sequences that training never sees; return it and the network's outputs."""
        batch = self.spec.task.unseen(key, operands.lag, operands.length, self.max_eval_length, self.block)
        over = self._pass(batch, operands.length, operands.units)
        return batch, self._network(params).run(over, self.loop)[1]
