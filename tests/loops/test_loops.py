"""All loops give the outputs, carries and gradients of the plain one, for every cell,
alone and side by side.

The registry is walked: a new file of memcap/loops/ is compared without a line here.
"""

from collections.abc import Callable
from functools import cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from jax import lax
from loop_checks import pass_over
from lstm_reference import quick_jit, relative_error
from odd_cells import ODD_CELLS

from memcap import loops
from memcap.cells import cell_class, cell_classes
from memcap.loops import chunkwise
from memcap.loops.chunk_terms import owner_of

T = 9
B = 3
F = 4
U = 5
OUT = 2
LENGTHS = (7, T, 1)
# Where the members' windows begin; the second's first step begins one, so that no
# gradient reaches its initial carry.
BOUNDARIES = ((3, 5), (0, 4, 8), (6,))
CELLS = (*cell_classes(), "LSTMCell", "delta_net+clock5", *ODD_CELLS)
# What is read after a reset is one product of a key and a query, over its own size: of
# the first draws of these two a product is so small that the plain loop's gradient is a
# hundred roundings off (from float64).
FIRST_DRAW = {"delta_net": 9, "gated_delta_net": 9}


class Case(NamedTuple):
    """A way to call a loop."""

    every: bool
    windows: bool
    reset: bool
    real: bool
    readout: bool = False


CASES = [  # each pair of values of `every`, (`windows`, `reset`) and `real` is somewhere among them
    Case(every=True, windows=False, reset=False, real=True),
    Case(every=False, windows=False, reset=True, real=False),
    Case(every=True, windows=True, reset=False, real=False),
    Case(every=False, windows=True, reset=False, real=True),
    Case(every=True, windows=True, reset=True, real=True),
    Case(every=False, windows=True, reset=True, real=False),
]
READ_OUT = [  # of one window and every step, the LSTM's read-out is fused into its loop
    Case(every=True, windows=False, reset=False, real=True, readout=True),
    Case(every=True, windows=False, reset=False, real=False, readout=True),
    Case(every=True, windows=True, reset=False, real=True, readout=True),
    Case(every=False, windows=False, reset=False, real=False, readout=True),
]


# Each value of `every`, of (`windows`, `reset`) and of `real` is in one of these; side
# by side differs from alone in what a member masks, whatever the pair.
COVERING = [CASES[1], CASES[2], CASES[4]]
SIDE_BY_SIDE = [*COVERING, *READ_OUT]
# One of each kind: with loops of its own, with the loops for any cell.
IN_FULL = ("lstm", "GRUCell")
DIAGONAL = ("minGRU", "minLSTM", "LRU", "selective_LRU", "RG_LRU")
CHUNKED = ("gla", "linear_attention", "mamba2", "mlstm", "gated_delta_net", "kda")
CHUNKED += ("gated_delta_product",)
# Diagonal; with the loops for any cell, and another carry: a matrix, integers.
IN_PART = ("LRU", "delta_net", "odd_cells:Clocked")


def cases_of(name: str) -> list[Case]:
    """Of a cell like one of these, the case that asks most of it."""
    return CASES if name in IN_FULL else COVERING if name in IN_PART else [CASES[4]]


# For `make test` one with loops of its own, one with those for any cell, one with chunks.
FIRST = ("lstm", CASES[4]), ("GRUCell", CASES[2]), ("mamba2", CASES[4])


def label(value: Any) -> str:
    if not isinstance(value, Case):
        return str(value).rpartition(":")[2]
    window = (
        "reset" if value.windows and value.reset else "cut" if value.windows else "one"
    )
    words = [
        "every" if value.every else "last",
        window,
        "reals" if value.real else "symbols",
    ]
    return "-".join(words + ["readout"] * value.readout)


def drawn(rng: np.random.Generator, leaf: Any) -> np.ndarray:
    """Random numbers of the shape and dtype of a parameter or a carry."""
    if jnp.issubdtype(leaf.dtype, jnp.integer):
        return rng.integers(0, 5, leaf.shape).astype(leaf.dtype)
    numbers = 0.7 * rng.standard_normal(leaf.shape)
    if jnp.issubdtype(leaf.dtype, jnp.complexfloating):
        numbers = numbers + 0.7j * rng.standard_normal(leaf.shape)
    return numbers.astype(leaf.dtype)


def is_float(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.inexact)


@cache
def structure(name: str) -> tuple[Any, Any, Any]:
    """A cell's graph, and its weights and its carry as shapes."""
    kind: Any = cell_class(name)
    graph, weights = nnx.split(nnx.eval_shape(lambda: kind(F, U, rngs=nnx.Rngs(0))))
    carry = jax.eval_shape(
        lambda w: nnx.merge(graph, w).initialize_carry((B, F), nnx.Rngs(0)), weights
    )
    return graph, weights, carry


def member(name: str, case: Case, number: int, steps: int = T, **ends: Any) -> tuple:
    """Weights, carry, inputs, length, window starts and read-out of a member, each of another draw.

    Past its length, inputs go on. `ends`: another `length`, and other `starts`.
    """
    rng = np.random.default_rng(FIRST_DRAW.get(name, 0) + number)
    _, weights, carry = structure(name)
    weights, carry = jax.tree.map(lambda leaf: drawn(rng, leaf), (weights, carry))
    readout = None
    if case.real:
        inputs = rng.standard_normal((steps, B, F)).astype(np.float32)
    else:
        inputs = rng.integers(0, F, (steps, B), np.int32)
    length = np.int32(ends.get("length", LENGTHS[number]))
    starts = None
    if case.windows:
        starts = np.isin(np.arange(steps), ends.get("starts", BOUNDARIES[number]))
    if case.readout:
        shape = (cell_class(name).hidden_per_unit * U, OUT)
        readout = rng.standard_normal(shape).astype(np.float32)
    return weights, carry, inputs, length, starts, readout


def weighed(tree: Any) -> jax.Array:
    """A real loss to which every float, and both parts of a complex number, add with a
    weight of their own."""
    total = jnp.float32(0)
    for leaf in filter(is_float, jax.tree.leaves(tree)):
        weights = jnp.sin(1 + jnp.arange(leaf.size)).reshape(leaf.shape)
        total += jnp.sum(leaf.real * weights)
        if jnp.iscomplexobj(leaf):
            total += jnp.sum(leaf.imag * jnp.cos(weights))
    return total


def serving(name: str, case: Case) -> list[loops.Loop]:
    """The loops that serve a cell and are here, in any order but with the plain one first."""
    request = loops.Request(cell_class(name), "cpu", case.windows)
    found = [loop for loop in loops.loops() if not loop.refuses(request)]
    found = [loop for loop in found if not loop.missing()]
    return sorted(found, key=lambda loop: loop.name != "plain")


def alone_loops(name: str, case: Case) -> list[loops.Loop]:
    """Those that run one member: of a cell like another one the plain one, and what
    runs one by one."""
    plain, *others = serving(name, case)
    if name in (*IN_FULL, *IN_PART):
        return [plain, *others]
    return [plain, *(loop for loop in others if not loop.side_by_side("gpu"))]


def side_by_side_loops(name: str, case: Case) -> list[loops.Loop]:
    """Those that run several members: of a cell like another one, without the plain
    one, which ran alone."""
    if case not in SIDE_BY_SIDE:
        return []
    together = [loop for loop in serving(name, case) if loop.side_by_side("gpu")]
    return together if name in (*IN_FULL, *IN_PART) else together[1:]


def run(name: str, case: Case, loop: loops.Loop) -> Callable[..., Any]:
    """What a loop makes of a member: its outputs, its last carry, and the gradient in
    all that has one."""
    graph, _, _ = structure(name)

    def one(weights, carry, inputs, length, starts, readout):
        def loss(weights, carry, inputs, readout):
            ways = (case.reset, case.every)
            over = pass_over(inputs, length, starts, *ways, readout=readout)
            carry, outputs = loop(nnx.merge(graph, weights), carry, over)
            return weighed((outputs, carry)), (outputs, carry)

        wanted = (0, 1, *(2,) * case.real, *(3,) * case.readout)
        gradient = jax.grad(loss, wanted, has_aux=True, allow_int=True)
        slopes, values = gradient(weights, carry, inputs, readout)
        return values, [leaf for leaf in jax.tree.leaves(slopes) if is_float(leaf)]

    return one


@cache
def programs(name: str, case: Case) -> tuple[Callable, Callable]:
    """All loops for one member, and those that run members side by side on an
    accelerator for several."""
    alone = [run(name, case, loop) for loop in alone_loops(name, case)]
    together = [run(name, case, loop) for loop in side_by_side_loops(name, case)]
    return (
        quick_jit(lambda *member: [one(*member) for one in alone]),
        quick_jit(lambda *members: [jax.vmap(one)(*members) for one in together]),
    )


def agree(found: Any, expected: Any, loop: str) -> None:
    """Leaf by leaf to the rounding of its dtype or the carry's, with the dtype itself;
    integers exactly."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    (_, carry), _ = expected
    floats = filter(is_float, jax.tree.leaves(carry))
    carried = max(jnp.finfo(leaf.dtype).eps for leaf in floats)
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        eps = max(carried, jnp.finfo(a.dtype).eps) if is_float(a) else 0
        # bfloat16 rounds so coarsely that little but the last rounding is seen
        limit = eps * (4 if eps > 1e-3 else 100)
        for part in (jnp.real, jnp.imag):
            assert relative_error(part(a), part(b)) <= limit, f"engine.loop={loop}"


AGREEING = [
    *((name, case) for name in CELLS for case in cases_of(name)),
    *(("lstm", case) for case in READ_OUT),
]
AGREEING += [("GRUCell", READ_OUT[0]), ("GRUCell", READ_OUT[1]), ("LRU", READ_OUT[2])]


@pytest.mark.parametrize(
    ("name", "case"), leave(AGREEING, but=lambda *each: each in FIRST), ids=label
)
def test_all_loops_agree_alone_and_side_by_side(name, case):
    one, side_by_side = programs(name, case)
    members = [member(name, case, number) for number in range(len(LENGTHS))]
    looped = []
    for arguments, length in zip(members, LENGTHS, strict=True):
        plain, *others = one(*arguments)
        looped.append(plain)
        (outputs, carry), slopes = plain
        shapes, expected = (
            jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), tree)
            for tree in (carry, arguments[1])
        )
        assert shapes == expected
        assert np.any(outputs)
        assert all(np.all(np.isfinite(leaf)) for leaf in slopes)
        for (outputs, _), slopes in (plain, *others):
            if case.every:
                assert not np.any(outputs[length:])
            if case.real:
                assert not np.any(slopes[-1 - case.readout][length:])
        for loop, other in zip(alone_loops(name, case)[1:], others, strict=True):
            agree(other, plain, loop.name)
    together = side_by_side_loops(name, case)
    assert {*alone_loops(name, case), *together} == {*serving(name, case)}
    assert len(serving(name, case)) >= 3
    if together:
        stacked, right = (
            jax.tree.map(lambda *leaves: np.stack(leaves), *each)
            for each in (members, looped)
        )
        for loop, found in zip(together, side_by_side(*stacked), strict=True):
            agree(found, right, f"{loop.name}, side by side")


EXACT = Case(every=True, windows=False, reset=False, real=True)
CUT = EXACT._replace(windows=True)
PLAIN = loops.resolve("plain", loops.Request(cell_class("lstm"), "cpu", False))


class Simple(nnx.SimpleCell):
    """Flax's, which would compute in float32 whatever its weights are."""

    def __init__(self, in_features, hidden_features, *, rngs):
        super().__init__(in_features, hidden_features, dtype=jnp.float64, rngs=rngs)


class Decaying(cell_class("delta_product")):
    """Two writes a step, each after a decay."""

    def log_decay(self, gates):
        return -jax.nn.softplus(gates[0])


LAST = EXACT._replace(every=False)
RESET = CASES[4]
CUT_READOUT = READ_OUT[2]
WRITTEN_OUT = [
    *(("lstm", case, "while") for case in (LAST, CUT, RESET, *READ_OUT[:2])),
    *(
        (name, CUT, "while")
        for name in ("GRUCell", f"{__name__}:Simple", "OptimizedLSTMCell", "LSTMCell")
    ),
    ("OptimizedLSTMCell", RESET, "while"),
    *(("LRU", case, "associative") for case in (EXACT, CUT, RESET)),
    *((name, RESET, "associative") for name in DIAGONAL if name != "LRU"),
    *((name, CUT_READOUT, "associative") for name in CHUNKED),
    # the others of the delta rule have the first one's chunks, but for what is here
    ("delta_net", RESET, "associative"),
    *(
        pytest.param(*each, "associative", marks=pytest.mark.slow)
        for each in [
            *((name, case) for name in CHUNKED for case in (LAST, RESET)),
            (f"{__name__}:Decaying", CUT_READOUT),
            ("signed_delta_net", LAST),
        ]
    ),
]


WRITTEN_FIRST = ("lstm", READ_OUT[0]), ("LRU", RESET), ("delta_net", RESET)


def widened(leaf: Any) -> Any:
    """A leaf in double precision; integers as they are."""
    return leaf.astype(np.result_type(leaf, np.float64)) if is_float(leaf) else leaf


@pytest.mark.parametrize(
    ("name", "case", "loop"),
    leave(WRITTEN_OUT, but=lambda *each: each[:2] in WRITTEN_FIRST),
    ids=label,
)
def test_a_written_out_gradient_is_jaxs_own_in_float64(name, case, loop):
    """Let the length end within one of two chunks; windows begin with one, within one,
    and after it."""
    assert chunkwise.chunk_steps(20) == 10
    given = member(name, case, 0, steps=20, length=17, starts=(0, 3, 10, 13, 19))
    found_by = loops.resolve(loop, loops.Request(cell_class(name), "cpu", case.windows))
    assert found_by.name == loop
    with jax.enable_x64(True):
        wide = jax.tree.map(widened, given)
        both = [run(name, case, loop) for loop in (PLAIN, found_by)]
        results = quick_jit(lambda *member: [one(*member) for one in both])(*wide)
        expected, found = jax.tree.map(np.asarray, results)
    dtypes = {leaf.dtype for leaf in jax.tree.leaves(found)}
    assert dtypes <= {np.dtype("float64"), np.dtype("complex128")}
    parts = [jax.tree.map(part, (found, expected)) for part in (np.real, np.imag)]
    errors = jax.tree.map(relative_error, *zip(*parts, strict=True))
    limit = 1e-11 if owner_of(cell_class(name)) else 1e-12
    assert max(jax.tree.leaves(errors)) <= limit, errors


BY_TRIP_COUNT = [
    (loop, name)
    for loop in loops.loops()
    for name in ("lstm", "GRUCell")
    if not loop.side_by_side("gpu")
    and not loop.refuses(loops.Request(cell_class(name), "cpu", False))
]
each_by_trip_count = pytest.mark.parametrize(
    ("loop", "name"), BY_TRIP_COUNT, ids=lambda value: getattr(value, "name", value)
)


@cache
def counted(name: str, loop: loops.Loop) -> tuple[Any, list]:
    """Compile a loop's run of a member; list the lengths of the buffers for which it is traced."""
    traces: list[int] = []
    one = run(name, EXACT, loop)

    def traced(weights: Any, carry: Any, inputs: Any, length: Any) -> Any:
        traces.append(len(inputs))
        return one(weights, carry, inputs, length, None, None)

    # optimised, XLA may round a Flax cell otherwise in a buffer of another size
    return (jax.jit if name == "lstm" else quick_jit)(traced), traces


@each_by_trip_count
def test_one_trace_serves_every_length(loop, name):
    if why := loop.missing():
        pytest.skip(f"{loop.name} cannot run here: {why}")
    program, traces = counted(name, loop)
    program.clear_cache()
    traces.clear()
    given = member(name, EXACT, 0)[:3]
    results = [program(*given, np.int32(length)) for length in range(1, T + 1)]
    assert traces == [T]
    norms = [float(jnp.sum(outputs**2)) for (outputs, _), _ in results]
    assert norms == sorted(set(norms))  # each step counts


@each_by_trip_count
@pytest.mark.parametrize("length", [*leave([1]), 4])
def test_a_padded_buffer_gives_bitwise_what_an_exact_one_gives(loop, name, length):
    if why := loop.missing():
        pytest.skip(f"{loop.name} cannot run here: {why}")
    program, _ = counted(name, loop)
    weights, carry, inputs = member(name, EXACT, 0)[:3]
    padded = inputs.copy()
    padded[length:] = np.nan
    steps = np.int32(length)
    (outputs, last), (*slopes, d_inputs) = program(weights, carry, padded, steps)
    assert not np.any(outputs[length:])
    assert not np.any(d_inputs[length:])
    found = (outputs[:length], last), [*slopes, d_inputs[:length]]
    exact = program(weights, carry, inputs[:length], steps)
    jax.tree.map(np.testing.assert_array_equal, found, exact)


@pytest.mark.parametrize(
    ("name", "case"),
    [
        *leave([*(("lstm", case) for case in READ_OUT[1:]), ("GRUCell", READ_OUT[2])]),
        ("GRUCell", LAST),
    ],
    ids=label,
)
def test_a_gpu_has_the_bits_of_the_scan_whatever_lay_in_its_buffers(
    name, case, monkeypatch
):
    loop = loops.resolve("masked", loops.Request(cell_class(name), "gpu", case.windows))
    members = [member(name, case, number) for number in range(len(LENGTHS))]
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    scanned = quick_jit(jax.vmap(run(name, case, loop)))(*stacked)
    made = []

    def full_of_nan(shape: Any, dtype: Any) -> jax.Array:
        made.append(shape)
        return jnp.full(shape, jnp.nan, dtype)

    monkeypatch.setattr(
        lax, "platform_dependent", lambda *operands, cuda, default: cuda(*operands)
    )
    monkeypatch.setattr(lax, "empty", full_of_nan)
    written = quick_jit(jax.vmap(run(name, case, loop)))(*stacked)
    assert made
    jax.tree.map(partial(np.testing.assert_array_equal, strict=True), written, scanned)
    assert all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(written))
