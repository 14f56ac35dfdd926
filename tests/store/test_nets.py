"""The nets that memcap publishes: each passes, has a name, and goes where a key of a
member goes."""

import numpy as np
import polars as pl
import pytest
from breadth import leave
from task_checks import draw

import memcap
from memcap import cli, store
from memcap.config.member import member_of, usual_until
from memcap.frontiers.frontier import frontier
from memcap.knobs import UserError
from memcap.rule import SHORTER_LAGS
from memcap.store import nets
from memcap.store.shards import rows_file
from memcap.studies.verify import verify

NAMES = sorted(nets.names())


def accuracy(batch, outputs):
    """The share of right answers where one is due."""
    right = outputs.argmax(-1) == batch.targets
    return right[-1].mean() if batch.mask is None else right[batch.mask].mean()


def test_they_are_whole_and_small():
    report = verify(nets.folder())
    assert not report.wrong
    assert (report.rows, report.row_files, report.weight_files) == (len(NAMES), 1, 1)
    assert sum(path.stat().st_size for path in nets.folder().rglob("*.*")) < 4e6


@pytest.mark.breadth
def test_each_passed_at_a_lag_of_the_atlas_on_a_seed_of_its_own():
    rows = pl.concat([store.read(rows_file(study)) for study in nets.STUDIES])
    places = set(rows.select("task", "knobs", "lag").iter_rows())
    for name, row in nets.names().items():
        task = member_of(store.config_of(row)).task
        usual = {"solved", usual_until(task)}
        if task.has_other_lags(row["lag"]):
            usual = {"solved", *SHORTER_LAGS}
        assert row["evaluation_until"] in usual
        assert row[row["evaluation_until"]]
        assert (row["task"], row["knobs"], row["lag"]) in places, name
        assert rows.filter(pl.col("key") == row["key"]).is_empty()


@pytest.mark.breadth
def test_each_task_and_lag_of_the_atlas_has_one():
    points = [
        point
        for study in nets.STUDIES
        for point in frontier(store.read(rows_file(study)))
        if point.usual and point.trains
    ]
    lstms = [
        point
        for point in points
        if (point.model.name, point.model.readout) == ("lstm", "dense")
    ]
    assert sorted({nets.name_of(point.task, point.lag) for point in lstms}) == NAMES


@pytest.mark.parametrize(
    ("name", "lags"),
    [
        ("delay_line-L8", [8]),
        *leave([("copy-L50", [5, 25, 50])]),
        pytest.param("latch-symbols=32-L50", [5, 12, 25, 40], marks=pytest.mark.slow),
        pytest.param("parity-L50", [5, 12, 25, 40], marks=pytest.mark.slow),
    ],
)
def test_it_is_right_at_its_lag_and_where_that_is_no_stream_at_shorter_ones(name, lags):
    net = memcap.load(f"atlas:{name}")
    task = net.member.task
    for lag in lags:
        batch = draw(task, lag, seed=8, steps=task.length(lag), batch=512)
        # the rule allows .971 on 256 sequences
        assert accuracy(batch, net.run(batch.inputs)[0]) > 0.95


def test_mistakes_are_one_line(tmp_path):
    with pytest.raises(
        UserError, match="atlas:latch-L51: no such net; one of atlas:latch-"
    ):
        memcap.load("atlas:latch-L51")
    with pytest.raises(
        UserError, match="give the key of a member, too, or the name atlas:NAME"
    ):
        memcap.load(tmp_path)


@pytest.mark.breadth
def test_export_takes_the_name(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    cli.main(["export", "atlas:latch-L5", "--layout", "torch", "-o", "net.npz"])
    row = nets.names()["atlas:latch-L5"]
    assert np.load("net.npz")["lstm.weight_hh_l0"].shape == (
        4 * row["units"],
        row["units"],
    )
    assert "net.npz" in capsys.readouterr().out
