"""The cost of a training step in the traced program: operations, and bytes moved.

The compilers' `cost_analysis()` counts the body of a loop once, and needs the device.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr

from memcap.training.program import Program
from memcap.training.step import TrainOperands, TrainState


class StepCost(NamedTuple):
    """The cost of one training step of one member."""

    flops: float  # operations of its products, of which a multiplication and an addition are two
    buffer_bytes: tuple[
        float, ...
    ]  # of each array with a time axis that passes over time read or write


def step_cost(program: Program) -> StepCost:
    # with loops that say how often they run
    trainer = replace(program.trainer, loop="associative", side_by_side=True)
    state, operands, _ = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), program.example()
    )

    def step(state: TrainState, operands: TrainOperands) -> Any:
        sequences = (
            operands.lag,
            operands.length,
            trainer.max_length,
            trainer.spec.recipe.batch,
        )
        batch = trainer.spec.task.sample(
            jax.random.wrap_key_data(operands.key), *sequences
        )
        return trainer.train_step(state, operands, batch)

    costs = list(_costs(jax.make_jaxpr(step)(state, operands).jaxpr))
    buffer_bytes = tuple(size for each in costs for size in each.buffer_bytes if size)
    return StepCost(sum(each.flops for each in costs), buffer_bytes)


def _costs(jaxpr: Jaxpr) -> Iterator[StepCost]:
    for equation in jaxpr.eqns:
        name = equation.primitive.name
        parameters = equation.params
        repeated = 1
        inputs, outputs = map(_shapes, (equation.invars, equation.outvars))
        if name == "dot_general":
            (contracted, _), _ = parameters["dimension_numbers"]
            products = outputs[0].size * math.prod(
                inputs[0].shape[axis] for axis in contracted
            )
            yield StepCost(2.0 * products, ())
        if name == "scan":
            repeated = parameters["length"]
            body = parameters["jaxpr"]
            body = body.jaxpr if isinstance(body, ClosedJaxpr) else body
            inside = _shapes([*body.invars, *body.outvars])
            pairs = zip([*inputs, *outputs], inside, strict=True)
            rows = [
                out for out, row in pairs if len(out.shape) > len(row.shape)
            ]  # cut by time
            yield StepCost(
                0.0, tuple(float(row.size * row.dtype.itemsize) for row in rows)
            )
        parts = list(parameters.values())
        if parameters.get("branches_platforms"):  # the same work on each platform
            parts = parameters["branches"][-1:]
        for part in jax.tree.leaves(
            parts, is_leaf=lambda part: isinstance(part, (ClosedJaxpr, Jaxpr))
        ):
            if isinstance(part, (ClosedJaxpr, Jaxpr)):
                for inner in _costs(
                    part.jaxpr if isinstance(part, ClosedJaxpr) else part
                ):
                    yield StepCost(repeated * inner.flops, inner.buffer_bytes)


def _shapes(values: Iterable[Any]) -> list[jax.ShapeDtypeStruct]:
    return [
        jax.ShapeDtypeStruct(value.aval.shape, value.aval.dtype) for value in values
    ]
