"""Files that rot: what is read is what was written, or the file is named."""

import os
import random

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from study_checks import ONE_LANE, refusal, small_job
from study_rows import group, table

from memcap import store
from memcap.designs.axes import members
from memcap.store import columns, files, shards
from memcap.store.files import BadFileError, write_arrays
from memcap.store.rows import complete
from memcap.store.shards import Study
from memcap.studies.run import run_study


def flipped(content, count=100):
    """The content with one bit turned over, at places drawn by chance."""
    for place in random.Random(0).sample(range(8 * len(content)), count):
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)


def the_file(folder, pattern):
    (path,) = folder.glob(pattern)
    return path


def test_a_bit_that_flips_in_a_table_is_seen(tmp_path):
    files.write_sealed(tmp_path / "p.parquet", table(group()))
    path = the_file(tmp_path, "p.*.parquet")
    for content in flipped(path.read_bytes()):
        path.write_bytes(content)
        with pytest.raises(BadFileError, match="damaged"):
            shards.read_results(path)


def test_a_bit_that_flips_in_weights_is_seen_or_changes_nothing(tmp_path):
    path = tmp_path / "p.npz"
    kernel = np.random.default_rng(0).standard_normal((30, 8), np.float32)
    files.write_weights(path, {"k": {"kernel": kernel}})
    named = 0
    for content in flipped(path.read_bytes()):
        path.write_bytes(content)
        try:
            assert files.read_weights(path)["k"]["kernel"].tobytes() == kernel.tobytes()
        except (BadFileError, KeyError):  # the latter if it is the name that changed
            named += 1
    assert named > 50


def test_a_table_is_named_by_its_digest_and_replaces_that_of_its_stem(tmp_path):
    one, two = (table(group("latch", lag)) for lag in (5, 7))
    for rows in (one, two, two):
        files.write_sealed(tmp_path / "p.parquet", rows)
        path = the_file(tmp_path, "*")
        assert files.stem(path) == "p"
        assert_frame_equal(complete(shards.read_results(path)), rows)
    files.write_sealed(tmp_path / "p.q.parquet", one)
    assert len(list(tmp_path.iterdir())) == 2


def test_a_reader_survives_both_files_of_a_stem_and_neither(tmp_path):
    (tmp_path / "rows").mkdir()
    path = tmp_path / "rows" / "p.parquet"
    more = table(group("latch", 5, {1: (0, 2)}))
    files.write_sealed(path, more.head(1))
    old = the_file(tmp_path, "rows/*")
    content = old.read_bytes()
    files.write_sealed(path, more)
    assert_frame_equal(
        complete(shards.read_results(old)), more
    )  # it was replaced just now
    old.write_bytes(content)
    assert_frame_equal(store.read(tmp_path), more, check_row_order=False)
    for each in (tmp_path / "rows").iterdir():
        each.unlink()
    with pytest.raises(BadFileError, match="cannot be read"):
        shards.read_results(old)
    assert store.read(tmp_path).is_empty()


def test_a_reader_that_panics_has_met_a_bad_file(tmp_path, monkeypatch):
    path = tmp_path / "rows.parquet"
    files.write_table(path, table(group()))

    def panic(content, columns):
        raise pl.exceptions.PanicException("index out of bounds")

    monkeypatch.setattr(pl, "read_parquet", panic)
    text = refusal(lambda: store.read(tmp_path, strict=True))
    assert text.startswith(f"{path}: not a readable table of rows")


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"\x93NUMPY", b"plain", "objects", "one array", "nested"]
)
def test_weights_that_are_no_plain_archive_are_named(tmp_path, content):
    path = tmp_path / "weights" / "p.npz"
    path.parent.mkdir()
    if content == "objects":
        np.savez(path, **{"k/x": np.array([None, {}], object)}, allow_pickle=True)
    elif content == "nested":
        np.savez(path, **{"k/x": np.zeros(1), "k/x/y": np.zeros(1)})
    elif content == "one array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.write_bytes(content)
    row = {"key": "k", "population": "p"}
    text = refusal(lambda: store.weights_of(tmp_path, row))
    mend = "to have the weights of member k, train it again in another folder"
    assert text.startswith(f"{path}: not a readable npz file; {mend}")


def test_a_rerun_trains_what_a_bad_shard_held_and_leaves_it_there(tmp_path, capsys):
    found = members(small_job({"seed": 3}))
    run_study(found[:1], ONE_LANE, Study(tmp_path, "small"), quiet=True)
    (kept,) = (tmp_path / "rows").iterdir()
    run_study(found, ONE_LANE, Study(tmp_path, "small"), quiet=True)
    (bad,) = set((tmp_path / "rows").iterdir()) - {kept}
    content = next(flipped(bad.read_bytes()))
    bad.write_bytes(content)
    shards._read_once.cache_clear()
    rows = run_study(found, ONE_LANE, Study(tmp_path, "small"), quiet=True)
    assert capsys.readouterr().err.count(f"{bad}: damaged") == 1
    assert set(rows["key"]) == {member.key for member in found}
    assert bad.read_bytes() == content
    assert_frame_equal(store.read(tmp_path), rows, check_row_order=False)


def test_a_collected_row_survives_its_shard(tmp_path):
    shards.prepare(tmp_path)
    shard = tmp_path / "rows" / "p.parquet"
    files.write_table(shard, table(group()))
    path, rows = shards.collect(tmp_path)
    shard.write_bytes(b"")
    assert_frame_equal(store.read(tmp_path), rows)
    assert "p.parquet: not a readable table" in refusal(
        lambda: shards.collect(tmp_path, strict=True)
    )
    assert_frame_equal(shards.collect(tmp_path)[1], rows)
    path.write_bytes(b"not ours")
    text = refusal(lambda: shards.collect(tmp_path))
    assert text.startswith(f"{path}: not a readable table of rows; it would be written")
    assert path.read_bytes() == b"not ours"


# On disk


def test_what_a_file_holds_is_on_disk_before_it_has_its_name(tmp_path, monkeypatch):
    done = []
    sync = os.fsync
    put = os.replace

    def synced(descriptor):
        done.append(os.fstat(descriptor).st_ino)
        sync(descriptor)

    def replaced(*names):
        done.append("replaced")
        put(*names)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    path = tmp_path / "p.parquet"
    files.write_table(path, table(group()))
    assert done == [path.stat().st_ino, "replaced"]


def test_the_umask_decides_who_reads(tmp_path):
    before = os.umask(0o027)
    try:
        files.write_table(tmp_path / "p.parquet", table(group()))
        write_arrays(tmp_path / "p.npz", {"x": np.zeros(1)})
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {0o640}


def test_a_draft_has_a_name_that_nobody_can_guess(tmp_path, monkeypatch):
    """A link in its place would lead to any file."""
    mine = tmp_path / "mine"
    mine.write_text("of value")
    for name in (".rows.csv", f".rows.csv.{'0' * 8}"):
        (tmp_path / name).symlink_to(mine)
    files.replace(tmp_path / "rows.csv", b"rows")
    monkeypatch.setattr(files.secrets, "token_hex", lambda _: "0" * 8)
    with pytest.raises(FileExistsError):
        files.replace(tmp_path / "rows.csv", b"others")
    assert mine.read_text() == "of value"
    assert (tmp_path / "rows.csv").read_bytes() == b"rows"


@pytest.mark.parametrize("population", ["**", "../p", "[", "a/b", ""])
def test_a_population_of_any_name_is_no_pattern(tmp_path, population):
    (tmp_path / "weights").mkdir()
    (tmp_path / "p.npz").write_bytes(b"")
    row = {"key": "k", "population": population}
    text = refusal(lambda: store.weights_of(tmp_path / "weights", row))
    assert "holds no weights of member k" in text


def test_knobs_that_nest_without_end_are_those_of_no_member():
    """Of a row; nothing recurses to its end."""
    nested_knobs = '{"task": ' + '{"a":' * 5000 + "1" + "}" * 5001
    assert columns._line(nested_knobs) == {}
    assert columns._line("[" * 100_000) == {}
