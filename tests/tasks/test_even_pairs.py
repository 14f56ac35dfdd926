from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, few, seeds

from memcap.tasks.even_pairs import EvenPairs


@few
@given(lag=st.integers(2, 30), extra=st.integers(0, 10), seed=seeds)
def test_counting_the_pairs_solves_it(lag, extra, seed):
    length = min(lag + 1 + extra, STEPS)
    batch = draw(EvenPairs(), lag, length, seed=seed)
    for row, due in zip(
        batch.inputs[:length].T.tolist(), batch.targets.tolist(), strict=True
    ):
        bits = [symbol for symbol in row if symbol != 2]
        assert row[-1] == 2
        assert len(bits) == lag
        assert due == (sum(a != b for a, b in pairwise(bits)) % 2 == 0)
