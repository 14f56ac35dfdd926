"""Variants of a cell, by suffixes of its name, which apply one after the other.

    +bfloat16   the carry is stored as bfloat16 between steps; a step is in float32
    +bits4      each number of the carry is one of 2^4 between -1 and 1; 1 to 16 bits
    +noise0.1   N(0, 0.1^2) is added to the carry after each step, in training and in
                every evaluation
    +carry      the read-out sees the whole carry: of an LSTM h and c
    +signed     the share of the state that a step leaves lies between -1 and 1: of
                minGRU, minLSTM, gla, mamba2, delta_net and their kinds

Parts of layers are in layer_parts.py and xlstm_parts.py. Outputs are read before the
carry is rounded or disturbed; with +carry last, the carry that goes on is.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from memcap.cells.additive import AdditiveCell
from memcap.cells.base import Cell, Inputs, Step
from memcap.cells.delta_net import DeltaNet
from memcap.cells.diagonal import GatedDiagonalCell
from memcap.cells.layer_parts import NUMBERS, PARTS, Wrapper, part
from memcap.cells.matrix import Gate, Key, MatrixCell, State, Value
from memcap.knobs import UserError

if TYPE_CHECKING:
    from jaxtyping import Array, Float

    from memcap.cells.diagonal import Coefficients

BFLOAT16 = (8, 7)  # bits of the exponent and of the mantissa


class Variant(Cell):
    """Base of the variants, to be put before the cell's class."""

    is_lstm = False
    can_pad = False


class Bfloat16(Variant):
    """Stores floats of the carry as bfloat16, complex numbers as two on a new last
    axis."""

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        return jax.tree.map(
            _stored, super().initialize_carry(input_shape, rngs, carry_init)
        )

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        like = super().initialize_carry(inputs.shape, nnx.Rngs(0))
        carry, hidden = super().__call__(jax.tree.map(_loaded, carry, like), inputs)
        return jax.tree.map(_stored, carry), hidden


def _stored(leaf: jax.Array) -> jax.Array:
    if jnp.iscomplexobj(leaf):
        leaf = jnp.stack([leaf.real, leaf.imag], -1)
    if not jnp.issubdtype(leaf.dtype, jnp.floating):
        return leaf
    # Round before converting: XLA may leave out a conversion back and forth.
    return lax.reduce_precision(leaf, *BFLOAT16).astype(jnp.bfloat16)


def _loaded(stored: jax.Array, like: jax.Array) -> jax.Array:
    if not jnp.iscomplexobj(like):
        return stored.astype(like.dtype)
    parts = stored.astype(like.real.dtype)
    return lax.complex(parts[..., 0], parts[..., 1])


class FewBits(Variant):
    """Rounds each number of the carry, also at the start, to the nearest of 2^bits
    values, equally spaced from -1 to 1.

    Gradients pass as if unrounded, and are zero where a number was cut to -1 or 1
    (Hubara et al. 2016, "Quantized neural networks").
    """

    bits: ClassVar[int]  # bits of each number

    def initialize_carry(
        self, input_shape: tuple[int, ...], rngs: Any = None, carry_init: Any = None
    ) -> Any:
        return jax.tree.map(
            self._rounded, super().initialize_carry(input_shape, rngs, carry_init)
        )

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        carry, hidden = super().__call__(carry, inputs)
        return jax.tree.map(self._rounded, carry), hidden

    def _rounded(self, leaf: jax.Array) -> jax.Array:
        if jnp.iscomplexobj(leaf):
            return lax.complex(self._rounded(leaf.real), self._rounded(leaf.imag))
        if not jnp.issubdtype(leaf.dtype, jnp.floating):
            return leaf
        inside = jnp.clip(leaf, -1, 1)
        spaces = 2**self.bits - 1
        nearest = jnp.round((inside + 1) / 2 * spaces) / spaces * 2 - 1
        return inside + lax.stop_gradient(nearest.astype(leaf.dtype) - inside)


class Noisy(Variant):
    """Gaussian noise in each number of the carry.

    It is drawn from a generator seeded by a sequence's carry and input, so that no key
    is passed on: the same sequence gets the same noise, another one other noise (at the
    first step, if its input or place in the batch differs). So rows repeat to the bit
    only on the same program.
    """

    size: ClassVar[float]  # standard deviation of the noise

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        seeds = _seeds([*jax.tree.leaves(carry), inputs])
        carry, hidden = super().__call__(carry, inputs)
        leaves, tree = jax.tree.flatten(carry)
        disturbed = [self._disturbed(leaf, seeds + k) for k, leaf in enumerate(leaves)]
        return jax.tree.unflatten(tree, disturbed), hidden

    def _disturbed(self, leaf: jax.Array, seeds: jax.Array) -> jax.Array:
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            return leaf
        parts = 2 if jnp.iscomplexobj(leaf) else 1
        draw = jax.vmap(
            lambda seed: jax.random.normal(
                jax.random.key(seed), (parts, *leaf.shape[1:])
            )
        )
        normals = draw(seeds)
        noise = (
            lax.complex(normals[:, 0], normals[:, 1]) if parts == 2 else normals[:, 0]
        )
        return leaf + (self.size * noise).astype(leaf.dtype)


def _seeds(leaves: list[jax.Array]) -> jax.Array:
    """Return (B,) uint32 hashes of each sequence's arrays and place in the batch."""
    seeds = jnp.arange(len(leaves[0]), dtype=jnp.uint32)
    for leaf in leaves:
        reals = (
            jnp.stack([leaf.real, leaf.imag], -1) if jnp.iscomplexobj(leaf) else leaf
        )
        bits = lax.bitcast_convert_type(reals.astype(jnp.float32), jnp.uint32).reshape(
            len(leaf), -1
        )
        places = jnp.arange(bits.shape[1], dtype=jnp.uint32)
        seeds = _mixed(seeds + _mixed(bits + _mixed(places)).sum(1, dtype=jnp.uint32))
    return seeds


def _mixed(x: jax.Array) -> jax.Array:
    """Apply the finalizer of MurmurHash3 (Appleby, public domain)."""
    x = (x + 1) * jnp.uint32(0x9E3779B1)  # else 0 stays 0
    x = (x ^ (x >> 16)) * jnp.uint32(0x85EBCA6B)
    x = (x ^ (x >> 13)) * jnp.uint32(0xC2B2AE35)
    return x ^ (x >> 16)


class WholeCarry(Variant):
    """Shows the whole carry: both parts of complex numbers, and no integers."""

    def __call__(self, carry: Any, inputs: Inputs) -> Step:
        carry, _ = super().__call__(carry, inputs)
        return carry, jnp.concatenate(_numbers(carry), -1).astype(jnp.float32)


def _numbers(carry: Any) -> list[jax.Array]:
    parts: list[jax.Array] = []
    for leaf in jax.tree.leaves(carry):
        flat = leaf.reshape(len(leaf), -1)
        if jnp.iscomplexobj(flat):
            parts += [flat.real, flat.imag]
        elif jnp.issubdtype(flat.dtype, jnp.floating):
            parts.append(flat)
    return parts


class Signed(Variant):
    """Base of the cells whose factor a between 0 and 1 becomes 2 a - 1.

    Source: Grazzi et al. (2024), "Unlocking state-tracking in linear RNNs through
    negative eigenvalues", arXiv 2411.12537, for Mamba and DeltaNet.
    """


class SignedDiagonal(Signed, GatedDiagonalCell):
    """The signed cells with h' = (2 a - 1) h + b."""

    def coefficients(self, inputs: Float[Array, "*T F"]) -> Coefficients:
        decay, added = super().coefficients(inputs)
        return 2 * decay - 1, added


class SignedSum(Signed, MatrixCell):
    """The signed cells with S' = diag(2 a - 1) S + k v^T."""

    def write(self, state: State, key: Key, value: Value, gates: list[Gate]) -> State:
        return super().write(2 * state, key, value, gates) - state


class SignedDelta(Signed):
    """The signed cells of the delta rule: a write of strength b leaves 1 - 2 b along a
    key."""

    allow_neg_eigval = True


def _signed(cls: type[Cell], name: str) -> type[Signed]:
    if issubclass(cls, GatedDiagonalCell):
        return SignedDiagonal
    if issubclass(cls, DeltaNet) and not cls.allow_neg_eigval:
        return SignedDelta
    if issubclass(cls, AdditiveCell) and cls.gate_biases is not MatrixCell.gate_biases:
        return SignedSum
    raise UserError(
        f"model.cell={name}: +signed is for cells whose input says what share of the state stays,"
        " as minGRU, minLSTM, gla, mamba2, delta_net and gated_delta_net"
    )


def variant(cls: type[Cell], suffix: str, name: str) -> type[Cell]:
    """Return the variant that a suffix names. Raise UserError if there is none, not of
    this cell, or the cell has it already."""
    fields: dict[str, Any] = {"name": name, "__module__": cls.__module__}
    size = _size(suffix)
    bits = next((n for n in range(1, 17) if suffix == f"bits{n}"), None)
    if suffix == "bfloat16":
        kind: type[Cell] = Bfloat16
    elif bits is not None:
        kind = FewBits
        fields["bits"] = bits
    elif suffix == "carry":
        kind = WholeCarry
        fields["hidden_per_unit"] = _numbers_per_unit(cls, name)
    elif suffix == "signed":
        kind = _signed(cls, name)
    elif (layer_part := part(cls, suffix, name)) is not None:
        kind, sets = layer_part
        fields |= sets
    elif size is not None:
        kind = Noisy
        fields["size"] = size
    else:
        raise UserError(
            f"model.cell={name}: no such variant; +bfloat16, +bitsN, N from 1 to 16, +carry,"
            " +signed, +noiseS, S above 0, as in +noise0.1, or a part of a layer:"
            f" {', '.join(map(_spelling, PARTS))}"
        )
    if issubclass(cls, kind):
        raise UserError(
            f"model.cell={name}: each suffix can stand once; leave out +{suffix}"
        )
    return type(
        cls.__name__, (kind,) if issubclass(kind, Wrapper) else (kind, cls), fields
    )


def _spelling(part: str) -> str:
    if part not in NUMBERS:
        return f"+{part}"
    numbers = NUMBERS[part]
    return f"+{part}N, N from {numbers[0]} to {numbers[-1]}"


def _size(suffix: str) -> float | None:
    """Return the size in "noise0.1", None if there is none. It has one spelling, lest a
    cell have two keys."""
    try:
        size = float(suffix.removeprefix("noise"))
    except ValueError:
        return None
    return size if suffix == f"noise{size:g}" and 0 < size < math.inf else None


def _numbers_per_unit(cls: type[Cell], name: str) -> int:
    make = cast(Callable[..., Cell], cls)

    def count(features: int) -> int:
        def numbers() -> list[jax.Array]:
            cell = make(features, 1, rngs=nnx.Rngs(0))
            return _numbers(cell.initialize_carry((1, features), nnx.Rngs(0)))

        return sum(array.size for array in nnx.eval_shape(numbers))

    if count(1) != count(2):
        raise UserError(
            f"model.cell={name}: +carry is for cells whose carry is alike in each unit; this"
            " one's has the last input, too"
        )
    return count(1)
