"""memcap: how many units does a recurrent network need to remember this? Answered by measurement.

The names for notebooks and scripts are here, and listed in docs/python.md. Each is
imported at its first use.
"""

import sys

# In place of typing's: the command listens to signals only after this file. So nothing
# else is imported here.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from memcap import cells, figures, tasks
    from memcap.api import (
        answer,
        data,
        draw,
        frontier,
        judge,
        load,
        members,
        rank,
        sequences,
        train,
    )
    from memcap.cells import Cell
    from memcap.config.member import Engine, Member
    from memcap.config.recipes import Recipe
    from memcap.knobs import UserError, knob
    from memcap.measured import measure
    from memcap.models.model import Model
    from memcap.own.estimator import SequenceClassifier, SequenceRegressor, fit
    from memcap.rule import Evaluation
    from memcap.tasks import Batch, Facts, Task
    from memcap.trained import Trained

__version__ = "0.3.0"
__all__ = [
    "Batch",
    "Cell",
    "Engine",
    "Evaluation",
    "Facts",
    "Member",
    "Model",
    "Recipe",
    "SequenceClassifier",
    "SequenceRegressor",
    "Task",
    "Trained",
    "UserError",
    "answer",
    "cells",
    "data",
    "draw",
    "figures",
    "fit",
    "frontier",
    "judge",
    "knob",
    "load",
    "measure",
    "members",
    "rank",
    "sequences",
    "tasks",
    "train",
]
_HOMES = {
    "memcap.api": (
        "answer",
        "data",
        "draw",
        "frontier",
        "judge",
        "load",
        "members",
        "rank",
        "sequences",
        "train",
    ),
    "memcap.cells": ("Cell",),
    "memcap.config.member": ("Engine", "Member"),
    "memcap.rule": ("Evaluation",),
    "memcap.knobs": ("UserError", "knob"),
    "memcap.measured": ("measure",),
    "memcap.models.model": ("Model",),
    "memcap.own.estimator": ("SequenceClassifier", "SequenceRegressor", "fit"),
    "memcap.trained": ("Trained",),
    "memcap.config.recipes": ("Recipe",),
    "memcap.tasks": ("Batch", "Facts", "Task"),
}


if not TYPE_CHECKING:  # for a checker it would have every name

    def __getattr__(name: str) -> "Any":
        for home, names in _HOMES.items():
            if name in names:
                return getattr(_imported(home), name)
        if name in __all__:  # a folder or a file
            return _imported(f"memcap.{name}")
        # with its object, so that Python says which name was meant
        message = f"module 'memcap' has no attribute {name!r}"
        raise AttributeError(message, name=name, obj=sys.modules[__name__])


def _imported(module: str) -> "Any":
    __import__(module)
    return sys.modules[module]


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
