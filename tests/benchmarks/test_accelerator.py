"""The accelerator benchmark, on a CPU: its arithmetic, its lanes, its command. Nothing here depends on how
fast anything is."""

import json
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from benchmark_checks import LAST, batches
from same_process import Here, run_here

from benchmarks import accelerator, lanes, process, report, runner
from benchmarks.accelerator import TINY, AcceleratorPlan, Floor, Measured
from benchmarks.growth import Point
from benchmarks.lanes import Device, Lanes, Peaks, Timed
from benchmarks.peers import CONTESTANTS
from benchmarks.peers.linen import Linen
from benchmarks.peers.optax_loop import SideBySide
from benchmarks.study import Sample
from memcap.training import program

pytestmark = pytest.mark.usefixtures("quick_file")

PEAKS = Peaks(bandwidth=1e12, products=1e13)
FACTS = report.machine(["accelerator"], None, 0.1)
POINT = Point(members=2, lag=1, units=2, batch=2, steps=6, every=2)


def test_the_floor_is_the_larger_of_bytes_and_products():
    floor = Floor.of(Point(units=50, lag=50, batch=32))
    rows, parameters = 200 * 32, 4 * 50 * (2 + 50 + 1) + 51 * 2
    assert floor.moved == 4 * (12 * 50 * rows + 8 * rows + 9 * rows + 8 * parameters)
    assert floor.operations == 24 * rows * 50**2 + 6 * rows * 50 * 2
    assert floor.seconds(PEAKS) == (floor.moved / 1e12, floor.operations / 1e13)


def test_the_plan_asks_for_lag_50_at_50_units_in_chunks_that_are_all_trained():
    plan = AcceleratorPlan()
    assert plan.lags[-1] == (50, 50)
    assert (plan.lanes[0], plan.lanes[-1]) == (1, 4096)
    member = plan.point(50, 50, 4).resolved()[0]
    assert (member.lag, member.length, member.evaluation.every) == (50, 200, plan.every)
    assert member.recipe.budget == (1 + plan.chunks) * plan.every


@pytest.mark.slow
def test_lanes_take_every_step():
    timed = Lanes().time(POINT, 2)
    assert timed is not None
    assert len(timed.chunks) == 2
    assert min(timed.chunks) > 0
    with pytest.raises(RuntimeError, match="not every member took 8 steps"):
        Lanes().time(POINT, 3)  # its budget is 6


@pytest.mark.slow
def test_lanes_that_memory_does_not_hold_are_told(monkeypatch):
    def full(code, point, chunks, together):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory")

    with monkeypatch.context() as small:
        small.setattr(program, "device_memory", lambda: 1.0)
        assert Lanes().time(replace(POINT, batch=3), 2) is None
    with monkeypatch.context() as failing:
        failing.setattr(Lanes, "_time", full)
        assert Lanes().time(POINT, 2) is None


def test_any_other_error_is_raised(monkeypatch):
    def broken(code, point, chunks, together):
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    monkeypatch.setattr(lanes.Lanes, "_time", broken)
    with pytest.raises(jax.errors.JaxRuntimeError, match="INTERNAL"):
        Lanes().time(POINT, 2)


def test_the_device_and_its_peaks_are_measured():
    one = Lanes()
    assert one.device().platform == jax.default_backend()
    peaks = one.peaks(TINY.copied, TINY.size, TINY.seconds)
    assert min(peaks.bandwidth, peaks.products) > 0


@pytest.mark.slow
def test_flaxs_runs_side_by_side_are_its_runs_one_by_one():
    seeds = (3, 4)
    drawn = [batches(LAST, 4, seed) for seed in seeds]
    together = SideBySide(Linen(LAST, 0.01, 1.0, seed=0), seeds)
    together.load(drawn)
    together.run(8)
    for k, seed in enumerate(seeds):
        alone = Linen(LAST, 0.01, 1.0, seed)
        alone.load(drawn[k])
        alone.run(8)
        jax.tree.map(
            lambda one, all_, k=k: np.testing.assert_allclose(one, all_[k], rtol=1e-4, atol=1e-6),
            alone.params,
            together.params,
        )


def measured(torch: str | None) -> Measured:
    """A lane takes a second a chunk and four take two; more don't fit. memcap's study takes 2 s, the others'
    8 with 2 of data."""
    plan = AcceleratorPlan()
    timed: list[tuple[Point, Timed | None]] = []
    for units, lag in plan.lags:
        for count, seconds in ((1, 1.0), (4, 2.0)):
            timed.append((plan.point(units, lag, count), Timed((seconds, 9.0, 0.1), 3.0)))
        timed.append((plan.point(units, lag, 16), None))
    names = [name for name in accelerator.TITLES if torch or name != "torch"]
    samples = [
        Sample(name, "cold", 2.0 if name == "engine" else 8.0, 1.0, {"data": 2.0 * (name != "engine")})
        for name in names
    ]
    return Measured(Device("gpu", "A Card", 2, 60 << 30), PEAKS, timed, torch, samples)


def test_the_page_has_rates_shares_and_what_did_not_fit():
    plan = AcceleratorPlan()
    page = accelerator.page(measured("cuda"), plan, FACTS)
    share = 50 * max(Floor.of(plan.point(8, 8, 1)).seconds(PEAKS))
    lines = page.splitlines()
    assert next(line for line in lines if line.startswith("| 1 |")).startswith(f"| 1 | 50 ({share:.2%}) |")
    assert next(line for line in lines if line.startswith("| 4 |")).startswith(
        f"| 4 | 100 ({2 * share:.2%}) |"
    )
    for count in ("16", "4,096"):
        assert f"| {count} | memory too small | memory too small | memory too small |" in lines
    for wanted in (
        "A Card (gpu), 60 GiB for JAX; 2 here",
        "1e+03 GB/s",
        "10 TFLOP/s",
        "144 runs of 200 steps",
        "not pinned",
    ):
        assert wanted in page
    assert "one run after another, on cuda | 8.0 [8.0, 8.0] | 6.0 | 4.00 | 3.00 |" in page


def test_without_pytorch_its_row_says_so():
    page = accelerator.page(measured(None), AcceleratorPlan(), FACTS)
    assert f"| {accelerator.TITLES['torch']} | not installed |" in page


def test_without_an_accelerator_nothing_is_measured(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    with pytest.raises(SystemExit, match="no accelerator"):
        runner.main(["accelerator", "--out", str(tmp_path)])
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_tiny_runs(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(accelerator, "Worker", Here)
    monkeypatch.setattr(process, "run", run_here)
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    monkeypatch.setitem(
        CONTESTANTS, "torch", replace(CONTESTANTS["torch"], packages=("a_library_that_nobody_has",))
    )
    runner.main(["accelerator", "--tiny", "--out", str(tmp_path)])
    page = (tmp_path / "accelerator.md").read_text()
    assert page.strip() in capsys.readouterr().out
    assert "| not installed |" in page
    found = json.loads((tmp_path / "accelerator.json").read_text())
    assert found["device"]["platform"] == "cpu"
    assert [(point["units"], point["members"], len(timed["chunks"])) for point, timed in found["timed"]] == [
        (2, 1, 2),
        (2, 3, 2),
    ]
    assert [sample["contestant"] for sample in found["samples"]] == ["engine", "vmap", "workers"]
    assert all(sample["wall"] > 0 for sample in found["samples"])


def test_the_published_page_has_numbers_or_says_that_there_are_none():
    results = Path(report.RESULTS)
    page = (results / "accelerator.md").read_text()
    assert "python -m benchmarks accelerator" in page
    assert ("has not been run on an accelerator" in page) != (results / "accelerator.json").exists()
