"""Arjovsky et al. (2016): what is drawn and judged, on rows that nobody trained."""

import math

import pytest
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.arjovsky2016.paper import BASELINE, PAPER, SHARE, draw, losses

LEARNS, STAY, CHRONO = PAPER.claims
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


@pytest.mark.parametrize(
    ("seeds", "holds"),
    [
        ([(0.01, 2000), (0.001, 100), (0.17, None)], True),
        ([(0.01, 2100), (0.001, 100), (0.17, None)], False),
        ([(0.03, 100), (0.001, 100), (0.17, None)], False),
    ],
)
def test_two_of_three_learn_early(seeds, holds):
    assert LEARNS.judge(table(nets("urnn", "own_start", *seeds))).holds is holds


@pytest.mark.parametrize(
    ("lstm", "tanh", "holds"), [(0.15, 0.17, True), (0.14, 0.17, False), (0.17, 0.1, False)]
)
def test_one_net_that_leaves_is_enough_to_deny_that_all_stay(lstm, tanh, holds):
    rows = table(
        nets("lstm", "forget_bias", (0.172, None), (lstm, None)),
        nets("SimpleCell", "own_start", (tanh, None)),
        nets("irnn", "own_start", (0.16, None)),
    )
    assert STAY.judge(rows).holds is holds
    assert STAY.judge(rows.filter(cell="lstm")) == NOT_MEASURED


@pytest.mark.parametrize(
    ("chrono", "usual", "holds"), [(0.08, 0.17, True), (0.09, 0.17, False), (0.01, 0.08, False)]
)
def test_a_chrono_start_leaves_where_the_usual_one_stays(chrono, usual, holds):
    rows = table(
        nets("lstm", "chrono", (0.17, None), (chrono, None)),
        nets("lstm", "forget_bias", (0.17, None), (usual, None)),
    )
    assert CHRONO.judge(rows).holds is holds


def test_what_is_missing_is_not_measured():
    rows = table(nets("irnn", "own_start", (0.16, None)))
    assert [claim.judge(rows) for claim in PAPER.claims] == [NOT_MEASURED] * 3


def test_each_net_is_a_mark_at_its_loss():
    rows = table(
        nets("urnn", "own_start", (0.01, 300), (0.0, 200)), nets("SimpleCell", "own_start", (0.17, None))
    )
    drawn = draw(rows)
    (axes,) = drawn.figure.axes
    marks = {line.get_label(): line.get_ydata() for line in axes.lines}
    assert marks["uRNN, 128"] == pytest.approx([0.01, 1e-6])
    assert marks["tanh RNN, 80"] == pytest.approx([0.17])
    assert [text.get_text() for text in axes.texts] == ["learnt in 200 to 300 steps"]
    assert drawn.data.height == 3


def test_nets_without_a_loss_are_no_marks_and_none_that_has_learnt():
    some = nets("urnn", "own_start", (None, None)), nets("lstm", "chrono", (None, None))
    drawn = draw(table(*some))
    drawn.figure.draw_without_rendering()
    assert drawn.data["loss"].to_list() == [None, None]
    assert [claim.judge(table(*some)).holds for claim in PAPER.claims] == [False, None, None]
