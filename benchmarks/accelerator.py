"""Member-steps a second on a GPU or TPU, by lanes side by side, beside what the device can do."""

import argparse
import os
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import process, report
from benchmarks.cost import Point
from benchmarks.peers.base import Shape
from benchmarks.report import say
from benchmarks.roofline import best, moved, products
from benchmarks.runner import Outcome
from benchmarks.worker import Worker
from memcap.runtime import jax_setup
from memcap.training.host import initial_state, train_operands
from memcap.training.program import Program, compiled, lengths
from memcap.training.step import Trainer, TrainSpec

PEERS = ()  # memcap alone
SYMBOLS = 2  # of the delay line
MIB = 1 << 20
TARGET = "benchmarks.accelerator:Lanes"
Timed = tuple[Point, tuple[float, ...] | None]
COPIES = 16  # of a large array, in one wait: what starting them costs is hidden


@dataclass(frozen=True)
class Device:
    """The first device that JAX finds, how many there are, and the bytes that it may
    use, if it says so."""

    platform: str
    kind: str
    count: int
    memory: int | None


@dataclass(frozen=True)
class Peaks:
    """The device's ceilings: bytes per second, read and written, and float32 operations
    of large products."""

    bandwidth: float
    products: float


class Lanes:
    """Measures; built in a process of `benchmarks.worker`."""

    def __init__(self) -> None:
        jax_setup.setup()  # flags are read when JAX is first used, not when it is imported

    def device(self) -> Device:
        """Return the first device."""
        first = jax.local_devices()[0]
        memory = (first.memory_stats() or {}).get("bytes_limit")
        return Device(
            first.platform, first.device_kind, jax.local_device_count(), memory
        )

    def peaks(self, copied: int, size: int, seconds: float) -> Peaks:
        """Measure the ceilings, each as the best of repeats in about `seconds`: copies
        of an array of so many bytes, and a product of square matrices of that size."""
        copy: Any = jax.jit(jnp.negative)  # a plain copy might be elided

        def copies(array: jax.Array) -> None:
            for _ in range(COPIES):
                made = copy(array)
            made.block_until_ready()

        array = jnp.ones(copied // 4)
        bandwidth = COPIES * 2 * array.nbytes / best(lambda: copies(array), seconds)
        left, right = (
            jax.random.normal(jax.random.key(k), (size, size)) for k in range(2)
        )
        product: Any = jax.jit(
            lambda a, b: jnp.matmul(a, b, precision=jax_setup.PRECISION)
        )
        return Peaks(
            bandwidth,
            2
            * size**3
            / best(lambda: product(left, right).block_until_ready(), seconds),
        )

    def time(self, point: Point, chunks: int) -> tuple[float, ...] | None:
        """Train as many lanes as the point has members, side by side; return the
        seconds of each chunk.

        A chunk before these does not count. None: the device's memory doesn't hold them.

        Raises:
            RuntimeError: a member has not taken all its steps.
        """
        try:
            return self._time(point, chunks)
        except jax.errors.JaxRuntimeError as error:
            if "RESOURCE_EXHAUSTED" not in str(error):
                raise
            return None

    def _time(self, point: Point, chunks: int) -> tuple[float, ...] | None:
        members = point.resolved()
        spec = TrainSpec.of(members[0])
        trainer = Trainer(spec, *lengths(members[0]), "associative", side_by_side=True)
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
        return tuple(seconds[1:])


def _stacked(made: Callable[[Any], Any], members: list[Any]) -> Any:
    """Stack what is made of each member, along a first axis."""
    return jax.tree.map(lambda *leaves: np.stack(leaves), *map(made, members))


@dataclass(frozen=True)
class AcceleratorPlan:
    """Lags by units, T = 4 lag, and lanes side by side; chunks of `every` steps count,
    but for the first.

    `copied` bytes and a product of two matrices of `size` tell the device's ceilings,
    in `seconds` each.
    """

    lags: tuple[tuple[int, int], ...] = ((8, 8), (16, 16), (50, 50))
    lanes: tuple[int, ...] = (1, 4, 16, 64, 256, 1024, 4096)
    batch: int = 32
    every: int = 50
    chunks: int = 5
    copied: int = 1 << 28
    size: int = 8192
    seconds: float = 3.0

    def point(self, units: int, lag: int, lanes: int) -> Point:
        """Return the members of one measurement."""
        return Point(
            lanes,
            lag,
            units,
            self.batch,
            steps=(1 + self.chunks) * self.every,
            every=self.every,
        )


TINY = AcceleratorPlan(
    ((2, 1),),
    (1, 3),
    batch=2,
    every=3,
    chunks=2,
    copied=1 << 16,
    size=64,
    seconds=0.001,
)


class Floor(NamedTuple):
    """The least that a member's step costs: bytes to and from memory, operations of its
    products."""

    moved: int
    operations: int

    @classmethod
    def of(cls, point: Point) -> "Floor":
        """Count as `roofline.moved` and `roofline.products` say."""
        assert isinstance(point.units, int)
        shape = Shape(
            point.units, SYMBOLS, SYMBOLS, 4 * point.lag, point.batch, every=True
        )
        cell = 4 * point.units * (SYMBOLS + point.units + 1)
        return cls(moved(shape, cell + (point.units + 1) * SYMBOLS), products(shape))

    def seconds(self, peaks: Peaks) -> tuple[float, float]:
        """Return a member's step, for its bytes and for its operations; the larger is the floor."""
        return self.moved / peaks.bandwidth, self.operations / peaks.products


@dataclass(frozen=True)
class Measured:
    """A whole run: seconds of chunks by point; None: memory didn't hold it, and no more
    lanes were tried."""

    device: Device
    peaks: Peaks
    timed: list[Timed]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add none. Nothing is pinned: the host feeds the device."""
    parser.set_defaults(core=None)


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Measure. Without an accelerator nothing is measured, as a CPU's numbers say
    nothing; tests may."""
    plan, haste = (TINY, process.HASTE) if arguments.tiny else (AcceleratorPlan(), {})
    on_device = {
        "JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", ""),
        **haste,
    }  # "": JAX takes what it finds
    with Worker(TARGET, None, on_device) as worker:
        worker.call("build")
        device = worker.call("device")
        if device.platform == "cpu" and not arguments.tiny:
            raise SystemExit(
                "no accelerator: JAX finds the CPU alone (for NVIDIA: pip install '.[cuda]')."
                " Nothing was measured"
            )
        say("copies and products")
        peaks = worker.call("peaks", plan.copied, plan.size, plan.seconds)
    measured = Measured(device, peaks, lanes(plan, on_device))
    return Outcome(page(measured, plan, facts), {"plan": plan, **vars(measured)})


def lanes(plan: AcceleratorPlan, environment: Mapping[str, str]) -> list[Timed]:
    """Time more and more lanes at each width, until memory doesn't hold them. Each
    width has a process of its own, which starts with all of the memory."""
    timed = []
    for units, lag in plan.lags:
        with Worker(TARGET, None, {**environment, **process.NO_CACHE}) as worker:
            worker.call("build")
            for count in plan.lanes:
                say(f"{units} units, {count} lanes")
                point = plan.point(units, lag, count)
                timed.append((point, worker.call("time", point, plan.chunks)))
                if timed[-1][1] is None:
                    break
    return timed


def page(measured: Measured, plan: AcceleratorPlan, facts: Mapping[str, Any]) -> str:
    """Write the report, as Markdown."""
    device = measured.device
    peaks = measured.peaks
    memory = (
        ""
        if device.memory is None
        else f", {device.memory / (1 << 30):.0f} GiB for JAX"
    )
    notes = [
        (
            f"device: {device.kind} ({device.platform}){memory}; {device.count} here, lanes on"
            " one of them"
        ),
        (
            f"measured ceilings: copies of {plan.copied / MIB:g} MiB {peaks.bandwidth / 1e9:.3g}"
            f" GB/s, read and written; float32 products of {plan.size:,} x {plan.size:,}"
            f" {peaks.products / 1e12:.3g} TFLOP/s"
        ),
    ]
    return report.page("On an accelerator", facts, notes, lane_lines(measured, plan))


def lane_lines(measured: Measured, plan: AcceleratorPlan) -> list[str]:
    """Write the member-steps per second, and the floor of each width."""
    places = {(point.units, point.members): each for point, each in measured.timed}
    floors = {units: Floor.of(plan.point(units, lag, 1)) for units, lag in plan.lags}

    def cell(units: int, count: int) -> str:
        each = places.get((units, count))
        if each is None:
            return "memory too small"
        rate = count * plan.every / statistics.median(each)
        return f"{rate:,.0f} ({rate * max(floors[units].seconds(measured.peaks)):.2%})"

    rows = [
        [f"{count:,}", *(cell(units, count) for units, _ in plan.lags)]
        for count in plan.lanes
    ]
    lines = []
    for units, lag in plan.lags:
        memory, arithmetic = floors[units].seconds(measured.peaks)
        sizes = (
            f"{floors[units].moved / MIB:.3g}",
            f"{floors[units].operations / 1e6:.3g}",
        )
        rates = (f"{1 / seconds:,.0f}" for seconds in (memory, arithmetic))
        lines.append(
            [
                f"{units} units, lag {lag}",
                *sizes,
                *rates,
                "memory" if memory >= arithmetic else "arithmetic",
            ]
        )
    return [
        "",
        "## Member-steps a second",
        "",
        (
            f"In brackets the share of the floor. A delay line, T = 4 lag, {plan.batch} sequences"
            " a step; members that differ in their seed, in the lanes of one program, none near"
            f" a verdict; median of {plan.chunks} chunks of {plan.every} steps after one that"
            " doesn't count; without compiling, without evaluations."
        ),
        "",
        report.table(
            ["lanes", *(f"{units} units, lag {lag}" for units, lag in plan.lags)], rows
        ),
        "",
        (
            "The floor: bytes that a member's step must move (`benchmarks/roofline.py`) at the"
            " speed of a copy, or its products at the peak, whichever takes longer. What stays in"
            " a cache need not move: more than 100 % is possible where all does."
        ),
        "",
        report.table(
            [
                "",
                "MiB moved",
                "MFLOP",
                "steps/s by memory",
                "steps/s by arithmetic",
                "bound by",
            ],
            lines,
        ),
    ]
