"""The Python face of memcap: the same engine and rows as the command's, for notebooks and scripts."""

import itertools
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import polars as pl

from memcap import figures
from memcap.capacity import frontier as frontiers
from memcap.capacity import sources
from memcap.capacity.answer import Answer
from memcap.capacity.points import At, columns
from memcap.config import Engine, Evaluation, Member, member_of, task_of
from memcap.knobs import UserError, typed
from memcap.models.network import Model
from memcap.recipes import Recipe
from memcap.studies import shards, store
from memcap.studies.axes import axis
from memcap.studies.run import run_study
from memcap.studies.search import DESIGNS
from memcap.studies.writer import members_table
from memcap.tasks import Task, task_class
from memcap.tracking import MirrorProcess, Tracking
from memcap.trained import Trained

GROUPS = {"model": Model, "recipe": Recipe, "evaluation": Evaluation}


def members(task: Any = "delay_line", recipe: Any = "auto", **axes: Any) -> list[Member]:
    """Members from axes: every combination of the values, each once.

    Args:
        task: name ("latch", "my_module:MyTask"), object, or a list of these.
        recipe: name of a file in conf/recipe/, object, or a list of these.
        axes: any field by name, each a value or a list: `lag`, `length`, the task's knobs; `units`, `cell`,
            `readout`; `lr`, `batch`, `budget` and the other values of a recipe; `every`, `sequences`,
            `successive`, `stretch`; `seed`, where a number says how many, from 0 on, and a list which.
            "1..64" is all whole numbers from 1 to 64. Where two parts have a field of one name, write
            `**{"task.NAME": ...}`.

    Returns:
        The members, fully resolved.

    Raises:
        UserError: the first mistake, in one line.

    Example:
        >>> len(memcap.members(task="latch", lag=[5, 50], units=[1, 2], seed=4))
        16
    """
    grid = {name: axis(name, values) for name, values in {"task": task, "recipe": recipe, **axes}.items()}
    points = (dict(zip(grid, values, strict=True)) for values in itertools.product(*grid.values()))
    return list(dict.fromkeys(_member(**point) for point in points))


def _member(task: Any, recipe: Any, **values: Any) -> Member:
    cls = type(task) if isinstance(task, Task) else task_class(str(task))
    parts: dict[str, dict[str, Any]] = {"task": {}, **{group: {} for group in GROUPS}, "member": {}}
    owned = {"task": {f.name for f in fields(cls)}, "member": {"lag", "length", "seed"}}
    owned |= {group: {f.name for f in fields(part)} - {"name"} for group, part in GROUPS.items()}
    for name, value in values.items():
        group, _, field = name.rpartition(".")
        found = [part for part, names in owned.items() if field in names and group in ("", part)]
        if len(found) != 1:
            known = ", ".join(sorted(set().union(*owned.values())))
            what = (
                f"in {' and '.join(found)}; write {found[0]}.{field}"
                if found
                else f"no such field; one of {known}"
            )
            raise UserError(f"{name}: {what}")
        parts[found[0]][field] = value
    return Member(
        replace(task, **parts["task"]) if isinstance(task, Task) else typed(cls, parts["task"], "task"),
        recipe=replace(recipe if isinstance(recipe, Recipe) else Recipe(str(recipe)), **parts["recipe"]),
        model=typed(Model, parts["model"], "model"),
        evaluation=typed(Evaluation, parts["evaluation"], "evaluation"),
        **{"lag": 8, **parts["member"]},
    )


def train(
    members: Iterable[Member],
    folder: str | Path | None = None,
    *,
    study: str = "notebook",
    design: str = "grid",
    engine: Engine | None = None,
    tracking: str | Tracking = "off",
    progress: bool = True,
    tracker: None = None,
) -> pl.DataFrame:
    """Train members on all cores, or on this host's accelerators.

    Args:
        members: what `members` gave, or made one by one.
        folder: where rows and weights go; members whose rows it holds are not trained again, and half-trained
            ones go on. None: rows are returned, and nothing is written.
        study: its name in every row.
        design: "grid" trains all; "bisect" those that find u50 and u90 on the widths of the members.
        engine: how to share the machine; changes no result beyond float rounding.
        tracking: where a process of its own mirrors the folder meanwhile: "wandb", "trackio", "module:name"
            of a class with the methods of `memcap.tracking.mirror.Service`, or all of it as
            `memcap.tracking.Tracking`. "off": nowhere.
        progress: whether to show progress on stderr, and to print where runs are.
        tracker: refused; `tracking` is its name now.

    Returns:
        One row per member, with the columns of `memcap.studies.rows.SCHEMA`.

    Raises:
        UserError: anything that the user should mend, before anything trains.
    """
    if design not in DESIGNS:
        raise UserError(f"design={design}: must be one of {', '.join(DESIGNS)}")
    if tracker is not None:
        raise UserError(
            "tracker: there are no trackers any more; write tracking='wandb', or"
            " tracking='my_module:MyService'"
        )
    settings = tracking if isinstance(tracking, Tracking) else Tracking(tracking)
    place, session, all_members = (
        None if folder is None else Path(folder),
        shards.new_session(),
        list(members),
    )
    if settings.is_off:
        mirror = None
    elif place is None:
        raise UserError(f"tracking={settings.mode}: mirrors a folder; give train a folder, too")
    else:
        mirror = MirrorProcess(settings, place, study, session, members_table(all_members))
    with nullcontext() if mirror is None else mirror:
        rows = run_study(
            all_members, engine or Engine(), place, study, design, quiet=not progress, session=session
        )
    if mirror is not None and mirror.where and progress:
        print(mirror.where)
    return rows


def frontier(
    rows: pl.DataFrame | str | Path, at: At = "steady", budget: int | None = None, confidence: float = 0.95
) -> pl.DataFrame:
    """Units that each task and lag needs: one line per task and lag, with u50, u90, intervals, counts, recipe
    and budget.

    Args:
        rows: what `train` returned, or the folder of a study.
        at: "steady", members that also pass at the stretched length count, where the task is a stream;
            "trained", those that are solved at the trained length. `u50_trained` and `u90_trained` are always
            of the latter.
        budget: only recipes of at most so many training steps compete; None: all.
        confidence: of the intervals.

    Raises:
        UserError: no such folder, or no such verdict.
    """
    points = frontiers.frontier(_rows(rows), at, budget, confidence)
    return pl.DataFrame([columns(point) for point in points], infer_schema_length=None)


def answer(
    task: Task | str,
    lag: int,
    rows: pl.DataFrame | str | Path | None = None,
    *,
    share: float = 0.9,
    at: At = "steady",
    budget: int | None = None,
    knobs: Sequence[str] = (),
) -> Answer:
    """How many units for this task at this lag. Print it for words; `.units` is the width to take.

    Args:
        task: name or object.
        lag: time steps.
        rows: what `train` returned, or a folder of studies; one that does not exist holds no rows. None: the
            folder `outputs` and, where it does not measure the lag, the atlas that memcap publishes;
            `.source` says which.
        share: of the seeds that train at all and should pass.
        at, budget: as in `frontier`.
        knobs: of a task given by name, as "symbols=4".

    Raises:
        UserError: no such task, no such lag, or no such verdict.
    """
    wanted = task if isinstance(task, Task) else task_of(task, knobs)
    if isinstance(rows, pl.DataFrame):
        return sources.from_rows(rows, wanted, lag, share, at, budget)
    return sources.best_answer(wanted, lag, share, at, budget, None if rows is None else Path(rows))


def load(folder: str | Path, key: str) -> Trained:
    """A trained member of a study's folder.

    Args:
        folder: of a study, or of several.
        key: of the member, or its first digits, as the rows have it.

    Raises:
        UserError: no such folder, not exactly one such member, or no weights.
    """
    row = store.find_row(Path(folder), key)
    return Trained(member_of(store.config_of(row)), store.weights_of(Path(folder), row))


def draw(figure: str, rows: pl.DataFrame | str | Path) -> figures.Drawn:
    """A figure by name, with the numbers drawn in it.

    Args:
        figure: a file of memcap/figures/, or `module:name`.
        rows: what `train` returned, or the folder of a study.

    Raises:
        UserError: no such figure, no such folder, or nothing to draw.
    """
    return figures.find(figure).draw(_rows(rows))


def _rows(rows: pl.DataFrame | str | Path) -> pl.DataFrame:
    return store.read(Path(rows)) if isinstance(rows, (str, Path)) else rows
