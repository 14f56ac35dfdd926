"""Bai et al. (2018): what its judges rest on, and how large the nets are."""

import polars as pl
import pytest
from study_rows import seeds, table

from memcap.launch.app import compose_jobs
from memcap.papers.bai2018.paper import PAPER


def rows(coding, init, scores):
    """{T: accuracies of its seeds}."""
    knobs = {"coding": coding, "items": 10, "symbols": 8}
    some = {lag: [{"final": accuracy} for accuracy in own] for lag, own in scores.items()}
    return table(*(seeds("copy", lag, *own, units=48, knobs=knobs, init=init) for lag, own in some.items()))


@pytest.mark.parametrize("scores", [{10: [0.1], 50: [0.21]}, {10: [0.5], 25: [0.1], 50: [0.1], 100: [0.3]}])
def test_a_net_that_does_not_fall_or_gets_up_again_has_not_fallen(scores):
    assert PAPER.findings(rows("number", "forget_bias", scores))[0].holds is False


def test_rows_from_before_there_were_codings_are_one_hot():
    before = pl.lit('{"cue": "once", "distractors": 0, "items": 10, "symbols": 8}')
    data = rows("one_hot", "open_gate", {50: [0.9]}).with_columns(knobs=before)
    assert PAPER.table(data)["arm"].to_list() == ["ours"]


def test_the_nets_of_the_study_have_10_000_parameters():
    """Of an LSTM with one bias a gate: 4 u (n + u + 1), and a read-out of 8 (u + 1)."""
    (job,) = (job for jobs in compose_jobs(["sweeps=bai2018"]) for job in jobs)
    sizes = {(m.task.features, m.model.units): m.architecture.parameters() for m in job.members}
    assert sizes == {(n, u): 4 * u * (n + u + 1) + 8 * (u + 1) for n, u in ((1, 48), (10, 44))}
    assert all(abs(size / 10_000 - 1) < 0.01 for size in sizes.values())
