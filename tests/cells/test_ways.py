"""All ways over time give the same outputs, carries and gradients, for every cell and for members side by
side."""

from collections.abc import Callable
from functools import cache
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from lstm_reference import quick_jit, relative_error
from odd_cells import ODD_CELLS

from memcap.cells import Cell, cell_class, cell_classes, native

T, B, F, U, OUT = 9, 3, 4, 5, 2
LENGTHS = (7, T, 1)
# Where the members' windows begin; the second's first step begins one, so that no gradient reaches its
# initial carry.
BOUNDARIES = ((3, 5), (0, 4, 8), (6,))
CELLS = (*cell_classes(), "LSTMCell", *ODD_CELLS)


class Case(NamedTuple):
    """A way to call a cell's scan."""

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
FEW = [CASES[0], CASES[3], CASES[5]]  # each value of each is somewhere among them
READ_OUT = [  # of one window and every step, the LSTM's read-out is fused into its loop
    Case(every=True, windows=False, reset=False, real=True, readout=True),
    Case(every=True, windows=False, reset=False, real=False, readout=True),
    Case(every=True, windows=True, reset=False, real=True, readout=True),
    Case(every=False, windows=False, reset=False, real=False, readout=True),
]


def cases_of(name: str) -> list[Case]:
    """All for a cell with a loop of its own, and for one cell of each kind of carry that goes by the loop of
    all cells."""
    own = cell_class(name).scan is not Cell.scan
    return CASES if own or name in ("GRUCell", "odd_cells:Diagonal", "odd_cells:Clocked") else FEW


def label(value: Any) -> str:
    if not isinstance(value, Case):
        return str(value).rpartition(":")[2]
    window = "reset" if value.windows and value.reset else "cut" if value.windows else "one"
    words = ["every" if value.every else "last", window, "reals" if value.real else "symbols"]
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
    carry = jax.eval_shape(lambda w: nnx.merge(graph, w).initialize_carry((B, F), nnx.Rngs(0)), weights)
    return graph, weights, carry


def member(name: str, case: Case, number: int) -> tuple:
    """Weights, carry, inputs, length, flows and read-out of a member, each of another draw. Past its length,
    inputs go on."""
    rng = np.random.default_rng(number)
    _, weights, carry = structure(name)
    weights, carry = jax.tree.map(lambda leaf: drawn(rng, leaf), (weights, carry))
    inputs = (
        rng.standard_normal((T, B, F)).astype(np.float32)
        if case.real
        else rng.integers(0, F, (T, B), np.int32)
    )
    flows = (
        np.where(np.isin(np.arange(T), BOUNDARIES[number]), 0, 1).astype(np.float32) if case.windows else None
    )
    readout = rng.standard_normal((U, OUT)).astype(np.float32) if case.readout else None
    return weights, carry, inputs, np.int32(LENGTHS[number]), flows, readout


def weighed(tree: Any) -> jax.Array:
    """A real loss to which every float, and both parts of a complex number, add with a weight of their
    own."""
    total = jnp.float32(0)
    for leaf in filter(is_float, jax.tree.leaves(tree)):
        weights = jnp.sin(1 + jnp.arange(leaf.size)).reshape(leaf.shape)
        total += jnp.sum(leaf.real * weights)
        if jnp.iscomplexobj(leaf):
            total += jnp.sum(leaf.imag * jnp.cos(weights))
    return total


def run(name: str, case: Case, how: Any) -> Callable[..., Any]:
    """What a member's scan gives: its outputs, its last carry, and the gradient in all that has one."""
    graph, _, _ = structure(name)

    def one(weights, carry, inputs, length, flows, readout):
        def loss(weights, carry, inputs, readout):
            cell = nnx.merge(graph, weights)
            ways = {"every": case.every, "reset": case.reset, "readout": readout, "how": how}
            carry, outputs = cell.scan(carry, inputs, length, flows, **ways)
            return weighed((outputs, carry)), (outputs, carry)

        wanted = (0, 1, *(2,) * case.real, *(3,) * case.readout)
        gradient = jax.grad(loss, wanted, has_aux=True, allow_int=True)
        slopes, values = gradient(weights, carry, inputs, readout)
        return values, [leaf for leaf in jax.tree.leaves(slopes) if is_float(leaf)]

    return one


@cache
def programs(name: str, case: Case) -> tuple[Callable, Callable]:
    """All ways for one member, and "scan" for members side by side."""
    ways = {
        how: run(name, case, how)
        for how in ("loop", "scan", "plain", *("native",) * (native.missing() is None))
    }
    return quick_jit(lambda *member: {how: one(*member) for how, one in ways.items()}), quick_jit(
        jax.vmap(ways["scan"])
    )


def agree(found: Any, expected: Any) -> None:
    """Leaf by leaf to the rounding of its dtype or the carry's, with the dtype itself; integers exactly."""
    assert jax.tree.structure(found) == jax.tree.structure(expected)
    (_, carry), _ = expected
    carried = max(jnp.finfo(leaf.dtype).eps for leaf in jax.tree.leaves(carry) if is_float(leaf))
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(expected), strict=True):
        assert a.dtype == b.dtype
        eps = max(carried, jnp.finfo(a.dtype).eps) if is_float(a) else 0
        limit = eps * (
            4 if eps > 1e-3 else 100
        )  # bfloat16 rounds so coarsely that little but the last rounding is seen
        for x, y in [(a.real, b.real), (a.imag, b.imag)] if jnp.iscomplexobj(a) else [(a, b)]:
            assert relative_error(x, y) <= limit


@pytest.mark.parametrize(
    ("name", "case"),
    [
        *((name, case) for name in CELLS for case in cases_of(name)),
        *(("lstm", case) for case in READ_OUT),
        ("GRUCell", READ_OUT[0]),
    ],
    ids=label,
)
def test_all_ways_agree_alone_and_side_by_side(name, case):
    one, side_by_side = programs(name, case)
    members = [member(name, case, number) for number in range(len(LENGTHS))]
    looped = []
    for arguments, length in zip(members, LENGTHS, strict=True):
        ways = one(*arguments)
        looped.append(ways["loop"])
        (outputs, carry), slopes = ways["loop"]
        assert jax.tree.map(lambda leaf: (leaf.shape, leaf.dtype), carry) == jax.tree.map(
            lambda leaf: (leaf.shape, leaf.dtype), arguments[1]
        )
        assert np.any(outputs)
        assert all(np.all(np.isfinite(leaf)) for leaf in slopes)
        for (outputs, _), slopes in ways.values():
            if case.every:
                assert not np.any(outputs[length:])
            if case.real:
                assert not np.any(slopes[-1 - case.readout][length:])
        agree(ways["scan"], ways["loop"])
        agree(ways["plain"], ways["loop"])
        if "native" in ways:  # where it does not serve the call, it is the loop
            agree(ways["native"], ways["loop"])
    stacked = jax.tree.map(lambda *leaves: np.stack(leaves), *members)
    agree(side_by_side(*stacked), jax.tree.map(lambda *leaves: np.stack(leaves), *looped))
