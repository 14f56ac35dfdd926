"""The LSTM's loop in C gives what XLA's gives: values and gradients, saturation to the bit, under every
transformation of JAX."""

import re
from functools import cache, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from loop_checks import Sizes, pass_over, run_loop
from lstm_reference import quick_jit, relative_error

from memcap.cells.lstm import LSTM
from memcap.loops import c_library, gated_native
from memcap.loops import lstm_native as native
from memcap.loops.gated_native import CASES, GatedC, all_right, is_right
from memcap.loops.lstm_while import lstm_while
from memcap.models.constructed import constructed
from memcap.models.model import Model
from memcap.models.network import Architecture
from memcap.tasks import task_class
from memcap.tasks.adding import Adding
from memcap.tasks.count import Count
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.latch import Latch

pytestmark = pytest.mark.skipif(
    native.IN_C.missing() is not None, reason=f"no native kernel: {native.IN_C.missing()}"
)
LIMIT = 1e-5
TASKS = {  # lag and sequences: symbols few and many, reals, read out at every step and at the last
    "delay_line": (5, 40),
    "latch": (9, 128),
    "adding": (8, 33),
    "copy": (4, 17),
    "mqar": (4, 20),
    "vector_hold": (3, 9),
}


SIZES = [
    Sizes(12, 12, 32, 2, 1, 2, False, "readout"),
    Sizes(20, 17, 64, 7, 2, 2, False, "last"),
    Sizes(10, 10, 5, 16, 3, 10, False, "readout"),
    Sizes(9, 8, 47, 17, 7, 3, False, "hidden"),
    Sizes(12, 12, 100, 3, 33, 1, True, "readout"),
    Sizes(6, 5, 1, 9, 50, 2, True, "last"),
    Sizes(6, 6, 33, 1, 8, 2, True, "hidden"),
]


def material(sizes: Sizes, seed: int = 0) -> tuple[Any, Any]:
    """Arguments of `lstm_native` that have a gradient, inputs among them where they are reals, and the other
    inputs."""
    rng = np.random.default_rng(seed)
    T, _, B, F, U, O = sizes[:6]  # noqa: E741
    shapes = {
        "kernel": (F, 4 * U),
        "recurrent": (U, 4 * U),
        "bias": (4 * U,),
        "readout": (U, O),
        "c": (U, B),
        "h": (U, B),
    }
    arrays = {name: rng.normal(size=shape) / np.sqrt(shape[0]) for name, shape in shapes.items()}
    if sizes.vectors:
        arrays["inputs"] = rng.normal(size=(T, B, F))
    return {name: array.astype(np.float32) for name, array in arrays.items()}, rng.integers(
        F, size=(T, B), dtype=np.int32
    )


def call(kernel: str, sizes: Sizes, arrays: Any, symbols: Any, steps: Any) -> Any:
    """The scan's own carry and outputs."""
    every, readout = sizes.returned != "last", arrays["readout"] if sizes.returned == "readout" else None
    weights, carry = (
        (arrays["kernel"], arrays["recurrent"], arrays["bias"], readout),
        (arrays["c"], arrays["h"]),
    )
    inputs = arrays.get("inputs", symbols)
    if kernel == "native":
        counts = steps if jnp.ndim(steps) else jnp.stack([jnp.asarray(steps, jnp.int32), jnp.int32(sizes.U)])
        return native.lstm_native(every, weights, carry, inputs, counts)
    return lstm_while(weights, carry, pass_over(inputs, steps, every=every), None)


def weighed(tree: Any) -> jax.Array:
    """A loss to which every number adds with a weight of its own: XLA's sine would depend on what is compiled
    with it."""
    leaves = jax.tree.leaves(tree)
    weights = [np.sin(1.0 + np.arange(leaf.size)).astype(leaf.dtype).reshape(leaf.shape) for leaf in leaves]
    return sum((jnp.sum(leaf * weight) for leaf, weight in zip(leaves, weights, strict=True)), jnp.zeros(()))


def gradients(kernel: str, sizes: Sizes) -> Any:
    """(arrays, symbols, steps) -> gradients, values."""

    def loss(arrays: Any, symbols: Any, steps: Any) -> Any:
        values = call(kernel, sizes, arrays, symbols, steps)
        return weighed(values), values

    return jax.grad(loss, has_aux=True)


compiled = cache(lambda kernel, sizes: quick_jit(gradients(kernel, sizes)))


def in_float64(sizes: Sizes, arrays: Any, symbols: Any, steps: Any) -> Any:
    """By XLA's loop."""
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(np.float64), arrays)
        return jax.tree.map(np.asarray, quick_jit(gradients("xla", sizes))(wide, symbols, np.int32(steps)))


def apart(a: Any, b: Any) -> float:
    """Largest relative error of a leaf."""
    pairs = zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True)
    return max(relative_error(x, y) for x, y in pairs if np.size(y))


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_values_and_gradients_are_those_of_float64(sizes):
    arrays, symbols = material(sizes)
    found = compiled("native", sizes)(arrays, symbols, np.int32(sizes.steps))
    assert apart(found, in_float64(sizes, arrays, symbols, sizes.steps)) <= LIMIT
    (slopes, (_, outputs)) = found
    if outputs is not None:
        assert not np.any(outputs[sizes.steps :])
    if sizes.vectors:
        assert not np.any(slopes["inputs"][sizes.steps :])


@pytest.mark.parametrize("name", TASKS)
def test_a_tasks_gradient_is_that_of_float64(name):
    """Through the network, with the task's own sequences."""
    task, (lag, batch) = task_class(name)(), TASKS[name]
    architecture, length = Architecture(Model(units=6), task.features, task.outputs), task.length(lag)
    weights = drawn(architecture)
    sample = quick_jit(lambda key: task.sample(key, lag, length, length + 2, batch))
    sequences, every = sample(jax.random.key(0)), task.answers == "every"

    def loss(weights: Any, loop: str) -> Any:
        run = architecture.build(weights)
        outputs = run(sequences.inputs, seq_lengths=length, return_sequences=every, loop=loop)
        return weighed(outputs if sequences.mask is None else outputs * sequences.mask)

    found = quick_jit(partial(jax.grad(loss), loop="native"))(weights)
    with jax.enable_x64(True):
        wide = jax.tree.map(lambda leaf: leaf.astype(np.float64), weights)
        assert apart(found, quick_jit(partial(jax.grad(loss), loop="while"))(wide)) <= LIMIT


def drawn(architecture: Architecture) -> Any:
    """Weights of no particular start."""
    rng = np.random.default_rng(0)
    return jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape).astype(np.float32) / 2, architecture.abstract_weights()
    )


@pytest.mark.parametrize("steps", [-1, 0, 1, 12, 13])
def test_a_length_outside_of_the_buffer_ends_at_its_ends(steps):
    sizes = SIZES[0]
    arrays, symbols = material(sizes)
    slopes, ((c, h), outputs) = compiled("native", sizes)(arrays, symbols, np.int32(steps))
    if steps > 0:
        exact = compiled("native", sizes)(arrays, symbols, np.int32(min(steps, sizes.T)))
        jax.tree.map(np.testing.assert_array_equal, (slopes, ((c, h), outputs)), exact)
    else:
        np.testing.assert_array_equal((c, h), (arrays["c"], arrays["h"]))
        assert not np.any(outputs)
        assert {name for name, slope in slopes.items() if np.any(slope)} == {"c", "h"}


GATES, ROWS = (
    ("kernel", "recurrent", "bias"),
    ("recurrent", "readout", "c", "h"),
)  # with a column, or a row, a unit


@pytest.mark.parametrize("more", [1, 6])
@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_units_that_do_not_count_change_no_bit_and_have_no_gradient(sizes, more):
    def padded(name: str, array: np.ndarray) -> np.ndarray:
        if name in GATES:
            parts = [
                np.pad(part, [*[(0, 0)] * (part.ndim - 1), (0, more)]) for part in np.split(array, 4, -1)
            ]
            array = np.concatenate(parts, -1)
        return np.pad(array, [(0, more), *[(0, 0)] * (array.ndim - 1)]) if name in ROWS else array

    def cropped(values: Any) -> Any:
        carry, outputs = values
        return [state[: sizes.U] for state in carry], outputs[
            :, : sizes.U
        ] if sizes.returned == "hidden" else outputs

    def of_wider(arrays: Any) -> Any:
        values = call("native", wider, arrays, symbols, np.int32([sizes.steps, sizes.U]))
        return weighed(cropped(values)), values

    arrays, symbols = material(sizes)
    slopes, values = compiled("native", sizes)(arrays, symbols, np.int32(sizes.steps))
    wider = sizes._replace(U=sizes.U + more)
    gradient = quick_jit(jax.grad(of_wider, has_aux=True))
    found, wide = jax.tree.map(
        np.asarray, gradient({name: padded(name, array) for name, array in arrays.items()})
    )
    jax.tree.map(
        np.testing.assert_array_equal,
        found,
        {name: padded(name, np.asarray(slope)) for name, slope in slopes.items()},
    )
    jax.tree.map(np.testing.assert_array_equal, cropped(wide), ([*values[0]], values[1]))
    assert not any(np.any(state[sizes.U :]) for state in wide[0])
    assert sizes.returned != "hidden" or not np.any(wide[1][:, sizes.U :])


@pytest.mark.parametrize("sizes", SIZES, ids=str)
def test_units_that_do_not_count_are_not_computed(sizes):
    """A NaN in their weights would reach every unit of the next step."""

    def poisoned(name: str, array: np.ndarray) -> np.ndarray:
        array = array.copy()
        if name in GATES:
            for part in np.split(array, 4, -1):
                part[..., 1:] = np.nan
        if name in ("recurrent", "readout"):
            array[1:] = np.nan
        return array

    if sizes.U == 1:
        pytest.skip("the one unit counts")
    arrays, symbols = material(sizes)
    poison = {name: poisoned(name, array) for name, array in arrays.items()}
    slopes, values = compiled("native", sizes)(poison, symbols, np.int32([sizes.steps, 1]))
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves((slopes, values)))
    assert np.isnan(call("native", sizes, poison, symbols, np.int32([sizes.steps, 2]))[0][1]).any()


@pytest.mark.parametrize(("units", "meant"), [(-3, 1), (0, 1), (1, 1), (99, 3)])
def test_as_many_units_count_as_there_are_and_at_least_one(units, meant):
    sizes = SIZES[2]
    arrays, symbols = material(sizes)
    found, expected = (
        call("native", sizes, arrays, symbols, np.int32([sizes.steps, n])) for n in (units, meant)
    )
    jax.tree.map(np.testing.assert_array_equal, found, expected)


@pytest.mark.parametrize("symbol", [-1, 7, 2**31 - 1])
def test_a_symbol_that_is_none_is_refused_and_one_beyond_the_length_is_not_looked_at(symbol):
    sizes = SIZES[1]
    arrays, symbols = material(sizes)
    symbols[sizes.steps] = symbol
    compiled("native", sizes)(arrays, symbols, np.int32(sizes.steps))
    with pytest.raises(
        (ValueError, jax.errors.JaxRuntimeError),
        match="symbols must be at least 0 and below the number of its inputs",
    ):
        jax.block_until_ready(compiled("native", sizes)(arrays, symbols, np.int32(sizes.steps + 1)))


def test_nan_and_infinity_stay_in_their_sequence():
    sizes = SIZES[4]
    arrays, symbols = material(sizes)
    sound = call("native", sizes, arrays, symbols, sizes.steps)
    arrays["inputs"][3, 7] = np.nan
    arrays["inputs"][4, 8] = np.inf
    spoilt = call("native", sizes, arrays, symbols, sizes.steps)
    for a, b in zip(jax.tree.leaves(spoilt), jax.tree.leaves(sound), strict=True):
        assert np.isnan(a[..., 7]).any()
        np.testing.assert_array_equal(np.delete(a, (7, 8), -1), np.delete(b, (7, 8), -1))
    slopes, _ = compiled("native", sizes)(arrays, symbols, np.int32(sizes.steps))
    assert np.isnan(slopes["kernel"]).any()


def one_step(kernel: str, x: np.ndarray, gate: int, bias: list[float], c: float) -> np.ndarray:
    """Cells (B,) after a step of one unit in which one gate sees x."""
    weights = np.zeros((1, 4), np.float32)
    weights[0, gate] = 1
    still = np.zeros((1, len(x)), np.float32)
    operands = (
        weights,
        np.zeros((1, 4), np.float32),
        np.float32(bias),
        None,
        (still + np.float32(c), still),
        x[None, :, None],
        1,
    )
    run = (
        (lambda *g: lstm_while(g[:4], g[4], pass_over(*g[5:], every=False), None))
        if kernel == "xla"
        else lambda *g: native.lstm_native(False, g[:4], *g[4:6], jnp.stack([g[6], 1]))
    )
    (cells, _), _ = jax.jit(
        lambda: run(*map(jnp.asarray, operands[:3]), *operands[3:5], *map(jnp.asarray, operands[5:]))
    )()
    return np.asarray(cells[0])


@pytest.mark.parametrize(
    ("gate", "bias", "c", "sign", "ends"),
    [
        (2, [100, -100, 0, 0], 0, 1, 7.99881172180175781),  # the candidate, at 1
        (2, [100, -100, 0, 0], 0, -1, 7.99881172180175781),
        (1, [-100, 0, 0, 0], 1, 1, 15.9976234436035156),  # the forget gate, open and shut
        (1, [-100, 0, 0, 0], 1, -1, 15.9976234436035156),
    ],
    ids=["candidate", "negative candidate", "open gate", "shut gate"],
)
def test_what_is_saturated_is_so_from_the_same_number_as_in_xla(gate, bias, c, sign, ends):
    last = {"candidate": sign, "gate": (1 + sign) / 2}["candidate" if gate == 2 else "gate"]
    around = np.float32(ends) + np.spacing(np.float32(ends)) * np.arange(-2, 60, dtype=np.float32)
    x = sign * np.concatenate(
        [around[2:], np.linspace(ends + 0.01, 90, 500, dtype=np.float32), [1e20, 1e30]]
    ).astype(np.float32)
    for kernel in ("native", "xla"):
        np.testing.assert_array_equal(one_step(kernel, x, gate, bias, c), np.float32(last))
    before = sign * np.linspace(-ends + 0.05, ends - 0.05, 5000, dtype=np.float32)
    found, expected = (one_step(kernel, before, gate, bias, c) for kernel in ("native", "xla"))
    np.testing.assert_allclose(found, expected, rtol=0, atol=3e-7)
    assert np.abs(found).max() <= 1


@pytest.mark.parametrize(
    ("task", "lag"),
    [
        (Latch(symbols=64), 1000),
        (Latch(), 50),
        (DelayLine(symbols=8), 50),
        (DelayLine(reals=True), 50),
        (Count(), 20),
        (Adding(), 50),
    ],
    ids=str,
)
def test_hand_set_weights_solve_as_by_xla(task, lag):
    model, weights = constructed(task, lag)
    length = task.length(lag)
    network = Architecture(model, task.features, task.outputs).build(weights)
    options = {"seq_lengths": length, "return_sequences": task.answers == "every"}

    @quick_jit
    def drawn_and_run(key: jax.Array) -> Any:
        batch = task.sample(key, lag, length, length, 256)
        return batch, {loop: network(batch.inputs, loop=loop, **options) for loop in ("native", "while")}

    batch, run = drawn_and_run(jax.random.key(lag))
    due = np.ones(batch.targets.shape, bool) if batch.mask is None else np.asarray(batch.mask)
    found, expected = (np.asarray(outputs)[:, due] for outputs in (run["native"], run["while"]))
    if task.loss == "classes":
        np.testing.assert_array_equal(found.argmax(0), np.asarray(batch.targets)[due])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("axes", [(0, None, None), (None, 0, 0), (0, 0, 0)], ids=["weights", "inputs", "all"])
def test_side_by_side_equals_one_after_another(axes):
    sizes = SIZES[1]
    members = [(*material(sizes, seed), np.int32(steps)) for seed, steps in enumerate((3, 20, 11))]
    given = [
        tuple(member[k] if axis == 0 else members[0][k] for k, axis in enumerate(axes)) for member in members
    ]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    mapped = jax.vmap(gradients("native", sizes), axes)(
        *(stacked[k] if axis == 0 else members[0][k] for k, axis in enumerate(axes))
    )
    for k, member in enumerate(given):
        alone = compiled("native", sizes)(*member)
        jax.tree.map(np.testing.assert_array_equal, jax.tree.map(lambda leaf, k=k: leaf[k], mapped), alone)


def test_recomputing_and_loops_change_nothing():
    sizes = SIZES[2]
    arrays, symbols = material(sizes)

    def loss(arrays: Any) -> jax.Array:
        return weighed(call("native", sizes, arrays, symbols, sizes.steps))

    def summed(arrays: Any) -> jax.Array:
        return jax.lax.scan(
            lambda total, _: (total + jax.checkpoint(loss)(arrays), None), jnp.zeros(()), None, length=2
        )[0]

    once, twice = quick_jit(jax.grad(loss))(arrays), quick_jit(jax.grad(summed))(arrays)
    assert apart(twice, jax.tree.map(lambda leaf: 2 * leaf, once)) <= 1e-6


def text(dtype: Any, starts: Any = None) -> str:
    """What is traced of an LSTM's native scan."""
    cell = LSTM(3, 2, rngs=None, param_dtype=dtype)
    carry = tuple(jnp.zeros((4, 2), dtype) for _ in "ch")
    inputs = jnp.zeros((5, 4), jnp.int32)
    return str(jax.make_jaxpr(lambda: run_loop("native", cell, inputs, carry, starts=starts))())


def test_what_it_does_not_serve_runs_in_xlas_loop():
    assert "memcap_lstm_forward" in text(jnp.float32)
    assert "memcap_lstm" not in text(jnp.float32, jnp.zeros(5, bool))
    assert "memcap_lstm" not in text(jnp.bfloat16)
    with jax.enable_x64(True):
        assert "memcap_lstm" not in text(jnp.float64)
        assert "memcap_lstm_forward" in text(jnp.float32)


in_numpy, called = gated_native._in_numpy, gated_native._call


def broken(*_: Any) -> Any:
    raise ValueError("INVALID_ARGUMENT: no such version\nmore")


@pytest.mark.parametrize(
    ("step", "reason"),
    [
        (
            lambda *given: in_numpy(*given[:-2], 2 * given[-2], given[-1]),
            r"\.so does not compute an LSTM$",
        ),
        (broken, r"^XLA does not take it \(INVALID_ARGUMENT: no such version\)$"),
    ],
    ids=["other numbers", "an error"],
)
def test_a_library_that_fails_its_test_is_not_used(monkeypatch, step, reason):
    monkeypatch.setattr(gated_native, "_in_numpy", step)
    monkeypatch.setattr(c_library, "_tested", lambda path: "")
    monkeypatch.setattr(c_library.Library, "passed", lambda self: pytest.fail("it passed"))
    assert re.search(reason, GatedC.missing.__wrapped__(native.IN_C))


@pytest.mark.parametrize("which", range(6))
def test_a_gradient_that_is_wrong_by_a_hundredth_fails_the_test(monkeypatch, which):
    def wrong(cell: GatedC, name: str, *given: Any) -> Any:
        found = called(cell, name, *given)
        return found if name == cell.calls[0] else (*found[:which], 1.01 * found[which], *found[which + 1 :])

    assert is_right(native.IN_C, CASES[1])
    monkeypatch.setattr(gated_native, "_call", wrong)
    assert not is_right(native.IN_C, CASES[1])


@pytest.mark.parametrize("wide", [False, True], ids=["float32", "64-bit floats allowed"])
def test_what_it_is_tested_by_passes(wide):
    with jax.enable_x64(wide):
        assert all_right(native.IN_C)
