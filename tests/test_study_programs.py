"""Programs beside the rows of studies: what they say of sequences whose content is
known, the files that they write, and nets that are drawn and not trained."""

import numpy as np
import polars as pl
import pytest
from own_programs import program

import memcap
from memcap import findings
from memcap.config.member import task_of
from memcap.own.task import Data
from memcap.training.host import initial_state
from memcap.training.step import Trainer, TrainSpec

pytestmark = pytest.mark.usefixtures("quick_file")
BITS = np.random.default_rng(0).integers(0, 2, (2000, 12))
need = program("sweeps/answers/atlas/need.py")
known_widths = program("sweeps/answers/atlas/known_widths.py")


def written(path):
    """The task of a file."""
    return Data(file=str(path), criterion="best")


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


def test_a_mark_is_a_file_of_its_task_and_a_tenth_of_its_labels_is_wrong_under_noise(
    tmp_path,
):
    name, knobs, lag = known_widths.MARKS[-2]
    task = task_of(name, knobs)
    targets = []
    for labels in ("true", "noisy"):
        path = tmp_path / f"{labels}.npz"
        known_widths.write(path, task, lag, labels, 400)
        mark = written(path)
        for fact in ("loss", "answers", "outputs"):
            assert getattr(mark, fact) == getattr(task, fact)
        assert mark.longest_lag + 1 == task.length(lag)
        targets.append(mark.file_content.targets[mark.file_content.due])
    assert np.mean(targets[0] != targets[1]) == pytest.approx(0.1, abs=0.02)


# Choices of agents


# Nets that are drawn


@pytest.mark.parametrize(
    ("until", "recipe"), [("up_to", "hold"), ("anywhere", "anywhere")]
)
def test_a_draw_is_the_start_of_a_member_and_passes_where_training_ends(
    until, recipe, tmp_path
):
    guesses = program("sweeps/answers/learned/guesses.py")
    evaluation = {"until": until, "sequences": 256}
    (member,) = memcap.members("latch", recipe, lag=3, units=1, seed=[1], **evaluation)
    rows = memcap.train([member], tmp_path, progress=False)
    assert rows[until].to_list() == [True]
    trainer = Trainer(TrainSpec.of(member), member.length, member.length)
    start = initial_state(trainer, member).params
    assert np.array_equal(guesses.starts(member, range(1, 2)), start[None])
    weights = memcap.store.weights_of(tmp_path, rows.row(0, named=True))
    trained = member.architecture.flatten(weights)
    ways = np.stack([start, trained, 0 * start, trained])
    passing = guesses.passing(member, ways, guesses.scores_of(member, 3))
    assert passing.tolist() == [False, True, False, True]


# Real sequences, beside Keras


def test_one_standard_error_takes_the_narrowest_width_near_the_best():
    losses = {1: [3, 4, 5], 2: [1.6, 2, 2.4], 4: [1, 2, 2.4], 8: [1, 2, 3]}
    lines = [(units, loss) for units, own in losses.items() for loss in own]
    nets = pl.DataFrame(lines, ["units", "validation"], orient="row", strict=False)
    found = findings.load("real").one_error_width(nets)
    assert found == (2, pytest.approx(1.8 + np.std([1, 2, 2.4], ddof=1) / 3**0.5))
