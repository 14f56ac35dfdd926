"""Jaeger (2001): exact capacities against other ways to compute them."""

import numpy as np
import pytest

from memcap import findings

study = findings.load("jaeger2001")


def test_a_shift_register_holds_as_many_numbers_as_it_has_cells():
    assert study.capacities(np.eye(10, k=-1), 20).tolist() == [1.0] * 10 + [0.0] * 10


def test_one_cell_forgets_by_its_square():
    np.testing.assert_allclose(
        study.capacities(np.array([[0.7]]), 9), (1 - 0.49) * 0.49 ** np.arange(9)
    )


@pytest.mark.parametrize("cells", [2, 5])
def test_capacities_are_projections_on_what_the_states_say_of_the_past(cells):
    recurrent, inward = study.reservoir(cells)
    said_of_past = np.stack(
        [np.linalg.matrix_power(recurrent, k) @ inward for k in range(600)]
    )
    basis = np.linalg.qr(said_of_past)[0]
    np.testing.assert_allclose(
        study.capacities(recurrent, 600), (basis**2).sum(1), atol=1e-9
    )


def test_float32_loses_capacities_of_fifty_cells_that_qr_keeps():
    by_qr, by_normal = study.estimates(*study.reservoir(50))
    assert by_normal < 35
    assert by_qr == pytest.approx(50, rel=0.01)


def test_states_say_as_much_of_the_past_as_there_are_cells_and_none_where_it_is_noise(
    monkeypatch,
):
    by_qr, _ = study.estimates(*study.reservoir(5))
    assert by_qr == pytest.approx(5, rel=0.02)
    past_is_noise = np.random.default_rng(1).standard_normal
    monkeypatch.setattr(
        study, "_past", lambda inputs, lags: past_is_noise((len(inputs) - lags, lags))
    )
    assert study.estimates(*study.reservoir(5))[0] < 0.1
