"""Print the units that each task and lag needs, with 95 % intervals, from a study's rows.

Read more: memcap docs decides
"""

from argparse import ArgumentParser, Namespace

from memcap import store
from memcap.commands.arguments import add_json, add_results, add_strict, add_verdict
from memcap.frontiers.frontier import columns, frontier
from memcap.knobs import UserError
from memcap.own.losses import loss_curves
from memcap.own.words import as_dict, loss_table
from memcap.report import tables
from memcap.store.rows import IS_BY_LOSS
from memcap.store.status import incomplete, missing
from memcap.terminal.words import order, print_json, show


def add_arguments(parser: ArgumentParser) -> None:
    add_results(parser)
    parser.add_argument("--task", help="only this task, as named in rows")
    add_verdict(parser)
    add_strict(parser)
    add_json(parser)
    parser.epilog = order(tables.FRONTIER_DROPS)


def run(arguments: Namespace) -> None:
    """Print one line per task and lag."""
    results = arguments.results
    rows = store.read(results, arguments.strict)
    others = store.unknown(results).filter(~IS_BY_LOSS)
    if rows.is_empty() and others.is_empty():
        raise store.no_rows(results)
    if (task := arguments.task) is not None:
        tasks = sorted({*rows["task"], *others["task"]})
        rows = rows.filter(task=task)
        others = others.filter(task=task)
        if task not in tasks:
            raise UserError(
                f"--task {task}: {results} has no rows of it; one of {', '.join(tasks)}"
            )
    points = frontier(rows, arguments.at, arguments.budget)
    curves = loss_curves(rows)
    if arguments.json:
        print_json([*map(columns, points), *map(as_dict, curves)])
        return
    for curve in curves:
        show(loss_table(curve))
    if not others.is_empty():
        show(tables.counts_table(others))
    if points or not (curves or others.height):
        show(tables.frontier_table(points))
    if line := incomplete(missing(results), results):
        show(line)
