"""Print the tasks, and what each needs at a lag: bits, chance, reference widths."""

from argparse import ArgumentParser, Namespace
from typing import Any

from memcap.commands.arguments import add_json, steps
from memcap.config.recipes import recommended
from memcap.frontiers.frontier import references
from memcap.tasks import task_classes
from memcap.terminal.words import Column, Listing, bound, order, print_json, show


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("--lag", type=steps, default=8, help="time steps (default 8)")
    add_json(parser)
    parser.epilog = order(DROPS)


def run(arguments: Namespace) -> None:
    """Print one line per task."""
    if arguments.json:
        print_json(task_rows(arguments.lag))
    else:
        show(tasks_table(arguments.lag))


COLUMNS = (
    Column("task"),
    Column("length", "steps of a sequence", right=True),
    Column("shortest", "shortest sequence that asks for everything held", right=True),
    Column("held", "symbols to hold at the worst moment", right=True),
    Column("bits", "bits to hold at that moment", right=True),
    Column("chance", "score of the best net without memory", right=True),
    Column("solved", "held-out score that passes"),
    Column(
        "floor",
        "units that the bits need in any network of float32 numbers",
        right=True,
    ),
    Column(
        "one/number", "units with one carry number for each symbol held", right=True
    ),
    Column("constructed", "units with which weights set by hand solve it", right=True),
    Column("recipe", "recipe of recipe=auto"),
    Column(
        "before",
        "filler that may come before what counts, in a longer sequence; nothing: what counts"
        " begins at the first step",
    ),
)
DROPS = (
    "before",
    "shortest",
    "held",
    "length",
    "constructed",
    "chance",
    "one/number",
    "recipe",
)


def tasks_table(lag: int) -> Listing:
    """Return a table with one line per task, with its default knobs."""
    rows = [list(row.values()) for row in task_rows(lag)]
    title = (
        f"Tasks at lag {lag}, with their default knobs; reference widths are an LSTM's"
    )
    return Listing(title, COLUMNS, rows, DROPS)


def task_rows(lag: int) -> list[dict[str, Any]]:
    """Return the facts of each task at a lag."""
    rows: list[dict[str, Any]] = []
    for name, cls in task_classes().items():
        task = cls()
        theory = references(task, lag)
        facts = task.facts(lag, task.length(lag))
        sign = ">=" if task.higher_is_better else "<="
        rows.append(
            {
                "task": name,
                "length": task.length(lag),
                "shortest": task.shortest(lag),
                "held": facts.held,
                "bits": theory.bits,
                "chance": facts.chance,
                "solved": f"{task.metric} {sign} {bound(facts.threshold)}",
                "information_floor": theory.information_floor,
                "one_per_number": theory.one_per_number,
                "constructed": theory.constructed,
                "recipe": recommended(task, lag),
                "before": None if task.stream else task.filler or "nothing",
            }
        )
    return rows
