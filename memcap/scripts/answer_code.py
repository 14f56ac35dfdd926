"""An answer as a script: the width that it advises, trained by the recipe that it rests on."""

import textwrap
from collections.abc import Mapping
from typing import Any

from memcap.config import Member
from memcap.knobs import UserError, typed
from memcap.models.model import Model
from memcap.recipes import Recipe
from memcap.scripts import script
from memcap.store.rows import TRAINING
from memcap.tasks import Task

WIDTH = 100  # of the docstring's lines


def code(
    framework: str,
    task: Task,
    lag: int,
    units: int | None,
    recipe: Mapping[str, Any] | None = None,
    heading: str = "",
) -> str:
    """Write the script of an answer for a framework.

    Args:
        framework: one of `memcap.scripts.FRAMEWORKS`.
        task, lag, units: what to train; units None: no width is known to be enough.
        recipe: by its columns of a row; None: the one that is recommended.
        heading: what the script says of the width.

    Raises:
        UserError: no width, no such framework, or no script for this task.
    """
    if units is None:
        raise UserError(
            f"code={framework}: no width is known to be enough for {task.name} at lag {lag}, so there is"
            " nothing to write; the answer itself says what to measure"
        )
    member = Member(task, lag, model=Model("lstm", units), recipe=recipe_of(recipe))
    return script(member, framework, textwrap.fill(heading, WIDTH))


def recipe_of(columns: Mapping[str, Any] | None) -> Recipe:
    """Return a recipe from its columns.

    Those of the gates' biases are what its preset drew, but for the bias that a recipe may set.
    """
    if columns is None:
        return Recipe()
    values = {name: columns[name] for name in ("init", *TRAINING)}
    if columns["init"] == "forget_bias":
        values["forget_bias"] = columns["forget_bias"]
    return typed(Recipe, values | {"name": columns["recipe"]}, "recipe")
