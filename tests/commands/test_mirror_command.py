"""`memcap mirror`: which studies it sends, what it says, and how long it follows one
that trains."""

import pytest
from command import memcap
from followed_files import put_job, put_rows

TOKEN = "aaaaaaaa00000000"


@pytest.fixture
def study(tmp_path, monkeypatch):
    """A working directory with a study of two members; W&B's own folders are in it."""
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(tmp_path / name.lower()))
    monkeypatch.setenv("WANDB_MODE", "offline")
    put_rows(tmp_path / "outputs" / "small", TOKEN, range(2))
    return tmp_path


def test_a_study_is_sent_to_where_the_command_says_and_again_to_the_same_runs(study):
    """Mirror a folder; tests/tracking/test_reference_runs.py has what the runs hold."""
    folder = study / "outputs" / "small"
    done = memcap(study, "mirror", "outputs/small")
    assert (done.status, done.err) == (0, "")
    assert (
        done.out
        == f"W&B: 3 runs in {folder}/wandb, sent by: wandb sync {folder}/wandb/offline-run-*\n"
    )
    memcap(study, "mirror", "outputs/small")
    ids = [
        path.stem.partition("-")[2]
        for path in folder.glob("wandb/offline-run-*/*.wandb")
    ]
    assert (len(ids), len(set(ids))) == (6, 3)


def test_a_study_that_trains_is_sent_as_far_as_it_is(study):
    folder = study / "outputs" / "followed"
    put_job(folder, TOKEN, range(3))
    put_rows(folder, TOKEN, [0])
    done = memcap(study, "mirror", "outputs/followed")
    assert (done.status, done.err) == (0, "")
    assert done.out.startswith("W&B: ")


def test_a_bad_file_is_named_or_refused(study):
    path = put_rows(study / "outputs" / "small", "aaaaaaaa11111111", [2])
    path.write_bytes(path.read_bytes()[:-100])
    done = memcap(study, "mirror", "outputs/small", "--strict")
    assert (done.status, done.err.count("\n")) == (2, 1)
    done = memcap(study, "mirror", "outputs/small")
    assert done.status == 0
    assert done.err.startswith(f"memcap: outputs/small/rows/{path.name}: ")


def test_what_the_environment_turns_off_is_refused(study, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    done = memcap(study, "mirror", "outputs/small")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "WANDB_MODE=disabled: turns W&B off" in done.err
