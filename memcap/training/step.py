"""The training step and the evaluations of a member, which is one net, as pure functions.

Members share a compiled program if they differ only in their first weights and in
numbers, such as the lag or the learning rate. These numbers are its operands
(operands.py makes them from a member); all else is static, and makes up a `TrainSpec`.
The data are drawn within the program, from keys that depend on the member's seed, lag
and units alone. program.py runs these functions for many members at a time.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import lax

from memcap.cells import cell_class
from memcap.config.member import Member
from memcap.config.recipes import ResolvedRecipe
from memcap.loops import Answers, loss_and_score_sums
from memcap.loops.base import select
from memcap.models.architecture import Architecture
from memcap.models.network import Network, pass_of
from memcap.optimizers import CANNOT_PAD, optimizer_of
from memcap.rule import Evaluation
from memcap.tasks import Batch, FileTask, Task
from memcap.tasks.base import integers
from memcap.training import curriculum

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


class TrainOperands(NamedTuple):
    """A member's operands of its training. Scalars unless noted."""

    key: Any  # (2,) uint32, seeds the training data
    lag: Any
    length: Any  # steps of a sequence
    lr: Any  # learning rate before warmup and schedule
    warmup: Any  # steps
    cosine: Any  # bool, whether the learning rate falls as a cosine
    budget: Any  # steps
    units: Any  # hidden units; a wider program pads them
    curriculum: Any = ()  # a `Curriculum`, or () without one


class EvalOperands(NamedTuple):
    """A member's operands of an evaluation. Scalars unless noted."""

    # (2,) uint32, seeds the sequences; where they lie in a file, its first number says
    # which of them to take: 0 those for validation, 1 those held out
    key: Any
    lag: Any
    length: Any  # steps of a sequence
    blocks: Any  # number of blocks of sequences; 0 skips the evaluation
    units: Any  # as for training


class TrainState(NamedTuple):
    """The state of a member in training."""

    # (P,), flat as each moment of Adam is, so that XLA compiles few, large operations
    params: Any
    opt_state: Any
    step: Any  # scalar, as are the next two
    active: Any  # turns false once the loss or a weight is not finite
    # running mean over about 10 steps; NaN until a curriculum has ended
    train_score: Any
    curriculum: Any = ()  # a `CurriculumState`, or () without one


# Fields of a recipe that become operands or act on the first weights
NOT_STATIC = (
    "init",
    "forget_bias",
    "lr",
    "lr_width",
    "falls_above",
    "schedule",
    "warmup",
    "warmup_share",
    "budget",
    "curriculum",
    "advance",
    "deadline",
)


@dataclass(frozen=True)
class TrainSpec:
    """The static settings of a member's training. Members of equal specs can share a program."""

    task: Task  # the task with its knobs
    architecture: Architecture  # structure of the network
    recipe: ResolvedRecipe  # with the fields `NOT_STATIC` blanked
    evaluation: Evaluation  # the rule that says when a member is solved
    # whether the lag is that of a `CurriculumState`. Side by side it always is: without a
    # curriculum, that is at the member's own lag from the start.
    curriculum: bool

    @classmethod
    def of(cls, member: Member) -> TrainSpec:
        """Return the spec of a member."""
        recipe = _static(member.recipe)
        other_lags = member.recipe.with_other_lags
        return cls(
            member.task, member.architecture, recipe, member.evaluation, other_lags
        )

    def at_width(self, units: int) -> TrainSpec:
        """Return the spec with another number of units."""
        return replace(self, architecture=self.architecture.at_width(units))

    @property
    def can_pad(self) -> bool:
        """Tell whether members of several widths can share a program, with the narrower
        ones padded."""
        cell = cell_class(self.architecture.model.cell)
        return self.recipe.optimizer not in CANNOT_PAD and cell.can_pad

    @property
    def name(self) -> str:
        """A digest of the spec, in 16 hex digits."""
        return hashlib.sha256(repr(self).encode()).hexdigest()[:16]


@lru_cache(maxsize=1024)
def _static(recipe: ResolvedRecipe) -> ResolvedRecipe:
    return replace(recipe, name="", **dict.fromkeys(NOT_STATIC))


def right_sequences(outputs: Float[Array, "O *T B"], batch: Batch) -> Bool[Array, " B"]:
    """Return a mask of the sequences without a wrong answer; the task must have classes."""
    right = jnp.argmax(outputs, axis=0) == batch.targets
    return right if batch.mask is None else (right | ~batch.mask).all(0)


@dataclass(frozen=True)
class Trainer:
    """The pure functions that train and evaluate one member."""

    spec: TrainSpec  # the spec that the members share
    # steps T of the buffer for training sequences, at least the longest length
    max_length: int
    # the same for evaluations, stretched and at other lengths, too
    max_eval_length: int
    loop: str = "while"  # name of the loop over time (memcap/loops/)
    # whether members run under `vmap`. Then a chunk has a fixed number of training
    # steps, and a mask freezes members that have ended
    side_by_side: bool = False

    @property
    def optimizer(self) -> optax.GradientTransformationExtraArgs:
        """The optimizer of the flat weights, without the learning rate; `update` needs
        the member's units."""
        return optimizer_of(self.spec.recipe, self.spec.architecture)

    def lag_and_length(
        self, state: TrainState, operands: TrainOperands
    ) -> tuple[Any, Any]:
        """Return the lag and the length of the next batch, both () int32: the member's own,
        or those of its curriculum; with uniform lags, a lag drawn up to the curriculum's."""
        if not self.spec.curriculum:
            return operands.lag, operands.length
        lag = state.curriculum.lag
        if self.spec.recipe.lags:
            # Keys of batches fold in the steps 0, 1, ..., and those of lags -1, -2, ....
            key = jax.random.wrap_key_data(operands.key)
            key = jax.random.fold_in(key, -1 - state.step)
            lag = integers(key, (), self.spec.task.smallest_lag, lag + 1)
        return lag, operands.curriculum.lengths[lag]

    def learning_rate(
        self, step: Any, curriculum_state: Any, operands: TrainOperands, xp: Any = jnp
    ) -> Any:
        """Return the learning rate after `step` steps.

        It is a linear warmup, times 1 or a cosine that falls from 1 to the recipe's
        floor at the end of the budget, times the curriculum's factor. All operands may
        be those of N members, (N,); `xp` is jax.numpy, or NumPy outside a program.
        """
        floor = self.spec.recipe.floor
        warm = xp.minimum(1.0, (step + 1) / xp.maximum(operands.warmup, 1))
        cosine = 0.5 * (1 + xp.cos(xp.pi * step / operands.budget))
        if floor:
            cosine = floor + (1 - floor) * cosine
        lr = operands.lr * warm * xp.where(operands.cosine, cosine, 1.0)
        if not self.spec.curriculum:
            return lr
        scale = curriculum.lr_scale(
            curriculum_state, operands.curriculum, step, operands.budget, xp
        )
        return lr * scale

    def train_step(
        self,
        state: TrainState,
        operands: TrainOperands,
        batch: Batch,
        takes_step: Bool[Array, ""] | bool = True,
    ) -> tuple[TrainState, Float[Array, ""]]:
        """Take one training step on a batch.

        Args:
            state: the state before the step.
            operands: the member's operands.
            batch: inputs, targets and mask of B sequences of T steps, at the lag of
                `lag_and_length`.
            takes_step: False leaves the state as it is.

        Returns:
            The state after the step, and the batch's mean loss, (): in nats, or a squared
            error.
        """

        def mean_loss(
            params: Float[Array, " P"],
        ) -> tuple[Float[Array, ""], Float[Array, ""]]:
            _, length = self.lag_and_length(state, operands)
            over = pass_of(self.spec.task, batch, length, operands.units)
            network = self._network(params)
            loss, score, due = network.score(over, self._answers(batch), self.loop)
            return loss / due, score / due

        (loss, score), gradient = jax.value_and_grad(mean_loss, has_aux=True)(
            state.params
        )
        direction, opt_state = self.optimizer.update(
            gradient, state.opt_state, state.params, units=operands.units
        )
        lr = self.learning_rate(state.step, state.curriculum, operands)
        params = state.params - lr * cast(jax.Array, direction)
        finite = jnp.isfinite(loss) & jnp.isfinite(params).all()
        # A diverged member keeps its last finite weights and stops.
        applied = finite & state.active & takes_step

        def chosen(new: jax.Array, old: jax.Array) -> jax.Array:
            # Only an optimizer has matrices here. One that runs alone is not asked again
            # once its member has diverged, and choosing would take longer than its update.
            if new.ndim > 1 and not self.side_by_side:
                return new
            return jnp.where(applied, new, old)

        params, opt_state = jax.tree.map(
            chosen, (params, opt_state), (state.params, state.opt_state)
        )
        is_first = jnp.isnan(state.train_score)
        mean = jnp.where(is_first, score, 0.9 * state.train_score + 0.1 * score)
        progress = state.curriculum
        if self.spec.curriculum:
            progress = curriculum.update(
                progress, operands.curriculum, operands.lag, state.step + 1, score
            )
            # Before the curriculum ends, no score may trigger an evaluation.
            mean = jnp.where(state.curriculum.lag < operands.lag, jnp.nan, mean)
            progress = select(applied, progress, state.curriculum)
        new_state = TrainState(
            params,
            opt_state,
            step=state.step + applied,
            active=jnp.where(takes_step, finite & state.active, state.active),
            train_score=jnp.where(applied, mean, state.train_score),
            curriculum=progress,
        )
        return new_state, loss

    def train_chunk(
        self, state: TrainState, operands: TrainOperands
    ) -> tuple[TrainState, Float[Array, " every"]]:
        """Take up to `evaluation.every` training steps, each on a batch of its own.

        They end early with the budget, or when the member has diverged. Return the state
        after them, and the loss of each, 0 for steps that were not taken.
        """
        every = self.spec.evaluation.every
        steps_left = jnp.minimum(every, operands.budget - state.step)

        def draw(state: TrainState) -> Batch:
            key = jax.random.fold_in(jax.random.wrap_key_data(operands.key), state.step)
            lag, length = self.lag_and_length(state, operands)
            batch = self.spec.recipe.batch
            return self.spec.task.sample(key, lag, length, self.max_length, batch)

        def goes_on(loop: Any) -> jax.Array:
            k, state, _ = loop
            return (k < steps_left) & state.active

        def step(loop: Any) -> Any:
            k, state, losses = loop
            state, loss = self.train_step(state, operands, draw(state))
            return k + 1, state, losses.at[k].set(loss)

        def masked_step(k: jax.Array, loop: Any) -> Any:
            state, losses = loop
            takes_step = (k < steps_left) & state.active
            state, loss = self.train_step(state, operands, draw(state), takes_step)
            return state, losses.at[k].set(jnp.where(takes_step, loss, 0))

        losses = jnp.zeros(every)
        if self.side_by_side:
            return lax.fori_loop(0, every, masked_step, (state, losses))
        return lax.while_loop(goes_on, step, (jnp.int32(0), state, losses))[1:]

    def evaluate(
        self, params: Float[Array, " P"], operands: EvalOperands
    ) -> Float[Array, ""]:
        """Return the mean score over fresh sequences; NaN if `operands.blocks` is 0.
        Under `vmap` every lane runs as many blocks as the lane with the most."""

        def block(k: jax.Array, sums: Any) -> Any:
            batch, outputs = self._unseen(params, operands, k)
            _, score, due = loss_and_score_sums(outputs, self._answers(batch))
            return sums[0] + score, sums[1] + due

        zero = jnp.float32(0)
        score, due = lax.fori_loop(0, operands.blocks, block, (zero, zero))
        return score / due

    def evaluate_sequences(
        self, params: Float[Array, " P"], operands: EvalOperands
    ) -> Float[Array, 2]:
        """Return the score that `evaluate` returns, and the share of sequences without
        a wrong answer (NaN if the task has no classes)."""

        def block(k: jax.Array, sums: Float[Array, 3]) -> Float[Array, 3]:
            batch, outputs = self._unseen(params, operands, k)
            _, score, due = loss_and_score_sums(outputs, self._answers(batch))
            whole: Any = jnp.nan
            if self.spec.task.loss == "classes":
                whole = right_sequences(outputs, batch).sum()
            return sums + jnp.stack([score, due, jnp.float32(whole)])

        score, due, whole = lax.fori_loop(0, operands.blocks, block, jnp.zeros(3))
        sequences = operands.blocks * self.spec.evaluation.block
        return jnp.stack([score / due, whole / sequences])

    def evaluate_part(
        self, params: Float[Array, " P"], operands: EvalOperands
    ) -> Float[Array, 2]:
        """Return the score and the loss on all sequences of a part of a file: those for
        validation, or those held out."""
        part = operands.key[0].astype(jnp.int32)
        task = cast(FileTask, self.spec.task)

        def block(k: jax.Array, sums: Float[Array, 3]) -> Float[Array, 3]:
            # the last block is filled up with sequences that do not count
            batch, counts = task.part(part, k, *self._sizes(operands))
            outputs = self._outputs(params, operands, batch)
            mask = counts if batch.mask is None else counts & batch.mask
            answers = Answers(batch.targets, mask, task.loss)
            return sums + jnp.stack(loss_and_score_sums(outputs, answers))

        loss, score, due = lax.fori_loop(0, operands.blocks, block, jnp.zeros(3))
        return jnp.stack([score, loss]) / due

    def _unseen(
        self, params: Float[Array, " P"], operands: EvalOperands, k: jax.Array
    ) -> tuple[Batch, Float[Array, "O *T B"]]:
        """Draw block k of sequences that training never sees; return them and the
        network's outputs."""
        key = jax.random.fold_in(jax.random.wrap_key_data(operands.key), k)
        batch = self.spec.task.unseen(key, *self._sizes(operands))
        return batch, self._outputs(params, operands, batch)

    def _sizes(self, operands: EvalOperands) -> tuple[Any, Any, int, int]:
        """Return the sizes of a block: lag, length, steps of the buffer, sequences."""
        block = self.spec.evaluation.block
        return operands.lag, operands.length, self.max_eval_length, block

    def _outputs(
        self, params: Float[Array, " P"], operands: EvalOperands, batch: Batch
    ) -> Float[Array, "O *T B"]:
        over = pass_of(self.spec.task, batch, operands.length, operands.units)
        return self._network(params).run(over, self.loop)[1]

    def _network(self, params: Float[Array, " P"]) -> Network:
        architecture = self.spec.architecture
        return architecture.build(architecture.unflatten(params))

    def _answers(self, batch: Batch) -> Answers:
        return Answers(batch.targets, batch.mask, self.spec.task.loss)
