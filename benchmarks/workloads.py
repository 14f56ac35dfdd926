"""What is trained: two of memcap's own tasks, their batches drawn once and given to everyone as NumPy
arrays."""

from dataclasses import dataclass

import jax
import numpy as np

from benchmarks.peers.base import Batches, Shape, Weights
from memcap.config import task_of
from memcap.models.initializers import Init
from memcap.models.model import Model
from memcap.models.network import Architecture
from memcap.tasks import Task


@dataclass(frozen=True)
class Workload:
    """A task at one lag and length, and the widths to train.

    Args:
        key: how files and the command line call it.
        title: as the report prints it.
        task: with its knobs.
        lag: of the task.
        steps: length T of the sequences.
        batch: B sequences a step.
        units: widths U.
        cell: as `model.cell` names it.
    """

    key: str
    title: str
    task: Task
    lag: int
    steps: int
    batch: int
    units: tuple[int, ...]
    cell: str = "lstm"

    def shape(self, units: int) -> Shape:
        """What a contestant is built from."""
        every = self.task.answers == "every"
        return Shape(units, self.task.features, self.task.outputs, self.steps, self.batch, every, self.cell)

    def draw(self, count: int, seed: int = 0) -> Batches:
        """That many batches."""
        draw = jax.jit(lambda key: self.task.sample(key, self.lag, self.steps, self.steps, self.batch))
        drawn = [draw(key) for key in jax.random.split(jax.random.key(seed), count)]
        mask = None if drawn[0].mask is None else np.stack([each.mask for each in drawn])
        return Batches(
            np.stack([each.inputs for each in drawn]), np.stack([each.targets for each in drawn]), mask
        )

    def start(self, units: int, seed: int = 0) -> Weights:
        """Weights from which everyone starts: memcap's; an LSTM's with forget bias 1, as more would hold
        rounding errors for longer, too."""
        init = Init(forget=1.0) if self.cell == "lstm" else None
        model = Model(units=units, cell=self.cell)
        return Architecture(model, self.task.features, self.task.outputs).init(init, [seed, units])


LAST = Workload(
    "last",
    "Answered at the last step: a latch of lag 58",
    task_of("latch", []),
    lag=58,
    steps=60,
    batch=128,
    units=(8, 16, 32, 64),
)
EVERY = Workload(
    "every",
    "Answered at every step: a delay line of lag 10",
    task_of("delay_line", []),
    lag=10,
    steps=60,
    batch=64,
    units=(2, 4, 8, 16),
)
WORKLOADS = (LAST, EVERY)
