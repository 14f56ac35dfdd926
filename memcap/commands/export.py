"""A trained member's weights as npz, in another library's layout."""

from argparse import ArgumentParser, Namespace
from pathlib import Path

from memcap.models.export import export
from memcap.models.network import Model
from memcap.studies import store
from memcap.studies.shards import OUTPUTS
from memcap.studies.weights import write_arrays


def add_arguments(parser: ArgumentParser) -> None:
    """Which member, in which layout, and where it goes."""
    parser.add_argument("run", help="key of the member, or its first digits, as in the rows")
    parser.add_argument("-o", "--output", type=Path, required=True, help="file to write, .npz")
    parser.add_argument("--layout", choices=["keras", "torch", "flax"], required=True)
    parser.add_argument(
        "--results", type=Path, default=OUTPUTS, help="folder of the study (default: outputs)"
    )


def run(arguments: Namespace) -> None:
    """Write the file, and say what is in it."""
    row = store.find_row(arguments.results, arguments.run)
    model = Model(**store.config_of(row)["model"])
    arrays = export(model, store.weights_of(arguments.results, row), arguments.layout)
    write_arrays(arguments.output, arrays)
    member = f"{row['task']}, lag {row['lag']}, units {row['units']}, seed {row['seed']}, {row['status']}"
    print(f"{arguments.output}: {', '.join(arrays)} ({member})")
