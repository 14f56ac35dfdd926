"""One who knows what has to be remembered, but no task by name, is asked in words."""

from dataclasses import fields
from typing import Any

from rich.console import Console
from rich.prompt import IntPrompt, Prompt

from memcap.knobs import UserError, allowed, typed
from memcap.tasks import Task, task_classes

NOBODY = "--task: not given, and nobody answers; give both, as in: memcap answer --task delay_line --lag 50"


def ask(out: Console) -> tuple[Task, int]:
    """Ask what has to be remembered, over how many steps, and for the task's `asks`.

    Args:
        out: where the questions are printed; the answers are read from stdin.

    Returns:
        The task with its knobs, and the lag.

    Raises:
        UserError: stdin has ended.
    """
    try:
        return _ask(out)
    except EOFError as error:
        out.print()  # ends the line of the question
        raise UserError(NOBODY) from error


def _ask(out: Console) -> tuple[Task, int]:
    offered = [cls for cls in task_classes().values() if cls.question]
    out.print("What has to be remembered?")
    for number, cls in enumerate(offered, start=1):
        out.print(f"  {number}  {cls.question}", highlight=False)
    which = IntPrompt.ask(
        "Which", console=out, choices=[str(k + 1) for k in range(len(offered))], show_choices=False
    )
    cls = offered[which - 1]
    values: dict[str, Any] = {}
    for field in fields(cls):
        if field.name in cls.asks:
            values |= _knob(out, cls, field.name, field.metadata, field.default)
    task = typed(cls, values, "task")
    lag = 0
    while lag < task.smallest_lag:
        lag = IntPrompt.ask(f"Over how many steps (at least {task.smallest_lag})", console=out)
    return task, lag


def _knob(out: Console, cls: type[Task], name: str, metadata: Any, default: Any) -> dict[str, Any]:
    """The value of one knob; asked again until the task takes it."""
    doc = metadata["doc"]
    while True:
        said = Prompt.ask(
            f"{doc[:1].upper()}{doc[1:]} ({allowed(metadata)})", console=out, default=str(default)
        )
        try:
            value = int(said) if isinstance(default, int) else said
            typed(cls, {name: value}, "task")
        except (ValueError, UserError) as error:
            out.print(str(error), markup=False, highlight=False)
            continue
        return {name: value}
