"""The store: what is written comes back exactly, whole files or none, one row a key."""

import json
from datetime import UTC, datetime, timedelta
from re import fullmatch

import numpy as np
import polars as pl
import pytest
from flax.traverse_util import flatten_dict
from polars.testing import assert_frame_equal
from study_checks import refusal
from study_rows import row_of, sealed

from memcap import store
from memcap.store import shards
from memcap.store.files import write_arrays, write_sealed, write_table
from memcap.store.rows import SCHEMA, frame

NOW = datetime(2026, 1, 1, tzinfo=UTC)
EXAMPLES = {pl.String: "x", pl.Int64: 2**40 + 1, pl.Float64: 0.1, pl.Boolean: True}
EXAMPLES |= {pl.Datetime("us", "UTC"): NOW}
FAILED = dict.fromkeys(
    (
        "steps_to_solve",
        "steps_to_steady",
        "steps_to_up_to",
        "steps_to_anywhere",
        "exact_lags",
        "best",
        "final",
        "stretched",
    )
)
FAILED |= dict.fromkeys(("solved", "steady", "up_to", "anywhere"), False)
FAILED |= {"status": "failed", "reason": "died", "steps": 0}


def key(name):
    """The key of `row(name)`."""
    return row(name)["key"]


def row(name="a", **changes):
    """A row with something in every column, as far as rows can have that."""
    known = row_of() | {
        **dict.fromkeys(("solved", "steady", "up_to"), True),
        "status": "solved",
        "steps": 90,
        "steps_to_solve": 70,
        "steps_to_steady": 80,
        "steps_to_up_to": 80,
        "anywhere": False,
        "evaluation_until": "up_to",
        "mean_up_to": 1.0,
        "worst_up_to": 0.9,
        "worst_lag": 1,
        "best": 1.0,
        "final": 0.1,
        "stretched": 1.0,
        "optimizer": "adamw",
        "lags": "uniform",
        "freeze": "cell",
        "before": "drawn",
        "lengths": "7 9",
        "score_at_lengths": "[1.0, 0.5]",
        "whole_at_lengths": "[1.0, 0.0]",
    }
    whole = {column: EXAMPLES[kind] for column, kind in SCHEMA.items()}
    whole |= {column: value for column, value in known.items() if value is not None}
    absent = dict.fromkeys(("reason", "steps_to_anywhere", "exact_lags"))
    return sealed(whole | absent | {"finished": NOW} | changes, name)


def names(rows):
    """What `row` made the rows of."""
    return [json.loads(config)["made_up"] for config in rows["config"]]


def tree(seed=0):
    rng = np.random.default_rng(seed)
    return {
        "cell": {
            "kernel": rng.standard_normal((2, 8)).astype(np.float32),
            "bias": np.zeros(8, np.float32),
        },
        "readout": {
            "kernel": rng.standard_normal((3, 2)).astype(np.float64),
            "count": np.int32([7]),
        },
    }


def assert_trees_equal(one, other):
    one = flatten_dict(one)
    other = flatten_dict(other)
    assert set(one) == set(other)
    for path, array in one.items():
        assert array.dtype == other[path].dtype
        np.testing.assert_array_equal(array, other[path])


@pytest.fixture
def folder(tmp_path):
    shards.prepare(tmp_path)
    return tmp_path


def files(folder):
    return sorted(
        str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()
    )


def test_rows_and_weights_come_back_exactly(folder):
    rows = [
        row("a1", final=None, train_loss=1 / 3),
        row("b2", final=1e-300, git_commit=None),
    ]
    weights = {key("a1"): tree(1), key("b2"): tree(2)}
    shards.write(folder, "p", rows, weights)
    found = store.read(folder)
    assert_frame_equal(found, frame(rows), check_exact=True, check_row_order=False)
    assert dict(found.schema) == SCHEMA
    for each in found.iter_rows(named=True):
        assert_trees_equal(store.weights_of(folder, each), weights[each["key"]])
    rows_file, weights_file = files(folder)
    assert fullmatch(r"rows/p\.[0-9a-f]{16}\.parquet", rows_file)
    assert weights_file == "weights/p.npz"
    assert pl.read_parquet_metadata(folder / rows_file)["memcap_schema"] == "1"


def test_a_write_that_breaks_leaves_the_old_file_and_nothing_else(folder, monkeypatch):
    shards.write(folder, "p", [row("a1")], {key("a1"): tree()})
    before = {name: (folder / name).read_bytes() for name in files(folder)}

    def half(file, **arrays):
        file.write(b"PK half a file")
        raise KeyboardInterrupt

    monkeypatch.setattr(np, "savez", half)
    monkeypatch.setattr(pl.DataFrame, "write_parquet", lambda *args, **_: half(args[1]))
    table = frame([row("c3")])
    for write in (
        lambda: shards.write(folder, "p", [row("a1")], {key("a1"): tree()}),
        lambda: write_table(folder / "rows" / "p.parquet", table),
        lambda: shards.collect(folder),
    ):
        with pytest.raises(KeyboardInterrupt):
            write()
    assert {name: (folder / name).read_bytes() for name in files(folder)} == before


def test_weights_are_written_before_the_rows_that_promise_them(folder, monkeypatch):
    def full(*arguments):
        raise OSError("no space left")

    monkeypatch.setattr(shards.files, "write_sealed", full)
    with pytest.raises(OSError, match="no space"):
        shards.write(folder, "p", [row("a1")], {key("a1"): tree()})
    assert files(folder) == ["weights/p.npz"]


LATER = NOW + timedelta(hours=1)


@pytest.mark.parametrize(
    ("rows", "final"),
    [
        # one that measures, though it failed later by another clock
        ([FAILED | {"finished": LATER, "population": "z"}, {"final": 0.2}], 0.2),
        # that of the last shard, whatever its clock said
        ([{"population": "x", "final": 0.2}, {"finished": LATER, "final": 0.3}], 0.2),
        # in one shard, the later; the stale one is read last
        ([{"final": 0.9, "finished": LATER}, {"final": 0.1}], 0.9),
        ([FAILED], None),
    ],
)
def test_one_row_of_a_key_counts(folder, rows, final):
    for number, changes in enumerate(rows):
        table = frame([row("a1", **{"population": "p"} | changes), row(f"b{number}")])
        write_table(folder / "rows" / f"{number}.parquet", table)
    for _ in range(2):
        found = store.read(folder)
        assert found.height == len(rows) + 1
        assert found.filter(key=key("a1"))["final"].to_list() == [final]
        shards.collect(folder)


def test_all_studies_below_a_folder_are_read(tmp_path):
    for study in ("one", "two"):
        shards.prepare(tmp_path / study)
        shards.write(
            tmp_path / study, "p", [row(study, study=study)], {key(study): tree()}
        )
    assert store.read(tmp_path)["study"].to_list() == ["one", "two"]
    assert_trees_equal(
        store.weights_of(tmp_path, store.find_row(tmp_path, key("two")[:9])), tree()
    )


def test_a_folder_may_have_any_name(tmp_path):
    """Hydra names folders after overrides; Polars would read patterns and partitions into them."""
    folder = tmp_path / "lag=5,units=[1,2] a*b?"
    shards.prepare(folder)
    shards.write(folder, "p", [row("a1")], {key("a1"): tree()})
    assert_frame_equal(store.read(folder), frame([row("a1")]))
    assert_trees_equal(store.weights_of(folder, row("a1")), tree())


def test_an_empty_folder_has_no_rows(folder):
    assert store.read(folder).is_empty()
    assert dict(store.read(folder).schema) == SCHEMA
    assert "holds no rows" in refusal(lambda: shards.collect(folder))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no table at all", "half", "most"])
def test_a_file_that_is_no_table_is_named_and_passed_over(folder, capsys, content):
    whole = folder / "rows" / "p.parquet"
    write_table(whole, frame([row()]))
    written = whole.read_bytes()
    cuts = {"half": written[: len(written) // 2], "most": written[:-20]}
    bad = folder / "rows" / "bad.parquet"
    bad.write_bytes(cuts.get(content, content))
    assert_frame_equal(store.read(folder), frame([row()]))
    why = f"{bad}: not a readable table of rows; "
    assert capsys.readouterr().err.startswith(f"memcap: {why}skipped")
    text = refusal(lambda: store.read(folder, strict=True))
    assert text.startswith(f"{why}without --strict")
    assert refusal(lambda: store.read(bad)).startswith(f"{why}give the folder")


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (pl.exclude("finished"), "no column finished; not a table of rows"),
        (
            [pl.exclude("steps"), pl.lit("three").alias("steps")],
            "not a readable table of rows",
        ),
    ],
)
def test_a_table_of_other_columns_is_named(folder, change, why):
    path = folder / "rows" / "p.parquet"
    write_table(path, frame([row()]).select(change))
    text = refusal(lambda: store.read(folder, strict=True))
    assert text.startswith(f"{path}: {why}")


def test_a_column_that_is_new_to_this_version_is_left_out(folder):
    write_table(
        folder / "rows" / "p.parquet", frame([row()]).with_columns(mood=pl.lit("good"))
    )
    assert dict(store.read(folder).schema) == SCHEMA


def test_a_shard_is_read_again_once_it_is_another(folder):
    for one, other in ("pq", "rs"):  # of the same size
        write_table(folder / "rows" / "p.parquet", frame([row(one)]))
        write_sealed(folder / "rows" / "q.parquet", frame([row(other)]))
        assert sorted(names(store.read(folder))) == [one, other]


def test_one_finds_a_row_by_the_first_digits_of_its_key(folder):
    rows = [row() | {"key": name} for name in ("abc1", "abd2", "f0")]
    write_table(folder / "rows" / "p.parquet", frame(rows))
    for digits in ("f", "abd", "abc1"):
        assert store.find_row(folder, digits)["key"].startswith(digits)
    for digits, count in (("ab", 2), ("x", 0), ("", 3)):
        text = refusal(lambda digits=digits: store.find_row(folder, digits))
        assert f"{count} members" in text


def test_weights_that_are_not_there_are_missed(folder):
    shards.write(folder, "p", [row("a1")], {key("a1"): tree()})
    text = refusal(lambda: store.weights_of(folder, row("b2")))
    assert f"no weights of member {key('b2')}" in text


def test_a_folder_that_cannot_be_written_is_refused(tmp_path):
    file = tmp_path / "file"
    file.touch()
    for path in (file, file / "below"):
        text = refusal(lambda path=path: shards.prepare(path))
        assert text.startswith(f"out={path}: cannot be written")
    path = tmp_path / "rows.parquet"
    write_table(path, frame([row()]))
    assert "give the folder of a study" in refusal(lambda: shards.collect(path))


def test_a_file_of_arrays_that_cannot_be_written_is_refused(tmp_path):
    assert "must end in .npz" in refusal(lambda: write_arrays(tmp_path / "w.bin", {}))
    assert "cannot be written" in refusal(
        lambda: write_arrays(tmp_path / "no" / "w.npz", {})
    )


def test_rows_with_a_value_that_this_version_has_not_are_left_out(capsys):
    changes = {"schedule": "sine", "readout": "sparse", "evaluation_until": "bored"}
    others = [sealed(row_of() | {name: value}) for name, value in changes.items()]
    rows = frame([row_of(), *others])
    assert store.readable(rows)["key"].to_list() == [rows["key"][0]]
    said = capsys.readouterr().err
    assert all(f"={value}: must be one of" in said for value in changes.values())


def test_collect_again_gives_the_same_rows(folder):
    for k in range(3):
        rows = frame([row(f"k{k}", lag=3 - k), row("shared")])
        write_table(folder / "rows" / f"{k}.parquet", rows)
    path, rows = shards.collect(folder)
    assert path == folder / "rows.parquet"
    assert rows.height == 4
    assert rows["lag"].is_sorted()
    assert_frame_equal(shards.collect(folder)[1], rows)
    assert_frame_equal(store.read(path), rows)


def test_a_column_that_came_later_is_filled_in_where_a_table_lacks_it(folder):
    later = ["anywhere", "steps_to_anywhere", "exact_lags"]
    write_table(folder / "rows" / "p.parquet", frame([row()]).drop(later))
    rows = store.read(folder)
    assert rows.select(later).row(0) == (False, None, None)
    assert dict(rows.schema) == SCHEMA
