"""The score while the carry is disturbed after each step: by noise, and by fewer bits.
What does a bfloat16 carry cost?

Noise is Gaussian, of the same standard deviation for every number of the carry. Fewer
bits are either a float format, or 2^b equally spaced levels from the least to the most
that each number takes in undisturbed sequences. Only what goes on to the next step is
disturbed: a step computes and is read out in float32. The net was not trained for it.
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import polars as pl
from jax import lax
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.cells.variants import BFLOAT16
from memcap.figures.style import COLOURS
from memcap.probes import (
    BLOCK,
    SEQUENCES,
    Probed,
    finish,
    fresh_batch,
    fresh_score,
    titled,
    trace,
)
from memcap.terminal.words import plural
from memcap.trained import Trained

NOISE = (0.0, 0.001, 0.003, 0.01, 0.03, 0.1, 0.2, 0.3, 1.0)  # standard deviations
FORMATS = {
    "float32": (8, 23),
    "bfloat16": BFLOAT16,
}  # bits of the exponent and of the mantissa
BITS = (8, 7, 6, 5, 4, 3, 2, 1)


def _real(change: Any, leaf: jax.Array, *others: Any) -> jax.Array:
    """Apply `change` to a leaf of the carry: to both parts of a complex one, but not to
    integers."""
    if jnp.iscomplexobj(leaf):
        real = change(jnp.real(leaf), *map(jnp.real, others))
        return lax.complex(real, change(jnp.imag(leaf), *map(jnp.imag, others)))
    if jnp.issubdtype(leaf.dtype, jnp.floating):
        return change(leaf, *others).astype(leaf.dtype)
    return leaf


def add_noise(carry: Any, step: jax.Array, operands: Any) -> Any:
    """Add N(0, s): operands are (s, key)."""
    size, key = operands
    leaves, tree = jax.tree.flatten(carry)
    keys = jax.random.split(jax.random.fold_in(key, step), (len(leaves), 2))
    noisy = []
    for leaf, pair in zip(leaves, keys, strict=True):
        noise = jax.random.normal(pair[0], leaf.shape)
        if jnp.iscomplexobj(leaf):
            noise = lax.complex(noise, jax.random.normal(pair[1], leaf.shape))
        noisy.append(_real(lambda x, e: x + size * e, leaf, noise))
    return jax.tree.unflatten(tree, noisy)


def _rounded(bits: tuple[int, int], carry: Any, step: jax.Array, operands: Any) -> Any:
    """Round to a format; not by a conversion back and forth, which XLA may leave out."""
    return jax.tree.map(
        lambda leaf: _real(lambda x: lax.reduce_precision(x, *bits), leaf), carry
    )


ROUNDED = {name: partial(_rounded, bits) for name, bits in FORMATS.items()}


def to_levels(carry: Any, step: jax.Array, operands: Any) -> Any:
    """Round to the nearest of equally spaced levels: operands are ((levels, least,
    most), key), the latter two as the carry."""
    (levels, least, most), _ = operands

    def nearest(x: jax.Array, low: jax.Array, high: jax.Array) -> jax.Array:
        width = (high - low) / (levels - 1)
        place = jnp.round((x - low) / jnp.where(width > 0, width, 1))
        return low + jnp.clip(place, 0, levels - 1) * width

    return jax.tree.map(lambda *leaves: _real(nearest, *leaves), carry, least, most)


def ranges(net: Trained) -> tuple[Any, Any]:
    """Return the least and greatest value of each number of the carry over undisturbed
    sequences: two pytrees like the carry of one sequence."""
    carries = trace(net, fresh_batch(net, BLOCK)).carries

    def end(which: Any, leaf: np.ndarray) -> np.ndarray:
        if np.iscomplexobj(leaf):
            ends = which(leaf.real, axis=(0, 1)) + 1j * which(leaf.imag, axis=(0, 1))
            return ends.astype(leaf.dtype)
        return which(leaf, axis=(0, 1))

    least = jax.tree.map(partial(end, np.min), carries)
    return least, jax.tree.map(partial(end, np.max), carries)


def probe(net: Trained) -> Probed:
    """Measure the score against the size of the noise, and against the carry's format."""
    rows: list[tuple[str, float | None, float]] = []
    for size in NOISE:
        rows.append(("noise", size, fresh_score(net, add_noise, np.float32(size))))
    for name, change in ROUNDED.items():
        rows.append((name, None, fresh_score(net, change)))
    least, most = ranges(net)
    for bits in BITS:
        score = fresh_score(net, to_levels, (np.float32(2**bits), least, most))
        rows.append((plural(bits, "bit"), None, score))
    facts = net.member.facts
    task = net.member.task
    passed = [net.member.criterion.passes(score) for *_, score in rows]
    schema = {"what": pl.String, "size": pl.Float64, "score": pl.Float64}
    data = pl.DataFrame(rows, schema, orient="row").with_columns(
        metric=pl.lit(task.metric),
        threshold=pl.lit(facts.threshold, pl.Float64),
        passes=pl.Series(passed),
    )
    table = {
        "carry": [
            f"{what} {size:g}" if size is not None else what for what, size, _ in rows
        ],
        task.metric: data["score"],
        "passes": ["yes" if passes else "no" for passes in passed],
    }
    note = (
        f"Disturbed after each step, at test time only. It passes at {task.metric}"
        f" {facts.threshold:g}; chance is {facts.chance:.3g}."
    )
    return Probed(_plot(net, data), data, pl.DataFrame(table), (note,))


def _plot(net: Trained, data: pl.DataFrame) -> Figure:
    figure = Figure(figsize=(9.6, 4.4), layout="constrained")
    noise, bits = figure.subplots(1, 2, sharey=True)
    at = data.filter(pl.col("what") == "noise")
    noise.plot(at["size"], at["score"], "o-", ms=4, color=COLOURS[0])
    noise.set_xscale("symlog", linthresh=NOISE[1], linscale=0.5)
    noise.set(xlabel="standard deviation of the noise", ylabel=net.member.task.metric)
    rounded = data.filter(pl.col("what") != "noise")
    bits.plot(range(rounded.height), rounded["score"], "o-", ms=4, color=COLOURS[1])
    bits.set_xticks(range(rounded.height), rounded["what"], rotation=45, ha="right")
    bits.set_xlabel("how the carry is stored between steps")
    for axes in (noise, bits):
        _references(axes, net)
    caption = (
        f"{SEQUENCES:,} fresh sequences a mark, disturbed at test time only; bits: equally spaced"
        " levels over the range that each number of the carry takes undisturbed."
    )
    return titled(figure, net, "The score with a disturbed carry", caption)


def _references(axes: Axes, net: Trained) -> None:
    facts = net.member.facts
    axes.axhline(facts.threshold, color="grey", lw=0.9, ls="--", label="criterion")
    axes.axhline(facts.chance, color="grey", lw=0.9, ls=":", label="chance")
    if net.member.task.loss == "values":
        finish(axes, net, loc="upper left", bbox_to_anchor=(0, 0.94))
    else:
        finish(axes, net, loc="lower left", bbox_to_anchor=(0, 0.06))
