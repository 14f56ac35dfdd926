"""Memory golf: what an entry is given, what is counted, and what does not pass."""

import json

import numpy as np
import pytest
from command import memcap

from memcap.answers.golf import score
from memcap.knobs import UserError

LATCH = """
import numpy as np
TASK = "latch"
LAG = 3
BIT = np.r_[1.0, -1.0]  # of the two symbols; all other inputs are distractors


class Layer:
    held = 0.0

    def hold(self, held, x):
        told = np.abs(x[:, :2]).sum(1)
        return np.where(told > 0, x[:, :2] @ BIT, held)

    def outputs(self, held):
        return np.stack([held, -held], -1)[:, None].astype(np.float32)


def net():
    return Net()


"""
IN_ITS_STATE = """
class Net(Layer):
    def __call__(self, inputs, held=0.0):
        held = self.hold(held, inputs[:, 0])
        return self.outputs(held), held
"""
ELSEWHERE = """
class Net(Layer):
    def __call__(self, inputs, state=None):
        self.held = self.hold(self.held, inputs[:, 0])
        return self.outputs(self.held), np.zeros((len(inputs), 1))
"""
ALL_INPUTS = """
class Net(Layer):
    def __call__(self, inputs, seen=None):
        seen = inputs if seen is None else np.concatenate([seen, inputs], 1)
        held = 0.0
        for x in np.moveaxis(seen, 1, 0):
            held = self.hold(held, x)
        return self.outputs(held), seen
"""
SHARED = """
class Net(Layer):
    def __call__(self, inputs, state=None):
        held = self.hold(0.0 if state is None else state["held"], inputs[:, 0])
        return self.outputs(held), {"held": held, "table": np.ones(5 * len(held))}
"""


def entry(folder, text):
    (folder / "entry.py").write_text(text)
    return folder


@pytest.mark.parametrize(
    ("net", "numbers", "right"),
    [
        (IN_ITS_STATE, 1, 1),
        (ELSEWHERE, 1, 0),
        (ALL_INPUTS, 7 * 5, 1),  # seven features a step, and up to five steps
        (SHARED, 6, 1),  # also what does not have the batch as an axis
    ],
)
def test_only_the_state_remembers_and_all_of_it_counts(tmp_path, net, numbers, right):
    line, _ = score(entry(tmp_path, LATCH + net))
    assert (line.numbers, line.right, line.proved) == (numbers, right, 0)
    assert line.bytes == numbers * (4 if net is ALL_INPUTS else 8)


def test_a_trained_entry_gets_the_seeds_that_are_drawn(tmp_path):
    """What `train` returns is judged as the model and weights that it has, at the task
    and lag of the entry."""
    text = """
from pathlib import Path
import memcap
from memcap.models.constructed import constructed
TASK = "latch"
LAG = 3

def train(seeds):
    Path("seeds.txt").write_text(str(seeds))
    task = memcap.tasks.Latch()
    model, weights = constructed(task, LAG)
    longer = memcap.Trained(memcap.Member(task, 9, model=model), weights)
    longer.run = None
    return [longer] * len(seeds)
"""
    done = memcap(
        tmp_path, "judge", "--golf", entry(tmp_path, text), "--seed", 5, "--json"
    )
    line = json.loads(done.out)
    expected = {"units": 1, "numbers": 2, "bytes": 8, "parameters": 40}
    assert expected.items() <= line.items()
    assert {"nets": 8, "right": 8, "proved": 8, "lag": 3}.items() <= line.items()
    drawn = np.random.default_rng(5).integers(10**9, size=8).tolist()
    assert (tmp_path / "seeds.txt").read_text() == str(drawn)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("LAG = 3", "has no attribute 'TASK'"),
        ('TASK = "nope"\nLAG = 3', "no such task"),
        ('TASK = "latch"\nLAG = 0', "LAG=0: must be a whole number, at least 1"),
        ('TASK = "latch"\nLAG = 3', "has no attribute 'train'"),
        (
            'TASK = "latch"\nLAG = 3\ndef train(seeds): return [3]',
            "train gave 1 nets for 8 seeds",
        ),
    ],
)
def test_an_entry_that_is_none_is_refused_in_one_line(tmp_path, text, words):
    with pytest.raises(UserError, match=words):
        score(entry(tmp_path, text))
