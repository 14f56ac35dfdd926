"""The study benchmark: its data, its steps, its arithmetic, its command. Nothing here depends on how fast
anything is."""

import json
import sys

import numpy as np
import pytest

from benchmarks import loop, process, report, runner, study
from benchmarks.loop import Phases, StudyPlan
from benchmarks.peers.linen import Linen
from memcap.config import task_of

FACTS = report.machine(["study"], 1, 0.1)


def test_the_default_study_is_eighteen_runs():
    plan = StudyPlan()
    assert len(plan.runs) == len(set(plan.runs)) == 18
    assert plan.runs[0] == (10, 8, 0)


def test_numpys_latch_is_memcaps():
    task, batches = task_of("latch", []), loop.latch(3, 10, 64, 0)
    shape = StudyPlan().shape(10, 8)
    assert (shape.features, shape.outputs) == (task.features, task.outputs)
    assert batches.inputs.shape == (3, 10, 64)
    np.testing.assert_array_equal(batches.inputs[:, 0], batches.targets)
    assert set(np.unique(batches.targets)) == {0, 1}
    assert set(np.unique(batches.inputs[:, 1:-1])) == {2, 3, 4, 5}
    assert set(np.unique(batches.inputs[:, -1])) == {task.vocabulary - 1}
    assert (loop.latch(3, 10, 64, 1).inputs != batches.inputs).any()


@pytest.mark.slow
def test_a_peer_takes_exactly_the_steps_of_the_plan(monkeypatch):
    taken = []

    class Counting(Linen):
        def run(self, steps):
            super().run(steps)
            taken.append((self.shape.steps, self.shape.units, self.seed, int(self.state[1][0].count)))

    monkeypatch.setattr("benchmarks.peers.linen.Linen", Counting)
    seconds = loop.peers("linen", study.TINY)
    assert taken == [(*run, study.TINY.steps) for run in study.TINY.runs]
    assert all(value >= 0 for value in seconds.values())
    assert seconds["compile"] > 0


@pytest.mark.slow
def test_the_engine_takes_them_too():
    assert loop.engine(study.TINY)["train"] > 0


def test_compiling_is_taken_out_of_the_phase_it_happens_in():
    phases = Phases()
    with phases("train"):
        phases.compiled(loop.COMPILING[0], 2.0)
        phases.compiled(loop.COMPILING[1], 3.0, fun_name="f")
        phases.compiled("/something/else", 7.0)
    assert phases.seconds["compile"] == 5.0
    assert phases.seconds["train"] == pytest.approx(-5.0, abs=1.0)
    assert phases.seconds["data"] == 0.0


def sample(name, state, wall, data):
    phases = {"import": 1.0, "data": data, "build": 0.5, "compile": 2.0, "train": 3.0}
    ours = {"compile": 2.0, "train": 1.0}
    return study.Sample(name, state, wall, wall / 2, phases if name in study.PEERS else ours)


def test_medians_and_ratios_with_preparation_taken_off():
    samples = [sample("keras", state, wall, 2.0) for state in study.STATES for wall in (10.0, 30.0, 22.0)]
    samples += [sample("memcap", state, wall, 0.0) for state in ("cold", "warm") for wall in (5.0, 4.0, 9.0)]
    found = study.medians(samples)
    assert found["keras", "cold"]["less_data"] == 20.0
    assert found["keras", "warm"]["rest"] == pytest.approx(22 - 8.5)
    assert found["memcap", "cold"]["rest"] == 2.0
    page = study.page(samples, StudyPlan(), 3, FACTS)
    keras = next(line for line in page.splitlines() if line.startswith("| Keras"))
    assert [cell.strip() for cell in keras.strip("|").split("|")][1:6] == [
        "22.0",
        "11.0",
        "4.40",
        "4.00",
        "4.40",
    ]
    assert "18 runs of 200 steps" in page


def test_a_program_that_fails_is_told(tmp_path):
    with pytest.raises(process.ProgramError, match=r"(?s)exit code 3.*last words"):
        process.run(
            [sys.executable, "-c", "import sys; print('last words', file=sys.stderr); sys.exit(3)"], None, {}
        )


def test_a_program_is_timed_with_its_children_and_pinned():
    code = (
        "import os, subprocess, sys; print(os.environ['WORD'], *sorted(getattr(os, 'sched_getaffinity',"
        " lambda _: [])(0)))"
    )
    ran = process.run([sys.executable, "-c", code], process.last_core(), {"WORD": "yes"})
    assert ran.output.split() == ["yes", *([] if process.last_core() is None else [str(process.last_core())])]
    assert ran.wall > 0
    assert ran.cpu > 0


@pytest.mark.slow
def test_tiny_runs(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(study, "PEERS", ("linen",))
    monkeypatch.setattr(study, "TITLES", {name: study.TITLES[name] for name in ("linen", "engine", "memcap")})
    runner.main(["study", "--tiny", "--out", str(tmp_path)])
    page = (tmp_path / "study.md").read_text()
    assert page.strip() in capsys.readouterr().out
    found = json.loads((tmp_path / "study.json").read_text())
    states = dict.fromkeys(("engine", "memcap"), ("cold", "warm")) | {"linen": tuple(study.STATES)}
    assert [(s["contestant"], s["state"]) for s in found["samples"]] == [
        (name, state) for name in ("linen", "engine", "memcap") for state in states[name]
    ]
    assert all(s["wall"] > sum(s["phases"].values()) > 0 for s in found["samples"])
