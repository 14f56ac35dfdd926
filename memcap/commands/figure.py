"""Draw a figure from a study's rows, with the numbers drawn beside it."""

from argparse import ArgumentParser, Namespace

from memcap import figures
from memcap.commands.arguments import add_results, add_strict, folder_of, location
from memcap.store import rows_of


def add_arguments(parser: ArgumentParser) -> None:
    """Add the figure, the study, and the folder it goes to."""
    parser.add_argument("name", help="which figure: one of those below, or MODULE:NAME of your own")
    add_results(parser)
    add_strict(parser)
    parser.add_argument("-o", "--output", type=location, help="folder to write to (default: RESULTS/figures)")
    parser.epilog = "figures:\n" + "\n".join(
        f"  {name:<21} {text}" for name, text in figures.summaries().items()
    )


def run(arguments: Namespace) -> None:
    """Draw, and print the path of the picture."""
    name = figures.FORMER.get(arguments.name, arguments.name)
    drawn = figures.find(name).draw(rows_of(arguments.results, arguments.strict))
    print(
        figures.save(
            drawn,
            arguments.output or folder_of(arguments.results) / "figures",
            name.rpartition(":")[2],
        )
    )
