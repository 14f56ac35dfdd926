"""What the plain JAX contestants share: optax, and a jitted loop over the batches of a
slice with its state donated."""

from abc import abstractmethod
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax import lax

from benchmarks.peers.base import (
    BETA_1,
    BETA_2,
    EPSILON,
    Batches,
    Peer,
    Shape,
    Weights,
    one_hot,
)


class OptaxPeer(Peer):
    """A contestant whose model is a pure function of a pytree of parameters. Inputs are
    time-major one-hot floats."""

    def __init__(self, shape: Shape, lr: float, clip: float, seed: int):
        super().__init__(shape, lr, clip, seed)
        self.optimizer = optax.chain(
            optax.clip_by_global_norm(clip), optax.adam(lr, BETA_1, BETA_2, EPSILON)
        )
        self.params = self.init(jax.random.key(seed))
        self.state = self.optimizer.init(self.params)
        self._train = jax.jit(self._steps, donate_argnums=(0, 1))
        self._gradient = jax.jit(jax.value_and_grad(self._loss))

    @abstractmethod
    def init(self, key: jax.Array) -> Any:
        """Parameters by the library's own initialiser."""

    @abstractmethod
    def forward(self, params: Any, inputs: jax.Array) -> jax.Array:
        """Return logits (B, O), or (T, B, O) where every step is answered, of inputs (T, B, F)."""

    @abstractmethod
    def to_params(self, weights: Weights) -> Any:
        """Parameters from memcap's layout."""

    @abstractmethod
    def to_weights(self, params: Any) -> Weights:
        """Parameters, or their gradient, in memcap's layout."""

    def _loss(self, params: Any, batch: Batches) -> jax.Array:
        losses = optax.softmax_cross_entropy_with_integer_labels(
            self.forward(params, batch.inputs), batch.targets
        )
        return (
            losses.mean()
            if batch.mask is None
            else (losses * batch.mask).sum() / batch.mask.sum()
        )

    def _steps(
        self, params: Any, state: Any, batches: Batches, steps: jax.Array
    ) -> tuple[Any, Any]:
        def step(k, carry):
            params, state = carry
            batch = jax.tree.map(
                lambda leaf: lax.dynamic_index_in_dim(
                    leaf, k % leaf.shape[0], keepdims=False
                ),
                batches,
            )
            updates, state = self.optimizer.update(
                jax.grad(self._loss)(params, batch), state, params
            )
            return optax.apply_updates(params, updates), state

        return lax.fori_loop(0, steps, step, (params, state))

    def _laid_out(self, batches: Batches) -> Batches:
        dtype = jax.tree.leaves(self.params)[0].dtype
        mask = None if batches.mask is None else jnp.asarray(batches.mask, dtype)
        inputs = jnp.asarray(one_hot(batches.inputs, self.shape.features, dtype))
        return Batches(inputs, jnp.asarray(batches.targets), mask)

    def load(self, batches: Batches) -> None:
        self.batches = jax.block_until_ready(self._laid_out(batches))

    def run(self, steps: int) -> None:
        """One call of a compiled loop; how many steps it takes is an operand."""
        self.params, self.state = jax.block_until_ready(
            self._train(self.params, self.state, self.batches, np.int32(steps))
        )

    def set_weights(self, weights: Weights) -> None:
        self.params = jax.tree.map(jnp.array, self.to_params(weights))
        self.state = self.optimizer.init(self.params)

    def weights(self) -> Weights:
        return jax.tree.map(np.asarray, self.to_weights(self.params))

    def loss_and_gradients(self, batch: Batches) -> tuple[float, Weights]:
        first = jax.tree.map(lambda leaf: leaf[0], self._laid_out(batch))
        loss, gradient = self._gradient(self.params, first)
        return float(loss), jax.tree.map(np.asarray, self.to_weights(gradient))
