import math
from dataclasses import replace

import numpy as np
import pytest
from breadth import leave
from task_checks import draw, evenly

from memcap.knobs import UserError
from memcap.tasks.chance import sequences
from memcap.tasks.mqar import POWER, Mqar


@pytest.mark.parametrize("layout", ["separate", *leave(["stacked"])])
def test_fillers_stand_where_blanks_do_and_are_any_key_or_value_alike(layout):
    task = Mqar(pairs=2, symbols=4, layout=layout)
    lag = 9
    batch = 4096
    length = task.shortest(lag) + 3
    plain, due, mask = sequences(task, draw(task, lag, length, batch=batch), length)
    filled = replace(task, fillers="random")
    inputs, *answers = sequences(filled, draw(filled, lag, length, batch=batch), length)
    assert all(np.array_equal(x, y) for x, y in zip(answers, (due, mask), strict=True))
    fill = ~mask & (np.arange(length) >= length - lag)
    assert np.array_equal(inputs[~fill], plain[~fill])
    assert fill.sum() == batch * (lag - task.pairs)
    shown = inputs[fill] if layout == "separate" else inputs[fill].argmax(-1)
    assert evenly(np.bincount(shown), 8)


def test_gaps_follow_the_power_law_and_any_pair_is_asked_last():
    """With two pairs, one query is at a gap of the law, from 1 to lag - 1, and the
    other at the end."""
    task = Mqar(pairs=2)
    lag = 9
    batch = 8192
    inputs, _, mask = sequences(task, draw(task, lag, batch=batch), task.length(lag))
    law = np.arange(1, lag) ** (POWER - 1.0)
    law /= law.sum()
    found = mask[:, 4:-1].mean(0)
    assert np.all(abs(found - law) < 4 * (law * (1 - law) / batch) ** 0.5)
    assert abs((inputs[:, -1] == inputs[:, 0]).mean() - 0.5) < 4 * 0.5 / batch**0.5


@pytest.mark.parametrize(("pairs", "table"), [(4, 26.2), (8, 42.6)])
def test_bits_are_those_of_a_table_but_for_which_keys_came(pairs, table):
    task = Mqar(pairs=pairs)
    bits = task.facts(20, 40).bits + math.log2(math.comb(16, pairs))
    assert bits == pytest.approx(table, abs=0.05)


@pytest.mark.parametrize(
    ("knobs", "why"),
    [
        ({"pairs": 5, "symbols": 4}, "pairs=5: must be at most task.symbols=4"),
        (
            {"pairs": 6, "rewrites": 2},
            "rewrites=2: task.pairs=6 .* 18 times, .* task.symbols=16",
        ),
    ],
)
def test_more_pairs_or_values_than_symbols_are_refused(knobs, why):
    with pytest.raises(UserError, match=f"task.{why}"):
        Mqar(**knobs)
