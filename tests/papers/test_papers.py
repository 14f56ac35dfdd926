"""Every paper: a study, rows that were published, and the figure and verdicts that they give."""

import ast
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from breadth import leave
from polars.testing import assert_frame_equal

import memcap
from memcap import findings, store
from memcap.commands.reproduce import tiny
from memcap.config.knobs import UserError
from memcap.findings import NOT_MEASURED, Claim, Finding, Paper, judge_claims
from memcap.store.rows import frame

NET = findings.load("deletang2023").NET
NAMES = sorted(findings.papers())
each_paper = pytest.mark.parametrize("name", NAMES)


def published(name: str) -> Path:
    return findings.folder(name)


@each_paper
def test_a_paper_says_what_it_asks_where_it_is_from_and_what_it_costs(name):
    reproduction = findings.find(name)
    assert findings.papers()[name].endswith("?")
    for text in (
        reproduction.PAPER.source,
        reproduction.PAPER.cost,
        reproduction.PAPER.hardware,
    ):
        assert text
    read = "\n".join(claim.where for claim in reproduction.PAPER.claims)
    assert (reproduction.PAPER.read == "notes") == (
        "second-hand" in read or "summaries" in read
    )
    for claim in reproduction.PAPER.claims:
        assert claim.text
        assert claim.paper
        assert claim.where


@pytest.mark.parametrize(
    "name", leave(NAMES, but=("hochreiter1997", "gu2023", "suzgun2019").__contains__)
)
def test_its_figure_and_its_verdicts_are_those_of_the_published_rows(name):
    there = published(name)
    if not (there / "rows.parquet").is_file():
        pytest.skip("not published yet")
    reproduction = findings.find(name)
    rows = store.read(there)
    drawn = reproduction.draw(rows)
    assert_frame_equal(
        pl.read_csv(there / "figure.csv", schema=drawn.data.schema),
        drawn.data,
        rel_tol=1e-9,
    )
    assert (there / "figure.png").read_bytes().startswith(b"\x89PNG")
    verdicts = judge_claims(reproduction.PAPER, rows)
    written = pl.read_csv(there / "verdicts.csv", schema=verdicts.schema).with_columns(
        pl.col(pl.String).fill_null("")
    )
    assert_frame_equal(written, verdicts)
    assert verdicts["expected"].all()


def numbers(figure) -> np.ndarray:
    """All coordinates of lines, marks and maps."""
    found = []
    for axes in figure.axes:
        found += [
            np.asarray(data, float).ravel()
            for line in axes.lines
            for data in line.get_data(orig=True)
        ]
        found += [
            np.asarray(marks.get_offsets(), float).ravel() for marks in axes.collections
        ]
        found += [np.asarray(image.get_array(), float).ravel() for image in axes.images]
    return np.concatenate(found)


MARKS = {  # what must stand in each figure, of the numbers beside it
    "arjovsky2016": lambda data: data["loss"].clip(1e-6),
    "deletang2023": lambda data: data.group_by(NET).agg(pl.col("accuracy").mean())[
        "accuracy"
    ],
    "dynamical_phases2025": lambda data: data["solved"] / data["seeds"],
    "grazzi2024": lambda data: pl.concat([data["trained"], data["longer"]]),
    "hewitt2020": lambda data: pl.concat([data["accuracy"], data["longer"]]),
    "hochreiter1997": lambda data: data.filter(task="latch", arm="hold", units=2)[
        "sequences"
    ],
    "jelassi2024": lambda data: data.filter(symbols=8, items=8)["whole"],
    "kent2024": lambda data: data.filter(budget=4000)["steps"],
    "revisiting2025": lambda data: pl.concat(
        [data["accuracy"], data["low"], data["high"]]
    ),
}
COLUMNS = {
    "collins2017": "error",
    "illium2022": "error",
    "jaeger2001": "least",
    "khajehabdollahi2024": "steps",
}
COLUMNS |= {
    "merrill2024": "whole",
    "suzgun2019": "times",
    "tallec2018": "score",
    "voelker2019": "share",
    "zyxue2018": "share",
}


@pytest.mark.parametrize(
    "name", leave(NAMES, but=("hochreiter1997", "gu2023", "suzgun2019").__contains__)
)
def test_the_numbers_beside_a_figure_stand_in_it(name):
    drawn = findings.find(name).draw(store.read(published(name)))
    wanted = MARKS.get(name, lambda data: data[COLUMNS.get(name, "accuracy")])(
        drawn.data
    )
    there = numbers(drawn.figure)
    assert wanted.count() > 3
    for number in wanted.drop_nulls().filter(wanted.drop_nulls().is_finite()).unique():
        assert np.isclose(there, number, rtol=1e-9, atol=0).any(), number


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
    )
    table = judge_claims(Paper("nowhere", "nothing", claims), frame([]))
    assert table["verdict"].to_list() == [
        "holds",
        "does not hold",
        "does not hold",
        "not measured",
    ]
    assert table["expected"].to_list() == [True, False, True, False]


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
    with pytest.raises(UserError, match=r"paper=memcap\.figures:costs: has no PAPER"):
        findings.find("memcap.figures:costs")


def test_findings_import_what_strangers_import():
    allowed = {*sys.stdlib_module_names, "matplotlib", "numpy", "polars", "scipy"}
    ours = ("memcap.cells", "memcap.figures", "memcap.findings", "memcap.tasks")
    for name in findings.names():
        tree = ast.parse((findings.folder(name) / "findings.py").read_text())
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                modules = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                modules = [node.module]
            else:
                continue
            for module in modules:
                known = module.partition(".")[0] in allowed or module == "memcap"
                assert known or module.startswith(ours), (name, module)
