"""The results that the README shows are in the project, and its figures and tables can be made again from
them."""

import math
import re
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from memcap import figures
from memcap.capacity.answer import answer
from memcap.capacity.frontier import frontier, tried
from memcap.capacity.law import laws
from memcap.capacity.sources import atlas
from memcap.launch.app import populations
from memcap.recipes import recommended
from memcap.studies import store
from memcap.studies.standing import standing

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
LAGS = (1, 2, 3, 5, 8, 12, 16, 20, 25, 32, 40, 50)
STUDIES = sorted(path.parent for path in (ROOT / "results").glob("*/rows.parquet"))
DRAWN = sorted((ROOT / "results").glob("*/figures/*.csv"))
each_study = pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)


def rows_of(name: str) -> pl.DataFrame:
    return store.read(ROOT / "results" / name / "rows.parquet")


@pytest.fixture(scope="module")
def points():
    return frontier(store.read(atlas()))


@each_study
def test_published_rows_are_read_as_they_were_written(study):
    rows, written = store.read(study), pl.read_parquet(study / "rows.parquet")
    assert rows.height == written.height > 20
    assert dict(rows.schema) == store.SCHEMA
    assert rows["kernel"].unique().to_list() == ["xla"]  # whose rows are the same bits on any machine
    assert_frame_equal(rows.select(written.columns), written, check_row_order=False)


@each_study
def test_published_rows_are_those_of_the_study_as_it_stands(study):
    """All of a grid; of a search those that it asked for. Who changes a recommendation or a file of recipes
    trains again."""
    (job,) = (job for jobs in populations([f"sweeps={study.name}"]) for job in jobs)
    keys, rows = {member.key for member in job.members}, store.read(study)
    assert set(rows["key"]) <= keys
    assert standing(job.members, study, job.settings.design).first == []


@pytest.mark.parametrize("drawn", DRAWN, ids=lambda path: f"{path.parts[-3]}-{path.stem}")
def test_the_numbers_beside_a_figure_are_those_of_the_rows(drawn):
    data = figures.find(drawn.stem).draw(rows_of(drawn.parts[-3])).data
    assert_frame_equal(pl.read_csv(drawn, schema=data.schema), data, rel_tol=1e-9)


def shown_rows() -> list[tuple[str, ...]]:
    """The lines of the README's table of what was measured."""
    table = README.split("## What was measured")[1].split("\n\n")[1]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in table.splitlines()[2:]]


def test_the_readme_shows_the_numbers_of_the_atlas(points):
    there = {(p.label.replace("_", " "), str(p.lag)): p for p in points}
    shown = shown_rows()
    assert [row[1] for row in shown if row[0] == "delay line"] == [str(lag) for lag in LAGS]
    assert {p.task.name.replace("_", " ") for p in points} == {re.sub(r" \(.*", "", row[0]) for row in shown}
    for row in shown:
        assert row == readme_row(there[row[:2]])


def readme_row(point) -> tuple[str, ...]:
    """One line of the README's table."""

    def width(threshold) -> str:
        sign = {"no": "", "below": "<= ", "above": "> "}[threshold.censored]
        return f"{sign}{threshold.units:.1f} [{threshold.low:.1f}, {threshold.high:.1f}]"

    r = point.references
    theory = (r.information_floor, r.one_per_number, "" if r.constructed is None else r.constructed)
    name, middle = (
        point.label.replace("_", " "),
        (width(point.fit.u50), width(point.fit.u90), *map(str, theory)),
    )
    return name, str(point.lag), *middle, f"{point.recipe['recipe']}, {point.recipe['budget']:,}"


def test_the_readme_quotes_the_law_and_the_widths_of_lag_50(points):
    text = " ".join(README.split())
    known = {law.cell: law for law in laws(points)}
    lstm, gru, elman = known["lstm"], known["GRUCell"], known["SimpleCell"]
    cost = (
        f"{lstm.slope:.2f} [{lstm.low:.2f}, {lstm.high:.2f}] units a bit, or"
        f" {lstm.slope * lstm.numbers:.2f} carry numbers"
    )
    assert (
        f"an LSTM costs {cost}; a GRU {gru.slope:.2f} [{gru.low:.2f}, {gru.high:.2f}] and an Elman net"
        in text
    )
    assert f"an Elman net {elman.slope:.2f} [{elman.low:.2f}, {elman.high:.2f}]" in text
    best = {(p.label, p.lag): p for p in points}
    soon, late = (best["copy (items=16)", lag].fit.u90.units for lag in (1, 50))
    assert f"took {soon:.0f} units right away, and {late:.0f} after 50 blank steps" in text
    units = math.ceil(best["delay_line", 50].fit.u90.units)
    assert (
        f"said again at every step: {units} units, with up to {best['delay_line', 50].recipe['budget']:,}"
        " training steps" in text
    )


def test_the_readme_says_how_the_advised_widths_did_on_fresh_seeds(points):
    counts = (
        rows_of("delay_line_fresh_seeds")
        .group_by("lag", "units")
        .agg(pl.col("steady").sum(), pl.len().alias("seeds"))
    )
    found = {(lag, units): (steady, seeds) for lag, units, steady, seeds in counts.iter_rows()}
    text = " ".join(README.split()).replace(" seeds at lag", " at")
    for point in points:
        if point.label == "delay_line" and point.lag in {lag for lag, _ in found}:
            advised = answer(point.task, point.lag, 0.9, [point]).units
            steady, seeds = found[point.lag, advised]
            assert steady >= 7
            assert f"{steady} of {seeds} at {point.lag} with {advised}" in text
            below = max(
                units for lag, units in found if lag == point.lag and units <= point.fit.u50.units - 2
            )
            assert found[point.lag, below] == (0, 8)


def test_a_delay_line_is_recommended_the_recipe_that_was_best_there():
    """Or one whose interval reaches into that of the best one, at every lag of the atlas."""
    found: dict[tuple, list] = {}
    for p in tried(store.read(atlas())):
        if p.task.name == "delay_line" and p.cell == "lstm":
            found.setdefault((p.task, p.lag), []).append(p)
    assert len(found) > 35
    for (task, lag), points in found.items():
        best = min(points, key=lambda p: p.fit.u90.units if p.fit.u90.censored != "above" else math.inf)
        chosen = next((p for p in points if p.recipe["recipe"] == recommended(task, lag)), None)
        assert chosen is not None, (task, lag)
        assert chosen.fit.u90.low <= best.fit.u90.high, (task, lag, best.recipe["recipe"])


def test_the_curriculum_keeps_its_price_from_lag_8_on():
    """And no recipe of the set is better anywhere there."""
    for p in tried(rows_of("delay_line_frontier")):
        if p.lag >= 8 and p.recipe["recipe"] == "curriculum":
            assert 0.6 < p.fit.u90.units / p.lag < 0.72
    assert {p.recipe["recipe"] for p in frontier(rows_of("delay_line_frontier")) if p.lag >= 8} == {
        "curriculum"
    }
