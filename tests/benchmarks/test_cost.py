"""The cost benchmark: its points, its arithmetic, its command. Nothing here depends on how fast anything
is."""

import json
from dataclasses import replace

import pytest
from same_process import Here

from benchmarks import cost, estimate, report, runner
from benchmarks.cost import Cost, CostPlan, Measured, lost, slope
from benchmarks.estimate import Estimate
from benchmarks.growth import Point, Trainer

FACTS = report.machine(["cost"], 1, 0.1)
SMALL = Point(members=2, lag=1, units=1, batch=2, steps=6)


def test_a_slope_is_that_of_the_upper_half():
    places = [1, 2, 4, 8, 16, 32]
    assert slope(places, [5.0, 5.0, 5.0, *(0.1 * x**2 for x in places[3:])]) == pytest.approx(2.0)
    assert slope([1, 2], [3.0, 6.0]) == pytest.approx(1.0)
    assert slope(places, [1.0] * 5 + [-1.0]) is None


def test_what_is_lost_is_by_medians():
    assert lost([1.02, 9.0, 1.0], [1.0, 1.0, 0.1]) == pytest.approx(0.02)


def test_a_points_members_differ_in_width_and_seed():
    members = replace(SMALL, units=(1, 3)).resolved(first_seed=5)
    assert [(m.model.units, m.seed) for m in members] == [(1, 5), (1, 6), (3, 5), (3, 6)]
    assert {(m.lag, m.length, m.recipe.batch, m.recipe.budget, m.evaluation.every) for m in members} == {
        (1, 4, 2, 6, 6)
    }
    assert replace(SMALL, every=2).resolved()[0].evaluation.every == 2


@pytest.mark.slow
def test_a_trainer_takes_every_step_of_new_members_each_time():
    trainer = Trainer()
    for _ in range(2):
        wall, training = trainer.train(replace(SMALL, every=2))
        assert wall > training > 0
    assert trainer.seed == 4
    assert trainer.planned(SMALL) > 0
    assert trainer.peak() > 1 << 24


def test_the_estimate_is_its_formula():
    made = Estimate(members=1000, steps=10, units=2, length=3, batch=5, features=2, outputs=2, bandwidth=1e6)
    assert made.parameters == 4 * 2 * 5 + 3 * 2
    assert made.bytes_a_step == 4 * (2 * 6 * 2 * 15 + 2 * 2 * 2 * 15 + 9 * 15 + 8 * 46)
    assert made.rate(0.5) == pytest.approx(0.5e6 / made.bytes_a_step)
    assert made.hours(1, 0.5) == pytest.approx(10_000 / made.rate(0.5) / 3600)
    assert made.hours(64, 0.5) == pytest.approx(made.hours(1, 0.5) / (64 * made.balance))
    page = "\n".join(estimate.section(made))
    assert "not measured" in page
    assert "No GPU was measured" in page


def measured(many: float) -> Measured:
    """Time grows with the point's own number, memory is planned at a MiB each."""
    plan = CostPlan()
    axes = {
        axis: [
            Cost(replace(plan.origin, **{axis: value}), (0.5 * value, value, 2.0 * value), value << 20, -1)
            for value in values
        ]
        for axis, values in plan.axes
    }
    checks = {units: ([many, many, many], [1.0, 1.0, 1.0]) for units in plan.check_units}
    return Measured(axes, checks, {1: [(60.0, 60.0), (62.0, 61.0)], 2: [(30.0, 30.0), (31.0, 30.0)]})


def test_the_page_has_slopes_beside_theory_and_the_claims():
    page = cost.page(measured(1.01), CostPlan(), FACTS)
    lines = page.splitlines()
    assert sum(line.startswith("| slope | 1.00 |  | 1.00 | - |") for line in lines) == 4
    assert "| in theory | 2 |  | 1 | 1 |" in lines
    assert "| 8 | 8 [4, 16] | 5 | 8.00 | -0.0 |" in lines  # 8 members of 200 steps
    assert "held here (+1.0%)" in page
    assert "NOT held here (+3.0%)" in cost.page(measured(1.03), CostPlan(), FACTS)
    assert "2.00 times as fast" in page


@pytest.mark.slow
def test_tiny_runs(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(cost, "Worker", Here)
    runner.main(["cost", "--tiny", "--out", str(tmp_path)])
    assert (tmp_path / "cost.md").read_text().strip() in capsys.readouterr().out
    found = json.loads((tmp_path / "cost.json").read_text())
    assert {axis: [each["point"][axis] for each in costs] for axis, costs in found["axes"].items()} == {
        axis: list(values) for axis, values in cost.TINY.axes
    }
    assert {count: len(taken) for count, taken in found["studies"].items()} == {"1": 1, "2": 1}
    assert found["estimate"]["members"] == 100_000
