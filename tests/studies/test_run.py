"""A job trains what is missing, and a row says all that is to be said of a member."""

import json
import os
import sys
from dataclasses import replace

import jax
import numpy as np
import polars as pl
import pytest
from breadth import leave
from polars.testing import assert_frame_equal
from study_checks import ONE_LANE, small_job
from study_rows import fake
from watching import Watcher, run_watched

from memcap import store
from memcap.config.member import resolve
from memcap.designs.axes import members
from memcap.store import files
from memcap.store.rows import SCHEMA, frame, passed_column
from memcap.store.study import Study
from memcap.store.weights import flat
from memcap.studies import run
from memcap.studies.environment import environment
from memcap.studies.run import run_study
from memcap.studies.writer import row_of
from memcap.training.engine import train

pytestmark = pytest.mark.usefixtures("quick_file")

AXES = {"model.units": [1, 2], "task.lag": [2, 3], "seed": 2}


class Remembers(Watcher):
    def __init__(self):
        self.curves = []
        self.rows = {}

    def curve(self, key, step, values):
        self.curves.append((key, step))

    def member(self, key, config, row):
        self.rows[key] = (config, row)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A small study, trained once."""
    folder = tmp_path_factory.mktemp("study")
    watcher = Remembers()
    found = members(small_job(AXES))
    rows = run_watched(
        watcher, found, replace(ONE_LANE, lanes=2), Study(folder, "small")
    )
    return found, folder, rows, watcher


def forbid_training(monkeypatch):
    monkeypatch.setattr(run, "train", lambda *a: pytest.fail("trained again"))


def test_each_member_has_one_row(trained):
    found, folder, rows, _ = trained
    assert sorted(rows["key"]) == sorted(m.key for m in found)
    assert_frame_equal(store.read(folder), rows)
    assert rows["study"].unique().to_list() == ["small"]
    assert rows["population"].n_unique() == 2
    assert (
        len(list((folder / "rows").iterdir()))
        == len(list((folder / "weights").iterdir()))
        == 2
    )


# By the recipes here, and by members that ended well.
NOT_SET = {
    "steps_to_up_to",
    "mean_up_to",
    "worst_up_to",
    "worst_lag",
    "reason",
    "curriculum",
    "falls_above",
}
NOT_SET |= {
    "advance",
    "deadline",
    "decay",
    "floor",
    "warmup_share",
    "lags",
    "freeze",
    "lengths",
}
NOT_SET |= {"score_at_lengths", "whole_at_lengths", "validation_loss", "held_out_loss"}
OFTEN_NULL = {
    "steps_to_solve",
    "steps_to_steady",
    "git_commit",
    "final",
    "best",
} | NOT_SET


def test_a_row_has_every_column(trained):
    found, _, rows, _ = trained
    assert dict(rows.schema) == SCHEMA
    nulls = {name for name in rows.columns if rows[name].null_count()}
    assert nulls <= OFTEN_NULL
    assert not any(
        rows[name].is_nan().any() for name, kind in SCHEMA.items() if kind == pl.Float64
    )
    by_key = {m.key: m for m in found}
    for each in rows.iter_rows(named=True):
        member = by_key[each["key"]]
        stored = json.loads(each["config"])
        assert stored == member.config
        assert resolve(stored) == member
        assert (each["task"], each["lag"], each["length"]) == (
            "latch",
            member.lag,
            member.lag + 2,
        )
        assert json.loads(each["knobs"]) == {"symbols": 2, "distractors": 4}
        assert each["cell"] == "lstm"
        assert (each["readout"], each["units"], each["seed"]) == (
            "dense",
            member.model.units,
            member.seed,
        )
        assert each["recipe"] == "hold"
        assert (each["init"], each["lr"], each["batch"], each["budget"]) == (
            "hold",
            member.recipe.lr,
            16,
            12,
        )
        assert each["forget_bias"] == pytest.approx(np.log(member.lag + 1) + 1)
        assert each["input_bias"] == -each["forget_bias"]
        assert (each["metric"], each["threshold"], each["stretch"]) == (
            "accuracy",
            0.99,
            2,
        )
        assert each["solved"] == (each["status"] == "solved")
        assert each["steps_to_solve"] == (each["steps"] if each["solved"] else None)
        assert each["evaluation_until"] == "solved"
        assert each["steady"] == (each["solved"] and each["stretched"] >= 0.99)
        assert each["steps_to_steady"] == (each["steps"] if each["steady"] else None)
        assert 0 < each["steps"] <= 12
        assert 0 <= each["final"] <= each["best"] <= 1
        assert (each["backend"], each["batching"], each["scan"]) == (
            "cpu",
            "map",
            "loop",
        )
        assert each["matmul_precision"] == "highest"
        assert each["jax"] == jax.__version__


def test_the_stored_weights_are_those_that_were_trained(trained):
    found, folder, _, _ = trained
    (ended,) = train([found[0]], ONE_LANE)
    stored = flat(store.weights_of(folder, store.find_row(folder, found[0].key)))
    for path, array in flat(ended.weights).items():
        np.testing.assert_allclose(stored[path], array, atol=1e-5)


def test_each_member_has_a_curve_and_a_row_as_it_ends(trained):
    found, _, rows, watcher = trained
    assert (
        {key for key, _ in watcher.curves}
        == set(watcher.rows)
        == {m.key for m in found}
    )
    for each in rows.iter_rows(named=True):
        config, row = watcher.rows[each["key"]]
        assert config == json.loads(each["config"])
        assert row == each


def test_a_longer_job_trains_what_is_new(trained, tmp_path, monkeypatch):
    rows = trained[2]
    files.write_table(tmp_path / "rows.parquet", rows)  # as after `collect` alone
    asked = []

    def few(missing, *rest):
        asked.extend(missing)
        return train(missing, *rest)

    monkeypatch.setattr(run, "train", few)
    more = members(small_job([AXES, {"seed": [9]}]))
    grown = run_study(more, ONE_LANE, Study(tmp_path, "small"))
    assert [m.seed for m in asked] == [9]
    assert sorted(grown["key"]) == sorted(m.key for m in more)


def test_what_was_never_measured_is_null():
    (member,) = members(small_job())
    table = frame([row_of(fake(member), "s", "p")])
    unmeasured = {
        "steps_to_solve",
        "steps_to_steady",
        "final",
        "best",
        "stretched",
        "train_loss",
    }
    assert {name for name in table.columns if table[name].null_count()} - {
        "git_commit"
    } == unmeasured | NOT_SET
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
    columns = [
        "status",
        "solved",
        "steady",
        "steps",
        "steps_to_solve",
        "steps_to_steady",
        "evaluation_until",
    ]
    assert table.select(columns).rows() == [
        ("solved", True, True, 12, 5, 9, "steady"),
        ("solved", True, False, 12, 5, None, "steady"),
        ("diverged", True, False, 12, 5, None, "steady"),
    ]
    assert table.select(passed_column())["passed"].to_list() == [True, False, False]


@pytest.mark.parametrize(
    ("init", "nulls"),
    [
        ("chrono", {"input_bias", "forget_bias"}),
        ("flax", {"input_bias", "forget_bias", "output_bias", "gain", "orthogonal"}),
        ("open_gate", set()),
    ],
)
def test_biases_that_are_drawn_are_null(init, nulls):
    (member,) = members(
        small_job(
            recipe__init=init, model__cell="GRUCell" if init == "flax" else "lstm"
        )
    )
    scores = {"score": 1.0, "best": 1.0, "stretched": 1.0, "train_loss": 0.1}
    result = row_of(
        fake(member, status="solved", steps=3, solved=3, steady=3, **scores), "s", "p"
    )
    assert {name for name, value in result.items() if value is None} - {
        "git_commit"
    } == nulls | NOT_SET
    assert set(result) == set(SCHEMA)
    assert result["steps_to_solve"] == 3


def test_the_environment_names_versions_and_flags():
    found = environment()
    assert found["xla_flags"] == os.environ.get("XLA_FLAGS", "")
    assert found["python"].startswith(
        f"{sys.version_info.major}.{sys.version_info.minor}"
    )
    assert set(found) <= set(SCHEMA)


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
