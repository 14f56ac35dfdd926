"""Small triangular systems, many side by side."""

from __future__ import annotations

from typing import TYPE_CHECKING

import jax
import jax.numpy as jnp

if TYPE_CHECKING:
    from jaxtyping import Array, Float


@jax.custom_vjp
def solve(lower: Float[Array, "W W B"], right: Float[Array, "W B V"]) -> Float[Array, "W B V"]:
    """X with X + lower X = right, a row after the other; its gradient solves once more, by the transpose.

    Written out, the rows are a kernel or two on a GPU, as each number waits for none but those above it. The
    inverse as a product of 1 + (-lower)^(2^i) takes some more, and loses all digits of float32 where powers
    of `lower` are large and X is not: of equal keys at strength 2. By blocks of 1, 2, 4, ... rows it loses
    none, and takes a quarter more kernels a time step.

    Args:
        lower: rows by columns; what is below the diagonal counts.
        right: the right sides.
    """
    rows: list[jax.Array] = []
    for t, row in enumerate(right):
        rows.append(row - sum(lower[t, s][:, None] * rows[s] for s in range(t)))
    return jnp.stack(rows)


def _forward(
    lower: Float[Array, "W W B"], right: Float[Array, "W B V"]
) -> tuple[Float[Array, "W B V"], tuple[Float[Array, "W W B"], Float[Array, "W B V"]]]:
    rows = solve(lower, right)
    return rows, (lower, rows)


def _backward(
    residuals: tuple[Float[Array, "W W B"], Float[Array, "W B V"]], slope: Float[Array, "W B V"]
) -> tuple[Float[Array, "W W B"], Float[Array, "W B V"]]:
    lower, rows = residuals
    upwards = jnp.swapaxes(lower, 0, 1)[::-1, ::-1]
    d_right = solve(upwards, slope[::-1])[::-1]
    below = jnp.tri(len(lower), k=-1, dtype=bool)[..., None]
    return jnp.where(below, -jnp.einsum("tbv,sbv->tsb", d_right, rows), 0), d_right


solve.defvjp(_forward, _backward)
