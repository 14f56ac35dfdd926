"""memcap's own training in a process of its own: what the cost benchmark measures there."""

import resource
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from memcap.config import Engine, Member, resolve
from memcap.runtime import jax_setup
from memcap.training.engine import train
from memcap.training.program import Program, compiled


@dataclass(frozen=True)
class Point:
    """Equal members of a delay line, T = 4 lag, that nothing stops before their last step.

    Args:
        members: that differ in their seed.
        lag: of the delay line.
        units: width U; several make as many members each.
        batch: sequences B a step.
        steps: training steps of a member.
        every: steps between stop checks; 0: one check, at the end.
    """

    members: int = 1
    lag: int = 16
    units: int | tuple[int, ...] = 16
    batch: int = 64
    steps: int = 200
    every: int = 0

    def resolved(self, first_seed: int = 0) -> list[Member]:
        """As the engine takes them. A learning rate of 1e-9 leaves them at chance: no verdict is ever
        near."""
        recipe = {"name": "forget_bias", "lr": 1e-9, "batch": self.batch, "budget": self.steps}
        evaluation = {"every": self.every or self.steps, "sequences": 1, "stretch": 1}
        return [
            resolve(
                {
                    "task": {"name": "delay_line", "lag": self.lag, "length": 4 * self.lag},
                    "model": {"units": units},
                    "recipe": recipe,
                    "evaluation": evaluation,
                    "seed": first_seed + k,
                }
            )
            for units in ([self.units] if isinstance(self.units, int) else self.units)
            for k in range(self.members)
        ]


class Trainer:
    """Trains points; built in a process of `benchmarks.worker`."""

    def __init__(self) -> None:
        jax_setup.setup()  # flags are read when JAX is first used, not when it is imported
        self.seed = 0

    def train(self, point: Point, workers: int = 1) -> tuple[float, float]:
        """Train a point's members, each time others. Seconds by the wall, and those that members took.

        Raises:
            RuntimeError: a member has not taken all its steps.
        """
        members = point.resolved(self.seed)
        self.seed += point.members
        start = time.perf_counter()
        ended = train(members, Engine(loop="reproducible", workers=workers))
        wall = time.perf_counter() - start
        if any(each.steps != point.steps for each in ended):
            raise RuntimeError(f"{point}: took {sorted({each.steps for each in ended})} steps")
        return wall, sum(each.run_seconds for each in ended)

    def planned(self, point: Point) -> int:
        """Bytes of temporaries that XLA has planned for the training program."""
        return compiled(Program.of(point.resolved()[0])).train_chunk.memory_analysis().temp_size_in_bytes

    def peak(self) -> int:
        """Bytes of memory that this process has held at most."""
        status = Path("/proc/self/status")
        if status.exists():  # getrusage would also count what the parent held when it started this process
            return 1024 * next(
                int(line.split()[1]) for line in status.read_text().splitlines() if line.startswith("VmHWM")
            )
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)
