"""Chunks of steps, one after another, for cells whose matrix decays and is added to, S'
= diag(a) S + k v^T, or follows the delta rule, S' = a S + b k (v - a S^T k)^T.

Within a chunk no step waits for another. With d[t, s] the product of the decays after
s, up to t:

    S[t]^T q[t] = (d[t, -1] q[t])^T S[-1] + sum over s <= t of ((d[t, s] q[t])^T k[s]) v[s]

Source: Yang et al. (2024), "Gated linear attention transformers", section 4; Dao & Gu
(2024), "Transformers are SSMs", section 6. As there, logarithms are added up for each
pair of s and t: a difference of two sums would lose digits.

By the delta rule u[t] replaces v[t], from a triangular system (triangle.py):

    u[t] + b[t] sum over s < t of d[t, s] (k[t]^T k[s]) u[s] = b[t] (v[t] - (d[t, -1]
    k[t])^T S[-1])

Source: Yang et al. (2024), arXiv 2406.06484, section 3; with decays, Yang, Kautz &
Hatamizadeh (2025), "Gated delta networks". They do all chunks at once, which needs two
systems. The writes of a step of `delta_product` are rows of it; the last is read.

The forward pass stores the matrix that enters each chunk, the backward pass computes
the chunk again. docs/accelerators.md compares the costs.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any, cast

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

from memcap.cells import Cell
from memcap.cells.matrix import MatrixCell, token_shift
from memcap.loops import chunk_terms
from memcap.loops.base import Pass, Request, read_row, select, zero_unless
from memcap.loops.chunk_terms import Terms
from memcap.loops.masked_scan import MaskedScan, masked
from memcap.loops.stepwise import Step, stepwise
from memcap.loops.triangle import solve

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Shaped

    from memcap.loops.base import CarryAndOutputs

CHUNKS = range(12, 7, -1)  # possible numbers of steps per chunk
STEP = (
    "__call__",
    "update",
    "write",
    "show",
    "read",
    "project",
)  # the methods of a cell's step


def chunk_steps(steps: int) -> int:
    """Return the steps per chunk with the smallest remainder, which costs a copy."""
    return min(steps, min(CHUNKS, key=lambda chunk: -steps % chunk))


@cache
def chunk_of(
    graph: nnx.GraphDef, windows: bool, reset: bool, return_sequences: bool
) -> Step:
    """Return a cell's steps through a chunk, as one step of `stepwise`.

    Its inputs (C, B, F + 1), with windows (C, B, F + 2), are the cell's, then 0 or 1
    for whether a step counts and whether it begins a window. Its outputs are the hidden
    states (C, B, H), or the last that counts (B, H); or the read-out's, given its
    weights.
    """

    def cut(starts: jax.Array, entered: Any) -> Any:
        there = (
            jax.tree.map(jnp.zeros_like, entered)
            if reset
            else lax.stop_gradient(entered)
        )
        return select(starts, there, entered)

    def step(params: Any, carry: Any, rows: jax.Array) -> tuple[Any, jax.Array]:
        weights, readout = params
        cell = cast(MatrixCell, nnx.merge(graph, weights))
        inputs = rows[..., : cell.in_features]
        marks = rows[:, 0, cell.in_features :] > 0
        valid = marks[:, 0, None, None]
        starts = marks[:, 1] if windows else None
        if starts is not None:
            carry = cut(starts[0], carry)
        state, before = carry
        befores = jnp.concatenate([before[None], inputs])
        entered = (
            befores[:-1] if starts is None else cut(starts[:, None, None], befores[:-1])
        )
        shifted = token_shift(inputs, entered)
        terms = chunk_terms.terms(cell, state, shifted, starts if reset else None)
        counts = each_write(terms, valid)
        log_decay = terms.log_decay
        terms = terms._replace(  # past the length the matrix does not change
            log_decay=None if log_decay is None else zero_unless(counts, log_decay),
            key=zero_unless(counts, terms.key),
        )
        matrix, read = through_chunk(terms, starts, reset, return_sequences)
        count = jnp.sum(valid, dtype=jnp.int32)
        after = None if terms.scales is None else read_row(terms.scales, count)
        state = chunk_terms.state_of(cell, matrix, after)
        if read is None:
            hidden = cell.show(state, read_row(shifted, count - 1))
        else:
            scales = None if terms.scales is None else terms.scales[1:]
            hidden = zero_unless(valid, chunk_terms.hidden(cell, read, scales))
        return (
            state,
            read_row(befores, count),
        ), hidden if readout is None else hidden @ readout

    return step


def each_write(
    terms: Terms, of_steps: Shaped[Array, "C ..."]
) -> Shaped[Array, "W ..."]:
    return of_steps if terms.writes == 1 else jnp.repeat(of_steps, terms.writes, 0)


def through_chunk(
    terms: Terms, starts: Bool[Array, " C"] | None, reset: bool, every: bool
) -> tuple[Float[Array, "B K V"], Float[Array, "C B V"] | None]:
    """Return S after a chunk, and what is read after `every` step, if wanted.

    `starts`: where windows begin; `reset`: whether the state is zero there, rather than
    only its gradient cut.
    """
    writes = len(terms.key)
    dtype = terms.key.dtype
    # A row is a write, a column what was written: before the chunk, and by each of its writes.
    t = jnp.arange(writes)[:, None, None]
    s = jnp.arange(writes + 1)[:, None]
    j = jnp.arange(writes)
    between = (s <= j) & (j <= t)
    written = (s <= t + 1)[..., None]

    def summed(where: jax.Array, log_decay: jax.Array) -> jax.Array:
        return jnp.einsum("tsj,jbd->tsbd", where.astype(dtype), log_decay)

    def factors(logs: jax.Array | None) -> jax.Array:
        return (
            written.astype(dtype)
            if logs is None
            else jnp.where(written, jnp.exp(logs), 0)
        )

    def gathered(decays: jax.Array, *content: jax.Array) -> tuple[Any, Any]:
        step = terms.writes  # it is read after its last write
        of_queries = decays if step == 1 else decays[step - 1 :: step]
        return _last(decays, *content), (
            _read(terms.query, of_queries, *content) if every else None
        )

    matrix = terms.matrix
    key = terms.key
    log_decay = terms.log_decay
    if starts is None:
        decays = factors(None if log_decay is None else summed(between, log_decay))
        return gathered(decays, matrix, key, _value(terms, decays))
    window = jnp.cumsum(jnp.concatenate([jnp.zeros(1, int), starts]))
    window = jnp.concatenate([window[:1], each_write(terms, window[1:])])
    same = window[1:, None] == window
    logs = None
    if log_decay is not None:
        logs = summed(between & same[:, None, 1:], log_decay)
        if not reset:
            logs += summed(between & ~same[:, None, 1:], lax.stop_gradient(log_decay))
    decays = factors(logs)
    same = same[..., None, None]
    inside = jnp.where(same, decays, 0)
    outside = jnp.where(same, 0, decays)
    if reset:
        return gathered(inside, matrix, key, _value(terms, inside))
    value = _value(terms, inside, outside)
    within = gathered(inside, matrix, key, value)
    across = gathered(outside, *lax.stop_gradient((matrix, key, value)))
    return jax.tree.map(jnp.add, within, across)


def _value(
    terms: Terms,
    inside: Float[Array, "W S B D"],
    outside: Float[Array, "W S B D"] | None = None,
) -> Float[Array, "W B V"]:
    """Return what each write adds at its key.

    The decays are those of what was written `inside` its own window, and `outside`,
    before it, which gets no gradient; None: that counts for nothing.
    """
    if terms.strength is None:
        return terms.value
    key = terms.key
    cut = None
    had = _read_matrix(key, inside[:, 0], terms.matrix)
    lower = terms.strength[:, None] * _weights(key, inside[:, 1:], key)
    if outside is not None:
        matrix, there = lax.stop_gradient((terms.matrix, key))
        had += _read_matrix(key, outside[:, 0], matrix)
        cut = terms.strength[:, None] * _weights(key, outside[:, 1:], there)
    return solve(lower, cut, terms.strength[..., None] * (terms.value - had))


def _weights(
    query: Float[Array, "C B K"],
    own: Float[Array, "C W B D"],
    key: Float[Array, "W B K"],
) -> Float[Array, "C W B"]:
    return jnp.sum(query[:, None] * own * key, -1)


def _last(
    decays: Float[Array, "W S B D"],
    matrix: Float[Array, "B K V"],
    key: Float[Array, "W B K"],
    value: Float[Array, "W B V"],
) -> Float[Array, "B K V"]:
    before = decays[-1, 0]
    own = decays[-1, 1:]
    return before[..., None] * matrix + jnp.einsum("sbk,sbv->bkv", own * key, value)


def _read(
    query: Float[Array, "C B K"],
    decays: Float[Array, "C S B D"],
    matrix: Float[Array, "B K V"],
    key: Float[Array, "W B K"],
    value: Float[Array, "W B V"],
) -> Float[Array, "C B V"]:
    before = decays[:, 0]
    own = decays[:, 1:]
    weights = _weights(query, own, key)
    return _read_matrix(query, before, matrix) + jnp.einsum(
        "tsb,sbv->tbv", weights, value
    )


def _read_matrix(
    query: Float[Array, "C B K"],
    before: Float[Array, "C B D"],
    matrix: Float[Array, "B K V"],
) -> Float[Array, "C B V"]:
    return jnp.einsum("tbk,bkv->tbv", query * before, matrix)


class Chunkwise(MaskedScan):
    """Matrix cells with terms (chunk_terms.py), side by side, on accelerators."""

    name = "associative"
    rank = 1
    fuses_readout = True

    def refuses(self, request: Request) -> str | None:
        owner = chunk_terms.owner_of(request.cell)
        if owner and all(
            getattr(request.cell, method) is getattr(owner, method) for method in STEP
        ):
            return None
        return "the cell's step is not S' = diag(a) S + k v^T of the input alone, or the delta rule"

    def run(self, cell: Cell, carry: Any, over: Pass) -> CarryAndOutputs:
        """Run as `Loop.run` does; each chunk applies the read-out."""
        factor = over.carry_factor
        inputs = over.vectors(cell.in_features)
        steps = len(inputs)
        chunk = chunk_steps(steps)
        valid = jnp.arange(steps) < over.length
        marks = jnp.stack(
            [valid] if factor is None else [valid, valid & (factor == 0)], -1
        )[:, None]
        marks = jnp.broadcast_to(marks, (*inputs.shape[:2], marks.shape[-1])).astype(
            inputs.dtype
        )
        rows = jnp.concatenate([zero_unless(valid[:, None, None], inputs), marks], -1)
        rows = jnp.pad(rows, [(0, -steps % chunk), (0, 0), (0, 0)])
        graph, weights = nnx.split(cell)
        step = chunk_of(
            graph, factor is not None, over.reset_carry, over.return_sequences
        )
        kernel = None if over.readout is None else over.readout.kernel
        chunks = rows.reshape(-1, chunk, *rows.shape[1:])
        length = (over.length + chunk - 1) // chunk
        by_chunk = Pass(chunks, length, return_sequences=over.return_sequences)
        carry, hidden = stepwise(masked, step, (weights, kernel), carry, by_chunk, None)
        if over.return_sequences:
            hidden = hidden.reshape(-1, *hidden.shape[2:])[:steps]
        return carry, jnp.swapaxes(hidden, -1, -2)


LOOP = Chunkwise()
