"""Helpers of the studies' tests: configs of small jobs, and refusals."""

from collections.abc import Callable
from typing import Any

import pytest

from memcap.config.member import Engine, task_defaults
from memcap.config.recipes import Recipe
from memcap.knobs import UserError, defaults
from memcap.models.model import Model
from memcap.rule import Evaluation

ONE_LANE = Engine(loop="while", lanes=1, workers=1)


def config(
    axes: Any = None, *, task: str = "latch", seed: int = 0, **changes: Any
) -> dict[str, Any]:
    """A job's plain values, as Hydra composes them; changes as group__field. It trains
    in a blink."""
    values: dict[str, Any] = {
        "task": task_defaults(task) | {"lag": 3},
        "model": defaults(Model) | {"units": 1},
        "recipe": defaults(Recipe),
        "evaluation": defaults(Evaluation)
        | {"every": 10, "sequences": 64, "stretch": 2},
        "seed": seed,
        "axes": axes,
    }
    for name, value in changes.items():
        group, _, field = name.partition("__")
        values[group][field] = value
    return values


def small_job(axes: Any = None, **changes: Any) -> dict[str, Any]:
    """A config whose members take 12 steps."""
    return config(axes, **{"recipe__budget": 12, "recipe__batch": 16} | changes)


def refusal(call: Callable[[], Any]) -> str:
    """The one line of the UserError that the call raises."""
    with pytest.raises(UserError) as caught:
        call()
    text = str(caught.value)
    assert "\n" not in text
    assert len(text) < 700
    return text
