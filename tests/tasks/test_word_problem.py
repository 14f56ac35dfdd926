import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, few, seeds

from memcap.config.knobs import UserError
from memcap.tasks.word_problem import WordProblem, _generators, _permutations, _table

ORDERS = {
    "S3": 6,
    "Z6": 6,
    "A4": 12,
    "Z12": 12,
    "A5": 60,
    "Z60": 60,
    "S5": 120,
    "Z2": 2,
}


@pytest.mark.parametrize(("group", "order"), ORDERS.items())
def test_the_tables_are_those_of_groups(group, order):
    table = _table(group)
    each = np.arange(order)
    assert table.shape == (order, order)
    assert np.array_equal(table[0], each)  # the identity
    assert np.array_equal(table[:, 0], each)
    assert all(np.array_equal(np.sort(line), each) for line in (*table, *table.T))
    some = np.random.default_rng(0).integers(0, order, (3, 2000))
    a, b, c = some
    assert np.array_equal(table[table[a, b], c], table[a, table[b, c]])
    assert np.array_equal(table, table.T) == group.startswith("Z")


@pytest.mark.parametrize(
    "task",
    [
        WordProblem(),
        WordProblem(generators="swaps"),
        WordProblem(group="A4"),
        WordProblem(group="S5"),
    ],
    ids=str,
)
@few
@given(lag=st.integers(1, 30), extra=st.integers(0, 10), seed=seeds)
def test_shuffling_things_solves_it(task, lag, extra, seed):
    length = min(lag + 1 + extra, STEPS)
    batch = draw(task, lag, length, seed=seed)
    elements = _permutations(task.group).tolist()
    which = _generators(task.group, task.generators)
    first = length - 1 - lag
    assert (batch.inputs[:first] == task.vocabulary - 1).all()
    for b in range(4):
        things = list(range(int(task.group[1:])))
        for t in range(first, length):
            element = elements[which[batch.inputs[t, b]]]
            things = [element[thing] for thing in things]
            assert elements[batch.targets[t, b]] == things
    steps = np.arange(STEPS)[:, None]
    assert np.array_equal(
        batch.mask,
        np.broadcast_to((steps > first) & (steps < length), batch.mask.shape),
    )


def test_the_example_of_the_docstring():
    task = WordProblem(group="Z6")
    batch = draw(task, 2, batch=4096)
    same, *_ = np.flatnonzero((batch.inputs[:3].T == [3, 5, 4]).all(1))
    assert batch.targets[1:3, same].tolist() == [2, 0]


def test_swaps_are_swaps():
    assert [len(_generators(group, "swaps")) for group in ("S3", "S5")] == [3, 10]
    with pytest.raises(
        UserError, match=r"task\.group=A4 is not made of swaps; S3 and S5 are"
    ):
        WordProblem(group="A4", generators="swaps")


@pytest.mark.parametrize("length", [2, 3, 5])
def test_chance_of_swaps_by_all_words(length):
    table = _table("S3")
    swaps = _generators("S3", "swaps")
    counts = np.zeros((len(table), len(table)))
    for word in itertools.product(swaps, repeat=length):
        product = word[0]
        for swap in word[1:]:
            product = table[product, swap]
            counts[swap, product] += 1
    best = counts.max(1).sum() / counts.sum()
    assert WordProblem(generators="swaps").facts(
        length - 1, length
    ).chance == pytest.approx(best)
