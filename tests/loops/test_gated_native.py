"""Gated cells in C give what the plain loop gives in float64: values and gradients,
what is held to the bit, lengths, widths and lanes, under every transformation of JAX;
and a library that computes something else is not used."""

import re
from functools import cache
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from loop_checks import Sizes, pass_over, run_loop
from lstm_reference import quick_jit, relative_error

from memcap.cells import cell_class
from memcap.cells.lstm import LSTM
from memcap.loops import (
    Request,
    Targets,
    c_library,
    gated_native,
    gru_native,
    loss_and_score_sums,
    lstm_native,
    outputs_first,
)
from memcap.loops.gated_check import CASES, all_right, is_right
from memcap.loops.gated_native import GatedC, loss_over_time, over_time
from memcap.loops.lstm_while import lstm_while

pytestmark = pytest.mark.skipif(
    lstm_native.IN_C.missing() is not None,
    reason=f"no cells in C: {lstm_native.IN_C.missing()}",
)
LIMIT = 1e-5


CELLS = {"LSTM": LSTM, "GRU": cell_class("GRUCell")}
LOOPS = {"LSTM": lstm_native.LOOP, "GRU": gru_native.LOOP}
IN_C = {name: loop.in_c for name, loop in LOOPS.items()}
BLOCKS = {"LSTM": 4, "GRU": 3}  # of U columns in the weights
STATES = {"LSTM": 2, "GRU": 1}  # arrays of the carry
SIZES = [  # symbols looked up, and one-hot; vectors; units of one tile, of several, and of a part
    *(("LSTM", sizes) for sizes in [
        Sizes(12, 12, 32, 2, 1, 2, False, "readout"),
        Sizes(20, 17, 64, 7, 2, 2, False, "last"),
        Sizes(10, 10, 5, 16, 3, 10, False, "readout"),
        Sizes(9, 8, 47, 17, 7, 3, False, "hidden"),
        Sizes(12, 12, 100, 3, 33, 1, True, "readout"),
        Sizes(6, 5, 1, 9, 50, 2, True, "last"),
        Sizes(6, 6, 33, 1, 8, 2, True, "hidden"),
        Sizes(9, 7, 40, 2, 3, 2, False, "loss"),
        Sizes(6, 5, 32, 40, 9, 40, False, "loss"),
        Sizes(7, 6, 1, 3, 2, 4, True, "loss"),
    ]),
    *(("GRU", sizes) for sizes in [
        Sizes(8, 7, 5, 2, 3, 2, False, "readout"),
        Sizes(6, 6, 33, 17, 7, 1, False, "hidden"),
        Sizes(7, 5, 40, 3, 10, 2, True, "readout"),
        Sizes(5, 4, 1, 9, 1, 3, True, "last"),
        Sizes(9, 7, 33, 2, 3, 2, False, "loss"),
    ]),
]  # fmt: skip
SYMBOLS = Sizes(8, 7, 5, 3, 3, 2, False, "readout")
VECTORS = Sizes(7, 5, 40, 3, 10, 2, True, "readout")
LAST = Sizes(20, 17, 64, 7, 2, 2, False, "last")
LOSS = Sizes(9, 7, 40, 2, 3, 2, False, "loss")
SIZES_FIRST = (LAST, LOSS, SYMBOLS)
each_cell = pytest.mark.parametrize("name", CELLS)


def material(name: str, sizes: Sizes, seed: int = 0) -> tuple[Any, Any]:
    """Draw what has a gradient (weights, carry, inputs that are vectors), and symbols."""
    rng = np.random.default_rng(seed)
    T, _, B, F, U, O = sizes[:6]  # noqa: E741

    def drawn(*shape: int) -> np.ndarray:
        return (rng.normal(size=shape) / np.sqrt(shape[0])).astype(np.float32)

    columns = BLOCKS[name] * U
    arrays = {
        "kernel": drawn(F, columns),
        "recurrent": drawn(U, columns),
        "bias": drawn(columns),
        "readout": drawn(U, O),
        "carry": tuple(drawn(U, B) for _ in range(STATES[name])),
    }
    if sizes.returned == "loss":
        arrays["readout_bias"] = drawn(O)
    if sizes.vectors:
        arrays["inputs"] = drawn(T, B, F)
    return arrays, rng.integers(F, size=(T, B), dtype=np.int32)


def in_c(name: str, sizes: Sizes, arrays: Any, symbols: Any, extents: Any) -> Any:
    """The carry, and what is returned for every step; None where the last hidden state
    is. Or the sums of the loss."""
    cell = IN_C[name]
    carry = arrays["carry"]
    inputs = arrays.get("inputs", symbols)
    weights = [arrays[part] for part in ("kernel", "recurrent", "bias")]
    given = (carry, inputs, extents)
    if sizes.returned == "loss":
        weights += [arrays["readout"], arrays["readout_bias"]]
        return tuple(loss_over_time(cell, tuple(weights), *given, *answers(sizes)))
    weights.append(arrays["readout"] if sizes.returned == "readout" else None)
    return over_time(cell, sizes.returned != "last", tuple(weights), *given)


def answers(sizes: Sizes) -> tuple[np.ndarray, np.ndarray]:
    """Targets, of which a few are none of the outputs, and where an answer is due."""
    rng = np.random.default_rng(1)
    shape = sizes.T, sizes.B
    targets = rng.integers(sizes.O, size=shape, dtype=np.int32)
    strange = rng.choice(np.int32([-1, sizes.O, 2**31 - 1]), shape)
    return np.where(rng.random(shape) < 0.1, strange, targets), rng.random(shape) < 0.5


def by_the_plain_loop(
    name: str, sizes: Sizes, arrays: Any, symbols: Any, extents: Any
) -> Any:
    """The same by the cell's own step."""
    kind = CELLS[name]
    graph, state = nnx.split(
        nnx.eval_shape(lambda: kind(sizes.F, sizes.U, rngs=nnx.Rngs(0)))
    )
    parts = [arrays[part] for part in ("kernel", "recurrent", "bias")]
    weights = dict(zip(kind.gates.paths, parts, strict=True))
    nnx.replace_by_pure_dict(state, flax.traverse_util.unflatten_dict(weights))
    carry = tuple(state.T for state in arrays["carry"])
    one_hot = jax.nn.one_hot(symbols, sizes.F, dtype=carry[0].dtype)
    options = {"length": extents[0], "every": sizes.returned != "last"}
    if sizes.returned in ("readout", "loss"):
        options["readout"] = arrays["readout"]
    after, outputs = run_loop(
        "plain",
        nnx.merge(graph, state),
        arrays.get("inputs", one_hot),
        carry if len(carry) > 1 else carry[0],
        **options,
    )
    if sizes.returned == "loss":
        targets, due = answers(sizes)
        due &= jnp.arange(sizes.T)[:, None] < extents[0]
        outputs = outputs_first(outputs + arrays["readout_bias"][:, None])
        return tuple(loss_and_score_sums(outputs, Targets(targets, due, "classes")))
    carry = tuple(state.T for state in jax.tree.leaves(after))
    return carry, None if sizes.returned == "last" else outputs


def weighed(tree: Any) -> jax.Array:
    """A loss to which every number adds with a weight of its own: XLA's sine would
    depend on what is compiled with it."""
    total = jnp.zeros(())
    for leaf in jax.tree.leaves(tree):
        weights = np.sin(1.0 + np.arange(leaf.size)).astype(leaf.dtype)
        total += jnp.sum(leaf * weights.reshape(leaf.shape))
    return total


def gradients(run: Any, name: str, sizes: Sizes) -> Any:
    """(arrays, symbols, extents) -> gradients, values. Of sums the loss alone has one."""

    def loss(arrays: Any, symbols: Any, extents: Any) -> Any:
        values = run(name, sizes, arrays, symbols, extents)
        return values[0] if sizes.returned == "loss" else weighed(values), values

    return jax.grad(loss, has_aux=True)


compiled = cache(lambda name, sizes: quick_jit(gradients(in_c, name, sizes)))


def extents(sizes: Sizes, **counts: int) -> np.ndarray:
    """The `steps` and the `units` that count."""
    return np.int32([counts.get("steps", sizes.steps), counts.get("units", sizes.U)])


def same(found: Any, expected: Any) -> None:
    jax.tree.map(np.testing.assert_array_equal, found, expected)


def apart(a: Any, b: Any) -> float:
    """Largest relative error of a leaf."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(relative_error(x, y) for x, y in pairs if np.size(y))


@pytest.mark.parametrize(
    ("name", "sizes"), leave(SIZES, but=lambda _, sizes: sizes in SIZES_FIRST), ids=str
)
def test_values_and_gradients_are_those_of_the_plain_loop_in_float64(name, sizes):
    arrays, symbols = material(name, sizes)
    slopes, values = compiled(name, sizes)(arrays, symbols, extents(sizes))
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(np.float64), arrays)
        by_steps = quick_jit(gradients(by_the_plain_loop, name, sizes))
        expected = jax.tree.map(np.asarray, by_steps(wide, symbols, extents(sizes)))
    # the read-out has no gradient, and the plain loop's is zero
    if sizes.returned in ("hidden", "last"):
        expected[0]["readout"] = slopes["readout"]
        assert not np.any(slopes["readout"])
    assert apart((slopes, values), expected) <= LIMIT
    if sizes.returned in ("hidden", "readout"):
        assert not np.any(values[1][sizes.steps :])
    if sizes.vectors:
        assert not np.any(slopes["inputs"][sizes.steps :])


def widened(name: str, sizes: Sizes, arrays: Any, more: int, fill: float) -> Any:
    """Arrays with more units, which the carry has at zero."""
    blocks = BLOCKS[name]

    def columns(array: Any) -> np.ndarray:
        parts = np.asarray(array).reshape(*array.shape[:-1], blocks, -1)
        width = [(0, 0)] * (parts.ndim - 1) + [(0, more)]
        wide = np.pad(parts, width, constant_values=fill)
        return wide.reshape(*wide.shape[:-2], -1)

    def rows(array: Any, fill: float = fill) -> np.ndarray:
        return np.pad(array, [(0, more), (0, 0)], constant_values=fill)

    return arrays | {
        "kernel": columns(arrays["kernel"]),
        "recurrent": rows(columns(arrays["recurrent"])),
        "bias": columns(arrays["bias"]),
        "readout": rows(arrays["readout"]),
        "carry": tuple(rows(state, 0) for state in arrays["carry"]),
    }


@pytest.mark.parametrize(
    ("name", "sizes", "more"),
    [*((*each, 6) for each in SIZES[::2]), ("GRU", SYMBOLS, 1), ("LSTM", LOSS, 37)],
    ids=str,
)
def test_units_that_do_not_count_are_not_computed_and_change_no_bit(name, sizes, more):
    """A NaN in their weights would reach every unit of the next step. With 37 more, all
    units together would be summed up in another way."""

    def cropped(name: str, _: Sizes, *call: Any) -> Any:
        if sizes.returned == "loss":
            return in_c(name, sizes, *call)
        carry, outputs = in_c(name, sizes._replace(U=sizes.U + more), *call)
        carry = tuple(state[: sizes.U] for state in carry)
        return carry, outputs[:, : sizes.U] if sizes.returned == "hidden" else outputs

    arrays, symbols = material(name, sizes)
    slopes, values = compiled(name, sizes)(arrays, symbols, extents(sizes))
    poison = widened(name, sizes, arrays, more, np.nan)
    crop = quick_jit(gradients(cropped, name, sizes))
    found, cut = crop(poison, symbols, extents(sizes))
    same(cut, values)
    same(found, widened(name, sizes, slopes, more, 0))


@each_cell
@pytest.mark.parametrize("symbol", [-1, LAST.F, 2**31 - 1])
def test_a_symbol_that_is_none_is_refused_and_one_beyond_the_length_is_not_looked_at(
    name, symbol
):
    arrays, symbols = material(name, LAST)
    symbols[LAST.steps] = symbol
    compiled(name, LAST)(arrays, symbols, extents(LAST))
    line = f"{IN_C[name].words}'s symbols must be at least 0 and below the number of its inputs"
    further = extents(LAST, steps=LAST.steps + 1)
    with pytest.raises((ValueError, jax.errors.JaxRuntimeError), match=line):
        jax.block_until_ready(compiled(name, LAST)(arrays, symbols, further))


@each_cell
def test_nan_and_infinity_stay_in_their_sequence(name):
    arrays, symbols = material(name, VECTORS)
    arrays["inputs"][3, 7] = np.nan
    arrays["inputs"][4, 8] = np.inf
    slopes, values = compiled(name, VECTORS)(arrays, symbols, extents(VECTORS))
    assert np.isnan(slopes["kernel"]).any()
    for leaf in jax.tree.leaves(values):
        assert np.isnan(leaf[..., 7]).any()
        assert np.isfinite(np.delete(leaf, (7, 8), -1)).all()


@each_cell
@pytest.mark.parametrize(
    "sizes", [LOSS, *leave([LAST])], ids=lambda sizes: sizes.returned
)
def test_side_by_side_equals_one_after_another(name, sizes):
    members = [
        (*material(name, sizes, seed), extents(sizes, steps=steps))
        for seed, steps in enumerate((3, 20, 11))
    ]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    mapped = quick_jit(jax.vmap(gradients(in_c, name, sizes)))(*stacked)
    for k, given in enumerate(members):
        found = jax.tree.map(lambda leaf, k=k: leaf[k], mapped)
        same(found, compiled(name, sizes)(*given))


class OwnStep(nnx.GRUCell):
    """Another step."""

    def __call__(self, carry, inputs):
        return super().__call__(0.5 * carry, inputs)


class OwnGate(nnx.GRUCell):
    """Another function of its gates."""

    def __init__(self, *sizes, rngs):
        super().__init__(*sizes, gate_fn=jax.nn.hard_sigmoid, rngs=rngs)


@each_cell
def test_what_it_does_not_serve_runs_in_xlas_loop(name):
    kind = CELLS[name]
    loop = LOOPS[name]

    def text(dtype: Any) -> str:
        cell = kind(3, 2, param_dtype=dtype, rngs=nnx.Rngs(0))
        zeros = jnp.zeros((4, 2), dtype)
        carry = (zeros,) * 2 if STATES[name] == 2 else zeros
        symbols = jnp.zeros((5, 4), jnp.int32)
        return str(jax.make_jaxpr(lambda: run_loop("native", cell, symbols, carry))())

    call = f"memcap_{loop.in_c.name}"
    with jax.enable_x64(True):
        assert f"{call}_forward" in text(jnp.float32)
        assert call not in text(jnp.float64)
    assert loop.refuses(Request(kind, "cpu", windows=True)) == "it knows no windows"
    assert loop.refuses(Request(kind, "gpu", windows=False)) == "it is for CPUs"
    owner = {"LSTM": "memcap's LSTM", "GRU": "Flax's GRU"}[name]
    for other in (OwnStep, OwnGate, nnx.SimpleCell):
        reason = loop.refuses(Request(other, "cpu", windows=False))
        assert reason == f"the cell is not {owner}"


@pytest.mark.parametrize(
    ("name", "biases"), [("GRU", (0, 100, 0)), ("LSTM", (-100, 100, 0, 0))]
)
def test_where_gates_are_saturated_the_state_stays_to_the_bit(name, biases):
    arrays, symbols = material(name, VECTORS)
    arrays["bias"] = np.repeat(np.float32(biases), VECTORS.U)
    slopes, (carry, _) = compiled(name, VECTORS)(arrays, symbols, extents(VECTORS))
    same(carry[0], arrays["carry"][0])
    if name == "GRU":
        for part in ("kernel", "recurrent", "bias", "inputs"):
            assert not np.any(slopes[part])


called = gated_native._call


def broken(*_: Any) -> Any:
    raise ValueError("INVALID_ARGUMENT: no such version\nmore")


def off(results: int, *calls: int) -> Any:
    """Calls of the C (forward, backward, with the loss) whose result of this number is
    wrong by a hundredth."""

    def wrong(cell: GatedC, call: str, *given: Any) -> Any:
        values = list(called(cell, call, *given))
        if cell.calls.index(call) in calls:
            values[results] = 1.01 * values[results]
        return tuple(values)

    return wrong


@each_cell
@pytest.mark.parametrize(
    ("call", "reason"),
    [
        (off(0, 0), r"\.so does not compute an? {}$"),
        (broken, r"^XLA does not take it \(INVALID_ARGUMENT: no such version\)$"),
    ],
    ids=["other numbers", "an error"],
)
def test_a_library_that_fails_its_test_is_not_used(monkeypatch, name, call, reason):
    monkeypatch.setattr(gated_native, "_call", call)
    monkeypatch.setattr(c_library, "_tested", lambda path: "")
    monkeypatch.setattr(c_library.Library, "passed", lambda _: pytest.fail("it passed"))
    assert re.search(reason.format(name), GatedC.missing.__wrapped__(IN_C[name]))


# of kernel, recurrent weights, bias and read-out, before those of the carry; with the
# loss, also of the read-out's bias and of inputs, and the sums
WRONG = [
    (name, call, place)
    for name, states in STATES.items()
    for call, others in ((1, 4), (2, 7))
    for place in range(others + states)
]


@pytest.mark.parametrize(("name", "call", "place"), WRONG)
def test_what_is_wrong_by_a_hundredth_fails_the_test_at_first_use(
    monkeypatch, name, call, place
):
    monkeypatch.setattr(gated_native, "_call", off(place, call))
    assert not is_right(LOOPS[name], CELLS[name], CASES[0])


@each_cell
@pytest.mark.parametrize(
    "wide", [False, True], ids=["float32", "64-bit floats allowed"]
)
def test_what_it_is_tested_by_passes(name, wide):
    with jax.enable_x64(wide):
        assert all_right(LOOPS[name], CELLS[name])


@each_cell
@pytest.mark.parametrize("sizes", [SYMBOLS, LOSS], ids=lambda sizes: sizes.returned)
@pytest.mark.parametrize("steps", [-1, 0, 1, 99])
def test_a_length_outside_of_the_buffer_ends_at_its_ends(name, sizes, steps):
    arrays, symbols = material(name, sizes)
    asked = extents(sizes, steps=steps)
    slopes, values = compiled(name, sizes)(arrays, symbols, asked)
    if steps > 0:
        within = extents(sizes, steps=min(steps, sizes.T))
        same((slopes, values), compiled(name, sizes)(arrays, symbols, within))
    elif sizes.returned == "loss":
        assert not any(map(np.any, jax.tree.leaves((slopes, values))))
    else:
        same(values[0], arrays["carry"])
        assert not np.any(values[1])
        assert not any(map(np.any, jax.tree.leaves(slopes | {"carry": ()})))
        assert np.any(slopes["carry"][0])


def one_step(loop: str, x: np.ndarray, gate: int, bias: list[float], c: float):
    """Cells (B,) after a step of one LSTM unit in which one gate sees x."""
    kernel = np.zeros((1, 4), np.float32)
    kernel[0, gate] = 1
    still = np.zeros((1, len(x)), np.float32)
    weights = kernel, np.zeros_like(kernel), np.float32(bias), None

    def run(weights: Any, carry: Any, inputs: Any) -> Any:
        if loop == "native":
            counts = np.int32([1, 1])
            return over_time(lstm_native.IN_C, False, weights, carry, inputs, counts)
        return lstm_while(weights, carry, pass_over(inputs, every=False), None)

    carry = (still + np.float32(c), still)
    (cells, _), _ = jax.jit(run)(weights, carry, x[None, :, None])
    return np.asarray(cells[0])


CANDIDATE = (2, [100, -100, 0, 0], 0, 7.99881172180175781)  # saturated from there


FORGET = (1, [-100, 0, 0, 0], 1, 15.9976234436035156)


@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize(
    ("gate", "bias", "c", "ends"), [CANDIDATE, FORGET], ids=["candidate", "forget gate"]
)
def test_what_is_saturated_is_so_from_the_same_number_as_in_xla(
    gate, bias, c, ends, sign
):
    last = sign if gate == 2 else (1 + sign) / 2
    around = np.float32(ends) + np.spacing(np.float32(ends)) * np.arange(60)
    beyond = np.linspace(ends + 0.01, 90, 500)
    x = sign * np.concatenate([around, beyond, [1e20, 1e30]]).astype(np.float32)
    before = sign * np.linspace(-ends + 0.05, ends - 0.05, 5000, dtype=np.float32)
    found = []
    for loop in ("native", "xla"):
        np.testing.assert_array_equal(one_step(loop, x, gate, bias, c), last)
        found.append(one_step(loop, before, gate, bias, c))
    np.testing.assert_allclose(*found, rtol=0, atol=3e-7)
    assert np.abs(found[0]).max() <= 1
