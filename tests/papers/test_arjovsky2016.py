"""Arjovsky et al. (2016): what its judges and its arithmetic rest on."""

import math

import pytest
from study_rows import group, table

from memcap.papers.arjovsky2016.paper import BASELINE, PAPER, SHARE, draw, losses

KNOBS = {"items": 10, "symbols": 8}


def nets(cell, start, *seeds):
    """A net per loss, a mean over all steps, and step at which it had learnt to copy, or None."""
    groups = []
    for seed, (loss, steps) in enumerate(seeds):
        counts = {32: (int(steps is not None), 1)}
        per_answer = None if loss is None else loss / SHARE
        columns = {"cell": cell, "recipe": start, "knobs": KNOBS, "train_loss": per_answer}
        rows = group("copy", 100, counts, steps=steps or 1, **columns)
        groups += [row | {"seed": seed} for row in rows]
    return groups


def test_losses_are_over_all_steps_as_the_papers():
    assert pytest.approx(10 * math.log(8) / 120) == BASELINE
    data = losses(table(nets("urnn", "own_start", (0.01, 300), (0.17, None))))
    assert data["loss"].to_list() == pytest.approx([0.01, 0.17])
    assert data["steps"].to_list() == [300, None]


def test_nets_without_a_loss_are_no_marks_and_none_that_has_learnt():
    some = nets("urnn", "own_start", (None, None)), nets("lstm", "chrono", (None, None))
    drawn = draw(table(*some))
    drawn.figure.draw_without_rendering()
    assert drawn.data["loss"].to_list() == [None, None]
    assert [claim.judge(table(*some)).holds for claim in PAPER.claims] == [False, None, None]
