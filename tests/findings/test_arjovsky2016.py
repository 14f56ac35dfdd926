"""Arjovsky et al. (2016): what its judges and its arithmetic rest on."""

import math

import pytest
from study_rows import seeds, table

from memcap import findings

study = findings.load("arjovsky2016")

KNOBS = {"items": 10, "symbols": 8}


def test_losses_are_over_all_steps_as_the_papers():
    assert pytest.approx(10 * math.log(8) / 120) == study.BASELINE
    nets = seeds(
        "copy",
        100,
        {"train_loss": 0.01 / study.SHARE, "steps_to_solve": 300},
        {},
        knobs=KNOBS,
    )
    data = study.PAPER.table(table(nets))
    assert data["loss"].to_list() == pytest.approx([0.01, 0.5 * study.SHARE])
    assert data["steps"].to_list() == [300, None]


def test_nets_without_a_loss_are_no_marks_and_none_that_has_learnt():
    lost = {"knobs": KNOBS, "train_loss": None}
    rows = table(
        seeds("copy", 100, {}, cell="urnn", recipe="own_start", **lost),
        seeds("copy", 100, {}, recipe="chrono", **lost),
    )
    drawn = study.draw(rows)
    drawn.figure.draw_without_rendering()
    assert drawn.data["loss"].to_list() == [None, None]
    assert [finding.holds for finding in study.PAPER.findings(rows)] == [
        False,
        None,
        None,
    ]
