"""Print what each task asks of a net, or what one task is, with an example.

memcap tasks                 what each asks
memcap tasks latch --lag 5   one task: an example with its answers, and its knobs
memcap tasks --lag 50        what each needs: bits, chance, reference widths
"""

import inspect
from argparse import SUPPRESS, ArgumentParser, Namespace
from collections.abc import Iterator

import numpy as np

from memcap.commands.arguments import add_json, add_knobs, steps
from memcap.config.member import task_of
from memcap.config.recipes import recommended
from memcap.frontiers.frontier import label, references
from memcap.knobs import KNOB_COLUMNS, UserError, knobs_in_words
from memcap.store.columns import Row
from memcap.tasks import Task, task_classes
from memcap.terminal.words import (
    WIDTH,
    Column,
    Listing,
    NumberColumn,
    bound,
    first_paragraph,
    fold_help,
    number,
    print_json,
    show,
)

LAG = 8
HEAD = 6  # characters of the name of a row


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("task", nargs="?", help="name of a task, or MODULE:CLASS")
    # as other commands name it
    parser.add_argument("--task", dest="named", metavar="TASK", help=SUPPRESS)
    add_knobs(parser)
    about = f"time steps (default {LAG}, or without a task: no numbers)"
    parser.add_argument("--lag", type=steps, help=about)
    add_json(parser)


def run(arguments: Namespace) -> None:
    lag = arguments.lag or LAG
    name = arguments.task or arguments.named
    tasks = [cls() for cls in task_classes().values()]
    if name is not None:
        tasks = [task_of(name, arguments.knob)]
        least = tasks[0].smallest_lag
        if lag < least:
            raise UserError(f"--lag {lag}: the least lag of {tasks[0].name} is {least}")
    if arguments.json:
        print_json([task_row(task, lag) for task in tasks])
    elif name is not None:
        print("\n".join(_lines(tasks[0], lag)))
        if knobs := knobs_in_words(type(tasks[0]), "task"):
            show("")
            show(Listing("Its knobs", KNOBS, knobs))
    elif arguments.lag is None:
        own = [cls for cls in Task.__subclasses__() if not cls.is_own]
        asked = [[each.name, first_paragraph(each.__doc__)] for each in (*tasks, *own)]
        show(Listing("What each task asks of a net", ASKED, asked, notes=[MORE]))
    else:
        needs = [task_row(task, lag) for task in tasks]
        rows = [[row[name] for name in NEEDS] for row in needs]
        title = f"Tasks at lag {lag}, with their default knobs; reference widths are an LSTM's"
        show(Listing(title, [*NEEDS.values()], rows, notes=ALSO))


ASKED = (Column("task"), Column("asks", folds=True))
KNOBS = [Column(head, folds=head in ("range", "meaning")) for head in KNOB_COLUMNS]
MORE = (
    "memcap tasks NAME shows an example and the knobs;"
    " memcap tasks --lag 50 says what each needs."
)
NEEDS = {
    "task": Column("task"),
    "length": NumberColumn("length", "steps of a sequence"),
    "held": NumberColumn("held", "symbols to hold at the worst moment"),
    "bits": NumberColumn("bits", "bits to hold at that moment"),
    "chance": NumberColumn("chance", "score of the best net without memory"),
    "one_per_number": NumberColumn(
        "one/number", "units with one carry number for each symbol held"
    ),
    "constructed": NumberColumn(
        "constructed", "units with which weights set by hand solve it"
    ),
}
ALSO = (
    "memcap tasks says what each asks.",
    "--json also has the floors, the score that passes, the recipe and the filler.",
)


def task_row(task: Task, lag: int) -> Row:
    theory = references(task, lag)
    facts = task.facts(lag, task.length(lag))
    sign = ">=" if task.higher_is_better else "<="
    return {
        "task": label(task),
        "length": task.length(lag),
        "shortest": task.shortest(lag),
        "held": facts.held,
        "bits": theory.bits,
        "chance": facts.chance,
        "solved": f"{task.metric} {sign} {bound(facts.threshold)}",
        "information_floor": theory.information_floor,
        "readout_floor": theory.readout_floor,
        "one_per_number": theory.one_per_number,
        "constructed": theory.constructed,
        "recipe": recommended(task, lag),
        "before": None if task.stream else task.filler or "nothing",
    }


def _lines(task: Task, lag: int) -> Iterator[str]:
    about = inspect.cleandoc(task.__doc__ or "").split("\n\n")
    yield fold_help("\n\n".join([f"{label(task)}: {about[0]}", *about[1:2]]), WIDTH)
    yield f"\nA sequence at lag {lag}, as nets get it; no answer is due at a dot:"
    rows = example(task, lag)
    cell = max(len(text) for _, *texts in rows for text in texts)
    a_line = (WIDTH - HEAD) // (cell + 1)
    for first in range(1, len(rows[0]), a_line):
        for name, *texts in rows:
            cells = [text.rjust(cell) for text in texts[first - 1 :][:a_line]]
            yield " ".join([name.ljust(HEAD), *cells])


def example(task: Task, lag: int) -> list[list[str]]:
    """Return a drawn sequence as rows of a name and a text per step."""
    import jax  # noqa: PLC0415, as only an example needs it

    length = task.length(lag)
    draw = jax.jit(task.sample, static_argnums=(3, 4))
    inputs, targets, mask, _ = draw(jax.random.key(0), lag, length, length, 1)
    answers = np.full((task.outputs if task.several_values else 1, length), np.nan)
    if mask is None:
        answers[:, -1] = targets[..., 0]
    else:
        answers[:] = np.where(mask[:, 0], targets[..., 0], np.nan)
    rows = [("input", row) for row in np.atleast_2d(np.asarray(inputs)[:, 0].T)]
    rows += [("answer", row) for row in answers]
    texts = [
        [name, *(number(value) or "." for value in row.tolist())] for name, row in rows
    ]
    return [["step", *map(str, range(length))], *texts]
