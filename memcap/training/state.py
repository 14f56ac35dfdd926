"""What a compiled program takes and gives for each member: operands and state, as NamedTuples of scalars and
vectors."""

from typing import Any, NamedTuple


class TrainOperands(NamedTuple):
    """What may differ between the members of one program. `key`: (2,) uint32, of the training stream; the
    others are scalars.

    `plan`: of the curriculum; () without one.
    """

    key: Any
    lag: Any
    length: Any
    lr: Any
    warmup: Any
    cosine: Any
    budget: Any
    units: Any
    plan: Any = ()


class EvalOperands(NamedTuple):
    """What an evaluation of one member draws, and its units. `key`: (2,) uint32; `blocks` of sequences, 0:
    none is wanted."""

    key: Any
    lag: Any
    length: Any
    blocks: Any
    units: Any


class Progress(NamedTuple):
    """How far a member is; scalars. `train_score` is a running mean over about 10 steps; NaN while a
    curriculum is on its way.

    `front`: of the curriculum; () without one.
    """

    step: Any
    running: Any
    train_score: Any
    front: Any = ()


class TrainState(NamedTuple):
    """State of one member in flight. `progress.running` ends where the loss or a weight is no longer finite.

    Weights, and moments in `optimizer`, are one flat (P,) vector each: fewer and larger operations to compile
    and run.
    """

    weights: Any
    optimizer: Any
    progress: Progress
