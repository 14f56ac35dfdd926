"""Where the published studies lie, and that readers miss none of their files."""

from collections import Counter

import polars as pl
from study_files import NAMES, SWEEPS

from memcap.store import shards
from memcap.store.shards import AGAIN, folder, studies, sweeps, tables


def on_disk(name):
    """The files of this name, or with this ending, anywhere in sweeps/."""
    return sorted(SWEEPS.rglob(name))


def test_every_file_belongs_to_a_study_that_is_listed():
    assert sweeps() == SWEEPS
    assert shards.choices() == sorted(NAMES, key=lambda name: ("/" in name, name))
    files = [*on_disk("findings.py"), *on_disk("README.md")[1:], *on_disk("*.parquet")]
    folders = {*studies().values()}
    assert [path for path in files if folders.isdisjoint(path.parents)] == []
    ends = Counter(name.rpartition("/")[2] for name in NAMES)
    assert ends.most_common(1)[0][1] == 1
    there = {path for path in folders if path.is_dir()}
    assert there <= {path.parent for path in files} | {folder("loops"), folder("nets")}


def test_every_table_is_read_those_of_other_seeds_too():
    again = on_disk("other_seeds.parquet")
    rows = on_disk("rows.parquet")
    assert sorted(tables().values()) == sorted(rows + again)
    assert {name for name in tables() if name.endswith(AGAIN)} == {
        f"{path.parent.name}{AGAIN}" for path in again
    }
    assert (len(rows), len(again)) >= (87, 36)
    assert (
        sum(pl.scan_parquet(path).select(pl.len()).collect().item() for path in again)
        >= 8815
    )
