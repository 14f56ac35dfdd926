"""How many units for this task at this lag, in plain words.

Without --task and --lag it asks what has to be remembered. Without RESULTS it reads your own rows in
`outputs` and, where they do not measure the lag, those that memcap publishes.
"""

from argparse import ArgumentParser, Namespace

from rich.console import Console

from memcap.arguments import add_results, add_strict, add_verdict, share, steps
from memcap.capacity.answer import as_dict, sentences
from memcap.capacity.sources import asked
from memcap.config import task_of
from memcap.knobs import UserError
from memcap.printing import add_json, print_json
from memcap.questions import ask
from memcap.tasks import Task


def add_arguments(parser: ArgumentParser) -> None:
    """What is asked, of which study, and how the answer is printed."""
    parser.add_argument(
        "--task", help="name of a task, as in `memcap tasks`; without it you are asked what to remember"
    )
    parser.add_argument("--lag", type=steps, help="time steps")
    parser.add_argument(
        "--knob", action="append", default=[], metavar="NAME=VALUE", help="a knob of the task, as symbols=4"
    )
    about = "share of the seeds that train at all and should pass (default .9)"
    parser.add_argument("--confidence", type=share, default=0.9, help=about)
    add_verdict(parser)
    add_strict(parser)
    add_results(parser, "outputs, and the published atlas where it does not measure the lag")
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print the answer; without any rows it says so, and how to measure."""
    task, lag = _question(arguments)
    if arguments.results is not None and "=" in arguments.results.name and not arguments.results.exists():
        raise UserError(
            f"{arguments.results}: no such folder; a knob of the task goes by --knob {arguments.results}"
        )
    found = asked(
        task, lag, arguments.confidence, arguments.at, arguments.budget, arguments.results, arguments.strict
    )
    if arguments.json:
        print_json(as_dict(found))
    else:
        print("\n".join(sentences(found)))


def _question(arguments: Namespace) -> tuple[Task, int]:
    """The task and lag that were given, or that whoever runs the command answers when asked."""
    if arguments.task is None:
        if arguments.lag is not None or arguments.knob:
            raise UserError("--task: not given; give --task and --lag, or neither to be asked")
        return ask(Console(stderr=True))
    if arguments.lag is None:
        raise UserError(
            f"--lag: not given; how many time steps, as in: memcap answer --task {arguments.task} --lag 50"
        )
    return task_of(arguments.task, arguments.knob), arguments.lag
