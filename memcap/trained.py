"""A trained network to run on whole sequences, or step by step."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from memcap.config.member import Member
from memcap.models.export import Arrays, lstm_weights
from memcap.models.model import Model, Params
from memcap.runtime import jax_setup
from memcap.tasks import Task
from memcap.terminal.words import plural


class Trace(NamedTuple):
    """A run with all its states. T steps, B sequences."""

    outputs: np.ndarray  # (T, B, O), logits or values
    # (T, B, H), the hidden state of the last layer, which the read-out sees
    hidden: np.ndarray
    carries: Any  # the state after each step, a pytree of arrays (T, B, ...)


class Trained:
    """A member with its weights.

    Args:
        member: the member that was trained.
        weights: nested dict of arrays, as `Architecture.build` takes it.

    Attributes:
        network: the Flax module (`memcap.models.network.Network`).
    """

    def __init__(self, member: Member, weights: Params):
        jax_setup.setup()
        self.member = member
        self.weights = weights
        self.network = member.architecture.build(weights)
        build = member.architecture.build
        self._step = jax.jit(lambda weights, carry, x: build(weights).step(carry, x))
        self._run = jax.jit(
            lambda weights, carry, inputs: build(weights)(
                inputs, initial_carry=carry, return_carry=True
            )
        )
        self._trace = jax.jit(partial(_trace, build))

    def __repr__(self) -> str:
        member = self.member
        layers = (
            ""
            if member.model.layers == 1
            else f" in each of {member.model.layers} layers"
        )
        net = f"{plural(member.model.units, 'unit')} of {member.model.cell}{layers}"
        return (
            f"Trained({member.task!r} at lag {member.lag}, {net}, seed {member.seed}, key"
            f" {member.key})"
        )

    def initialize_carry(self, batch: int = 1) -> Any:
        """Return the state before the first step of B sequences: a pytree of arrays,
        the batch first. An LSTM's is (c, h); of several layers there is one each, from
        the inputs up."""
        return self.network.carry(batch)

    def run(self, inputs: Any, carry: Any = None) -> tuple[np.ndarray, Any]:
        """Run whole sequences.

        Args:
            inputs: (T, B) whole numbers below the task's vocabulary, or (T, B, F)
                numbers.
            carry: state to start from; None: `initialize_carry`.

        Returns:
            Outputs (T, B, O), logits or values, and the carry after the last step.

        Raises:
            ValueError: inputs of another shape.
        """
        inputs = self._checked(inputs, 2)
        carry = self._carry(carry, inputs.shape[1])
        with jax_setup.precision():
            carry, outputs = self._run(self.weights, carry, inputs)
        return np.moveaxis(np.asarray(outputs), 0, -1), carry

    def step(self, inputs: Any, carry: Any = None) -> tuple[np.ndarray, Any]:
        """Take one step of a stream.

        Args:
            inputs: (B,) whole numbers, or (B, F) numbers.
            carry: what the previous step returned; None: `initialize_carry`.

        Returns:
            Outputs (B, O), and the next carry.

        Raises:
            ValueError: inputs of another shape.
        """
        inputs = self._checked(inputs, 1)
        carry = self._carry(carry, inputs.shape[0])
        with jax_setup.precision():
            carry, outputs = self._step(self.weights, carry, inputs)
        return np.asarray(outputs), carry

    def trace(self, inputs: Any, carry: Any = None, *, reset: Any = None) -> Trace:
        """Run whole sequences step by step, and keep every state.

        Args:
            inputs, carry: as for `run`.
            reset: (T,) bool, true at steps before which the state is set to zero; None:
                never.

        Raises:
            ValueError: inputs of another shape.
        """
        inputs = self._checked(inputs, 2)
        carry = self._carry(carry, inputs.shape[1])
        reset = jnp.zeros(len(inputs), bool) if reset is None else jnp.asarray(reset)
        with jax_setup.precision():
            run = self._trace(self.weights, carry, inputs, reset)
        return Trace(*jax.tree.map(np.asarray, run))

    def _carry(self, carry: Any, batch: int) -> Any:
        first = self.initialize_carry(batch)
        if carry is None:
            return first
        shapes, first_shapes = (
            jax.tree.map(jnp.shape, each) for each in (carry, first)
        )
        if shapes != first_shapes:
            raise ValueError(
                f"carry of shapes {shapes}: for {batch} sequences it must have {first_shapes}"
            )
        return carry

    def _checked(self, inputs: Any, axes: int) -> jax.Array:
        task = self.member.task
        array = np.asarray(inputs)
        symbols = task.vocabulary is not None
        letters = ("T, " if axes == 2 else "") + "B"
        if array.ndim != axes + (not symbols) or (
            not symbols and array.shape[-1] != task.features
        ):
            shape = f"({letters})" if symbols else f"({letters}, {task.features})"
            raise ValueError(f"inputs {array.shape}: {task.name} takes shape {shape}")
        if not all(array.shape[:axes]):
            raise ValueError(
                f"inputs {array.shape}: must have at least one step of one sequence"
            )
        if symbols and not (
            np.issubdtype(array.dtype, np.integer)
            and np.all((array >= 0) & (array < task.features))
        ):
            raise ValueError(
                f"inputs: {task.name} takes whole numbers from 0 to {task.features - 1}"
            )
        return jnp.asarray(array, jnp.int32 if symbols else jnp.float32)


def of_arrays(arrays: Arrays, task: Task, lag: int) -> Trained:
    """Return an LSTM of another library as a member, read from the arrays of its one
    layer and its dense read-out.

    Raises:
        ValueError: these are other arrays, or not finite.
    """
    weights = lstm_weights(arrays)
    model = Model(units=len(weights["cell"]["recurrent"]))
    member = Member(task, lag, model=model)
    member.architecture.check(weights)
    return Trained(member, weights)


def _trace(
    build: Callable, weights: Any, carry: Any, inputs: jax.Array, reset: Any
) -> Any:
    def step(carry: Any, row: Any) -> tuple[Any, Any]:
        x, cut = row
        carry = jax.tree.map(
            lambda leaf: jnp.where(cut, jnp.zeros_like(leaf), leaf), carry
        )
        carry, hidden, outputs = build(weights).step_with_hidden(carry, x)
        return carry, (outputs, hidden, carry)

    return lax.scan(step, carry, (inputs, reset))[1]
