"""Where the published studies lie, and that readers miss none of their files."""

from collections import Counter
from itertools import chain

import polars as pl
import pytest
from study_files import NAMES, SWEEPS

from memcap import findings
from memcap.store import nets, shards
from memcap.store.shards import AGAIN, FRESH, STUDIES, folder, studies, sweeps, tables

NAMED = {*chain(*STUDIES.values()), *FRESH, *nets.STUDIES, nets.STEM}


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


def test_findings_are_those_of_the_folders():
    assert findings.names() == sorted(p.parent.name for p in on_disk("findings.py"))
    assert len(findings.papers()) == len(on_disk("papers/*/findings.py"))
    judged = [name for name in findings.papers() if findings.judged_again(name)]
    assert judged == [path.parent.name for path in on_disk("other_seeds.csv")]


@pytest.mark.parametrize("name", sorted(NAMED))
def test_what_is_read_by_name_is_there(name):
    assert folder(name.removesuffix(AGAIN)) in studies().values()
    assert name in tables() or (folder(name) / "rows").is_dir()


@pytest.mark.parametrize(
    "name", sorted({*STUDIES[shards.ATLAS], *STUDIES["layers"], *FRESH})
)
def test_what_the_advice_of_lstms_rests_on_lies_in_answers(name):
    assert shards.choice(name) == f"answers/{name}"
