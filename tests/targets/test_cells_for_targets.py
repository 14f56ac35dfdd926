"""Every cell, and a curriculum, on accelerators; `make test-targets` runs it, CI does not."""

import pytest
from targets_checks import NAMES, check, program, small

from memcap.cells import cell_classes

MOST = 16  # a gradient that JAX makes of a cell's step is no match for one that is written out


@pytest.mark.parametrize("task", ["delay_line", "adding", "windows"])
@pytest.mark.parametrize("cell", [cell for cell in cell_classes() if cell != "lstm"])
@pytest.mark.parametrize("name", NAMES)
def test_time_steps_of_a_cell(name, cell, task):
    check(name, program(small(task, cell)), MOST, MOST)


@pytest.mark.parametrize("name", NAMES)
def test_time_steps_of_a_curriculum(name):
    check(name, program(small("delay_line", recipe="curriculum")), MOST, MOST)
