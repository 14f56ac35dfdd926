"""Variants of cells: a carry in bfloat16 or of few bits, a noisy one, and one that is
read out whole."""

from typing import Any

import jax
import jax.numpy as jnp
import ml_dtypes
import numpy as np
import pytest
from breadth import leave
from flax import nnx
from loop_checks import run_loop
from lstm_reference import quick_jit

from memcap import loops
from memcap.cells import cell_class, cell_facts
from memcap.knobs import UserError
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.models.network import Network

T = 12
B = 6
F = 3
U = 5
CELLS = ("lstm", "GRUCell", "LRU")


def network(name: str) -> Network:
    """A net of the cell with weights that move its carry."""
    net = Architecture(Model(name, U), F, 2).network(3)
    rngs = nnx.Rngs(1)
    for _, weights in nnx.iter_graph(net):
        if isinstance(weights, nnx.Param):
            shape = weights[...].shape
            drawn = jax.random.normal(rngs.params(), shape, weights[...].dtype)
            weights[...] = 0.4 * drawn
    return net


@pytest.fixture(scope="module")
def inputs() -> jax.Array:
    return jax.random.normal(jax.random.key(0), (T, B, F))


def run(net: Network, inputs: jax.Array, loop: str = "while") -> tuple[Any, jax.Array]:
    """The carry at the end and all hidden states (T, H, B)."""
    return quick_jit(lambda x: run_loop(loop, net.cell, x, net.carry(B)))(inputs)


def parts(carry: Any) -> list[np.ndarray]:
    return [np.asarray(leaf) for leaf in jax.tree.leaves(carry)]


def numbers(leaf: np.ndarray) -> list[np.ndarray]:
    """The leaf, or both parts of complex numbers."""
    return [leaf.real, leaf.imag] if np.iscomplexobj(leaf) else [leaf]


def rounded(leaf: np.ndarray) -> np.ndarray:
    """To bfloat16 and back, by another library."""
    if np.iscomplexobj(leaf):
        return (rounded(leaf.real) + 1j * rounded(leaf.imag)).astype(leaf.dtype)
    return leaf.astype(ml_dtypes.bfloat16).astype(leaf.dtype)


@pytest.mark.parametrize("name", leave(CELLS, but="GRUCell".__eq__))
def test_a_bfloat16_carry_is_what_rounding_after_each_step_of_the_cell_gives(
    name, inputs
):
    plain = network(name)
    stored = network(f"{name}+bfloat16")
    carry = plain.carry(B)
    slow = []
    step = quick_jit(lambda carry, x: plain.cell(carry, x))
    for x in inputs:
        carry, hidden = step(carry, x)
        carry = jax.tree.map(lambda leaf: jnp.asarray(rounded(np.asarray(leaf))), carry)
        slow.append(hidden)
    for loop in ("while", "masked", "plain"):
        last, hidden = run(stored, inputs, loop)
        assert all(leaf.dtype == jnp.bfloat16 for leaf in parts(last))
        # Sums in another order may round a number to the neighbour in bfloat16.
        np.testing.assert_allclose(
            np.swapaxes(hidden, -1, -2), np.stack(slow), atol=2e-2, rtol=2e-2
        )
        for leaf, exact in zip(parts(last), parts(carry), strict=True):
            if np.iscomplexobj(exact):
                exact = np.stack([exact.real, exact.imag], -1)
            assert np.mean(leaf.astype(np.float32) == exact) > 0.9, loop


@pytest.mark.parametrize("name", CELLS)
def test_a_bfloat16_carry_counts_half_the_bits_and_as_many_numbers(name):
    usual = Architecture(Model(name, U), F, 2)
    stored = Architecture(Model(f"{name}+bfloat16", U), F, 2)
    bits = [cell_facts(net.model.cell).bits_per_unit for net in (usual, stored)]
    assert bits[0] == 2 * bits[1]
    assert stored.carry_numbers() == usual.carry_numbers()
    assert stored.parameters() == usual.parameters()


def after_one_step(name: str, x: jax.Array) -> list[np.ndarray]:
    net = network(name)
    step = quick_jit(lambda carry, x: net.cell(carry, x)[0])
    return parts(step(net.carry(len(x)), x))


@pytest.mark.parametrize("name", leave(CELLS, but="lstm".__eq__))
def test_noise_is_gaussian_of_the_size_that_is_named_and_new_for_each_sequence(name):
    x = jax.random.normal(jax.random.key(5), (4000, F))
    noisy = after_one_step(f"{name}+noise0.1", x)
    noise = []
    for one, other in zip(noisy, after_one_step(name, x), strict=True):
        noise += numbers(one - other)
    flat = np.concatenate(noise, 1)
    assert flat.mean() == pytest.approx(0, abs=4 * 0.1 / np.sqrt(flat.size))
    assert flat.std() == pytest.approx(0.1, rel=4 / np.sqrt(2 * flat.size))
    fourth = np.mean(flat**4) / np.mean(flat**2) ** 2
    # a Gaussian's, and its standard error
    assert fourth == pytest.approx(3, abs=4 * np.sqrt(96 / flat.size))
    shared = np.corrcoef(flat.T) - np.eye(flat.shape[1])
    assert np.abs(shared).max() < 5 / np.sqrt(len(flat))
    assert abs(np.corrcoef(flat[:-1, 0], flat[1:, 0])[0, 1]) < 4 / np.sqrt(len(flat))


@pytest.mark.breadth
def test_noise_hangs_on_the_whole_sequence_so_far_and_comes_again_with_it(inputs):
    net = network("lstm+noise0.1")
    _, first = run(net, inputs)
    _, again = run(net, inputs)
    np.testing.assert_array_equal(first, again)
    _, other = run(net, inputs.at[0, 0, 0].add(1e-3))
    apart = np.abs(np.asarray(first - other))[1:, :, 0]
    assert apart.max(-1).min() > 1e-3, (
        "a change too small to matter draws other noise at every later step"
    )
    np.testing.assert_array_equal(first[:, :, 1:], other[:, :, 1:])


@pytest.mark.parametrize("name", CELLS)
def test_the_whole_carry_is_what_the_step_hands_on(name, inputs):
    net = network(f"{name}+carry")
    carry, hidden = quick_jit(lambda x: net.cell(net.carry(B), x))(inputs[0])
    assert net.cell.hidden_per_unit == cell_facts(name).numbers_per_unit
    assert hidden.shape == (B, net.cell.hidden_per_unit * U)
    given = [part for leaf in parts(carry) for part in numbers(leaf)]
    np.testing.assert_array_equal(hidden, np.concatenate(given, -1))


@pytest.mark.parametrize("bits", [1, 3])
@pytest.mark.parametrize("name", ["lstm", "LRU"])
def test_a_carry_of_few_bits_is_the_nearest_of_so_many_levels_after_each_step(
    name, bits, inputs
):
    plain = network(name)
    few = network(f"{name}+bits{bits}")
    levels = np.linspace(-1, 1, 2**bits)

    def nearest(leaf: np.ndarray) -> np.ndarray:
        if np.iscomplexobj(leaf):
            return nearest(leaf.real) + 1j * nearest(leaf.imag)
        return levels[np.abs(leaf[..., None] - levels).argmin(-1)]

    carry = few.carry(B)
    for leaf in parts(carry):
        np.testing.assert_allclose(leaf, nearest(leaf), atol=1e-6)
    for x in inputs:
        (after, hidden), (usual, shown) = few.cell(carry, x), plain.cell(carry, x)
        np.testing.assert_array_equal(hidden, shown)
        for leaf, whole in zip(parts(after), parts(usual), strict=True):
            np.testing.assert_allclose(leaf, nearest(whole), atol=1e-6)
        carry = after
    facts = cell_facts(f"{name}+bits{bits}")
    assert facts.bits_per_unit == facts.numbers_per_unit * bits


def test_a_gradient_passes_few_bits_as_if_none_were_rounded_but_where_they_are_cut(
    inputs,
):
    plain = network("lstm")
    few = network("lstm+bits2")
    c, h = (jnp.full_like(leaf, 2.0) for leaf in plain.carry(B))
    slopes = [
        jax.grad(lambda c, net=net: net.cell((c, h), inputs[0])[0][0].sum())(c)
        for net in (plain, few)
    ]
    is_cut = np.abs(plain.cell((c, h), inputs[0])[0][0]) > 1
    assert 0 < is_cut.mean() < 1
    np.testing.assert_allclose(slopes[1], np.where(is_cut, 0, slopes[0]), rtol=1e-6)


@pytest.mark.parametrize("suffix", ["bits3", *leave(["bfloat16", "noise0.1", "carry"])])
def test_gradients_are_those_of_the_plain_loop(suffix, inputs):
    net = network(f"GRUCell+{suffix}")
    build = Architecture(Model(f"GRUCell+{suffix}", U), F, 2).build
    weights = nnx.to_pure_dict(nnx.split(net)[1])

    def gradient(loop: str) -> list[jax.Array]:
        slopes = jax.grad(lambda w: (build(w)(inputs, loop=loop) ** 2).sum())
        return jax.tree.leaves(quick_jit(slopes)(weights))

    for a, b in zip(gradient("while"), gradient("plain"), strict=True):
        np.testing.assert_allclose(a, b, rtol=0.05, atol=0.05 * float(jnp.abs(b).max()))


def left_by_a_step(name: str, gate: float, state: np.ndarray) -> np.ndarray:
    """What a step leaves of a state that a key of ones reads, whose gates see `gate`
    and nothing else."""
    cls: Any = cell_class(name)
    cell = cls(F, U, rngs=nnx.Rngs(0))
    if hasattr(cell, "kernel"):  # h' = a h + b, b = 0
        sign = {"forget": 1, "input": -1, "candidate": 0}
        biases = np.repeat([sign[role] * gate for role in cls.gates.roles], U)
        cell.kernel[...] = jnp.zeros_like(cell.kernel)
        cell.bias[...] = jnp.float32(biases)
        return np.asarray(cell(state, jnp.zeros((B, F)))[0])
    key = jnp.ones((B, cell.keys)) / np.sqrt(cell.keys)
    gates = [jnp.full(B, gate)] * len(cell.bias)
    nothing = cell.write(jnp.zeros_like(state), key, jnp.zeros((B, U)), gates)
    np.testing.assert_array_equal(nothing, 0)
    return np.asarray(cell.write(state, key, jnp.zeros((B, U)), gates))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("minGRU", (B, U)),
        *leave(
            [
                ("minLSTM", (B, U)),
                *((name, (B, 16, U)) for name in ("gla", "mamba2", "delta_net")),
            ]
        ),
    ],
)
def test_a_signed_factor_is_twice_the_cell_s_less_1(name, shape):
    """The state is alike along all keys, so that of the delta rule, too, one factor is left."""
    state = np.ones(shape, np.float32) * np.arange(1, U + 1, dtype=np.float32)
    factors = []
    for gate in (-40.0, -1.0, 0.5, 3.0, 40.0):
        factor = 2 * left_by_a_step(name, gate, state) / state - 1
        signed = left_by_a_step(f"{name}+signed", gate, state) / state
        np.testing.assert_allclose(signed, factor, atol=1e-5)
        factors.append(factor.ravel()[0])
    assert max(factors) > 0.9
    assert min(factors) < -0.8


@pytest.mark.breadth
def test_the_signed_delta_net_is_a_cell_of_its_own_name(inputs):
    one = network("delta_net+signed")
    other = network("signed_delta_net")
    np.testing.assert_array_equal(run(one, inputs)[1], run(other, inputs)[1])


@pytest.mark.parametrize(
    ("name", "loop"),
    leave(
        [
            ("minGRU", "associative"),
            ("gated_delta_net+rate", "associative"),
            ("mamba2", "masked"),
        ]
    ),
)
def test_accelerators_run_signed_cells_by_the_loops_of_their_kind(name, loop, inputs):
    signed = f"{name}+signed"
    request = loops.Request(cell_class(signed), "gpu", False)
    assert loops.choose("auto", request).loop == loop
    net = network(signed)
    shown = [parts(run(net, inputs, name)) for name in (loop, "plain")]
    for one, other in zip(*shown, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5)


def test_suffixes_apply_one_after_the_other():
    cell = cell_class("lstm+bfloat16+noise0.5")
    assert cell.name == "lstm+bfloat16+noise0.5"
    assert cell is cell_class("lstm+bfloat16+noise0.5")
    assert not cell.can_pad
    carry = after_one_step("lstm+bfloat16+noise0.5", jnp.zeros((9, F)))
    assert all(leaf.dtype == jnp.bfloat16 for leaf in carry)
    # sequences that are alike get noise of their own
    assert len(np.unique(carry[0].astype(np.float32)[:, 0])) > 4


NONE = (
    r"no such variant; \+bfloat16, \+bitsN, N from 1 to 16, \+carry, \+signed, \+noiseS,"
    r" S above"
)
NOT_SUFFIXES = (
    *("", "bf16", "noise", "noise0", "noiseinf", "noise1_0", "noise.1", "noise0.10"),
    *("bits0", "bits17", "bits04", "0.1", "conv1", "conv", "gate3"),
)
SIGN = r"\+signed is for cells whose input says what share of the state"
UNSIGNED = ("lstm", "linear_attention", "signed_delta_net")
PARTS = {  # of layers, on cells that have none
    "lstm+key8": "a cell with a matrix",
    "lstm+clock16": "a cell with a matrix, before .*, or of such a cell after",
    "delta_net+clock16+clock8": "a cell with a matrix",
    "delta_net+heads2+key4": "a cell with a matrix",
    "delta_net+heads2+conv4": "a cell with a matrix and one write",
    "delta_net+bits2+heads2": "a cell .*, before a variant of its carry",
    "slstm+bfloat16+conv4": "a cell with a matrix",
    "slstm+gate": "a cell with a matrix",
    "mlstm+skip": "mamba2, of m2rnn, or of mlstm after",
    "gla+skip": "mamba2",
    "delta_net+rate": "gated_delta_net",
}
ONCE = r"each suffix can stand once; leave out \+"


@pytest.mark.parametrize(
    ("name", "why"),
    [
        *((f"lstm+{suffix}", NONE) for suffix in NOT_SUFFIXES),
        *((f"{name}+signed", SIGN) for name in UNSIGNED),
        ("lstm+carry+carry", ONCE),
        ("GRUCell+bfloat16+noise0.1+bfloat16", ONCE),
        ("delta_net+key4+key8", ONCE),
        ("delta_net+carry", r"\+carry is for cells whose carry is alike"),
        *((f"delta_net+{suffix}", NONE) for suffix in ("key08", "key257", "heads1")),
        *((name, f".* is a part of {of}") for name, of in PARTS.items()),
        ("lsmt+bfloat16", "no such cell"),
    ],
)
def test_a_suffix_that_is_none_or_of_another_cell_is_refused_in_one_line(name, why):
    with pytest.raises(UserError, match=rf"^model\.cell=[\w+.]*: {why}"):
        Model(name)
