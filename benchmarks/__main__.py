"""The command line of the benchmarks: `python -m benchmarks NAME`, where NAME is a module of this folder."""

import argparse
import importlib
import sys

COMMANDS = {
    "step": "seconds a training step, beside Keras, PyTorch, Flax and Equinox",
    "study": "wall clock of a whole study, cold and warm",
    "frontier": "what a frontier costs to measure",
    "cost": "what each part of a run costs",
}


def main(arguments: list[str] | None = None) -> None:
    """Import the command that is asked for, and no other: each has imports of its own."""
    arguments = sys.argv[1:] if arguments is None else arguments
    top = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="\n".join(f"{name:10}{line}" for name, line in COMMANDS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("command", choices=COMMANDS)
    name = top.parse_args(arguments[:1]).command
    module = importlib.import_module(f"benchmarks.{name}")
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks {name}", description=module.__doc__)
    module.add_arguments(parser)
    module.main(parser.parse_args(arguments[1:]))


if __name__ == "__main__":
    main()
