"""Programs beside the rows of studies: what they say of sequences whose content is
known, the files that they write, and nets that are drawn and not trained."""

import numpy as np
import pytest
from own_programs import program

import memcap
from memcap.training.host import initial_state
from memcap.training.step import Trainer, TrainSpec

pytestmark = pytest.mark.usefixtures("quick_file")
BITS = np.random.default_rng(0).integers(0, 2, (2000, 12))
need = program("sweeps/atlas/need.py")


# How much sequences ask to remember


def last(answers):
    """Targets (N, T) that are due at the last step."""
    due = np.zeros(BITS.shape, bool)
    due[:, -1] = True
    return np.where(due, answers[:, None], 0), due


def test_a_delay_holds_its_bits_and_a_sum_one_number():
    due = np.broadcast_to(np.arange(12) >= 4, BITS.shape)
    found = need.estimate(BITS, np.roll(BITS, 4, 1), due, 2, 2)
    assert (found.reach, found.rank) == (4, 4)
    assert found.amount == pytest.approx(4, abs=0.01)
    total = need.estimate(BITS, *last(BITS.sum(1).astype(float)), 2, None)
    assert (total.rank, total.amount, total.values) == (1, 1, True)


@pytest.mark.parametrize(
    "answers", [BITS.sum(1) % 2, np.random.default_rng(1).integers(0, 2, 2000)]
)
def test_parity_and_chance_are_unknown(answers):
    assert need.estimate(BITS, *last(answers), 2, 2).amount is None


# Sequences whose width is known


# Choices of agents


# Nets that are drawn


def test_a_draw_is_the_start_of_a_member_and_passes_where_training_ends(tmp_path):
    guesses = program("sweeps/learned/guesses.py")
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
