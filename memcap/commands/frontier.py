"""Print the units that each task and lag needs, with 95 % intervals, from a study's rows.

Read more: memcap docs decides
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Sequence

from memcap import store
from memcap.commands.arguments import add_json, add_results, add_strict, add_verdict
from memcap.frontiers.frontier import Point, columns, frontier
from memcap.knobs import UserError
from memcap.own.losses import loss_curves
from memcap.own.words import as_dict, loss_table
from memcap.report import tables
from memcap.store.status import incomplete, missing
from memcap.terminal.words import Listing, print_json, show

SHORT = ("task", "lag", "u50", "u90")
MOST_LINES = 30  # that a screen holds


def add_arguments(parser: ArgumentParser) -> None:
    add_results(parser)
    parser.add_argument("--task", help="show only this task, by its name in rows")
    about = f"print every lag, even if there are more than {MOST_LINES} lines"
    parser.add_argument("--all", action="store_true", help=about)
    add_verdict(parser)
    add_strict(parser)
    add_json(parser)


def run(arguments: Namespace) -> None:
    results = arguments.results
    rows = store.read(results, arguments.strict)
    if rows.is_empty():
        raise store.no_rows(results)
    if (task := arguments.task) is not None:
        tasks = sorted({*rows["task"]})
        rows = rows.filter(task=task)
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
    if len(points) > MOST_LINES and not arguments.all:
        show(_longest_lags(points))
    elif points or not curves:
        show(tables.frontier_table(points))
    if line := incomplete(missing(results), results):
        show(line)


def _longest_lags(points: Sequence[Point]) -> Listing:
    is_one = len({point.task.name for point in points}) == 1
    longest: dict[str, Point] = {}
    for point in points:
        name = point.label if is_one else point.task.name
        if longest.setdefault(name, point).label == point.label:
            longest[name] = point
    heads = [column for column in tables.FRONTIER if column.head in SHORT]
    rows = [
        (p.label, p.lag, *(tables.threshold_text(p, name) for name in SHORT[2:]))
        for p in longest.values()
    ]
    those = "" if is_one else " --task NAME has those of one task."
    note = (
        f"The longest lag of each, of {len(points)} lines.{those} --all has all lines, with"
        " recipes and counts."
    )
    return Listing(tables.TITLE, heads, rows, notes=[note])
