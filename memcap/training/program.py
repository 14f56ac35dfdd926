"""The compiled programs that train populations: lanes, groups, devices and memory.

Each lane holds a member of one spec, whatever its lag, rate, budget or seed; one call
trains every lane for a chunk, another scores them (step.py).

On accelerators compiling takes longer than a short study, so widths (up to 4, 16, 64
... units) and lengths (64, 256 ... steps) share a program, padded. That is exact: a
unit whose weights are all zero outputs zero and never learns.

On a CPU XLA's loops have a program per width, as padding costs time and changes last
bits. Loops in C skip padding: there widths share a program if padding
(`Loop.seconds_per_padded_weight`) costs less than compiling.
"""

import math
import os
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache, cached_property, partial
from typing import Any, NamedTuple, Self

import jax
import numpy as np
from jax import lax

from memcap import loops
from memcap.cells import cell_class
from memcap.cells.lstm import LSTM
from memcap.config.member import Engine, Member
from memcap.runtime import jax_setup
from memcap.tasks import FileTask, Task
from memcap.training.evaluation import EvalOperands
from memcap.training.host import empty_operands, empty_state
from memcap.training.step import Trainer, TrainOperands, TrainSpec, TrainState

# Of programs that several widths and lengths share: the first bucket, and the next ones
SMALLEST_WIDTH = 4
SMALLEST_BUFFER = 64
GROWTH = 4
# to compile another program, on a core of an AMD EPYC (Zen 4); see `python -m benchmarks study`
SECONDS_A_PROGRAM = 1.0
MEMBERS = "members"  # the axis of the device mesh
# Less work for LLVM, on CPUs. An evaluation compiles in two thirds of the time and runs
# as fast. So does training on at most 32 sequences, whose loops LLVM unrolls: 1.3 s
# instead of 3.3 s (delay line, lag 50, 50 units). With 128 it runs 15 % slower.
FAST_COMPILE: dict[str, Any] = {"xla_backend_optimization_level": 2}
MAX_PROGRAMS = 64  # that a process keeps
# bytes of arrays in these, as each holds all sequences of a user's file
MAX_CONSTANTS = 2**29
MEMORY_FRACTION = 0.9  # of a device's memory that a program may take
_lock = threading.Lock()
_beside = ThreadPoolExecutor(thread_name_prefix="memcap-compile")
_jobs: dict["Program", Future["Executables"]] = {}


def lengths(member: Member) -> tuple[int, int]:
    """Return the steps of a member's sequences, and of its longest evaluation."""
    stretched = member.task.stretched(member.lag, member.evaluation.stretch)
    evaluated = [stretched, *member.lengths]
    return member.length, max(member.length, *(length for _, length in evaluated))


def loop_of(spec: TrainSpec, steps: int, engine: Engine) -> loops.Choice:
    """Choose the loop of a spec, for training sequences of up to `steps` steps."""
    model = spec.architecture.model
    knobs = {"model": model, "recipe": spec.recipe}
    windows = _has_windows(spec.task, steps)
    request = loops.Request(
        cell_class(model.cell), jax.default_backend(), windows, knobs
    )
    return loops.choose(engine.loop, request)


def loop_version(trainer: Trainer) -> str:
    model = trainer.spec.architecture.model
    platform = jax.default_backend()
    cells = [cell_class(model.cell), *[LSTM] * (model.readout == "lstm")]
    requests = [loops.Request(cell, platform, windows=False) for cell in cells]
    return loops.version(trainer.loop, requests)


def program_id(trainer: Trainer) -> str:
    """Return a program in words: all that decides its states' layout and results."""
    together = "side by side" if trainer.side_by_side else "one after another"
    return f"{trainer.spec!r} {together} {loop_version(trainer)}"


@cache
def _has_windows(task: Task, steps: int) -> bool:
    number = np.int32(1)
    key = np.zeros(2, np.uint32)

    def sample(key: Any, lag: Any, length: Any) -> Any:
        return task.sample(jax.random.wrap_key_data(key), lag, length, steps, 1)

    return jax.eval_shape(sample, key, number, number).window_starts is not None


@dataclass(frozen=True)
class Program:
    """Everything that a pair of executables depends on."""

    trainer: Trainer  # the functions of a lane, and whether lanes run side by side or in turn
    lanes: int  # members in flight, a multiple of `devices`
    devices: int = 1  # devices that share the lanes
    # where they are devices that this machine need not have; empty: those of this host
    chips: tuple[jax.Device, ...] = ()

    @classmethod
    def of(cls, member: Member, engine: Engine | None = None) -> Self:
        """Return the program that would train this member alone, in one lane."""
        spec = TrainSpec.of(member)
        choice = loop_of(spec, member.length, engine or Engine(loop="while"))
        return cls(Trainer(spec, *lengths(member), *choice), 1)

    @property
    def spec(self) -> TrainSpec:
        return self.trainer.spec

    @property
    def name(self) -> str:
        return self.spec.name

    def mesh(self) -> jax.sharding.Mesh:
        chips = self.chips or jax.local_devices()
        return jax.sharding.Mesh(chips[: self.devices], (MEMBERS,))

    def map_over_lanes(self, function: Callable[..., Any]) -> Callable[..., Any]:
        if not self.trainer.side_by_side:
            return lambda *arguments: lax.map(lambda each: function(*each), arguments)
        if self.devices == 1:
            return jax.vmap(function)
        # A shard has its own loops: no device waits for the lanes of another within a chunk.
        lanes = jax.sharding.PartitionSpec(MEMBERS)
        return jax.shard_map(
            jax.vmap(function),
            mesh=self.mesh(),
            in_specs=lanes,
            out_specs=lanes,
            check_vma=False,
        )

    def example(self) -> tuple[TrainState, TrainOperands, EvalOperands]:
        """Return the shapes of the executables' arguments, with shardings."""
        sharding = None
        if self.chips:
            lanes = jax.sharding.PartitionSpec(MEMBERS)
            sharding = jax.sharding.NamedSharding(self.mesh(), lanes)

        def stacked(leaf: Any) -> jax.ShapeDtypeStruct:
            shape = (self.lanes, *leaf.shape)
            return jax.ShapeDtypeStruct(shape, leaf.dtype, sharding=sharding)

        state = empty_state(self.trainer)
        return jax.tree.map(stacked, (state, *empty_operands(self.trainer)))


def way_of(program: Program) -> dict[str, Any]:
    trainer = program.trainer
    sizes = {
        "program_units": program.spec.architecture.model.units,
        "program_steps": trainer.max_length,
    }
    xla_flags = os.environ.get("XLA_FLAGS", "")
    way = {"loop": trainer.loop, "side_by_side": trainer.side_by_side}
    return {**way, **sizes, "xla_flags": xla_flags}


class Group(NamedTuple):
    """Members that share programs: of one spec, except its width, and length bucket."""

    spec: TrainSpec  # at the width of their bucket
    bucket: int  # of lengths; 0 where a program serves every length at no cost
    loop: str  # over time
    side_by_side: bool  # whether they run under `vmap`


def bucket(number: int, smallest: int) -> int:
    """Return the first of smallest * GROWTH^k that is at least `number`."""
    size = smallest
    while size < number:
        size *= GROWTH
    return size


class Groups:
    """The groups of a study's members.

    Programs of loops in C depend on all `members`; a member not among them has a
    program per width.
    """

    def __init__(self, engine: Engine, members: Iterable[Member] = ()):
        self.engine = engine
        steps: dict[str, Counter[TrainSpec]] = defaultdict(Counter)
        for member in dict.fromkeys(members):
            spec = TrainSpec.of(member)
            loop, side_by_side = loop_of(spec, member.length, engine)
            if not side_by_side and spec.can_pad:
                steps[loop][spec] += member.recipe.budget
        self.programs: dict[TrainSpec, TrainSpec] = {}
        for loop, counts in steps.items():
            if (cost := loops.padding_cost(loop)) is not None:
                self.programs |= shared_programs(counts, cost)

    def of(self, member: Member) -> Group:
        spec = TrainSpec.of(member)
        choice = loop_of(spec, member.length, self.engine)
        if not choice.side_by_side:
            return Group(self.programs.get(spec, spec), 0, *choice)
        spec = replace(spec, has_curriculum=True)
        if spec.can_pad:
            spec = spec.at_width(bucket(member.model.units, SMALLEST_WIDTH))
        return Group(spec, bucket(member.length, SMALLEST_BUFFER), *choice)


def shared_programs(
    steps: Mapping[TrainSpec, int], seconds_per_weight: float
) -> dict[TrainSpec, TrainSpec]:
    """Return the spec of the program for the members of each spec; one loop serves all.

    From the widest down, a width joins the current program if padding its `steps` costs
    less than compiling another one.
    """
    shared: dict[TrainSpec, TrainSpec] = {}
    # the current program, by what all widths have in common
    wider: dict[TrainSpec, TrainSpec] = {}
    for spec in sorted(steps, key=lambda spec: -spec.architecture.model.units):
        family = spec.at_width(1)
        program = wider.get(family, spec)
        weights = program.architecture.parameters() - spec.architecture.parameters()
        if steps[spec] * weights * seconds_per_weight > SECONDS_A_PROGRAM:
            program = spec
        shared[spec] = program
        wider[family] = program
    return shared


class Size(NamedTuple):
    """Units, the longest training sequence, and the longest of an evaluation."""

    units: int
    max_length: int
    max_eval_length: int

    @classmethod
    def needed_by(cls, member: Member) -> Self:
        return cls(member.model.units, *lengths(member))

    @classmethod
    def max_of(cls, sizes: Iterable[Self]) -> Self:
        return cls(*map(max, zip(*sizes, strict=True)))

    def fits(self, other: Self) -> bool:
        return self.max_of([self, other]) == other


def size_of(program: Program) -> Size:
    trainer = program.trainer
    return Size(
        program.spec.architecture.model.units,
        trainer.max_length,
        trainer.max_eval_length,
    )


@dataclass(frozen=True)
class Executables:
    """The two executables of a program."""

    program: Program  # the program that was compiled
    # (states, which are used up, operands) -> states, losses (lanes, evaluation.every)
    train_chunk: Any
    # `evaluate`, and when it was ready; it may still be compiling where memory does not
    # limit the lanes
    evaluate_future: Future[tuple[Any, float]]
    started: float  # when compilation began
    train_ready: float  # when `train_chunk` was ready. Both by `time.perf_counter`

    @property
    def evaluate(self) -> Any:
        """`Trainer.evaluate` of all lanes: (params (lanes, P), operands) -> `Scores`.

        It waits to be compiled. Its buffer is the stretched evaluation's: one for
        shorter ones would save 7 % at 50 units, and cost another compilation.
        """
        return self.evaluate_future.result()[0]

    @cached_property
    def tally(self) -> Any:
        """`Trainer.tally` of all lanes, compiled at its first call."""
        mapped = jax.jit(self.program.map_over_lanes(self.program.trainer.tally))

        def call(params: Any, operands: EvalOperands) -> np.ndarray:
            with jax_setup.precision():
                return np.asarray(mapped(params, operands))

        return call

    @property
    def seconds(self) -> float:
        return max(self.train_ready, self.evaluate_future.result()[1]) - self.started


def compiled(program: Program) -> Executables:
    """Compile a program, once per process; with fewer lanes if memory is short."""
    with _lock:
        is_new = program not in _jobs
        job = _jobs.pop(program, None) or Future()
        _jobs[program] = job  # the last one used is the last one to go
        while len(_jobs) > most_kept(program):
            del _jobs[next(iter(_jobs))]
    if is_new:
        try:
            job.set_result(compile_to_fit(program, device_memory()))
        except BaseException as error:  # for those who wait; the next call tries again
            with _lock:
                _jobs.pop(program, None)
            job.set_exception(error)
    return job.result()


def most_kept(program: Program) -> int:
    task = program.spec.task
    if not isinstance(task, FileTask):
        return MAX_PROGRAMS
    return max(2, min(MAX_PROGRAMS, MAX_CONSTANTS // max(1, task.constant_bytes)))


def compile_to_fit(program: Program, memory: float) -> Executables:
    """Compile a program with as many lanes as fit into `memory` bytes per device."""
    started = time.perf_counter()
    while True:
        try:
            train_chunk, evaluate = compile_both(program)
            train_ready = time.perf_counter()
            share = 0.0
            if math.isfinite(memory):  # else nobody waits for `evaluate`
                needed = needed_memory(program, train_chunk, evaluate.result()[0])
                share = needed / memory
        except jax.errors.JaxRuntimeError as error:
            # a TPU's compiler refuses what doesn't fit
            is_memory = "RESOURCE_EXHAUSTED" in str(error)
            if not is_memory or program.lanes == program.devices:
                raise
            share = 1.9  # it doesn't say by how much: half of the lanes
        if share <= 1 or program.lanes == program.devices:
            return Executables(program, train_chunk, evaluate, started, train_ready)
        fewer = int(0.95 * program.lanes / share) // program.devices * program.devices
        program = replace(program, lanes=max(fewer, program.devices))


def compile_both(program: Program) -> tuple[Any, Future[tuple[Any, float]]]:
    trainer = program.trainer
    spec = trainer.spec
    is_cpu = (program.chips or jax.local_devices())[0].platform == "cpu"
    states, operands, eval_operands = program.example()
    whole = spec.evaluation.lengths is not None
    evaluate = partial(trainer.evaluate, whole=whole)

    def compile_evaluate() -> tuple[Any, float]:
        with jax_setup.precision():
            mapped = jax.jit(program.map_over_lanes(evaluate))
            lowered = mapped.lower(states.params, eval_operands)
            options = FAST_COMPILE if is_cpu else None
            return lowered.compile(options), time.perf_counter()

    with jax_setup.precision():
        mapped = program.map_over_lanes(trainer.train_chunk)
        lowered = jax.jit(mapped, donate_argnums=0).lower(states, operands)
        evaluate_future = _beside.submit(compile_evaluate)
        options = FAST_COMPILE if is_cpu and spec.recipe.batch <= 32 else None
        return lowered.compile(options), evaluate_future


def needed_memory(program: Program, train_chunk: Any, evaluate: Any) -> float:
    def planned(executable: Any) -> float:
        plan = executable.memory_analysis()
        return (
            plan.temp_size_in_bytes
            + plan.argument_size_in_bytes
            + plan.output_size_in_bytes
            - plan.alias_size_in_bytes
        )

    states = jax.tree.leaves(program.example()[0])  # which stay during an evaluation
    sizes = [math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in states]
    resident = sum(sizes) / program.devices
    return max(planned(train_chunk), planned(evaluate) + resident)


@cache
def device_memory() -> float:
    """Return the bytes that a program may take per device; infinite if unknown (CPUs).

    Memory in use at the first call belongs to others.
    """
    free = math.inf
    for device in jax.local_devices():
        stats = device.memory_stats() or {}
        most = MEMORY_FRACTION * stats.get("bytes_limit", math.inf)
        free = min(free, most - stats.get("bytes_in_use", 0))
    return max(1.0, free)
