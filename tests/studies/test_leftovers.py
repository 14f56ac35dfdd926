"""What kills leave is swept by the next job; what another job is writing, and what memcap did not write, is
not."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from matplotlib.figure import Figure
from study_checks import ONE_LANE, fake, small_job

from memcap import figures
from memcap.studies import curves, files, run, store
from memcap.studies.axes import members
from memcap.studies.leftovers import sweep
from memcap.studies.progress import Progress
from memcap.studies.run import row, run_study
from memcap.tracking import NoTracker

NAME = "0123456789abcdef-01234567-0"


@pytest.fixture
def study(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "FRESH", 0)
    store.prepare(tmp_path)
    return tmp_path


def paths(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


KILLED = """
import os, signal, sys
from pathlib import Path
from memcap.studies import files

def fill(file):
    file.write(b"half of it")
    file.flush()
    os.kill(os.getpid(), signal.SIGKILL)

files.write(Path(sys.argv[1]), fill)
"""


def test_an_unfinished_file_is_swept_once_its_writer_is_dead(study):
    before = paths(study)
    path = study / "rows" / "some.parquet"
    subprocess.run([sys.executable, "-c", KILLED, str(path)], cwd=Path(__file__).parents[2], check=False)
    assert len(paths(study)) == len(before) + 1
    sweep(study)
    assert paths(study) == before

    def fill(file):
        file.write(files.UNSEALED)
        sweep(study)

    files.write(path, fill)
    assert path.exists()


def test_weights_without_rows_are_swept(study):
    (member,) = members(small_job())
    store.write_population(study, NAME, [row(fake(member), "s", NAME)], {member.key: {"w": np.ones(2)}})
    for name in ("ffffffffffffffff-01234567-0", "mine"):
        store.write_weights(study / "weights" / f"{name}.npz", {})
    sweep(study)
    assert sorted(path.stem for path in (study / "weights").iterdir()) == [NAME, "mine"]
    store.collect(study)
    (study / "rows" / f"{NAME}.parquet").unlink()
    sweep(study)  # the folded rows tell of them
    assert (study / "weights" / f"{NAME}.npz").exists()
    (study / "rows.parquet").write_bytes(b"damaged")
    sweep(study)  # and may tell of them still
    assert (study / "weights" / f"{NAME}.npz").exists()
    (study / "rows.parquet").unlink()
    sweep(study)  # perhaps put aside, to be mended
    assert (study / "weights" / f"{NAME}.npz").exists()
    other = NAME.replace("-0", "-1")
    store.write_population(study, other, [row(fake(member), "s", other)], {member.key: {"w": np.ones(2)}})
    sweep(study)
    assert sorted(path.stem for path in (study / "weights").iterdir()) == [other, "mine"]


def test_weights_whose_rows_are_about_to_come_stay(study, monkeypatch):
    write_rows = store.write_rows

    def swept_before(path, rows):
        sweep(study)
        write_rows(path, rows)

    monkeypatch.setattr(store, "write_rows", swept_before)
    store.write_population(study, NAME, [], {})
    assert (study / "weights" / f"{NAME}.npz").exists()


def test_curves_without_rows_are_swept_as_weights_are(study, monkeypatch):
    (member,) = members(small_job())
    store.write_population(study, NAME, [row(fake(member), "s", NAME)], {member.key: {"w": np.ones(2)}})
    orphan = "ffffffffffffffff-01234567-0"
    for name in (NAME, orphan, "mine"):
        curves.write(study, name, {})
    monkeypatch.setattr(files, "FRESH", 60)
    sweep(study)
    assert sorted(path.stem for path in (study / "curves").iterdir()) == [NAME, orphan, "mine"]
    monkeypatch.setattr(files, "FRESH", 0)
    sweep(study)
    assert sorted(path.stem for path in (study / "curves").iterdir()) == [NAME, "mine"]


def test_curves_whose_rows_are_about_to_come_stay(study, monkeypatch):
    """A folded table makes a sweep look for orphans."""
    ended, coming = members(small_job({"seed": 2}))
    store.write_rows(study / "rows.parquet", store.frame([row(fake(ended), "s", NAME)]))
    write = store.write_population

    def swept_before(*arguments):
        sweep(study)
        write(*arguments)

    monkeypatch.setattr(store, "write_population", swept_before)
    writer = run._RowWriter(study, "s", NoTracker(), Progress(1, 0))
    writer.ended("0123456789abcdef", [fake(coming)])
    assert len(list((study / "curves").iterdir())) == 1


def test_a_figure_that_was_not_finished_is_swept(study, monkeypatch):
    (study / "figures" / ".frontier.a1b2c3d_").mkdir(parents=True)
    (study / "figures" / ".frontier.a1b2c3d_" / "frontier.png").touch()
    picture, saved = Figure(), Figure.savefig

    def swept_before(self, path, **options):
        sweep(study)
        saved(self, path, **options)

    monkeypatch.setattr(Figure, "savefig", swept_before)
    figures.save(figures.Drawn(picture, pl.DataFrame({"x": [1]})), study / "figures", "mine")
    sweep(study)
    assert sorted(p.name for p in (study / "figures").iterdir())[0] == "mine.csv"


def test_what_is_young_stays_as_another_host_may_be_at_it(study, monkeypatch):
    monkeypatch.setattr(files, "FRESH", 60)
    (member,) = members(small_job())
    store.write_population(study, NAME, [row(fake(member), "s", NAME)], {member.key: {"w": np.ones(2)}})
    orphan, unfinished = (
        study / "weights" / "ffffffffffffffff-01234567-0.npz",
        study / "rows" / ".some.parquet.0123abcd",
    )
    for path in (orphan, unfinished):
        path.touch()
    sweep(study)
    assert orphan.exists()
    assert unfinished.exists()
    for path in (orphan, unfinished):
        os.utime(path, (path.stat().st_atime, path.stat().st_mtime - 61))
    sweep(study)
    assert not orphan.exists()
    assert not unfinished.exists()


def test_where_there_are_no_locks_files_are_written_and_none_is_swept(study, monkeypatch):
    def no_locks(*arguments):
        raise OSError(37, "No locks available")

    monkeypatch.setattr(files.fcntl, "flock", no_locks)
    store.write_population(study, NAME, [], {})
    (study / "rows" / f"{NAME}.parquet").unlink()
    (study / "rows" / ".some.parquet.0123abcd").touch()
    before = paths(study)
    sweep(study)
    assert paths(study) == before


def test_empty_folders_of_hydras_are_swept(study, monkeypatch):
    hydra = study / "hydra"
    for name in ("killed/0", "killed/1", "ran/.hydra", "here"):
        (hydra / name).mkdir(parents=True)
    (hydra / "ran" / ".hydra" / "config.yaml").touch()
    monkeypatch.chdir(hydra / "here")  # as with hydra.job.chdir
    sweep(study)
    assert paths(hydra) == ["here", "ran", "ran/.hydra", "ran/.hydra/config.yaml"]


def test_the_next_job_sweeps_also_where_nothing_is_missing(study):
    found = members(small_job())
    run_study(found, ONE_LANE, study, "s", NoTracker())
    before = paths(study)
    (study / "weights" / f".{NAME}.npz.0123abcd").touch()
    run_study(found, ONE_LANE, study, "s", NoTracker())
    assert paths(study) == before
