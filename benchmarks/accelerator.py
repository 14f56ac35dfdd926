"""On a GPU or TPU: member-steps a second by lanes, beside its ceilings; a small study, beside PyTorch, Flax
and the CPU."""

import argparse
import os
import statistics
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from benchmarks import process, report, study
from benchmarks.estimate import Estimate
from benchmarks.growth import Point
from benchmarks.lanes import Device, Peaks, Timed
from benchmarks.loop import StudyPlan
from benchmarks.peers import CONTESTANTS
from benchmarks.peers.base import LR, Shape
from benchmarks.report import say
from benchmarks.roofline import products
from benchmarks.runner import Outcome
from benchmarks.study import Sample
from benchmarks.worker import Worker

PEERS = ()  # PyTorch is timed where it is installed: its CUDA and JAX's need not fit into one environment
SYMBOLS = 2  # of the delay line
MIB = 1 << 20
OURS = "engine"
TARGET = "benchmarks.lanes:Lanes"
TITLES = {  # of those of `benchmarks.loop`
    OURS: "memcap on this device",
    "vmap": "Flax linen under `vmap`, the seeds of a shape side by side",
    "torch": "`torch.nn.LSTM`, one run after another",
    "workers": "memcap on this machine's CPU, a worker a core",
}


@dataclass(frozen=True)
class AcceleratorPlan:
    """What is measured.

    Args:
        lags: of the delay line, T = 4 lag, by units.
        lanes: members side by side.
        batch: sequences B a step.
        every: steps of a chunk.
        chunks: that count, after one that doesn't.
        copied: bytes of the array that is copied.
        size: of the matrices that are multiplied.
        seconds: for each of the two.
        study: what everybody trains.
        rounds: how often.
    """

    lags: tuple[tuple[int, int], ...] = ((8, 8), (16, 16), (50, 50))
    lanes: tuple[int, ...] = (1, 4, 16, 64, 256, 1024, 4096)
    batch: int = 32
    every: int = 50
    chunks: int = 5
    copied: int = 1 << 28
    size: int = 8192
    seconds: float = 3.0
    study: StudyPlan = field(default_factory=lambda: StudyPlan(seeds=16))
    rounds: int = 2

    def point(self, units: int, lag: int, lanes: int) -> Point:
        """The members of one measurement."""
        return Point(lanes, lag, units, self.batch, steps=(1 + self.chunks) * self.every, every=self.every)


TINY = AcceleratorPlan(
    lags=((2, 1),),
    lanes=(1, 3),
    batch=2,
    every=3,
    chunks=2,
    copied=1 << 16,
    size=64,
    seconds=0.001,
    study=StudyPlan(lengths=(4,), units=(2,), seeds=2, steps=4, batch=8),
    rounds=1,
)


@dataclass(frozen=True)
class Floor:
    """The least that a member's step costs.

    Args:
        moved: bytes to and from memory.
        operations: of its products.
    """

    moved: int
    operations: int

    @classmethod
    def of(cls, point: Point) -> "Floor":
        """`Estimate.bytes_a_step` and `roofline.products` say what is counted."""
        assert isinstance(point.units, int)
        shape = Shape(point.units, SYMBOLS, SYMBOLS, 4 * point.lag, point.batch, every=True)
        made = Estimate(
            units=shape.units, length=shape.steps, batch=shape.batch, features=SYMBOLS, outputs=SYMBOLS
        )
        return cls(made.bytes_a_step, products(shape))

    def seconds(self, peaks: Peaks) -> tuple[float, float]:
        """Of a member's step, for its bytes and for its operations; the larger is the floor."""
        return self.moved / peaks.bandwidth, self.operations / peaks.products


@dataclass(frozen=True)
class Measured:
    """All of a run.

    Args:
        device: where.
        peaks: what it can do.
        timed: each point that was tried; None: memory didn't hold it, and no more lanes were tried.
        torch: where PyTorch trains, "cuda" or "cpu"; None where it isn't installed.
        samples: of the study.
    """

    device: Device
    peaks: Peaks
    timed: list[tuple[Point, Timed | None]]
    torch: str | None
    samples: list[Sample]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No others. Nothing is pinned: the host feeds the device, and the CPU's workers take all cores."""
    parser.set_defaults(core=None)


def benchmark(arguments: argparse.Namespace, facts: Mapping[str, Any]) -> Outcome:
    """Lanes, then the study. Without an accelerator nothing is measured, as a CPU's numbers would say
    nothing; tests may."""
    plan, haste = (TINY, process.HASTE) if arguments.tiny else (AcceleratorPlan(), {})
    on_device = {"JAX_PLATFORMS": os.environ.get("JAX_PLATFORMS", ""), **haste}  # "": JAX takes what it finds
    with Worker(TARGET, None, on_device) as worker:
        worker.call("build")
        device = worker.call("device")
        if device.platform == "cpu" and not arguments.tiny:
            raise SystemExit(
                "no accelerator: JAX finds the CPU alone (for NVIDIA: pip install '.[cuda]'). Nothing was"
                " measured"
            )
        say("copies and products")
        peaks = worker.call("peaks", plan.copied, plan.size, plan.seconds)
    torch = torch_device(on_device)
    if not arguments.tiny:  # no one is the first to read its library from disk, and who fails does so at once
        race(TINY, torch is not None, on_device, haste)
    timed = lanes(plan, on_device)
    measured = Measured(device, peaks, timed, torch, race(plan, torch is not None, on_device, haste))
    return Outcome(page(measured, plan, facts), {"plan": asdict(plan), **asdict(measured)})


def lanes(plan: AcceleratorPlan, environment: Mapping[str, str]) -> list[tuple[Point, Timed | None]]:
    """More and more of them at each width, until memory doesn't hold them. A process a width: each starts
    with all of it."""
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


def torch_device(environment: Mapping[str, str]) -> str | None:
    """See `Measured.torch`."""
    if CONTESTANTS["torch"].missing:
        return None
    code = "from benchmarks.peers.torch import DEVICE; print(DEVICE)"
    return process.run([sys.executable, "-c", code], None, environment).output.strip()


def race(
    plan: AcceleratorPlan, torch: bool, on_device: Mapping[str, str], on_cpu: Mapping[str, str]
) -> list[Sample]:
    """The study by everyone in turn, every compilation cache empty; each round in the order of the one before
    turned round."""
    names = [name for name in TITLES if torch or name != "torch"]
    samples = []
    for k in range(plan.rounds):
        for name in names if k % 2 == 0 else reversed(names):
            say(f"round {k + 1} of {plan.rounds}: {TITLES[name]}")
            with tempfile.TemporaryDirectory(prefix="memcap-benchmark-") as cache:
                environment = {**(on_cpu if name == "workers" else on_device), "XDG_CACHE_HOME": cache}
                # memcap's own: Flax would round on a GPU
                environment["JAX_DEFAULT_MATMUL_PRECISION"] = "highest"
                samples.append(study.script(name, "cold", plan.study, None, environment))
    return samples


def page(measured: Measured, plan: AcceleratorPlan, facts: Mapping[str, Any]) -> str:
    """The report, as Markdown."""
    device, peaks = measured.device, measured.peaks
    memory = "" if device.memory is None else f", {device.memory / (1 << 30):.0f} GiB for JAX"
    notes = [
        f"device: {device.kind} ({device.platform}){memory}; {device.count} here, lanes on one of them, the"
        " study on all",
        f"measured ceilings: copies of {plan.copied / MIB:g} MiB {peaks.bandwidth / 1e9:.3g} GB/s, read and"
        " written;"
        f" float32 products of {plan.size:,} x {plan.size:,} {peaks.products / 1e12:.3g} TFLOP/s",
    ]
    body = [*lane_lines(measured, plan), *study_lines(measured, plan.study)]
    return report.page("On an accelerator", facts, notes, body)


def lane_lines(measured: Measured, plan: AcceleratorPlan) -> list[str]:
    """Member-steps a second, and the floor of each width."""
    places = {(point.units, point.members): each for point, each in measured.timed}
    floors = {units: Floor.of(plan.point(units, lag, 1)) for units, lag in plan.lags}

    def cell(units: int, count: int) -> str:
        each = places.get((units, count))
        if each is None:
            return "memory too small"
        rate = count * plan.every / statistics.median(each.chunks)
        return f"{rate:,.0f} ({rate * max(floors[units].seconds(measured.peaks)):.2%})"

    rows = [[f"{count:,}", *(cell(units, count) for units, _ in plan.lags)] for count in plan.lanes]
    lines = []
    for units, lag in plan.lags:
        memory, arithmetic = floors[units].seconds(measured.peaks)
        sizes = f"{floors[units].moved / MIB:.3g}", f"{floors[units].operations / 1e6:.3g}"
        rates = (f"{1 / seconds:,.0f}" for seconds in (memory, arithmetic))
        lines.append(
            [f"{units} units, lag {lag}", *sizes, *rates, "memory" if memory >= arithmetic else "arithmetic"]
        )
    return [
        "",
        "## Member-steps a second",
        "",
        f"In brackets the share of the floor. A delay line, T = 4 lag, {plan.batch} sequences a step;"
        " members that differ in"
        f" their seed, in the lanes of one program, none near a verdict; median of {plan.chunks} chunks of"
        f" {plan.every} steps"
        " after one that doesn't count; without compiling, without evaluations.",
        "",
        report.table(["lanes", *(f"{units} units, lag {lag}" for units, lag in plan.lags)], rows),
        "",
        "The floor: bytes that a member's step must move (`benchmarks/estimate.py`) at the speed of a copy,"
        " or its products at"
        " the peak, whichever takes longer. What stays in a cache need not move: more than 100 % is"
        " possible where all does.",
        "",
        report.table(
            ["", "MiB moved", "MFLOP", "steps/s by memory", "steps/s by arithmetic", "bound by"], lines
        ),
    ]


def study_lines(measured: Measured, plan: StudyPlan) -> list[str]:
    """Wall clock of the same study by everyone."""
    found: dict[str, list[Sample]] = {}
    for sample in measured.samples:
        found.setdefault(sample.contestant, []).append(sample)
    ours = statistics.median(sample.wall for sample in found[OURS])
    rows = []
    for name, title in TITLES.items():
        if name == "torch" and measured.torch:
            title = f"{title}, on {measured.torch}"
        if name not in found:
            rows.append([title, "not installed", "", "", ""])
            continue
        walls = [sample.wall for sample in found[name]]
        wall, rest = statistics.median(walls), statistics.median(sample.less_data for sample in found[name])
        spread = f"{wall:.1f} [{min(walls):.1f}, {max(walls):.1f}]"
        rows.append([title, spread, f"{rest:.1f}", f"{wall / ours:.2f}", f"{rest / ours:.2f}"])
    return [
        "",
        "## A small study, from process start",
        "",
        f"{len(plan.runs)} runs of {plan.steps} steps: latch, T = {', '.join(map(str, plan.lengths))},"
        f" {', '.join(map(str, plan.units))} units, {plan.seeds} seeds, {plan.batch} sequences a step,"
        f" learning rate {LR}, full"
        " float32; nothing stops early. Seconds, imports and compiling included, caches empty; the others'"
        " data are drawn by"
        " NumPy and laid out within the clock, and taken off in the second column. memcap also evaluates"
        " every member, at 20"
        " times the lag, too.",
        "",
        report.table(
            ["", "median [least, most]", "data taken off", "times memcap's", "data taken off"], rows
        ),
    ]
