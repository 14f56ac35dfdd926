"""`jax.lax.scan` over the cell's own step, differentiated by JAX. Read this first.

    carry, hidden = cell(carry, inputs[t])        for t = 0, 1, ... length - 1

The other loops are tested against this one. Steps agree to float rounding, which long
training amplifies, so that counts agree within chance.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from memcap.cells import Cell
from memcap.loops.base import Loop, Pass, select
from memcap.loops.stepwise import step_of

if TYPE_CHECKING:
    from memcap.loops.base import CarryAndOutputs


class Plain(Loop):
    """Any cell, members side by side or one after another."""

    name = "plain"

    def run(self, cell: Cell, carry: Any, over: Pass) -> CarryAndOutputs:
        factor = over.carry_factor
        inputs = over.vectors(cell.in_features)
        graph, weights = nnx.split(cell)
        step = step_of(graph)

        def one_step(state: Any, row: Any) -> tuple[Any, Any]:
            carry, last = state
            t, x, factor = row
            entered = carry
            # at the start of a window no carry flows in, or no gradient flows back
            if factor is not None:
                cut = jax.tree.map(
                    jnp.zeros_like if over.reset_carry else lax.stop_gradient, carry
                )
                entered = jax.tree.map(
                    lambda zero, leaf: jnp.where(factor == 0, zero, leaf), cut, carry
                )
            new, output = step(weights, entered, x)
            counts = t < over.length
            carry = select(counts, new, carry)
            last = jnp.where(counts, output, last)
            row = jnp.where(counts, output, 0) if over.return_sequences else None
            return (carry, last), row

        _, output = jax.eval_shape(step, weights, carry, inputs[0])
        start = (carry, jnp.zeros(output.shape, output.dtype))
        rows = (jnp.arange(len(inputs)), inputs, factor)
        (carry, last), outputs = lax.scan(one_step, start, rows)
        return carry, jnp.swapaxes(last if outputs is None else outputs, -1, -2)


LOOP = Plain()
