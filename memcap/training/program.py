"""The compiled program that trains a population: members of one spec, whatever their
lag, rate, budget or seed.

A member in flight occupies a lane. One call takes every running lane through a chunk of
training steps; another scores lanes on fresh sequences. step.py has what a lane
computes; this file has lanes, devices, compilation and memory.
"""

import math
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

import jax
import numpy as np
from jax import lax

from memcap import loops
from memcap.cells import cell_class
from memcap.cells.lstm import LSTM
from memcap.config.member import Engine, Member
from memcap.runtime import jax_setup
from memcap.tasks import FileTask, Task
from memcap.training.curriculum import Curriculum
from memcap.training.operands import empty_state
from memcap.training.step import (
    EvalOperands,
    Trainer,
    TrainOperands,
    TrainSpec,
    TrainState,
)

MEMBERS = "members"  # the axis of the device mesh
# Less work for LLVM, on CPUs. An evaluation compiles in two thirds of the time and runs
# as fast. So does training on at most 32 sequences, whose loops LLVM unrolls: 1.3 s
# instead of 3.3 s (delay line, lag 50, 50 units). With 128 it runs 15 % slower.
FAST_COMPILE: dict[str, Any] = {"xla_backend_optimization_level": 2}
MAX_PROGRAMS = 64  # that a process keeps
MAX_CONSTANTS = (
    2**29
)  # bytes of arrays in these, as each holds all sequences of a user's file
MEMORY_FRACTION = 0.9  # of a device's memory that a program may take
_lock = threading.Lock()
_beside = ThreadPoolExecutor(thread_name_prefix="memcap-compile")
_jobs: dict["Program", Future["Executables"]] = {}


def lengths(member: Member) -> tuple[int, int]:
    """Return the steps of a member's sequences, and of the longest that it is evaluated on."""
    stretched = member.task.stretched(member.lag, member.evaluation.stretch)
    return member.length, max(
        member.length, *(length for _, length in (stretched, *member.lengths))
    )


def loop_of(spec: TrainSpec, steps: int, engine: Engine) -> loops.Choice:
    """Choose the loop over time for members of this spec, with training sequences of up
    to `steps` steps."""
    cell = cell_class(spec.architecture.model.cell)
    windows = _has_windows(spec.task, steps)
    knobs = {"model": spec.architecture.model, "recipe": spec.recipe}
    return loops.choose(
        engine.loop, loops.Request(cell, jax.default_backend(), windows, knobs)
    )


def loop_version(trainer: Trainer) -> str:
    """Return the `Loop.version` of a member's cell and read-out, which decides its bits."""
    model = trainer.spec.architecture.model
    platform = jax.default_backend()
    cells = [cell_class(model.cell), *[LSTM] * (model.readout == "lstm")]
    return loops.version(
        trainer.loop, [loops.Request(cell, platform, windows=False) for cell in cells]
    )


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
    devices: int = 1  # devices of this host that share the lanes

    @classmethod
    def of(cls, member: Member, engine: Engine | None = None) -> "Program":
        """Return the program by which a study would train this member alone, in one lane."""
        spec = TrainSpec.of(member)
        sizes = lengths(member)
        return cls(
            Trainer(
                spec, *sizes, *loop_of(spec, sizes[0], engine or Engine(loop="while"))
            ),
            1,
        )

    @property
    def spec(self) -> TrainSpec:
        """The spec of its members."""
        return self.trainer.spec

    @property
    def name(self) -> str:
        """The spec's name, 16 hex digits."""
        return self.spec.name

    def mesh(self, there: Sequence[jax.Device] = ()) -> jax.sharding.Mesh:
        """Return the mesh of devices that share the lanes: the first of `there`, or of
        this host."""
        return jax.sharding.Mesh(
            (there or jax.local_devices())[: self.devices], (MEMBERS,)
        )

    def map_over_lanes(
        self, function: Callable[..., Any], there: Sequence[jax.Device] = ()
    ) -> Callable[..., Any]:
        """Map a function of one member over all lanes, which the devices of `mesh` share."""
        if not self.trainer.side_by_side:
            return lambda *arguments: lax.map(lambda each: function(*each), arguments)
        if self.devices == 1:
            return jax.vmap(function)
        # A shard has its own loops: no device waits for the lanes of another within a chunk.
        lanes = jax.sharding.PartitionSpec(MEMBERS)
        return jax.shard_map(
            jax.vmap(function),
            mesh=self.mesh(there),
            in_specs=lanes,
            out_specs=lanes,
            check_vma=False,
        )

    def example(
        self, there: Sequence[jax.Device] = ()
    ) -> tuple[TrainState, TrainOperands, EvalOperands]:
        """Return the shapes of the executables' arguments, lanes stacked; with
        shardings over devices."""
        lanes = jax.sharding.PartitionSpec(MEMBERS)
        place = jax.sharding.NamedSharding(self.mesh(there), lanes) if there else None

        def shape(leaf: Any) -> jax.ShapeDtypeStruct:
            return jax.ShapeDtypeStruct(
                (self.lanes, *leaf.shape), leaf.dtype, sharding=place
            )

        number = np.int32(0)
        real = np.float32(0)
        key = np.zeros(2, np.uint32)
        curriculum: Any = ()
        if self.spec.curriculum:
            lengths = np.zeros(self.trainer.max_length + 1, np.int32)
            threshold = () if self.spec.task.higher_is_better else real
            curriculum = Curriculum(
                number, real, real, np.bool_(False), real, lengths, threshold
            )
        train = TrainOperands(
            key,
            number,
            number,
            real,
            number,
            np.bool_(False),
            number,
            number,
            curriculum,
        )
        evaluate = EvalOperands(key, *[number] * 4)
        return jax.tree.map(shape, (empty_state(self.trainer), train, evaluate))


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
        """The compiled (params (lanes, P), eval operands) -> scores (lanes,); or
        (lanes, 2), those of `Trainer.evaluate_sequences` with `evaluation.lengths`, or
        of `Trainer.evaluate_part`. Waits until it is compiled.

        Its buffer is that of the stretched evaluation: a buffer of its own for the
        shorter ones would save them 7 % of their time at 50 units, and cost a second
        program to compile.
        """
        return self.evaluate_future.result()[0]

    @property
    def seconds(self) -> float:
        """Seconds that it took to compile both; waits for them."""
        return max(self.train_ready, self.evaluate_future.result()[1]) - self.started


def compiled(program: Program) -> Executables:
    """Compile a program, once per process; with fewer lanes if memory cannot hold them all."""
    with _lock:
        job = _jobs.pop(program, None)
        mine = job is None
        job = _jobs[program] = (
            job or Future()
        )  # the last one used is the last one to go
        while len(_jobs) > most_kept(program):
            del _jobs[next(iter(_jobs))]
    if mine:
        try:
            job.set_result(_compile(program))
        except BaseException as error:  # for those who wait; the next call tries again
            with _lock:
                _jobs.pop(program, None)
            job.set_exception(error)
    return job.result()


def most_kept(program: Program) -> int:
    """Return how many programs like this one a process keeps."""
    task = program.spec.task
    if not isinstance(task, FileTask):
        return MAX_PROGRAMS
    return max(2, min(MAX_PROGRAMS, MAX_CONSTANTS // max(1, task.constant_bytes)))


def _compile(program: Program) -> Executables:
    return compile_to_fit(program, device_memory())


def compile_to_fit(
    program: Program, memory: float, there: Sequence[jax.Device] = ()
) -> Executables:
    """Compile a program, with as many of its lanes as fit into `memory` bytes of each
    device; at least one per device. `there`: devices that this machine need not have;
    none: those of this host."""
    started = time.perf_counter()
    while True:
        try:
            train_chunk, evaluate = compile_both(program, there)
            train_ready = time.perf_counter()
            if math.isinf(
                memory
            ):  # nothing limits the lanes, so nobody waits for `evaluate`
                share = 0.0
            else:
                share = (
                    needed_memory(program, train_chunk, evaluate.result()[0]) / memory
                )
        except (
            jax.errors.JaxRuntimeError
        ) as error:  # a TPU's compiler refuses what doesn't fit
            if (
                "RESOURCE_EXHAUSTED" not in str(error)
                or program.lanes == program.devices
            ):
                raise
            share = 1.9  # it doesn't say by how much: half of the lanes
        if share <= 1 or program.lanes == program.devices:
            return Executables(program, train_chunk, evaluate, started, train_ready)
        fewer = int(0.95 * program.lanes / share) // program.devices * program.devices
        program = replace(program, lanes=max(fewer, program.devices))


def compile_both(
    program: Program, there: Sequence[jax.Device] = ()
) -> tuple[Any, Future[tuple[Any, float]]]:
    """Return `Executables.train_chunk` and `Executables.evaluate_future`, which
    compiles in another thread. Arguments are those of `compile_to_fit`."""
    trainer = program.trainer
    cpu = (there or jax.local_devices())[0].platform == "cpu"
    states, operands, eval_operands = program.example(there)

    def compile_evaluate() -> tuple[Any, float]:
        with jax_setup.precision():
            function = (
                trainer.evaluate_sequences
                if trainer.spec.evaluation.lengths
                else trainer.evaluate
            )
            function = (
                trainer.evaluate_part
                if isinstance(trainer.spec.task, FileTask)
                else function
            )
            evaluate = jax.jit(program.map_over_lanes(function, there))
            lowered = evaluate.lower(states.params, eval_operands)
            return lowered.compile(FAST_COMPILE if cpu else None), time.perf_counter()

    with jax_setup.precision():
        train_chunk = jax.jit(
            program.map_over_lanes(trainer.train_chunk, there), donate_argnums=0
        )
        lowered = train_chunk.lower(states, operands)
        evaluate_future = _beside.submit(compile_evaluate)
        fast = cpu and trainer.spec.recipe.batch <= 32
        return lowered.compile(FAST_COMPILE if fast else None), evaluate_future


def needed_memory(program: Program, train_chunk: Any, evaluate: Any) -> float:
    """Return the bytes that a device needs for its lanes and the larger executable, as planned."""

    def planned(executable: Any) -> float:
        plan = executable.memory_analysis()
        outside = (
            plan.argument_size_in_bytes
            + plan.output_size_in_bytes
            - plan.alias_size_in_bytes
        )
        return plan.temp_size_in_bytes + outside

    leaves = jax.tree.leaves(
        program.example()[0]
    )  # while an evaluation runs, all states stay
    resident = (
        sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in leaves)
        / program.devices
    )
    return max(planned(train_chunk), planned(evaluate) + resident)


@cache
def device_memory() -> float:
    """Return the bytes that a program may take on each device; infinite if a device
    such as a CPU reports none. Memory that was in use at the first call belongs to
    others; our own programs free theirs.
    """
    found = [device.memory_stats() or {} for device in jax.local_devices()]
    known = [stats for stats in found if "bytes_limit" in stats]
    free = [
        MEMORY_FRACTION * stats["bytes_limit"] - stats.get("bytes_in_use", 0)
        for stats in known
    ]
    return max(1.0, min(free, default=math.inf))
