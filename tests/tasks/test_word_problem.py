import numpy as np
import pytest

from memcap.config.knobs import UserError
from memcap.tasks.word_problem import WordProblem, _generators, _table

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


def test_swaps_are_swaps():
    assert [len(_generators(group, "swaps")) for group in ("S3", "S5")] == [3, 10]
    with pytest.raises(
        UserError, match=r"task\.group=A4 is not made of swaps; S3 and S5 are"
    ):
        WordProblem(group="A4", generators="swaps")
