"""An answer as a script: the width that it advises, trained by the recipe that it rests on."""

import textwrap

from memcap.config import Member
from memcap.knobs import UserError
from memcap.models.model import Model
from memcap.recipes import Recipe
from memcap.scripts import script
from memcap.tasks import Task

WIDTH = 100  # of the docstring's lines


def code(
    framework: str,
    task: Task,
    lag: int,
    units: int | None,
    recipe: Recipe | None = None,
    heading: str = "",
) -> str:
    """Write the script of an answer for a framework.

    Args:
        framework: one of `memcap.scripts.FRAMEWORKS`.
        task, lag, units: what to train; units None: no width is known to be enough.
        recipe: None: the one that is recommended.
        heading: what the script says of the width.

    Raises:
        UserError: no width, no such framework, or no script for this task.
    """
    if units is None:
        raise UserError(
            f"code={framework}: no width is known to be enough for {task.name} at lag {lag}, so there is"
            " nothing to write; the answer itself says what to measure"
        )
    member = Member(task, lag, model=Model("lstm", units), recipe=recipe or Recipe())
    return script(member, framework, textwrap.fill(heading, WIDTH))
