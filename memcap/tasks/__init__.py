"""Recall tasks, one file each. A new file here that defines a `Task` is found by its
name; nothing else changes."""

from collections.abc import Mapping
from dataclasses import Field
from functools import cache
from typing import Any

from memcap.knobs import UserError, alternatives, typed
from memcap.runtime import plugins
from memcap.tasks.base import (
    Batch,
    Facts,
    FileTask,
    Task,
    information_floor,
    least_bits,
    least_rank,
    one_per_number,
)

__all__ = [
    "Batch",
    "Facts",
    "FileTask",
    "Task",
    "information_floor",
    "least_bits",
    "least_rank",
    "make",
    "one_per_number",
    "task_class",
    "task_classes",
]

OF_FILES = "memcap.own.task"  # the task of a user's sequences, which knows their file


@cache
def task_classes() -> dict[str, type[Task]]:
    """Return the tasks of memcap by name, in alphabetical order."""
    return plugins.classes(__name__, Task, OF_FILES)


@cache
def task_class(name: str) -> type[Task]:
    """Return the task of this name, `module:Class` for one outside the package; raise
    UserError, with the known ones, if there is none."""
    if plugins.is_import_path(name):
        cls = plugins.import_object(name, "task.name")
        if not (isinstance(cls, type) and issubclass(cls, Task)):
            raise UserError(
                f"task.name={name}: must be a class derived from memcap.tasks.Task"
            )
        if lacks := sorted(getattr(cls, "__abstractmethods__", ())):
            raise UserError(
                f"task.name={name}: lacks {', '.join(lacks)}; memcap/tasks/base.py says what a"
                " task must have"
            )
        if any(isinstance(value, Field) for value in vars(cls).values()):
            raise UserError(
                f"task.name={name}: must be decorated with @dataclass(frozen=True), so that its"
                " fields are its knobs"
            )
        return cls
    if name not in task_classes():
        names = alternatives(name, task_classes(), "MODULE:CLASS for your own")
        raise UserError(f"task.name={name}: no such task; {names}")
    return task_classes()[name]


def make(cls: type[Task], knobs: Mapping[str, Any]) -> Task:
    """Build a task from its knobs; if it is somebody's own, say what is waited for, and
    raise UserError for any error."""
    if not plugins.is_import_path(cls.name):
        return typed(cls, knobs, "task")
    with plugins.calling(f"task {cls.name}: __init__", cls.__module__):
        return typed(cls, knobs, "task")


def __getattr__(name: str) -> Any:
    """Return a task's class by its own name, as in `memcap.tasks.Latch`."""
    for cls in task_classes().values() if name[:1].isupper() else ():
        if cls.__name__ == name:
            return cls
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
