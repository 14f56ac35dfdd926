"""The terms of the chunkwise loop: each step of a matrix cell as an update of a matrix.

A cell takes part by `terms.register(MyCell)`, and by `hidden` and `state_of` if its
state is more than the matrix.
"""

from __future__ import annotations

import math
from functools import singledispatch
from typing import TYPE_CHECKING, Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.additive import AdditiveCell
from memcap.cells.delta_net import DeltaNet
from memcap.cells.delta_product import DeltaProduct
from memcap.cells.lstm import sigmoid
from memcap.cells.matrix import rms_norm
from memcap.cells.mlstm import MLSTM, divided

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float


class Terms(NamedTuple):
    """T steps of a matrix, S[t] = diag(exp(log_decay[t])) S[t - 1] + key[t] value[t]^T,
    and what they read, S[t]^T query[t].

    By the delta rule value[t] becomes strength[t] (value[t] - S^T key[t]), S being the
    matrix after the decay. A step may have several writes in turn, each with its decay.
    """

    matrix: Float[Array, "B K V"]  # S before the first step
    # per write, at most 0; D is 1 or the numbers of a key; None: 0
    log_decay: Float[Array, "W B D"] | None
    key: Float[Array, "W B K"]  # per write; their number W is T or a multiple of T
    value: Float[Array, "W B V"]  # likewise
    query: Float[Array, "T B K"]  # per step
    # the rest of the state, if any: at first and after each step
    scales: Float[Array, "T1 B"] | None = None
    # per write, for the delta rule; None: values are added
    strength: Float[Array, "W B"] | None = None

    @property
    def writes(self) -> int:
        return len(self.key) // len(self.query)


@singledispatch
def terms(
    cell: Any,
    state: Any,
    shifted: Float[Array, "T B F2"],
    resets: Bool[Array, " T"] | None,
) -> Terms:
    """Return the terms of T steps of a registered cell; `state` lacks the last input.

    `shifted` is each step's input and the previous one; the state is zero before
    `resets`. The loop itself sets S and the last input.
    """
    raise NotImplementedError(f"{type(cell).__name__} has no terms")


def owner_of(cell: type[nnx.RNNCellBase]) -> type | None:
    return next((each for each in cell.__mro__[:-1] if each in terms.registry), None)


@singledispatch
def hidden(
    cell: Any, read: Float[Array, "*T B V"], scale: Float[Array, "*T B"] | None
) -> Float[Array, "*T B U"]:
    """Return the hidden state, given S^T q and the rest of the state."""
    return rms_norm(read)


@singledispatch
def state_of(
    cell: Any, matrix: Float[Array, "B K V"], scale: Float[Array, " B"] | None
) -> Any:
    """Return the state without the last input, given S and the rest of it."""
    return matrix


def by_key(
    log_decay: Float[Array, "T B *D"], shifted: Float[Array, "T B F2"]
) -> Float[Array, "T B D"]:
    return log_decay if log_decay.ndim == shifted.ndim else log_decay[..., None]


@terms.register
def _(cell: AdditiveCell, state: Any, shifted: Any, resets: Any) -> Terms:
    value = shifted @ cell.value[...]
    log_decay, strength = cell.decay_and_strength(cell.gates_of(shifted))
    if log_decay is None:
        log_decay = jnp.zeros(shifted.shape[:-1], shifted.dtype)
    return Terms(
        state,
        by_key(log_decay, shifted),
        cell.key_of(shifted),
        value if strength is None else strength[..., None] * value,
        cell.key_of(shifted, "query"),
    )


@terms.register
def _(cell: DeltaNet, state: Any, shifted: Any, resets: Any) -> Terms:
    gates = cell.gates_of(shifted)
    log_decay = cell.log_decay(gates)
    return Terms(
        state,
        None if log_decay is None else by_key(log_decay, shifted),
        cell.key_of(shifted),
        shifted @ cell.value[...],
        cell.key_of(shifted, "query"),
        strength=cell.beta_scale * sigmoid(gates[0]),
    )


@terms.register
def _(cell: DeltaProduct, state: Any, shifted: Any, resets: Any) -> Terms:
    def in_turn(writes: list[Float[Array, "T B ..."]]) -> Float[Array, "W B ..."]:
        return jnp.stack(writes, 1).reshape(-1, *writes[0].shape[1:])

    gates = cell.gates_by_write(shifted)
    log_decays = [log for own in gates if (log := cell.log_decay(own)) is not None]
    return Terms(
        state,
        in_turn(log_decays)[..., None] if log_decays else None,
        in_turn([cell.at_length(shifted @ key) for key in cell.key[...]]),
        in_turn([shifted @ value for value in cell.value[...]]),
        cell.key_of(shifted, "query"),
        strength=in_turn([cell.beta_scale * sigmoid(own[0]) for own in gates]),
    )


@terms.register
def _(cell: MLSTM, state: Any, shifted: Any, resets: Any) -> Terms:
    """Return C and n as one matrix: n is what C would be for the value 1."""
    matrix, total, start = state
    write, keep = cell.gates_of(shifted)
    log_keep = jax.nn.log_sigmoid(keep)
    stabilizers = jax.lax.stop_gradient(
        running_stabilizer(log_keep, write, start, resets)
    )
    before = jnp.concatenate([start[None], stabilizers[:-1]])
    # otherwise a decay across a reset, which is never used, could be infinite
    if resets is not None:
        before = jnp.where(resets[:, None], 0, before)
    key = cell.key_of(shifted) / math.sqrt(cell.keys)
    value = shifted @ cell.value[...]
    return Terms(
        jnp.concatenate([matrix, total[..., None]], -1),
        (log_keep + before - stabilizers)[..., None],
        jnp.exp(write - stabilizers)[..., None] * key,
        jnp.concatenate([value, jnp.ones_like(value[..., :1])], -1),
        cell.key_of(shifted, "query"),
        jnp.concatenate([start[None], stabilizers]),
    )


@hidden.register
def _(cell: MLSTM, read: Any, scale: Any) -> jax.Array:
    """Return the hidden state; the last number read is n^T q, and `scale` is m."""
    factor = jnp.exp(jnp.minimum(scale, 0))[..., None]
    return divided(factor * read[..., :-1], factor * jnp.abs(read[..., -1:]), scale)


@state_of.register
def _(cell: MLSTM, matrix: Any, scale: Any) -> Any:
    return matrix[..., :-1], matrix[..., -1], scale


def running_stabilizer(
    log_keep: Float[Array, "T B"],
    write: Float[Array, "T B"],
    start: Float[Array, " B"],
    resets: Bool[Array, " T"] | None,
) -> Float[Array, "T B"]:
    """Return m after each step, m' = max(log f + m, log i), by a parallel scan."""

    def joined(first: Any, second: Any) -> Any:
        a, b = first
        c, d = second
        return a + c, jnp.maximum(b + c, d)

    stays = log_keep
    if resets is not None:  # nothing of the previous m is left; 0 takes its place
        write = jnp.where(resets[:, None], jnp.maximum(log_keep, write), write)
        stays = jnp.where(resets[:, None], -jnp.inf, log_keep)
    stays, least = jax.lax.associative_scan(joined, (stays, write))
    return jnp.maximum(start + stays, least)
