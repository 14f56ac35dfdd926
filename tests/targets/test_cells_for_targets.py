"""Every cell, and a curriculum, on accelerators; `make test-targets` runs it, CI does not."""

import pytest
from targets_checks import NAMES, check, loops, program, small

from memcap.cells import cell_classes
from memcap.cells.diagonal import DiagonalCell

MOST = 16  # a gradient that JAX makes of a cell's step is no match for one that is written out
PARALLEL = [name for name, cell in cell_classes().items() if issubclass(cell, DiagonalCell)]
STEPPING = [name for name in cell_classes() if name not in (*PARALLEL, "lstm")]


@pytest.mark.parametrize("task", ["delay_line", "adding", "windows"])
@pytest.mark.parametrize("cell", STEPPING)
@pytest.mark.parametrize("name", NAMES)
def test_time_steps_of_a_cell(name, cell, task):
    start = {} if cell_classes()[cell].gates else {"recipe": "own_start"}
    check(name, program(small(task, cell, **start)), MOST, MOST)


@pytest.mark.parametrize("task", ["delay_line", "windows"])
@pytest.mark.parametrize("cell", PARALLEL)
@pytest.mark.parametrize("name", NAMES)
def test_a_parallel_scan_has_no_loop_over_time(name, cell, task):
    assert loops(name, program(small(task, cell, recipe="own_start"))) == ([], [])


@pytest.mark.parametrize("name", NAMES)
def test_time_steps_of_a_curriculum(name):
    check(name, program(small("delay_line", recipe="curriculum")), MOST, MOST)
