"""How many units for this task at this lag, in plain words."""

from argparse import ArgumentParser, Namespace

from memcap.capacity.answer import answer, as_dict, sentences
from memcap.capacity.frontier import frontier
from memcap.config import task_of
from memcap.console import add_json, add_results, positive, print_json, share
from memcap.studies import store


def add_arguments(parser: ArgumentParser) -> None:
    """What is asked, of which study, and how the answer is printed."""
    parser.add_argument("--task", required=True, help="name of a task, as in `memcap tasks`")
    parser.add_argument("--lag", type=positive, required=True, help="time steps")
    parser.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE", help="a knob of the task, as symbols=4")
    about = "share of the seeds that train at all and should solve (default .9)"
    parser.add_argument("--confidence", type=share, default=0.9, help=about)
    add_results(parser)
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print the answer; without any rows it says so, and how to measure."""
    task = task_of(arguments.task, arguments.knob)
    rows = store.read(arguments.results) if arguments.results.exists() else store.frame([])
    found = answer(task, arguments.lag, arguments.confidence, frontier(rows))
    if arguments.json:
        print_json(as_dict(found))
    else:
        print("\n".join(sentences(found)))
