"""What `memcap inspect` says of shapes."""

import json

import pytest
from command import memcap

from memcap.commands.inspect import inspect, sentences
from memcap.models.model import Model


@pytest.mark.parametrize("cell", ["lstm", "LSTMCell", "OptimizedLSTMCell"])
def test_five_units_on_two_steps_of_three_features(cell):
    found = inspect(Model(cell, 5), timesteps=2, features=3)
    assert found.every == (1, 2, 5)
    assert found.last == (1, 5)
    assert found.carry == {"c": (1, 5), "h": (1, 5)}
    assert found.carry_numbers == 10
    assert (
        found.cell_parameters == 180
    )  # 4 gates, each 5 x 3 and 5 x 5 weights and 5 biases


@pytest.mark.parametrize(("cell", "parameters"), [("GRUCell", 135), ("SimpleCell", 45)])
def test_cells_with_one_number_a_unit(cell, parameters):
    found = inspect(Model(cell, 5), timesteps=2, features=3)
    assert found.carry == {"h": (1, 5)}
    assert found.carry_numbers == 5
    assert found.cell_parameters == parameters


def test_a_longer_sequence_leaves_carry_and_parameters_as_they_are():
    short, long = (inspect(Model("lstm", 7), steps, 4, batch=3) for steps in (6, 600))
    assert long.every == (3, 600, 7)
    assert (
        short.longer
        == long.longer
        == short.carry
        == long.carry
        == {"c": (3, 7), "h": (3, 7)}
    )
    assert short.cell_parameters == long.cell_parameters == 4 * (7 * 4 + 7 * 7 + 7)


def test_layers_have_a_carry_each():
    shapes = inspect(Model("lstm", 5, layers=2), 2, 3)
    assert shapes.carry == dict.fromkeys(("c_1", "h_1", "c_2", "h_2"), (1, 5))
    assert (shapes.carry_numbers, shapes.cell_parameters) == (20, 180 + 220)
    said = "\n".join(sentences(shapes))
    assert said.startswith("2 layers of lstm of 5 units each on sequences")
    assert "400 in the 2 cells" in said


def test_words():
    said = "\n".join(sentences(inspect(Model("lstm", 5), 2, 3)))
    for part in (
        "(1, 2, 5)",
        "c (1, 5), h (1, 5): 10 numbers",
        "180 in the cell",
        "At 20 time steps the carry is the same",
    ):
        assert part in said
    assert "not one per time step" in said


def test_the_command_says_so_in_json(tmp_path):
    found = json.loads(memcap(tmp_path, "inspect", "--cell", "GRUCell", "--json").out)
    assert (found["every"], found["carry_numbers"]) == ([1, 2, 5], 5)
