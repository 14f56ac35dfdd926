"""Bai et al. (2018): its arms, and how large the nets are."""

import polars as pl
from study_rows import seeds, table

from memcap import findings
from memcap.launch.app import compose_jobs

study = findings.load("bai2018")


def test_rows_from_before_there_were_codings_are_one_hot():
    before = pl.lit('{"cue": "once", "distractors": 0, "items": 10, "symbols": 8}')
    data = table(
        seeds("copy", 50, {"final": 0.9}, units=48, init="open_gate")
    ).with_columns(knobs=before)
    assert study.PAPER.table(data)["arm"].to_list() == ["ours"]


def test_the_nets_of_the_study_have_10_000_parameters():
    """Of an LSTM with one bias a gate: 4 u (n + u + 1), and a read-out of 8 (u + 1)."""
    (job,) = (job for jobs in compose_jobs(["sweeps=bai2018"]) for job in jobs)
    sizes = {
        (m.task.features, m.model.units): m.architecture.parameters()
        for m in job.members
    }
    assert sizes == {
        (n, u): 4 * u * (n + u + 1) + 8 * (u + 1) for n, u in ((1, 48), (10, 44))
    }
    assert all(abs(size / 10_000 - 1) < 0.01 for size in sizes.values())
