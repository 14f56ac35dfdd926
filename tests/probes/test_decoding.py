"""Memory curves: of registers and latches that are known, of linear nets in closed
form, and the bound of every net."""

import numpy as np
import pytest
from breadth import leave
from probe_checks import hand_set, untrained

from memcap.probes import NotForThis, decoding
from memcap.tasks.adding import Adding
from memcap.tasks.count import Count
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.latch import Latch
from memcap.tasks.vector_hold import VectorHold

pytestmark = pytest.mark.usefixtures("quick_file")


def curves(net):
    """r^2 by lag of each state, and the table by state."""
    found = decoding.probe(net)
    parts = found.data.sort("k").group_by("state", maintain_order=True)
    by_state = {state: part["r2"].to_numpy() for (state,), part in parts}
    return by_state, {row["state"]: row for row in found.table.to_dicts()}


@pytest.mark.parametrize(
    "task", [DelayLine(), *leave([DelayLine(reals=True)])], ids=["symbols", "reals"]
)
def test_a_shift_register_of_n_units_holds_the_last_n_inputs_and_nothing_else(task):
    found, table = curves(hand_set(task, 5))
    for state in ("h", "(h, c)"):  # c says again what h says
        np.testing.assert_allclose(found[state], [1] * 6 + [0] * 5, atol=1e-3)
        assert table[state]["MC"] == pytest.approx(6, abs=0.01)
    assert (table["h"]["bound"], table["(h, c)"]["bound"]) == (6, 12)
    assert table["h"]["above_half"] == 5


@pytest.mark.parametrize(
    ("task", "scale"),
    [
        (DelayLine(), "one-hot symbols"),
        (DelayLine(reals=True), "numbers with a standard deviation of 1"),
        (Adding(), "numbers with a standard deviation of 0.29 to 0.47"),
    ],
    ids=["symbols", "normal", "uniform, and a marker of a third of the steps"],
)
def test_it_says_on_which_scale_of_inputs_the_state_was_read(task, scale):
    (_, note) = decoding.probe(untrained(task, 5, units=1)).notes
    assert note.startswith(f"Inputs: {scale}, as in training")


def test_a_latch_holds_the_symbol_and_none_of_the_distractors():
    found, table = curves(hand_set(Latch(), 6))
    # after the trigger the symbol is lag + 1 steps old
    np.testing.assert_allclose(found["h"], [0] * 7 + [1], atol=0.01)
    assert table["h"]["MC"] == pytest.approx(1, abs=0.02)


@pytest.mark.breadth
def test_a_linear_net_has_the_curve_of_its_closed_form():
    net = untrained(DelayLine(reals=True), 3, "linear", units=3)
    weights = net.weights["cell"]
    weights["recurrent"] = weights["recurrent"] * np.float32(
        0.9
    )  # inside the unit circle
    kernel, recurrent, _ = type(net.network.cell).arrays(weights)
    reached = [np.float64(kernel[0])]
    for _ in range(400):
        reached.append(reached[-1] @ recurrent)
    covariance = sum(np.outer(v, v) for v in reached)
    # Jaeger (2001), prop. 2
    exact = [v @ np.linalg.solve(covariance, v) for v in reached[:7]]
    found, _ = curves(net)
    assert list(found) == ["h"]  # its carry is h
    np.testing.assert_allclose(found["h"], exact, atol=0.02)


@pytest.mark.parametrize(
    ("task", "cell", "units", "scale"),
    [
        (DelayLine(), "lstm", 2, 3.0),
        *leave(
            [
                (DelayLine(symbols=4), "lstm", 3, 1.0),
                (DelayLine(reals=True), "GRUCell", 2, 0.5),
                (DelayLine(), "LRU", 2, 1.0),
            ]
        ),
        (VectorHold(numbers=5), "lstm", 3, 1.0),
    ],
)
def test_no_net_holds_more_than_its_numbers(task, cell, units, scale):
    _, table = curves(untrained(task, 4, cell, units, scale))
    for row in table.values():
        assert 0.3 < row["MC"] <= 1.01 * row["bound"], row


def test_regression_on_nothing_finds_nothing_and_collinear_states_cost_nothing():
    rng = np.random.default_rng(0)
    halves = decoding.Half(), decoding.Half()
    for half in halves:
        for _ in range(3):  # in parts, which must not matter
            x, noise = rng.standard_normal((2, 2000, 2))
            # each twice, and one that is constant
            states = np.concatenate([x, x * 1e-3 + 5, np.ones((2000, 1))], 1)
            # half of its variance is noise
            mixed = x @ [[1.0], [2.0]] + np.sqrt(5) * noise[:, :1]
            real = np.concatenate([x[:, :1], mixed, noise[:, 1:]], 1)
            half.add(states, np.concatenate([real, np.roll(real, 1, 0)], 1))
    r2, null = decoding.memory(halves, 1)
    np.testing.assert_allclose(r2[0], [1, 0.5, 0], atol=0.03)
    np.testing.assert_allclose(null, 0, atol=0.01)
    assert r2[0, 0] == pytest.approx(1, abs=1e-9)


def test_few_samples_cost_nothing_on_average():
    rng = np.random.default_rng(1)
    samples = 300
    size = 30
    found = []
    for _ in range(80):
        halves = decoding.Half(), decoding.Half()
        for half in halves:
            states = rng.standard_normal((samples, size))
            noise = rng.standard_normal((samples, 1))
            target = states[:, :1] + noise  # r^2 = .5
            half.add(states, np.concatenate([target, np.roll(target, 1, 0)], 1))
        found.append(decoding.memory(halves, 1)[0][0, 0])
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)


def test_inputs_that_never_differ_are_refused():
    with pytest.raises(NotForThis, match=r"^decoding: .* nothing to decode$"):
        decoding.probe(hand_set(Count(), 5))
