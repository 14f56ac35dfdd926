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
from memcap.training.curriculum import Curriculum, CurriculumState
from memcap.training.step import EvalOperands, Trainer, TrainOperands, TrainState


def stream_key(member: Member, stream: Stream, index: int = 0) -> np.ndarray:
    """Return the key of a member's stream of random numbers, (2,) uint32; `index`
    numbers evaluations."""
    return np.asarray(_key_data(*member.seed_parts, stream, index))


@jax.jit
def _key_data(*parts: Any) -> jax.Array:
    return jax.random.key_data(random_key(*parts))


def empty_state(trainer: Trainer) -> TrainState:
    """Return a state of zeros, at which the optimizer starts; `initial_state` adds only
    the weights."""
    params = np.zeros(trainer.spec.architecture.parameters(), np.float32)
    shapes = jax.eval_shape(trainer.optimizer.init, params)
    opt_state = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
    progress: Any = ()
    if trainer.spec.has_curriculum:
        progress = CurriculumState(np.int32(0), np.float32(0), np.int32(0))
    return TrainState(
        params,
        opt_state,
        step=np.int32(0),
        is_active=np.bool_(False),
        train_score=np.float32(np.nan),
        progress=progress,
    )


def empty_operands(trainer: Trainer) -> tuple[TrainOperands, EvalOperands]:
    """Return operands of zeros, with the shapes and dtypes of any member's."""
    number = np.int32(0)
    real = np.float32(0)
    flag = np.bool_(False)
    key = np.zeros(2, np.uint32)
    plan: Any = ()
    if trainer.spec.has_curriculum:
        lengths = np.zeros(trainer.max_length + 1, np.int32)
        criterion = () if trainer.spec.task.higher_is_better else real
        plan = Curriculum(number, real, real, flag, real, lengths, criterion)
    train = TrainOperands(key, number, number, real, number, flag, number, number, plan)
    return train, EvalOperands(key, number, number, number, number)


def initial_state(trainer: Trainer, member: Member) -> TrainState:
    """Return the state of a member that is about to start."""
    shared = trainer.spec.architecture
    weights = member.architecture.init(member.init, member.seed_parts)
    if member.architecture != shared:
        weights = member.architecture.resized(weights, shared.model.units)
    state = empty_state(trainer)._replace(
        params=shared.flatten(weights), is_active=np.bool_(True)
    )
    if not trainer.spec.has_curriculum:
        return state
    plan = curriculum.curriculum_of(member, trainer.max_length)
    return state._replace(progress=curriculum.initial_state(plan, member.lag))


def weights_of(trainer: Trainer, member: Member, params: np.ndarray) -> dict[str, Any]:
    """Return a member's own weights, a nested dict, from the flat vector (P,) of its state."""
    shared = trainer.spec.architecture
    weights = shared.unflatten(params)
    if member.architecture == shared:
        return weights
    return shared.resized(weights, member.model.units)


def train_operands(trainer: Trainer, member: Member) -> TrainOperands:
    """Return the operands of a member's training."""
    recipe = member.recipe
    units = member.model.units
    peak = recipe.peak(member.lag, units)
    plan: Any = ()
    if trainer.spec.has_curriculum:
        peak = recipe.rate(units)
        plan = curriculum.curriculum_of(member, trainer.max_length)
    return TrainOperands(
        stream_key(member, Stream.TRAIN),
        lag=np.int32(member.lag),
        length=np.int32(member.length),
        lr=np.float32(peak),
        warmup=np.int32(recipe.warmup_steps),
        is_cosine=np.bool_(recipe.schedule == "cosine"),
        budget=np.int32(recipe.budget),
        units=np.int32(units),
        curriculum=plan,
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
        part = 0 if validates else 1
        blocks = -(-member.task.part_sizes[part] // member.evaluation.block)
        size = (member.lag, member.length, blocks)
        source = np.array([part, 0], np.uint32)
    else:
        several = stream in (Stream.LENGTHS, Stream.UP_TO)
        size = member.evaluation_sizes(stream)[index if several else 0]
        source = stream_key(member, stream, index)
    return EvalOperands(source, *map(np.int32, size), np.int32(member.model.units))
