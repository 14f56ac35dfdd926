"""The step benchmark: the floor, the tables, the command."""

import json
import re
from dataclasses import replace

import pytest

from benchmarks import report, runner, step
from benchmarks.peers import CONTESTANTS, OURS, installed
from benchmarks.peers.base import Shape
from benchmarks.protocol import TINY, Timing
from benchmarks.roofline import Ceilings, floor
from benchmarks.workloads import EVERY, LAST, WORKLOADS

CEILINGS = Ceilings(peak=100e9, peak_of="XLA", tanh=0.4e-9, small=80e9)
FACTS = report.machine(["step"], 1, 0.1)


def test_the_floor_counts_products_and_tanh():
    last = Shape(units=16, features=7, outputs=2, steps=60, batch=128, every=False)
    assert floor(last, CEILINGS) == pytest.approx(24 * 60 * 128 * 16**2 / 100e9 + 5 * 60 * 128 * 16 * 0.4e-9)
    readout = 6 * 60 * 128 * 16 * 2 / 100e9
    assert floor(replace(last, every=True), CEILINGS) == pytest.approx(floor(last, CEILINGS) + readout)


def measured(names=tuple(CONTESTANTS), double_errors=None, busy=5.5 / 3) -> step.Measured:
    """Contestant k takes k + 1 milliseconds a step."""
    rows = [
        step.Row(
            workload=workload.key,
            shape=workload.shape(units),
            contestant=name,
            timing=Timing(
                tuple(scale * (k + 1) * 1e-3 for scale in (0.5, 1.0, 4.0)), (busy * (k + 1) * 1e-3,) * 3, 100
            ),
            compile_seconds=k + 0.25,
            floor=0.5e-3,
            gradient_error=1e-6,
            trained_error=1e-3,
        )
        for workload in WORKLOADS
        for units in workload.units
        for k, name in enumerate(names)
    ]
    processes = {name: {"XLA_FLAGS": "--fast" if name == "memcap" else "", "cores": [1]} for name in names}
    return step.Measured(rows, CEILINGS, processes, double_errors or {})


def cells(line: str) -> list[str]:
    return [cell.strip() for cell in line.strip("|").split("|")]


def test_every_table_has_every_contestant():
    page = step.page(measured(), WORKLOADS, TINY, FACTS)
    tables = re.findall(r"(?:^\|.*\n?)+", page, re.MULTILINE)
    assert len(tables) == 3 * len(WORKLOADS)
    for table in tables:
        lines = table.splitlines()
        assert {len(cells(line)) for line in lines} == {5}
        assert [cells(line)[0] for line in lines[2:]] == [each.title for each in CONTESTANTS.values()]


def test_cells_are_ratios_to_keras_shares_and_milliseconds():
    rows = measured(("keras", "memcap")).rows
    section = step.section(rows, LAST)
    assert "relative to Keras 3 on JAX, fit" in section
    found = [cells(line)[1] for line in section.splitlines() if line.startswith("| memcap")]
    assert found == ["2.00 (25%)", "2 [1, 8]", "1.2"]
    assert next(cells(line)[1] for line in section.splitlines() if line.startswith("| Keras")) == "1.00 (50%)"


def test_without_keras_memcap_is_the_measure():
    section = step.section(measured(("linen", "memcap")).rows, EVERY)
    assert "relative to memcap" in section
    assert next(cells(line)[1] for line in section.splitlines() if line.startswith("| Flax")).startswith(
        "0.50"
    )


def test_the_page_tells_the_machine_flags_gates_and_what_is_amiss():
    facts = FACTS | {"warning": "warning: it was busy", "absent": ["PyTorch (torch)"]}
    page = step.page(measured(double_errors={"last, 8 units": 3e-15}), WORKLOADS, TINY, facts)
    for wanted in (
        "python -m benchmarks step",
        report.processor(),
        "pinned to core 1",
        "memcap --fast; the others none",
        "100 GFLOP/s",
        "0.40 ns",
        "3.0e-15 of PyTorch's",
        "it was busy",
        "not installed: PyTorch (torch)",
        "at least 100% of the core",
    ):
        assert wanted in page
    assert "other work ran" not in page
    assert "other work ran" in step.page(measured(busy=1.0), WORKLOADS, TINY, facts)


def test_batches_are_the_tasks_own():
    for workload in WORKLOADS:
        shape, drawn = workload.shape(4), workload.draw(3)
        assert drawn.inputs.shape == (3, shape.steps, shape.batch)
        assert drawn.inputs.max() < shape.features
        assert drawn.targets.shape == (drawn.inputs.shape if shape.every else (3, shape.batch))
        assert (drawn.inputs[0] != drawn.inputs[1]).any()
        assert (workload.draw(3).inputs == drawn.inputs).all()
    assert (drawn.mask[:, : EVERY.lag] == 0).all()
    assert drawn.mask[:, EVERY.lag :].all()


@pytest.fixture
def two_contestants(monkeypatch):
    """memcap and linen, whose libraries memcap itself needs, and one whose library nobody has."""
    monkeypatch.setattr(step, "PEERS", ("linen", "torch"))
    monkeypatch.setitem(
        CONTESTANTS, "torch", replace(CONTESTANTS["torch"], packages=("a_library_that_nobody_has",))
    )


@pytest.mark.slow
def test_tiny_runs_with_those_that_are_installed(two_contestants, tmp_path, capsys):
    runner.main(["step", "--tiny", "--out", str(tmp_path)])
    said = capsys.readouterr()
    assert "a_library_that_nobody_has" in said.err
    assert "pip install '.[bench]'" in said.err
    page = (tmp_path / "step.md").read_text()
    assert page.strip() in said.out
    found = json.loads((tmp_path / "step.json").read_text())
    assert found["machine"]["command"].endswith(f"step --tiny --out {tmp_path}")
    assert {(row["workload"], row["contestant"]) for row in found["rows"]} == {
        (workload, name) for workload in ("last", "every") for name in ("linen", *installed(OURS))
    }
    for row in found["rows"]:
        assert len(row["timing"]["samples"]) == TINY.rounds
        assert min(row["timing"]["samples"]) > 0
        assert row["gradient_error"] < 5e-6
    assert 0 < found["ceilings"]["tanh"] < 1e-6
    assert found["ceilings"]["peak"] > found["ceilings"]["small"] / 2 > 0


def test_a_full_run_needs_everyone(two_contestants, capsys):
    with pytest.raises(SystemExit) as stopped:
        runner.main(["step"])
    assert stopped.value.code == 1
    assert "pip install '.[bench]'" in capsys.readouterr().err
