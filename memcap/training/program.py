"""The compiled program that trains a population: members of one width and task shape, whatever their lag, rate, budget or seed.

A member in flight occupies a lane. One call takes every running lane through a chunk of training steps; another scores lanes on
fresh sequences. All that differs between members is an operand, so a program compiles once. Data are drawn inside the program:
the stream of a member depends on its seed, lag and units alone, never on its neighbours.
"""

import hashlib
import math
import time
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from memcap.config import Evaluation, Member
from memcap.models.network import Architecture
from memcap.tasks import Batch, Task

EVALUATION_BATCH = 256
MEMBERS = "members"  # the axis of the device mesh
# Less of LLVM's work, for CPUs. An evaluation compiles in two thirds of the time and runs as fast. So does training on at most 32
# sequences, whose loops LLVM unrolls: 1.3 s instead of 3.3 s (delay line, lag 50, 50 units). With 128 it runs 15 % slower.
QUICK: Any = {"xla_backend_optimization_level": 2}
TRAIN, EVALUATE, STRETCH = 0, 1, 2  # streams of a member's key


class TrainOperands(NamedTuple):
    """What may differ between the members of one program. `key`: (2,) uint32, of the training stream; the others are scalars."""

    key: Any
    lag: Any
    length: Any
    lr: Any
    warmup: Any
    cosine: Any
    budget: Any


class EvalOperands(NamedTuple):
    """What an evaluation of one lane draws. `key`: (2,) uint32; `blocks` of sequences, 0 where none is wanted."""

    key: Any
    lag: Any
    length: Any
    blocks: Any


class Progress(NamedTuple):
    """How far a lane is; scalars. `train_score` is a running mean over about 10 steps."""

    step: Any
    running: Any
    train_score: Any


class TrainState(NamedTuple):
    """State of one member in flight. `progress.running` ends where the loss or a weight is no longer finite.

    Weights, and Adam's moments in `optimizer`, are one flat (P,) vector each: fewer and larger operations to compile and run.
    """

    weights: Any
    optimizer: Any
    progress: Progress


@jax.jit
def stream(seed: Any, lag: Any, units: Any, number: Any, index: Any) -> jax.Array:
    """(2,) uint32: the key of one of a member's streams; `index` counts the evaluations."""
    key = jax.random.key(seed)
    for part in (lag, units, number, index):
        key = jax.random.fold_in(key, part)
    return jax.random.key_data(key)


def tally(task: Task, outputs: jax.Array, batch: Batch) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Sums over the answers that are due: loss (nats, or squared error), score (hits, or squared error), and how many.

    Args:
        task: says whether outputs are logits or values.
        outputs: (O, B) or (O, T, B).
        batch: targets and mask of the same trailing shape.
    """
    if task.loss == "classes":
        at_target = jnp.arange(outputs.shape[0]).reshape(-1, *[1] * batch.targets.ndim) == batch.targets
        loss = jax.nn.logsumexp(outputs, axis=0) - jnp.where(at_target, outputs, 0).sum(0)
        score = (jnp.argmax(outputs, axis=0) == batch.targets).astype(loss.dtype)
    else:
        loss = score = (outputs[0] - batch.targets) ** 2
    due = jnp.ones_like(loss) if batch.mask is None else batch.mask.astype(loss.dtype)
    return (loss * due).sum(), (score * due).sum(), due.sum()


@dataclass(frozen=True)
class Program:
    """What one compiled program depends on.

    Args:
        task: the task's knobs (its lag is an operand).
        architecture: structure of the network.
        batch: sequences a training step.
        clip: global gradient norm at which a gradient is clipped.
        evaluation: when a member counts as solved.
        steps: buffer T of the training sequences, at least the longest length.
        evaluation_steps: buffer T of the evaluations; the stretched one is the longest.
        lanes: members in flight, a multiple of `devices`.
        side_by_side: `vmap` over the lanes (GPU, TPU) instead of `lax.map` (CPU).
        devices: devices of this host that share the lanes.
    """

    task: Task
    architecture: Architecture
    batch: int
    clip: float
    evaluation: Evaluation
    steps: int
    evaluation_steps: int
    lanes: int
    side_by_side: bool
    devices: int = 1

    @property
    def shape(self) -> tuple[Any, ...]:
        """All but the sizes of buffers and lanes: members of one shape can share a program."""
        return self.task, self.architecture, self.batch, self.clip, self.evaluation

    @property
    def name(self) -> str:
        """16 hex digits: the hash of `shape`."""
        return hashlib.sha256(repr(self.shape).encode()).hexdigest()[:16]

    def holds(self, length: int, stretched: int) -> bool:
        """Whether sequences of this length, and a stretched evaluation of that, fit into the buffers."""
        return length <= self.steps and stretched <= self.evaluation_steps

    @property
    def optimizer(self) -> optax.GradientTransformation:
        """Clipping and Adam over the flat vector; the learning rate is applied by the caller, as it is an operand."""
        return optax.chain(optax.clip_by_global_norm(self.clip), optax.scale_by_adam())

    def blank(self) -> TrainState:
        """An empty lane: zeros on the host. Adam's state starts at zero, so `fresh` needs only the weights."""
        weights = np.zeros(self.architecture.parameters(), np.float32)
        state = jax.eval_shape(self.optimizer.init, weights)
        optimizer = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), state)
        return TrainState(weights, optimizer, Progress(np.int32(0), np.bool_(False), np.float32(np.nan)))

    def fresh(self, member: Member) -> TrainState:
        """The lane of a member that is about to start."""
        weights = self.architecture.init(member.init, [member.seed, member.lag, member.model.units])
        blank = self.blank()
        progress = blank.progress._replace(running=np.bool_(True))
        return blank._replace(weights=self.architecture.flatten(weights), progress=progress)

    def operands(self, member: Member) -> TrainOperands:
        """A member's operands."""
        recipe = member.recipe
        return TrainOperands(
            self._key(member, TRAIN, 0),
            *(np.int32(v) for v in (member.lag, member.length)),
            np.float32(recipe.lr),
            np.int32(recipe.warmup or 0),
            np.bool_(recipe.schedule == "cosine"),
            np.int32(recipe.budget or 0),
        )

    def held_out(self, member: Member, index: int) -> EvalOperands:
        """A member's held-out evaluation number `index`."""
        return self._asked(member, EVALUATE, index, member.lag, member.length, self.evaluation.sequences)

    def stretched(self, member: Member) -> EvalOperands:
        """A member's evaluation at `evaluation.stretch` times its lag or length, over a quarter as many sequences."""
        lag, length = member.task.stretched(member.lag, member.evaluation.stretch)
        return self._asked(member, STRETCH, 0, lag, length, self.evaluation.sequences // 4)

    def _asked(self, member: Member, number: int, index: int, lag: int, length: int, sequences: int) -> EvalOperands:
        blocks = max(1, -(-sequences // self.block))
        return EvalOperands(self._key(member, number, index), np.int32(lag), np.int32(length), np.int32(blocks))

    def _key(self, member: Member, number: int, index: int) -> np.ndarray:
        return np.asarray(stream(member.seed, member.lag, member.model.units, number, index))

    @property
    def block(self) -> int:
        """Sequences B of an evaluation that are drawn at once."""
        return min(EVALUATION_BATCH, self.evaluation.sequences)

    def _run(self, weights: Any, batch: Batch, length: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        every = self.task.answers == "every"
        network = self.architecture.build(self.architecture.unflatten(weights))
        _, outputs = network(batch.inputs, length, boundary=batch.boundary, every=every, reset=self.task.reset_carry)
        return tally(self.task, outputs, batch)

    def _rate(self, operands: TrainOperands, step: jax.Array) -> jax.Array:
        """Learning rate: linear warmup, then constant or a cosine to 0 at the budget."""
        warm = jnp.minimum(1.0, (step + 1) / jnp.maximum(operands.warmup, 1))
        cosine = 0.5 * (1 + jnp.cos(jnp.pi * step / operands.budget))
        return operands.lr * warm * jnp.where(operands.cosine, cosine, 1.0)

    def _train_step(self, lane: TrainState, operands: TrainOperands) -> tuple[TrainState, jax.Array]:
        key = jax.random.fold_in(jax.random.wrap_key_data(operands.key), lane.progress.step)
        return self.update(lane, operands, self.task.sample(key, operands.lag, operands.length, self.steps, self.batch))

    def update(self, lane: TrainState, operands: TrainOperands, batch: Batch) -> tuple[TrainState, jax.Array]:
        """One training step of one member on a batch. Returns the lane and the batch's mean loss."""

        def mean_loss(weights):
            loss, score, due = self._run(weights, batch, operands.length)
            return loss / due, score / due

        (loss, score), gradient = jax.value_and_grad(mean_loss, has_aux=True)(lane.weights)
        direction, optimizer = self.optimizer.update(gradient, lane.optimizer)
        progress = lane.progress
        rate = self._rate(operands, progress.step)
        weights = lane.weights - rate * cast(jax.Array, direction)
        finite = jnp.isfinite(loss) & jnp.isfinite(weights).all()
        # A diverged lane keeps its last finite weights and stops here.
        alive = finite & progress.running
        weights, optimizer = jax.tree.map(
            lambda new, old: jnp.where(alive, new, old), (weights, optimizer), (lane.weights, lane.optimizer)
        )
        mean = jnp.where(jnp.isnan(progress.train_score), score, 0.9 * progress.train_score + 0.1 * score)
        progress = progress._replace(
            step=progress.step + alive,
            running=alive,
            train_score=jnp.where(alive, mean, progress.train_score),
        )
        return TrainState(weights, optimizer, progress), loss

    def _advance(self, lane: TrainState, operands: TrainOperands) -> tuple[TrainState, jax.Array]:
        """A chunk of training for one member.

        Returns the lane, and the loss of each of the chunk's steps: (evaluation.every,), 0 for steps not taken.
        """
        left = jnp.minimum(self.evaluation.every, operands.budget - lane.progress.step)

        def going(state):
            k, lane, _ = state
            return (k < left) & lane.progress.running

        def step(state):
            k, lane, losses = state
            lane, loss = self._train_step(lane, operands)
            return k + 1, lane, losses.at[k].set(loss)

        _, lane, losses = lax.while_loop(going, step, (jnp.int32(0), lane, jnp.zeros(self.evaluation.every)))
        return lane, losses

    def _evaluate(self, weights: jax.Array, asked: EvalOperands) -> jax.Array:
        """Score of one member over fresh sequences; NaN where none are wanted. Under `vmap` one that is costs all lanes."""
        key = jax.random.wrap_key_data(asked.key)

        def block(k, sums):
            sequences = jax.random.fold_in(key, k), asked.lag, asked.length, self.evaluation_steps, self.block
            _, score, due = self._run(weights, self.task.sample(*sequences), asked.length)
            return sums[0] + score, sums[1] + due

        score, due = lax.fori_loop(0, asked.blocks, block, (jnp.float32(0), jnp.float32(0)))
        return score / due

    def _over_lanes(self, function: Any) -> Any:
        """The function of one member as a function of all lanes, each device with its share of them."""
        if not self.side_by_side:
            return lambda *arguments: lax.map(lambda each: function(*each), arguments)
        if self.devices == 1:
            return jax.vmap(function)
        # A shard has its own loops: no device waits for the lanes of another within a chunk.
        mesh = jax.sharding.Mesh(jax.local_devices()[: self.devices], (MEMBERS,))
        lanes = jax.sharding.PartitionSpec(MEMBERS)
        return jax.shard_map(jax.vmap(function), mesh=mesh, in_specs=lanes, out_specs=lanes, check_vma=False)

    def example(self) -> tuple[TrainState, TrainOperands, EvalOperands]:
        """Shapes of what the executables take, all lanes stacked."""

        def stacked(value: Any) -> Any:
            return jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((self.lanes, *leaf.shape), leaf.dtype), value)

        number, real, key = np.int32(0), np.float32(0), np.zeros(2, np.uint32)
        operands = TrainOperands(key, number, number, real, number, np.bool_(False), number)
        return stacked(self.blank()), stacked(operands), stacked(EvalOperands(key, number, number, number))


@dataclass(frozen=True)
class Compiled:
    """Two executables, the program that they were made from, and the seconds that it took to get them.

    advance: (lanes, operands) -> lanes, losses (lanes, evaluation.every); the lanes that go in are used up.
    evaluate: (weights (lanes, P), asked) -> scores (lanes,). Its buffer is that of the stretched evaluation: a buffer of its own
        for the shorter ones would save them 7 % of their time at 50 units, and cost a second program to compile.
    """

    program: Program
    advance: Any
    evaluate: Any
    seconds: float


@lru_cache(maxsize=64)
def compiled(program: Program) -> Compiled:
    """Compile a program, once a process; with fewer lanes where the device's memory can't hold as many."""
    start = time.perf_counter()
    while True:
        lanes, operands, asked = program.example()
        lowered = jax.jit(program._over_lanes(program._advance), donate_argnums=0).lower(lanes, operands)
        cpu = jax.default_backend() == "cpu"
        advance = lowered.compile(QUICK if cpu and program.batch <= 32 else None)
        evaluate = jax.jit(program._over_lanes(program._evaluate)).lower(lanes.weights, asked).compile(QUICK if cpu else None)
        share = needed_memory(program, advance, evaluate) / device_memory()
        if share <= 1 or program.lanes == program.devices:
            return Compiled(program, advance, evaluate, time.perf_counter() - start)
        fewer = int(0.95 * program.lanes / share) // program.devices * program.devices
        program = replace(program, lanes=max(fewer, program.devices))


def needed_memory(program: Program, advance: Any, evaluate: Any) -> float:
    """Bytes that a device needs for its lanes and the larger of the two executables, as the compiler has planned them."""

    def planned(executable: Any) -> float:
        plan = executable.memory_analysis()
        return plan.temp_size_in_bytes + plan.argument_size_in_bytes + plan.output_size_in_bytes - plan.alias_size_in_bytes

    lanes = program.example()[0]  # while an evaluation runs, all of them stay
    resident = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in jax.tree.leaves(lanes)) / program.devices
    return max(planned(advance), planned(evaluate) + resident)


def device_memory() -> float:
    """Bytes that a program may take on each device; infinite where a device doesn't say, as a CPU doesn't."""
    known = [stats for device in jax.local_devices() if (stats := device.memory_stats()) and "bytes_limit" in stats]
    return max(1.0, min((0.9 * stats["bytes_limit"] - stats.get("bytes_in_use", 0) for stats in known), default=math.inf))
