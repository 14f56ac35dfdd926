"""The results that the README shows are in the project, and its figure and table can be made again from them."""

import re
from pathlib import Path

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from memcap.capacity.frontier import frontier
from memcap.capacity.points import columns
from memcap.figures.frontier import plot
from memcap.studies import store

ROOT = Path(__file__).parent.parent
STUDY = ROOT / "results" / "first_study"


@pytest.fixture(scope="module")
def points():
    return frontier(store.read(STUDY / "rows.parquet"), at="trained")


STUDIES = sorted(path.parent for path in (ROOT / "results").glob("*/rows.parquet"))
each_study = pytest.mark.parametrize("study", STUDIES, ids=lambda path: path.name)


@each_study
def test_rows_that_were_published_before_a_column_came_are_read(study):
    rows, written = store.read(study), pl.read_parquet(study / "rows.parquet")
    assert rows.height == written.height > 100
    assert dict(rows.schema) == store.SCHEMA
    assert set(store.SCHEMA) - set(written.columns) == set(store.LATER)
    made_up = ("steady", "steps_to_steady", "evaluation_until")  # follow from the others
    assert all(rows[column].null_count() == rows.height for column in store.LATER if column not in made_up)
    assert_frame_equal(rows.select(written.columns), written, check_row_order=False)


@each_study
def test_the_numbers_beside_the_figure_are_those_of_the_rows(study):
    drawn = pl.read_csv(study / "figures" / "frontier.csv", infer_schema_length=None)
    for row, point in zip(drawn.iter_rows(named=True), frontier(store.read(study / "rows.parquet")), strict=True):
        assert {k: v if v is None or isinstance(v, str) else pytest.approx(v) for k, v in columns(point).items()} == row


def test_the_figure_can_be_drawn_again(points):
    assert plot(points).axes[0].get_xlabel() == "lag (time steps)"


def test_the_readme_shows_the_table_of_the_rows(points):
    rows = re.findall(r"^\| (delay line|latch) +\|(.*)\|$", (ROOT / "README.md").read_text(), re.MULTILINE)
    shown = [(name.replace(" ", "_"), *(cell.strip() for cell in cells.split("|"))) for name, cells in rows]
    assert shown == [readme_row(p) for p in points]


def readme_row(point) -> tuple[str, ...]:
    """One line of the README's table."""

    def width(threshold) -> str:
        sign = {"no": "", "below": "<= ", "above": "> "}[threshold.censored]
        return f"{sign}{threshold.units:.1f} [{threshold.low:.1f}, {threshold.high:.1f}]"

    r = point.references
    middle = (str(point.lag), str(point.most(0.75)), width(point.fit.u50), width(point.fit.u90))
    return (
        point.task.name,
        *middle,
        str(r.information_floor),
        str(r.one_per_number),
        str(r.constructed),
        str(point.recipe["budget"]),
    )


def test_the_frontier_rises_by_one_unit_a_bit_and_the_latch_stays_flat(points):
    least = {(p.task.name, p.lag): p.most(0.75) for p in points}
    assert all(least["latch", lag] == 1 for lag in (1, 2, 4, 8, 16, 50))
    assert all(least["delay_line", lag] <= lag + 1 for lag in (1, 2, 4, 8, 16))
    assert 25 < least["delay_line", 50] <= 56


def test_the_bisection_found_both_thresholds_at_every_lag():
    """To one unit, with closed intervals, from a tenth of the grid; and the README quotes it."""
    rows = store.read(ROOT / "results" / "delay_line_frontier" / "rows.parquet")
    found = frontier(rows, at="trained")
    assert [p.lag for p in found] == [1, 2, 3, 5, 8, 12, 16, 20, 25, 32, 40, 50]
    assert rows.height < 12 * 64 * 8 / 10
    for p in found:
        for share, threshold in ((4, p.fit.u50), (7, p.fit.u90)):
            assert threshold.high < 1.2 * p.lag + 3
            passing = [u for u, s in zip(p.units, p.solved, strict=True) if s >= share]
            below = [u for u, s, n in zip(p.units, p.solved, p.runs, strict=True) if n - s > 8 - share and u < min(passing)]
            assert min(passing) == 1 or min(passing) - 1 in below
    last = found[-1].fit
    quoted = " and ".join(f"{t.units:.1f} [{t.low:.1f}, {t.high:.1f}]" for t in (last.u50, last.u90))
    assert f"at lag 50, {quoted}" in " ".join((ROOT / "README.md").read_text().split())
