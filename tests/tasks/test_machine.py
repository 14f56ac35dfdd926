"""The machine of a task reads what `sample` draws, and answers as the sequences do."""

import pytest
from hypothesis import given, strategies as st
from task_checks import draw, few, seeds

from memcap.tasks.latch import Latch

pytestmark = pytest.mark.usefixtures("quick_file")

LATCHES = [Latch(), Latch(symbols=5, distractors=1), Latch(symbols=3, distractors=2)]


def states(machine, symbols):
    """All states in which the machine may be after these symbols."""
    result = {"start"}
    for x in symbols:
        result = {b for a, y, b in machine.edges if a in result and x == y}
    return result


@given(st.sampled_from(LATCHES), st.integers(1, 12), st.integers(0, 12), seeds)
@few
def test_the_machine_reads_all_sequences_and_knows_their_answers(
    task, lag, filler, seed
):
    length = lag + 2 + filler
    batch = draw(task, lag, length, seed=seed)
    machines = [task.machine] + [task.machine.without_filler] * (filler == 0)
    for machine in machines:
        for symbols, answer in zip(batch.inputs[:length].T, batch.targets, strict=True):
            (state,) = states(machine, symbols)
            assert machine.answers[state] == answer


@pytest.mark.parametrize("task", LATCHES)
def test_the_machine_has_as_many_paths_as_there_are_sequences(task):
    symbols = task.symbols
    distractors = task.distractors
    sizes = [(lag, extra) for lag in range(1, 9) for extra in range(9 - lag)]
    total = sum(symbols * distractors ** (lag + extra) for lag, extra in sizes)
    assert task.machine.paths(10) == total
    total = sum(symbols * distractors**lag for lag in range(1, 9))
    assert task.machine.without_filler.paths(10) == total


def test_numbers_have_no_machine():
    assert Latch(noise=0.1).machine is None
