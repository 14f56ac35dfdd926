"""What each task asks of memory at a lag: bits, chance, reference widths."""

from argparse import ArgumentParser, Namespace
from typing import Any

from rich.table import Table

from memcap.capacity.points import references
from memcap.console import add_json, console, number, positive, print_json
from memcap.recipes import recommended
from memcap.tasks import task_classes


def add_arguments(parser: ArgumentParser) -> None:
    """Which lag, and how it is printed."""
    parser.add_argument("--lag", type=positive, default=8, help="time steps (default 8)")
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print one line a task."""
    if arguments.json:
        print_json(task_rows(arguments.lag))
    else:
        console().print(tasks_table(arguments.lag))


def tasks_table(lag: int) -> Table:
    """One line a task, with its default knobs."""
    table = Table(title=f"Tasks at lag {lag}, with their default knobs; reference widths are an LSTM's")
    for head in (
        *("task", "length", "shortest", "held", "bits", "chance", "solved"),
        *("floor", "one/number", "constructed", "recipe"),
    ):
        table.add_column(head)
    for row in task_rows(lag):
        table.add_row(*(number(v) if isinstance(v, (int, float)) else "" if v is None else v for v in row.values()))
    return table


def task_rows(lag: int) -> list[dict[str, Any]]:
    """What each task knows of itself at a lag."""
    found: list[dict[str, Any]] = []
    for name, cls in task_classes().items():
        task = cls()
        known, facts = references(task, lag), task.facts(lag, task.length(lag))
        sign = ">=" if task.higher_is_better else "<="
        found.append(
            {
                "task": name,
                "length": task.length(lag),
                "shortest": task.shortest(lag),
                "held": facts.held,
                "bits": known.bits,
                "chance": facts.chance,
                "solved": f"{task.metric} {sign} {facts.threshold:.3g}",
                "information_floor": known.information_floor,
                "one_per_number": known.one_per_number,
                "constructed": known.constructed,
                "recipe": recommended(task, lag),
            }
        )
    return found
