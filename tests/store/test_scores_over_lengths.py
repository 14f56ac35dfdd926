"""Scores over lengths: counted again in NumPy from a trained net's outputs, scaled by
chance, and the first that fails."""

import json
from functools import cache

import jax
import numpy as np
import pytest
from breadth import leave
from study_checks import refusal
from study_rows import group, table

import memcap
from memcap.config.member import Engine
from memcap.rule import Stream
from memcap.store.lengths import first_failures, over_lengths
from memcap.trained import Trained
from memcap.training.engine import train

pytestmark = pytest.mark.usefixtures("quick_file")

USUAL = {
    "units": 4,
    "lag": 3,
    "recipe": "forget_bias",
    "budget": 150,
    "batch": 16,
    "seed": [3],
}
USUAL |= {"sequences": 256, "stretch": 2, "every": 150}


# A net that answers at every step, one that answers at the end, a stream, and one of values.
LENGTHS = {
    "word_problem": "2 5 9",
    "parity": "2 5 9",
    "delay_line": "14 30",
    "adding": "2 5 9",
}


@cache
def result_of(task):
    members = memcap.members(task=task, lengths=LENGTHS[task], **USUAL)
    return train(members, Engine(loop="while", workers=1))[0]


def counted(result, index, lag, length):
    """Score, and share of whole sequences right, of 64 sequences from the member's
    stream of that length."""
    member = result.member
    key = jax.random.key(result.member.seed)
    for part in (member.lag, member.model.units, Stream.LENGTHS, index):
        key = jax.random.fold_in(key, part)
    sample = jax.jit(
        member.task.sample, static_argnums=(1, 2, 3, 4)
    )  # eagerly each operation is compiled
    batch = sample(jax.random.fold_in(key, 0), lag, length, length, 256)
    batch = jax.tree.map(np.asarray, batch)
    outputs, _ = Trained(member, result.weights).run(batch.inputs)
    if member.task.loss == "values":
        return np.mean((outputs[-1, :, 0] - batch.targets) ** 2), np.nan
    right = outputs.argmax(-1) == batch.targets
    if batch.mask is None:
        return right[-1].mean(), right[-1].mean()
    return right[batch.mask].mean(), (right | ~batch.mask).all(axis=0).mean()


@pytest.mark.parametrize(
    "task", [*leave(["word_problem", "adding"]), "parity", "delay_line"]
)
def test_scores_are_what_numpy_counts(task):
    result = result_of(task)
    pairs = result.member.lengths
    expected = [counted(result, index, *pair) for index, pair in enumerate(pairs)]
    np.testing.assert_allclose(result.at_lengths, expected, atol=1e-6)
    assert len({score for score, _ in result.at_lengths}) > 1


def test_a_stream_keeps_its_lag_and_others_have_lags():
    assert result_of("delay_line").member.lengths == ((3, 14), (3, 30))
    assert result_of("parity").member.lengths == ((2, 3), (5, 6), (9, 10))


def parity(units=1, **scores):
    """Rows of a net trained at 4 bits, scored at 8, 16 and 32."""
    texts = {
        f"{name}_at_lengths": json.dumps(values) for name, values in scores.items()
    }
    return group("parity", 4, {units: (0, 1)}, lengths="8 16 32", **texts)


def test_scores_are_scaled_by_chance_and_judged_by_the_criterion():
    lines = over_lengths(
        table(parity(score=[1.0, 0.995, 0.25], whole=[1.0, 0.9, None]))
    )
    assert lines["number"].to_list() == [8, 16, 32]
    assert lines["scaled"].to_list() == pytest.approx([1.0, 0.99, -0.5])
    assert lines["whole"].to_list() == [1.0, 0.9, None]
    assert lines["passes"].to_list() == [True, True, False]
    texts = {"score_at_lengths": "[0.0, 0.02]", "whole_at_lengths": "[null, null]"}
    lines = over_lengths(
        table(group("adding", 4, {1: (0, 1)}, lengths="8 16", **texts))
    )
    first, chance = lines["chance"]
    assert 0.14 < first != chance < 1 / 6
    scaled = [1.0, 1 - 0.02 / chance]  # an error, not an accuracy
    assert lines["scaled"].to_list() == pytest.approx(scaled)
    assert lines["passes"].to_list() == [True, False]  # the criterion is .01


def test_the_first_length_that_fails():
    holds = parity(1, score=[1.0, 1.0, 1.0], whole=[1, 1, 1])
    falls = parity(2, score=[1.0, 0.9, 1.0], whole=[1, 1, 0])
    rows = table(holds, falls, group("parity", 4, {3: (0, 1)}))
    found = dict(first_failures(rows).select("units", "fails_at").iter_rows())
    assert found == {1: None, 2: 16}
    for score, least, fails in (("whole", 1.0, 32), ("scaled", 0.7, None)):
        found = first_failures(rows, score, least=least)
        assert found["fails_at"].to_list() == [None, fails]


LEAST = "must be a whole number, at least"
WRONG = [  # a task, lengths, and what is said of them
    *(("parity", text, "must be rising") for text in ("8 8", "", "0 8")),
    ("parity", "8 forty", "must be rising whole numbers, as in '41 100 500'"),
    ("parity", "8 1000000000000", f"{LEAST} 1 and at most 1000000"),
    ("delay_line", "5 30", f"evaluation.lengths=5: {LEAST} 7"),
    ("square_wave", "8 16", "8 16: square_wave has no sequences of other lags; leave"),
]


@pytest.mark.parametrize(("task", "text", "says"), WRONG)
def test_lengths_that_make_no_sense_are_refused(task, text, says):
    line = refusal(lambda: memcap.members(task=task, lag=3, units=1, lengths=text))
    assert says in line


def test_lengths_are_one_member_however_they_are_written():
    spellings = ("8  16", "8 16", "8 17")
    found = [memcap.members(task="parity", lengths=s, **USUAL)[0] for s in spellings]
    assert found[0].key == found[1].key != found[2].key
