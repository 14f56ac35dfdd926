"""A trained network: it runs a whole sequence, or a stream one element at a time, with
its carry at hand."""

from functools import cache

import jax
import numpy as np
import pytest
from breadth import leave
from study_checks import refusal
from task_checks import draw

import memcap
from memcap import store
from memcap.store import files

pytestmark = pytest.mark.usefixtures("quick_file")

TINY = {"budget": 4, "batch": 8, "every": 2, "sequences": 16, "stretch": 1}
LATCH = {"task": "latch", "lag": 3, "units": 2, **TINY}
KINDS = {
    "LSTM": LATCH,
    "LSTM read-out": LATCH | {"readout": "lstm"},
    "GRU": LATCH | {"cell": "GRUCell"},
    "reals": TINY | {"task": "delay_line", "reals": True, "lag": 2, "units": 3},
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("study")


@cache
def trained(folder, kind):
    """A small member and its row, once it is trained into the folder."""
    (member,) = memcap.members(**KINDS[kind])
    engine = memcap.Engine(loop="while", workers=1)
    return member, memcap.train([member], folder, engine=engine, progress=False)


@pytest.fixture(params=["LSTM", *leave(["LSTM read-out", "GRU"]), "reals"])
def loaded(request, folder):
    member, _ = trained(folder, request.param)
    return member, memcap.load(folder, member.key)


def inputs_of(member, steps=7, batch=3):
    return draw(member.task, member.lag, steps, seed=1, steps=steps, batch=batch).inputs


def assert_close(one, other):
    """Compare arrays, or trees of them."""
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_a_sequence_at_once_is_one_element_at_a_time_is_what_the_weights_say(
    loaded, folder
):
    member, net = loaded
    assert net.member == member
    inputs = inputs_of(member)
    outputs, carry = net.run(inputs)
    assert outputs.shape == (7, 3, member.task.outputs)
    state = None
    each = []
    for x in inputs:
        out, state = net.step(x, state)
        each.append(out)
    assert_close(outputs, np.stack(each))
    assert_close(carry, state)
    weights = store.weights_of(folder, store.find_row(folder, member.key))
    whole = jax.jit(lambda w, x: member.architecture.build(w)(x, return_carry=True))
    own, expected = whole(weights, jax.numpy.asarray(inputs))
    assert_close(outputs, jax.numpy.moveaxis(expected, 0, -1))
    assert_close(carry, own)


def test_a_carry_is_handed_on(loaded):
    member, net = loaded
    inputs = inputs_of(member)
    whole, last = net.run(inputs)
    first, carry = net.run(inputs[:4])
    second, end = net.run(inputs[4:], carry)
    assert_close(np.concatenate([first, second]), whole)
    assert_close(end, last)
    # not what a zero carry gives
    assert np.abs(net.run(inputs[4:])[0] - second).max() > 1e-4
    assert_close(net.run(inputs[:4], net.initialize_carry(3))[1], carry)
    numbers = sum(leaf.size for leaf in jax.tree.leaves(net.initialize_carry()))
    assert numbers == member.architecture.carry_numbers()


def test_a_trace_has_every_state(loaded):
    member, net = loaded
    inputs = inputs_of(member)
    outputs, _ = net.run(inputs)
    found = net.trace(inputs)
    assert_close(found.outputs, outputs)
    assert found.hidden.shape == (7, 3, member.model.hidden)
    for t in range(7):
        carry = jax.tree.map(lambda leaf, t=t: leaf[t], found.carries)
        assert_close(carry, net.run(inputs[: t + 1])[1])
    reset = net.trace(inputs, reset=np.arange(7) == 4).outputs
    assert_close(reset[:4], outputs[:4])
    assert_close(reset[4:], net.run(inputs[4:])[0])


NO_STEPS = "must have at least one step of one sequence"


def test_inputs_of_another_shape_are_refused(loaded):
    member, net = loaded
    good = inputs_of(member)
    shape = rf"^inputs \(.*\): {member.task.name} takes shape \("
    bad = [
        (net.run, good[0], shape),
        (net.step, 0, shape),
        (net.run, good[:0], NO_STEPS),
    ]
    if member.task.vocabulary is None:
        twice = np.concatenate([good, good], -1)
        bad += [(net.run, good[..., 0], shape), (net.run, twice, shape)]
    for call, inputs, why in bad:
        with pytest.raises(ValueError, match=why):
            call(inputs)


def test_symbols_that_there_are_not_are_refused(folder):
    member, _ = trained(folder, "LSTM")
    net = memcap.load(folder, member.key)
    for value in (-1, member.task.vocabulary, 1.0):
        with pytest.raises(
            ValueError, match=r"^inputs: latch takes whole numbers from 0"
        ):
            net.step([value])
    assert net.step([6])[0].shape == (1, 2)


def test_a_member_is_loaded_by_the_first_digits_of_its_key(folder, tmp_path):
    member, rows = trained(folder, "LSTM")
    assert memcap.load(folder, member.key[:10]).member == member
    assert "no such folder" in refusal(lambda: memcap.load(tmp_path / "nowhere", "x"))
    files.write_table(tmp_path / "rows.parquet", rows)  # rows without weights
    assert "holds no weights" in refusal(lambda: memcap.load(tmp_path, member.key))


def test_a_carry_of_another_batch_is_refused_and_not_broadcast(loaded):
    member, net = loaded
    inputs = inputs_of(member)
    carry = net.initialize_carry(1)
    for call in (net.run, net.trace, lambda inputs, carry: net.step(inputs[0], carry)):
        with pytest.raises(ValueError, match="for 3 sequences it must have"):
            call(inputs, carry)
    assert repr(net).startswith("Trained(")
    assert member.key in repr(net)
