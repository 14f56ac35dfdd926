import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from task_checks import STEPS, draw, few, seeds

from memcap.tasks.modular_arithmetic import ModularArithmetic

SIGNS = "+-*"


def text(row: list[int], modulus: int) -> str:
    """The expression as Python reads it."""
    return "".join(
        str(x) if x < modulus else SIGNS[x - modulus]
        for x in row
        if x != modulus + len(SIGNS)
    )


@pytest.mark.parametrize("modulus", [3, 5, 7])
@few
@given(lag=st.integers(5, 30), extra=st.integers(0, 10), seed=seeds)
def test_python_works_it_out(modulus, lag, extra, seed):
    length = min(lag + 1 + extra, STEPS)
    batch = draw(ModularArithmetic(modulus=modulus), lag, length, seed=seed)
    for row, due in zip(
        batch.inputs[:length].T.tolist(), batch.targets.tolist(), strict=True
    ):
        expression = text(row, modulus)
        assert eval(expression) % modulus == due
        assert row[-1] == modulus + len(SIGNS)
        assert len(expression) == lag - (1 - lag % 2)


@pytest.mark.parametrize(("modulus", "lag"), [(3, 5), (3, 6), (3, 7), (5, 5)])
def test_chance_by_all_expressions(modulus, lag):
    digits = (lag + 1) // 2
    places = [range(modulus) if k % 2 == 0 else SIGNS for k in range(2 * digits - 1)]
    values = [
        eval("".join(map(str, each))) % modulus for each in itertools.product(*places)
    ]
    shares = np.bincount(values) / len(values)
    assert ModularArithmetic(modulus=modulus).facts(
        lag, lag + 1
    ).chance == pytest.approx(shares.max())


@pytest.mark.parametrize("modulus", [3, 5, 7])
def test_bits_by_the_states_that_differ(modulus):
    """After an operator two beginnings differ if some ending tells them apart: these
    are as many as said."""
    ends = [(digit, end) for digit in range(modulus) for end in ("", "+1", "*2")]
    beginnings = [
        "".join(map(str, each))
        for each in itertools.product(range(modulus), SIGNS, range(modulus), SIGNS)
    ]
    told = {
        tuple(eval(f"{beginning}{digit}{end}") % modulus for digit, end in ends)
        for beginning in beginnings
    }
    assert math.log2(len(told)) == pytest.approx(
        ModularArithmetic(modulus=modulus).facts(9, 10).bits
    )
