"""Which kernel runs a program's loop over time on a CPU: XLA's, or the LSTM in C (memcap/native/)."""

from functools import cache

import jax
import numpy as np

from memcap.cells import cell_class
from memcap.cells.lstm import LSTM
from memcap.config import Engine
from memcap.tasks import Task
from memcap.training.step import Shape


def kernel_of(shape: Shape, steps: int, engine: Engine) -> str:
    """ "native" where the engine has settled on it and it serves all that these members run over time, else
    "xla"."""
    return "native" if engine.kernel == "native" and serves(shape, steps) else "xla"


def serves(shape: Shape, steps: int) -> bool:
    """Whether the kernel in C runs over time what members of this shape do: memcap's own LSTM, on sequences
    without windows.

    Args:
        shape: theirs.
        steps: buffer T of their training sequences.
    """
    return cell_class(shape.architecture.model.cell) is LSTM and not _has_windows(shape.task, steps)


@cache
def _has_windows(task: Task, steps: int) -> bool:
    number, key = np.int32(1), np.zeros(2, np.uint32)
    drawn = jax.eval_shape(
        lambda key, lag, length: task.sample(jax.random.wrap_key_data(key), lag, length, steps, 1),
        key,
        number,
        number,
    )
    return drawn.boundary is not None
