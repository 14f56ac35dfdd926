"""What kills leave is swept by the next job; what another job is writing, and what
memcap did not write, is not."""

import fcntl
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure
from study_checks import ONE_LANE, small_job
from study_rows import fake, group, write

from memcap import figures
from memcap.designs.axes import members
from memcap.store import curves, files, shards
from memcap.store.heartbeat import JobProgress
from memcap.store.rows import frame
from memcap.store.study import Study
from memcap.store.weights import write_weights
from memcap.studies.run import run_study
from memcap.studies.writer import StudyWriter, row_of
from memcap.terminal.words import warn_once

pytestmark = pytest.mark.usefixtures("quick_file")

NAME = "0123456789abcdef-01234567-0"


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "STALE_AFTER", 0)
    shards.prepare(tmp_path)
    return tmp_path


def paths(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


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
    path = study / "rows" / "some.parquet"
    subprocess.run(
        [sys.executable, "-c", KILLED, str(path)],
        cwd=Path(__file__).parents[2],
        check=False,
    )
    assert len(paths(study)) == len(before) + 1
    shards.remove_stale_files(study)
    assert paths(study) == before

    def fill(file):
        file.write(files.DIGEST_PLACEHOLDER)
        shards.remove_stale_files(study)

    files.write(path, fill)
    assert path.exists()


@pytest.mark.parametrize("writer", [shards.prepare, shards.collect])
def test_an_unfinished_heartbeat_is_swept_by_whatever_writes_next(tmp_path, writer):
    """Also by a job that trains nothing, and while nobody else may still write it."""
    write(tmp_path, group())
    (tmp_path / "jobs").mkdir()
    old = f".{'a' * 16}.json"
    young = f".{'b' * 16}.mirror.json"
    for name, age in {
        old: 1000,
        old.replace(".json", ".mirror.json"): 1000,
        young: 0,
        ".mine.json": 1000,
    }.items():
        (tmp_path / "jobs" / name).write_text("{")
        os.utime(tmp_path / "jobs" / name, (time.time() - age,) * 2)
    writer(tmp_path)
    assert {path.name for path in (tmp_path / "jobs").iterdir()} == {
        young,
        ".mine.json",
    }


def test_weights_without_rows_are_swept(study):
    (member,) = members(small_job())
    shards.write(
        study, NAME, [row_of(fake(member), "s", NAME)], {member.key: {"w": np.ones(2)}}
    )
    for name in ("ffffffffffffffff-01234567-0", "mine"):
        write_weights(study / "weights" / f"{name}.npz", {})
    shards.remove_stale_files(study)
    assert sorted(path.stem for path in (study / "weights").iterdir()) == [NAME, "mine"]
    shards.collect(study)
    (study / "rows" / f"{NAME}.parquet").unlink()
    shards.remove_stale_files(study)  # the folded rows tell of them
    assert (study / "weights" / f"{NAME}.npz").exists()
    (study / "rows.parquet").write_bytes(b"damaged")
    shards.remove_stale_files(study)  # and may tell of them still
    assert (study / "weights" / f"{NAME}.npz").exists()
    (study / "rows.parquet").unlink()
    shards.remove_stale_files(study)  # perhaps put aside, to be mended
    assert (study / "weights" / f"{NAME}.npz").exists()
    other = NAME.replace("-0", "-1")
    shards.write(
        study,
        other,
        [row_of(fake(member), "s", other)],
        {member.key: {"w": np.ones(2)}},
    )
    shards.remove_stale_files(study)
    assert sorted(path.stem for path in (study / "weights").iterdir()) == [
        other,
        "mine",
    ]


def test_weights_whose_rows_are_about_to_come_stay(study, monkeypatch):
    write_table = shards.write_table

    def swept_before(path, rows):
        shards.remove_stale_files(study)
        write_table(path, rows)

    monkeypatch.setattr(shards, "write_table", swept_before)
    shards.write(study, NAME, [], {})
    assert (study / "weights" / f"{NAME}.npz").exists()


def test_curves_without_rows_are_swept_as_weights_are(study, monkeypatch):
    (member,) = members(small_job())
    shards.write(
        study, NAME, [row_of(fake(member), "s", NAME)], {member.key: {"w": np.ones(2)}}
    )
    orphan = "ffffffffffffffff-01234567-0"
    for name in (NAME, orphan, "mine"):
        curves.write(study, name, {})
    monkeypatch.setattr(files, "STALE_AFTER", 60)
    shards.remove_stale_files(study)
    assert sorted(path.stem for path in (study / "curves").iterdir()) == [
        NAME,
        orphan,
        "mine",
    ]
    monkeypatch.setattr(files, "STALE_AFTER", 0)
    shards.remove_stale_files(study)
    assert sorted(path.stem for path in (study / "curves").iterdir()) == [NAME, "mine"]


def test_curves_whose_rows_are_about_to_come_stay(study, monkeypatch):
    """A folded table makes a sweep look for orphans."""
    ended, coming = members(small_job({"seed": 2}))
    shards.write_table(study / "rows.parquet", frame([row_of(fake(ended), "s", NAME)]))
    write = shards.write

    def swept_before(*arguments):
        shards.remove_stale_files(study)
        write(*arguments)

    monkeypatch.setattr(shards, "write", swept_before)
    writer = StudyWriter(JobProgress(1, Study(study, "s")))
    writer.finish("0123456789abcdef", [fake(coming)])
    assert len(list((study / "curves").iterdir())) == 1


def test_a_figure_that_was_not_finished_is_swept(study, monkeypatch):
    (study / "figures" / ".frontier.a1b2c3d_").mkdir(parents=True)
    (study / "figures" / ".frontier.a1b2c3d_" / "frontier.png").touch()
    picture = Figure()
    saved = Figure.savefig

    def swept_before(self, path, **options):
        shards.remove_stale_files(study)
        saved(self, path, **options)

    monkeypatch.setattr(Figure, "savefig", swept_before)
    figures.save(
        figures.Drawn(picture, pl.DataFrame({"x": [1]})), study / "figures", "mine"
    )
    shards.remove_stale_files(study)
    assert sorted(p.name for p in (study / "figures").iterdir())[0] == "mine.csv"


def test_what_is_young_stays_as_another_host_may_be_at_it(study, monkeypatch):
    monkeypatch.setattr(files, "STALE_AFTER", 60)
    (member,) = members(small_job())
    shards.write(
        study, NAME, [row_of(fake(member), "s", NAME)], {member.key: {"w": np.ones(2)}}
    )
    orphan = study / "weights" / "ffffffffffffffff-01234567-0.npz"
    unfinished = study / "rows" / ".some.parquet.0123abcd"
    for path in (orphan, unfinished):
        path.touch()
    shards.remove_stale_files(study)
    assert orphan.exists()
    assert unfinished.exists()
    for path in (orphan, unfinished):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 61))
    shards.remove_stale_files(study)
    assert not orphan.exists()
    assert not unfinished.exists()


def test_where_there_are_no_locks_files_are_written_and_none_is_swept(
    study, monkeypatch
):
    def no_locks(*arguments):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    shards.write(study, NAME, [], {})
    (study / "rows" / f"{NAME}.parquet").unlink()
    (study / "rows" / ".some.parquet.0123abcd").touch()
    before = paths(study)
    shards.remove_stale_files(study)
    assert paths(study) == before


def test_empty_folders_of_hydras_are_swept(study, monkeypatch):
    hydra = study / "hydra"
    for name in ("killed/0", "killed/1", "ran/.hydra", "here"):
        (hydra / name).mkdir(parents=True)
    (hydra / "ran" / ".hydra" / "config.yaml").touch()
    monkeypatch.chdir(hydra / "here")  # as with hydra.job.chdir
    shards.remove_stale_files(study)
    assert paths(hydra) == ["here", "ran", "ran/.hydra", "ran/.hydra/config.yaml"]


def test_the_next_job_sweeps_also_where_nothing_is_missing(study):
    found = members(small_job())
    run_study(found, ONE_LANE, Study(study, "s"))
    before = paths(study)
    (study / "weights" / f".{NAME}.npz.0123abcd").touch()
    run_study(found, ONE_LANE, Study(study, "s"))
    assert paths(study) == before


def test_a_lock_that_nobody_leaves_holds_up_nothing(tmp_path, monkeypatch, capsys):
    """Who has it is named; the file is written in a moment, and the next one at once."""
    monkeypatch.setattr(files, "PATIENCE", 0.3)
    warn_once.cache_clear()
    theirs = os.open(tmp_path, os.O_RDONLY)
    fcntl.flock(theirs, fcntl.LOCK_EX)
    times = []
    for name in "abc":
        began = time.monotonic()
        files.write(
            tmp_path / name, lambda file: file.write(b"whole"), with_digest=False
        )
        times.append(time.monotonic() - began)
        assert (tmp_path / name).read_bytes() == b"whole"
    assert times[0] > 0.3 > max(times[1:])
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"memcap: {tmp_path}: locked by ")
    if sys.platform == "linux":
        assert f"process {os.getpid()} (" in line
    os.close(theirs)
    with files.shared_lock(tmp_path), files.exclusive_lock(tmp_path) as alone:
        assert not alone  # it is respected again
