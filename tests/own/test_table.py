"""Tables in long form: what the lines say stands in the arrays, and what they do not
say is one line."""

from dataclasses import replace
from datetime import date

import numpy as np
import polars as pl
import pytest
from study_checks import refusal

import memcap
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


def form_of(changes=(), **columns):
    frame = GOOD.with_columns(**{k: pl.Series(v) for k, v in dict(changes).items()})
    return long_form(frame, Columns(**{"target": "y"} | columns))


def frame_of(count=40, steps=6):
    """Sequences whose class is a number that they show, of two groups per ten."""
    sequence = np.repeat(np.arange(count), steps)
    x = np.random.default_rng(0).normal(5, 3, count * steps)
    return {"sequence": sequence, "x": x, "y": sequence % 2, "who": sequence // 5}


def test_lines_in_any_order_are_sequences_and_names_are_numbers():
    form = form_of()
    assert {name: array.tolist() for name, array in form.arrays.items()} == {
        "inputs": [
            [[0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]],
            [[10, 0, 0, 1], [11, 1, 0, 0], [12, 0, 0, 1]],
        ],
        "targets": [0, 1],
        "lengths": [2, 3],
        "padding": "after",
        "class_names": ["no", "yes"],
    }
    assert form.words == (
        "frame: 2 sequences of 2 to 3 steps.",
        "Inputs: 4 numbers a step: x, w (3 names).",
        "Target: y, one of 2 classes at the end of a sequence: no 50.0%, yes 50.0%.",
    )


@pytest.mark.parametrize(
    ("changes", "columns", "arrays"),
    [
        (  # one column of names is symbols, and a missing one has a name
            {"w": ["sun", "rain", "sun", "fog", None]},
            {"features": ("w",)},
            {
                "inputs": [[0, 1, 0], [2, 3, 2]],
                "symbol_names": ["fog", "rain", "sun", MISSING],
            },
        ),
        (  # a missing number is the mean, and a feature says so
            {"x": [None, 1, 3, 1, 3]},
            {"features": ("x",)},
            {"inputs": [[[1, 0], [1, 0], [0, 0]], [[2, 1], [3, 0], [3, 0]]]},
        ),
        (  # a target that changes is due where it stands, up to the last one
            {"y": [0.5, 2.5, None, None, 1.5]},
            {"features": ("x",)},
            {"targets": [[0, 2.5], [0.5, 1.5]], "mask": [[False, True], [True, True]]},
        ),
        ({"y": [3.0, 1, 3, 1, 3]}, {}, {"targets": [0, 1], "class_names": ["1", "3"]}),
        ({"y": [3.0, 1, 3, 1, 3]}, {"values": True}, {"targets": [1, 3]}),
    ],
)
def test_arrays_hold_what_the_columns_mean(changes, columns, arrays):
    form = form_of(changes, missing="mask", **columns)
    assert {name: form.arrays[name].tolist() for name in arrays} == arrays


def test_files_of_each_kind_hold_the_same(tmp_path):
    GOOD.write_csv(tmp_path / "mine.csv")
    GOOD.write_csv(tmp_path / "mine.tsv", separator="\t")
    GOOD.write_parquet(tmp_path / "mine.parquet")
    GOOD.write_ipc(tmp_path / "mine.arrow")
    for path in tmp_path.iterdir():
        form = read_table(path, Columns("y"))
        assert form.digest == form_of().digest
        assert form.words[0].startswith(f"{path}: 2 sequences")


BAD = [
    (
        {},
        {"target": "z"},
        "has no column `z` (--target); it has sequence, step, x, w, y",
    ),
    ({}, {"categories": ("y",)}, "--categories y: is no column that the net sees"),
    ({}, {"features": ("y",)}, "--features y: is another column already"),
    ({}, {"split": "y"}, "--split y: is another column already"),
    ({}, {"values": True}, "`y` holds String, which are no values"),
    ({}, {"group": "w"}, "`w` (--group) changes within a sequence"),
    ({"step": [0, 0, 0, 1, 1]}, {}, "has step 0 of sequence b more than once"),
    ({"step": list("abcab")}, {}, "`step` (--step) holds 'a', which has no order"),
    ({"sequence": [np.nan, 1, 2, 3, 4]}, {}, "`sequence` (--sequence) is missing in 1"),
    ({"x": [None, 1, 2, 3, 4]}, {}, "`x` is missing in 1 of 5 lines; --missing mask"),
    ({"x": [None] * 5}, {"missing": "mask"}, "`x` is missing in every line"),
    ({"x": [np.inf, 1, 2, 3, 4]}, {}, "`x` holds inf; fill such cells in"),
    (
        {"x": [date(2026, 1, 1)] * 5},
        {},
        "`x` holds Date; it must hold numbers or names",
    ),
    ({"z": [[1]] * 5}, {"split": "z", "features": ("x",)}, "`z` holds List(Int64)"),
    ({"y": [None, "a", None, "a", None]}, {}, "sequence b has no `y` at any step"),
    ({"y": ["no"] * 5}, {}, "`y` is always no: there is nothing to tell apart"),
    (
        {"z": ["train", "fold 3", "train", "fold 3", "train"]},
        {"split": "z"},
        "`z` (--split) holds fold 3; it must be train, validation, test",
    ),
    ({"z": ["test", "train"] * 2 + ["test"]}, {"split": "z"}, "no sequences for train"),
]


@pytest.mark.parametrize(("changes", "columns", "said"), BAD)
def test_a_bad_table_is_one_line(changes, columns, said):
    assert said in refusal(lambda: form_of(changes, **columns))


def test_what_is_no_table_is_one_line():
    line = refusal(lambda: long_form(GOOD.clear(), Columns("y")))
    assert line == "frame: has no lines"
    line = refusal(lambda: long_form(GOOD.drop("x", "w"), Columns("y")))
    assert line.endswith("has no column that the net could see beside the target")


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("gone.csv", None, "cannot be read (No such file"),
        ("bad.parquet", b"PAR1 no", "cannot be read as PARQUET ("),
        ("bad.arrow", b"\0" * 40, "cannot be read as ARROW ("),
        ("ragged.csv", b"sequence,y\n1,2,3,4\n", "cannot be read as CSV ("),
        ("other.csv", b"sequence^x^y\na^1^u\n", "it has sequence^x^y"),
        ("latin.csv", b"sequence,x,y\n\xe9,1,u\n", "as CSV (invalid utf-8"),
        ("quoted.csv", b'sequence,x,y\na,"1,u\nb,2,v\n', "cannot be read as CSV ("),
        (
            "gaps.csv",
            b"sequence,x,y\na,1.5,u\na,NA,u\nb,2.5,v\nb,nan,v\n",
            "`x` is missing in 2 of 4 lines",
        ),
    ],
)
def test_a_bad_file_is_one_line(tmp_path, name, content, said):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    assert said in refusal(lambda: read_table(tmp_path / name, Columns("y")))


def test_numbers_that_are_too_many_say_how_many_sequences_fit(monkeypatch):
    monkeypatch.setattr(module, "MOST_NUMBERS", 600)
    frame = pl.DataFrame(frame_of(60)).with_columns(z=pl.col("x"))
    columns = Columns("y", features=("x", "z"))
    line = refusal(lambda: long_form(frame, columns))
    assert line.endswith("64 MiB; draw 50 of them, or leave out features")
    assert len(long_form(frame[:300], columns).arrays["inputs"]) == 50


def test_a_frame_is_a_task_whose_groups_stay_together_and_whose_numbers_are_scaled(
    tmp_path,
):
    file = tmp_path / "mine.npz"
    task = memcap.data(frame_of(), "y", file, group="who")
    assert task == memcap.data(frame_of(), "y", file, group="who")
    assert task == Data(file=str(file), criterion="best", scale=True)
    assert sorted(np.concatenate(task.parts).tolist()) == list(range(40))
    assert sum(len({*(part // 5)}) for part in task.parts) == 8
    inputs = task.file_content.inputs[task.parts[0]]
    np.testing.assert_allclose([inputs.mean(), inputs.std()], [0, 1], atol=1e-5)
    for call, said in (
        (lambda: memcap.data(frame_of(20), "y", file), "holds something else"),
        (lambda: memcap.data([1, 2], "y"), "frame: must be a polars or pandas frame"),
    ):
        assert said in refusal(call)


def test_sequences_of_unlike_lengths_are_arrays():
    form = array_form([[1, 2], np.array([3, 1, 2])], [0, 1], groups=[4, 7])
    assert {name: array.tolist() for name, array in form.arrays.items()} == {
        "inputs": [[1, 2, 0], [3, 1, 2]],
        "targets": [0, 1],
        "lengths": [2, 3],
        "padding": "after",
        "groups": [4, 7],
    }
    steps = array_form([np.ones((2, 1)), np.ones((3, 1))], [[1.5, 2], [3, 1, 2]]).arrays
    assert steps["targets"].tolist() == [[1.5, 2, 0], [3, 1, 2]]


@pytest.mark.parametrize(
    ("inputs", "targets", "more", "said"),
    [
        ([], [], {}, "must be sequences"),
        ([[1, 2], [3, 1]], [0, 1, 2], {}, "for 2 sequences"),
        ([[1, 2], [3, 1]], [0, 1], {"split": ["train", "rest"]}, "`split` must be"),
        ([[[1.0], [np.nan]], [[1.0], [2.0]]], [0, 1], {}, "not finite"),
    ],
)
def test_bad_sequences_are_one_line(inputs, targets, more, said):
    assert said in refusal(lambda: array_form(inputs, targets, **more))


def test_a_split_is_as_the_file_has_it_and_validation_is_drawn_where_it_has_none(
    tmp_path,
):
    frame = pl.DataFrame(frame_of())
    names = np.array(["Train", "train", "dev", "test"])
    three = frame.with_columns(part=names[frame["sequence"] % 4])
    task = memcap.data(three, "y", tmp_path / "three.npz", split="part")
    for part, numbers in zip(task.parts, ((0, 1), (2,), (3,)), strict=True):
        assert part.tolist() == [k for k in range(40) if k % 4 in numbers]
    two = frame.with_columns(part=names[frame["sequence"] // 30 * 3])
    task = memcap.data(two, "y", tmp_path / "two.npz", split="part", group="who")
    training, validation, test = ({*(part // 5)} for part in task.parts)
    assert test == {6, 7}
    assert (len(training), len(validation), len(training | validation)) == (5, 1, 6)
    assert task.file_content.split_words == (
        "Split of its own: 25 sequences train, 5 say where to stop, 10 judge.",
    )
    line = refusal(lambda: replace(task, fold=1))
    assert "has a split of its own; leave it 0" in line
