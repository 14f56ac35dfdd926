"""memcap: the training step that a study runs, on batches that are given instead of drawn."""

from dataclasses import replace
from typing import ClassVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from benchmarks.peers.base import BETA_1, Batches, Peer, Shape, Weights
from memcap.config.member import Engine, Member, resolve
from memcap.runtime import jax_setup
from memcap.tasks import Batch
from memcap.training.host import initial_state, train_operands
from memcap.training.program import Program


def member_of(shape: Shape, lr: float, clip: float, seed: int) -> Member:
    """Return a member of this shape: a delay line where every step is answered, a latch
    otherwise."""
    if shape.every:
        task = {
            "name": "delay_line",
            "lag": (shape.steps - 1) // 2,
            "symbols": shape.features,
        }
    else:
        distractors = shape.features - shape.outputs - 1
        task = {
            "name": "latch",
            "lag": shape.steps - 2,
            "symbols": shape.outputs,
            "distractors": distractors,
        }
    recipe = {
        "name": "forget_bias" if shape.cell == "lstm" else "own_start",
        "lr": lr,
        "schedule": "constant",
        "clip": clip,
        "batch": shape.batch,
    }
    model = {"units": shape.units, "cell": shape.cell}
    values = {"task": task | {"length": shape.steps}, "model": model, "recipe": recipe}
    member = resolve(values | {"evaluation": {}, "seed": seed})
    assert (member.task.features, member.task.outputs) == (
        shape.features,
        shape.outputs,
    )
    return member


class Memcap(Peer):
    """Inputs are symbols. The lane, with the weights and Adam's moments in it, is donated."""

    engine: ClassVar[Engine] = Engine(loop="while")

    def __init__(self, shape: Shape, lr: float, clip: float, seed: int):
        jax_setup.setup()  # flags are read when JAX is first used, not when it is imported
        super().__init__(shape, lr, clip, seed)
        self.member = member_of(shape, lr, clip, seed)
        self.trainer = Program.of(self.member, self.engine).trainer
        self.architecture = self.member.architecture
        self.operands = train_operands(self.trainer, self.member)
        self.lane = initial_state(self.trainer, self.member)
        self._train = jax.jit(self._steps, donate_argnums=0)

    def _steps(self, lane, operands, batches, steps):
        def step(k, lane):
            batch = jax.tree.map(
                lambda leaf: lax.dynamic_index_in_dim(
                    leaf, k % leaf.shape[0], keepdims=False
                ),
                batches,
            )
            return self.trainer.train_step(lane, operands, batch)[0]

        return lax.fori_loop(0, steps, step, lane)

    def load(self, batches: Batches) -> None:
        self.batches = jax.tree.map(jnp.asarray, Batch(*batches))

    def run(self, steps: int) -> None:
        """One call of a compiled loop; how many steps it takes is an operand."""
        self.lane = jax.block_until_ready(
            self._train(self.lane, self.operands, self.batches, np.int32(steps))
        )

    def set_weights(self, weights: Weights) -> None:
        """Start a fresh lane with these weights."""
        vector = self.architecture.flatten(weights)
        self.lane = initial_state(self.trainer, self.member)._replace(
            params=vector, opt_state=self.trainer.optimizer.init(vector)
        )

    def weights(self) -> Weights:
        return self.architecture.unflatten(np.array(self.lane.params))

    def loss_and_gradients(self, batch: Batches) -> tuple[float, Weights]:
        """Of the training step itself: after one step Adam's first moment is (1 - b1)
        times the gradient, if none is clipped."""
        spec = self.trainer.spec
        spec = replace(spec, recipe=replace(spec.recipe, clip=1e30))
        unclipped = replace(self.trainer, spec=spec)
        lane = initial_state(self.trainer, self.member)
        lane = lane._replace(
            params=self.lane.params,
            opt_state=self.trainer.optimizer.init(self.lane.params),
        )
        first = jax.tree.map(lambda leaf: leaf[0], Batch(*batch))
        lane, loss = jax.jit(unclipped.train_step)(lane, self.operands, first)
        moments = next(
            state
            for state in jax.tree.leaves(lane.opt_state, is_leaf=_has_moments)
            if _has_moments(state)
        )
        return float(loss), self.architecture.unflatten(
            np.array(moments.mu) / (1 - BETA_1)
        )


class Native(Memcap):
    """The same with the LSTM's loop in C."""

    engine = Engine(loop="native")


def _has_moments(state) -> bool:
    return hasattr(state, "mu")
