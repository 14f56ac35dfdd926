"""Recall tasks, one file each. A new file here that defines a `Task` is found by its name; nothing else changes."""

import importlib
import pkgutil
from functools import cache

from memcap.knobs import UserError
from memcap.tasks.base import Batch, Task, information_floor, one_per_number

__all__ = ["Batch", "Task", "information_floor", "one_per_number", "task_class", "task_classes"]


@cache
def _import_all() -> None:
    for module in pkgutil.iter_modules(__path__):
        importlib.import_module(f"{__name__}.{module.name}")


def task_classes() -> dict[str, type[Task]]:
    """All tasks by name, in alphabetical order."""
    _import_all()
    return {cls.name: cls for cls in sorted(Task.__subclasses__(), key=lambda c: c.name)}


def task_class(name: str) -> type[Task]:
    """The task of this name; UserError names the known ones."""
    known = task_classes()
    if name not in known:
        raise UserError(f"task.name={name}: no such task; one of {', '.join(known)}")
    return known[name]
