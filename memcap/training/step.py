"""The training step and the evaluations of a member (one net), as pure functions.

Numbers, such as lag and learning rate, are operands (host.py makes them); all else is
static and makes up a `TrainSpec`. Data are drawn within the program, from keys that
depend on seed, lag and units alone. program.py runs many members at a time.
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
from memcap.knobs import acting_on
from memcap.loops import Targets, loss_and_score_sums
from memcap.loops.base import select
from memcap.models.architecture import Architecture
from memcap.models.network import Network, forward_pass
from memcap.optimizers import CANNOT_PAD, optimizer_of
from memcap.rule import Evaluation
from memcap.tasks import Batch, FileTask, Task
from memcap.tasks.base import integers
from memcap.training.curriculum import lr_scale, next_progress
from memcap.training.evaluation import Block, EvalOperands, Scores

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


class TrainOperands(NamedTuple):
    """The operands of a member's training. Scalars unless noted."""

    key: Any  # (2,) uint32, seeds the training data
    lag: Any
    length: Any  # steps of a sequence
    lr: Any  # learning rate before warmup and schedule
    warmup: Any  # steps
    is_cosine: Any  # bool, whether the learning rate falls as a cosine
    budget: Any  # steps
    units: Any  # hidden units; a wider program pads them
    curriculum: Any = ()  # a `Curriculum`, or () without one


class TrainState(NamedTuple):
    """The state of a member in training."""

    # all P weights as one vector, (P,), so that XLA compiles few, large operations
    params: Any
    opt_state: Any  # the optimizer's; each moment of Adam is a vector, too
    step: Any  # scalar, the number of steps taken
    # bool, false once the loss or a weight is not finite; true still at the budget's end
    is_active: Any
    # scalar, the running mean of the scores of about 10 batches. It is NaN as long as a
    # curriculum has not reached the member's lag.
    train_score: Any
    progress: Any = ()  # a `CurriculumState`, or () without a curriculum


class Totals(NamedTuple):
    """Sums over the blocks of an evaluation: scalars; None: not computed."""

    score: Any
    number: Any  # of answers
    right: Any  # number of sequences without a wrong answer
    loss: Any


# Knobs of a recipe that become operands or act on the first weights
NOT_STATIC = acting_on(ResolvedRecipe, "start", "schedule")


@dataclass(frozen=True)
class TrainSpec:
    """The static settings of a training; members of equal specs can share a program."""

    task: Task  # the task with its knobs
    architecture: Architecture  # structure of the network
    recipe: ResolvedRecipe  # with the fields `NOT_STATIC` blanked
    evaluation: Evaluation  # the rule that says when a member is solved
    # whether states have a `CurriculumState`, which says at which lag to train. `of` sets
    # this for recipes that train at other lags. program.py sets it for all members that
    # run side by side, so that they share a program. There the state of a member without
    # a curriculum is that at a curriculum's end: its own lag.
    has_curriculum: bool

    @classmethod
    def of(cls, member: Member) -> TrainSpec:
        recipe = _static(member.recipe)
        other_lags = member.recipe.with_other_lags
        return cls(
            member.task, member.architecture, recipe, member.evaluation, other_lags
        )

    def at_width(self, units: int) -> TrainSpec:
        return replace(self, architecture=self.architecture.at_width(units))

    @property
    def can_pad(self) -> bool:
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
    """Return a mask of the sequences without a wrong answer, for classes.

    Without a mask, answers are due at the last step alone, and arrays have no axis T.
    """
    is_right = jnp.argmax(outputs, axis=0) == batch.targets
    return is_right if batch.mask is None else (is_right | ~batch.mask).all(0)


@dataclass(frozen=True)
class Trainer:
    """The pure functions that train and evaluate one member."""

    spec: TrainSpec  # the spec that the members share
    # steps T of the buffer for training sequences, at least the longest length
    max_length: int
    # steps of the buffer for held-out sequences, which may be longer
    max_eval_length: int
    loop: str = "while"  # name of the loop over time (memcap/loops/)
    # whether members run under `vmap`. Then the program computes the same number of steps
    # for all of them in a chunk, and members that have ended keep their state.
    side_by_side: bool = False

    @property
    def optimizer(self) -> optax.GradientTransformationExtraArgs:
        """The optimizer, without learning rate and minus sign."""
        return optimizer_of(self.spec.recipe, self.spec.architecture)

    def lag_and_length(
        self, state: TrainState, operands: TrainOperands
    ) -> tuple[Any, Any]:
        """Return the lag and the length of the next batch, both () int32.

        They are the member's own, or the curriculum's. With `recipe.lags` uniform the
        lag is drawn, up to the curriculum's; with `recipe.before` the length, up to the
        member's.
        """
        if not self.spec.has_curriculum:
            return operands.lag, operands.length
        lag = state.progress.lag
        recipe = self.spec.recipe
        if not (recipe.lags or recipe.before):
            return lag, operands.curriculum.lengths[lag]
        # The batch of step k is drawn with k folded into the key, its lag with -(k + 1),
        # and its length with 0 after that, so that no two draws have the same key.
        key = jax.random.wrap_key_data(operands.key)
        key = jax.random.fold_in(key, -1 - state.step)
        if recipe.lags:
            lag = integers(key, (), self.spec.task.smallest_lag, lag + 1)
        length = operands.curriculum.lengths[lag]
        if recipe.before:
            key = jax.random.fold_in(key, 0)
            length = integers(key, (), length, operands.length + 1)
        return lag, length

    def learning_rate(
        self, step: Any, progress: Any, operands: TrainOperands, xp: Any = jnp
    ) -> Any:
        """Return the learning rate after `step` steps: warmup, cosine, curriculum.

        `progress` is a `CurriculumState` or (), `xp` jax.numpy or NumPy. Arguments may
        have a leading axis of members.
        """
        warm = xp.minimum(1.0, (step + 1) / xp.maximum(operands.warmup, 1))
        cosine = 0.5 * (1 + xp.cos(xp.pi * step / operands.budget))
        lr = operands.lr * warm * xp.where(operands.is_cosine, cosine, 1.0)
        if not self.spec.has_curriculum:
            return lr
        return lr * lr_scale(progress, operands.curriculum, step, operands.budget, xp)

    def train_step(
        self,
        state: TrainState,
        operands: TrainOperands,
        batch: Batch,
        takes_step: Bool[Array, ""] | bool = True,
    ) -> tuple[TrainState, Float[Array, ""]]:
        """Take one training step on a batch.

        Return the next state, as before unless it `takes_step`, and the batch's mean
        loss, (), in nats or squared error.
        """

        def mean_loss(
            params: Float[Array, " P"],
        ) -> tuple[Float[Array, ""], Float[Array, ""]]:
            # The length of `batch`. A drawn lag depends on state and operands alone, so
            # this call draws the lag that the batch was drawn with.
            _, length = self.lag_and_length(state, operands)
            forward = forward_pass(self.spec.task, batch, length, operands.units)
            network = self._network(params)
            sums = network.score(forward, self._targets(batch), self.loop)
            return sums.loss / sums.number, sums.score / sums.number

        (loss, score), gradient = jax.value_and_grad(mean_loss, has_aux=True)(
            state.params
        )
        updates, opt_state = self.optimizer.update(
            gradient, state.opt_state, state.params, units=operands.units
        )
        lr = self.learning_rate(state.step, state.progress, operands)
        params = state.params - lr * cast(jax.Array, updates)
        is_finite = jnp.isfinite(loss) & jnp.isfinite(params).all()
        # A diverged member keeps its last finite weights and stops.
        is_applied = is_finite & state.is_active & takes_step

        def new_or_old(new: jax.Array, old: jax.Array) -> jax.Array:
            # Muon, SOAP and GGT have matrices in their state. To select between the old
            # and the new ones would take longer than the update. A member that runs
            # alone stops once it diverges, and nothing reads its optimizer's state after
            # that, so there the new matrices are kept.
            is_matrix = new.ndim > 1
            if is_matrix and not self.side_by_side:
                return new
            return jnp.where(is_applied, new, old)

        params, opt_state = jax.tree.map(
            new_or_old, (params, opt_state), (state.params, state.opt_state)
        )
        # NaN before the first step and below the member's lag: the mean begins anew.
        is_first = jnp.isnan(state.train_score)
        mean = jnp.where(is_first, score, 0.9 * state.train_score + 0.1 * score)
        progress = state.progress
        if self.spec.has_curriculum:
            progress = next_progress(
                progress, operands.curriculum, operands.lag, state.step + 1, score
            )
            # If this batch was below the member's lag, its score may trigger no evaluation.
            mean = jnp.where(state.progress.lag < operands.lag, jnp.nan, mean)
            progress = select(is_applied, progress, state.progress)
        new_state = TrainState(
            params,
            opt_state,
            step=state.step + is_applied,
            is_active=jnp.where(
                takes_step, is_finite & state.is_active, state.is_active
            ),
            train_score=jnp.where(is_applied, mean, state.train_score),
            progress=progress,
        )
        return new_state, loss

    def train_chunk(
        self, state: TrainState, operands: TrainOperands
    ) -> tuple[TrainState, Float[Array, " every"]]:
        """Take up to `evaluation.every` training steps, each on a new batch.

        It ends early at the end of the budget, or when the member has diverged. Return
        the state, and each step's loss, 0 for steps not taken.
        """
        every = self.spec.evaluation.every
        steps_left = jnp.minimum(every, operands.budget - state.step)

        def draw(state: TrainState) -> Batch:
            key = jax.random.fold_in(jax.random.wrap_key_data(operands.key), state.step)
            lag, length = self.lag_and_length(state, operands)
            batch = self.spec.recipe.batch
            return self.spec.task.sample(key, lag, length, self.max_length, batch)

        def goes_on(loop_values: Any) -> jax.Array:
            k, state, _ = loop_values
            return (k < steps_left) & state.is_active

        def step(loop_values: Any) -> Any:
            k, state, losses = loop_values
            state, loss = self.train_step(state, operands, draw(state))
            return k + 1, state, losses.at[k].set(loss)

        def masked_step(k: jax.Array, loop_values: Any) -> Any:
            state, losses = loop_values
            takes_step = (k < steps_left) & state.is_active
            state, loss = self.train_step(state, operands, draw(state), takes_step)
            return state, losses.at[k].set(jnp.where(takes_step, loss, 0))

        losses = jnp.zeros(every)
        if self.side_by_side:
            return lax.fori_loop(0, every, masked_step, (state, losses))
        return lax.while_loop(goes_on, step, (jnp.int32(0), state, losses))[1:]

    def evaluate(
        self, params: Float[Array, " P"], operands: EvalOperands, whole: bool = False
    ) -> Scores:
        """Score a net on blocks of sequences; `whole`: count whole right ones, too.

        Under `vmap` every member runs as many blocks as the one with the most.
        """
        sizes = self.max_eval_length, self.spec.evaluation.block
        counts_whole = whole and self.spec.task.loss == "classes"
        has_loss = isinstance(self.spec.task, FileTask)

        zero = jnp.float32(0)
        zeros = Totals(
            zero, zero, zero if counts_whole else None, zero if has_loss else None
        )

        def add_block(k: jax.Array, totals: Totals) -> Totals:
            block = operands.sequences.block(self.spec.task, k, *sizes)
            outputs = self._outputs(params, block, operands.units)
            targets = self._targets(block.batch, block.counts)
            loss, score, number = loss_and_score_sums(outputs, targets)
            sums = Totals(
                score,
                number,
                right_sequences(outputs, block.batch).sum() if counts_whole else None,
                loss if has_loss else None,
            )
            return jax.tree.map(jnp.add, totals, sums)

        totals = lax.fori_loop(0, operands.blocks, add_block, zeros)
        scores = Scores(totals.score / totals.number)
        if counts_whole:
            sequences = operands.blocks * self.spec.evaluation.block
            scores = scores._replace(whole=totals.right / sequences)
        if has_loss:
            scores = scores._replace(loss=totals.loss / totals.number)
        return scores

    def tally(
        self, params: Float[Array, " P"], operands: EvalOperands
    ) -> Float[Array, "L 4"]:
        """Sum up blocks by length (`confirmation.Tally`), up to `max_length`."""
        sizes = self.max_length, self.spec.evaluation.block

        def add_block(k: jax.Array, sums: Float[Array, "L 4"]) -> Float[Array, "L 4"]:
            block = operands.sequences.block(self.spec.task, k, *sizes)
            outputs = self._outputs(params, block, operands.units)
            targets = self._targets(block.batch)
            of_each = jax.vmap(loss_and_score_sums, -1)(outputs, targets)
            errors = of_each.score
            if self.spec.task.higher_is_better:
                errors = of_each.number - of_each.score
            ones = of_each.number**0
            columns = jnp.stack([ones, of_each.number, errors, errors**2])
            if block.counts is not None:
                columns = columns * block.counts
            return sums.at[block.length].add(columns.sum(1))

        zeros = jnp.zeros((self.max_length + 1, 4))
        return lax.fori_loop(0, operands.blocks, add_block, zeros)

    def _outputs(
        self, params: Float[Array, " P"], block: Block, units: Any
    ) -> Float[Array, "O *T B"]:
        forward = forward_pass(self.spec.task, block.batch, block.length, units)
        return self._network(params).run(forward, self.loop)[1]

    def _network(self, params: Float[Array, " P"]) -> Network:
        architecture = self.spec.architecture
        return architecture.build(architecture.unflatten(params))

    def _targets(
        self, batch: Batch, counts: Bool[Array, " B"] | None = None
    ) -> Targets:
        mask = batch.mask
        if counts is not None:
            mask = counts if mask is None else mask & counts
        return Targets(batch.targets, mask, self.spec.task.loss)
