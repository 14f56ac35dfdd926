"""Bai et al. (2018): what its judges and its arithmetic rest on, and how large the nets are."""

import polars as pl
import pytest
from study_rows import group, table

from memcap.launch.app import compose_jobs
from memcap.papers.bai2018.paper import PAPER, accuracies

ARMS = {
    "theirs": ("number", "forget_bias"),
    "coding": ("one_hot", "forget_bias"),
    "ours": ("one_hot", "open_gate"),
}


def rows(arm, scores):
    """{T: accuracies of its seeds}, of one arm."""
    coding, init = ARMS[arm]
    knobs, columns = {"coding": coding, "items": 10, "symbols": 8}, {"init": init, "parameters": 9992}
    groups = []
    for length, seeds in scores.items():
        for accuracy in seeds:
            groups += group("copy", length, {48: (0, 1)}, knobs=knobs, final=accuracy, **columns)
    return table(groups)


@pytest.mark.parametrize("scores", [{10: [0.1], 50: [0.21]}, {10: [0.5], 25: [0.1], 50: [0.1], 100: [0.3]}])
def test_a_net_that_does_not_fall_or_gets_up_again_has_not_fallen(scores):
    assert PAPER.claims[0].judge(rows("theirs", scores)).holds is False


def test_rows_from_before_there_were_codings_are_one_hot():
    data = rows("ours", {50: [0.9]}).with_columns(
        knobs=pl.lit('{"cue": "once", "distractors": 0, "items": 10, "symbols": 8}')
    )
    assert accuracies(data)["arm"].to_list() == ["ours"]


def test_the_nets_of_the_study_have_10_000_parameters():
    """Of an LSTM with one bias a gate: 4 u (n + u + 1), and a read-out of 8 (u + 1)."""
    (job,) = (job for jobs in compose_jobs(["sweeps=bai2018"]) for job in jobs)
    sizes = {(m.task.features, m.model.units): m.architecture.parameters() for m in job.members}
    assert sizes == {(n, u): 4 * u * (n + u + 1) + 8 * (u + 1) for n, u in ((1, 48), (10, 44))}
    assert all(abs(size / 10_000 - 1) < 0.01 for size in sizes.values())
