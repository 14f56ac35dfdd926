"""A job trains what is missing, and a row says all that is to be said of a member."""

import json
from dataclasses import replace

import jax
import numpy as np
import polars as pl
import pytest
from breadth import leave
from flax.traverse_util import flatten_dict
from polars.testing import assert_frame_equal
from study_checks import ONE_LANE, small_job
from study_rows import fake

from memcap import store
from memcap.config.member import resolve
from memcap.designs.axes import members
from memcap.store.rows import SCHEMA, frame, passed_column
from memcap.store.shards import Study
from memcap.studies import run
from memcap.studies.run import run_study
from memcap.studies.writer import row_of
from memcap.training.engine import train

pytestmark = pytest.mark.usefixtures("quick_file")

AXES = {"model.units": [1, 2], "task.lag": [2, 3], "seed": 2}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small study, trained once."""
    folder = tmp_path_factory.mktemp("study")
    found = members(small_job(AXES))
    rows = run_study(found, replace(ONE_LANE, lanes=2), Study(folder, "small"))
    return found, folder, rows


def forbid_training(monkeypatch):
    monkeypatch.setattr(run, "train", lambda *a: pytest.fail("trained again"))


def test_each_member_has_one_row(trained):
    found, folder, rows = trained
    assert sorted(rows["key"]) == sorted(m.key for m in found)
    assert_frame_equal(store.read(folder), rows)
    assert rows["study"].unique().to_list() == ["small"]
    assert rows["population"].n_unique() == 2
    for part in ("rows", "weights"):
        assert len(list((folder / part).iterdir())) == 2


def test_a_cell_that_gives_no_number_is_named(capsys):
    job = {"model__cell": "odd_cells:Broken", "recipe__init": "flax"}
    rows = run_study(members(small_job(**job)), ONE_LANE, Study(), quiet=True)
    assert rows.select("status", "steps").rows() == [("diverged", 0)]
    said = capsys.readouterr().err
    assert said.startswith(
        "memcap: model.cell=odd_cells:Broken: its loss or gradient is"
    )


# By the recipes here, and by members that ended well.
NOT_SET = {
    *("steps_to_up_to", "mean_up_to", "worst_up_to", "worst_lag", "reason"),
    *("curriculum", "falls_above", "advance", "deadline", "decay"),
    *("lags", "freeze", "before", "lengths", "score_at_lengths"),
    *("steps_to_anywhere", "exact_lags"),
    *("whole_at_lengths", "validation_loss", "held_out_loss"),
}
OFTEN_NULL = {"steps_to_solve", "steps_to_steady", "git_commit", "final", "best"}
# What all rows here say.
SAID = {
    "task": "latch",
    "knobs": '{"distractors": 4, "symbols": 2}',
    "cell": "lstm",
    "readout": "dense",
    "recipe": "hold",
    "init": "hold",
    "batch": 16,
    "budget": 12,
    "metric": "accuracy",
    "threshold": 0.99,
    "stretch": 2,
    "evaluation_until": "solved",
    "backend": "cpu",
    "batching": "map",
    "scan": "loop",
    "matmul_precision": "highest",
    "jax": jax.__version__,
}


def test_a_row_has_every_column(trained):
    found, _, rows = trained
    assert dict(rows.schema) == SCHEMA
    nulls = {name for name in rows.columns if rows[name].null_count()}
    assert nulls <= OFTEN_NULL | NOT_SET
    floats = rows.select(pl.col(pl.Float64).is_nan().any())
    assert not any(floats.row(0))
    by_key = {m.key: m for m in found}
    for row in rows.iter_rows(named=True):
        member = by_key[row["key"]]
        stored = json.loads(row["config"])
        assert stored == member.config
        assert resolve(stored) == member
        assert SAID.items() <= row.items()
        assert (row["lag"], row["length"]) == (member.lag, member.lag + 2)
        assert (row["units"], row["seed"]) == (member.model.units, member.seed)
        assert row["lr"] == member.recipe.lr
        assert row["forget_bias"] == pytest.approx(np.log(member.lag + 1) + 1)
        assert row["input_bias"] == -row["forget_bias"]
        assert row["solved"] == (row["status"] == "solved")
        assert row["steps_to_solve"] == (row["steps"] if row["solved"] else None)
        assert row["steady"] == (row["solved"] and row["stretched"] >= 0.99)
        assert row["steps_to_steady"] == (row["steps"] if row["steady"] else None)
        assert 0 < row["steps"] <= 12
        assert 0 <= row["final"] <= row["best"] <= 1


def test_the_stored_weights_are_those_that_were_trained(trained):
    found, folder, _ = trained
    (ended,) = train([found[0]], ONE_LANE)
    stored = flatten_dict(
        store.weights_of(folder, store.find_row(folder, found[0].key))
    )
    for path, array in flatten_dict(ended.weights).items():
        np.testing.assert_allclose(stored[path], array, atol=1e-5)


def test_what_was_never_measured_is_null():
    (member,) = members(small_job())
    table = frame([row_of(fake(member), "s", "p")])
    unmeasured = {"steps_to_solve", "steps_to_steady", "final", "best"}
    unmeasured |= {"stretched", "train_loss", *NOT_SET}
    nulls = {name for name in table.columns if table[name].null_count()}
    assert nulls - {"git_commit"} == unmeasured
    assert table.select("solved", "steady").rows() == [(False, False)]


def test_a_row_tells_solved_from_steady():
    """A member that trained on and came to nothing more, and one that trained on and
    diverged, are solved and not steady."""
    (member,) = members(small_job(task="delay_line"))
    ends = [
        {"status": "solved", "steady": 9},
        {"status": "solved"},
        {"status": "diverged"},
    ]
    table = frame(
        [row_of(fake(member, solved=5, steps=12, **end), "s", "p") for end in ends]
    )
    columns = ["status", "solved", "steady", "steps_to_solve", "steps_to_steady"]
    assert table.select(columns).rows() == [
        ("solved", True, True, 5, 9),
        ("solved", True, False, 5, None),
        ("diverged", True, False, 5, None),
    ]
    assert set(table["evaluation_until"]) == {"steady"}
    assert table.select(passed_column())["passed"].to_list() == [True, False, False]


# A design that searches

BISECT = {"model.units": [1, 2, 3], "task.lag": [1, 2], "seed": 2}


@pytest.mark.parametrize("design", leave(["bisect", "adaptive"]))
def test_a_search_trains_a_part_and_a_rerun_nothing(tmp_path, monkeypatch, design):
    found = members(small_job(BISECT))
    rows = run_study(found, ONE_LANE, Study(tmp_path, "small", design))
    assert 0 < rows.height < len(found)
    assert_frame_equal(store.read(tmp_path), rows)
    assert set(rows["lag"]) == {1, 2}
    for _, widths in rows.group_by(
        "lag"
    ):  # nothing solves in 12 steps: the widest net must have been asked
        assert widths["units"].max() == 3
    forbid_training(monkeypatch)
    assert_frame_equal(
        run_study(found, ONE_LANE, Study(tmp_path, "small", design)), rows
    )
