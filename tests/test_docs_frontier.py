"""docs/frontier.md: its tables are those of the published rows, and the lines that train are composed and
checked."""

import re
import shlex
from pathlib import Path

import polars as pl
import pytest

from memcap.capacity.frontier import best, tried
from memcap.launch.app import populations
from memcap.studies import store

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "frontier.md").read_text()
LINES = re.findall(r"^memcap train (?!sweeps=).*", PAGE, re.MULTILINE)


def table(after):
    """The cells of the first table after a heading, its own heading first."""
    text = PAGE.split(f"\n## {after}\n")[1]
    lines = re.search(r"(?:^\|.*\n)+", text, re.MULTILINE)[0].splitlines()
    first, _, *rest = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [first, *rest]


def rows_of(study):
    return store.read(ROOT / "results" / study)


def shown(point):
    return (
        f"> {point.fit.u90.units:.0f}" if point.fit.u90.censored == "above" else f"{point.fit.u90.units:.1f}"
    )


def test_the_recipes_are_those_of_the_rows():
    found = {(p.recipe["recipe"], str(p.lag)): shown(p) for p in tried(rows_of("delay_line_frontier"))}
    (_, *recipes), *lines = table("Recipe")
    assert {name.split()[0] for name in recipes} == {recipe for recipe, _ in found}
    for lag, *cells in lines:
        assert cells == [found[name.split()[0], lag] for name in recipes]


def test_the_budgets_are_those_of_the_rows():
    points = tried(rows_of("delay_line_budgets"))
    (_, *budgets), *lines = table("Budget")
    for lag, *cells in lines:
        for budget, cell in zip(budgets, cells, strict=True):
            most = int(budget.replace(",", "").split()[0])
            (point,) = best(p for p in points if str(p.lag) == lag and p.recipe["budget"] <= most)
            assert cell == shown(point)


def test_the_counts_of_four_symbols_are_those_of_the_atlas():
    rows = rows_of("atlas").filter(
        pl.col("lag") == 8, pl.col("recipe") == "curriculum", pl.col("task") == "delay_line"
    )
    (point,) = [p for p in tried(rows) if p.label == "delay_line (symbols=4)"]
    (_, *units), (_, *counts) = table("Symbols")
    found = {u: f"{s} of {n}" for u, s, n in zip(point.units, point.solved, point.runs, strict=True)}
    assert dict(zip(map(int, units), counts, strict=True)) == found


@pytest.mark.parametrize(
    ("study", "seeds", "cells"),
    [
        ("four", range(100, 116), len(re.findall(r"^\| [^|]+ \| \d+ \|$", PAGE, re.MULTILINE))),
        ("sixteen", range(500, 508), 8),
    ],
)
def test_a_line_trains_the_seeds_and_cells_of_its_table(study, seeds, cells):
    (line,) = [line for line in LINES if f"study={study} " in line]
    ((job,),) = populations(shlex.split(line)[2:], multirun=False)
    assert {member.seed for member in job.members} == set(seeds)
    assert len(job.members) == cells * len(seeds)
