"""From one composed config to the list of members of a job: axes multiply, grids add up.

    axes: {task.lag: [1, 2, 4], model.units: [1, 2, 3], seed: 4}       36 members
    axes: [{...}, {...}]                                               the members of one grid, then of the
    next

An axis is a field of the config and a list of values, or all whole numbers from one to another, `1..64`.
`seed: 4` means four seeds from the config's own seed on. `task` and `recipe` take names. Another task has its
default knobs and the config's lag and length; another recipe, the values of its file in conf/recipe/ and what
the config sets beside those of its own.
"""

import itertools
import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from memcap.config import Evaluation, Member, resolve, task_defaults
from memcap.designs.bisect import FEWEST_WIDTHS
from memcap.knobs import UserError, names_of
from memcap.models.model import Model
from memcap.recipes import OPTIONAL, Recipe, is_recommended, race_axes, starts_itself

Grid = dict[str, list[Any]]
MOST_MEMBERS = 1_000_000  # of a command: to make and check so many takes minutes


def members(config: dict[str, Any]) -> list[Member]:
    """All members of a job, each once, every one of them checked.

    Args:
        config: nested plain values with the keys task, model, recipe, evaluation, seed and axes.

    Raises:
        UserError: the first mistake, in one line.
    """
    parts = {k: config.get(k) for k in ("task", "model", "recipe", "evaluation", "seed", "axes")}
    try:
        text = json.dumps(parts)
    except (
        TypeError,
        ValueError,
    ):  # dates and the like, which no member can have: let it be refused where it stands
        return list(_resolved(parts))
    return list(_members(text))


@lru_cache(maxsize=8)
def _members(text: str) -> tuple[Member, ...]:
    """A job is checked before Hydra makes its folder, and runs after: the members of the last few jobs are
    resolved once."""
    return _resolved(json.loads(text))


def _resolved(config: dict[str, Any]) -> tuple[Member, ...]:
    base = {k: config[k] for k in ("task", "model", "recipe", "evaluation", "seed")}
    members: dict[Member, None] = {}
    grids = list(_grids(config["axes"], base))
    check_count(sum(math.prod(map(len, grid.values())) for grid in grids), "axes")
    for grid in grids:
        for point in _points(grid):
            members.setdefault(resolve(_placed(base, point)))
    return tuple(members)


def racing(config: dict[str, Any], design: str) -> list[dict[str, Any]] | None:
    """The axes with what races (`memcap.recipes.race_axes`), where they name no recipe.

    A race is asked for by design=race; or none is, but recipe=auto has nothing to go by: nothing is
    recommended for the task, and the axes leave room for a search, three widths or more.

    Args:
        config: as in `members`.
        design: one of `memcap.designs.bisect.DESIGNS`.

    Returns:
        The axes; None where nothing races.

    Raises:
        UserError: one recipe alone, or one learning rate of it, which is no race; axes that are none.
    """
    axes, recipe = config["axes"], (config["recipe"] or {}).get("name", "auto")
    rate = (config["recipe"] or {}).get("lr")
    grids = list(_grids(axes, config))
    if not any(grids):
        return None
    is_open = ["recipe" not in grid for grid in grids]
    own = [_start_themselves(grid, config) for grid in grids]
    mixed = {True, False} in own
    no_race = [  # by grid: one rate, of cells of which rates are what races
        open_
        and starts == {True}
        and len(grid.get("recipe.lr", [rate])) == 1
        and (rate or "recipe.lr" in grid)
        for grid, open_, starts in zip(grids, is_open, own, strict=True)
    ]
    if design != "race":
        tasks = {task for grid in grids for task in grid.get("task", [config["task"]["name"]])}
        widths = [len(grid.get("model.units", [None])) for grid in grids]
        if (
            recipe != "auto"
            or not all(is_open)
            or min(widths) < FEWEST_WIDTHS
            or any(is_recommended(str(task)) for task in tasks)
            or mixed
            or any(no_race)
        ):
            return None
    elif recipe != "auto" and any(is_open):
        raise UserError(
            f"design=race: recipe={recipe} is one recipe; leave recipe=auto, or list some in axes, as in"
            " {recipe: [curriculum, hold]}"
        )
    elif any(no_race):
        raise UserError(
            "design=race: one learning rate is no race, and rates are what races for cells that start"
            " themselves; leave it, or list some in axes, as in {recipe.lr: [0.003, 0.03]}"
        )
    elif mixed and any(is_open):
        raise UserError(
            "design=race: cells that start themselves race over rates, others over recipes; give each kind a"
            " grid of its own in axes, or name the recipes"
        )
    grids = axes if isinstance(axes, list) else [axes]
    return [
        grid if "recipe" in grid else _raced(grid, own_start=starts == {True})
        for grid, starts in zip(grids, own, strict=True)
    ]


def _start_themselves(grid: Grid, config: dict[str, Any]) -> set[bool]:
    """Whether the cells of a grid do; both where they differ."""
    cells = grid.get("model.cell", [config["model"]["cell"]])
    return {starts_itself(cell) for cell in sorted(set(map(str, cells)))}


def _raced(grid: dict[str, Any], own_start: bool) -> dict[str, Any]:
    return grid | {name: values for name, values in race_axes(own_start).items() if name not in grid}


def _grids(axes: Any, base: dict[str, Any]) -> Iterator[Grid]:
    if axes is None or axes in ({}, []):
        yield {}
        return
    for grid in axes if isinstance(axes, list) else [axes]:
        if not isinstance(grid, dict):
            raise UserError(
                f"axes={grid}: must map fields to lists of values, as in {{model.units: [1, 2, 4]}}"
            )
        yield {name: axis(name, values, base["seed"]) for name, values in grid.items()}


def axis(name: str, values: Any, first: Any = 0) -> list[Any]:
    """The values of one axis.

    Args:
        name: of the field.
        values: a list, one value, `1..64` for all whole numbers from one to another; for `seed` also how
            many.
        first: the first seed.

    Raises:
        UserError: no value, or one that is no plain value.
    """
    if name == "seed" and isinstance(values, int) and not isinstance(values, bool):
        if values < 1 or not isinstance(first, int):
            raise UserError(f"axes.seed={values}: must be how many seeds, at least 1, or a list of seeds")
        check_count(values, f"axes.seed={values}")
        return list(range(first, first + values))
    if isinstance(values, str) and (ends := re.fullmatch(r"(\d{1,18})\.\.(\d{1,18})", values)):
        check_count(int(ends[2]) + 1 - int(ends[1]), f"axes.{name}={values}")
        values = list(range(int(ends[1]), int(ends[2]) + 1))
    if isinstance(values, range):
        check_count(len(values), f"axes.{name}={values}")
    values = list(values) if isinstance(values, (list, tuple, range)) else [values]
    if not values:
        raise UserError(f"axes.{name}: is empty; give at least one value")
    if any(isinstance(v, (dict, list)) for v in values):
        raise UserError(f"axes.{name}={values}: must be a plain list of values")
    return values


def check_count(count: int, what: str) -> None:
    """Refuse more members, or jobs, than a command can have, before they are made."""
    if count > MOST_MEMBERS:
        raise UserError(
            f"{what}: {count:,} are more than the {MOST_MEMBERS:,} that a command can have; split them: some"
            " lags or seeds per command, all with the same study=NAME"
        )


def _points(grid: Grid) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _placed(base: dict[str, Any], point: dict[str, Any]) -> dict[str, Any]:
    """The base config with one point's values in their fields."""
    values = {k: dict(v) if isinstance(v, dict) else v for k, v in base.items()}
    if "task" in point and point["task"] != values["task"]["name"]:
        values["task"] = task_defaults(str(point["task"])) | {k: values["task"][k] for k in ("lag", "length")}
    if "recipe" in point:
        if values["recipe"].get("name", "auto") != "auto":
            # A named recipe has filled in its values: which of them the user typed can't be told any more.
            raise UserError(
                f"axes.recipe: leave recipe=auto, not {values['recipe']['name']}, and let the axis name the"
                " recipes"
            )
        values["recipe"] = values["recipe"] | {"name": str(point["recipe"])}
    allowed = {
        "task": [
            k for k in values["task"] if k != "name"
        ],  # a name goes by the axis `task`: its knobs come with it
        "model": names_of(Model),
        "recipe": [k for k in names_of(Recipe) if k != "name"],
        "evaluation": names_of(Evaluation),
    }
    for name, value in point.items():
        group, _, field = name.partition(".")
        if name in ("task", "recipe"):
            continue
        if name == "seed":
            values["seed"] = value
        elif field and field in allowed.get(group, ()):
            if value is None and group == "recipe" and field in OPTIONAL:
                raise UserError(
                    f"axes.{name}: null would mean what the recipe's file says, not none; name another"
                    " recipe instead"
                )
            values[group][field] = value
        else:
            names = ", ".join(
                ["seed", "task", "recipe", *(f"{g}.{f}" for g, fs in allowed.items() for f in fs)]
            )
            raise UserError(f"axes.{name}: no such field; an axis is one of {names}")
    return values
