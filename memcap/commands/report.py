"""Write a study as one page of HTML: its frontier, a table to sort, and each member's
curve at a click.

The page is one file that fetches nothing; it can be mailed, or opened from a disk.

  memcap report outputs/first_study -o report.html
"""

from argparse import ArgumentParser, Namespace

from memcap.commands.arguments import add_output, add_results, add_strict, folder_of
from memcap.report.html import page
from memcap.store import curves, files, rows_of


def add_arguments(parser: ArgumentParser) -> None:
    add_results(parser)
    add_strict(parser)
    add_output(parser, "file to write (default: RESULTS/report.html)")


def run(arguments: Namespace) -> None:
    rows = rows_of(arguments.results, arguments.strict)
    folder = folder_of(arguments.results)
    path = arguments.output or folder / "report.html"
    text = page(
        rows, curves.read(folder), f"memcap: {folder.name or folder.absolute().name}"
    )
    with files.output_of(path):
        if arguments.output is None:  # the folder for the atlas may not exist
            folder.mkdir(parents=True, exist_ok=True)
        files.write(path, lambda file: file.write(text.encode()))
    print(path)
