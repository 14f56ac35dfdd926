"""The Python face: members from axes, rows with and without a folder, and what is said of them;
test_trained.py has `load`."""

from dataclasses import dataclass
from functools import partial

import numpy as np
import polars as pl
import pytest
from command import files, python
from flax import nnx
from polars.testing import assert_frame_equal
from study_checks import refusal
from study_rows import group, table, write

import memcap
from memcap import store
from memcap.answers import answer
from memcap.answers.answer import Question
from memcap.answers.words import as_dict, sentences
from memcap.cells.lstm import LSTM
from memcap.config.member import resolve, task_defaults
from memcap.config.recipes import Recipe
from memcap.frontiers import frontier
from memcap.frontiers.frontier import columns
from memcap.store.rows import SCHEMA
from memcap.studies import run
from memcap.tasks import Copy, DelayLine, Latch
from memcap.tracking import Tracking

pytestmark = pytest.mark.usefixtures("quick_file")

TINY = {"budget": 4, "batch": 8, "every": 2, "sequences": 16, "stretch": 1}
ONE = memcap.Engine(loop="while", workers=1)


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


def test_importing_memcap_imports_nothing_else(tmp_path):
    script = (
        "import sys, memcap; dir(memcap); memcap.UserError; memcap.knob; memcap.__version__\n"
        "found = {'jax', 'flax', 'numpy', 'polars', 'hydra', 'matplotlib', 'wandb', 'scipy'} &"
        " set(sys.modules)\n"
        "assert not found, found"
    )
    done = python(tmp_path, "-c", script)
    assert done.returncode == 0, done.stderr


# Members


def test_axes_multiply_and_each_member_comes_once():
    found = memcap.members(task="latch", lag=[5, 50], units=[1, 2], seed=4)
    assert [(m.lag, m.model.units, m.seed) for m in found] == [
        (x, u, s) for x in (5, 50) for u in (1, 2) for s in range(4)
    ]
    assert len(memcap.members(task="latch", lag=[5, 5], units=[1], seed=[3, 3, 0])) == 2
    assert [m.lag for m in memcap.members(lag="3..6")] == [3, 4, 5, 6]
    assert memcap.members() == memcap.members("delay_line", "auto", lag=8, seed=1)


def test_every_field_goes_by_its_name_and_reaches_its_part():
    model = {"cell": "GRUCell", "units": 7, "readout": "lstm"}
    task = {"items": 3, "lag": 9, "length": 40}
    recipe = {"lr": 0.5, "batch": 9}
    more = {"evaluation.every": 11, "sequences": 99, "seed": [2]}
    (found,) = memcap.members(
        **{"task": "copy", "recipe": "chrono", **task, **model, **recipe, **more}
    )
    values = {
        "task": task_defaults("copy") | task,
        "model": model,
        "recipe": recipe | {"name": "chrono"},
        "evaluation": {"every": 11, "sequences": 99},
        "seed": 2,
    }
    assert found == resolve(values)


def test_tasks_and_recipes_may_be_objects():
    recipes = [Recipe("hold", lr=0.5), "chrono"]
    found = memcap.members([Latch(symbols=4), "copy"], recipes, lag=6, batch=7)
    assert [(m.task, m.recipe.name) for m in found] == [
        (Latch(symbols=4), "hold"),
        (Latch(symbols=4), "chrono"),
        (Copy(), "hold"),
        (Copy(), "chrono"),
    ]
    assert {m.recipe.batch for m in found} == {7}
    assert found[0].recipe.lr == 0.5
    found = memcap.members(task=Latch(symbols=4), distractors=[0, 1])
    assert [m.task for m in found] == [Latch(4, 0), Latch(4, 1)]


class Own(nnx.GRUCell):
    """A cell of a module."""


@dataclass(frozen=True)
class Wide(Latch):
    """A task with a knob of the name of a field of the network."""

    units: int = memcap.knob(3, "none", at_least=1)


def test_numbers_of_numpy_are_numbers():
    mine = memcap.members(
        task="latch", units=np.arange(1, 3), lag=[np.int64(3)], lr=np.float64(0.5)
    )
    assert mine == memcap.members(task="latch", units=[1, 2], lag=3, lr=0.5)
    assert memcap.answer("latch", np.int64(3), ROWS).question.lag == 3


def test_classes_stand_for_their_names():
    named = memcap.members(task=["latch", "copy"], cell=["GRUCell", "lstm"], units=2)
    classes = memcap.members(task=[Latch, "copy"], cell=[nnx.GRUCell, LSTM], units=2)
    assert classes == named
    rows = table(group(counts={1: (1, 4), 2: (4, 4)}, cell="GRUCell"))
    by_class = memcap.answer(Latch, 5, rows, cell=nnx.GRUCell)
    assert by_class.units == memcap.answer("latch", 5, rows, cell="gru").units == 2
    (own,) = memcap.members(task=Latch, cell=Own, init="flax")
    assert own.model.cell == f"{__name__}:Own"

    class Local(nnx.GRUCell):
        """Of a function: no name leads there."""

    line = refusal(lambda: memcap.members(cell=Local))
    assert "cell=Local: is defined in a function" in line


SCRIPT = """
from flax import nnx
import memcap

class Mine(nnx.GRUCell):
    pass

class Own(memcap.tasks.Latch):
    pass

tiny = {"budget": 2, "batch": 8, "every": 2, "sequences": 16, "stretch": 1}
cell = {"cell": Mine, "units": [1, 2], "init": "flax"}
runs = memcap.members(Own, "hold", lag=3, **cell, **tiny)
rows = memcap.train(runs, engine=memcap.Engine(loop="plain", workers=2), progress=False)
print(rows["task", "cell"].rows())
"""


@pytest.mark.breadth
def test_a_class_of_the_script_itself_trains_in_its_process_alone(tmp_path):
    (tmp_path / "script.py").write_text(SCRIPT)
    done = python(tmp_path, "script.py")
    assert done.stdout == f"{2 * [('__main__:Own', '__main__:Mine')]}\n", done.stderr
    for name in ("cell=Mine", "task=Own"):
        line = f"memcap: {name}: is defined here, so it trains in this process alone"
        assert line in done.stderr


ROWS = table(group(counts={1: (1, 4), 2: (4, 4)}))
SOME = memcap.members("latch", lag=3, units=[1, 2, 3], **TINY)
A_CELL = nnx.GRUCell(1, 1, rngs=nnx.Rngs(0))
WRONG = {
    memcap.members: [
        ({"unit": 3}, "unit: no such field; did you mean units? one of advance,"),
        ({"model.lag": 3}, "model.lag: no such field"),
        ({"model.units": 1, "units": 2}, "units: is also given as model.units"),
        ({"task": Wide(), "units": 2}, "units: in task and model; write task.units"),
        ({"lr": -1}, "recipe.lr=-1.0: must be above 0"),
        ({"units": "3"}, "model.units='3': must be a whole number"),
        ({"lag": ROWS}, "task.lag=DataFrame: must be"),
        ({"task": 3}, "task=3: must be a name, as text"),
        ({"recipe": None}, "recipe=None: must be a name, as text"),
        ({"recipe": Recipe("hold"), "lr": "x"}, "recipe.lr=x: must be a number"),
        ({"lag": "1..9999999"}, "axes.lag=1..9999999: 9,999,999 are more than the"),
        ({"lag": range(10**7)}, "axes.lag=range(0, 10000000): 10,000,000 are more"),
        ({"seed": 1000, "lag": "1..2000"}, "members: 2,000,000 are more than the"),
        ({"cell": A_CELL}, "cell: is an object of GRUCell; give its"),
    ],
    memcap.train: [
        ({"members": [1, 2]}, "members: must be what memcap.members gives, and no int"),
        ({"members": "latch"}, "members='latch': must be what memcap.members gives"),
        ({"members": [], "engine": "x"}, "engine='x': must be a memcap.Engine"),
        (
            {"members": [], "engine": memcap.Engine(workers="x")},
            "engine.workers=x: must be a whole number",
        ),
        ({"members": [], "study": "../x"}, "study=../x: must be a name, without / and"),
        ({"members": [], "folder": "a\0b"}, "folder='a\\x00b': must be the path of a"),
        ({"members": [], "tracking": None}, "tracking=None: must be a name, as text"),
        (
            {"members": [], "tracking": Tracking(project=3)},
            "tracking.project=3: must be text",
        ),
        ({"members": SOME, "tracking": "wandb"}, "tracking=wandb: follows a folder"),
        ({"members": [], "progress": "x"}, "progress='x': must be True or False"),
        (
            {"members": SOME, "design": "nope"},
            "design=nope: must be one of grid, bisect",
        ),
    ],
    memcap.frontier: [
        ({"rows": pl.DataFrame()}, "rows: no column key; not a table of rows; give"),
        ({"rows": ROWS.with_columns(units=9)}, "rows: row "),
        ({"rows": ROWS, "confidence": 2}, "confidence=2: must be a number above 0"),
        ({"rows": ROWS, "budget": "x"}, "budget=x: must be a whole number"),
        ({"rows": ROWS, "at": ROWS}, "at=DataFrame: must be one of"),
        ({"rows": ROWS, "at": "nope"}, "at=nope: must be one of anywhere, up_to"),
        ({"rows": 3}, "rows=3: must be the path of a folder"),
        ({"rows": "nowhere"}, "nowhere: no such folder"),
    ],
    memcap.answer: [
        ({"task": "latch", "lag": "x"}, "lag=x: must be a whole number"),
        ({"task": "nope", "lag": 3}, "task.name=nope: no such task"),
        ({"task": "latch", "lag": 3, "cell": 3}, "cell=3: must be a name, as text"),
        (
            {"task": "latch", "lag": 3, "share": "x"},
            "share='x': must be a number above",
        ),
        (
            {"task": "latch", "lag": 3, "knobs": "a"},
            "knobs='a': must be a list of texts",
        ),
    ],
    memcap.load: [
        ({"folder": None, "key": "x"}, "folder=None: must be the path of a folder"),
        ({"folder": ".", "key": 3}, "key=3: must be text, as the rows have it"),
    ],
    memcap.draw: [
        ({"figure": "nope", "rows": ROWS}, "nope: no such figure"),
        ({"figure": "frontier", "rows": pl.DataFrame({"lag": [1]})}, "rows: no column"),
    ],
}


@pytest.mark.parametrize("call", WRONG)
def test_each_argument_is_checked_at_the_door(call):
    for values, line in WRONG[call]:
        assert refusal(partial(call, **values)).startswith(line)


def test_of_a_long_text_a_line_has_the_start():
    assert len(refusal(lambda: memcap.members("latch", lag="x" * 3_000_000))) <= 690


def test_a_field_of_two_parts_goes_by_its_whole_name():
    (found,) = memcap.members(task=Wide(), **{"task.units": 5, "model.units": 2})
    assert (found.task.units, found.model.units) == (5, 2)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small study in a folder."""
    folder = tmp_path_factory.mktemp("study")
    found = memcap.members(task="latch", lag=[2, 3], units=2, **TINY)
    rows = memcap.train(found, folder, engine=ONE, study="small", progress=False)
    return folder, found, rows


def test_a_folder_keeps_rows_and_weights_and_a_second_run_trains_nothing(
    trained, monkeypatch, capsys
):
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


def test_a_study_that_is_tracked_says_where(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    found = memcap.members(task="latch", lag=3, units=1, **TINY)
    memcap.train(found, "outputs", study="small", engine=ONE, tracking="wandb")
    assert capsys.readouterr().out.startswith("W&B: 2 runs in ")
    assert list(tmp_path.glob("outputs/wandb/*-study-*"))
    assert list(tmp_path.glob(f"outputs/wandb/*-{found[0].key}"))


def test_a_design_searches():
    found = memcap.members(task="latch", lag=3, units=[1, 2, 3], seed=2, **TINY)
    few = refusal(lambda: memcap.train(found[:1], design="bisect"))
    assert "has 1 of the 3 widths" in few
    rows = memcap.train(found, design="bisect", engine=ONE, progress=False)
    assert 0 < rows.height <= len(found)


def test_the_frontier_of_rows_is_that_of_their_folder(tmp_path):
    for lag in (2, 4):
        counts = {1: (0, 8), lag: (4, 8), lag + 1: (8, 8), lag + 2: (8, 8)}
        write(tmp_path / f"lag_{lag}", group("delay_line", lag, counts))
    rows = store.read(tmp_path)
    found = memcap.frontier(rows)
    assert found.to_dicts() == [columns(point) for point in frontier.frontier(rows)]
    assert_frame_equal(memcap.frontier(tmp_path), found)
    assert_frame_equal(memcap.frontier(str(tmp_path)), found)
    surer = memcap.frontier(rows, confidence=0.5)
    assert (surer["u50_high"] < found["u50_high"]).all()


def test_verdict_and_budget_go_through():
    counts = {2: (0, 8), 3: (8, 8), 4: (8, 8), 5: (8, 8)}
    few = group("delay_line", 3, counts, steady={3: 0})
    many = group("delay_line", 3, {1: (0, 8), 2: (8, 8)}, budget=9000)
    rows = table(few, many)
    for asks, units in (({"budget": 1500, "at": "trained"}, 3), ({}, 2)):
        (found,) = memcap.frontier(rows, **asks).to_dicts()
        assert found == columns(frontier.frontier(rows, **asks)[0])
        assert memcap.answer("delay_line", 3, rows, **asks).units == units


def test_an_answer_is_that_of_the_command():
    rows = table(group("delay_line", 3, {2: (0, 8), 3: (4, 8), 4: (8, 8), 5: (8, 8)}))
    found = memcap.answer("delay_line", 3, rows, share=0.5)
    wanted = answer.answer(Question(DelayLine(), 3, share=0.5), frontier.frontier(rows))
    assert as_dict(found) == as_dict(wanted)
    assert as_dict(found) == as_dict(memcap.answer(DelayLine(), 3, rows, share=0.5))
    assert found.units in (3, 4)
    assert str(found) == "\n".join(sentences(wanted))
    found = memcap.answer("latch", 3, rows, knobs=["symbols=4"])
    assert found.question.task.symbols == 4
    assert memcap.answer("latch", 3, rows).units is None
    assert "the least lag" in refusal(lambda: memcap.answer("temporal_order", 1, rows))


def test_a_figure_is_drawn_by_its_name(tmp_path):
    rows = table(group(counts={1: (1, 4), 2: (4, 4)}))
    drawn = memcap.draw("frontier", rows)
    assert drawn.data.to_dicts() == memcap.frontier(rows).to_dicts()
    write(tmp_path, group(counts={1: (1, 4), 2: (4, 4)}))
    assert_frame_equal(memcap.draw("frontier", tmp_path).data, drawn.data)
