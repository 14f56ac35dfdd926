"""Tables in long form: what the lines say stands in the arrays, and what they do not
say is one line."""

from dataclasses import replace
from datetime import date, timedelta

import jax
import numpy as np
import polars as pl
import pytest
from study_checks import refusal

import memcap
from memcap.config.knobs import UserError
from memcap.own import file as own_file
from memcap.own import table as module
from memcap.own.table import MISSING, Columns, array_form, long_form, read_table
from memcap.own.task import Data

GOOD = pl.DataFrame(
    {
        "sequence": ["b", "a", "b", "a", "b"],
        "step": [0, 1, 2, 0, 1],
        "x": [10.0, 1.0, 12.0, 0.0, 11.0],
        "w": ["sun", "rain", "sun", "fog", "fog"],
        "y": ["yes", "no", "yes", "no", "yes"],
    }
)


def test_lines_in_any_order_are_sequences_and_names_are_numbers():
    form = long_form(GOOD, Columns("y"))
    np.testing.assert_array_equal(form.arrays["lengths"], [2, 3])
    np.testing.assert_array_equal(
        form.arrays["inputs"][..., 0], [[0, 1, 0], [10, 11, 12]]
    )
    np.testing.assert_array_equal(
        form.arrays["inputs"][1, :, 1:], [[0, 0, 1], [1, 0, 0], [0, 0, 1]]
    )
    np.testing.assert_array_equal(form.arrays["targets"], [0, 1])
    assert form.arrays["class_names"].tolist() == ["no", "yes"]
    assert (
        form.words[0] == "frame: 2 sequences of 2 to 3 steps (half of them at most 2)."
    )
    assert (
        form.words[2]
        == "Target: y, one of 2 classes at the end of a sequence: no 50.0%, yes 50.0%."
    )


def test_one_column_of_names_is_symbols_and_a_missing_one_has_a_name():
    frame = GOOD.with_columns(w=pl.when(pl.col("x") == 11).then(None).otherwise("w"))
    form = long_form(frame, Columns("y", features=("w",), missing="mask"))
    names = form.arrays["symbol_names"].tolist()
    assert names == ["fog", "rain", "sun", MISSING]
    np.testing.assert_array_equal(form.arrays["inputs"], [[0, 1, 0], [2, 3, 2]])


def test_missing_numbers_are_the_mean_and_a_feature_says_so():
    form = long_form(
        GOOD.with_columns(x=pl.Series([None, 1, 3, 1, 3])),
        Columns("y", features=("x",), missing="mask"),
    )
    np.testing.assert_array_equal(form.arrays["inputs"][1], [[2, 1], [3, 0], [3, 0]])


def test_a_target_that_changes_is_asked_where_it_stands_up_to_the_last_one():
    frame = GOOD.with_columns(y=pl.Series([0.5, 2.5, None, None, 1.5]))
    form = long_form(frame, Columns("y", features=("x",)))
    np.testing.assert_array_equal(form.arrays["targets"], [[0, 2.5], [0.5, 1.5]])
    np.testing.assert_array_equal(form.arrays["mask"], [[False, True], [True, True]])
    assert "lengths" not in form.arrays


@pytest.mark.parametrize(("values", "kind"), [(None, np.int64), (True, np.float32)])
def test_few_whole_numbers_are_classes_unless_values_are_wanted(values, kind):
    frame = GOOD.with_columns(y=pl.Series([3.0, 1, 3, 1, 3]))
    assert long_form(frame, Columns("y", values=values)).arrays["targets"].dtype == kind


@pytest.mark.parametrize("ending", ["csv", "tsv", "parquet", "arrow"])
def test_files_of_each_kind_hold_the_same(tmp_path, ending):
    path = tmp_path / f"mine.{ending}"
    writers = {
        "csv": GOOD.write_csv,
        "parquet": GOOD.write_parquet,
        "arrow": GOOD.write_ipc,
    }
    writers["tsv"] = lambda to: GOOD.write_csv(to, separator="\t")
    writers[ending](path)
    ours = read_table(path, Columns("y"))
    assert ours.digest == long_form(GOOD, Columns("y")).digest
    assert ours.words[0].startswith(f"{path}: 2 sequences")


def test_what_a_csv_file_calls_missing_is_no_name(tmp_path):
    (tmp_path / "mine.csv").write_text(
        "sequence,x,y\na,1.5,u\na,NA,u\nb,2.5,v\nb,nan,v\n"
    )
    assert "`x` is missing in 2 of 4 lines" in refusal(
        lambda: read_table(tmp_path / "mine.csv", Columns("y"))
    )


def changed(**columns):
    return GOOD.with_columns(
        **{name: pl.Series(values) for name, values in columns.items()}
    )


BAD = {
    "no target": (
        GOOD,
        {"target": "z"},
        "has no column `z` (--target); it has sequence, step, x, w, y",
    ),
    "no sequence": (GOOD.drop("sequence"), {}, "has no column `sequence` (--sequence)"),
    "no features": (GOOD.drop("x", "w"), {}, "has no column that the net could see"),
    "target as feature": (
        GOOD,
        {"features": ("y",)},
        "--features y: is another column already",
    ),
    "unknown category": (
        GOOD,
        {"categories": ("q",)},
        "has no column `q` (--categories)",
    ),
    "no lines": (GOOD.clear(), {}, "has no lines"),
    "twice": (
        changed(step=[0, 0, 0, 1, 1]),
        {},
        "has step 0 of sequence b more than once",
    ),
    "missing number": (
        changed(x=[None, 1, 2, 3, 4]),
        {},
        "`x` is missing in 1 of 5 lines; --missing mask",
    ),
    "missing name": (
        changed(w=[None, "a", "a", "b", "b"]),
        {},
        "`w` is missing in 1 of 5 lines",
    ),
    "NaN is missing": (
        changed(x=[np.nan, 1, 2, 3, 4]),
        {},
        "`x` is missing in 1 of 5 lines",
    ),
    "infinite": (changed(x=[np.inf, 1, 2, 3, 4]), {}, "`x` holds numbers above"),
    "infinite target": (changed(y=[np.inf, 1, 2, 3, 4]), {}, "`y` holds numbers above"),
    "all missing": (
        changed(x=[None] * 5),
        {"missing": "mask"},
        "`x` is missing in every line",
    ),
    "no step": (
        changed(step=[None, 1, 2, 3, 4]),
        {},
        "`step` (--step) is missing in 1 lines",
    ),
    "no id": (
        changed(sequence=[None, "a", "b", "c", "d"]),
        {},
        "`sequence` (--sequence) is missing in 1 lines",
    ),
    "unlabelled": (
        changed(y=[None, "no", None, "no", None]),
        {},
        "sequence b has no `y` at any step",
    ),
    "one class": (
        changed(y=["no"] * 5),
        {},
        "`y` is always no: there is nothing to tell apart",
    ),
    "one value": (
        changed(y=[0.5] * 5),
        {},
        "`y` is always 0.5: there is nothing to tell apart",
    ),
    "dates": (
        changed(x=[date(2026, 1, 1)] * 5),
        {},
        "`x` holds Date; it must hold numbers or names",
    ),
    "lists": (changed(y=[[1]] * 5), {}, "`y` holds List(Int64)"),
    "names as values": (
        GOOD,
        {"values": True},
        "`y` holds String, which are no values",
    ),
    "group changes": (GOOD, {"group": "w"}, "`w` (--group) changes within a sequence"),
    "one is far longer": (
        pl.DataFrame(
            {
                "sequence": np.minimum(np.arange(20_000), 10_000),
                "x": 0,
                "y": np.arange(20_000) % 2,
            }
        ),
        {},
        "10,001 sequences of up to 10,000 steps of 1 numbers are more than 64 MiB; --take 1677",
    ),
    "too large": (
        changed(x=[1e300, 1, 2, 3, 4]),
        {},
        "`x` holds numbers above 1e+18, too large",
    ),
    "too large a target": (
        changed(y=[1e300, 1, 2, 3, 4]),
        {},
        "`y` holds numbers above 1e+18, too large",
    ),
    "target is the sequence": (
        GOOD,
        {"target": "sequence"},
        "--target sequence: is the column of --sequence",
    ),
    "target is the split": (
        GOOD,
        {"split": "y"},
        "--target y: is the column of --split, too",
    ),
    "feature twice": (
        GOOD,
        {"features": ("x", "x")},
        "--features x: stands there twice",
    ),
    "category unseen": (
        GOOD,
        {"categories": ("y",)},
        "--categories y: is no column that the net sees",
    ),
    "steps by name": (
        changed(step=["first", "second", "last", "last", "second"]),
        {},
        "`step` (--step) holds names, which have no order",
    ),
    "structs": (changed(x=[{"a": 1}] * 5), {}, "`x` holds Struct({'a': Int64})"),
    "bytes": (
        changed(y=[b"a"] * 5),
        {},
        "`y` holds Binary; it must hold numbers or names",
    ),
    "durations": (changed(x=[timedelta(1)] * 5), {}, "`x` holds Duration("),
    "no sequence number": (
        changed(sequence=[np.nan, 1, 2, 3, 4]),
        {},
        "`sequence` (--sequence) is missing in 1 lines",
    ),
    "lists as parts": (
        changed(w=[[1]] * 5),
        {"split": "w", "features": ("x",)},
        "`w` holds List(",
    ),
    "missing": (GOOD, {"missing": "drop"}, "--missing drop: must be refuse or mask"),
    "no split": (GOOD, {"split": "q"}, "has no column `q` (--split)"),
    "split changes": (GOOD, {"split": "w"}, "`w` (--split) changes within a sequence"),
    "odd part": (
        changed(w=["train", "fold 3", "train", "fold 3", "train"]),
        {"split": "w"},
        "`w` (--split) holds fold 3; it must be train, validation, test",
    ),
    "no part": (
        changed(w=[None, "test", "train", "test", "train"]),
        {"split": "w"},
        "`w` (--split) is missing in 1 lines",
    ),
    "numbers as parts": (
        changed(z=[1, 0, 1, 0, 1]),
        {"split": "z"},
        "`z` (--split) holds 0; it must be train, validation, test",
    ),
    "no test": (
        changed(w=["train"] * 5),
        {"split": "w"},
        "`split` leaves no sequences for test",
    ),
    "one part alone trains": (
        changed(w=["train", "test", "train", "test", "train"]),
        {"split": "w"},
        "`split` leaves no sequences for train",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_table_is_one_line(name):
    frame, columns, said = BAD[name]
    assert said in refusal(
        lambda: long_form(frame, Columns(**{"target": "y"} | columns))
    )


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.csv", None, "cannot be read (No such file"),
        ("bad.parquet", b"PAR1 no", "cannot be read as PARQUET ("),
        ("bad.arrow", b"\0" * 40, "cannot be read as ARROW ("),
        ("ragged.csv", b"sequence,y\n1,2,3,4\n", "cannot be read as CSV ("),
        ("empty.csv", b"", "cannot be read as CSV ("),
        (
            "other.csv",
            b"sequence;x;y\na;1;u\n",
            "has no column `y` (--target); it has sequence;x;y",
        ),
        (
            "latin.csv",
            b"sequence,x,y\n\xe9,1,u\n",
            "cannot be read as CSV (invalid utf-8",
        ),
        ("quoted.csv", b'sequence,x,y\na,"1,u\nb,2,v\n', "cannot be read as CSV ("),
        ("*.csv", None, "cannot be read (No such file"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert said in refusal(lambda: read_table(tmp_path / name, Columns("y")))


def test_of_a_large_table_sequences_are_drawn_the_same_in_any_order_of_lines():
    frame = pl.DataFrame(frame_of(500))
    turned = pl.concat([frame[1500:], frame[:1500]])
    forms = [
        long_form(each, Columns("y", take=take))
        for each, take in ((frame, 60), (turned, 60), (frame, 500))
    ]
    part, again, everything = (
        {tuple(row) for row in form.arrays["inputs"][..., 0].tolist()} for form in forms
    )
    assert part == again < everything
    assert len(part) == 60
    assert 10 < forms[0].arrays["targets"].sum() < 50
    assert forms[0].words[0] == "frame: 60 sequences of 6 steps, drawn from 500."
    assert forms[2].words[0] == "frame: 500 sequences of 6 steps."


def test_numbers_that_are_too_many_say_how_many_sequences_fit(monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 600)
    frame = pl.DataFrame(frame_of(60)).with_columns(z=pl.col("x"))
    line = refusal(lambda: long_form(frame, Columns("y", features=("x", "z"))))
    assert line.endswith(
        "64 MiB; --take 50 draws as many as fit, or leave out features"
    )
    assert (
        len(
            long_form(frame, Columns("y", features=("x", "z"), take=50)).arrays[
                "inputs"
            ]
        )
        == 50
    )


def frame_of(count=40, steps=6):
    """Sequences whose class is a number that they show, of two groups per ten."""
    rng = np.random.default_rng(0)
    table = {
        "sequence": np.repeat(np.arange(count), steps),
        "x": rng.normal(5, 3, count * steps),
    }
    return table | {
        "y": np.repeat(np.arange(count) % 2, steps),
        "who": np.repeat(np.arange(count) // 5, steps),
    }


def test_a_frame_is_a_task_whose_groups_stay_together_and_whose_numbers_are_scaled(
    tmp_path,
):
    task = memcap.data(frame_of(), "y", tmp_path / "mine.npz", group="who")
    assert task == Data(file=str(tmp_path / "mine.npz"), criterion="best", scale=True)
    parts = task.parts
    assert sorted(np.concatenate(parts).tolist()) == list(range(40))
    assert sum(len(set(part // 5)) for part in parts) == 8
    inputs = task.file_content.inputs[parts[0]]
    np.testing.assert_allclose([inputs.mean(), inputs.std()], [0, 1], atol=1e-5)


def test_a_file_that_rows_may_be_of_is_not_written_over(tmp_path):
    memcap.data(frame_of(), "y", tmp_path / "mine.npz")
    memcap.data(frame_of(), "y", tmp_path / "mine.npz")
    assert "holds something else" in refusal(
        lambda: memcap.data(frame_of(20), "y", tmp_path / "mine.npz")
    )
    assert "it has target, sequence, step" in refusal(
        lambda: memcap.data(frame_of(), "y", steps="x")
    )
    assert "must be names of columns" in refusal(
        lambda: memcap.data(frame_of(), "y", features=3)
    )
    assert "frame: must be a polars or pandas frame" in refusal(
        lambda: memcap.data([1, 2], "y")
    )


def test_each_sequence_is_held_out_in_one_fold_and_shown_once(tmp_path):
    task = memcap.data(frame_of(43), "y", tmp_path / "mine.npz")
    folds = [replace(task, fold=fold).parts for fold in range(5)]
    assert sorted(np.concatenate([held for _, _, held in folds]).tolist()) == list(
        range(43)
    )
    assert [held.tolist() for _, held, _ in folds] == [
        held.tolist() for _, _, held in folds[1:] + folds[:1]
    ]
    show = jax.jit(lambda block: task.part(1, block, 5, 6, 6, 4))
    seen = []
    for block in range(3):
        batch, count = show(block)
        shown = np.asarray(batch.inputs)[:, np.asarray(count), 0].T
        seen += [
            int(np.abs(task.file_content.inputs[..., 0] - row).sum(1).argmin())
            for row in shown
        ]
    assert sorted(seen) == sorted(task.parts[2].tolist())


def test_blanks_before_a_sequence_stay_blank_where_numbers_are_scaled(tmp_path):
    frame = pl.DataFrame(frame_of()).filter(
        (pl.col("sequence") % 2 == 0) | (pl.int_range(pl.len()) % 6 < 4)
    )
    task = memcap.data(frame.drop("who"), "y", tmp_path / "mine.npz")
    scaled = own_file.read(task.file).scaled(task.parts[0])
    assert not scaled.inputs[1::2, :2].any()
    assert scaled.inputs[1::2, 2:].all()


def test_sequences_of_unlike_lengths_are_arrays():
    form = array_form([[1, 2], np.array([3, 1, 2])], [0, 1], groups=[4, 7])
    assert {name: array.tolist() for name, array in form.arrays.items()} == {
        "inputs": [[1, 2, 0], [3, 1, 2]],
        "targets": [0, 1],
        "lengths": [2, 3],
        "groups": [4, 7],
    }
    steps = array_form([np.ones((2, 1)), np.ones((3, 1))], [[1.5, 2], [3, 1, 2]]).arrays
    assert steps["targets"].tolist() == [[1.5, 2, 0], [3, 1, 2]]
    assert steps["inputs"].shape == (2, 3, 1)
    with pytest.raises(UserError, match=r"data: .*; must be sequences"):
        array_form([[1, 2], [[3.0], [1.0]]], [0, 1])
    with pytest.raises(UserError, match="for 2 sequences"):
        array_form([[1, 2], [3, 1]], [0, 1, 2])
    with pytest.raises(UserError, match="must be sequences"):
        array_form([], [])
    with pytest.raises(UserError, match="must be sequences"):
        array_form([1, 2], [0, 1])
    with pytest.raises(UserError, match="`split` must be"):
        array_form([[1, 2], [3, 1]], [0, 1], split=["train", "rest"])
    with pytest.raises(UserError, match="holds numbers that are not finite"):
        array_form([[[1.0], [np.nan]], [[1.0], [2.0]]], [0, 1])


def test_a_split_of_its_own_is_kept_and_validation_is_drawn_where_it_has_none(tmp_path):
    frame = pl.DataFrame(frame_of())
    names = np.array(["Train", "train", "dev", "test"])
    columns = {
        "three": names[frame["sequence"] % 4],
        "two": names[frame["sequence"] // 10 // 3 * 3],
    }
    frame = frame.with_columns(
        **{name: pl.Series(value) for name, value in columns.items()}
    )
    task = memcap.data(frame.drop("two"), "y", tmp_path / "three.npz", split="three")
    expected = [
        [k for k in range(40) if k % 4 in part] for part in ((0, 1), (2,), (3,))
    ]
    assert [part.tolist() for part in task.parts] == expected
    task = memcap.data(
        frame.drop("three"), "y", tmp_path / "two.npz", split="two", group="who"
    )
    parts = [set(part // 5) for part in task.parts]
    assert parts[2] == {6, 7}
    assert (len(parts[0]), len(parts[1]), len(parts[0] | parts[1])) == (5, 1, 6)
    assert task.file_content.split_words == (
        "Split of its own: 25 sequences train, 5 say where to stop, 10 judge.",
    )
    np.testing.assert_allclose(
        task.file_content.inputs[task.parts[0]].mean(), 0, atol=1e-5
    )
    assert "has a split of its own; leave it 0" in refusal(
        lambda: replace(task, fold=1)
    )
