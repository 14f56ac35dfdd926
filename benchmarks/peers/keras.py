"""Keras 3 on its JAX backend: a Sequential model and `fit`."""

import os
from typing import ClassVar

os.environ["KERAS_BACKEND"] = "jax"

import jax
import keras
import numpy as np

from benchmarks.peers.base import (
    BETA_1,
    BETA_2,
    EPSILON,
    Batches,
    Peer,
    Shape,
    Weights,
    listed,
    named,
    one_hot,
)


class Keras(Peer):
    """Inputs are batch-major one-hot floats, made before the clock starts; masks are
    sample weights."""

    steps_per_execution: ClassVar[int] = 1

    def __init__(self, shape: Shape, lr: float, clip: float, seed: int):
        super().__init__(shape, lr, clip, seed)
        keras.utils.set_random_seed(seed)
        self.model = keras.Sequential(
            [
                keras.Input((shape.steps, shape.features)),
                keras.layers.LSTM(shape.units, return_sequences=shape.every),
                keras.layers.Dense(shape.outputs),
            ]
        )
        # The plain mean would divide by the answers that are not due as well.
        reduction = "mean_with_sample_weight" if shape.every else "sum_over_batch_size"
        self.loss = keras.losses.SparseCategoricalCrossentropy(
            from_logits=True, reduction=reduction
        )
        optimizer = keras.optimizers.Adam(
            lr, BETA_1, BETA_2, EPSILON, global_clipnorm=clip
        )
        optimizer.build(self.model.trainable_variables)
        self.fresh = [np.array(variable.value) for variable in optimizer.variables]
        self.model.compile(
            optimizer, self.loss, steps_per_execution=self.steps_per_execution
        )

    def _laid_out(
        self, batches: Batches
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
        """(N B, T, F), (N B,) or (N B, T), and sample weights like them."""

        def rows(array):
            """(N, T, B, ...) -> (N B, T, ...)."""
            array = np.swapaxes(array, 1, 2)
            return np.ascontiguousarray(array.reshape(-1, *array.shape[2:]))

        inputs = rows(one_hot(batches.inputs, self.shape.features))
        if batches.mask is None:
            return inputs, batches.targets.reshape(-1), None
        return inputs, rows(batches.targets), rows(batches.mask.astype(np.float32))

    def load(self, batches: Batches) -> None:
        self.count = len(batches.inputs)
        self.arrays = self._laid_out(batches)

    def run(self, steps: int) -> None:
        """One `fit` over the batches; where there are too few of them, as many as it takes."""
        for start in range(0, steps, self.count):
            rows = min(self.count, steps - start) * self.shape.batch
            x, y, weight = (
                None if array is None else array[:rows] for array in self.arrays
            )
            self.model.fit(
                x,
                y,
                sample_weight=weight,
                batch_size=self.shape.batch,
                shuffle=False,
                verbose=0,
            )

    def set_weights(self, weights: Weights) -> None:
        """Layers list their weights in memcap's order, and gates i, f, c, o are i, f, g, o."""
        self.model.set_weights(listed(weights))
        for variable, value in zip(
            self.model.optimizer.variables, self.fresh, strict=True
        ):
            variable.assign(value)

    def weights(self) -> Weights:
        return named(self.model.get_weights())

    def loss_and_gradients(self, batch: Batches) -> tuple[float, Weights]:
        """Differentiate the model's stateless call by JAX, as `fit` does."""
        x, y, weight = self._laid_out(batch.first())

        others = [variable.value for variable in self.model.non_trainable_variables]

        def loss(trainable):
            outputs, _ = self.model.stateless_call(trainable, others, x, training=True)
            return self.loss(y, outputs, weight)

        trainable = [variable.value for variable in self.model.trainable_variables]
        value, gradient = jax.jit(jax.value_and_grad(loss))(trainable)
        return float(value), named(map(np.asarray, gradient))


class Keras16(Keras):
    """Sixteen steps a compiled call."""

    stride = steps_per_execution = 16
