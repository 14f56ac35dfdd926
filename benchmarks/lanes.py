"""memcap's lanes side by side on the device that JAX finds, in a process of its own: its ceilings, and
seconds of a chunk."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.growth import Point
from benchmarks.roofline import best
from memcap.runtime import jax_setup
from memcap.training.operands import initial_state, train_operands
from memcap.training.program import Program, compiled, lengths
from memcap.training.step import Trainer, TrainSpec

COPIES = 16  # of a large array, in one wait: what starting them costs is hidden


@dataclass(frozen=True)
class Device:
    """What JAX says of it.

    Args:
        platform: "cpu" where there is no accelerator.
        kind: its name.
        count: how many of them this host has; lanes are timed on the first, a study uses all.
        memory: bytes that JAX may use on it; None where it doesn't say.
    """

    platform: str
    kind: str
    count: int
    memory: int | None


@dataclass(frozen=True)
class Peaks:
    """What the device can do.

    Args:
        bandwidth: bytes a second, read and written, of copying a large array.
        products: float32 operations a second of a large product at the precision "highest", a multiply-add
            being two.
    """

    bandwidth: float
    products: float


@dataclass(frozen=True)
class Timed:
    """A program's chunks.

    Args:
        chunks: seconds of each.
        compile_seconds: of the pair of executables.
    """

    chunks: tuple[float, ...]
    compile_seconds: float


class Lanes:
    """Measures; built in a process of `benchmarks.worker`."""

    def __init__(self) -> None:
        jax_setup.setup()  # flags are read when JAX is first used, not when it is imported

    def device(self) -> Device:
        """The first of them."""
        first = jax.local_devices()[0]
        memory = (first.memory_stats() or {}).get("bytes_limit")
        return Device(first.platform, first.device_kind, jax.local_device_count(), memory)

    def peaks(self, copied: int, size: int, seconds: float) -> Peaks:
        """Each as the best of repeats that take about `seconds`.

        Args:
            copied: bytes of the array that is copied.
            size: of the square matrices.
            seconds: for each of the two.
        """
        copy: Any = jax.jit(jnp.negative)  # a plain copy might be elided

        def copies(array: jax.Array) -> None:
            for _ in range(COPIES):
                made = copy(array)
            made.block_until_ready()

        array = jnp.ones(copied // 4)
        bandwidth = COPIES * 2 * array.nbytes / best(lambda: copies(array), seconds)
        left, right = (jax.random.normal(jax.random.key(k), (size, size)) for k in range(2))
        product: Any = jax.jit(lambda a, b: jnp.matmul(a, b, precision=jax_setup.PRECISION))
        return Peaks(bandwidth, 2 * size**3 / best(lambda: product(left, right).block_until_ready(), seconds))

    def time(self, point: Point, chunks: int, together: bool = True) -> Timed | None:
        """As many lanes as the point has members, through a chunk that doesn't count and then through these.

        Lanes run side by side, as on an accelerator, or one after another, as on a CPU.

        Returns None where the device's memory doesn't hold them.

        Raises:
            RuntimeError: a member has not taken all its steps.
        """
        try:
            return self._time(point, chunks, together)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return None

    def _time(self, point: Point, chunks: int, together: bool) -> Timed | None:
        members = point.resolved()
        spec, loop = TrainSpec.of(members[0]), "associative" if together else "while"
        trainer = Trainer(spec, *lengths(members[0]), loop, side_by_side=together)
        code = compiled(Program(trainer, point.members))
        if code.program.lanes < point.members:
            return None
        trainer = code.program.trainer
        states = jax.device_put(_stacked(partial(initial_state, trainer), members))
        operands = jax.device_put(_stacked(partial(train_operands, trainer), members))
        seconds = []
        for _ in range(1 + chunks):
            start = perf_counter()
            states, _ = jax.block_until_ready(code.train_chunk(states, operands))
            seconds.append(perf_counter() - start)
        wanted = (1 + chunks) * point.every
        if (np.asarray(states.step) != wanted).any():
            raise RuntimeError(f"{point}: not every member took {wanted} steps")
        return Timed(tuple(seconds[1:]), code.seconds)


def _stacked(made: Callable[[Any], Any], members: list[Any]) -> Any:
    """What is made of each member, along a first axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *map(made, members))
