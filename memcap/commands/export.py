"""Write a trained member's weights as npz, in another library's layout.

Read more: memcap docs train
"""

from argparse import ArgumentParser, Namespace

from memcap import store
from memcap.commands.arguments import NET, add_results, location
from memcap.models.export import export
from memcap.store.files import write_arrays
from memcap.store.nets import find_net
from memcap.terminal.words import show


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("run", help=NET)
    parser.add_argument(
        "-o", "--output", type=location, required=True, help="file to write, .npz"
    )
    parser.add_argument("--layout", choices=["keras", "torch", "flax"], required=True)
    add_results(parser)


def run(arguments: Namespace) -> None:
    folder, row = find_net(arguments.results, arguments.run)
    model = store.model_of(row).at_width(row["units"])
    arrays = export(model, store.sound_weights_of(folder, row), arguments.layout)
    write_arrays(arguments.output, arrays)
    member = (
        f"{row['task']}, lag {row['lag']}, units {row['units']}, seed {row['seed']},"
        f" {row['status']}"
    )
    show(f"{arguments.output}: {', '.join(arrays)} ({member})")
