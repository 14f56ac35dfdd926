"""Shapes of an LSTM's output and state, and why they don't depend on the length."""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from memcap.arguments import positive, steps
from memcap.models import inspection
from memcap.models.network import Model
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
    found = inspection.inspect(
        Model(arguments.cell, arguments.units), arguments.timesteps, arguments.features
    )
    if arguments.json:
        print_json(asdict(found))
    else:
        print("\n".join(inspection.sentences(found)))
