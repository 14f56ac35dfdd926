"""What benchmarks make of their seconds: floors, sums over a grid, ratios. Nothing here
depends on how fast anything is."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import frontier, loop, report, step, study
from benchmarks.frontier import Cell, FrontierPlan, Study
from benchmarks.loop import StudyPlan
from benchmarks.peers.base import Shape
from benchmarks.protocol import TINY, Timing
from benchmarks.roofline import Ceilings, floor
from benchmarks.workloads import LAST
from memcap.config.member import task_of

FACTS = report.machine(["step"], 1, 0.1)
CEILINGS = Ceilings(peak=100e9, peak_of="XLA", tanh=0.4e-9)
PLAN = FrontierPlan()


def test_the_floor_counts_products_and_tanh():
    last = Shape(units=16, features=7, outputs=2, steps=60, batch=128, every=False)
    assert floor(last, CEILINGS) == pytest.approx(
        24 * 60 * 128 * 16**2 / 100e9 + 5 * 60 * 128 * 16 * 0.4e-9
    )
    readout = 6 * 60 * 128 * 16 * 2 / 100e9
    assert floor(replace(last, every=True), CEILINGS) == pytest.approx(
        floor(last, CEILINGS) + readout
    )


def test_a_step_is_told_relative_to_keras_with_its_share_of_the_floor():
    rows = []
    for k, name in ((1, "keras"), (2, "memcap")):
        timing = Timing((k, 2 * k, 8 * k), (1,), 9)
        shapes = [LAST.shape(units) for units in LAST.units]
        rows += [step.Row(LAST.key, s, name, timing, 0.25, 1.0, 0, 0) for s in shapes]
    lines = step.section(rows, LAST).splitlines()
    found = [x.split("|")[2].strip() for x in lines if x.startswith("| memcap")]
    assert found == ["2.00 (25%)", "4e+03 [2e+03, 1.6e+04]", "0.2"]
    measured = step.Measured(rows, CEILINGS, {"last": 3e-15})
    page = step.page(measured, [LAST], TINY, FACTS)
    assert "3.0e-15 of PyTorch's" in page
    assert "other work ran" in page


def test_numpys_latch_is_memcaps():
    task = task_of("latch", [])
    batches = loop.latch(3, 10, 64, 0)
    shape = StudyPlan().shape(10, 8)
    assert (shape.features, shape.outputs) == (task.features, task.outputs)
    np.testing.assert_array_equal(batches.inputs[:, 0], batches.targets)
    assert set(np.unique(batches.inputs[:, 1:-1])) == {2, 3, 4, 5}
    assert set(np.unique(batches.inputs[:, -1])) == {task.vocabulary - 1}


def test_a_study_is_told_by_medians_with_preparation_taken_off():
    phases = {"import": 1.0, "data": 2.0, "build": 0.5, "compile": 2.0, "train": 3.0}
    walls = {"keras": (10.0, 30.0, 22.0), "memcap": (5.0, 4.0, 9.0)}
    of_each = {"keras": phases, "memcap": {"train": 3.0}}
    samples = [
        study.Sample(name, "cold", wall, wall / 2, of_each[name])
        for name in walls
        for wall in walls[name]
    ]
    page = study.page(samples, StudyPlan(), 3, FACTS)
    line = "| Keras 3 on JAX, fit | 22.0 | 11.0 | 4.40 | 4.00 | 4.40 | 1.0 | 2.0 |"
    assert line in page
    assert "18 runs of 200 steps" in page


def everywhere(name, compiling, step):
    """The same at every sampled cell."""
    return [Cell(name, *place, compiling, step) for place in PLAN.places]


def test_equal_work_is_shared_by_the_workers_and_memcap_pays_for_all_else():
    found = everywhere("keras", 0.0, 1e-3) + everywhere("memcap", 2.0, 0.5e-3)
    studies = {"sample": Study(160, wall=60.0, training=80.0, compiling=20.0)}
    studies["native full"] = Study(1920, 240.0, 400.0, 24.0)
    seconds = frontier.equal_work(PLAN, found, studies)
    assert seconds["keras"] == pytest.approx((960.0, 0.0))
    assert seconds["memcap"] == pytest.approx((480.0 + 48.0 + 10.0, 48.0))
    page = frontier.page(PLAN, found, studies, FACTS)
    assert "| memcap, engine.loop=native | 4.0 | 0.45 | 5% |" in page
