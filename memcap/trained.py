"""A trained network to run: whole sequences, or a stream one element at a time, with its carry at hand."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from memcap import backend
from memcap.config import Member


class Trained:
    """A member with its weights.

    Args:
        member: what was trained.
        weights: nested dict of arrays, as `Architecture.build` takes it.

    Attributes:
        member, weights: as given.
        network: the Flax module (`memcap.models.network.Network`).
    """

    def __init__(self, member: Member, weights: dict[str, Any]):
        backend.prepare()
        self.member, self.weights = member, weights
        self.network = member.architecture.build(weights)
        build = member.architecture.build
        self._step = jax.jit(lambda weights, carry, x: build(weights).step(carry, x))
        self._run = jax.jit(lambda weights, carry, inputs: build(weights)(inputs, carry=carry))

    def zero_carry(self, batch: int = 1) -> Any:
        """The state before the first step of B sequences, a pytree of arrays with the batch first; an LSTM's is (c, h)."""
        return self.network.carry(batch)

    def run(self, inputs: Any, carry: Any = None) -> tuple[np.ndarray, Any]:
        """Run whole sequences.

        Args:
            inputs: (T, B) whole numbers below the task's vocabulary, or (T, B, F) numbers.
            carry: state to start from; None: zero.

        Returns:
            Outputs of every step (T, B, O), logits or values, and the carry after the last.

        Raises:
            ValueError: inputs of another shape.
        """
        inputs = self._checked(inputs, 2)
        carry = self.zero_carry(inputs.shape[1]) if carry is None else carry
        with backend.precision():
            carry, outputs = self._run(self.weights, carry, inputs)
        return np.moveaxis(np.asarray(outputs), 0, -1), carry

    def step(self, inputs: Any, carry: Any = None) -> tuple[np.ndarray, Any]:
        """Take one step of a stream.

        Args:
            inputs: (B,) whole numbers, or (B, F) numbers.
            carry: as the step before returned it; None: zero.

        Returns:
            Outputs (B, O), and the carry for the next step.

        Raises:
            ValueError: inputs of another shape.
        """
        inputs = self._checked(inputs, 1)
        carry = self.zero_carry(inputs.shape[0]) if carry is None else carry
        with backend.precision():
            carry, outputs = self._step(self.weights, carry, inputs)
        return np.asarray(outputs), carry

    def _checked(self, inputs: Any, axes: int) -> jax.Array:
        task = self.member.task
        given = np.asarray(inputs)
        symbols = task.vocabulary is not None
        letters = ("T, " if axes == 2 else "") + "B"
        if given.ndim != axes + (not symbols) or (not symbols and given.shape[-1] != task.features):
            wanted = f"({letters})" if symbols else f"({letters}, {task.features})"
            raise ValueError(f"inputs {given.shape}: {task.name} takes shape {wanted}")
        if symbols and not (np.issubdtype(given.dtype, np.integer) and np.all((given >= 0) & (given < task.features))):
            raise ValueError(f"inputs: {task.name} takes whole numbers from 0 to {task.features - 1}")
        return jnp.asarray(given, jnp.int32 if symbols else jnp.float32)
