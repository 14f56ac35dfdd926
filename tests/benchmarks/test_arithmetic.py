"""What benchmarks make of their seconds: floors, sums over a grid, ratios. Nothing here
depends on how fast anything is."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks import frontier, loop, report
from benchmarks.frontier import Cell, FrontierPlan, Study
from benchmarks.loop import StudyPlan
from benchmarks.peers.base import Shape
from benchmarks.roofline import Ceilings, floor
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


def test_numpys_latch_is_memcaps():
    task = task_of("latch", [])
    batches = loop.latch(3, 10, 64, 0)
    shape = StudyPlan().shape(10, 8)
    assert (shape.features, shape.outputs) == (task.features, task.outputs)
    np.testing.assert_array_equal(batches.inputs[:, 0], batches.targets)
    assert set(np.unique(batches.inputs[:, 1:-1])) == {2, 3, 4, 5}
    assert set(np.unique(batches.inputs[:, -1])) == {task.vocabulary - 1}


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
