"""Say in plain words how many units a task takes at a lag.

Without --task and --lag, the command asks you what a net has to remember. Without
RESULTS, it reads your own rows in `outputs`, and the rows that memcap publishes if
yours do not measure the lag.
"""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from contextlib import redirect_stdout
from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.prompt import IntPrompt, Prompt

from memcap import commands
from memcap.answers.question import Question
from memcap.answers.sources import best_answer, cell_name
from memcap.answers.words import as_dict, code, sentences, why
from memcap.commands.arguments import (
    add_knobs,
    add_results,
    add_strict,
    add_verdict,
    layers,
    location,
    share,
    steps,
)
from memcap.config.knobs import UserError, allowed, typed
from memcap.config.member import task_of
from memcap.config.recipes import use_config_folders
from memcap.models.model import Model
from memcap.own import words as loss_words
from memcap.own.losses import loss_curves
from memcap.own.task import Data
from memcap.scripts import FRAMEWORKS
from memcap.store import rows_of
from memcap.store.shards import OUTPUTS
from memcap.tasks import Task, task_classes
from memcap.terminal.printing import add_json, print_json
from memcap.terminal.words import fold, printable

OTHERS = {  # questions that no task answers, and what does
    "my own sequences, which I have in a file": (
        "Train on them. A table has a line per step, and a column that names the sequence:",
        "memcap fit my_table.csv --target COLUMN",
    ),
    "I don't know": (
        "If you have sequences, you need not know. A table of them is enough:",
        "memcap fit my_table.csv --target COLUMN",
        (
            "If you have none, two tasks bound it: to hold one thing for 50 steps, and all of the"
            " last 50 steps:"
        ),
        "memcap answer --task latch --lag 50",
        "memcap answer --task delay_line --lag 50",
    ),
}
NOBODY = (
    "--task: not given, and nobody can be asked; give both: memcap answer --task delay_line"
    " --lag 50"
)


def add_arguments(parser: ArgumentParser) -> None:
    about = "name of a task, as in `memcap tasks`; without it you are asked what to remember"
    parser.add_argument("--task", help=about)
    parser.add_argument(
        "--lag", type=steps, help="time steps (default for data: all of a sequence)"
    )
    add_knobs(parser)
    about = "cell: lstm (default), gru, elman, or as in rows"
    parser.add_argument("--cell", default="lstm", help=about)
    parser.add_argument(
        "--layers", type=layers, default=1, help="layers of this cell (default 1)"
    )
    parser.add_argument(
        "--why", action="store_true", help="also print what the answer rests on"
    )
    about = "folder with recipes of your own, for the command that measures"
    parser.add_argument("--config-dir", type=location, help=about)
    about = (
        "share of the seeds that should pass, of those that train at all (default .9)"
    )
    parser.add_argument("--confidence", type=share, default=0.9, help=about)
    add_verdict(parser)
    about = "ask about this lag alone, not about shorter ones; short for --at steady"
    parser.add_argument(
        "--exactly", dest="at", action="store_const", const="steady", help=about
    )
    about = "print a script of that framework, which trains a net of this width"
    parser.add_argument("--code", choices=FRAMEWORKS, help=about)
    about = "if the lag was not measured, first train what measures it"
    parser.add_argument("--measure", action="store_true", help=about)
    add_strict(parser)
    add_results(
        parser, "outputs, and the published atlas where it does not measure the lag"
    )
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print the answer; without any rows say so, and how to measure."""
    subject = _subject(arguments)
    if subject is None:
        return
    task, lag = subject
    if (
        arguments.results is not None
        and "=" in arguments.results.name
        and not arguments.results.exists()
    ):
        raise UserError(
            f"{arguments.results}: no such folder; a knob of the task goes by --knob"
            f" {arguments.results}"
        )
    if arguments.config_dir is not None:
        if not arguments.config_dir.is_dir():
            raise UserError(f"--config-dir {arguments.config_dir}: no such folder")
        use_config_folders([arguments.config_dir])
    if _answer_by_loss(arguments, task, lag):
        return
    model = Model(cell_name(arguments.cell), 1, layers=arguments.layers)
    about = arguments.confidence, arguments.at, arguments.budget, arguments.config_dir
    answer = best_answer(
        Question(task, lag, model, *about), arguments.results, arguments.strict
    )
    if (
        arguments.measure
        and not (answer.settled and answer.as_asked)
        and answer.command
    ):
        aside = sys.stderr if arguments.json or arguments.code else sys.stdout
        with redirect_stdout(aside):
            commands.find("train").run(
                Namespace(overrides=shlex.split(answer.command)[2:])
            )
        answer = best_answer(answer.question, OUTPUTS, arguments.strict)
    if arguments.code:
        print(code(answer, arguments.code), end="")
        return
    if arguments.json:
        print_json(as_dict(answer))
        return
    for line in [*sentences(answer), *(why(answer) if arguments.why else [])]:
        print(
            printable(line)
            if line == answer.command
            else fold(printable(line), sys.stdout)
        )
    if not arguments.why:
        more = " --measure trains what is missing, and answers then."
        more *= answer.point is None and bool(answer.command)
        print(fold(f"--why says what this rests on.{more}", sys.stdout))


def _answer_by_loss(arguments: Namespace, task: Task, lag: int) -> bool:
    """Answer for a user's own sequences, if their widths are compared by held-out loss:
    those of the task's file; or, if neither a file nor a lag is named, those of the
    folder. Return whether they are.
    """
    if not (task.rule.by_loss or (isinstance(task, Data) and arguments.results)):
        return False
    rows = rows_of(arguments.results or OUTPUTS, arguments.strict)
    named = task.rule.by_loss or arguments.knob or arguments.lag
    curves = [
        curve for curve in loss_curves(rows) if not named or curve.is_of(task, lag)
    ]
    if not curves and task.rule.by_loss:
        raise UserError(
            f"no rows of these sequences at lag {lag}; train them by: memcap fit FILE"
        )
    if curves and arguments.json:
        print_json(loss_words.as_dict(curves[0]))
    for line in (
        loss_words.sentences(curves[0]) if curves and not arguments.json else ()
    ):
        print(fold(line, sys.stdout))
    return bool(curves)


def _subject(arguments: Namespace) -> tuple[Task, int] | None:
    """Return the task and lag that were given, or ask for them; None if the answer is
    another command."""
    if arguments.task is None:
        if arguments.lag is not None or arguments.knob:
            raise UserError(
                "--task: not given; give --task and --lag, or neither to be asked"
            )
        return ask(Console(stderr=True))
    task = task_of(arguments.task, arguments.knob)
    lag = arguments.lag or task.longest_lag
    if lag is None:
        raise UserError(
            f"--lag: not given; how many time steps, as in: memcap answer --task {arguments.task}"
            " --lag 50"
        )
    return task, lag


def ask(out: Console) -> tuple[Task, int] | None:
    """Ask what has to be remembered, over how many steps, and for the task's `asks`.

    Args:
        out: console for the questions; the answers are read from stdin.

    Returns:
        The task with its knobs, and the lag; None if no task of memcap's fits, and
        advice was printed.

    Raises:
        UserError: stdin has ended.
    """
    try:
        return _ask(out)
    except EOFError as error:
        out.print()  # ends the line of the question
        raise UserError(NOBODY) from error


def _ask(out: Console) -> tuple[Task, int] | None:
    offered = [cls for cls in task_classes().values() if cls.question]
    out.print("What has to be remembered?")
    questions = [*(cls.question for cls in offered), *OTHERS]
    for number, question in enumerate(questions, start=1):
        out.print(f"  {number}  {question}", highlight=False)
    numbers = [str(k + 1) for k in range(len(questions))]
    which = IntPrompt.ask("Which", console=out, choices=numbers, show_choices=False)
    if which > len(offered):
        for line in OTHERS[questions[which - 1]]:
            print(fold(line, sys.stdout))
        return None
    cls = offered[which - 1]
    values: dict[str, Any] = {}
    for field in fields(cls):
        if field.name in cls.asks:
            values |= _knob(out, cls, field.name, field.metadata, field.default)
    task = typed(cls, values, "task")
    lag = 0
    while lag < task.smallest_lag:
        lag = IntPrompt.ask(
            f"Over how many steps (at least {task.smallest_lag})", console=out
        )
    return task, lag


def _knob(
    out: Console, cls: type[Task], name: str, metadata: Any, default: Any
) -> dict[str, Any]:
    """Ask for the value of one knob, until the task accepts it."""
    doc = metadata["doc"]
    question = f"{doc[:1].upper()}{doc[1:]} ({allowed(metadata)})"
    while True:
        text = Prompt.ask(question, console=out, default=str(default))
        try:
            value = int(text) if isinstance(default, int) else text
            typed(cls, {name: value}, "task")
        except (ValueError, UserError) as error:
            out.print(str(error), markup=False, highlight=False)
            continue
        return {name: value}
