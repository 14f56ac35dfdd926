"""Jaeger (2001): exact capacities against other ways to compute them, and what denies them."""

import numpy as np
import pytest
from study_rows import group, table

from memcap.papers.jaeger2001 import paper
from memcap.papers.jaeger2001.paper import PAPER, capacities, estimates, reservoir, reservoirs


def test_a_shift_register_holds_as_many_numbers_as_it_has_cells():
    assert capacities(np.eye(10, k=-1), 20).tolist() == [1.0] * 10 + [0.0] * 10


def test_one_cell_forgets_by_its_square():
    np.testing.assert_allclose(capacities(np.array([[0.7]]), 9), (1 - 0.49) * 0.49 ** np.arange(9))


@pytest.mark.parametrize("cells", [2, 5])
def test_capacities_are_projections_on_what_the_states_say_of_the_past(cells):
    recurrent, inward = reservoir(cells)
    said_of_past = np.stack([np.linalg.matrix_power(recurrent, k) @ inward for k in range(600)])
    basis = np.linalg.qr(said_of_past)[0]
    np.testing.assert_allclose(capacities(recurrent, 600), (basis**2).sum(1), atol=1e-9)


def test_float32_loses_capacities_of_fifty_cells_that_qr_keeps():
    by_qr, by_normal = estimates(*reservoir(50))
    assert by_normal < 35
    assert by_qr == pytest.approx(50, rel=0.01)


def judged_with(monkeypatch, net):
    """What the two claims on linear nets say of other nets than the random ones."""
    monkeypatch.setattr(paper, "reservoir", net)
    reservoirs.cache_clear()
    try:
        return PAPER.findings(table(group("delay_line", 2, knobs={"reals": True})))[:2]
    finally:
        reservoirs.cache_clear()


def test_states_that_say_nothing_of_the_past_or_too_little_deny_that_capacities_add_up(monkeypatch):
    monkeypatch.setattr(paper, "STEPS", 3000)
    silent, _ = judged_with(monkeypatch, lambda n: (np.zeros((n, n)), np.zeros(n)))
    assert silent.holds is False
    chain = np.eye(50, k=-1) * (np.arange(50) != 3)[:, None]
    cut, _ = judged_with(monkeypatch, lambda n: (chain[:n, :n], np.eye(n)[0]))
    assert cut.holds is False, "all but three cells hear nothing"
    past_is_noise = np.random.default_rng(1).standard_normal
    monkeypatch.setattr(paper, "_past", lambda inputs, lags: past_is_noise((len(inputs) - lags, lags)))
    noise, _ = judged_with(monkeypatch, reservoir)
    assert noise.holds is False


def test_a_shift_register_loses_nothing_in_float32(monkeypatch):
    sums, naive = judged_with(monkeypatch, lambda n: (np.eye(n, k=-1), np.eye(n)[0]))
    assert (sums.holds, naive.holds) == (True, False)
