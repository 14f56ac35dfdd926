"""Shapes of an LSTM's output and state, and why they don't depend on the length."""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict, dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.arguments import positive, steps
from memcap.models.network import Architecture, Model, Network
from memcap.printing import add_json, print_json


def add_arguments(parser: ArgumentParser) -> None:
    """Which network and sequence, and how the shapes are printed."""
    parser.add_argument("--units", type=positive, default=5, help="hidden width (default 5)")
    parser.add_argument("--timesteps", type=steps, default=2, help="steps of a sequence (default 2)")
    parser.add_argument(
        "--features", type=positive, default=3, help="numbers that come in at a step (default 3)"
    )
    parser.add_argument("--cell", default="lstm", help="lstm (the default), or a Flax cell such as GRUCell")
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print the shapes."""
    shapes = inspect(Model(arguments.cell, arguments.units), arguments.timesteps, arguments.features)
    if arguments.json:
        print_json(asdict(shapes))
    else:
        print("\n".join(sentences(shapes)))


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


def sentences(shapes: Inspection) -> list[str]:
    """The inspection in words."""
    m = shapes.model
    carry = ", ".join(f"{name} {shape}" for name, shape in shapes.carry.items())
    return [
        f"{m.cell} of {m.units} units on sequences of {shapes.timesteps} time steps with {shapes.features}"
        " features:",
        f"  input             {(shapes.batch, shapes.timesteps, shapes.features)}  (batch, time, features)",
        f"  output, each step {shapes.every}  (return_sequences=True in Keras)",
        f"  output, last step {shapes.last}  (the last row of the above: the same h)",
        f"  carry             {carry}: {shapes.carry_numbers} numbers per sequence",
        f"  parameters        {shapes.cell_parameters} in the cell; none of them depends on the number of"
        " time steps",
        "The state has one entry per unit, not one per time step: the same cell is applied at every step, and"
        " its carry is all that"
        " passes from one step to the next.",
        f"At {10 * shapes.timesteps} time steps the carry is the same: "
        + ", ".join(f"{name} {shape}" for name, shape in shapes.longer.items())
        + ". What has to fit into it is what the task must still know, not how long ago it was seen.",
    ]
