"""Cells whose units do not see each other's past: h' = a h + b, number by number, with a and b of the input
alone.

Such a recurrence is associative, so a machine with many lanes finds all T states in about 2 log2 T passes
over the buffer (`jax.lax.associative_scan`; Blelloch, 1990) instead of T steps that wait for each other.
Which runs where is one rule, that of all cells (memcap/cells/scan.py): "loop", for CPUs, goes step by step;
"scan", for GPUs and TPUs, is the parallel scan.

States are computed as they stand, not as logarithms. minGRU's authors take sums over time in log space
(Heinsen, 2023), as there each state is divided by the product of all decays before it, which float32 cannot
hold; and logarithms allow positive states only. The associative scan multiplies decays and divides by none:
where a product underflows to 0, the state was forgotten.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from memcap.cells.base import Cell
from memcap.cells.scan import How, Options, counted


def _joined(first: Any, second: Any) -> Any:
    """Two stretches of time, one after the other, as one: h' = a h + b."""
    (a, b), (c, d) = first, second
    return a * c, c * b + d


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def diagonal_scan(
    reset: bool, decay: jax.Array, added: jax.Array, carry: jax.Array, flows: jax.Array
) -> jax.Array:
    """All states h[t] = decay[t] * h[t - 1] + added[t], by a parallel scan over time.

    Args:
        reset: set the state to zero where `flows` is 0; otherwise only its gradient is cut there.
        decay: (T, B or 1, U), real or complex.
        added: (T, B, U) of the same dtype.
        carry: (B, U), h[-1].
        flows: (T,) of the same dtype, 0 or 1.

    Returns:
        (T, B, U).
    """
    kept = decay * flows[:, None, None] if reset else decay
    added = jnp.concatenate([added[:1] + kept[:1] * carry, added[1:]], 0)
    return lax.associative_scan(_joined, (kept, added))[1]


def _fwd(
    reset: bool, decay: jax.Array, added: jax.Array, carry: jax.Array, flows: jax.Array
) -> tuple[jax.Array, Any]:
    states = diagonal_scan(reset, decay, added, carry, flows)
    return states, (decay, carry, flows, states)


def _bwd(reset: bool, saved: Any, d_states: jax.Array) -> tuple[Any, ...]:
    """The same recurrence, backwards. A reset state and a cut one have the same gradient into the past:
    none."""
    decay, carry, flows, states = saved
    flows = flows[:, None, None]
    through = decay * flows
    after = jnp.concatenate([through[1:], jnp.zeros_like(through[:1])], 0)
    d_added = lax.associative_scan(_joined, (after, d_states), reverse=True)[1]
    entered = jnp.concatenate([carry[None], states[:-1]], 0)
    d_decay = d_added * (entered * flows if reset else entered)
    if decay.shape[1] == 1:
        d_decay = d_decay.sum(1, keepdims=True)
    return d_decay, d_added, (through[:1] * d_added[:1])[0], None


diagonal_scan.defvjp(_fwd, _bwd)


class DiagonalCell(Cell):
    """Base of the cells with h' = a h + b; a subclass has `coefficients`, and `seen` if it does not show h
    itself.

    The carry is h, one array (B, U).
    """

    def coefficients(self, inputs: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Decay a, (..., U) or one that broadcasts to it, and what is added b, (..., U), of inputs (...,
        F)."""
        raise NotImplementedError

    def seen(self, state: jax.Array) -> jax.Array:
        """The hidden state (..., H) that a carry (..., U) shows."""
        return state

    def __call__(self, carry: Any, inputs: jax.Array) -> tuple[Any, jax.Array]:
        """One step: carry (B, U), inputs (B, F) -> carry, hidden (B, H)."""
        decay, added = self.coefficients(inputs)
        carry = decay * carry + added
        return carry, self.seen(carry)

    def over_time(
        self,
        carry: Any,
        inputs: jax.Array,
        length: jax.Array,
        flows: jax.Array | None,
        options: Options,
        how: How,
    ) -> tuple[Any, jax.Array]:
        """See `Cell.over_time`; "scan" is the parallel one."""
        if how != "scan":
            return super().over_time(carry, inputs, length, flows, options, how)
        # Past `length` the state stands still, and so does its gradient: a window that begins there cuts
        # nothing.
        steps = len(inputs)
        on = (jnp.arange(steps) < length)[:, None, None]
        decay, added = self.coefficients(counted(on, inputs))
        decay = jnp.where(on, decay, jnp.ones_like(decay))
        flows = (
            jnp.ones(steps, added.dtype)
            if flows is None
            else jnp.where(on[:, 0, 0], flows.astype(added.dtype), 1)
        )
        states = diagonal_scan(options.reset, decay, counted(on, added), carry, flows)
        return states[-1], counted(on, self.seen(states)) if options.every else self.seen(states[-1])


class GatedDiagonalCell(DiagonalCell):
    """Base of the minimal gated cells: one kernel (F, G U) and one bias (G U,) for all G gates, named in
    `gates`."""

    pads = True

    def __init__(self, in_features: int, hidden_features: int, *, rngs: nnx.Rngs):
        assert self.gates is not None
        self.in_features, self.hidden_features = in_features, hidden_features
        width = len(self.gates.roles) * hidden_features
        self.kernel = nnx.Param(nnx.initializers.lecun_normal()(rngs.params(), (in_features, width)))
        self.bias = nnx.Param(nnx.initializers.zeros_init()(rngs.params(), (width,)))

    def blocks(self, inputs: jax.Array) -> list[jax.Array]:
        """What each gate sees of inputs (..., F): (..., U) each, in the order of the roles."""
        assert self.gates is not None
        return jnp.split(inputs @ self.kernel[...] + self.bias[...], len(self.gates.roles), -1)
