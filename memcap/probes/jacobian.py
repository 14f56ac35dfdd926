"""The course of a small change of the carry: Jacobians of the cell's step along a
sequence, and their product over the lag.

A change that the product keeps near size 1 is remembered; one that it takes to 0 is
forgotten, and a gradient through it vanishes (Hochreiter, 1991; Bengio et al., 1994).
Eigenvalues say what many equal steps would do, singular values what one step does. A
Jacobian is taken at the states of one sequence, of the cell alone, of several layers
all of them together: the state of an LSTM read-out is left out.
"""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jax import lax
from matplotlib.figure import Figure

from memcap.figures.style import COLOURS
from memcap.probes import NotForThis, Probed, fresh_batch, titled, trace
from memcap.runtime import jax_setup
from memcap.trained import Trained

# limits of the carry and of the sequence
MOST_NUMBERS = 512
MOST_STEPS = 256
STARTS = 16  # steps, evenly spaced, from which products begin
FLOOR = 1e-6  # smaller values are drawn here


def probe(net: Trained) -> Probed:
    """Draw singular values and eigenvalue moduli by step, and the product's norm by lag."""
    matrices = jacobians(net)
    steps, size, _ = matrices.shape
    singular = np.linalg.svd(matrices, compute_uv=False)
    moduli = -np.sort(-np.abs(np.linalg.eigvals(matrices)), axis=1)
    step, place = np.divmod(np.arange(steps * size), size)
    spectrum = pl.DataFrame({"what": "step", "step": step, "index": place})
    spectrum = spectrum.with_columns(singular=singular.ravel(), modulus=moduli.ravel())
    norms = products(matrices, min(2 * net.member.lag, steps))
    rows = [
        {"what": "product", "start": s, "k": k, "norm": norm}
        for (s, k), norm in norms.items()
    ]
    over = pl.DataFrame(rows)
    data = pl.concat([spectrum, over], how="diagonal")
    at_lag = over.filter(pl.col("k") == min(net.member.lag, steps))["norm"]
    row = {
        "steps": steps,
        "numbers": size,
        "largest_singular": float(np.median(singular[:, 0])),
        "largest_modulus": float(np.median(moduli[:, 0])),
        "moduli_above_.9": float((moduli > 0.9).sum(1).mean()),
        "product_at_lag": at_lag.median(),
    }
    notes = (
        (
            "Medians over the steps of one sequence; moduli_above_.9: how many eigenvalues, on"
            " average; product_at_lag: norm of the product of `lag` Jacobians in a row, the most"
            " that a change of the carry is enlarged; median over its starts."
        ),
    )
    return Probed(_plot(net, data), data, pl.DataFrame([row]), notes)


def jacobians(net: Trained) -> np.ndarray:
    """Return d carry[t + 1] / d carry[t] of the cell along one sequence: (T, N, N)
    float64, row the number after, column the one before.

    Complex numbers count as two, first all real parts of an array, then all imaginary
    ones. Integers are left out.
    """
    task = net.member.task
    lstm_on_top = net.member.model.readout == "lstm"
    batch = fresh_batch(net, 1)
    inputs = jnp.asarray(batch.inputs)[:MOST_STEPS]
    carries = trace(net, batch).carries
    start = net.initialize_carry(1)
    carries, start = (carries[0], start[0]) if lstm_on_top else (carries, start)
    reset = np.zeros(len(inputs), bool)
    if task.reset_carry and batch.window_starts is not None:
        reset = np.asarray(batch.window_starts)[: len(inputs)]

    def entered(first: Any, rest: np.ndarray) -> np.ndarray:
        states = np.concatenate([np.asarray(first)[None], rest])[: len(inputs)]
        states[reset] = 0
        return states

    before = jax.tree.map(entered, start, carries)
    size = len(_vector(start))
    if size > MOST_NUMBERS:
        raise NotForThis(
            f"jacobian: a carry of {size:,} numbers; at most {MOST_NUMBERS}"
        )
    if not size:
        raise NotForThis(
            "jacobian: the carry holds whole numbers only, which have no derivative"
        )
    if inputs.ndim == 2:
        inputs = jax.nn.one_hot(inputs, task.features)

    @jax.jit
    def along(weights: Any, rows: Any) -> jax.Array:
        network = net.member.architecture.build(weights)

        def jacobian(row: Any) -> jax.Array:
            carry, x = row

            def step(vector: jax.Array) -> jax.Array:
                return _vector(network.cells_step(_carry(vector, carry), x)[0])

            return jax.jacfwd(step)(_vector(carry))

        return lax.map(jacobian, rows)

    with jax_setup.precision():
        return np.asarray(along(net.weights, (before, inputs)), np.float64)


def products(matrices: np.ndarray, most: int) -> dict[tuple[int, int], float]:
    """Return the spectral norms of J[s + k - 1] ... J[s] by (s, k), k = 1 .. `most`,
    from some starts s."""
    norms = {}
    starts = np.linspace(0, max(len(matrices) - most, 0), STARTS).round().astype(int)
    for start in np.unique(starts):
        product = np.eye(matrices.shape[1])
        for k, jacobian in enumerate(matrices[start : start + most], 1):
            product = jacobian @ product
            norms[int(start), k] = float(np.linalg.norm(product, 2))
    return norms


def _vector(carry: Any) -> jax.Array:
    """Return the numbers of a carry that have a derivative, (N,)."""
    parts = []
    for leaf in map(jnp.asarray, jax.tree.leaves(carry)):
        if jnp.iscomplexobj(leaf):
            parts += [leaf.real.ravel(), leaf.imag.ravel()]
        elif jnp.issubdtype(leaf.dtype, jnp.floating):
            parts.append(leaf.ravel())
    return jnp.concatenate(parts) if parts else jnp.zeros(0)


def _carry(vector: jax.Array, like: Any) -> Any:
    """Invert `_vector`; integers are taken from `like`."""
    leaves = []
    place = 0
    for leaf in map(jnp.asarray, jax.tree.leaves(like)):
        if not jnp.issubdtype(leaf.dtype, jnp.inexact):
            leaves.append(leaf)
            continue
        count = 2 if jnp.iscomplexobj(leaf) else 1
        end = place + count * leaf.size
        real, *imaginary = vector[place:end].reshape(count, *leaf.shape)
        place = end
        value = lax.complex(real, *imaginary) if imaginary else real
        leaves.append(value.astype(leaf.dtype))
    return jax.tree.unflatten(jax.tree.structure(like), leaves)


def _plot(net: Trained, data: pl.DataFrame) -> Figure:
    figure = Figure(figsize=(11.4, 4.2), layout="constrained")
    singular, modulus, product = figure.subplots(1, 3)
    spectrum = data.filter(pl.col("what") == "step")
    for axes, name, label in (
        (singular, "singular", "singular values"),
        (modulus, "modulus", "moduli of the eigenvalues"),
    ):
        values = np.maximum(spectrum[name], FLOOR)
        axes.plot(spectrum["step"], values, ".", ms=3, color=COLOURS[0], alpha=0.6)
        axes.set(xlabel="step", ylabel=f"{label} of one step")
    over = data.filter(pl.col("what") == "product")
    for k, ((start,), line) in enumerate(over.group_by("start", maintain_order=True)):
        label = "a start each" if not k else f"_{start}"
        norms = np.maximum(line["norm"], FLOOR)
        product.plot(line["k"], norms, color=COLOURS[0], lw=0.7, alpha=0.4, label=label)
    middle = over.group_by("k").agg(pl.col("norm").median()).sort("k")
    norms = np.maximum(middle["norm"], FLOOR)
    product.plot(middle["k"], norms, color=COLOURS[1], lw=1.6, label="median")
    product.axvline(net.member.lag, color="grey", lw=0.8, ls=":", label="lag")
    product.set(xlabel="k, steps", ylabel="norm of the product of k steps")
    product.legend(frameon=False, fontsize=8)
    for axes in (singular, modulus, product):
        axes.set_yscale("log")
        axes.axhline(1, color="grey", lw=0.8, ls="--")
        axes.grid(color="#dddddd", lw=0.5)
    caption = (
        "d carry[t + 1] / d carry[t] of the cell along one fresh sequence. What is below"
        f" {FLOOR:g} is drawn at {FLOOR:g}."
    )
    return titled(figure, net, "How a change of the carry goes on", caption)
