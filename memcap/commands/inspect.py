"""Print the shapes of an LSTM's output and state, and why they do not depend on the
length; or count the state of a layer of your own.

  memcap inspect --units 5 --timesteps 2
  memcap inspect my_layers:Fast --features 3        a layer of PyTorch or Flax

A layer takes inputs (B, T, F), and then a state as well, and returns its outputs and
its state, as nn.LSTM does, or is a cell of Flax (NNX). A class is called as
Fast(features, units). The layer runs twice, the second time from the state that it
returned. If it has a `state_size`, a number or a method, that is printed next to what
was counted.

Read more: memcap docs measure
"""

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict, dataclass

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.commands.arguments import add_json, layers, positive, steps
from memcap.models.architecture import Architecture
from memcap.models.layer_state import FLAX, LayerState, build_layer, layer_state
from memcap.models.model import Model, cell_names
from memcap.models.network import Network
from memcap.runtime import jax_setup
from memcap.runtime.plugins import import_object
from memcap.terminal.words import fold, plural, print_json

BATCH = 1  # sequences that are shown
Shape = tuple[int, ...]


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="MODULE:NAME", nargs="?", help="a layer of another library")
    add("--units", type=positive, default=5, help="hidden width (default 5)")
    add("--timesteps", type=steps, default=2, help="steps of a sequence (default 2)")
    add("--features", type=positive, default=3, help="numbers in an input (default 3)")
    add("--cell", default="lstm", help="lstm (the default), gru, elman, or as in rows")
    add("--layers", type=layers, default=1, help="layers of this cell (default 1)")
    add_json(parser)


def run(arguments: Namespace) -> None:
    timesteps = arguments.timesteps
    features = arguments.features
    if arguments.net:
        jax_setup.setup()
        net = import_object(arguments.net, "net")
        layer = build_layer(net, features, arguments.units)
        found = layer_state(layer, timesteps, features)
        lines = state_sentences(arguments.net, found, timesteps)
    else:
        model = Model(arguments.cell, arguments.units, layers=arguments.layers)
        found = inspect(model, timesteps, features)
        lines = sentences(found)
    if arguments.json:
        print_json(asdict(found))
    else:
        for line in lines:
            print(fold(line, sys.stdout))


@dataclass(frozen=True)
class Inspection:
    """The shapes that `memcap inspect` shows, batch first as in Keras."""

    model: Model
    timesteps: int
    features: int
    batch: int
    every: Shape  # of the last layer's hidden states at all steps
    last: Shape  # and at the last one
    carry: dict[str, Shape]  # of each array of the state, by name
    carry_numbers: int
    cell_parameters: int
    longer: dict[str, Shape]


def inspect(model: Model, timesteps: int, features: int) -> Inspection:
    """Read the network's shapes off an abstract run over (timesteps, 1, features)."""

    def shapes(steps: int) -> tuple[dict[str, Shape], Shape]:
        def run() -> tuple:
            network = Network(model, features, 1, rngs=nnx.Rngs(0))
            carries, hidden = network.hidden(jnp.zeros((steps, BATCH, features)))
            return carries, hidden

        carries, hidden = nnx.eval_shape(run)
        carry = {}
        for layer, leaves in enumerate(map(jax.tree.leaves, carries), 1):
            names = FLAX.get(len(leaves), range(len(leaves)))
            end = "" if model.layers == 1 else f"_{layer}"
            for name, leaf in zip(names, leaves, strict=True):
                carry[f"{name}{end}"] = leaf.shape
        return carry, (BATCH, *hidden.shape[:2])

    carry, every = shapes(timesteps)
    architecture = Architecture(model, features, 1)
    weights = architecture.abstract_weights()
    cells = jax.tree.leaves([weights[name] for name in cell_names(model)])
    return Inspection(
        model,
        timesteps,
        features,
        BATCH,
        every,
        (BATCH, every[-1]),
        carry,
        architecture.carry_numbers(),
        sum(leaf.size for leaf in cells),
        shapes(10 * timesteps)[0],
    )


def sentences(shapes: Inspection) -> list[str]:
    m = shapes.model
    steps = shapes.timesteps
    features = shapes.features
    carry = _named(shapes.carry)
    net = f"{m.cell} of {plural(m.units, 'unit')}"
    cells = "the cell"
    if m.layers > 1:
        net = f"{m.layers} layers of {net} each"
        cells = f"the {m.layers} cells"
    return [
        f"{net} on sequences of {steps} time steps with {features} features:",
        f"  input             {(shapes.batch, steps, features)}  (batch, time, features)",
        f"  output, each step {shapes.every}  (return_sequences=True in Keras)",
        f"  output, last step {shapes.last}  (the last row of the above: the same h)",
        f"  carry             {carry}: {shapes.carry_numbers} numbers per sequence",
        (
            f"  parameters        {shapes.cell_parameters} in {cells}; none of them depends on"
            " the number of time steps"
        ),
        (
            "The state has one entry per unit, not one per time step: the same cell is applied at"
            " every step, and its carry is all that passes from one step to the next."
        ),
        (
            f"At {10 * steps} time steps the carry is the same: {_named(shapes.longer)}."
            " What has to fit into it is what the task must still know, not how long ago it was"
            " seen."
        ),
    ]


def state_sentences(name: str, state: LayerState, timesteps: int) -> list[str]:
    sizes = [(part, n, state.bytes[part]) for part, n in state.numbers.items()]
    total = sum(state.numbers.values())
    longer = sum(state.longer.values())
    sizes.append(("in all", total, sum(state.bytes.values())))
    lines = [f"{name} hands on from one step to the next, for each sequence:"]
    lines += [
        f"  {part:<16}  {plural(numbers, 'number')}, {plural(size, 'byte')}"
        for part, numbers, size in sizes
    ]
    if state.stated is not None:
        lines.append(f"  its state_size    {state.stated}")
    verdict = f"it is as large as after {timesteps}."
    if longer != total:
        verdict = (
            f"it has {plural(longer, 'number')}: it grows with the length, as the cache of"
            " attention does."
        )
    return [*lines, f"After {2 * timesteps} steps {verdict}"]


def _named(shapes: dict[str, Shape]) -> str:
    return ", ".join(f"{name} {shape}" for name, shape in shapes.items())
