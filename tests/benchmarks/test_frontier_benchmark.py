"""The frontier benchmark: from the sample to the whole, and its command. Nothing here depends on how fast
anything is."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from same_process import Here, run_here

from benchmarks import frontier, process, report, runner, sampling
from benchmarks.frontier import Study
from benchmarks.peers import CONTESTANTS
from benchmarks.sampling import Cell, FrontierPlan, Grid, weights
from memcap.config import defaults
from memcap.designs.axes import members
from memcap.knobs import UserError

FACTS = report.machine(["frontier"], None, 0.1)
PLAN = FrontierPlan()


def test_weights_count_every_place_once():
    found = weights([1, 4, 8], [1, 2, 3, 4, 6, 8])
    np.testing.assert_allclose(found, [1 + 2 / 3 + 1 / 3, 1 / 3 + 2 / 3 + 1 + 1 / 2, 1 / 2 + 1])
    assert found.sum() == pytest.approx(6)
    np.testing.assert_array_equal(weights([3], [3, 3]), [2.0])


def test_nothing_is_extrapolated():
    with pytest.raises(ValueError, match="not all between"):
        weights([2, 4], [1, 2, 3])


def test_a_bilinear_cost_is_added_up_exactly():
    grid = Grid(
        lengths=(12, 14, 18, 32, 64),
        sampled_lengths=(12, 64),
        units=tuple(range(1, 25)),
        sampled_units=(1, 4, 8, 16, 24),
    )

    def cost(length, units):
        return 0.3 + 2.0 * length + 0.7 * units + 0.1 * length * units

    exact = sum(cost(t, u) for t in grid.lengths for u in grid.units)
    assert grid.total({(t, u): cost(t, u) for t, u in grid.cells}) == pytest.approx(exact)
    assert sum(grid.weights().values()) == pytest.approx(5 * 24)


def test_the_grid_is_the_one_that_the_title_says():
    assert PLAN.runs == 1920
    assert PLAN.grid("delay_line").lengths == (12, 14, 18, 32, 64)
    assert PLAN.grid("latch").lengths == (3, 4, 6, 10, 18)
    assert {task: PLAN.recipe(task)["budget"] for task in PLAN.tasks} == {"delay_line": 3000, "latch": 1500}
    assert PLAN.workload("delay_line", 64).lag == 16
    assert len(PLAN.grid("latch").cells) == 10


@pytest.mark.parametrize(("sampled", "runs"), [(True, 2 * 2 * 5 * 8), (False, 1920)])
def test_memcaps_axes_are_the_grid(sampled, runs):
    from omegaconf import OmegaConf

    from memcap.config import task_defaults
    from memcap.launch.jobs import GROUPS

    axes = OmegaConf.to_container(OmegaConf.from_dotlist([PLAN.axes(sampled)]))
    config = (
        {name: defaults(cls) for name, cls in GROUPS.items()}
        | {"task": task_defaults("delay_line"), "seed": 0}
        | axes
    )
    try:
        found = members(config)
    except UserError as error:
        pytest.fail(str(error))
    assert len(found) == runs
    assert {(m.task.name, m.length) for m in found} >= {
        (task, t) for task in PLAN.tasks for t, _ in PLAN.grid(task).cells
    }


def cells(name, compiling, step):
    """The same at every sampled cell."""
    return [
        Cell(name, task, t, u, compiling, step, step / 2)
        for task in PLAN.tasks
        for t, u in PLAN.grid(task).cells
    ]


def test_a_peer_compiles_each_model_linen_each_cell_and_memcap_each_width():
    found = [*cells("keras", 2.0, 1e-3), *cells("linen", 2.0, 1e-3), *cells("memcap", 2.0, 1e-3)]
    steps = {"delay_line": 3000, "latch": 1500}
    half = PLAN.runs / 2
    assert sampling.whole(PLAN, found, "keras", steps, alone=False) == pytest.approx(
        (2.0 * PLAN.runs, 3 * half + 1.5 * half)
    )
    assert sampling.whole(PLAN, found, "linen", steps, alone=True) == pytest.approx(
        (2.0 * PLAN.runs / 8, 1.5 * half + 0.75 * half)
    )
    assert sampling.whole(PLAN, found, "memcap", steps, alone=False)[0] == pytest.approx(2.0 * 2 * 24)


def test_equal_work_is_shared_by_the_workers_and_memcap_pays_for_all_else():
    found = cells("keras", 0.0, 1e-3) + cells("memcap", 2.0, 0.5e-3)
    studies = {"sample": Study(160, 0, wall=60.0, training=80.0, compiling=20.0)}
    seconds = frontier.equal_work(PLAN, found, studies)
    assert seconds["keras"] == pytest.approx((960.0, 0.0))
    assert seconds["memcap"] == pytest.approx((480.0 + 48.0 + 10.0, 48.0))


def test_the_page_says_what_is_estimated_and_what_was_run():
    found = cells("torch", 0.0, 1e-3) + cells("memcap", 2.0, 0.5e-3)
    studies = {
        "sample": Study(160, 0, 60.0, 80.0, 20.0),
        "full": Study(1920, 0, 500.0, 900.0, 50.0),
        "cold": Study(200, 150, 120.0, 200.0, 30.0),
        "warm": Study(200, 150, 60.0, 100.0, 5.0),
        "native full": Study(1920, 0, 240.0, 400.0, 24.0),
        "native cold": Study(201, 150, 40.0, 100.0, 5.0),
        "native warm": Study(201, 151, 30.0, 100.0, 5.0),
    }
    page = frontier.page(PLAN, found, studies, FACTS)
    for wanted in (
        "really trained: 8.3 minutes",
        "+8%",
        "1,920 runs",
        "extrapolated",
        "measured (200 runs, 150 solved)",
        "full: measured (201 runs, 151 solved)",
    ):
        assert wanted in page
    # 960 runs of 3000 steps and 960 of 1500, alone at half a millisecond: 36 minutes, against 2 and 1.
    assert "| 36.0 | 18.0 | 36.0 | 54.0 | 72.0 |" in page
    assert "| memcap, engine.loop=native | 4.0 | 0.45 | 5% |" in page
    without = frontier.page(
        PLAN, found, {name: s for name, s in studies.items() if "native" not in name}, FACTS
    )
    assert "| 36.0 | 18.0 | 36.0 |\n" in without


def test_members_that_stop_early_are_refused():
    rows = pl.DataFrame({"steps": [4, 3, 4]})
    with pytest.raises(process.ProgramError, match="1 of 3 members"):
        frontier.check_steps(rows, 4)
    frontier.check_steps(rows.filter(pl.col("steps") == 4), 4)


@pytest.mark.slow
def test_tiny_runs(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(frontier, "PEERS", ("linen",))
    monkeypatch.setattr(frontier, "TINY", replace(frontier.TINY, workers=1))
    monkeypatch.setattr(sampling, "Worker", Here)
    monkeypatch.setattr(process, "run", run_here)
    runner.main(["frontier", "--tiny", "--out", str(tmp_path)])
    page = (tmp_path / "frontier.md").read_text()
    assert page.strip() in capsys.readouterr().out
    found = json.loads((tmp_path / "frontier.json").read_text())
    plan = frontier.TINY
    wanted = [
        (name, task, t, u)
        for name in ("linen", "memcap")
        for task in plan.tasks
        for t, u in plan.grid(task).cells
    ]
    assert sorted((c["contestant"], c["task"], c["length"], c["units"]) for c in found["cells"]) == sorted(
        wanted
    )
    assert found["studies"]["sample"]["members"] == len(plan.tasks) * 2 * plan.seeds
    assert 0 < found["studies"]["cold"]["members"] <= plan.runs
    if not CONTESTANTS["native"].missing:
        assert found["studies"]["native full"]["members"] == plan.runs
