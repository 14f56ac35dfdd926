"""The Python face: members from axes, rows with and without a folder, and what is said of them;
test_trained.py has `load`."""

from dataclasses import dataclass

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
from memcap.answers import answer, sources
from memcap.answers.question import Question
from memcap.answers.words import as_dict, sentences
from memcap.cells.lstm import LSTM
from memcap.config.member import resolve, task_defaults
from memcap.config.recipes import Recipe
from memcap.frontiers import frontier
from memcap.frontiers.points import columns
from memcap.store.rows import SCHEMA
from memcap.studies import run
from memcap.tasks import DelayLine, Latch
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
    assert memcap.members() == [
        resolve(
            {
                "task": task_defaults("delay_line"),
                "model": {},
                "recipe": {},
                "evaluation": {},
                "seed": 0,
            }
        )
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
        **{
            "recipe": "chrono",
            "lr": 0.5,
            "batch": 9,
            "evaluation.every": 11,
            "sequences": 99,
            "seed": [2],
        },
    )
    values = {"task": task_defaults("copy") | {"items": 3, "lag": 9, "length": 40}}
    values |= {
        "model": {"cell": "GRUCell", "units": 7, "readout": "lstm"},
        "recipe": {"name": "chrono", "lr": 0.5, "batch": 9},
    }
    assert found == resolve(
        values | {"evaluation": {"every": 11, "sequences": 99}, "seed": 2}
    )


def test_tasks_and_recipes_may_be_objects():
    found = memcap.members(
        task=[Latch(symbols=4), DelayLine(), "latch"],
        recipe=[Recipe("hold", lr=0.5), "chrono"],
        lag=6,
        batch=7,
    )
    assert [
        (m.task, m.recipe.name, m.recipe.lr == 0.5, m.recipe.batch) for m in found
    ] == [
        (task, recipe, recipe == "hold", 7)
        for task in (Latch(symbols=4), DelayLine(), Latch())
        for recipe in ("hold", "chrono")
    ]
    assert [
        m.task for m in memcap.members(task=Latch(symbols=4), distractors=[0, 1])
    ] == [Latch(4, 0), Latch(4, 1)]


@pytest.mark.parametrize(
    ("values", "line"),
    [
        (
            {"unit": 3},
            "unit: no such field; one of advance, batch, budget, cell, clip,",
        ),
        ({"recipe.name": "hold"}, "recipe.name: no such field"),
        ({"model.lag": 3}, "model.lag: no such field"),
        ({"model.units": 1, "units": 2}, "units: is also given as model.units"),
        ({"lr": -1}, "recipe.lr=-1.0: must be above 0"),
    ],
    ids=str,
)
def test_a_mistake_is_one_line(values, line):
    assert refusal(lambda: memcap.members(**values)).startswith(line)


class Own(nnx.GRUCell):
    """A cell of a module."""


@dataclass(frozen=True)
class Wide(Latch):
    """A task with a knob of the name of a field of the network."""

    units: int = memcap.knob(3, "none", at_least=1)


def test_a_number_as_text_is_shown_as_text():
    assert refusal(lambda: memcap.members(units="3")).startswith(
        "model.units='3': must be a whole number"
    )


def test_numbers_of_numpy_are_numbers():
    mine = memcap.members(
        task="latch", units=np.arange(1, 3), lag=[np.int64(3)], lr=np.float64(0.5)
    )
    assert mine == memcap.members(task="latch", units=[1, 2], lag=3, lr=0.5)
    assert memcap.answer("latch", np.int64(3), ROWS).question.lag == 3


def test_classes_stand_for_their_names():
    named = memcap.members(task=["latch", "copy"], cell=["GRUCell", "lstm"], units=2)
    assert (
        memcap.members(task=[Latch, "copy"], cell=[nnx.GRUCell, LSTM], units=2) == named
    )
    rows = table(group(counts={1: (1, 4), 2: (4, 4)}, cell="GRUCell"))
    assert (
        memcap.answer(Latch, 5, rows, cell=nnx.GRUCell).units
        == memcap.answer("latch", 5, rows, cell="gru").units
    )
    (own,) = memcap.members(task=Latch, cell=Own, init="flax")
    assert own.model.cell == f"{__name__}:Own"

    class Local(nnx.GRUCell):
        """Of a function: no name leads there."""

    assert "cell=Local: is defined in a function" in refusal(
        lambda: memcap.members(cell=Local)
    )


@pytest.mark.breadth
def test_a_class_of_the_script_itself_trains_in_its_process_alone(tmp_path):
    (tmp_path / "script.py").write_text(
        "from flax import nnx\nimport memcap\n\nclass Mine(nnx.GRUCell):\n    pass\n\nclass"
        " Own(memcap.tasks.Latch):\n    pass\n\nruns = memcap.members(task=Own, lag=3, cell=Mine,"
        " units=[1, 2], recipe='hold', init='flax', budget=2, batch=8, every=2, sequences=16,"
        " stretch=1)\nrows = memcap.train(runs, engine=memcap.Engine(loop='plain', workers=2),"
        " progress=False)\nprint(rows['task', 'cell'].rows())\n"
    )
    done = python(tmp_path, "script.py")
    assert done.stdout == f"{2 * [('__main__:Own', '__main__:Mine')]}\n", done.stderr
    assert (
        "memcap: cell=Mine: is defined here, so it trains in this process alone"
        in done.stderr
    )
    assert (
        "memcap: task=Own: is defined here, so it trains in this process alone"
        in done.stderr
    )


ROWS = table(group(counts={1: (1, 4), 2: (4, 4)}))
WRONG = [
    (
        lambda: memcap.train([1, 2]),
        "members: must be what memcap.members gives, and no int",
    ),
    (
        lambda: memcap.train("latch"),
        "members='latch': must be what memcap.members gives",
    ),
    (lambda: memcap.train(None), "members=None: must be what memcap.members gives"),
    (lambda: memcap.train([], engine="x"), "engine='x': must be a memcap.Engine"),
    (lambda: memcap.train([], study=3), "study=3: must be a name, as text"),
    (
        lambda: memcap.train([], study="../x"),
        "study=../x: must be a name, without / and",
    ),
    (
        lambda: memcap.train([], "a\0b"),
        "folder='a\\x00b': must be the path of a folder",
    ),
    (lambda: memcap.train([], 3), "folder=3: must be the path of a folder"),
    (lambda: memcap.train([], tracking=None), "tracking=None: must be a name, as text"),
    (
        lambda: memcap.train([], engine=memcap.Engine(workers="x")),
        "engine.workers=x: must be a whole number",
    ),
    (
        lambda: memcap.train([], tracking=Tracking(project=3)),
        "tracking.project=3: must be text",
    ),
    (lambda: memcap.train([], progress="x"), "progress='x': must be True or False"),
    (lambda: memcap.members(task=3), "task=3: must be a name, as text"),
    (lambda: memcap.members(recipe=None), "recipe=None: must be a name, as text"),
    (
        lambda: memcap.members(task=Latch(), symbols="x"),
        "task.symbols=x: must be a whole number",
    ),
    (
        lambda: memcap.members(recipe=Recipe("hold"), lr="x"),
        "recipe.lr=x: must be a number",
    ),
    (
        lambda: memcap.members(lag="1..9999999"),
        "axes.lag=1..9999999: 9,999,999 are more than the 1,000,000",
    ),
    (
        lambda: memcap.members(lag=range(1, 10**7)),
        "axes.lag=range(1, 10000000): 9,999,999 are more than the",
    ),
    (
        lambda: memcap.members(seed=1000, lag="1..2000"),
        "members: 2,000,000 are more than the 1,000,000",
    ),
    (
        lambda: memcap.frontier(pl.DataFrame()),
        "rows: no column key; not a table of rows; give what",
    ),
    (lambda: memcap.frontier(ROWS.with_columns(units=9)), "rows: row "),
    (
        lambda: memcap.frontier(ROWS, confidence=2),
        "confidence=2: must be a number above 0 and below 1",
    ),
    (lambda: memcap.frontier(ROWS, budget="x"), "budget=x: must be a whole number"),
    (lambda: memcap.frontier(3), "rows=3: must be the path of a folder"),
    (lambda: memcap.answer("latch", lag="x"), "lag=x: must be a whole number"),
    (lambda: memcap.answer(3, 3), "task=3: must be a name, as text"),
    (
        lambda: memcap.answer("latch", 3, ROWS, cell=3),
        "cell=3: must be a name, as text",
    ),
    (
        lambda: memcap.answer("latch", 3, ROWS, share="x"),
        "share='x': must be a number above 0 and below 1",
    ),
    (
        lambda: memcap.answer("latch", 3, knobs="symbols=4"),
        "knobs='symbols=4': must be a list of texts",
    ),
    (
        lambda: memcap.answer("latch", 3, knobs=None),
        "knobs=None: must be a list of texts",
    ),
    (
        lambda: memcap.members(cell=nnx.GRUCell(1, 1, rngs=nnx.Rngs(0))),
        "cell: is an object of GRUCell; give its",
    ),
    (lambda: memcap.frontier(ROWS.to_dicts()), "rows=[{"),
    (lambda: memcap.answer("latch", 3, 3), "rows=3: must be the path of a folder"),
    (lambda: memcap.load(None, "x"), "folder=None: must be the path of a folder"),
    (lambda: memcap.load(".", 3), "key=3: must be text, as the rows have it"),
    (lambda: memcap.draw(3, ROWS), "figure=3: must be a name, as text"),
    (
        lambda: memcap.draw("frontier", pl.DataFrame({"lag": [1]})),
        "rows: no column key",
    ),
]


@pytest.mark.parametrize(("call", "line"), WRONG, ids=[line for _, line in WRONG])
def test_each_argument_is_checked_at_the_door(call, line):
    assert refusal(call).startswith(line)


def test_a_field_of_two_parts_is_asked_for_by_its_whole_name():
    assert (
        refusal(lambda: memcap.members(task=Wide(), units=2))
        == "units: in task and model; write task.units"
    )
    (found,) = memcap.members(task=Wide(), **{"task.units": 5, "model.units": 2})
    assert (found.task.units, found.model.units) == (5, 2)


# Rows


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small study in a folder."""
    folder = tmp_path_factory.mktemp("study")
    found = memcap.members(task="latch", lag=[2, 3], units=2, **TINY)
    return (
        folder,
        found,
        memcap.train(found, folder, engine=ONE, study="small", progress=False),
    )


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


def test_tracking_needs_a_folder_and_a_service_that_there_is():
    found = memcap.members(task="latch", lag=3, units=1, **TINY)
    assert refusal(lambda: memcap.train(found, tracking="wandb")).startswith(
        "tracking=wandb: follows a folder"
    )
    assert "one of off, wandb, trackio" in refusal(
        lambda: memcap.train(found, tracking="on")
    )


def test_a_design_searches_and_an_unknown_one_is_refused(monkeypatch):
    found = memcap.members(task="latch", lag=3, units=[1, 2, 3], seed=2, **TINY)
    assert refusal(lambda: memcap.train(found, design="nope")).startswith(
        "design=nope: must be one of grid, bisect"
    )
    assert "has 1 of the 3 widths" in refusal(
        lambda: memcap.train(found[:1], design="bisect")
    )
    rows = memcap.train(found, design="bisect", engine=ONE, progress=False)
    assert 0 < rows.height <= len(found)


def test_the_frontier_of_rows_is_that_of_their_folder(tmp_path):
    groups = [
        group(
            "delay_line",
            lag,
            {1: (0, 8), lag: (4, 8), lag + 1: (8, 8), lag + 2: (8, 8)},
        )
        for lag in (2, 4)
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
    assert "at=nope: must be one of" in refusal(
        lambda: memcap.frontier(rows, at="nope")
    )


def test_verdict_and_budget_go_through(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sources, "NAMES", ())
    counts = {2: (0, 8), 3: (8, 8), 4: (8, 8), 5: (8, 8)}
    groups = (
        group("delay_line", 3, counts, steady={3: 0}),
        group("delay_line", 3, {1: (0, 8), 2: (8, 8)}, budget=9000),
    )
    rows = table(*groups)
    for asks, units in (
        ({"budget": 1500}, 4),
        ({"budget": 1500, "at": "trained"}, 3),
        ({}, 2),
    ):
        (found,) = memcap.frontier(rows, **asks).to_dicts()
        assert found == columns(frontier.frontier(rows, **asks)[0])
        assert memcap.answer("delay_line", 3, rows, **asks).units == units
    assert memcap.answer("delay_line", 3).source is None
    write(tmp_path / "outputs", *groups)
    assert (
        memcap.answer("delay_line", 3).source,
        memcap.answer("delay_line", 3).units,
    ) == ("outputs", 2)


def test_an_answer_is_that_of_the_command(tmp_path):
    rows = table(group("delay_line", 3, {2: (0, 8), 3: (4, 8), 4: (8, 8), 5: (8, 8)}))
    found = memcap.answer("delay_line", 3, rows, share=0.5)
    wanted = answer.answer(Question(DelayLine(), 3, share=0.5), frontier.frontier(rows))
    assert (
        as_dict(found)
        == as_dict(wanted)
        == as_dict(memcap.answer(DelayLine(), 3, rows, share=0.5))
    )
    assert found.units in (3, 4)
    assert str(found) == "\n".join(sentences(wanted))
    assert memcap.answer("latch", 3, rows, knobs=["symbols=4"]).references.bits == 2
    assert memcap.answer("latch", 3, rows).units is None
    assert "no such folder" in refusal(
        lambda: memcap.answer("latch", 3, tmp_path / "nowhere")
    )
    assert "no such task" in refusal(lambda: memcap.answer("nope", 3, rows))
    assert "the least lag" in refusal(lambda: memcap.answer("temporal_order", 1, rows))


def test_a_figure_is_drawn_by_its_name(tmp_path):
    rows = table(group(counts={1: (1, 4), 2: (4, 4)}))
    drawn = memcap.draw("frontier", rows)
    assert drawn.data.to_dicts() == memcap.frontier(rows).to_dicts()
    write(tmp_path, group(counts={1: (1, 4), 2: (4, 4)}))
    assert_frame_equal(memcap.draw("frontier", tmp_path).data, drawn.data)
    assert "no such figure" in refusal(lambda: memcap.draw("nope", rows))


def test_a_value_of_another_kind_is_one_line():
    assert refusal(lambda: memcap.Engine(loop=3)).startswith(
        "engine.loop=3: must be text"
    )
    some = memcap.members("latch", lag=2, units=1)
    wrong = memcap.Engine(shard="x")
    assert refusal(lambda: memcap.train(some, engine=wrong)).startswith(
        "engine.shard=x: must be a whole"
    )
    for name in ("lag", "units", "seed", "cell", "budget"):
        line = refusal(
            lambda name=name: memcap.members(
                "latch", **{name: pl.DataFrame({"a": [1, 2]})}
            )
        )
        assert "=DataFrame: must be" in line
        with pytest.raises(memcap.UserError) as caught:
            memcap.members("latch", **{name: "x" * 3_000_000})
        assert len(str(caught.value)) <= 690
    assert refusal(lambda: memcap.frontier("atlas", at=pl.DataFrame())).startswith(
        "at=DataFrame: must be one of"
    )
