"""Nets that are drawn and not trained (sweeps/learned/guesses.py) are judged as trained ones."""

import numpy as np
import pytest
from own_programs import program

import memcap
from memcap.training.operands import initial_state
from memcap.training.step import Trainer, TrainSpec

pytestmark = pytest.mark.usefixtures("quick_file")


@pytest.fixture(scope="module")
def guesses():
    return program("sweeps/learned/guesses.py")


def test_a_draw_is_the_start_of_a_member_and_passes_where_training_ends(
    guesses, tmp_path
):
    evaluation = {"until": "up_to", "sequences": 256}
    (member,) = memcap.members("latch", "hold", lag=3, units=1, seed=[1], **evaluation)
    rows = memcap.train([member], tmp_path, progress=False)
    assert rows["up_to"].to_list() == [True]
    trainer = Trainer(TrainSpec.of(member), member.length, member.length)
    start = initial_state(trainer, member).params
    assert np.array_equal(guesses.starts(member, range(1, 2)), start[None])
    weights = memcap.store.weights_of(tmp_path, rows.row(0, named=True))
    trained = member.architecture.flatten(weights)
    ways = np.stack([start, trained, 0 * start, trained])
    passing = guesses.passing(member, ways, guesses.scores_of(member, 3))
    assert passing.tolist() == [False, True, False, True]
