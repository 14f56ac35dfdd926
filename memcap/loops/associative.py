"""A parallel scan over time for cells with h' = a h + b, elementwise
(`jax.lax.associative_scan`; Blelloch, 1990).

States are computed directly, not in log space as by minGRU's authors (Heinsen, 2023):
nothing is divided by a product of decays, and states may be negative.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
from jax import lax

from memcap.cells import Cell
from memcap.cells.diagonal import DiagonalCell
from memcap.loops.base import Pass, Request, zero_unless
from memcap.loops.masked_scan import MaskedScan

if TYPE_CHECKING:
    from jaxtyping import Array, Inexact

    from memcap.loops.base import CarryAndOutputs


def _joined(first: Any, second: Any) -> Any:
    a, b = first
    c, d = second
    return a * c, c * b + d


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def diagonal_scan(
    reset: bool,
    decay: Inexact[Array, "T ... U"],
    added: Inexact[Array, "T B U"],
    carry: Inexact[Array, "B U"],
    factor: Inexact[Array, " T"],
) -> Inexact[Array, "T B U"]:
    """Return all states h[t] = decay[t] * h[t - 1] + added[t].

    Args:
        reset: whether the state itself is set to zero where `factor` is 0, rather than
            only its gradient.
        decay: real or complex, like `added`.
        carry: h[-1].
        factor: the pass's `carry_factor`, in the same dtype; ones for one window.
    """
    through = decay * factor[:, None, None] if reset else decay
    added = jnp.concatenate([added[:1] + through[:1] * carry, added[1:]], 0)
    return lax.associative_scan(_joined, (through, added))[1]


def _fwd(
    reset: bool, decay: jax.Array, added: jax.Array, carry: jax.Array, factor: jax.Array
) -> tuple[jax.Array, Any]:
    states = diagonal_scan(reset, decay, added, carry, factor)
    return states, (decay, carry, factor, states)


def _bwd(reset: bool, residuals: Any, d_states: jax.Array) -> tuple[Any, ...]:
    """Run the recurrence backwards; no gradient passes a reset or cut state."""
    decay, carry, factor, states = residuals
    factor = factor[:, None, None]
    through = decay * factor
    after = jnp.concatenate([through[1:], jnp.zeros_like(through[:1])], 0)
    d_added = lax.associative_scan(_joined, (after, d_states), reverse=True)[1]
    entered = jnp.concatenate([carry[None], states[:-1]], 0)
    d_decay = d_added * (entered * factor if reset else entered)
    if decay.shape[1] == 1:
        d_decay = d_decay.sum(1, keepdims=True)
    return d_decay, d_added, (through[:1] * d_added[:1])[0], None


diagonal_scan.defvjp(_fwd, _bwd)


class Associative(MaskedScan):
    """Diagonal cells (memcap/cells/diagonal.py), side by side, on accelerators."""

    name = "associative"
    rank = 1

    def refuses(self, request: Request) -> str | None:
        cell = request.cell
        if issubclass(cell, DiagonalCell) and cell.__call__ is DiagonalCell.__call__:
            return None
        return "the cell's step is not h' = a h + b of the input alone"

    def run(self, cell: Cell, carry: Any, over: Pass) -> CarryAndOutputs:
        cell = cast(DiagonalCell, cell)
        factor = over.carry_factor
        inputs = over.vectors(cell.in_features)
        # Past `length` the state stands still, and so does its gradient: a window that
        # begins there cuts nothing.
        steps = len(inputs)
        valid = (jnp.arange(steps) < over.length)[:, None, None]
        decay, added = cell.coefficients(zero_unless(valid, inputs))
        decay = jnp.where(valid, decay, jnp.ones_like(decay))
        if factor is None:
            factor = jnp.ones(steps, added.dtype)
        else:
            factor = jnp.where(valid[:, 0, 0], factor.astype(added.dtype), 1)
        states = diagonal_scan(
            over.reset_carry, decay, zero_unless(valid, added), carry, factor
        )
        last = states[-1]
        hidden = cell.hidden_of(states if over.return_sequences else states[-1])
        if over.return_sequences:
            hidden = zero_unless(valid, hidden)
        return last, jnp.swapaxes(hidden, -1, -2)


LOOP = Associative()
