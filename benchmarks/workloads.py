"""What is trained: two of memcap's own tasks, their batches drawn once and given to
everyone as NumPy arrays."""

from dataclasses import dataclass

import jax
import numpy as np

from benchmarks.peers.base import Batches, Shape, Weights
from memcap.cells import Init
from memcap.config.member import task_of
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.tasks import Task

ANSWERED = "Answered at"


@dataclass(frozen=True)
class Workload:
    """A task at one lag and length T, and the widths to train; `key` and `title` are
    those of reports."""

    key: str
    title: str
    task: Task
    lag: int
    steps: int
    batch: int
    units: tuple[int, ...]
    cell: str = "lstm"

    def shape(self, units: int) -> Shape:
        """Return the shape that a contestant is built from."""
        every = self.task.answers == "every"
        return Shape(
            units,
            self.task.features,
            self.task.outputs,
            self.steps,
            self.batch,
            every,
            self.cell,
        )

    def draw(self, count: int, seed: int = 0) -> Batches:
        """Draw that many batches."""
        draw = jax.jit(
            lambda key: self.task.sample(
                key, self.lag, self.steps, self.steps, self.batch
            )
        )
        drawn = [draw(key) for key in jax.random.split(jax.random.key(seed), count)]
        mask = (
            None if drawn[0].mask is None else np.stack([each.mask for each in drawn])
        )
        return Batches(
            np.stack([each.inputs for each in drawn]),
            np.stack([each.targets for each in drawn]),
            mask,
        )

    def start(self, units: int, seed: int = 0) -> Weights:
        """Return memcap's weights, from which everyone starts; an LSTM's with forget
        bias 1, as more would hold rounding errors for longer, too."""
        init = Init(forget=1.0) if self.cell == "lstm" else None
        model = Model(units=units, cell=self.cell)
        return Architecture(model, self.task.features, self.task.outputs).init(
            init, [seed, units]
        )


LATCH = task_of("latch", [])
LINE = task_of("delay_line", [])
LAST = Workload(
    "last",
    f"{ANSWERED} the last step: a latch of lag 58",
    LATCH,
    58,
    60,
    128,
    (8, 16, 32, 64),
)
EVERY = Workload(
    "every",
    f"{ANSWERED} every step: a delay line of lag 10",
    LINE,
    10,
    60,
    64,
    (2, 4, 8, 16),
)
WORKLOADS = (LAST, EVERY)
