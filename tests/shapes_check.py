"""Array types, checked as memcap runs: a process of its own, started by tests/test_shapes.py.

The types stand under TYPE_CHECKING, so that nobody needs jaxtyping to run memcap. Here
they are imported, and beartype checks every call of the functions that have them.
"""

import importlib
import typing

import jax
import jaxtyping
import pytest
from beartype import beartype

import memcap

LIBRARIES = (
    "flax.nnx",
    "hydra",
    "hypothesis",
    "matplotlib.figure",
    "optax",
    "polars",
    "scipy.stats",
)
TYPED = ("tasks", "cells", "loops", "models", "optimizers", "training.step")
for library in LIBRARIES:  # these are imported as they are by everybody
    importlib.import_module(library)
beartype(importlib.import_module)  # imports what beartype needs
typing.TYPE_CHECKING = True  # ty: ignore[invalid-assignment]
with jaxtyping.install_import_hook(
    [f"memcap.{name}" for name in TYPED], "beartype.beartype"
):
    from memcap.cells import cell_class, cell_classes
    from memcap.loops import loops
    from memcap.tasks import Batch, base as tasks_base, task_class, task_classes
    from memcap.training.program import Program

    cell_classes(), task_classes(), loops()
typing.TYPE_CHECKING = False  # ty: ignore[invalid-assignment]

FIELDS = typing.get_type_hints(Batch, vars(tasks_base))
LOOPS = sorted({loop.name for loop in loops()} - {"native"})


def trace(loop="while", **values):
    """Trace a chunk of training and an evaluation of one member."""
    (member,) = memcap.members(
        **{"lag": 3, "units": 4, "recipe": "forget_bias"} | values
    )
    program = Program.of(member, memcap.Engine(loop=loop))
    state, operands, asked = program.example()
    trainer = program.trainer
    jax.eval_shape(jax.vmap(trainer.train_chunk), state, operands)
    jax.eval_shape(jax.vmap(trainer.evaluate), state.params, asked)


def fits(batch):
    """Check that a batch is what its fields' types say, T, B, O and F being one number each."""

    @jaxtyping.jaxtyped(typechecker=None)
    def check() -> bool:
        return all(
            isinstance(value, FIELDS[name]) for name, value in batch._asdict().items()
        )

    return check()


@pytest.mark.parametrize("name", task_classes())
def test_what_a_task_draws_is_trained_on(name):
    task = task_class(name)()
    lag = max(3, task.smallest_lag)
    assert fits(
        task.sample(
            jax.random.key(0),
            jax.numpy.int32(lag),
            jax.numpy.int32(task.length(lag)),
            64,
            2,
        )
    )
    trace(task=name, lag=lag)


@pytest.mark.parametrize("cell", cell_classes())
def test_each_cell(cell):
    own_init = {} if cell_class(cell).gates is not None else {"recipe.init": "flax"}
    trace(task="latch", cell=cell, **own_init)


@pytest.mark.parametrize("loop", LOOPS)
@pytest.mark.parametrize(
    "values",
    [
        {"task": "windows", "length": 12},
        {"task": "adding", "cell": "minGRU"},
        {"task": "copy", "readout": "lstm"},
    ],
)
def test_each_loop_with_windows_reals_and_an_lstm_as_read_out(values, loop):
    trace(loop, **values)


@pytest.mark.parametrize("suffix", ["bfloat16", "bits4", "noise0.1", "carry"])
def test_variants(suffix):
    trace(task="latch", cell=f"lstm+{suffix}")
