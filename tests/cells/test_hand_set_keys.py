"""Cells with a matrix whose weights are set by hand: how small a key may be, and what a
clock lets one layer do (sweeps/cells/cell_map/README.md)."""

import jax
import numpy as np
import pytest
from breadth import leave
from lstm_reference import quick_jit

from memcap.findings import load
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.models.network import forward_pass
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.mqar import Mqar
from memcap.tasks.parity import Parity

# a sigmoid of SURE is 1 in float32
SEQUENCES = 512
SURE = 20.0


def correct(task, lag, length, architecture, cell, readout):
    """The share of answers that are right."""
    weights = architecture.init(None, [0])
    layer = weights["cell"].get("layer", weights["cell"])
    for name, value in cell.items():
        assert layer[name].shape == value.shape, name
        layer[name] = value.astype(np.float32)
    weights["readout"] = {
        "kernel": readout.astype(np.float32),
        "bias": np.zeros(readout.shape[1], np.float32),
    }
    network = architecture.build(weights)

    def share(key):
        batch = task.sample(key, lag, length, length, SEQUENCES)
        answers = network.run(forward_pass(task, batch))[1].argmax(0)
        due = np.ones(batch.targets.shape, bool) if batch.mask is None else batch.mask
        return ((answers == batch.targets) & due).sum() / due.sum()

    return float(quick_jit(share)(jax.random.key(3)))


@pytest.mark.parametrize(("lag", "length"), [*leave([(16, 17), (16, 65)]), (64, 65)])
def test_a_key_of_one_number_follows_parity_in_16_bytes(lag, length):
    """A one turns the sign of the state; the first step, before which no input came, writes it."""
    task = Parity()
    model = Model("signed_delta_net+key1", 1)
    architecture = Architecture(model, task.features, task.outputs)
    assert 4 * architecture.carry_numbers() == 16
    now = np.eye(6)[:3].sum(0)
    before = np.eye(6)[3:].sum(0)
    bit = np.eye(6)[1]
    cell = {
        "gate": (2 * SURE * bit - SURE * now - 3 * SURE * before)[:, None],
        "bias": np.array([3 * SURE]),
        "value": 0.5 * (now - before)[:, None],
        "key": (now - 2 * bit)[:, None],
        "query": now[:, None],
    }
    assert correct(task, lag, length, architecture, cell, np.array([[1.0, -1.0]])) == 1


@pytest.mark.breadth
@pytest.mark.parametrize(("pairs", "symbols"), [(4, 8), (4, 32), (32, 32)])
def test_keys_of_as_many_numbers_as_there_are_keys_recall_in_two_units(pairs, symbols):
    """A value is a place on a circle: as many numbers as the study recall_pairs draws."""
    task = Mqar(pairs=pairs, symbols=symbols)
    name, units = load("recall_pairs").BY_HAND
    model = Model(name.format(symbols), units)
    architecture = Architecture(model, task.features, task.outputs)
    assert architecture.carry_numbers() == 2 * symbols + 2 * symbols + 1
    every = np.eye(2 * symbols + 1)
    angles = np.arange(symbols) * 2 * np.pi / symbols
    circle = np.stack([np.cos(angles), np.sin(angles)], 1)
    nothing = np.zeros((2 * symbols + 1, symbols))
    values = every[:, symbols : 2 * symbols]
    gate = np.concatenate([2 * SURE * values.sum(1), np.zeros(2 * symbols + 1)])
    cell = {
        "gate": gate[:, None],
        "bias": np.array([-SURE]),
        "value": np.concatenate([values @ circle, np.zeros((2 * symbols + 1, 2))]),
        "key": np.concatenate([nothing, every[:, :symbols]]),
        "query": np.concatenate([every[:, :symbols], nothing]),
    }
    for lag in 2 * pairs, 10 * pairs:
        assert correct(task, lag, 2 * lag, architecture, cell, circle.T) == 1


@pytest.mark.parametrize(("lag", "period"), leave([(8, 9), (15, 16)]))
def test_one_layer_with_a_clock_shifts(lag, period):
    """A key is the step modulo the clock's period, a place of its own; a query is that
    of `lag` steps ago."""
    task = DelayLine()
    keys = period
    model = Model(f"delta_net+key{keys}+clock{period}", 1)
    architecture = Architecture(model, task.features, task.outputs)
    assert 4 * architecture.carry_numbers() == 4 * (keys + task.features + 1)
    turns = 2 * np.pi / period * np.arange(1, period // 2 + 1)
    # a Fourier series of 1 at one step of the period
    weight = np.where(turns == np.pi, 1, 2) / period

    def address(back):
        """The kernel of the clock whose result is 1 at the place of `back` steps ago, 0
        at all others."""
        place = np.outer(turns, np.arange(keys) + back)
        constant = np.full((task.features, keys), 1 / period)
        waves = weight[:, None] * np.stack([np.sin(place), np.cos(place)])
        now = np.concatenate([constant, waves.reshape(-1, keys)])
        return np.concatenate([now, np.zeros_like(now)])

    kernel = np.zeros((2 * (task.features + 2 * len(turns)), 1))
    value = kernel.copy()
    value[: task.features, 0] = [-1, 1]
    cell = {
        "gate": kernel,
        "bias": np.array([SURE]),
        "value": value,
        "key": address(0),
        "query": address(lag),
    }
    assert correct(task, lag, 5 * lag, architecture, cell, np.array([[-1.0, 1.0]])) == 1
