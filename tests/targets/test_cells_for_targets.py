"""Every cell, and a curriculum, on accelerators; `make test-targets` runs it, CI does not."""

import pytest
from targets_checks import LANES, NAMES, check, compiled, loops, program, small

from memcap.cells import cell_classes
from memcap.cells.delta_net import DeltaNet
from memcap.cells.diagonal import DiagonalCell
from memcap.loops.chunk_terms import owner_of
from memcap.loops.chunkwise import chunk_steps

MOST = 16  # a gradient that JAX makes of a cell's step is no match for one that is written out
PARALLEL = [
    name for name, cell in cell_classes().items() if issubclass(cell, DiagonalCell)
]
CHUNKED = [name for name, cell in cell_classes().items() if owner_of(cell)]
STEPPING = [
    name for name in cell_classes() if name not in (*PARALLEL, *CHUNKED, "lstm")
]
# How many chunks of 12 steps; and kernels of one, forward and back: on an H100 some 3
# and 5 a time step, by the delta rule 4 and 9.
CHUNKS = 23, 29
MOST_OF_A_CHUNK = {"h100": (42, 70), "v5e": (12 * MOST, 12 * MOST)}
MOST_BY_THE_DELTA_RULE = {"h100": (48, 108), "v5e": (12 * MOST, 12 * MOST)}


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


@pytest.mark.parametrize("task", ["delay_line", "windows"])
@pytest.mark.parametrize(
    ("name", "cell"),
    # two writes a step are 19 kernels back on a v5e, which moves the marks of steps, a
    # byte each, at once
    [
        pytest.param(*name.values, cell, marks=name.marks)
        for name in NAMES
        for cell in CHUNKED
        if name.values != ("v5e-4",)
        and not (name.values == ("v5e",) and cell.endswith("delta_product"))
    ],
)
def test_chunks_of_a_cell(name, cell, task):
    """A dozen steps share some kernels, and the matrices of the steps within are not stored."""
    member = small(task, cell, recipe="own_start")
    steps = tuple(12 * number for number in CHUNKS)
    wanted = program(member, steps=steps)
    assert [chunk_steps(each) for each in steps] == [12, 12]
    most = (
        MOST_BY_THE_DELTA_RULE
        if issubclass(cell_classes()[cell], DeltaNet)
        else MOST_OF_A_CHUNK
    )
    check(name, wanted, *most[name], trips=CHUNKS)
    matrices = (
        LANES
        * steps[0]
        * member.recipe.batch
        * cell_classes()[cell].keys
        * member.model.units
        * 4
    )
    assert (
        compiled(name, wanted).train_chunk.memory_analysis().temp_size_in_bytes
        < 0.7 * matrices
    )


@pytest.mark.parametrize("name", NAMES)
def test_time_steps_of_a_curriculum(name):
    check(name, program(small("delay_line", recipe="curriculum")), MOST, MOST)
