"""Print every knob with its meaning, range and default, and the recipes with their values.

memcap knobs                 all knobs
memcap knobs recipe          one group: job, task, model, recipe, evaluation, engine or tracking
memcap knobs latch           the knobs of one task, also of my_tasks:Pulses
memcap knobs --markdown      all knobs, as a page
"""

import itertools
import json
import re
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable, Sequence
from dataclasses import Field, asdict, astuple, dataclass, fields
from typing import Any, get_type_hints

from memcap.commands.arguments import add_json
from memcap.config.member import task_defaults
from memcap.config.recipes import recipe_file
from memcap.knobs import LONGEST, UserError, Values, allowed, alternatives
from memcap.launch.jobs import GROUPS
from memcap.runtime import ROOT, plugins
from memcap.tasks import Task, task_class, task_classes
from memcap.terminal.words import (
    Column,
    Listing,
    NumberColumn,
    first_paragraph,
    print_json,
    show,
)

COLUMNS = (
    Column("knob"),
    Column("default"),
    Column("range", folds=True),
    Column("meaning", folds=True),
)
HEAD = """# Knobs

`memcap knobs --markdown` writes this page, and a test checks that it is current. `memcap knobs GROUP`
prints a part of it. Set a knob as `recipe.lr=0.01` on the command line, as `recipe.lr: [0.01, 0.03]` in a
study's axes, and as `lr=0.01` in Python. `null` means that the knob is not set.
"""  # noqa: E501
NO_KNOBS = "No knobs of its own.\n"
RECIPES = "Recipes, with the values of their files"
WORDS = {bool: "true or false", int: "whole number", float: "number", str: "text"}


@dataclass(frozen=True)
class Knob:
    """One knob, in words."""

    name: str
    default: str
    range: str
    meaning: str


@dataclass(frozen=True)
class KnobGroup:
    """Knobs that belong together."""

    title: str
    knobs: tuple[Knob, ...]


def add_arguments(parser: ArgumentParser) -> None:
    about = f"one of job, task, {', '.join(GROUPS)}, or a task (default: all)"
    parser.add_argument("group", nargs="?", metavar="GROUP", help=about)
    parser.add_argument("--markdown", action="store_true", help="print them as a page")
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print a table a group."""
    chosen = groups(arguments.group)
    recipes = recipe_values() if arguments.group in (None, "recipe") else {}
    if arguments.json:
        groups_there = [asdict(group) for group in chosen]
        print_json(groups_there + [{"recipes": recipes}] * bool(recipes))
    elif arguments.markdown:
        pages = [HEAD, *map(_page, chosen)]
        if recipes:
            table = _table(["", *recipes], _recipe_rows(recipes))
            pages.append(f"## {RECIPES}\n\n{table}")
        print("\n".join(pages), end="")
    else:
        for group in chosen:
            if group.knobs:
                rows = [astuple(knob) for knob in group.knobs]
                show(Listing(group.title, COLUMNS, rows))
                show("")
        if recipes:
            columns = [NumberColumn(name) for name in recipes]
            rows = _recipe_rows(recipes)
            drops = list(reversed(recipes))
            show(Listing(RECIPES, [Column("recipe"), *columns], rows, drops))


def groups(name: str | None = None) -> list[KnobGroup]:
    """Return the groups of knobs, or those of a name: of a group or a task, also a user's own.

    Raises:
        UserError: no such group or task.
    """
    tasks = {task: _task(cls) for task, cls in task_classes().items()}
    groups_of = {"job": [_job()], "task": [_any_task(), *tasks.values()]}
    for group, cls in GROUPS.items():
        groups_of[group] = [_of(group.capitalize(), group, cls)]
    if name is None:
        return [*itertools.chain(*groups_of.values())]
    if name in groups_of:
        return groups_of[name]
    if name in tasks or plugins.is_import_path(name):
        return [_any_task(), _task(task_class(name))]
    names = alternatives(name, [*groups_of, *tasks], "MODULE:TASK of your own")
    raise UserError(f"{name}: no such group of knobs; {names}")


def recipe_values() -> dict[str, Values]:
    """Read the values of each file of conf/recipe/, by its name."""
    names = sorted(path.stem for path in (ROOT / "conf" / "recipe").glob("*.yaml"))
    return {name: recipe_file(name) for name in names if name != "auto"}


def _job() -> KnobGroup:
    """Read the keys beside the groups: their defaults and meanings are in conf/config.yaml."""
    text = (ROOT / "conf" / "config.yaml").read_text(encoding="utf-8")
    fields = re.findall(
        r"^(study|out|seed|axes|design|precision): (\S+) # (.+)$", text, re.MULTILINE
    )
    ranges = {
        "seed": "whole number, at least 0",
        "design": "one of grid, bisect, adaptive, race",
        "precision": "null, or number above 0 and below 1",
        "axes": "null, fields, or a list of these",
    }
    knobs = (
        Knob(name, default, ranges.get(name, "text"), about)
        for name, default, about in fields
    )
    return KnobGroup("Job", tuple(knobs))


def _any_task() -> KnobGroup:
    span = f"whole number, at least 1 and at most {LONGEST:,}"
    usual = str(task_defaults("latch")["lag"])
    about = "time steps to remember; for data also null, which means all of a sequence"
    lag = Knob("task.lag", usual, span, about)
    about = "steps of a sequence; null: the task's own for this lag"
    length = Knob("task.length", "null", f"null, or {span}", about)
    return KnobGroup("Every task", (lag, length))


def _task(cls: type[Task]) -> KnobGroup:
    return _of(f"Task {cls.name or cls.__name__}", "task", cls)


def _of(title: str, prefix: str, cls: Any) -> KnobGroup:
    about = first_paragraph(cls.__doc__).rstrip(".")
    hints = get_type_hints(cls)
    knobs = (
        Knob(
            f"{prefix}.{f.name}",
            _plain(f.default),
            _range(f, hints[f.name]),
            f.metadata.get("doc", ""),
        )
        for f in fields(cls)
    )
    return KnobGroup(f"{title}: {about}", tuple(knobs))


def _range(field: Field, hint: Any) -> str:
    kinds = getattr(hint, "__args__", (hint,))
    text = allowed(field.metadata)
    if not field.metadata.get("choices"):
        kind = next(WORDS[kind] for kind in kinds if kind in WORDS)
        text = f"{kind}, {text}" if text else kind
    return f"null, or {text}" if type(None) in kinds else text


def _plain(value: Any) -> str:
    return json.dumps(value) if value is None or isinstance(value, bool) else str(value)


def _recipe_rows(recipes: dict[str, Values]) -> list[list[str]]:
    names = dict.fromkeys(itertools.chain(*recipes.values()))
    del names["name"]
    return [
        [name, *(_plain(values.get(name)) for values in recipes.values())]
        for name in names
    ]


def _page(group: KnobGroup) -> str:
    rows = [(f"`{k.name}`", k.default, k.range, k.meaning) for k in group.knobs]
    table = _table([column.head for column in COLUMNS], rows)
    return f"## {group.title}\n\n{table if rows else NO_KNOBS}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n"
        for line in lines
    )
