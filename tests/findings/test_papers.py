"""Every paper: a study, rows that were published, and the figure and verdicts that they give."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from breadth import leave
from polars.testing import assert_frame_equal

import memcap
from memcap import findings, store
from memcap.commands.reproduce import tiny
from memcap.findings import NOT_MEASURED, Claim, Finding, Paper, judge_claims, marks
from memcap.knobs import UserError
from memcap.store.rows import frame

NAMES = sorted(findings.papers())
QUICK = ("hochreiter1997", "gu2023", "suzgun2019").__contains__
SHOWN = {  # the column of the data that a figure shows, if it is not `accuracy`
    "arjovsky2016": "loss",
    "beck2024": "score",
    "chung2026": "whole",
    "collins2017": "error",
    "dynamical_phases2025": pl.col("solved") / pl.col("seeds"),
    "ganguli2008": "error",
    "grazzi2024": "trained",
    "hochreiter1997": "sequences",
    "illium2022": "error",
    "jaeger2001": "least",
    "jelassi2024": "whole",
    "kent2024": "steps",
    "khajehabdollahi2024": "steps",
    "le2015": "error",
    "merrill2024": "whole",
    "pascanu2013": "share",
    "sarrof2024": "twice",
    "siems2025": "whole",
    "suzgun2019": "times",
    "tallec2018": "score",
    "voelker2019": "share",
    "zyxue2018": "share",
}
each_paper = pytest.mark.parametrize("name", NAMES)


@pytest.mark.parametrize("name", leave(NAMES, but=QUICK))
def test_its_figure_and_its_verdicts_are_those_of_the_published_rows(name):
    there = findings.folder(name)
    reproduction = findings.find(name)
    rows = store.read(there)
    drawn = reproduction.draw(rows).data
    figure = pl.read_csv(there / "figure.csv", schema=drawn.schema)
    assert_frame_equal(figure, drawn, rel_tol=1e-9)
    verdicts = judge_claims(reproduction.PAPER, rows)
    written = pl.read_csv(there / "verdicts.csv", schema=verdicts.schema)
    assert_frame_equal(written.with_columns(pl.col(pl.String).fill_null("")), verdicts)
    assert verdicts["expected"].all()


@pytest.mark.parametrize("name", leave(NAMES, but=QUICK))
def test_the_numbers_beside_a_figure_stand_in_it(name):
    drawn = findings.find(name).draw(store.read(findings.folder(name)))
    column = SHOWN.get(name, "accuracy")
    shown = np.concatenate(
        [
            np.asarray(numbers, float).ravel()
            for axes in drawn.figure.axes
            for numbers in [
                *(line.get_ydata(orig=True) for line in axes.lines),
                *(marks.get_offsets() for marks in axes.collections),
                *(image.get_array() for image in axes.images),
            ]
        ]
    )
    wanted = drawn.data.select(column).to_series().drop_nulls().drop_nans()
    found = [np.isclose(shown, n, rtol=1e-9, atol=0).any() for n in wanted.unique()]
    assert sum(found) > 3, name


@each_paper
def test_without_rows_nothing_is_measured(name):
    nothing = frame([])
    assert set(findings.find(name).PAPER.findings(nothing)) == {NOT_MEASURED}


def test_a_verdict_is_what_the_rows_say_and_it_is_said_when_it_is_another_than_expected():
    yes = Finding("1", True)
    no = Finding("2", False)
    claims = (
        Claim("as there", "1", "fig. 1", lambda rows: yes),
        Claim("not as there", "1", "fig. 1", lambda rows: no),
        Claim("known to differ", "1", "fig. 1", lambda rows: no, why="another recipe"),
        Claim("no rows", "1", "fig. 1", lambda rows: NOT_MEASURED),
        Claim("more training", "1", "fig. 1", lambda rows: no, reached=False),
        Claim("learnt", "1", "fig. 1", lambda rows: yes, reached=False),
    )
    table = judge_claims(Paper("nowhere", "nothing", claims), frame([]))
    assert table["verdict"].to_list() == [
        "holds",
        "does not hold",
        "does not hold",
        "not measured",
        "not reached",
        "holds",
    ]
    expected = [True, False, True, False, True, False]
    assert table["expected"].to_list() == expected


def test_a_tiny_run_has_the_ends_of_each_kind_of_member_at_the_shortest_lag():
    latch = memcap.members("latch", lag=[9, 5], units=[1, 3, 2], seed=2)
    copy = memcap.members("copy", lag=2, units=4)
    some = tiny([*latch, *copy])
    kinds = [("latch", 5, 1), ("latch", 5, 3), ("copy", 2, 4)]
    assert [(m.task.name, m.lag, m.model.units) for m in some] == kinds
    assert {m.seed for m in some} == {0}
    assert all(m.recipe.budget < copy[0].recipe.budget for m in some)
    brief = replace(copy[0], recipe=replace(copy[0].recipe, budget=3))
    assert tiny([brief])[0].recipe.budget == 3


def test_what_is_no_paper_is_refused():
    with pytest.raises(
        UserError,
        match=r"nobody: no such paper; one of .*collins2017.*, or MODULE:NAME of your own",
    ):
        findings.find("nobody")
    with pytest.raises(UserError, match=r"paper=memcap\.figures:gap: has no PAPER"):
        findings.find("memcap.figures:gap")


def test_a_mark_has_a_bar_to_each_extreme():
    data = pl.DataFrame(
        {"units": [2], "score": [0.5], "least": [0.4], "greatest": [0.7]}
    )
    _, axes = marks.panels((4, 3))
    marks.with_bars(axes, data, "units", "score", beside=2, **marks.look(0))
    line, _, (bars,) = axes.containers[0].lines
    assert line.get_xydata().tolist() == [[4, 0.5]]
    assert bars.get_segments()[0][:, 1].tolist() == pytest.approx([0.4, 0.7])


@each_paper
def test_what_was_read_at_second_hand_is_marked(name):
    paper = findings.find(name).PAPER
    read = "".join(claim.where for claim in paper.claims)
    second_hand = "second-hand" in read or "summaries" in read
    assert (paper.read == "notes") == second_hand
