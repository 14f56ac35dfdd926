"""Rare classes of own sequences: how many of each are found, beside who always says the
commonest."""

from dataclasses import dataclass
from types import SimpleNamespace

import numpy as np
import pytest

from memcap.own.rare_classes import has_rare_class, rare_words, recalls
from memcap.own.task import Data

COUNT = 400
STEPS = 4
SYMBOLS = np.random.default_rng(0).choice(3, (COUNT, STEPS), p=[0.7, 0.25, 0.05])
LAST_TWO = np.arange(STEPS) >= STEPS - 2 + np.zeros((COUNT, 1))


@pytest.fixture
def save(tmp_path):
    def to_file(**arrays):
        np.savez(tmp_path / "mine.npz", inputs=SYMBOLS, **arrays)
        return Data(file=str(tmp_path / "mine.npz"), criterion="best")

    return to_file


@dataclass
class Net:
    """A net that says the last symbol that it sees, but never 2."""

    member: SimpleNamespace

    def run(self, inputs):
        return np.eye(3)[np.where(inputs == 2, 0, inputs)], None


@pytest.mark.parametrize(
    "answers", [{"targets": SYMBOLS[:, -1]}, {"targets": SYMBOLS, "mask": LAST_TWO}]
)
def test_each_class_counts_alike(save, answers):
    task = save(**answers, class_names=np.array(["calm", "wind", "storm"]))
    net = Net(SimpleNamespace(task=task))
    assert recalls([net, net]).tolist() == [1, 1, 0]
    assert has_rare_class(task)
    words = rare_words(SimpleNamespace(task=task, units=4), [net])
    assert words.startswith("storm is only ")
    assert "Balanced accuracy of 4: 0.667" in words
    assert "the least, of storm, is 0.000. Who always says calm: accuracy 0." in words
    assert words.endswith(", balanced 0.333.")


@pytest.mark.parametrize("targets", [SYMBOLS[:, 0] + 0.5, np.arange(COUNT) % 2 * 2])
def test_values_and_classes_alike_in_number_have_none(save, targets):
    assert not has_rare_class(save(targets=targets))
