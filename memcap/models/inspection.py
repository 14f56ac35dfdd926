"""Shapes, counted from a real network: what comes out of an LSTM, and what it carries, whatever the
sequence's length."""

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.models.network import Architecture, Model, Network


@dataclass(frozen=True)
class Inspection:
    """What `memcap inspect` shows; shapes have the batch first, as in Keras.

    every: hidden states of all steps; last: of the last one; carry: each array of the state, by name.
    """

    model: Model
    timesteps: int
    features: int
    batch: int
    every: tuple[int, ...]
    last: tuple[int, ...]
    carry: dict[str, tuple[int, ...]]
    carry_numbers: int
    cell_parameters: int
    longer: dict[str, tuple[int, ...]]


def inspect(model: Model, timesteps: int, features: int, batch: int = 1) -> Inspection:
    """Build the network, run it abstractly over (timesteps, batch, features), and read off its shapes."""

    def shapes(steps: int) -> tuple[dict[str, tuple[int, ...]], tuple[int, ...]]:
        def run() -> tuple:
            network = Network(model, features, 1, rngs=nnx.Rngs(0))
            return network.hidden(jnp.zeros((steps, batch, features)))

        carry, hidden = nnx.eval_shape(run)
        leaves = jax.tree.leaves(carry)
        names = (
            ("c", "h")
            if len(leaves) == 2
            else ("h",)
            if len(leaves) == 1
            else tuple(map(str, range(len(leaves))))
        )
        steps_, units, _ = hidden.shape
        return {n: leaf.shape for n, leaf in zip(names, leaves, strict=True)}, (batch, steps_, units)

    carry, every = shapes(timesteps)
    architecture = Architecture(model, features, 1)
    cell = jax.tree.leaves(architecture.abstract_weights()["cell"])
    return Inspection(
        model,
        timesteps,
        features,
        batch,
        every,
        (batch, every[-1]),
        carry,
        architecture.carry_numbers(),
        sum(leaf.size for leaf in cell),
        shapes(10 * timesteps)[0],
    )


def sentences(found: Inspection) -> list[str]:
    """The inspection in words."""
    m = found.model
    carry = ", ".join(f"{name} {shape}" for name, shape in found.carry.items())
    return [
        f"{m.cell} of {m.units} units on sequences of {found.timesteps} time steps with {found.features}"
        " features:",
        f"  input             {(found.batch, found.timesteps, found.features)}  (batch, time, features)",
        f"  output, each step {found.every}  (return_sequences=True in Keras)",
        f"  output, last step {found.last}  (the last row of the above: the same h)",
        f"  carry             {carry}: {found.carry_numbers} numbers a sequence",
        f"  parameters        {found.cell_parameters} in the cell; none of them depends on the number of"
        " time steps",
        "The state has one entry a unit, not one a time step: the same cell is applied at every step, and"
        " its carry is all that"
        " passes from one step to the next.",
        f"At {10 * found.timesteps} time steps the carry is the same: "
        + ", ".join(f"{name} {shape}" for name, shape in found.longer.items())
        + ". What has to fit into it is what the task must still know, not how long ago it was seen.",
    ]
