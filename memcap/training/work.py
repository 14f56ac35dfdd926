"""What a training step must do, counted in the traced program: operations, and bytes that its passes over
time hand on.

Not by the compilers' own `cost_analysis()`: that counts the body of a loop once, and says nothing of a GPU
that isn't here.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

from memcap.training.program import Program
from memcap.training.step import TrainOperands, TrainState


class Work(NamedTuple):
    """Of one training step of one member.

    Args:
        operations: of its products: a multiplication and an addition count two. What else there is grows less
            with the width.
        buffers: bytes of each array with an axis of time that a pass over time reads or writes, row by row.
    """

    operations: float
    buffers: tuple[float, ...]


def work(program: Program) -> Work:
    """What a training step of a member of this program does, whatever the device and the loop over time."""
    trainer = replace(
        program.trainer, together=True, plain=False, kernel="xla"
    )  # whose loops say how often they run
    state, operands, _ = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), program.example()
    )

    def step(state: TrainState, operands: TrainOperands) -> Any:
        sequences = operands.lag, operands.length, trainer.max_length, trainer.shape.batch
        batch = trainer.shape.task.sample(jax.random.wrap_key_data(operands.key), *sequences)
        return trainer.train_step(state, operands, batch)

    found = list(_counted(jax.make_jaxpr(step)(state, operands).jaxpr))
    return Work(
        sum(each.operations for each in found), tuple(size for each in found for size in each.buffers if size)
    )


def _counted(jaxpr: Jaxpr) -> Iterator[Work]:
    """The work of each product and each loop."""
    for equation in jaxpr.eqns:
        name, parameters, repeated = equation.primitive.name, equation.params, 1
        given, made = ([_shape(value) for value in values] for values in (equation.invars, equation.outvars))
        if name == "dot_general":
            (contracted, _), _ = parameters["dimension_numbers"]
            yield Work(2.0 * made[0].size * math.prod(given[0].shape[axis] for axis in contracted), ())
        if name == "scan":
            repeated, body = parameters["length"], parameters["jaxpr"]
            body = body.jaxpr if isinstance(body, ClosedJaxpr) else body
            inside = [_shape(value) for value in [*body.invars, *body.outvars]]
            rows = [
                out
                for out, row in zip([*given, *made], inside, strict=True)
                if len(out.shape) > len(row.shape)
            ]  # cut by time
            yield Work(0.0, tuple(float(row.size * row.dtype.itemsize) for row in rows))
        for part in jax.tree.leaves(
            list(parameters.values()), is_leaf=lambda part: isinstance(part, (ClosedJaxpr, Jaxpr))
        ):
            if isinstance(part, (ClosedJaxpr, Jaxpr)):
                for inner in _counted(part.jaxpr if isinstance(part, ClosedJaxpr) else part):
                    yield Work(repeated * inner.operations, inner.buffers)


def _shape(value: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(value.aval.shape, value.aval.dtype)
