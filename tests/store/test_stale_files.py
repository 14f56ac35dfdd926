"""What kills leave is swept by the next job; what another job is writing, and what
memcap did not write, is not."""

import os
import time

import numpy as np
import pytest
from command import python
from study_checks import small_job
from study_rows import fake, group, write

from memcap.designs.axes import members
from memcap.store import curves, files, shards
from memcap.store.files import write_weights
from memcap.studies.writer import row_of

pytestmark = pytest.mark.usefixtures("quick_file")

NAME = "0123456789abcdef-0123456789abcdef-0"
ORPHAN = "ffffffffffffffff-0123456789abcdef-0"
DRAFT = ".some.parquet.0123abcd"


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "STALE_AFTER", 0)
    shards.prepare(tmp_path)
    return tmp_path


def paths(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


def stems(folder):
    return sorted(files.stem(path) for path in folder.iterdir())


def write_member(study, name=NAME):
    (member,) = members(small_job())
    weights = {member.key: {"w": np.ones(2)}}
    shards.write(study, name, [row_of(fake(member), "s", name)], weights)


KILLED = """
import os, signal, sys
from pathlib import Path
from memcap.store import files

def fill(file):
    file.write(b"half of it")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

files.write(Path(sys.argv[1]), fill)
"""


def test_an_unfinished_file_is_swept_once_its_writer_is_dead(study):
    before = paths(study)
    python(study, "-c", KILLED, str(study / "rows" / "some.parquet"))
    assert len(paths(study)) == len(before) + 1
    shards.remove_stale_files(study)
    assert paths(study) == before


@pytest.mark.parametrize("writer", [shards.prepare, shards.collect])
def test_drafts_of_some_age_are_swept_by_whatever_writes_next(tmp_path, writer):
    """Also by a job that trains nothing, and while nobody else may still write them."""
    write(tmp_path, group())
    drafts = ("jobs/.a.json", "figures/.frontier.png", ".rows.csv", "weights/.a.npz")
    others = ("jobs/.mine.json", "figures/.emacs.d/0123abcd", "figures/.vimrc.0123abcd")
    for name in (*(f"{draft}.0123abcd" for draft in drafts), *others):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text("{")
        os.utime(tmp_path / name, (time.time() - 1000,) * 2)
    young = tmp_path / "rows" / DRAFT
    young.touch()
    writer(tmp_path)
    left = {name for name in paths(tmp_path) if (tmp_path / name).is_file()}
    kept = {*others, "rows/made_up.parquet", f"rows/{DRAFT}"}
    assert left - {"rows.parquet"} == kept


def test_weights_and_curves_without_rows_are_swept(study, monkeypatch):
    write_member(study)
    for name in (ORPHAN, "mine"):
        write_weights(study / "weights" / f"{name}.npz", {})
    for name in (NAME, ORPHAN, "mine"):
        curves.write(study, name, {})
    monkeypatch.setattr(files, "STALE_AFTER", 60)
    shards.remove_stale_files(study)  # another host may still be writing the rows
    assert stems(study / "weights") == stems(study / "curves") == [NAME, ORPHAN, "mine"]
    monkeypatch.setattr(files, "STALE_AFTER", 0)
    shards.remove_stale_files(study)
    assert stems(study / "weights") == stems(study / "curves") == [NAME, "mine"]


def test_weights_stay_while_a_file_may_have_their_rows(study):
    write_member(study)
    weights = study / "weights" / f"{NAME}.npz"
    shards.collect(study)
    for path in (study / "rows").iterdir():
        path.unlink()
    shards.remove_stale_files(study)  # the folded rows tell of them
    assert weights.exists()
    (study / "rows.parquet").write_bytes(b"damaged")
    shards.remove_stale_files(study)  # and may tell of them still
    assert weights.exists()
    (study / "rows.parquet").unlink()
    shards.remove_stale_files(study)  # perhaps put aside, to be mended
    assert weights.exists()
    write_member(study, ORPHAN)
    shards.remove_stale_files(study)
    assert stems(study / "weights") == [ORPHAN]


@pytest.mark.parametrize("part", shards.PARTS[1:])
def test_no_link_leads_out_of_the_folder(study, tmp_path_factory, part):
    """Else a stranger's folder could delete what another study holds."""
    elsewhere = tmp_path_factory.mktemp("mine")
    write_member(study)
    for name in (f"{ORPHAN}.npz", f"{ORPHAN}.parquet", DRAFT, "a.running.parquet"):
        (elsewhere / name).touch()
    before = paths(elsewhere)
    place = study / part
    if place.exists():
        for path in place.iterdir():
            path.unlink()
        place.rmdir()
    place.symlink_to(elsewhere)
    (study / "hydra").symlink_to(tmp_path_factory.mktemp("empty").parent)
    shards.remove_stale_files(study)
    place.unlink()
    place.mkdir()
    (place / DRAFT).symlink_to(elsewhere / DRAFT)
    shards.remove_stale_files(study)
    assert paths(elsewhere) == before


def test_empty_folders_of_hydras_are_swept(study, monkeypatch):
    hydra = study / "hydra"
    for name in ("killed/0", "killed/1", "ran/.hydra", "here"):
        (hydra / name).mkdir(parents=True)
    (hydra / "ran" / ".hydra" / "config.yaml").touch()
    monkeypatch.chdir(hydra / "here")  # as with hydra.job.chdir
    shards.remove_stale_files(study)
    assert paths(hydra) == ["here", "ran", "ran/.hydra", "ran/.hydra/config.yaml"]
