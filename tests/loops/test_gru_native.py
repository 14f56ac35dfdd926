"""The GRU's loop in C gives what Flax's own GRUCell gives, step after step in float64: values and gradients,
what is held to the bit, lengths, widths and lanes."""

import re
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from loop_checks import Sizes, run_loop
from lstm_reference import quick_jit, relative_error

from memcap.loops import Request, c_library, gated_native
from memcap.loops import gru_native as native
from memcap.loops.gated_native import CASES, GatedC, is_right

pytestmark = pytest.mark.skipif(
    native.IN_C.missing() is not None, reason=f"no GRU in C: {native.IN_C.missing()}"
)
LIMIT = 1e-5


SIZES = [  # symbols looked up, and one-hot; reals; units of one tile, of several, and of a part
    Sizes(8, 7, 5, 2, 3, 2, False, "readout"),
    Sizes(6, 6, 33, 17, 7, 1, False, "hidden"),
    Sizes(7, 5, 40, 3, 10, 2, True, "readout"),
    Sizes(5, 4, 1, 9, 1, 3, True, "last"),
]
LOOKED_UP, _, REALS, _ = SIZES


def material(sizes: Sizes, seed: int = 0) -> tuple[Any, Any]:
    """What has a gradient: the cell's weights, the read-out, the carry, and inputs that are reals; and
    symbols."""
    rng = np.random.default_rng(seed)
    T, _, B, F, U, O = sizes[:6]  # noqa: E741

    def drawn(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)

    cell = {
        "dense_i": {"kernel": drawn(F, 3 * U), "bias": drawn(3 * U)},
        "dense_h": {"kernel": drawn(U, 3 * U)},
    }
    arrays = {"cell": cell, "readout": drawn(U, O), "carry": drawn(B, U)}
    if sizes.vectors:
        arrays["inputs"] = drawn(T, B, F)
    return arrays, rng.integers(F, size=(T, B), dtype=np.int32)


def cell_of(weights: Any) -> nnx.GRUCell:
    """Flax's cell with these weights."""
    features, columns = weights["dense_i"]["kernel"].shape
    graph, state = nnx.split(nnx.eval_shape(lambda: nnx.GRUCell(features, columns // 3, rngs=nnx.Rngs(0))))
    nnx.replace_by_pure_dict(state, weights)
    return nnx.merge(graph, state)


def in_c(sizes: Sizes, arrays: Any, symbols: Any, counts: Any) -> Any:
    """The carry (B, U), and what is returned: (T, U, B), (T, O, B) or (O, B)."""
    options = {"length": counts[0], "every": sizes.returned != "last", "num_units": counts[1]}
    if sizes.returned != "hidden":
        options["readout"] = arrays["readout"]
    inputs = arrays.get("inputs", symbols)
    return run_loop("native", cell_of(arrays["cell"]), inputs, arrays["carry"], **options)


def by_flax(sizes: Sizes, arrays: Any, symbols: Any, _: Any) -> Any:
    """The same by calls of the cell, and its own sums."""
    cell, carry = cell_of(arrays["cell"]), arrays["carry"]
    inputs = arrays.get("inputs", jax.nn.one_hot(symbols, sizes.F, dtype=carry.dtype))
    carry, hidden = jax.lax.scan(lambda h, x: cell(h, x), carry, inputs[: sizes.steps])
    read = hidden if sizes.returned == "hidden" else hidden @ arrays["readout"]
    outputs = jnp.swapaxes(read, 1, 2)
    after = [(0, sizes.T - sizes.steps), (0, 0), (0, 0)]
    return carry, outputs[-1] if sizes.returned == "last" else jnp.pad(outputs, after)


def gradients(run: Any, sizes: Sizes) -> Any:
    """(arrays, symbols, counts) -> gradients, values; each number adds to the loss with a weight of its
    own."""

    def loss(arrays: Any, symbols: Any, counts: Any) -> Any:
        values = run(sizes, arrays, symbols, counts)
        weights = [np.sin(1.0 + np.arange(leaf.size)).astype(leaf.dtype) for leaf in values]
        return sum(leaf.ravel() @ weight for leaf, weight in zip(values, weights, strict=True)), values

    return jax.grad(loss, has_aux=True)


compiled = cache(lambda sizes: quick_jit(gradients(in_c, sizes)))


def counts(sizes: Sizes, steps: int | None = None) -> np.ndarray:
    """Steps and units that count."""
    return np.int32([sizes.steps if steps is None else steps, sizes.U])


def same(found: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_values_and_gradients_are_those_of_flax_in_float64(sizes):
    arrays, symbols = material(sizes)
    slopes, values = compiled(sizes)(arrays, symbols, counts(sizes))
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(np.float64), arrays)
        expected = quick_jit(gradients(by_flax, sizes))(wide, symbols, counts(sizes))
        expected = jax.tree.map(np.asarray, expected)
    errors = jax.tree.map(relative_error, (slopes, values), expected)
    assert max(jax.tree.leaves(errors)) <= LIMIT, errors
    if sizes.returned != "last":
        assert not np.any(values[1][sizes.steps :])
    if sizes.vectors:
        assert not np.any(slopes["inputs"][sizes.steps :])


@pytest.mark.parametrize("steps", [-1, 0, 1, 8, 9])
def test_a_length_outside_of_the_buffer_ends_at_its_ends(steps):
    arrays, symbols = material(LOOKED_UP)
    slopes, (carry, outputs) = compiled(LOOKED_UP)(arrays, symbols, counts(LOOKED_UP, steps))
    if steps > 0:
        exact = compiled(LOOKED_UP)(arrays, symbols, counts(LOOKED_UP, min(steps, LOOKED_UP.T)))
        same((slopes, (carry, outputs)), exact)
    else:
        np.testing.assert_array_equal(carry, arrays["carry"])
        assert not np.any(outputs)
        assert not any(np.any(leaf) for leaf in jax.tree.leaves((slopes["cell"], slopes["readout"])))
        assert np.all(slopes["carry"])


@pytest.mark.parametrize("sizes", SIZES[:3], ids=str)
def test_units_that_do_not_count_are_not_computed_and_change_no_bit(sizes):
    """A NaN in their weights would reach every unit of the next step."""
    more = 6

    def wider(array: Any, fill: float, blocks: int = 1, rows: bool = False) -> Any:
        """More columns in each block, and more rows."""
        parts = array.reshape(*array.shape[:-1], blocks, -1)
        width = [(0, more * rows), *[(0, 0)] * (parts.ndim - 2), (0, more)][-parts.ndim :]
        return np.pad(parts, width, constant_values=fill).reshape(len(array) + more * rows, -1)

    def widened(arrays: Any, fill: float) -> Any:
        dense_i, dense_h = arrays["cell"]["dense_i"], arrays["cell"]["dense_h"]["kernel"]
        cell = {
            "dense_i": {
                "kernel": wider(np.asarray(dense_i["kernel"]), fill, 3),
                "bias": wider(np.asarray(dense_i["bias"])[None], fill, 3)[0],
            },
            "dense_h": {"kernel": wider(np.asarray(dense_h), fill, 3, rows=True)},
        }
        readout = np.pad(arrays["readout"], [(0, more), (0, 0)], constant_values=fill)
        return arrays | {"cell": cell, "readout": readout, "carry": wider(np.asarray(arrays["carry"]), 0)}

    arrays, symbols = material(sizes)
    slopes, (carry, outputs) = compiled(sizes)(arrays, symbols, counts(sizes))
    wide = sizes._replace(U=sizes.U + more)

    def cropped(_: Sizes, *call: Any) -> Any:
        carry, outputs = in_c(wide, *call)
        return carry[:, : sizes.U], outputs[:, : sizes.U] if sizes.returned == "hidden" else outputs

    found, values = quick_jit(gradients(cropped, sizes))(widened(arrays, np.nan), symbols, counts(sizes))
    same(values, (carry, outputs))
    same(found, widened(slopes, 0))


@pytest.mark.parametrize("symbol", [-1, 2])
def test_a_symbol_that_is_none_is_refused_and_one_beyond_the_length_is_not_looked_at(symbol):
    arrays, symbols = material(LOOKED_UP)
    symbols[LOOKED_UP.steps] = symbol
    compiled(LOOKED_UP)(arrays, symbols, counts(LOOKED_UP))
    line = "a GRU's symbols must be at least 0 and below the number of its inputs"
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match=line):
        jax.block_until_ready(compiled(LOOKED_UP)(arrays, symbols, counts(LOOKED_UP, LOOKED_UP.T)))


def test_nan_stays_in_its_sequence():
    arrays, symbols = material(REALS)
    _, sound = compiled(REALS)(arrays, symbols, counts(REALS))
    arrays["inputs"][3, 7] = np.nan
    slopes, spoilt = compiled(REALS)(arrays, symbols, counts(REALS))
    for a, b, axis in zip(map(np.asarray, spoilt), map(np.asarray, sound), (0, 2), strict=True):
        assert np.isnan(np.take(a, 7, axis)).any()
        np.testing.assert_array_equal(np.delete(a, 7, axis), np.delete(b, 7, axis))
    assert np.isnan(slopes["cell"]["dense_i"]["kernel"]).any()


def test_where_z_is_one_h_stays_to_the_bit_and_its_gradient_too():
    arrays, symbols = material(REALS)
    arrays["cell"]["dense_i"]["bias"][REALS.U : 2 * REALS.U] = 100
    slopes, (carry, _) = compiled(REALS)(arrays, symbols, counts(REALS))
    np.testing.assert_array_equal(carry, arrays["carry"])
    assert not any(np.any(leaf) for leaf in jax.tree.leaves((slopes["cell"], slopes["inputs"])))


def test_lanes_side_by_side_equal_one_after_another():
    members = [(*material(LOOKED_UP, seed), counts(LOOKED_UP, steps)) for seed, steps in enumerate((3, 8))]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    mapped = quick_jit(jax.vmap(gradients(in_c, LOOKED_UP)))(*stacked)
    for k, member in enumerate(members):
        same(jax.tree.map(lambda leaf, k=k: leaf[k], mapped), compiled(LOOKED_UP)(*member))


class OwnStep(nnx.GRUCell):
    """Another step."""

    def __call__(self, carry, inputs):
        return super().__call__(0.5 * carry, inputs)


class OwnGate(nnx.GRUCell):
    """Another function of its gates."""

    def __init__(self, *sizes, rngs):
        super().__init__(*sizes, gate_fn=jax.nn.hard_sigmoid, rngs=rngs)


def test_what_it_does_not_serve_runs_in_xlas_loop():
    for cell in (OwnStep, OwnGate, nnx.SimpleCell):
        assert native.LOOP.refuses(Request(cell, "cpu", windows=False)) == "the cell is not Flax's GRU"
    assert native.LOOP.refuses(Request(nnx.GRUCell, "cpu", windows=True)) == "it knows no windows"
    assert native.LOOP.refuses(Request(nnx.GRUCell, "gpu", windows=False)) == "it is for CPUs"

    def text(dtype: Any) -> str:
        cell = nnx.eval_shape(lambda: nnx.GRUCell(3, 2, param_dtype=dtype, rngs=nnx.Rngs(0)))
        graph, state = nnx.split(cell)
        state = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, dtype), state)
        inputs, carry = jnp.zeros((5, 4), jnp.int32), jnp.zeros((4, 2), dtype)
        run = jax.make_jaxpr(lambda: run_loop("native", nnx.merge(graph, state), inputs, carry))
        return str(run())

    assert "memcap_gru_forward" in text(jnp.float32)
    with jax.enable_x64(True):
        assert "memcap_gru" not in text(jnp.float64)


called = gated_native._call


def test_a_library_that_computes_something_else_is_not_used(monkeypatch):
    """As one that lets r through to all of the candidate."""

    def other(of_x: Any, of_h: Any, carry: Any) -> Any:
        r = 0.5 + 0.5 * np.tanh((of_x + of_h)[:, : of_x.shape[1] // 3] / 2)
        of_x = np.concatenate([of_x[:, : -r.shape[1]], r * of_x[:, -r.shape[1] :]], 1)
        return native.IN_C.step(of_x, of_h, carry)

    monkeypatch.setattr(c_library, "_tested", lambda path: "")
    monkeypatch.setattr(c_library.Library, "passed", lambda self: pytest.fail("it passed"))
    unlike = GatedC("gru", "a GRU", blocks=3, states=1, step=other)
    assert re.search(r"\.so does not compute a GRU$", GatedC.missing.__wrapped__(unlike))


@pytest.mark.parametrize("which", range(5))
def test_a_gradient_that_is_wrong_by_a_hundredth_fails_the_test(monkeypatch, which):
    def wrong(cell: GatedC, name: str, *given: Any) -> Any:
        found = called(cell, name, *given)
        if name == cell.calls[0]:
            return found
        return *found[:which], 1.01 * found[which], *found[which + 1 :]

    monkeypatch.setattr(gated_native, "_call", wrong)
    assert not is_right(native.IN_C, CASES[1])
