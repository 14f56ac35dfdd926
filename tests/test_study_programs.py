"""Programs beside the rows of studies: what they say of sequences whose content is
known, the files that they write, and nets that are drawn and not trained."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from own_programs import program

import memcap
from memcap import findings
from memcap.config.member import task_of
from memcap.own.table import Columns, long_form
from memcap.own.task import Data
from memcap.training.host import initial_state
from memcap.training.step import Trainer, TrainSpec

pytestmark = pytest.mark.usefixtures("quick_file")
BITS = np.random.default_rng(0).integers(0, 2, (2000, 12))
need = program("sweeps/answers/atlas/need.py")
known_widths = program("sweeps/answers/atlas/known_widths.py")
choices = program("sweeps/other/agents/choices.py")
further = program("sweeps/real/further.py")


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


def test_a_read_out_of_four_numbers_does_best_with_two_classes_at_the_ends_of_each():
    """Logits are s for a sequence's own class, -s for the other one of its number, 0
    for the six others."""
    s = np.linspace(0, 30, 100_001)
    loss = np.logaddexp(np.logaddexp(s, -s), np.log(6)) - s * (0.9 - 0.1 / 7)
    entropy = -0.9 * np.log(0.9) - 0.1 * np.log(0.1 / 7)
    excess = loss.min() - entropy
    assert known_widths.least_excess(4, 8) == pytest.approx(excess, abs=1e-6)
    assert known_widths.least_excess(7, 8) == pytest.approx(0, abs=1e-4)


# Choices of agents


def test_an_agent_is_a_file_of_its_next_choices(tmp_path):
    agent = choices.WORLDS["two_step"](values=2, habit=True)
    least = choices.write(tmp_path / "agent.npz", agent, 50)
    content = written(tmp_path / "agent.npz").file_content
    assert content.inputs.shape == (50, choices.TRIALS)
    assert (content.symbols, content.classes) == (8, 2)
    assert np.array_equal(content.inputs[:, 1:] // 4, content.targets[:, :-1])
    # of choices that are the last one again
    share = np.mean(content.targets == content.inputs // 4)
    assert 0 < least < -share * np.log(share) - (1 - share) * np.log(1 - share)


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


def test_keras_gets_the_parts_of_a_fold_and_answers_of_one_weight(tmp_path):
    steps = np.resize([2, 3], 100)
    rng = np.random.default_rng(0)
    frame = further.long([rng.normal(size=n) for n in steps], rng.choice(2, 100))
    task = written(long_form(frame, Columns("answer")).save(tmp_path / "made.npz"))
    for fold in range(5):
        own = replace(task, fold=fold)
        for part, places in zip(further.parts(task, fold), own.parts, strict=True):
            inputs, targets, weights = part
            filled = np.resize(places, further.BATCH)
            assert np.array_equal(inputs, own.file_content.inputs[filled])
            assert targets.shape == (*weights.shape, 1)
            assert weights.mean() == pytest.approx(1)
            counts = np.arange(further.BATCH) < len(places)
            assert np.array_equal(weights.argmax(1)[counts], steps[places] - 1)
            assert np.array_equal((weights > 0).sum(1), counts)


def test_one_standard_error_takes_the_narrowest_width_near_the_best():
    losses = {1: [3, 4, 5], 2: [1.6, 2, 2.4], 4: [1, 2, 2.4], 8: [1, 2, 3]}
    lines = [(units, loss) for units, own in losses.items() for loss in own]
    nets = pl.DataFrame(lines, ["units", "validation"], orient="row", strict=False)
    found = findings.load("real").one_error_width(nets)
    assert found == (2, pytest.approx(1.8 + np.std([1, 2, 2.4], ddof=1) / 3**0.5))
