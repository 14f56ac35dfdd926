"""Jacobians: of a latch and of registers in closed form, and against differences."""

import jax
import jax.flatten_util
import numpy as np
import pytest
from breadth import leave
from probe_checks import hand_set, untrained

from memcap.probes import NotForThis, fresh_batch, jacobian, trace
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.latch import Latch


def test_a_latch_passes_a_change_of_c_on_and_forgets_one_of_h():
    net = hand_set(Latch(), 5)
    found = jacobian.jacobians(net)
    assert np.abs(found[0]).max() < 1e-6  # the symbol overwrites all
    gain = 1 / np.cosh(0.8) ** 2  # of h = tanh(c) at c = +-.8
    for each in found[1:]:
        np.testing.assert_allclose(each, [[1, 0], [gain, 0]], atol=1e-5)
    table = jacobian.probe(net).table.row(0, named=True)
    assert table["largest_modulus"] == pytest.approx(1, abs=1e-5)
    assert table["largest_singular"] == pytest.approx(np.sqrt(1 + gain**2), abs=1e-5)


@pytest.mark.parametrize(
    ("cell", "readout", "layers"),
    [
        *leave([("GRUCell", "dense", 2), ("LRU", "dense", 1), ("lstm", "lstm", 2)]),
        ("lstm", "lstm", 1),
    ],
)
def test_jacobians_are_the_differences_of_steps(cell, readout, layers):
    net = untrained(DelayLine(), 2, cell, units=2, readout=readout, layers=layers)
    found = jacobian.jacobians(net)
    inputs = np.eye(2, dtype=np.float32)[np.asarray(fresh_batch(net, 1).inputs)]
    carries = trace(net, fresh_batch(net, 1)).carries
    if readout == "lstm":
        carries, _ = carries
    at = 6
    steps = 3
    # real and imaginary parts are numbers of their own
    real = jax.tree.map(
        lambda leaf: (
            (leaf[at - 1].real, leaf[at - 1].imag)
            if np.iscomplexobj(leaf)
            else leaf[at - 1]
        ),
        carries,
    )
    vector, whole = jax.flatten_util.ravel_pytree(real)
    is_pair = np.iscomplexobj(jax.tree.leaves(carries)[0])

    @jax.jit
    def after(vector):
        carry = whole(vector)
        carry = jax.lax.complex(*carry) if is_pair else carry
        for given in inputs[at : at + steps]:
            carry, _ = net.network.cells_step(carry, given)
        carry = (carry.real, carry.imag) if is_pair else carry
        return jax.flatten_util.ravel_pytree(carry)[0]

    step = 1e-2
    shifts = step * np.eye(len(vector), dtype=np.float32)
    ends = [(after(vector + shift), after(vector - shift)) for shift in shifts]
    numeric = np.transpose([(up - down) / (2 * step) for up, down in ends])
    assert found.shape == (net.member.length, len(vector), len(vector))
    product = found[at + 2] @ found[at + 1] @ found[at]
    np.testing.assert_allclose(product, numeric, atol=1e-3)
    norm = jacobian.products(found[at:], steps)[0, steps]
    assert norm == pytest.approx(np.linalg.norm(product, 2), rel=1e-9)


def test_a_carry_of_too_many_numbers_is_refused():
    said = r"^jacobian: a carry of 600 numbers; at most 512$"
    with pytest.raises(NotForThis, match=said):
        jacobian.probe(untrained(DelayLine(), 2, "lstm", units=300))
