"""Jacobians: of a latch and of registers in closed form, and against differences."""

import jax
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


def test_a_shift_register_passes_changes_on_until_they_fall_out():
    units = 4
    net = hand_set(DelayLine(reals=True), units - 1)
    data = jacobian.probe(net).data
    norms = (
        data.filter(data["what"] == "product")
        .group_by("k")
        .max()
        .sort("k")["norm"]
        .to_list()
    )
    assert all(norm > 0.5 for norm in norms[: units - 1])
    assert max(norms[units:]) < 1e-6
    # nilpotent, as far as rounding lets eigenvalues say so
    assert data["modulus"].drop_nulls().max() < 0.05


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
    at = 6
    steps = 3
    before = jax.tree.map(
        lambda leaf: leaf[at - 1], carries[0] if readout == "lstm" else carries
    )
    leaves, tree = jax.tree.flatten(before)
    numbers = [
        np.stack([leaf.real, leaf.imag]) if np.iscomplexobj(leaf) else leaf
        for leaf in leaves
    ]
    vector = np.concatenate([leaf.ravel() for leaf in numbers])

    def after(x):
        parts = np.split(
            x.astype(np.float32), np.cumsum([leaf.size for leaf in numbers])[:-1]
        )
        parts = [
            part.reshape(leaf.shape) for part, leaf in zip(parts, numbers, strict=True)
        ]
        whole = [
            p[0] + 1j * p[1] if np.iscomplexobj(leaf) else p
            for p, leaf in zip(parts, leaves, strict=True)
        ]
        carry = jax.tree.unflatten(tree, whole)
        for given in inputs[at : at + steps]:
            carry = net.network.cells_step(carry, given)[0]
        ends = [np.asarray(leaf) for leaf in jax.tree.leaves(carry)]
        return np.concatenate(
            [
                np.stack([e.real, e.imag]).ravel() if np.iscomplexobj(e) else e.ravel()
                for e in ends
            ]
        )

    step = 1e-2
    numeric = np.transpose(
        [
            (after(vector + step * e) - after(vector - step * e)) / (2 * step)
            for e in np.eye(len(vector))
        ]
    )
    assert found.shape == (net.member.length, len(vector), len(vector))
    product = found[at + 2] @ found[at + 1] @ found[at]
    np.testing.assert_allclose(product, numeric, atol=1e-3)
    assert jacobian.products(found[at:], steps)[0, steps] == pytest.approx(
        np.linalg.norm(product, 2), rel=1e-9
    )


def test_a_carry_of_too_many_numbers_is_refused():
    with pytest.raises(
        NotForThis, match=r"^jacobian: a carry of 600 numbers; at most 512$"
    ):
        jacobian.probe(untrained(DelayLine(), 2, "lstm", units=300))
