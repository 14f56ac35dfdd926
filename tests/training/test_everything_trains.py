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
    both = (
        [tried]
        if longer is None
        else [
            tried,
            replace(tried, lag=longer, length=None, recipe=tried.recipe, seed=1),
        ]
    )
    results = train(both, ONE, listener)
    if longer is not None:
        for one, other in zip(results, train(both, SIDE_BY_SIDE), strict=True):
            assert_same(one, other)
            assert (one.loop, one.side_by_side, other.side_by_side) == (
                "while",
                False,
                True,
            )
    ended = results[0]
    moved = np.abs(vector(ended) - start(tried))
    assert np.isfinite(vector(ended)).all()
    assert moved.max() > 1e-3
    assert np.isfinite([ended.train_loss, ended.stretched, ended.score]).all()
    assert ended.status in ("solved", "unsolved")
    assert ended.steps == steps or ended.status == "solved"
    return [values["train/loss"] for _, values in listener.points[tried]]


@pytest.mark.parametrize(
    ("model", "init"),
    [
        *leave([({"cell": "GRUCell"}, None)]),
        *leave(
            [
                ({"cell": "SimpleCell"}, None),
                ({"cell": "LSTMCell"}, "flax"),
                ({"readout": "lstm"}, None),
            ]
        ),
        *leave([({"cell": "OptimizedLSTMCell"}, "forget_bias")]),
    ],
    ids=str,
)
def test_every_cell_and_readout_learns(model, init):
    tried = member(
        "latch", 1, model={"units": 3} | model, recipe={"lr": 0.1, "init": init}
    )
    losses = learns(tried, longer=4 if model.get("cell") == "GRUCell" else None)
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
    learns(
        member(task, lag, recipe={"budget": 12}), 12, lag + 3 if task in KINDS else None
    )


@pytest.mark.breadth
def test_a_window_that_resets_cannot_be_solved_where_one_that_keeps_is():
    """What the label asks is gone with the carry: the reset reaches the training program."""
    both = [
        member(
            "windows",
            5,
            window=3,
            carry=carry,
            recipe={"budget": 300, "lr": 0.1, "batch": 32},
            evaluation={"every": 50, "sequences": 256},
        )
        for carry in ("keep", "reset")
    ]
    keep, reset = train(both, ONE)
    assert keep.status == "solved"
    assert reset.status == "unsolved"
    assert reset.best < 0.85  # two windows: at most 1/2 + 1/4
