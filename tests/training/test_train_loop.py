"""What the host notes of a lane, what it hands in, and what a chunk says of a curve."""

import time

import numpy as np
import pytest
from training_checks import ONE as ONE_WORKER, Remembers, member

from memcap.rule import Stream
from memcap.training.engine import train
from memcap.training.host import CurveChunk
from memcap.training.train_loop import Lane

pytestmark = pytest.mark.usefixtures("quick_file")

ONE = member(successive=2, budget=25)
STREAM = member("delay_line", 2, budget=60)
REAL = member("delay_line", 2, reals=True, budget=25)


def test_a_member_that_diverges_after_it_was_solved_stays_solved():
    lane = Lane(STREAM, STREAM.rule(solved=20, passes_in_a_row=1), steps=30)
    lane.add_losses(32, False, np.array([1.0, 2.0, np.inf] + [0.0] * 7, np.float32))
    assert not lane.rule.is_due(Stream.EVALUATE, 32, 1.0)
    assert (lane.rule.status, lane.rule.solved) == ("diverged", 20)
    assert lane.loss == np.inf


@pytest.mark.breadth
def test_states_are_handed_in_for_a_hundredth_of_the_time_at_most():
    class Slow(Remembers):
        checkpoint_after = 0.0
        saved_at = ()

        def save_checkpoints(self, checkpoints):
            self.saved_at += (time.monotonic(),)
            time.sleep(0.02)

    listener = Slow()
    train([member(lr=1e-9, budget=20_000)], ONE_WORKER, listener)
    assert listener.saved_at
    assert all(np.diff(listener.saved_at) > 2.0)


LOSSES = np.array([0.5, 0.25], np.float32)
TEN = np.arange(10, dtype=np.float32)


@pytest.mark.parametrize(
    ("chunk", "most", "points"),
    [
        (
            CurveChunk(ONE, 8, LOSSES, 0.75, None, lag=5, lr=0.01),
            None,
            {
                9: {"train/loss": 0.5},
                10: {"train/loss": 0.25, "train/accuracy": 0.75}
                | {"train/lag": 5, "train/lr": 0.01},
            },
        ),
        # few points have the means between them
        (
            CurveChunk(REAL, 90, TEN, 0.75, 0.5),
            3,
            {
                93: {"train/loss": 1.0},
                96: {"train/loss": 4.0},
                100: {"train/loss": 7.5, "train/mse": 0.75, "eval/mse": 0.5},
            },
        ),
        (CurveChunk(REAL, 8, LOSSES[:0], 0.75, 0.5), 3, {8: {"eval/mse": 0.5}}),
    ],
)
def test_points_of_a_chunk(chunk, most, points):
    assert list(chunk.points(most)) == list(points.items())
