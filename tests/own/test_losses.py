"""Widths judged by their held-out loss: which is enough, what has no state, and the words."""

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import memcap
from memcap.config.recipes import Recipe, complete
from memcap.frontiers.frontier import frontier
from memcap.models.model import Model
from memcap.own import references
from memcap.own.losses import Loss, LossCurve, WidthLoss, enough_of, loss_curves
from memcap.own.task import Data
from memcap.own.words import sentences
from memcap.store.rows import frame
from memcap.studies.writer import row_of
from memcap.training.host import Result
from memcap.training.program import Program, way_of

COUNT = 600
STEPS = 8
SYMBOLS = np.random.default_rng(0).integers(0, 3, (COUNT, STEPS))
NUMBERS = np.random.default_rng(1).normal(3, 2, (COUNT, STEPS, 2))
COINS = np.random.default_rng(2).integers(0, 2, COUNT)


@pytest.fixture
def save(tmp_path):
    """Write sequences to a file; return its task."""

    def to_file(inputs, targets, **arrays):
        path = tmp_path / f"{len(list(tmp_path.iterdir()))}.npz"
        np.savez(path, inputs=inputs, targets=targets, **arrays)
        return Data(file=str(path), criterion="best", scale=True)

    return to_file


WALK = np.cumsum(NUMBERS, 1)


@pytest.mark.parametrize(
    ("inputs", "targets", "last", "window", "steps"),
    [
        (SYMBOLS, SYMBOLS[:, -1] == 0, 0, 0, 0),  # the current symbol says it
        (SYMBOLS, SYMBOLS[:, -3] > 0, 0.64, 0, 0),  # an earlier one; 1 in 3
        (SYMBOLS, SYMBOLS[:, 1] > 0, 0.64, 0.64, 0),  # one before the window
        (SYMBOLS, COINS, *[np.log(2)] * 3),  # nothing does
        (NUMBERS, 2 * NUMBERS[:, -3, 0] - NUMBERS[:, -3, 1], 20, 0, 0),
        (NUMBERS, np.abs(NUMBERS[:, -1, 0] - 3) < 1.4, 0.1, 0.1, 0.1),
        (NUMBERS, NUMBERS.sum((1, 2)), 64, 28, 0),
        (NUMBERS, WALK[..., 0], 66, 34, 0),  # everywhere
        (SYMBOLS, np.cumsum(SYMBOLS == 0, 1), 1.4, 0.52, 0.07),
    ],
)
def test_references_reach_what_their_memory_allows(
    save, inputs, targets, last, window, steps
):
    targets = targets.astype(float if targets.dtype.kind == "f" else int)
    task = save(inputs, targets)
    kinds = references.KINDS[1:]
    losses = [references.losses(task, STEPS - 1, kind)[1] for kind in kinds]
    assert losses == pytest.approx([last, window, steps], rel=0.25, abs=0.12)


@pytest.mark.parametrize("inputs", [SYMBOLS, NUMBERS])
def test_references_see_the_last_steps_as_nets_do_wherever_padding_stands(save, inputs):
    lengths = np.random.default_rng(4).integers(4, STEPS + 1, COUNT)
    sequences = np.arange(COUNT)
    values = inputs.reshape(COUNT, STEPS, -1)[sequences, lengths - 3, 0]
    targets = 1 * (values > 2 * (inputs is NUMBERS))
    # the last four steps of each, without any padding
    places = lengths[:, None] - 4 + np.arange(4)
    cut = save(inputs[sequences[:, None], places], targets)
    task = save(inputs, targets, lengths=lengths)
    for kind in references.KINDS:
        alike = references.losses(cut, 3, kind)
        assert references.losses(task, 3, kind) == pytest.approx(alike, abs=0.05), kind


@pytest.mark.parametrize("inputs", [SYMBOLS, NUMBERS])
@pytest.mark.parametrize("place", [0, -2])
def test_all_steps_are_told_apart_from_either_end_of_unlike_sequences(
    save, inputs, place
):
    lengths = np.random.default_rng(4).integers(3, STEPS + 1, COUNT)
    at = place % lengths
    values = inputs.reshape(COUNT, STEPS, -1)[np.arange(COUNT), at, 0]
    task = save(inputs, 1 * (values > 2 * (inputs is NUMBERS)), lengths=lengths)
    assert references.losses(task, STEPS - 1, references.ALL)[1] < 0.3


def test_all_steps_of_too_many_columns_are_left_out(save):
    task = save(np.repeat(NUMBERS, 126, 1), COINS)  # 1,008 steps of 2 numbers
    assert references.kinds(task, 999) == references.KINDS
    assert references.kinds(task, 1007) == references.KINDS[:-1]


@pytest.fixture
def task(save):
    return save(SYMBOLS, SYMBOLS[:, 0] % 2)


RECIPE = complete(Recipe("hold"), Data(criterion="best"), STEPS - 1, "lstm")


def curve_of(task, widths, state, window=0.69, steps=0.69, constant=0.7):
    folds = tuple(range(5))
    curve = LossCurve(task, STEPS - 1, Model(units=1), folds, tuple(widths))
    others = {"constant": constant, "window": window, references.ALL: steps}
    flat = {kind: Loss((value,) * 5) for kind, value in others.items()}
    order = {kind: (flat | {"last step": state})[kind] for kind in references.KINDS}
    vars(curve).update(references=order)
    return curve


def width_of(losses, units, **changes):
    changes = {"train": 0.1, "score": 0.9, "runs": 10, "recipe": RECIPE} | changes
    losses = tuple(losses)
    return WidthLoss(losses, losses, units=units, **changes)


WAVE = np.array([1, -1, 1, -1, 0]) * 5**0.5  # their mean has the standard error 1


@pytest.fixture
def curve(task):
    """Make a curve of widths 1, 2, 4, ... with these losses, whose means over folds
    have this standard error, together with what has no state, or not."""

    def of(*means, spread=0.0, state=0.69, together=True, others=None, **changes):
        wave = spread * WAVE
        widths = [
            width_of(mean + np.roll(wave, k), 2**k) for k, mean in enumerate(means)
        ]
        for name, values in changes.items():
            widths = [
                replace(width, **{name: value})
                for width, value in zip(widths, values, strict=True)
            ]
        state = Loss(tuple(state + together * wave))
        return curve_of(task, widths, state, **others or {})

    return of


@pytest.mark.parametrize(("spread", "units"), [(0.0005, 8), (0.005, 4), (0.02, 2)])
def test_the_narrowest_width_that_is_no_worse_than_the_best_beyond_chance_is_enough(
    curve, spread, units
):
    losses = 0.5, 0.45, 0.42, 0.41, 0.43
    assert curve(*losses, spread=spread, state=0.9).units == units


@pytest.mark.parametrize("fails", [0, 0.3])
@pytest.mark.parametrize("hardness", [0, 0.1])
def test_what_makes_folds_hard_for_all_widths_and_nets_that_fail_do_not_count(
    task, hardness, fails
):
    """From 4 units on nothing is gained. They are found, and a narrow width of which
    some nets failed is not enough because its loss is uncertain."""
    rng = np.random.default_rng(0)
    units = []
    for _ in range(50):
        folds = 0.5 + hardness * rng.normal(size=5)
        losses = folds + np.array([[0.04, 0.02, 0, 0, 0, 0]]).T
        losses += rng.normal(0, 0.005, (6, 5))
        losses[:2] += 0.3 * (rng.random((2, 5)) < fails)
        widths = [width_of(loss, 2**k) for k, loss in enumerate(losses)]
        curve = curve_of(task, widths, Loss(tuple(folds + 0.5)))
        units.append(curve.units)
    assert units.count(4) >= 42
    assert np.mean(np.greater(units, 4)) <= 0.1


def test_a_little_of_what_state_gains_is_forgiven(curve):
    assert curve(0.3, 0.0137, 0.0001).units == 2
    assert curve(0.3, 0.0140, 0.0001).units == 4


def test_a_width_that_is_worse_in_every_fold_is_not_enough(curve):
    folds = 0.1 * np.array([1, 2, 3, 4, 12])
    assert enough_of(np.array([folds, 0 * folds]), 1 + 0 * folds)[0].tolist() == [
        False,
        True,
    ]


def test_validation_chooses_and_the_held_out_folds_report(curve):
    chosen = curve(0.5, 0.3, 0.3)
    flipped = replace(
        chosen,
        widths=tuple(
            replace(width, folds=(loss,) * 5)
            for width, loss in zip(chosen.widths, (0.28, 0.31, 0.3), strict=True)
        ),
    )
    vars(flipped).update(references=chosen.references)
    assert (flipped.units, flipped.enough[0].mean) == (2, pytest.approx(0.31))


@pytest.mark.parametrize(("held_out", "helps"), [(0.65, True), (0.67, False)])
def test_state_helps_if_the_held_out_loss_is_lower_beyond_chance(
    curve, held_out, helps
):
    """The standard error is .01, so that chance explains a gain of .028."""
    found = curve(0.1, folds=[tuple(held_out + 0.01 * WAVE)])
    assert found.state_helps == helps


def test_the_interval_is_of_folds_drawn_again(curve):
    assert curve(0.5, 0.41, 0.4, 0.4, spread=0.0001).interval == (4, 4)
    low, high = curve(0.5, 0.41, 0.4, 0.4, spread=0.01).interval
    assert (low, high) == (2, 8)


@pytest.mark.parametrize(
    ("losses", "low", "said"),
    [
        # some folds' nets reach what wider ones do
        ([0.1, 0.68, 0.1, 0.68, 0.1], 1, "1 did not train in every fold (10 nets)"),
        ([0.69] * 5, 1, "1 did not train in every fold"),
        ([0.4] * 5, 2, "1 is not enough: 0.4"),
    ],
)
def test_nets_that_did_not_train_say_nothing_of_their_width(task, losses, low, said):
    width = width_of(losses, 1)
    others = [width_of([0.1] * 5, 2**k) for k in (1, 2)]
    found = curve_of(task, [width, *others], Loss((0.69,) * 5))
    assert (found.units, found.interval) == (2, (low, 2))
    assert said in " ".join(sentences(found))


def test_folds_that_are_hard_for_all_widths_are_no_starts_that_failed(task):
    hard = np.linspace(-0.2, 0.2, 5)
    narrow, wide = (
        width_of(loss + hard, units) for loss, units in ((0.4, 1), (0.3, 2))
    )
    found = curve_of(task, [narrow, wide], Loss((0.7,) * 5))
    assert (found.units, found.did_not_train(narrow)) == (2, False)


def test_folds_no_further_apart_than_chance_explains_are_no_starts_that_failed(curve):
    found = curve(0.55, 0.4, 0.4, 0.4, 0.4, spread=0.02)
    assert not found.did_not_train(found.widths[0])


@pytest.mark.parametrize(
    ("losses", "changes", "verdict", "said"),
    [
        ((0.5, 0.4, 0.3), {"spread": 0.05}, "too few to tell", "Too few sequences to"),
        (  # validation and the held-out sequences disagree
            (0.5, 0.3, 0.3),
            {"folds": ((0.5,) * 5, (0.4,) * 5, (0.3,) * 5)},
            "too few to tell",
            "by validation 2 would do, and the held-out loss of 2 is 0.4, of 4 0.3",
        ),
        (  # a large gain that chance may explain
            (0.7, 0.3),
            {"spread": 0.3, "together": False},
            "too few to tell",
            "The gain is 0.39, and chance moves it by up to 0.83 over 5 folds",
        ),
        # of classes that the last step says, or nearly
        ((0.0, 0.0), {"state": 0.005}, "no state needed", "leaves next to nothing"),
        ((0.3, 0.3), {"state": 0.3}, "no state needed", "No state is needed"),
        (
            (0.7, 0.69),
            {"others": {"window": 0.2, "steps": 0.1}},
            "did not train",
            "By all steps side by side, without a net, it is 0.1, so the target does follow",
        ),
        # nets that are between both
        (
            (0.7, 0.5),
            {"spread": 0.5, "together": False, "others": {"steps": 0.4}},
            "too few to tell",
            "Too few sequences to tell whether a state helps",
        ),
        (
            (0.7, 0.69),
            {"train": (0.69, 0.69)},
            "nothing learnt",
            "does not follow from",
        ),
        (
            (0.7, 0.69),
            {"train": (0.69, 0.1)},
            "nothing learnt",
            "what is asked is not in the sequences",
        ),
    ],
)
def test_where_no_width_can_be_told_it_says_why(curve, losses, changes, verdict, said):
    found = curve(*losses, **changes)
    assert (found.units, found.verdict) == (None, verdict)
    assert said in " ".join(sentences(found))


@pytest.mark.parametrize(
    ("losses", "changes", "texts", "not_said"),
    [
        (
            (0.5, 0.41, 0.4),
            {"spread": 0.005, "others": {"window": 0.6}},
            [
                "2 units (2 to 4 by other folds): held-out loss 0.41 +- 0.005. On validation,"
                " which chose it, within 0.013 (chance, fold by fold) of 4 units, the best there"
                " of 1 to 4 units, over 5 folds.",
                "1 is not enough: 0.5",
                "by the last step 0.69 +- 0.005; by the last 5 steps 0.6;",
            ],
            ["suffice", "wider", "learnt", "as good", "at once"],
        ),
        (
            (0.6, 0.5, 0.3),
            {"others": {"window": 0.3, "steps": 0.2}},
            [
                "wider ones may be better",
                "Nets cannot be told from the last 5 steps: 5 steps suffice",
                "Nets have not learnt all that follows from all steps side by side",
            ],
            [],
        ),
        (  # the last width beats what the best on validation does not
            (0.5, 0.31, 0.30),
            {"spread": 0.02, "others": {"window": 0.31, "steps": 0.005}},
            [
                "Nets cannot be told from the last 5 steps: 5 steps suffice",
                "By all steps side by side next to nothing is left",
            ],
            [],
        ),
    ],
)
def test_it_says_what_is_enough_and_what_else_may_be(
    curve, losses, changes, texts, not_said
):
    words = " ".join(sentences(curve(*losses, **changes)))
    assert [text for text in texts if text not in words] == []
    assert [text for text in not_said if text in words] == []


def rows_of(task, entries):
    """Rows of members: units, fold, seed, loss of validation, held-out loss."""
    rows = []
    for units, fold, seed, validation, held_out in entries:
        (member,) = memcap.members(
            replace(task, fold=fold), recipe="hold", units=units, seed=[seed]
        )
        result = replace(
            Result.failed(member, "", way_of(Program.of(member))),
            status="unsolved",
            validation_loss=validation,
            held_out_loss=held_out,
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
        (4, 0, 0, 0.1, 0.1),
    ]
    rows = rows_of(task, entries)
    (curve,) = loss_curves(rows)
    assert [(w.units, w.folds, w.runs) for w in curve.widths] == [
        (1, (0.7, 0.5), 3),
        (2, (0.3, 0.2), 2),
    ]
    assert frontier(rows) == []
    assert loss_curves(rows.with_columns(held_out_loss=pl.lit(None, pl.Float64))) == []


def test_where_the_file_has_a_split_seeds_are_repeats_and_nothing_is_said_of_other_sequences(
    save,
):
    parts = np.array(["train", "train", "train", "validation", "test"])
    task = save(SYMBOLS, COINS, split=parts[np.arange(COUNT) % 5])
    losses = {0: 0.5, 1: 0.4, 5: 0.3, 6: 0.6}  # by seed
    rows = rows_of(task, [(1, 0, seed, loss, loss) for seed, loss in losses.items()])
    (curve,) = loss_curves(rows)
    assert [(width.folds, width.runs) for width in curve.widths] == [((0.3, 0.4), 4)]
    assert len(set(curve.without_state.folds)) == 1
    curve = replace(curve, widths=(replace(curve.widths[0], score=0.9, train=0.3),))
    none = dict.fromkeys(references.KINDS, Loss((2.0, 2.0)))
    vars(curve).update(references=none)
    words = " ".join(sentences(curve))
    assert "over 2 repeats on the file's own split." in words
    assert f"Other test sequences than these {COUNT // 5} may say otherwise" in words
