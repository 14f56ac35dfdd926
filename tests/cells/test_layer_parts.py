"""Parts of published layers: what a net carries, how its parts go together, and which
cells may have them (tests/cells/test_recurrences.py has their recurrences)."""

import numpy as np
import pytest

from memcap import loops
from memcap.cells import cell_class
from memcap.knobs import UserError
from memcap.models.architecture import Architecture
from memcap.models.model import Model

F = 3
U = 5
K = 16
B = 2
T = 7


@pytest.mark.parametrize(
    ("name", "numbers"),
    [
        ("gla+conv4+gate", K * U + 3 * F),
        ("mlstm+conv4+gate+skip", K * U + K + 1 + 3 * F),
        ("slstm+conv4", 4 * U + 3 * F),
        ("gla+conv4+gate+clock16", K * U + 3 * F + 1),
        ("gla+key4+heads2+clock16", 2 * 4 * U + F + 1),
    ],
)
def test_the_carry_counts_the_inputs_that_a_convolution_sees_again(name, numbers):
    assert Architecture(Model(name, U), F, 2).carry_numbers() == numbers


@pytest.mark.usefixtures("quick_compile")
def test_a_rate_starts_as_published():
    """U(0, 16): nets forget eight times as fast on average as without."""
    nets = [
        Architecture(Model("gated_delta_net+rate", U), F, 2).init(None, [seed])["cell"]
        for seed in range(20)
    ]
    rates = np.exp([net["log_rate"][0] for net in nets])
    assert 0 < rates.min() < 3
    assert 13 < rates.max() <= 16


@pytest.mark.parametrize("part", ["conv4", "gate", "conv4+skip", "heads2", "clock16"])
@pytest.mark.parametrize("name", ["mamba2", "mlstm"])
def test_accelerators_leave_a_step_of_its_own_to_the_loop_for_any_cell(name, part):
    cell = cell_class(f"{name}+{part}")
    assert loops.choose("auto", loops.Request(cell, "gpu", False)).loop == "masked"


@pytest.mark.parametrize(
    ("name", "which"),
    [
        ("lstm+conv4", "a cell with a matrix"),
        ("lstm+clock16", "a cell with a matrix, before .*, or of such a cell after"),
        ("delta_net+clock16+conv4", "a cell with a matrix"),
        ("delta_net+clock16+clock8", "a cell with a matrix"),
        ("mlstm+skip", "mamba2, or of mlstm after"),
        ("mlstm+rate", "gated_delta_net"),
        ("slstm+gate", "a cell with a matrix"),
        ("slstm+bfloat16+conv4", "a cell with a matrix"),
        ("delta_product+skip", "mamba2"),
        ("gla+skip", "mamba2"),
        ("delta_net+rate", "gated_delta_net"),
    ],
)
def test_a_part_of_another_layer_is_refused_in_one_line(name, which):
    with pytest.raises(
        UserError, match=rf"model\.cell={name.split('+')[0]}\+.*is a part of {which}"
    ):
        Model(name)
