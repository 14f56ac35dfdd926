"""The Python face: members from axes, rows with and without a folder, and what is said of them;
test_trained.py has `load`."""

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest
from command import files
from polars.testing import assert_frame_equal
from study_rows import group, table, write

import memcap
from memcap.capacity import answer, frontier, sources
from memcap.capacity.points import columns
from memcap.config import resolve, task_defaults
from memcap.knobs import UserError
from memcap.recipes import Recipe
from memcap.studies import run, store
from memcap.studies.rows import SCHEMA
from memcap.tasks import DelayLine, Latch

ROOT = Path(__file__).parents[1]
TINY = {"budget": 4, "batch": 8, "every": 2, "sequences": 16, "stretch": 1}
ONE = memcap.Engine(loop="while", workers=1)


def refusal(call) -> str:
    with pytest.raises(UserError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    return text


# The name space


@pytest.mark.parametrize("name", memcap.__all__)
def test_all_that_is_promised_is_there(name):
    assert getattr(memcap, name) is not None
    assert name in dir(memcap)


def test_what_is_not_promised_is_not_there():
    assert memcap.tasks.Latch is Latch
    assert sorted(memcap.__all__) == [*memcap.__all__]
    for room in (memcap, memcap.tasks):
        assert not hasattr(room, "Nope")
        assert not hasattr(room, "nope")


def test_importing_memcap_imports_nothing_else():
    script = (
        "import sys, memcap; dir(memcap); memcap.UserError; memcap.knob; memcap.__version__\n"
        "found = {'jax', 'flax', 'numpy', 'polars', 'hydra', 'matplotlib', 'wandb', 'scipy'} &"
        " set(sys.modules)\n"
        "assert not found, found"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


# Members


def test_axes_multiply_and_each_member_comes_once():
    found = memcap.members(task="latch", lag=[5, 50], units=[1, 2], seed=4)
    assert [(m.lag, m.model.units, m.seed) for m in found] == [
        (x, u, s) for x in (5, 50) for u in (1, 2) for s in range(4)
    ]
    assert len(memcap.members(task="latch", lag=[5, 5], units=[1], seed=[3, 3, 0])) == 2
    assert [m.lag for m in memcap.members(lag="3..6")] == [3, 4, 5, 6]
    assert memcap.members() == [
        resolve({"task": task_defaults("delay_line"), "model": {}, "recipe": {}, "evaluation": {}, "seed": 0})
    ]


def test_every_field_goes_by_its_name_and_reaches_its_part():
    (found,) = memcap.members(
        **{
            "task": "copy",
            "items": 3,
            "lag": 9,
            "length": 40,
            "cell": "GRUCell",
            "units": 7,
            "readout": "lstm",
        },
        **{"recipe": "chrono", "lr": 0.5, "batch": 9, "evaluation.every": 11, "sequences": 99, "seed": [2]},
    )
    values = {"task": task_defaults("copy") | {"items": 3, "lag": 9, "length": 40}}
    values |= {
        "model": {"cell": "GRUCell", "units": 7, "readout": "lstm"},
        "recipe": {"name": "chrono", "lr": 0.5, "batch": 9},
    }
    assert found == resolve(values | {"evaluation": {"every": 11, "sequences": 99}, "seed": 2})


def test_tasks_and_recipes_may_be_objects():
    found = memcap.members(
        task=[Latch(symbols=4), DelayLine(), "latch"],
        recipe=[Recipe("hold", lr=0.5), "chrono"],
        lag=6,
        batch=7,
    )
    assert [(m.task, m.recipe.name, m.recipe.lr == 0.5, m.recipe.batch) for m in found] == [
        (task, recipe, recipe == "hold", 7)
        for task in (Latch(symbols=4), DelayLine(), Latch())
        for recipe in ("hold", "chrono")
    ]
    assert [m.task for m in memcap.members(task=Latch(symbols=4), distractors=[0, 1])] == [
        Latch(4, 0),
        Latch(4, 1),
    ]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        ({"unit": 3}, "unit: no such field; one of advance, batch, budget, cell, clip,"),
        ({"items": 3}, "items: no such field; one of"),
        ({"recipe.name": "hold"}, "recipe.name: no such field"),
        ({"model.lag": 3}, "model.lag: no such field"),
        ({"task": "latches"}, "task.name=latches: no such task; one of adding,"),
        ({"recipe": "nope"}, "recipe=nope: no such recipe"),
        ({"units": []}, "axes.units: is empty"),
        ({"units": [1, 0]}, "model.units=0: must be at least 1"),
        ({"units": "four"}, "model.units=four: must be a whole number"),
        ({"cell": "Foo"}, "model.cell=Foo: no such cell"),
        ({"lag": {"from": 1}}, "axes.lag=[{'from': 1}]: must be a plain list"),
        ({"lag": [[1]]}, "axes.lag=[[1]]: must be a plain list"),
        ({"seed": 0}, "axes.seed=0: must be how many seeds"),
        ({"lr": -1}, "recipe.lr=-1: must be above 0"),
        ({"every": 0}, "evaluation.every=0: must be at least 1"),
        ({"symbols": 1}, "task.symbols=1: must be at least 2"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(values, line):
    assert refusal(lambda: memcap.members(**values)).startswith(line)


@dataclass(frozen=True)
class Wide(Latch):
    """A task with a knob of the name of a field of the network."""

    units: int = memcap.knob(3, "none", at_least=1)


def test_a_field_of_two_parts_is_asked_for_by_its_whole_name():
    assert (
        refusal(lambda: memcap.members(task=Wide(), units=2)) == "units: in task and model; write task.units"
    )
    (found,) = memcap.members(task=Wide(), **{"task.units": 5, "model.units": 2})
    assert (found.task.units, found.model.units) == (5, 2)


# Rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small study in a folder."""
    folder = tmp_path_factory.mktemp("study")
    found = memcap.members(task="latch", lag=[2, 3], units=2, **TINY)
    return folder, found, memcap.train(found, folder, engine=ONE, study="small", progress=False)


def test_a_folder_keeps_rows_and_weights_and_a_second_run_trains_nothing(trained, monkeypatch, capsys):
    folder, found, rows = trained
    assert sorted(rows["key"]) == sorted(m.key for m in found)
    assert dict(rows.schema) == SCHEMA
    assert set(rows["study"]) == {"small"}
    assert_frame_equal(store.read(folder), rows)
    before = files(folder)
    monkeypatch.setattr(run, "train", lambda *a: pytest.fail("trained again"))
    assert_frame_equal(memcap.train(iter(found), str(folder), engine=ONE), rows)
    assert files(folder) == before
    assert capsys.readouterr().err == ""


def test_without_a_folder_the_rows_are_the_same_and_nothing_is_written(
    trained, monkeypatch, tmp_path, capsys
):
    _, found, rows = trained
    monkeypatch.chdir(tmp_path)
    again = memcap.train(found, engine=ONE, study="small", progress=False)
    assert not list(tmp_path.iterdir())
    own = {"compile_seconds", "run_seconds", "finished", "population"}
    assert_frame_equal(again.drop(own), rows.drop(own))
    assert capsys.readouterr() == ("", "")


def test_a_service_of_ones_own_gets_rows_and_curves_and_is_closed(tmp_path, monkeypatch, capsys):
    service = """
import json

class Service:
    def __init__(self, target):
        self.target, self.runs = target, []

    def run(self, run, points, row):
        self.runs.append((run.name, run.id, row["status"], max(points)))

    def progress(self, values): ...
    def result(self, table, image): ...

    def close(self):
        return json.dumps([self.target.group, self.runs])
"""
    (tmp_path / "my_module.py").write_text(service)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("memcap.tracking.SECONDS_AT_THE_END", 60.0)
    found = memcap.members(task="latch", lag=3, units=1, **TINY)
    rows = memcap.train(found, "outputs", study="small", engine=ONE, tracking="my_module:Service")
    runs = [["latch-L3-u1-s0", found[0].key, rows["status"][0], rows["steps"][0]]]
    assert json.loads(capsys.readouterr().out.splitlines()[-1]) == ["small", runs]


def test_a_tracker_is_refused_in_one_line_that_names_what_came_instead():
    found = memcap.members(task="latch", lag=3, units=1, **TINY)
    assert "write tracking='wandb'" in refusal(lambda: memcap.train(found, tracker=object()))
    for name in ("open_tracker", "NoTracker"):
        assert "memcap.train(tracking='wandb')" in refusal(lambda name=name: getattr(memcap.tracking, name))
    assert refusal(lambda: memcap.train(found, tracking="wandb")).startswith(
        "tracking=wandb: mirrors a folder"
    )
    assert "one of off, wandb, trackio" in refusal(lambda: memcap.train(found, tracking="on"))


def test_a_design_searches_and_an_unknown_one_is_refused(monkeypatch):
    found = memcap.members(task="latch", lag=3, units=[1, 2, 3], seed=2, **TINY)
    assert refusal(lambda: memcap.train(found, design="nope")).startswith(
        "design=nope: must be one of grid, bisect"
    )
    assert "has 1 of the 3 widths" in refusal(lambda: memcap.train(found[:1], design="bisect"))
    rows = memcap.train(found, design="bisect", engine=ONE, progress=False)
    assert 0 < rows.height <= len(found)


def test_the_frontier_of_rows_is_that_of_their_folder(tmp_path):
    groups = [
        group("delay_line", lag, {1: (0, 8), lag: (4, 8), lag + 1: (8, 8), lag + 2: (8, 8)}) for lag in (2, 4)
    ]
    write(tmp_path, *groups)
    rows = store.read(tmp_path)
    found = memcap.frontier(rows)
    assert found.to_dicts() == [columns(point) for point in frontier.frontier(rows)]
    assert_frame_equal(memcap.frontier(tmp_path), found)
    assert_frame_equal(memcap.frontier(str(tmp_path)), found)
    surer = memcap.frontier(rows, confidence=0.5)
    assert (surer["u50_high"] < found["u50_high"]).all()
    assert "no such folder" in refusal(lambda: memcap.frontier(tmp_path / "nowhere"))
    assert "at=nope: must be one of" in refusal(lambda: memcap.frontier(rows, at="nope"))


def test_verdict_and_budget_go_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "atlas", lambda: tmp_path / "none")
    counts = {2: (0, 8), 3: (8, 8), 4: (8, 8), 5: (8, 8)}
    groups = (
        group("delay_line", 3, counts, steady={3: 0}),
        group("delay_line", 3, {1: (0, 8), 2: (8, 8)}, budget=9000),
    )
    rows = table(*groups)
    for asks, units in (({"budget": 1500}, 4), ({"budget": 1500, "at": "trained"}, 3), ({}, 2)):
        (found,) = memcap.frontier(rows, **asks).to_dicts()
        assert found == columns(frontier.frontier(rows, **asks)[0])
        assert memcap.answer("delay_line", 3, rows, **asks).units == units
    assert memcap.answer("delay_line", 3).source is None
    write(tmp_path / "outputs", *groups)
    assert (memcap.answer("delay_line", 3).source, memcap.answer("delay_line", 3).units) == ("outputs", 2)


def test_an_answer_is_that_of_the_command(tmp_path):
    rows = table(group("delay_line", 3, {2: (0, 8), 3: (4, 8), 4: (8, 8), 5: (8, 8)}))
    found = memcap.answer("delay_line", 3, rows, share=0.5)
    wanted = answer.answer(DelayLine(), 3, 0.5, frontier.frontier(rows))
    assert (
        answer.as_dict(found)
        == answer.as_dict(wanted)
        == answer.as_dict(memcap.answer(DelayLine(), 3, rows, share=0.5))
    )
    assert found.units in (3, 4)
    assert str(found) == "\n".join(answer.sentences(wanted))
    assert memcap.answer("latch", 3, tmp_path / "nowhere", knobs=["symbols=4"]).references.bits == 2
    assert memcap.answer("latch", 3, tmp_path / "nowhere").units is None
    assert "no such task" in refusal(lambda: memcap.answer("nope", 3, rows))
    assert "the least lag" in refusal(lambda: memcap.answer("temporal_order", 1, rows))


def test_a_figure_is_drawn_by_its_name(tmp_path):
    rows = table(group(counts={1: (1, 4), 2: (4, 4)}))
    drawn = memcap.draw("frontier", rows)
    assert drawn.data.to_dicts() == memcap.frontier(rows).to_dicts()
    write(tmp_path, group(counts={1: (1, 4), 2: (4, 4)}))
    assert_frame_equal(memcap.draw("frontier", tmp_path).data, drawn.data)
    assert "no such figure" in refusal(lambda: memcap.draw("nope", rows))
