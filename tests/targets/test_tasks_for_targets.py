"""Every task's LSTM compiles for an H100 and for TPUs, and its time steps do no work
that grows with the buffers."""

import jax
import pytest
from targets_checks import NAMES, check, loops, program, small

from memcap.tasks import task_classes
from memcap.training.program import Program

# Kernels of a time step, forward and back, of nothing but an LSTM under `lax.scan` with
# its gradient written out; and two more.
LEAST = {"h100": (7, 7), "v5e": (12, 23), "v5e-4": (12, 23)}
MORE = 2
# A symbol, or its answer, depends on those before it.
DRAWN_IN_A_LOOP = dict.fromkeys(
    (
        "bandit",
        "dyck",
        "modular_arithmetic",
        "reber",
        "reversal",
        "two_step",
        "word_problem",
    ),
    1,
)
# Answers are sums over ages, in a loop of whole sequences: it runs once a batch, not at each step.
ADDED_IN_A_LOOP = {"fading_kernel": 1}


@pytest.mark.parametrize(
    ("name", "task"),
    [  # four chips run the program of one: symbols and numbers stand for all tasks
        pytest.param(*name.values, task, marks=name.marks)
        for name in NAMES
        for task in task_classes()
        if name.values != ("v5e-4",) or task in ("delay_line", "adding")
    ],
)
def test_time_steps_of_the_lstm(name, task):
    forward, back = LEAST[name]
    draws = DRAWN_IN_A_LOOP.get(task, 0)
    sums = ADDED_IN_A_LOOP.get(task, 0)
    check(name, program(small(task)), forward + MORE, back + MORE, draws, sums=sums)


class TripCountEach(Program):
    """Broken on purpose: lanes side by side, each with a trip count of its own."""

    def map_over_lanes(self, function):
        return jax.vmap(function)


@pytest.mark.parametrize("name", [name for name in NAMES if name.values != ("v5e-4",)])
def test_a_trip_count_for_each_lane_copies_whole_buffers_and_is_found(name):
    (forward, *_), evaluation = loops(
        name, program(small("delay_line"), TripCountEach, together=False)
    )
    assert {"copy", "select", "scatter"} & {
        instruction.op for instruction in forward.whole
    }
    assert any(loop.whole for loop in evaluation)
