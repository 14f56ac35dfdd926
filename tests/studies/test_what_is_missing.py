"""What a study's folder holds of a job, what is missing, and what a search begins with."""

import polars as pl
import pytest
from command import files
from study_checks import small_job
from study_rows import fake

from memcap.designs.axes import members
from memcap.designs.bisect import Bisect
from memcap.designs.design import Outcome
from memcap.store import shards
from memcap.store.shards import Study
from memcap.studies.run import what_is_missing
from memcap.studies.writer import row_of

GRID = members(small_job({"model.units": [1, 2, 3], "seed": 2}))
SOLVED = {"status": "solved", "solved": 1, "steady": 1, "steps": 1}
SCORES = {"score": 1.0, "best": 1.0, "stretched": 1.0}


@pytest.fixture
def folder(tmp_path):
    """Holds both seeds of one unit, which solved, and a member of no other concern."""
    (other,) = members(small_job(task="count"))
    ended = [fake(member, **SOLVED | SCORES) for member in GRID[:2]]
    ended.append(fake(other, **SOLVED | dict.fromkeys(SCORES, 0.0)))  # an error
    shards.prepare(tmp_path)
    shards.write(tmp_path, "a", [row_of(each, "small", "a") for each in ended], {})
    return tmp_path


def test_a_grid_lacks_what_the_folder_does_not_hold(folder):
    before = files(folder)
    now = what_is_missing([*GRID, GRID[-1]], Study(folder))
    assert sorted(now.rows["key"]) == sorted(member.key for member in GRID[:2])
    assert now.missing == now.first == GRID[2:]
    assert (now.most, now.search) == (4, None)
    assert files(folder) == before


def test_without_a_folder_everything_is_missing(tmp_path):
    now = what_is_missing(GRID, Study(tmp_path / "nowhere"))
    assert (now.rows.height, now.missing, now.most) == (0, GRID, 6)
    assert not files(tmp_path)


def test_a_search_begins_where_the_folder_leaves_it(folder):
    now = what_is_missing(GRID, Study(folder, design="bisect"))
    search = Bisect(GRID, dict.fromkeys(GRID[:2], Outcome(True)))
    assert now.missing == GRID[2:]
    assert now.first == search.first_members() != Bisect(GRID, {}).first_members()
    assert 0 < now.most == search.estimate < len(now.missing) + 1


def test_a_search_that_has_ended_wants_nothing_though_members_are_missing(tmp_path):
    search = Bisect(GRID, {})
    known = []
    wanted = search.first_members()
    while wanted:
        known.append(wanted.pop())
        wanted += search.next_members(known[-1], Outcome(True))
    shards.prepare(tmp_path)
    ended = [fake(member, **SOLVED | SCORES) for member in known]
    shards.write(tmp_path, "a", [row_of(each, "small", "a") for each in ended], {})
    now = what_is_missing(GRID, Study(tmp_path, design="bisect"))
    assert now.rows.select(pl.col("solved").all()).item()
    assert len(now.missing) == len(GRID) - len(known) > 0
    assert (now.first, now.most) == ([], 0)
