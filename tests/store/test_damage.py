"""Files that rot: what is read is what was written, or the file is named."""

import os
import random
import re
import shutil
import zipfile
from io import BytesIO

import numpy as np
import polars as pl
import pytest
from polars.testing import assert_frame_equal
from study_checks import ONE_LANE, refusal, small_job
from study_rows import group, table

from memcap import store
from memcap.designs.axes import members
from memcap.store import columns, curves, files, heartbeat, parquet, shards, weights
from memcap.store.files import BadFileError
from memcap.store.study import Study
from memcap.store.weights import nested, write_arrays
from memcap.studies.run import run_study
from memcap.terminal.words import warn_once

FLIPS = 100


def flipped(content, seed=0):
    """The content with one bit turned over, at `FLIPS` places drawn by chance, and at
    every bit of its mark and digest."""
    places = random.Random(seed).sample(range(8 * len(content)), FLIPS)
    mark = content.rindex(files.MARK)
    places += range(8 * mark, 8 * (mark + len(files.DIGEST_PLACEHOLDER)))
    for place in places:
        changed = bytearray(content)
        changed[place // 8] ^= 1 << place % 8
        yield bytes(changed)


def outcomes(content, path, read, same):
    """How often a flipped file was (named, read as it was, read as something else).
    Each has a name of its own: no cache."""
    named = equal = wrong = 0
    for k, changed in enumerate(flipped(content)):
        file = path.with_name(f"{k}{path.suffix}")
        file.write_bytes(changed)
        try:
            if same(read(file)):
                equal += 1
            else:
                wrong += 1
        except BadFileError:
            named += 1
        file.unlink()
    return named, equal, wrong


def shard_file(folder):
    """A shard, its reader, and what it holds as anyone may read it."""
    rows = table(group("latch", 5, {1: (1, 2), 2: (2, 2)}))
    path = folder / "p.parquet"
    shards.write_table(path, rows)
    assert_frame_equal(pl.read_parquet(path), rows)
    return path, shards.read_file, rows.equals


def weights_file(folder):
    """The same of weights."""
    rng = np.random.default_rng(0)
    path = folder / "p.npz"
    arrays = {
        "cell/kernel": rng.standard_normal((3, 8), np.float32),
        "cell/bias": np.zeros(8, np.float32),
    }
    weights.write_weights(path, {"k": nested(arrays)})
    with np.load(path, allow_pickle=False) as stored:
        np.testing.assert_array_equal(stored["k/cell/kernel"], arrays["cell/kernel"])

    def same(found):
        return {k: v.tobytes() for k, v in found.items()} == {
            k: v.tobytes() for k, v in arrays.items()
        }

    return path, lambda file: weights.read_weights(file, "k"), same


@pytest.mark.parametrize("make", [shard_file, weights_file])
def test_a_bit_that_flips_is_seen(tmp_path, make):
    path, read, same = make(tmp_path)
    named, equal, wrong = outcomes(path.read_bytes(), path, read, same)
    assert wrong == 0
    # of the mark alone: then no digest is found, and all is as it was
    assert equal <= 8 * len(files.MARK) + FLIPS // 20
    assert named >= FLIPS


@pytest.mark.parametrize("size", [0, 1, files.TAIL, 3 * files.CHUNK + 5])
def test_a_digest_covers_files_of_any_size_and_its_own_place(size):
    content = b"x" * size + files.DIGEST_PLACEHOLDER + b"the end"
    file = BytesIO(content)
    files._write_digest(file)
    sealed = file.getvalue()
    assert (
        sealed.replace(sealed[size + len(files.MARK) :][:64], files.NO_DIGITS)
        == content
    )
    assert files.check(file)
    digits = size + len(files.MARK)
    for place in {*range(0, size, size // 3 or 1), *range(digits, len(content), 10)}:
        changed = bytearray(sealed)
        changed[place] ^= 4
        with pytest.raises(BadFileError, match="damaged"):
            files.check(BytesIO(bytes(changed)))
    assert not files.check(BytesIO(sealed.replace(files.MARK, b"")))


def unsealed(path, rows):
    """A file as memcap 0.1 wrote it."""
    path.parent.mkdir(exist_ok=True)
    rows.write_parquet(path)


def test_a_file_without_a_digest_is_read_if_each_key_is_that_of_its_config(tmp_path):
    rows = table(group("latch", 5, {1: (0, 2)}))
    unsealed(tmp_path / "rows" / "old.parquet", rows)
    assert_frame_equal(store.read(tmp_path), rows, check_row_order=False)
    other = (
        pl.when(pl.col("seed") == 1)
        .then(pl.lit("0" * 16))
        .otherwise("key")
        .alias("key")
    )
    nothing = pl.lit(None, pl.String).alias("config")
    keys = {"key": "0" * 16, "nothing": rows["key"][0]}
    for name, change in (("key", other), ("nothing", nothing)):
        unsealed(tmp_path / "rows" / f"{name}.parquet", rows.with_columns(change))
        text = refusal(lambda: store.read(tmp_path, strict=True))
        assert (
            f"{name}.parquet: row {keys[name]}: damaged: it has the config of another"
            in text
        )
        (tmp_path / "rows" / f"{name}.parquet").unlink()


def test_a_reader_that_panics_has_met_a_bad_file(tmp_path, monkeypatch):
    rows = table(group())
    unsealed(tmp_path / "rows.parquet", rows)

    def panic(content):
        raise pl.exceptions.PanicException("index out of bounds")

    monkeypatch.setattr(pl, "read_parquet", panic)
    text = refusal(lambda: store.read(tmp_path, strict=True))
    assert text.startswith(f"{tmp_path / 'rows.parquet'}: not a readable table of rows")


@pytest.mark.parametrize(
    "content", [b"", b"PK", b"\x93NUMPY", "plain", "objects", "one array"]
)
def test_weights_that_are_no_plain_archive_are_named(tmp_path, content):
    path = tmp_path / "weights" / "p.npz"
    path.parent.mkdir()
    if content == "objects":
        np.savez(path, **{"k/x": np.array([None, {}], object)}, allow_pickle=True)
    elif content == "one array":
        with path.open("wb") as file:
            np.save(file, np.zeros(3))
    else:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    text = refusal(lambda: store.weights_of(tmp_path, {"key": "k", "population": "p"}))
    assert text.startswith(
        f"{path}: not a readable npz file; to have the weights of member k, train it again in"
        " another folder"
    )
    with pytest.raises(BadFileError):
        weights.sizes(path)


def test_sound_weights_elsewhere_make_up_for_bad_ones(tmp_path):
    for study in ("a", "b"):
        (tmp_path / study / "weights").mkdir(parents=True)
        weights.write_weights(
            tmp_path / study / "weights" / "p.npz", {"k": {"x": np.ones(2)}}
        )
    (tmp_path / "a" / "weights" / "p.npz").write_bytes(b"")
    assert store.weights_of(tmp_path, {"key": "k", "population": "p"})[
        "x"
    ].tolist() == [1, 1]


def test_a_rerun_trains_what_a_bad_shard_held_and_leaves_it_there(tmp_path, capsys):
    found = members(small_job({"seed": 3}))
    run_study(found[:1], ONE_LANE, Study(tmp_path, "small"), quiet=True)
    (kept,) = (tmp_path / "rows").iterdir()
    run_study(found, ONE_LANE, Study(tmp_path, "small"), quiet=True)
    (bad,) = set((tmp_path / "rows").iterdir()) - {kept}
    content = next(flipped(bad.read_bytes()))
    bad.unlink()
    bad.write_bytes(content)
    capsys.readouterr()
    rows = run_study(found, ONE_LANE, Study(tmp_path, "small"), quiet=True)
    assert capsys.readouterr().err.count(f"{bad}: damaged") == 1
    assert sorted(rows["key"]) == sorted(m.key for m in found)
    assert bad.read_bytes() == content
    assert len(list((tmp_path / "rows").iterdir())) == 3
    assert_frame_equal(store.read(tmp_path), rows, check_row_order=False)


def test_a_collected_row_survives_its_shard(tmp_path):
    shards.prepare(tmp_path)
    shard = tmp_path / "rows" / "p.parquet"
    shards.write_table(shard, table(group()))
    path, rows = shards.collect(tmp_path)
    shard.write_bytes(b"")
    assert_frame_equal(store.read(tmp_path), rows)
    assert "p.parquet: not a readable table" in refusal(
        lambda: shards.collect(tmp_path, strict=True)
    )
    assert_frame_equal(shards.collect(tmp_path)[1], rows)
    path.write_bytes(b"not ours")
    text = refusal(lambda: shards.collect(tmp_path))
    assert (
        text
        == f"{path}: not a readable table of rows; it would be written over: move it elsewhere,"
        " and collect again"
    )
    assert path.read_bytes() == b"not ours"


def test_a_note_is_made_once(capsys):
    for line in ("this", "that", "this"):
        warn_once(f"{line} of {os.getpid()}")
    assert (
        capsys.readouterr().err
        == f"memcap: this of {os.getpid()}\nmemcap: that of {os.getpid()}\n"
    )


# On disk


def test_a_file_is_on_disk_with_its_name_before_anyone_is_told(tmp_path, monkeypatch):
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
    shards.prepare(tmp_path / "a" / "b")
    assert set(done) == {
        (tmp_path / folder).stat().st_ino for folder in (".", "a", "a/b")
    }
    done.clear()
    path = tmp_path / "a" / "b" / "rows" / "p.parquet"
    shards.write_table(path, table(group()))
    assert done == [path.stat().st_ino, "replaced", path.parent.stat().st_ino]


@pytest.mark.parametrize("mask", [0o027, 0o002])
def test_the_umask_decides_who_reads(tmp_path, mask):
    before = os.umask(mask)
    try:
        shards.write_table(tmp_path / "p.parquet", table(group()))
        write_arrays(tmp_path / "p.npz", {"x": np.zeros(1)})
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in tmp_path.iterdir()} == {
        0o666 & ~mask
    }


BOMBS = {
    "many rows": lambda: pl.repeat("a", 2_000_000, eager=True),
    "a long text": lambda: pl.Series(["a" * 30_000_000]),
    "long texts": lambda: pl.Series(
        [letter * 2_000_000 for letter in "abcdefghijklmno"]
    ),
}


@pytest.mark.parametrize("kind", BOMBS)
def test_a_table_that_unpacks_to_far_more_than_it_has_is_not_read(
    tmp_path, monkeypatch, kind
):
    """Whoever reads it: rows, curves, members."""
    keys = pl.DataFrame({"key": BOMBS[kind]()})
    for place in ("rows/a.parquet", "curves/a.parquet", "jobs/a.members.parquet"):
        (tmp_path / place).parent.mkdir()
        shards.write_table(tmp_path / place, keys)
    monkeypatch.setattr(pl, "read_parquet", None)  # it is not reached
    for read, bad in (
        (shards.read_file, "rows/a.parquet"),
        (curves.read_file, "curves/a.parquet"),
        (lambda path: heartbeat._members(tmp_path, "a", ["key"]), "jobs"),
    ):
        with pytest.raises(
            BadFileError, match=r"its [\d,]+ bytes unpack to over [\d,]+ MiB"
        ):
            read(tmp_path / bad)


def test_small_tables_that_unpack_to_much_together_are_not_read(tmp_path, monkeypatch):
    (tmp_path / "rows").mkdir()
    shards.write_table(
        tmp_path / "rows" / "0.parquet", pl.DataFrame({"config": ["a" * 5_000_000]})
    )
    for number in range(1, 20):
        shutil.copy(
            tmp_path / "rows" / "0.parquet", tmp_path / "rows" / f"{number}.parquet"
        )
    monkeypatch.setattr(pl, "read_parquet", None)  # it is not reached
    tables, bad = shards.read_files(tmp_path)
    assert (tables, len(bad)) == ({}, 20)
    assert all("unpack to over 4 MiB" in str(why) for why in bad.values())


def test_a_table_of_few_bytes_that_are_long_texts_is_not_taken_apart(monkeypatch):
    content = BytesIO()
    pl.DataFrame({"key": ["a" * 3_000_000] * 10}).write_parquet(content)
    monkeypatch.setattr(parquet, "check_size", lambda *_: None)  # as of one that lies
    with pytest.raises(BadFileError, match="unpack to"):
        parquet.read(content)


def test_a_footer_of_any_bytes_is_read_or_refused(monkeypatch):
    """Without end, or a crash; and a struct that is matched whole as field by field."""

    def field_by_field(fields):
        return fields and parquet.Fields(
            {name: field_by_field(each) for name, each in fields.of.items()}
        )

    def outcome(content):
        try:
            return parquet.check_size(content)
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            BadFileError,
        ) as error:
            return type(error)

    fields = {
        name: field_by_field(getattr(parquet, name)) for name in ("FOOTER", "PAGE")
    }
    content = BytesIO()
    table(group("latch", 5, {1: (1, 2)})).write_parquet(content)
    sound = content.getvalue()
    draw = random.Random(0)
    contents = [sound]
    for _ in range(300):
        changed = bytearray(sound)
        for _ in range(draw.choice([1, 3, 30])):
            changed[draw.randrange(4, len(sound) - 8)] = draw.randrange(256)
        contents.append(bytes(changed))
    start = len(sound) - 8 - int.from_bytes(sound[-8:-4], "little")
    columns = parquet._struct(sound, start, parquet.FOOTER)[0][4][0][1]
    assert all(
        isinstance(column, re.Match) for column in columns
    )  # so thousands of files take seconds
    outcomes = [outcome(content) for content in contents]
    for name, slow in fields.items():
        monkeypatch.setattr(parquet, name, slow)
    assert outcomes == [outcome(content) for content in contents]
    assert isinstance(outcomes[0], tuple)
    assert len(set(map(str, outcomes))) > 2


@pytest.mark.parametrize("kind", ["packed", "long head", "one for many"])
def test_weights_that_unpack_to_more_than_the_file_has_are_not_read(
    tmp_path, monkeypatch, kind
):
    path = tmp_path / "p.npz"
    if kind == "packed":
        np.savez_compressed(path, **{"k/a": np.zeros(30_000_000, np.float32)})
    else:
        with (
            zipfile.ZipFile(path, "w") as archive,
            archive.open("k/a.npy", "w") as file,
        ):
            head = {"descr": "<f4", "fortran_order": False, "shape": (1 << 40,)}
            np.lib.format.write_array_header_1_0(file, head)
        if kind == "one for many":
            with zipfile.ZipFile(path, "a") as archive:
                (info,) = archive.infolist()
                archive.filelist += [info] * 1000
    monkeypatch.setattr(np, "load", None)  # it is not reached
    with pytest.raises(BadFileError, match="claim to hold more"):
        weights.sizes(path)


@pytest.mark.parametrize("population", ["**", "../p", "[", "a/b", ""])
def test_a_population_of_any_name_is_no_pattern(tmp_path, population):
    (tmp_path / "weights").mkdir()
    (tmp_path / "p.npz").write_bytes(b"")
    text = refusal(
        lambda: store.weights_of(
            tmp_path / "weights", {"key": "k", "population": population}
        )
    )
    assert "holds no weights of member k" in text


def test_knobs_that_nest_without_end_are_those_of_no_member():
    """Of a row; nothing recurses to its end."""
    nested_knobs = '{"task": ' + '{"a":' * 5000 + "1" + "}" * 5001
    assert columns._line(nested_knobs) == {}
    assert columns._line("[" * 100_000) == {}


def test_files_that_are_read_together_are_what_each_is_by_itself(tmp_path, monkeypatch):
    """Those of other types and bad ones among them."""
    monkeypatch.setattr(shards, "TOGETHER", 4)
    whole = [table([row]) for row in group("latch", 5, {1: (1, 6), 2: (3, 6)})]
    for number, rows in enumerate(whole):
        other = (
            rows.with_columns(pl.col("steps").cast(pl.Int32)) if number == 7 else rows
        )
        unsealed(tmp_path / "rows" / f"{number:02}.parquet", other)
    sound = (tmp_path / "rows" / "05.parquet").read_bytes()
    (tmp_path / "rows" / "05.parquet").write_bytes(sound[:-300])
    third = len(sound) // 3
    (tmp_path / "rows" / "06.parquet").write_bytes(
        sound[:third] + bytes(40) + sound[third:]
    )
    (tmp_path / "rows" / "12.parquet").symlink_to(tmp_path / "nowhere")
    tables, bad = shards.read_files(tmp_path)
    assert [path.stem for path in bad] == ["12", "05", "06"]
    for number, rows in enumerate(whole):
        if number not in (5, 6):
            assert_frame_equal(
                tables[tmp_path / "rows" / f"{number:02}.parquet"].rows, rows
            )
