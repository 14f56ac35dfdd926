"""Units that each task and lag needs, with 95 % intervals, from a study's rows."""

from argparse import ArgumentParser, Namespace

from memcap import report
from memcap.capacity.frontier import columns, frontier
from memcap.console import add_json, add_results, console, print_json, rows_of


def add_arguments(parser: ArgumentParser) -> None:
    """Which study, and how the frontier is printed."""
    add_results(parser)
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print one line a task and lag."""
    points = frontier(rows_of(arguments.results))
    if arguments.json:
        print_json([columns(p) for p in points])
    else:
        console().print(report.frontier_table(points))
