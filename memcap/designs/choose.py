"""The choice of races: which configs race, and over which recipes and rates."""

from typing import Any

from memcap.config.knobs import UserError
from memcap.config.recipes import is_recommended, race_axes, starts_itself
from memcap.designs.axes import Grid, grids_of
from memcap.designs.design import FEWEST_WIDTHS


def raced_axes(config: dict[str, Any], design: str) -> list[Grid] | None:
    """Add the recipes and rates that race (`memcap.config.recipes.race_axes`) to the
    axes that name no recipe.

    A config races if design=race asks for it, or if recipe=auto has nothing to go by:
    no recipe is recommended for the task, and the axes have room for a search, three
    widths or more. If nothing races, return None; refuse a race of one recipe or
    learning rate.
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
            else grid | race_axes(kind == {True}, _is_up_to(grid, config)) | grid
        )
        for grid, kind in zip(axes, kinds, strict=True)
    ]


def _is_up_to(grid: Grid, config: dict[str, Any]) -> bool:
    """Return whether the members of a grid are to be right at every lag up to their own."""
    until = grid.get("evaluation.until", [(config["evaluation"] or {}).get("until")])
    return set(until if isinstance(until, list) else [until]) == {"up_to"}


def _kinds_of_cells(grid: Grid, config: dict[str, Any]) -> set[bool]:
    """Return whether the cells of a grid start themselves; both values if they differ."""
    cells = grid.get("model.cell", [config["model"]["cell"]])
    return {starts_itself(cell) for cell in sorted(set(map(str, cells)))}


def _check_race(
    grids: list[Grid], kinds: list[set[bool]], config: dict[str, Any]
) -> None:
    """Refuse a race that has nothing to compare."""
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


def _needs_race(
    grids: list[Grid], kinds: list[set[bool]], config: dict[str, Any]
) -> bool:
    """Return whether recipe=auto has nothing to go by, and the axes have room for a search."""
    recipe = (config["recipe"] or {}).get("name", "auto")
    if recipe != "auto" or any("recipe" in grid for grid in grids):
        return False
    if min(len(grid.get("model.units", [None])) for grid in grids) < FEWEST_WIDTHS:
        return False
    tasks = {
        task for grid in grids for task in grid.get("task", [config["task"]["name"]])
    }
    if any(is_recommended(str(task)) for task in tasks):
        return False
    return {True, False} not in kinds and not _has_one_rate(grids, kinds, config)


def _has_one_rate(
    grids: list[Grid], kinds: list[set[bool]], config: dict[str, Any]
) -> bool:
    """Return whether a grid has no recipe and one rate, although its cells race over rates."""
    rate = (config["recipe"] or {}).get("lr")
    return any(
        "recipe" not in grid
        and kind == {True}
        and len(grid.get("recipe.lr", [rate] if rate else [])) == 1
        for grid, kind in zip(grids, kinds, strict=True)
    )
