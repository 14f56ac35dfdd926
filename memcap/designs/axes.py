"""The members of a job, from one composed config: axes multiply, grids add up.

    axes: {task.lag: [1, 2, 4], model.units: [1, 2, 3], seed: 4}    36 members
    axes: [{...}, {...}]                                            of both grids

An axis is a field with a list of values, or a range, `1..64`; `seed: 4` means four
seeds from the config's own on. Another task has its default knobs, another recipe the
values of its file, and those that the config sets on top of its own.
"""

import itertools
import json
import math
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from memcap.config.member import Config, Member, resolve, task_defaults
from memcap.config.recipes import (
    OPTIONAL,
    Recipe,
    is_recommended,
    race_axes,
    starts_itself,
)
from memcap.designs.design import FEWEST_WIDTHS
from memcap.knobs import UserError, did_you_mean, names_of
from memcap.models.model import Model
from memcap.rule import Evaluation
from memcap.tasks import task_class

Grid = dict[str, list[Any]]
MOST_MEMBERS = 1_000_000  # of a command: to make and check so many takes minutes


def members(config: Config) -> list[Member]:
    """Make all members of a job, each once and checked."""
    parts = {
        k: config.get(k)
        for k in ("task", "model", "recipe", "evaluation", "seed", "axes")
    }
    try:
        text = json.dumps(parts)
    except (TypeError, ValueError):
        # dates and the like, which no member can have, are refused in their own place
        return list(_resolved(parts))
    return list(_members(text))


@lru_cache(maxsize=8)
def _members(text: str) -> tuple[Member, ...]:
    """Resolve the members of a job, cached, as it is checked before Hydra makes its
    folder."""
    return _resolved(json.loads(text))


def _resolved(config: Config) -> tuple[Member, ...]:
    base = {k: config[k] for k in ("task", "model", "recipe", "evaluation", "seed")}
    members: dict[Member, None] = {}
    grids = list(grids_of(config["axes"], base))
    check_count(sum(math.prod(map(len, grid.values())) for grid in grids), "axes")
    for grid in grids:
        for point in _points(grid):
            members.setdefault(resolve(_placed(base, point)))
    return tuple(members)


def grids_of(axes: Any, base: Config) -> Iterator[Grid]:
    """Yield the grids of axes (a grid, a list of grids, or None), each axis with its
    values."""
    if axes is None or axes in ({}, []):
        yield {}
        return
    for grid in axes if isinstance(axes, list) else [axes]:
        if not isinstance(grid, dict):
            raise UserError(
                f"axes={grid}: must map fields to lists of values, as in {{model.units: [1, 2,"
                " 4]}"
            )
        yield {name: axis(name, values, base["seed"]) for name, values in grid.items()}


def axis(name: str, values: Any, first: Any = 0) -> list[Any]:
    """Return the values of an axis, given as a list, one value, or `1..64`; for `seed`
    also as their number, from `first` on. Refuse none, and those not plain."""
    if name == "seed" and isinstance(values, int) and not isinstance(values, bool):
        if values < 1 or not isinstance(first, int):
            raise UserError(
                f"axes.seed={values}: must be how many seeds, at least 1, or a list of seeds"
            )
        check_count(values, f"axes.seed={values}")
        return list(range(first, first + values))
    if isinstance(values, str) and (
        ends := re.fullmatch(r"(\d{1,18})\.\.(\d{1,18})", values)
    ):
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
    """Refuse more than a command can have, before they are made."""
    if count > MOST_MEMBERS:
        raise UserError(
            f"{what}: {count:,} are more than the {MOST_MEMBERS:,} that a command can have; split"
            " them: some lags or seeds per command, all with the same study=NAME"
        )


def _points(grid: Grid) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def _placed(base: Config, point: Config) -> Config:
    values = {k: dict(v) if isinstance(v, dict) else v for k, v in base.items()}
    if "task" in point and point["task"] != values["task"]["name"]:
        usual = task_defaults(values["task"]["name"])
        own = {k: v for k in ("lag", "length") if (v := values["task"][k]) != usual[k]}
        values["task"] = task_defaults(str(point["task"])) | own
    if "recipe" in point:
        if values["recipe"].get("name", "auto") != "auto":
            # A named recipe has filled in its values, so it is no longer known which of
            # them the user typed.
            own = values["recipe"]["name"]
            raise UserError(
                f"axes.recipe: leave recipe=auto, not {own}, and let the axis name the recipes"
            )
        values["recipe"] = values["recipe"] | {"name": str(point["recipe"])}
    allowed = {
        # a name is for the axis `task`, as the knobs come with it
        "task": [k for k in values["task"] if k != "name"],
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
                    f"axes.{name}: null would mean what the recipe's file says, not none; name"
                    " another recipe instead"
                )
            values[group][field] = value
        else:
            names = ["seed", "task", "recipe"]
            names += [f"{g}.{f}" for g, fs in allowed.items() for f in fs]
            raise UserError(
                f"axes.{name}: no such field; {did_you_mean(name, names)}an axis is one of"
                f" {', '.join(names)}"
            )
    return values


def raced_axes(config: Config, design: str) -> list[Grid] | None:
    """Add the recipes and rates that race to the axes that name no recipe.

    A config races if design=race asks for it, or if recipe=auto knows none for the task
    and there are three widths or more. Return None if nothing races; refuse a race of
    one.
    """
    grids = list(grids_of(config["axes"], config))
    if not any(grids):
        return None
    kinds = [_kinds_of_cells(grid, config) for grid in grids]
    if design == "race":
        _check_race(grids, kinds, config)
    elif config["task"].get("criterion") == "best" or not _needs_race(
        grids, kinds, config
    ):
        return None  # judged by a held-out loss no member passes, so no recipe wins
    axes = config["axes"] if isinstance(config["axes"], list) else [config["axes"]]
    return [
        (
            grid
            if "recipe" in grid
            else grid | race_axes(kind == {True}, _until(values, config)) | grid
        )
        for grid, values, kind in zip(axes, grids, kinds, strict=True)
    ]


def _tasks(grid: Grid, config: Config) -> set[str]:
    return set(map(str, grid.get("task", [config["task"]["name"]])))


def _until(grid: Grid, config: Config) -> str:
    """Return the verdict until which a grid trains; "solved" if members differ, and
    "up_to" for "anywhere" where nothing can come before what counts."""
    until = (config["evaluation"] or {}).get("until")
    verdict, *others = set(grid.get("evaluation.until", [until]))
    can_begin_later = any(task_class(task)().filler for task in _tasks(grid, config))
    if verdict == "anywhere" and not can_begin_later:
        verdict = "up_to"
    return "solved" if others else str(verdict)


def _kinds_of_cells(grid: Grid, config: Config) -> set[bool]:
    """Return whether the cells of a grid start themselves; both values if they
    differ."""
    cells = grid.get("model.cell", [config["model"]["cell"]])
    return {starts_itself(cell) for cell in sorted(set(map(str, cells)))}


def _check_race(grids: list[Grid], kinds: list[set[bool]], config: Config) -> None:
    recipe = (config["recipe"] or {}).get("name", "auto")
    is_open = any("recipe" not in grid for grid in grids)
    if recipe != "auto" and is_open:
        raise UserError(
            f"design=race: recipe={recipe} is one recipe; leave recipe=auto, or list some in"
            " axes, as in {recipe: [curriculum, hold]}"
        )
    if _has_one_rate(grids, kinds, config):
        raise UserError(
            "design=race: cells that start themselves race over learning rates, and one rate is"
            " no race; leave it out, or list some in axes, as in {recipe.lr: [0.003, 0.03]}"
        )
    if {True, False} in kinds and is_open:
        raise UserError(
            "design=race: cells that start themselves race over rates, others over recipes; give"
            " each kind a grid of its own in axes, or name the recipes"
        )


def _needs_race(grids: list[Grid], kinds: list[set[bool]], config: Config) -> bool:
    """Return whether recipe=auto has nothing to go by, and there is room for a
    search."""
    recipe = (config["recipe"] or {}).get("name", "auto")
    if recipe != "auto" or any("recipe" in grid for grid in grids):
        return False
    if min(len(grid.get("model.units", [None])) for grid in grids) < FEWEST_WIDTHS:
        return False
    if any(is_recommended(task) for grid in grids for task in _tasks(grid, config)):
        return False
    return {True, False} not in kinds and not _has_one_rate(grids, kinds, config)


def _has_one_rate(grids: list[Grid], kinds: list[set[bool]], config: Config) -> bool:
    """Return whether a grid has no recipe and one rate, although its cells race over
    rates."""
    rate = (config["recipe"] or {}).get("lr")
    return any(
        "recipe" not in grid
        and kind == {True}
        and len(grid.get("recipe.lr", [rate] if rate else [])) == 1
        for grid, kind in zip(grids, kinds, strict=True)
    )
