"""What papers' findings compute, against other ways to compute it, and which nets they
count, on rows that nobody trained."""

import math
from collections import Counter
from itertools import product

import numpy as np
import pytest
from study_rows import at_lengths, group, seeds, table
from task_checks import draw as draw_batch

from memcap.findings import load, without_order
from memcap.launch.app import compose_jobs
from memcap.tasks.bandlimited_delay import BandlimitedDelay


@pytest.mark.parametrize(
    ("study", "init", "sizes"),
    [
        # 4 u (n + u + 1) and 8 (u + 1) of 48 units that see 1 number, or 44 that see 10
        ("bai2018", "forget_bias", {9992, 10_040}),
        ("voelker2019", "keras", {41_305}),  # as their code prints
    ],
)
def test_nets_have_the_parameters_of_the_papers(study, init, sizes):
    ((job,),) = compose_jobs([f"sweeps=papers/{study}"])
    nets = [m.architecture for m in job.members if m.recipe.init == init]
    assert {net.parameters() for net in nets} == sizes


def test_all_cells_of_gu2023_have_the_same_carry_numbers():
    ((job,),) = compose_jobs(["sweeps=papers/gu2023"])
    numbers = {cell: set() for cell in load("gu2023").NAMES}
    for m in job.members:
        numbers[m.model.cell].add(m.architecture.carry_numbers())
    assert all(sizes == {8, 16, 32, 64} for sizes in numbers.values())


def recalled(cell, units, pairs, rewrites, strength=1.0, trials=300):
    """One sequence after another, by the rules as they are written down."""
    rng = np.random.default_rng(7)
    right = 0
    for _ in range(trials):
        keys = rng.normal(size=(32, 16))
        values = rng.normal(size=(32, units))
        keys /= np.linalg.norm(keys, axis=1)[:, None]
        values /= np.linalg.norm(values, axis=1)[:, None]
        state = np.zeros((units, 16))
        latest = {}
        said = iter(rng.permutation(32))
        for key in rng.permutation(np.tile(np.arange(pairs), 1 + rewrites)):
            latest[key] = value = next(said)
            old = state @ keys[key] if cell == "delta_net" else 0
            state += strength * np.outer(values[value] - old, keys[key])
        for key, value in latest.items():
            right += np.argmax(values @ state @ keys[key]) == value
    return right / trials / pairs


def test_recall_without_training_is_that_of_the_rules():
    constructed = load("arora2024").constructed
    linear = recalled("linear_attention", 8, 16, 0)
    assert constructed("linear_attention", 8, 16, 0) == pytest.approx(linear, abs=0.03)
    best = max(recalled("delta_net", 8, 16, 1, strength) for strength in (0.5, 1.0))
    assert constructed("delta_net", 8, 16, 1) == pytest.approx(best, abs=0.03)


def test_the_least_error_of_a_linear_read_out_is_the_line_of_collins2017():
    """The best reconstruction of a random vector from u random directions of it."""
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((20000, 8))
    for units in (2, 6):
        hidden = vectors @ rng.standard_normal((8, units))
        again = hidden @ np.linalg.lstsq(hidden, vectors, rcond=None)[0]
        assert ((again - vectors) ** 2).mean() == pytest.approx(1 - units / 8, abs=0.02)


def test_a_count_on_a_line_is_simulated():
    """100,000 walks of 60 moves; a guess among five places where one went too far."""
    on_a_line = load("deletang2023").on_a_line
    rng = np.random.default_rng(0)
    walks = np.cumsum(rng.integers(-1, 2, (100_000, 60), dtype=np.int8), axis=1)
    for far in (5, 9, 12):
        inside = np.mean(np.abs(walks).max(1) <= far)
        assert on_a_line(60, far) == pytest.approx(inside + (1 - inside) / 5, abs=0.005)
    assert on_a_line(3, 4) == pytest.approx(1)


@pytest.mark.parametrize("cells", [2, 5])
def test_capacities_are_projections_on_what_the_states_say_of_the_past(cells):
    study = load("jaeger2001")
    recurrent, inward = study.reservoir(cells)
    powers = [np.linalg.matrix_power(recurrent, k) @ inward for k in range(600)]
    basis = np.linalg.qr(np.stack(powers))[0]
    expected = (basis**2).sum(1)
    np.testing.assert_allclose(study.capacities(recurrent, 600), expected, atol=1e-9)


@pytest.mark.parametrize(("cells", "by_normal"), [(5, 5), (50, 35)])
def test_float32_loses_capacities_of_fifty_cells_that_qr_keeps(cells, by_normal):
    study = load("jaeger2001")
    by_qr, by_normal_equations = study.estimates(*study.reservoir(cells))
    assert by_qr == pytest.approx(cells, rel=0.02)
    assert by_normal_equations < by_normal * 1.02


def test_what_numbers_leave_is_what_a_drawn_signal_shows():
    """10 numbers of a window, in the directions in which other windows vary most,
    against the eigenvalues."""
    steps = 40
    batch = draw_batch(BandlimitedDelay(), steps, 100, steps=100, batch=4096)
    x = batch.inputs[-steps:, :, 0]
    directions = np.linalg.eigh(np.cov(x[:, :2048]))[1][:, -10:]
    others = x[:, 2048:]
    left = 1 - ((directions.T @ others) ** 2).sum() / (others**2).sum()
    assert left == pytest.approx(load("voelker2019").leaves(steps)[10], abs=0.02)


@pytest.mark.parametrize(("items", "symbols"), [(1, 5), (3, 2), (4, 3), (5, 3)])
def test_copying_without_order_is_counted_over_all_sequences(items, symbols):
    right = 0.0
    nats = 0.0
    for sequence in product(range(symbols), repeat=items):
        counts = Counter(sequence)
        right += max(counts.values()) / items
        nats -= sum(math.log(counts[symbol] / items) for symbol in sequence) / items
    number = symbols**items
    assert without_order.accuracy(items, symbols) == pytest.approx(right / number)
    assert without_order.nats(items, symbols) == pytest.approx(nats / number)


def test_losses_of_arjovsky2016_are_over_all_steps_as_the_papers():
    study = load("arjovsky2016")
    assert pytest.approx(10 * math.log(8) / 120) == study.BASELINE
    knobs = {"items": 10, "symbols": 8}
    learnt = {"train_loss": 0.01 / study.SHARE, "steps_to_solve": 300}
    lost = {"train_loss": None}
    data = study.PAPER.table(table(seeds("copy", 100, learnt, {}, lost, knobs=knobs)))
    half = 0.5 * study.SHARE
    assert data["loss"].to_list() == [pytest.approx(0.01), pytest.approx(half), None]
    assert data["steps"].to_list() == [300, None, None]


RATES = (0.32, 0.18, 0.1, 0.056, 0.032, 0.018, 0.01, 0.0056, 0.0032)


def phases(exponent=3.0, lags=(5, 7, 10, 14), stuck=0):
    """Seeds that train below a rate of .13 at a delay of 5, falling as a power of the
    delay; `stuck` of 16 at no rate."""
    groups = []
    for lag in lags:
        below = 0.13 * (5 / lag) ** exponent
        for lr in RATES:
            trained = {32: ((16 - stuck) * (lr < below), 16)}
            groups += group("cue_discrimination", lag, trained, cell="leaky", lr=lr)
    return table(groups)


@pytest.mark.parametrize(("exponent", "falls"), [(0.0, False), (1, False), (3, True)])
def test_the_power_that_the_rows_were_made_with_is_found(exponent, falls):
    study = load("dynamical_phases2025")
    rows = phases(exponent)
    line = study.power(study.posteriors(study.counts(rows)))
    assert line.low < exponent < line.high
    assert line.power == pytest.approx(exponent, abs=0.3)
    assert [finding.holds for finding in study.PAPER.findings(rows)] == [falls]


WINDOW = (0.001, 0.01, 0.1, 1.0)  # rates


@pytest.mark.parametrize(
    ("accuracies", "low", "high", "is_open"),
    [
        # .9 of .8 is .72: 8/9 of the way from .08 to .8 in the logarithm
        ((0.08, 0.8, 0.08, 0.08), -3 + 8 / 9, -2 + 1 / 9, False),
        ((0.08, 0.8, 0.72, 0.08), -3 + 8 / 9, -1, False),
        ((0.08, 0.8, 0.75, 0.74), -3 + 8 / 9, 0, True),
        ((0.8, 0.08, 0.08, 0.08), -3, -3 + 1 / 9, True),
        # what is past a gap
        ((0.78, 0.08, 0.8, 0.08), -2 + 8 / 9, -1 + 1 / 9, False),
    ],
)
def test_a_window_goes_on_from_the_best_rate_to_nine_tenths_of_its_accuracy(
    accuracies, low, high, is_open
):
    window = load("revisiting2025").window(np.array(WINDOW), np.array(accuracies))
    assert (window.low, window.high) == pytest.approx((10**low, 10**high))
    assert window.decades == pytest.approx(high - low)
    assert window.best == WINDOW[int(np.argmax(accuracies))]
    assert window.open is is_open
    assert ("or more" in str(window)) is is_open


def test_bits_of_labels_are_those_of_a_channel_that_errs_as_often():
    study = load("collins2017")
    knobs = {"items": 400}
    shape = {"knobs": knobs, "cell": "GRUCell", "parameters": 100}
    nets = [
        group("random_labels", 3, {units: (0, 4)}, final=right, **shape)
        for units, right in ((2, 1.0), (3, 0.89), (4, 0.4))
    ]
    bits = study.labels(table(*nets))["bits"].to_list()
    # of a coin that falls on one side in 89 of 100 cases, half a bit
    assert bits == pytest.approx([4, 2, 0], abs=0.01)


def test_deletang2023_judges_the_widest_nets_at_the_rate_whose_poorest_seed_is_best():
    study = load("deletang2023")
    lengths = [60, 100, 200, 300, 400, 500]

    def parity(cell, units, *accuracies, **columns):
        shape = {"units": units, "cell": cell, "curriculum": 0.15, **columns}
        outcomes = (at_lengths(lengths, [score] * 6) for score in accuracies)
        return seeds("parity", 40, *outcomes, **shape)

    rows = table(
        parity("SimpleCell", 2, 1.0, 1.0),
        parity("SimpleCell", 4, 1.0, 0.5),
        parity("SimpleCell", 4, 0.9, 0.8, lr=0.003),
        parity("SimpleCell", 8, 1.0, 1.0, curriculum=1.0),  # no front
        parity("minGRU", 8, 1.0),
    )
    data = study.nets(rows)
    widest = study.at_widest(data, "parity", "SimpleCell")
    assert widest.select("units", "lr").rows() == [(4, 0.003)] * 2
    assert study.at_widest(data, "even_pairs", "SimpleCell").is_empty()


def copies(cell, units, items, *shares, symbols=8, numbers=None):
    """Nets, one a seed, by their share of strings right."""
    outcomes = (at_lengths([1], [share]) for share in shares)
    knobs = {"items": items, "symbols": symbols}
    shape = {"cell": cell, "units": units, "carry_numbers": numbers or units}
    shape |= {"recipe": "open_gate", "init": "open_gate", "budget": 2000}
    return seeds("copy", 1, *outcomes, knobs=knobs, **shape)


def test_the_fewest_numbers_are_those_of_the_narrowest_width_with_half_of_all_strings():
    study = load("jelassi2024")
    rows = table(
        copies("linear", 4, 4, 0.2, 0.7),
        copies("linear", 6, 4, 0.2, 0.9),
        copies("linear", 8, 4, 0.1, 0.1),
        copies("lstm", 4, 4, 0.4, None, numbers=8),
        copies("GRUCell", 2, 4, 0.6, symbols=64),
        group("copy", 5, cell="linear", lengths="1", whole_at_lengths="[1.0]"),
        group("copy", 1, cell="linear"),
    )
    least = {(8, 4, "linear"): 6, (8, 4, "lstm"): math.inf, (64, 4, "GRUCell"): 2}
    assert study.fewest(study.PAPER.table(rows)) == least


def test_a_net_fails_at_the_first_number_with_a_wrong_word_whatever_its_answers_score():
    lengths = [30, 33, 36, 40, 50, 60, 100, 1000]
    outcomes = []
    for number in (50, 30, math.inf):
        whole = [1.0 if n < number else (number - 1) / n for n in lengths]
        outcomes.append(at_lengths(lengths, whole, [1.0] * len(lengths)))
    shape = {"cell": "OptimizedLSTMCell", "knobs": {"symbols": 3}}
    nets = seeds("counter_language", 30, *outcomes, **shape)
    data = load("suzgun2019").PAPER.table(table(nets))
    assert data["fails_at"].to_list() == [50, 30, None]
    assert data["right_to"].to_list() == [40, 0, 1000]
    assert data["learnt"].to_list() == [True, False, True]
