"""Small triangular systems, many side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Float


@jax.custom_vjp
def solve(
    lower: Float[Array, "W W B"],
    cut: Float[Array, "W W B"] | None,
    right: Float[Array, "W B V"],
) -> Float[Array, "W B V"]:
    """Solve X + (lower + cut) X = right for X, row by row.

    The inverse as a product of 1 + (-lower)^(2^i) would lose all digits of float32
    where powers of `lower` are large and X is not, as for equal keys at strength 2.

    Args:
        lower: rows by columns; only what is below the diagonal counts.
        cut: like `lower`, but no gradient flows through it; None: zeros.
        right: the right-hand sides.
    """
    return _rows(lower if cut is None else lower + cut, right)


def _rows(
    lower: Float[Array, "W W B"], right: Float[Array, "W B V"]
) -> Float[Array, "W B V"]:
    rows: list[jax.Array] = []
    for t, row in enumerate(right):
        rows.append(row - sum(lower[t, s][:, None] * rows[s] for s in range(t)))
    return jnp.stack(rows)


def _forward(
    lower: jax.Array, cut: jax.Array | None, right: jax.Array
) -> tuple[jax.Array, Any]:
    rows = solve(lower, cut, right)
    return rows, (lower, cut, rows)


def _backward(residuals: Any, slope: Float[Array, "W B V"]) -> tuple[Any, ...]:
    lower, cut, rows = residuals
    d_right = _rows(jnp.swapaxes(lower, 0, 1)[::-1, ::-1], slope[::-1])[::-1]
    below = jnp.tri(len(lower), k=-1, dtype=bool)[..., None]
    d_lower = jnp.where(below, -jnp.einsum("tbv,sbv->tsb", d_right, rows), 0)
    return d_lower, None if cut is None else d_lower, d_right


solve.defvjp(_forward, _backward)
