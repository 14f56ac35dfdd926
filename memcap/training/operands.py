"""The host's side of a member: its first state, the operands of its training and
evaluations, and its weights taken from a state. Scalars and vectors are NumPy's;
step.py describes each of them."""

from typing import Any

import jax
import numpy as np

from memcap.config.member import Member
from memcap.rule import Stream
from memcap.tasks.base import FileTask, random_key
from memcap.training import curriculum
from memcap.training.step import EvalOperands, Trainer, TrainOperands, TrainState


def stream_key(member: Member, stream: Stream, index: int = 0) -> np.ndarray:
    """Return the key of a member's stream of random numbers, (2,) uint32; `index`
    numbers evaluations."""
    return np.asarray(_key_data(*member.seeds, stream, index))


@jax.jit
def _key_data(*parts: Any) -> jax.Array:
    return jax.random.key_data(random_key(*parts))


def empty_state(trainer: Trainer) -> TrainState:
    """Return a state of zeros, at which the optimizer starts; `initial_state` adds only
    the weights."""
    params = np.zeros(trainer.spec.architecture.parameters(), np.float32)
    shapes = jax.eval_shape(trainer.optimizer.init, params)
    opt_state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    at_lag: Any = ()
    if trainer.spec.curriculum:
        at_lag = curriculum.CurriculumState(np.int32(0), np.float32(0), np.int32(0))
    return TrainState(
        params, opt_state, np.int32(0), np.bool_(False), np.float32(np.nan), at_lag
    )


def initial_state(trainer: Trainer, member: Member) -> TrainState:
    """Return the state of a member that is about to start."""
    own = member.architecture
    shared = trainer.spec.architecture
    weights = own.init(member.init, member.seeds)
    if own != shared:
        weights = own.resized(weights, shared.model.units)
    state = empty_state(trainer)._replace(
        params=shared.flatten(weights), active=np.bool_(True)
    )
    if not trainer.spec.curriculum:
        return state
    own_curriculum = curriculum.curriculum_of(member, trainer.max_length)
    return state._replace(
        curriculum=curriculum.initial_state(own_curriculum, member.lag)
    )


def weights_of(trainer: Trainer, member: Member, params: np.ndarray) -> dict[str, Any]:
    """Return a member's own weights, a nested dict, from the flat vector (P,) of its state."""
    own = member.architecture
    shared = trainer.spec.architecture
    weights = shared.unflatten(params)
    return weights if own == shared else shared.resized(weights, own.model.units)


def train_operands(trainer: Trainer, member: Member) -> TrainOperands:
    """Return the operands of a member's training."""
    recipe = member.recipe
    with_curriculum = trainer.spec.curriculum
    units = member.model.units
    return TrainOperands(
        stream_key(member, Stream.TRAIN),
        np.int32(member.lag),
        np.int32(member.length),
        np.float32(
            recipe.rate(units) if with_curriculum else recipe.peak(member.lag, units)
        ),
        np.int32(recipe.warmup_steps),
        np.bool_(recipe.schedule == "cosine"),
        np.int32(recipe.budget),
        np.int32(units),
        curriculum.curriculum_of(member, trainer.max_length) if with_curriculum else (),
    )


def eval_operands(
    trainer: Trainer, member: Member, stream: Stream, index: int = 0
) -> EvalOperands:
    """Return the operands of one of a member's evaluations.

    Args:
        trainer, member: the functions that train a member, and the member.
        stream: with the sizes of `Member.sizes`. Of a file's sequences all held-out
            ones are taken; for members that are judged by their loss, EVALUATE takes
            all of validation's.
        index: number of the evaluation at its lag, or of the length or lag: each has
            sequences of its own.
    """
    if isinstance(member.task, FileTask):
        validates = stream == Stream.EVALUATE and member.task.rule.by_loss
        side = 0 if validates else 1
        blocks = -(-member.task.part_sizes[side] // member.evaluation.block)
        size = member.lag, member.length, blocks
        key = np.array([side, 0], np.uint32)
    else:
        size = member.sizes(stream)[
            index if stream in (Stream.LENGTHS, Stream.UP_TO) else 0
        ]
        key = stream_key(member, stream, index)
    return EvalOperands(key, *map(np.int32, (*size, member.model.units)))
