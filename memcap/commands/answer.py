"""Say in plain words how many units a task takes at a lag.

  memcap answer --task latch --lag 50

Without --task and --lag, the command asks you what a net has to remember. Without
RESULTS, it reads your own rows in `outputs`, and the rows that memcap publishes if
yours do not measure the lag.
"""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from contextlib import redirect_stdout
from dataclasses import Field, fields, replace
from functools import partial
from typing import TYPE_CHECKING, Any

from memcap import commands
from memcap.answers.answer import Answer, Question
from memcap.answers.next_study import measurement
from memcap.answers.sources import best_answer, cell_name
from memcap.answers.words import (
    as_dict,
    code,
    defining_answer,
    definition_lines,
    sentences,
    why,
    width_words,
)
from memcap.commands.arguments import (
    PLACE,
    add_code,
    add_json,
    add_knobs,
    add_strict,
    add_verdict,
    check_code,
    layers,
    location,
    positive,
    print_code,
    share,
    steps,
)
from memcap.config.member import question_task
from memcap.config.recipes import use_config_folders
from memcap.knobs import LONGEST, UserError, allowed, typed, whole
from memcap.models.model import Model
from memcap.own import words as loss_words
from memcap.own.losses import LossCurve, loss_curves
from memcap.own.task import Data
from memcap.scripts import FRAMEWORKS
from memcap.store import rows_of
from memcap.store.shards import OUTPUTS, is_published
from memcap.tasks import Task, task_classes
from memcap.terminal.words import complain, fold, plural, print_json, printable

if TYPE_CHECKING:
    from rich.console import Console

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
    add = parser.add_argument
    add(
        "--task",
        help="name of a task, as in `memcap tasks`; without it you are asked what to remember",
    )
    about = "steps for which a net must remember (default for data: all of a sequence)"
    add("--lag", type=steps, help=about)
    add_knobs(parser)
    add(
        "--cell",
        default="lstm",
        help="cell: lstm (default), gru, elman, or another by its name in rows",
    )
    add("--layers", type=layers, default=1, help="layers of this cell (default 1)")
    add("--why", action="store_true", help="also print what the answer rests on")
    add(
        "--config-dir",
        type=location,
        help="folder with your own recipes, for the command that would measure the lag",
    )
    add(
        "--confidence",
        type=share,
        default=0.9,
        help="share of nets that should pass, leaving aside seeds that fail at every width"
        " (default 0.9)",
    )
    verdicts = add_verdict(parser)
    verdicts.add_argument(
        "--exactly",
        dest="at",
        action="store_const",
        const="steady",
        help="ask about this lag alone, not about shorter ones; short for --at steady",
    )
    about = (
        "recall of so many pairs of key and value; short for --knob pairs=N --knob symbols=32"
        " --exactly, at lag 2 N"
    )
    verdicts.add_argument("--pairs", type=positive, metavar="N", help=about)
    add_code(parser, FRAMEWORKS)
    add(
        "--measure",
        action="store_true",
        help="if the lag was not measured, first train the nets that measure it",
    )
    add_strict(parser)
    about = (
        f"{PLACE} (default: outputs, and the published atlas where it does not measure the"
        " lag); TASK and LAG before it stand for --task and --lag"
    )
    add("words", type=location, nargs="*", metavar="RESULTS", help=about)
    add_json(parser)


def _take_words(arguments: Namespace) -> None:
    """Take the words that are no options: a task, a lag, and the place of the rows."""
    words = arguments.words
    if words and arguments.task is None:
        name = str(words[0])
        is_place = words[0].exists() or is_published(words[0])
        if name in task_classes() or not is_place:
            arguments.task = name
            words = words[1:]
    if words and arguments.lag is None and str(words[0]).isdecimal():
        arguments.lag = whole(int(str(words[0])), "--lag", 1, LONGEST)
        words = words[1:]
    if len(words) > 1:
        raise UserError(
            f"{words[1]}: one word too many; as in memcap answer --task latch --lag 50 outputs"
        )
    arguments.results = words[0] if words else None


def run(arguments: Namespace) -> None:
    check_code(arguments)
    _take_words(arguments)
    subject = _subject(arguments)
    if subject is None:
        return
    question = Question(
        *subject,
        Model(cell_name(arguments.cell), 1, layers=arguments.layers),
        share=arguments.confidence,
        at="steady" if arguments.pairs else arguments.at,
        budget=arguments.budget,
        rows=arguments.results,
        strict=arguments.strict,
        config_dir=arguments.config_dir,
    )
    curve = _curve(question, bool(arguments.knob or arguments.lag))
    if curve is not None:
        if arguments.code:
            raise UserError(
                "--code: memcap fit FILE --code writes that of your sequences"
            )
        if arguments.json:
            print_json(loss_words.as_dict(curve))
        else:
            _print(loss_words.sentences(curve))
        return
    answer = best_answer(question)
    is_answered = answer.is_conclusive and answer.lacks is None
    if arguments.measure and not is_answered and measurement(answer):
        aside = arguments.json or arguments.code
        with redirect_stdout(sys.stderr if aside else sys.stdout):
            overrides = shlex.split(measurement(answer))[2:]
            commands.find("train").run(Namespace(overrides=overrides))
        answer = best_answer(replace(question, rows=OUTPUTS))
    if arguments.code:
        print_code(arguments, partial(code, answer))
        source = defining_answer(answer)
        if source and not answer.is_width_measured:
            complain(f"{plural(source.units or 0, 'unit')}: {width_words(answer)}")
    elif arguments.json:
        print_json(as_dict(answer))
    elif arguments.why:
        _print_answer(answer, why(answer))
    else:
        hint = "--why says what this rests on."
        if answer.point is None and not answer.is_known and measurement(answer):
            hint += " --measure trains what is missing, and answers then."
        _print_answer(answer, [hint])


def _print_answer(answer: Answer, more: list[str]) -> None:
    lines = definition_lines(answer)
    question = answer.question
    lag = (
        "The lag is how many steps a net must remember; here a sequence has up to"
        f" {plural(question.task.length(question.lag), 'step')}."
    )
    _print([*sentences(answer), lag, *more, *lines[:1]])
    for line in lines[1:]:  # of code, which is not folded
        print(line)


def _print(lines: Iterable[str]) -> None:
    for line in map(printable, lines):
        print(line if line.startswith("memcap train ") else fold(line, sys.stdout))


def _subject(arguments: Namespace) -> tuple[Task, int] | None:
    """Return the task and lag given, or ask for them; None if another command answers."""
    rows = arguments.results
    if rows is not None and "=" in rows.name and not rows.exists():
        raise UserError(
            f"{rows}: no such folder; a knob of the task goes by --knob {rows}"
        )
    if arguments.config_dir is not None:
        if not arguments.config_dir.is_dir():
            raise UserError(f"--config-dir {arguments.config_dir}: no such folder")
        use_config_folders([arguments.config_dir])
    if arguments.task is None:
        if arguments.lag is not None or arguments.knob or arguments.pairs:
            raise UserError(
                "--task: not given; give --task and --lag, or neither to be asked"
            )
        from rich.console import Console

        out = Console(stderr=True)
        try:
            return _ask(out)
        except EOFError as error:
            out.print()  # ends the line of the question
            raise UserError(NOBODY) from error
    knobs = arguments.knob
    if arguments.pairs:
        # of 32 symbols all cells with a matrix were trained
        knobs = [f"pairs={arguments.pairs}", "symbols=32", *knobs]
    task = question_task(arguments.task, knobs)
    lag = arguments.lag or task.usual_lag
    if lag is None:
        raise UserError(
            f"--lag: not given; how many time steps, as in: memcap answer --task {arguments.task}"
            " --lag 50"
        )
    return task, lag


def _curve(question: Question, named: bool) -> LossCurve | None:
    """Return the losses by width of a user's own sequences, if held-out loss compares
    them; unless a file or a lag was `named`, of the folder's first file."""
    task = question.task
    by_loss = task.rule.by_loss
    if not isinstance(task, Data) or not (by_loss or question.rows):
        return None
    curves = loss_curves(rows_of(question.folder, question.strict))
    if by_loss or named:
        curves = [curve for curve in curves if curve.is_of(task, question.lag)]
    if by_loss and not curves:
        raise UserError(
            f"no rows of these sequences at lag {question.lag}; train them by: memcap fit FILE"
        )
    return curves[0] if curves else None


def _ask(out: "Console") -> tuple[Task, int] | None:
    """Ask what to remember, over how many steps, and for the task's `asks`; None if no
    task fits, or the user leaves."""
    offered = [cls for cls in task_classes().values() if cls.question]
    questions = [*(cls.question for cls in offered), *OTHERS]
    out.print("What has to be remembered?")
    for number, question in enumerate(questions, start=1):
        out.print(f"  {number}  {question}", highlight=False)
    numbers = {str(number): number for number in range(1, len(questions) + 1)}
    names = {cls.name: number for number, cls in enumerate(offered, start=1)}
    which = None
    while which is None:
        text = _word(out, "Which, by its number or the task's name (Enter leaves)")
        if not text:
            return None
        which = (numbers | names).get(text)
        if which is None:
            which_one = f"a number from 1 to {len(questions)}, or {', '.join(names)}"
            out.print(f"{text}: must be {which_one}", markup=False, highlight=False)
    if which > len(offered):
        _print(OTHERS[questions[which - 1]])
        return None
    cls = offered[which - 1]
    knobs = [
        f"{field.name}={_knob(out, cls, field)}"
        for field in fields(cls)
        if field.name in cls.asks
    ]
    task = question_task(cls.name, knobs)
    question = f"Over how many steps, at least {task.smallest_lag} (Enter leaves)"
    lag = 0
    while lag < task.smallest_lag:
        text = _word(out, question)
        if not text:
            return None
        lag = int(text) if text.isdecimal() else 0
    words = ["memcap", "answer", "--task", cls.name, "--lag", str(lag)]
    words += [word for knob in knobs for word in ("--knob", knob)]
    line = f"The same in one line: {shlex.join(words)}"
    out.print(line, markup=False, highlight=False, soft_wrap=True)
    return task, lag


def _word(out: "Console", question: str) -> str:
    from rich.prompt import Prompt

    return Prompt.ask(question, console=out, default="", show_default=False).strip()


def _knob(out: "Console", cls: type[Task], field: Field) -> Any:
    from rich.prompt import Prompt

    doc = field.metadata["doc"]
    question = f"{doc[:1].upper()}{doc[1:]} ({allowed(field.metadata)})"
    while True:
        text = Prompt.ask(question, console=out, default=str(field.default))
        try:
            value = int(text) if isinstance(field.default, int) else text
            typed(cls, {field.name: value}, "task")
        except (ValueError, UserError) as error:
            out.print(str(error), markup=False, highlight=False)
        else:
            return value
