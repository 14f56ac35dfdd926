"""The page of all knobs, made from the project: each with its default, range and
meaning, and the recipes with their values.

python docs/knobs.py            writes it, as `make tables` does
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from memcap.config.member import task_defaults
from memcap.config.recipes import recipe_file
from memcap.knobs import KNOB_COLUMNS, LONGEST, Values, knobs_in_words, plain
from memcap.launch.jobs import GROUPS
from memcap.runtime import ROOT
from memcap.tasks import task_classes
from memcap.terminal.words import first_paragraph

PAGE = Path(__file__).with_suffix(".md")
HEAD = """# Which knobs are there?

`make tables` makes this page, and a test checks that it is current. `memcap tasks NAME` prints
the knobs of a task. Set a knob as `recipe.lr=0.01` on the command line, as
`recipe.lr: [0.01, 0.03]` in a study's axes, and as `lr=0.01` in Python. `null` means that the
knob is not set.
"""
NO_KNOBS = "No knobs of its own.\n"
RECIPES = "Recipes, with the values of their files"
JOB_RANGES = {
    "seed": "whole number, at least 0",
    "design": "one of grid, bisect, adaptive, race",
    "precision": "null, or number above 0 and below 1",
    "axes": "null, fields, or a list of these",
}
Knobs = Sequence[tuple[str, str, str, str]]


def groups() -> dict[str, Knobs]:
    """All knobs, by the title of their group."""
    tasks = {
        f"Task {name}: {_about(cls)}": knobs_in_words(cls, "task")
        for name, cls in task_classes().items()
    }
    others = {
        f"{group.capitalize()}: {_about(cls)}": knobs_in_words(cls, group)
        for group, cls in GROUPS.items()
    }
    return {"Job": _job(), "Every task": _any_task(), **tasks, **others}


def recipe_values() -> dict[str, Values]:
    """The values of each file of conf/recipe/, by its name."""
    names = sorted(path.stem for path in (ROOT / "conf" / "recipe").glob("*.yaml"))
    return {name: recipe_file(name) for name in names if name != "auto"}


def page() -> str:
    """The text of the page."""
    sections = [HEAD]
    for title, knobs in groups().items():
        rows = [(f"`{name}`", *words) for name, *words in knobs]
        text = _table(KNOB_COLUMNS, rows) if rows else NO_KNOBS
        sections.append(f"## {title}\n\n{text}")
    recipes = recipe_values()
    names = {name: None for values in recipes.values() for name in values}
    del names["name"]
    rows = [
        [name, *(plain(values.get(name)) for values in recipes.values())]
        for name in names
    ]
    sections.append(f"## {RECIPES}\n\n{_table(['', *recipes], rows)}")
    return "\n".join(sections)


def _job() -> Knobs:
    """The keys beside the groups: their defaults and meanings are in conf/config.yaml."""
    text = (ROOT / "conf" / "config.yaml").read_text(encoding="utf-8")
    keys = re.findall(
        r"^(study|out|seed|axes|design|precision): (\S+) # (.+)$", text, re.MULTILINE
    )
    return [
        (name, default, JOB_RANGES.get(name, "text"), about)
        for name, default, about in keys
    ]


def _any_task() -> Knobs:
    span = f"whole number, at least 1 and at most {LONGEST:,}"
    usual = str(task_defaults("latch")["lag"])
    lag = "time steps to remember; for data also null, which means all of a sequence"
    length = "steps of a sequence; null: the task's own for this lag"
    return [
        ("task.lag", usual, span, lag),
        ("task.length", "null", f"null, or {span}", length),
    ]


def _about(cls: Any) -> str:
    return first_paragraph(cls.__doc__).rstrip(".")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [heads, ["---"] * len(heads), *rows]
    return "".join(
        "| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |\n"
        for line in lines
    )


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
