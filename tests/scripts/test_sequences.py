"""The sequences of a script: the task's own, and a file that `memcap fit` reads."""

import numpy as np
import pytest
from breadth import leave
from test_script import member

from memcap.config.member import Member
from memcap.models.model import Model
from memcap.own.file import checked
from memcap.scripts import script
from memcap.scripts.sequences import MOST_LAGS, STEPS, counts, sequences
from memcap.tasks import task_class, task_classes

UP_TO = {"recipe": "uniform", "until": "up_to"}


@pytest.mark.parametrize(
    "name", leave(task_classes(), but=("latch", "delay_line", "adding").__contains__)
)
def test_every_task_has_a_script_and_a_file_of_own_sequences(name):
    task = task_class(name)()
    chosen = Member(task, max(8, task.smallest_lag), model=Model(units=4))
    compile(script(chosen, "keras"), name, "exec")
    arrays = sequences(chosen)
    file = checked(name, arrays, "")
    assert (file.classes is None) == (task.loss == "values")
    assert (file.classes or arrays["targets"].shape[-1]) <= task.outputs
    assert (file.symbols or arrays["inputs"].shape[-1]) <= task.features
    assert arrays["inputs"].size <= STEPS
    sizes = {
        (split, lag): np.sum((arrays["split"] == split) & (arrays["lags"] == lag))
        for split, lag in counts(chosen)
    }
    assert sizes == counts(chosen)


def test_a_delay_line_is_due_what_it_saw():
    arrays = sequences(member(lag=4, recipe="curriculum"))
    assert set(arrays["lags"]) == {2, 3, 4}
    for lag in (2, 3, 4):
        rows = arrays["lags"] == lag
        inputs, targets, mask = (
            arrays[name][rows] for name in ("inputs", "targets", "mask")
        )
        due = np.zeros_like(mask)
        due[:, lag : arrays["lengths"][rows][0]] = True
        np.testing.assert_array_equal(mask, due)
        np.testing.assert_array_equal(targets[due], np.roll(inputs, lag, 1)[due])
    assert arrays["longer_inputs"].shape == arrays["longer_mask"].shape == (512, 80)
    assert arrays["longer_mask"][:, 4:].all()


@pytest.mark.parametrize("split", ["train", "test"])
def test_a_latch_begins_anywhere(split):
    arrays = sequences(member("latch", 6, recipe="anywhere", until="anywhere"))
    rows = np.flatnonzero(arrays["split"] == split)
    lags, lengths = arrays["lags"][rows], arrays["lengths"][rows]
    for lag in range(1, 7):
        assert set(lengths[lags == lag]) == set(range(lag + 2, 9))
    np.testing.assert_array_equal(arrays["mask"][rows].argmax(1), lengths - 1)
    symbols = arrays["inputs"][rows, lengths - 2 - lags]
    np.testing.assert_array_equal(arrays["targets"][rows, lengths - 1], symbols)


def test_few_sequences_are_all_in_the_tests():
    arrays = sequences(member("copy", 3, recipe="anywhere", until="anywhere"))
    rows = arrays["split"] == "test"
    for lag in (1, 2, 3):
        at_lag = rows & (arrays["lags"] == lag)
        assert set(arrays["lengths"][at_lag]) == set(range(lag + 8, 12))
        for length in range(lag + 8, 12):
            inputs = arrays["inputs"][at_lag & (arrays["lengths"] == length)]
            assert len(np.unique(inputs, axis=0)) == len(inputs) == 16


def test_a_latch_answers_at_its_end():
    arrays = sequences(member("latch", 6, **UP_TO))
    rows = np.arange(len(arrays["lags"]))
    np.testing.assert_array_equal(arrays["lengths"], arrays["lags"] + 2)
    np.testing.assert_array_equal(arrays["mask"].argmax(1), arrays["lags"] + 1)
    answers = arrays["targets"][rows, arrays["lags"] + 1]
    np.testing.assert_array_equal(answers, arrays["inputs"][:, 0])


def test_a_long_curriculum_has_few_lags_and_a_small_file():
    chosen = member("latch", 500, **UP_TO)
    lags = [lag for split, lag in counts(chosen) if split == "train"]
    assert len(lags) == MOST_LAGS
    assert (lags[0], lags[-1]) == (1, 500)
    assert sum(counts(chosen).values()) * chosen.length <= 1.1 * STEPS


def test_own_sequences_are_there_once(tmp_path):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(10, 5, 1)).astype(np.float32)
    np.savez(tmp_path / "ten.npz", inputs=inputs, targets=np.arange(10) % 2)
    knobs = [f"file={tmp_path / 'ten.npz'}", "held_out=0.3", "criterion=0.9"]
    chosen = member("data", 4, 2, knobs, recipe="hold")
    arrays = sequences(chosen)
    assert sorted(arrays["inputs"][:, 0, 0]) == sorted(inputs[:, 0, 0])
    held_out = arrays["inputs"][arrays["split"] == "test"]
    tests = inputs[chosen.task.parts[2]]
    np.testing.assert_array_equal(np.sort(held_out, 0), np.sort(tests, 0))
    text = script(chosen, "torch", file=tmp_path / "net.py")
    assert (tmp_path / "net.py").read_text() == text
    with np.load(tmp_path / "net.npz") as file:
        assert sorted(file) == sorted(arrays)
