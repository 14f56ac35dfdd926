from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, few, seeds

from memcap.tasks.parity import Parity


@few
@given(lag=st.integers(1, 30), extra=st.integers(0, 10), seed=seeds)
def test_a_bit_that_flips_solves_it(lag, extra, seed):
    length = min(lag + 1 + extra, STEPS)
    batch = draw(Parity(), lag, length, seed=seed)
    for row, due in zip(
        batch.inputs[:length].T.tolist(), batch.targets.tolist(), strict=True
    ):
        state = 0
        for symbol in row:
            state ^= symbol == 1
        assert state == due
    assert ((batch.inputs[:length] != 2).sum(0) == lag).all()
    assert (batch.inputs[length - 1] == 2).all()
