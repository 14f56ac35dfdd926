"""What `memcap inspect` says of shapes."""

import pytest

from memcap.commands.inspect import inspect
from memcap.models.model import Model


@pytest.mark.parametrize(
    ("cell", "carry", "parameters"),
    [
        # four gates, each with 5 x 3 and 5 x 5 weights and 5 biases
        ("lstm", ("c", "h"), 180),
        ("LSTMCell", ("c", "h"), 180),
        ("GRUCell", ("h",), 135),
        ("SimpleCell", ("h",), 45),
    ],
)
def test_five_units_on_two_steps_of_three_features(cell, carry, parameters):
    found = inspect(Model(cell, 5), timesteps=2, features=3)
    assert (found.every, found.last) == ((1, 2, 5), (1, 5))
    assert found.carry == dict.fromkeys(carry, (1, 5))
    assert found.carry_numbers == 5 * len(carry)
    assert found.cell_parameters == parameters


def test_a_longer_sequence_leaves_carry_and_parameters_as_they_are():
    short, long = (inspect(Model("lstm", 7), steps, 4, batch=3) for steps in (6, 600))
    assert long.every == (3, 600, 7)
    assert short.longer == long.longer == short.carry == long.carry
    assert short.carry == {"c": (3, 7), "h": (3, 7)}
    assert short.cell_parameters == long.cell_parameters == 4 * (7 * 4 + 7 * 7 + 7)
