"""Widths judged by their held-out loss: which is enough, what has no state, and the words."""

import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import memcap
from memcap.config.recipes import Recipe, complete
from memcap.frontiers.frontier import frontier
from memcap.models.model import Model
from memcap.own.last_steps import loss_of_last_steps
from memcap.own.losses import Loss, LossCurve, WidthLoss, loss_curves
from memcap.own.task import Data
from memcap.own.words import as_dict, loss_table, sentences
from memcap.store.rows import frame
from memcap.studies.writer import row_of
from memcap.training.program import Program
from memcap.training.results import Result

COUNT = 600
STEPS = 8


@pytest.fixture
def file(tmp_path):
    """Make files of symbols whose class some function of them is."""

    def make(targets, inputs=None):
        rng = np.random.default_rng(0)
        inputs = rng.integers(0, 3, (COUNT, STEPS)) if inputs is None else inputs
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npz"
        np.savez(path, inputs=inputs, targets=targets(inputs, rng))
        return Data(file=str(path), criterion="best", scale=True)

    return make


def losses(task):
    return [loss_of_last_steps(task, STEPS - 1, steps) for steps in (1, 5)]


def test_what_the_current_symbol_says_needs_no_state(file):
    assert losses(file(lambda x, _: (x[:, -1] == 0).astype(int))) == pytest.approx(
        [0, 0], abs=0.02
    )


def test_what_an_earlier_symbol_says_takes_the_steps_to_there(file):
    first, fifth = losses(file(lambda x, _: (x[:, -3] > 0).astype(int)))
    assert first == pytest.approx(0.637, abs=0.05)  # 1 in 3
    assert fifth < 0.1


def test_what_nothing_says_is_the_constant(file):
    shares = losses(file(lambda x, rng: rng.integers(0, 2, len(x))))
    assert shares == pytest.approx([np.log(2)] * 2, abs=0.02)


@pytest.mark.parametrize("back", [1, 3])
def test_numbers_are_regressed_on_the_last_steps(file, back):
    inputs = np.random.default_rng(1).normal(3, 2, (COUNT, STEPS, 2))
    first, fifth = losses(
        file(lambda x, _: 2 * x[:, -back, 0] - x[:, -back, 1], inputs)
    )
    assert fifth < 0.2
    assert (first < 0.2) == (back == 1)


def test_answers_at_every_step_see_what_comes_before_them(file):
    task = file(lambda x, _: np.concatenate([x[:, :1] * 0, x[:, :-1]], 1))
    first, fifth = losses(task)
    assert fifth < 0.05 < 1 < first


def curve_of(
    task,
    *means,
    spread=0.0,
    train=0.1,
    state=0.69,
    last=0.69,
    together=True,
    widths=None,
):
    """A curve of widths 1, 2, 4, ... with these losses, whose means over folds have
    this standard error, together with what has no state, or not."""
    wave = (
        spread
        * np.array([1, -1, 1, -1, 0])
        / np.std([1, -1, 1, -1, 0], ddof=1)
        * 5**0.5
    )
    widths = widths or [
        WidthLoss(tuple(m + np.roll(wave, k)), 2**k, train, 0.9, 10)
        for k, m in enumerate(means)
    ]
    return curve_of_folds(task, widths, Loss(tuple(state + together * wave)), last)


def curve_of_folds(task, widths, state, last=0.69):
    recipe = complete(Recipe("hold"), task, STEPS - 1, "lstm")
    curve = LossCurve(
        task, STEPS - 1, Model(units=1), recipe, tuple(range(5)), tuple(widths)
    )
    vars(curve).update(without_state=state, n_gram=Loss((last,) * 5))
    return curve


@pytest.fixture
def task(file):
    return file(lambda x, _: x[:, 0] % 2)


def test_the_narrowest_width_that_is_no_worse_than_the_best_beyond_chance_is_enough(
    task,
):
    losses = 0.5, 0.45, 0.42, 0.41, 0.43
    assert [
        curve_of(task, *losses, spread=s, state=0.9).units
        for s in (0.0005, 0.005, 0.02)
    ] == [8, 4, 2]


@pytest.mark.parametrize("fails", [0, 0.3])
@pytest.mark.parametrize("hardness", [0, 0.1])
def test_what_makes_folds_hard_for_all_widths_and_nets_that_fail_do_not_count(
    task, hardness, fails
):
    """From 4 units on nothing is gained. They are found, where a standard error of the
    best width's own loss finds fewer if folds differ, and more every other time if they
    do not; and a narrow width of which some nets failed is not enough because its loss
    is uncertain."""
    rng = np.random.default_rng(0)
    found = []
    by_one_error = []
    for _ in range(50):
        folds = 0.5 + hardness * rng.normal(size=5)
        losses = (
            folds
            + np.array([[0.04, 0.02, 0, 0, 0, 0]]).T
            + rng.normal(0, 0.005, (6, 5))
        )
        losses[:2] += 0.3 * (rng.random((2, 5)) < fails)
        widths = [
            WidthLoss(tuple(each), 2**k, 0.1, 0.9, 5) for k, each in enumerate(losses)
        ]
        curve = curve_of_folds(task, widths, Loss(tuple(folds + 0.5)))
        found.append(curve.units)
        by_one_error.append(
            next(
                w.units for w in widths if w.mean <= curve.best.mean + curve.best.error
            )
        )
    right = found.count(4)
    wide = np.mean(np.greater(found, 4))
    assert right >= 42
    assert wide <= 0.1
    assert by_one_error.count(4) < right - 5


def test_a_little_of_what_state_gains_is_forgiven(task):
    assert curve_of(task, 0.3, 0.0137, 0.0001).units == 2
    assert curve_of(task, 0.3, 0.0140, 0.0001).units == 4


def test_where_more_than_chance_is_forgiven_it_says_which_width_is_as_good(task):
    forgiven, chance = (
        curve_of(task, 0.3, 0.01, 0.002, spread=spread) for spread in (0.001, 0.02)
    )
    assert (forgiven.units, forgiven.as_good.units) == (2, 4)
    line = (
        "4 are as good as the best but for chance: 0.002 +- 0.001; with 2, 1.2% of what state"
        " gains is"
    )
    assert line in " ".join(sentences(forgiven))
    assert "as good" not in " ".join(sentences(chance))


def test_it_says_what_is_enough_and_what_is_not(task):
    text = " ".join(sentences(curve_of(task, 0.5, 0.41, 0.4, spread=0.005, last=0.6)))
    assert (
        "2 units: held-out loss 0.41 +- 0.005, within 0.016 (chance, fold by fold) of the best"
        in text
    )
    assert " of 1 to 4 units (0.4 +- 0.005 with 4), over 5 folds." in text
    assert "1 is not enough: 0.5" in text
    assert "Without state: 0.69" in text
    assert "window" not in text
    assert "wider" not in text


def test_it_says_that_the_widest_is_best_and_that_a_window_does(task):
    text = " ".join(sentences(curve_of(task, 0.6, 0.5, 0.3, last=0.3)))
    assert "wider ones may be better" in text
    assert "No net beats what sees the last 5 steps" in text


def test_it_says_which_width_leaves_nothing_of_the_training_loss(task):
    losses = 0.5, 0.4, 0.3
    curve = curve_of(task, *losses)
    widths = [
        replace(width, train=train)
        for width, train in zip(curve.widths, (0.2, 0.01, 0), strict=True)
    ]
    text = " ".join(sentences(curve_of(task, *losses, widths=widths)))
    assert "2 units have learnt the training sequences (loss 0.01 there)" in text
    assert "learnt" not in " ".join(sentences(curve))


def test_it_says_which_width_is_right_as_often_and_has_worse_probabilities(task):
    """A standard error of .9 is .012, of 600 sequences."""
    curve = curve_of(task, 0.5, 0.4, 0.3)
    for first, line in (
        (0.89, "1 unit is right as often (accuracy 0.890)"),
        (0.88, "2 units are right as often (accuracy 0.900)"),
    ):
        scores = zip(curve.widths, (first, 0.9, 0.9), strict=True)
        widths = [replace(width, score=score) for width, score in scores]
        assert line in " ".join(sentences(curve_of(task, widths=widths)))


@pytest.mark.parametrize(
    ("train", "said"),
    [
        (0.1, "more sequences, not more units"),
        (0.69, "does not follow from the sequences"),
    ],
)
def test_where_no_width_beats_no_state_it_says_why(task, train, said):
    curve = curve_of(task, 0.695, 0.688, 0.7, spread=0.004, train=train, together=False)
    assert curve.units is None
    assert said in " ".join(sentences(curve))
    assert "yes" not in str(loss_table(curve).rows)
    assert json.loads(json.dumps(as_dict(curve)))["units"] is None


def rows_of(task, entries):
    """Rows of members: units, fold, seed, loss of validation, held-out loss."""
    rows = []
    for units, fold, seed, validation, held in entries:
        own = replace(task, fold=fold)
        (member,) = memcap.members(
            own, recipe="hold", lag=STEPS - 1, units=units, seed=[seed]
        )
        result = replace(
            Result.failed(member, Program.of(member), ""),
            status="unsolved",
            validation_loss=validation,
            held_out_loss=held,
        )
        rows.append(row_of(result, "mine", "shard"))
    return frame(rows)


def test_of_each_fold_the_seed_that_validation_prefers_counts_and_widths_have_all_folds(
    task,
):
    entries = [
        (1, 0, 0, 0.5, 0.6),
        (1, 0, 1, 0.4, 0.7),
        (1, 1, 0, 0.4, 0.5),
        (2, 0, 0, 0.3, 0.3),
        (2, 1, 0, 0.3, 0.2),
    ]
    rows = rows_of(task, [*entries, (4, 0, 0, 0.1, 0.1)])
    (curve,) = loss_curves(rows)
    assert [(w.units, w.folds, w.runs) for w in curve.widths] == [
        (1, (0.7, 0.5), 3),
        (2, (0.3, 0.2), 2),
    ]
    assert frontier(rows) == []
    assert loss_curves(rows.with_columns(held_out_loss=pl.lit(None, pl.Float64))) == []


def test_where_the_file_has_a_split_seeds_are_repeats_and_nothing_is_said_of_other_sequences(
    task,
):
    parts = np.array(["train", "train", "train", "validation", "test"])
    np.savez(
        f"{task.file}.npz", **np.load(task.file), split=parts[np.arange(COUNT) % 5]
    )
    own = replace(task, file=f"{task.file}.npz")
    losses = {0: 0.5, 1: 0.4, 5: 0.3, 6: 0.6}  # by seed
    (curve,) = loss_curves(
        rows_of(own, [(1, 0, seed, loss, loss) for seed, loss in losses.items()])
    )
    assert [(width.folds, width.runs) for width in curve.widths] == [((0.3, 0.4), 4)]
    assert len(set(curve.without_state.folds)) == 1
    curve = replace(curve, widths=(replace(curve.widths[0], score=0.9, train=0.3),))
    vars(curve).update(without_state=Loss((2.0, 2.0)), n_gram=Loss((2.0, 2.0)))
    text = " ".join(sentences(curve))
    assert "over 2 repeats on the file's own split." in text
    assert "Without state: 2 (the best map" in text
    assert f"Other test sequences than these {COUNT // 5} may say otherwise" in text
