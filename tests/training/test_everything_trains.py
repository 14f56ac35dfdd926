"""Everything trains: each task, each cell and read-out, each kind of data; one after
the other as side by side."""

from dataclasses import replace

import numpy as np
import pytest
from breadth import leave
from training_checks import ONE, Remembers, assert_same, member, start, vector

from memcap.config.member import Engine
from memcap.tasks import task_classes
from memcap.training.engine import train

pytestmark = pytest.mark.usefixtures("quick_file")
SIDE_BY_SIDE = Engine(loop="associative", workers=1)


def learns(tried, steps=30, longer=None):
    """It trains to the end of the budget, and its weights move by what Adam can move them.

    `longer`: a lag, at which another member trains beside it; then both have the same
    rows under `vmap`.
    """
    listener = Remembers()
    members = [tried]
    if longer is not None:
        members.append(replace(tried, lag=longer, length=None, seed=1))
    results = train(members, ONE, listener)
    if longer is not None:
        for one, other in zip(results, train(members, SIDE_BY_SIDE), strict=True):
            assert_same(one, other)
            assert one.loop == "while"
            assert (one.side_by_side, other.side_by_side) == (False, True)
    ended = results[0]
    moved = np.abs(vector(ended) - start(tried))
    assert np.isfinite(vector(ended)).all()
    assert moved.max() > 1e-3
    assert np.isfinite([ended.train_loss, ended.stretched, ended.score]).all()
    assert ended.steps == steps or ended.status == "solved"
    return [values["train/loss"] for _, values in listener.points[tried]]


@pytest.mark.parametrize(
    "knobs",
    leave(
        [
            {"cell": "GRUCell"},
            {"cell": "SimpleCell"},
            {"cell": "LSTMCell", "init": "flax"},
            {"readout": "lstm"},
            {"cell": "OptimizedLSTMCell", "init": "forget_bias"},
        ]
    ),
    ids=str,
)
def test_every_cell_and_readout_learns(knobs):
    tried = member("latch", 1, units=3, lr=0.1, **knobs)
    losses = learns(tried, longer=4 if knobs.get("cell") == "GRUCell" else None)
    assert losses[-1] < 0.97 * losses[0]


# Each kind of data is in one of these: one answer and many, symbols and numbers,
# windows, an error that counts, a file.
KINDS = ("delay_line", "adding", "windows", "data")
REST = [name for name in task_classes() if name not in KINDS]


@pytest.mark.parametrize(
    "task",
    [
        KINDS[0],
        *leave(KINDS[1:]),
        *(pytest.param(name, marks=pytest.mark.slow) for name in REST),
    ],
)
def test_every_task_trains(task):
    """The LSTM learns it; each kind at two lags, side by side as one after the other."""
    lag = max(4, task_classes()[task]().smallest_lag)
    learns(member(task, lag, budget=12), 12, lag + 3 if task in KINDS else None)


@pytest.mark.breadth
def test_a_window_that_resets_cannot_be_solved_where_one_that_keeps_is():
    """What the label asks is gone with the carry: the reset reaches the training program."""
    values = {"budget": 300, "lr": 0.1, "batch": 32, "every": 50, "sequences": 256}
    keep, reset = train(
        [member("windows", 5, window=3, carry=c, **values) for c in ("keep", "reset")],
        ONE,
    )
    assert (keep.status, reset.status) == ("solved", "unsolved")
    assert reset.best < 0.85  # two windows: at most 1/2 + 1/4
