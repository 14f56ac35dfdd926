"""The results that the README shows are in the project, and its figures and tables can
be made again from them."""

import math

import polars as pl
import pytest
from breadth import leave
from own_programs import program
from polars.testing import assert_frame_equal
from study_files import GONE

from memcap import figures, store
from memcap.config.recipes import recommended
from memcap.frontiers.frontier import fit_all_recipes
from memcap.store.rows import SCHEMA, one_per_key
from memcap.store.shards import ATLAS, rows_file, rows_files, sweeps, tables

DRAWN = sorted(sweeps().rglob("figures/*.csv"))


def rows_of(name: str) -> pl.DataFrame:
    return store.read(rows_file(name))


@pytest.mark.parametrize("name", tables())
def test_published_rows_are_read_as_they_were_written(name):
    rows = store.read(tables()[name])
    written = pl.read_parquet(tables()[name])
    assert rows.height == written.height > 5
    assert dict(rows.schema) == SCHEMA
    for column in set(written.columns) - set(SCHEMA):
        assert set(written[column]) == GONE[column]
    kept = written.drop(GONE, strict=False)
    assert_frame_equal(rows.select(kept.columns), kept, check_row_order=False)


@pytest.mark.parametrize(
    "drawn",
    leave(DRAWN, but=lambda path: "atlas" in path.parts),
    ids=lambda path: f"{path.parts[-3]}-{path.stem}",
)
def test_the_numbers_beside_a_figure_are_those_of_the_rows(drawn):
    study = drawn.parts[-3]
    studies = program("docs/tables.py").together(study, drawn.stem)
    data = figures.find(drawn.stem).draw(one_per_key(list(map(rows_of, studies)))).data
    assert_frame_equal(pl.read_csv(drawn, schema=data.schema), data, rel_tol=1e-9)


def test_a_delay_line_is_recommended_the_recipe_that_was_best_there():
    """Or one whose interval reaches into that of the best one, at every lag of the atlas."""
    found: dict[tuple, list] = {}
    for p in fit_all_recipes(pl.concat(map(store.read, rows_files(ATLAS)))):
        if p.task.name == "delay_line" and p.model.cell == "lstm":
            found.setdefault((p.task, p.lag), []).append(p)
    assert len(found) > 30
    assert {"curriculum_muon", "curriculum_ggt"} <= {
        p.recipe.name for points in found.values() for p in points
    }
    for (task, lag), points in found.items():
        best = min(
            points,
            key=lambda p: (
                p.fit.u90.units if p.fit.u90.censored != "above" else math.inf
            ),
        )
        chosen = next(
            (p for p in points if p.recipe.name == recommended(task, lag)), None
        )
        assert chosen is not None, (task, lag)
        assert chosen.fit.u90.low <= best.fit.u90.high, (task, lag, best.recipe.name)
