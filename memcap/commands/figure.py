"""Draw a figure from a study's rows, with the numbers drawn beside it."""

from argparse import ArgumentParser, Namespace

from memcap import figures
from memcap.commands.arguments import (
    PLACE,
    add_format,
    add_output,
    add_strict,
    folder_of,
    location,
)
from memcap.knobs import UserError
from memcap.store import rows_of
from memcap.store.rows import one_per_key
from memcap.store.shards import OUTPUTS


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "name", help="a figure below, a paper, or MODULE:NAME of your own"
    )
    about = f"{PLACE}; several are drawn together (default: {OUTPUTS})"
    parser.add_argument(
        "results", type=location, nargs="*", default=[OUTPUTS], help=about
    )
    add_strict(parser)
    add_format(parser)
    add_output(parser, "folder to write to (default: figures/ in the first of RESULTS)")
    lines = (f"  {name:<21} {text}" for name, text in figures.summaries().items())
    parser.epilog = "\n".join(["figures:", *lines])


@figures.own_style()
def run(arguments: Namespace) -> None:
    figure = figures.find(arguments.name)
    tables = [rows_of(place, arguments.strict) for place in arguments.results]
    picture = figure.draw(one_per_key(tables))
    folder = arguments.output
    if folder is None:
        folder = folder_of(arguments.results[0]) / "figures"
        if folder.is_symlink():
            raise UserError(f"{folder}: is a link; name the folder to write to by -o")
    name = arguments.name.rpartition(":")[2]
    print(figures.save(picture, folder, name, arguments.format))
