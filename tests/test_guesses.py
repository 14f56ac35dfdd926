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
    wanted = {
        "task": "latch",
        "lag": 3,
        "units": 1,
        "recipe": "hold",
        "until": "up_to",
        "sequences": 256,
    }
    (member,) = memcap.members(**wanted, seed=[1])
    rows = memcap.train([member], tmp_path, progress=False)
    assert rows["up_to"].to_list() == [True]
    start = initial_state(
        Trainer(TrainSpec.of(member), member.length, member.length), member
    ).params
    assert np.array_equal(guesses.starts(member, range(1, 2)), start[None])
    trained = member.architecture.flatten(
        memcap.store.weights_of(tmp_path, rows.to_dicts()[0])
    )
    ways = np.stack([start, trained, 0 * start, trained])
    assert guesses.passing(member, ways, guesses.scores_of(member, 3)).tolist() == [
        False,
        True,
        False,
        True,
    ]
