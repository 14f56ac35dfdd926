"""Who may import whom: imports point down, and nobody imports in a circle. docs/count.py
reads the imports, and tests/test_count.py holds that it sees an arrow up and a circle."""

import ast
from pathlib import Path

import pytest
from own_programs import program

ROOT = Path(__file__).parents[1]
COUNT = program("docs/count.py")
PAIRS = COUNT.pairs(ROOT)
FILES = {COUNT.name_of(path, ROOT): path for path in (ROOT / "memcap").rglob("*.py")}
# What a task, a cell or a network may know of the world: no files, no configuration, no results.
MATHS = (
    "__future__ abc collections dataclasses flax functools itertools jax jaxtyping math memcap"
    " numpy operator scipy sys typing"
)
# What makes rows, and what reads them: the row is the wall between them.
MAKES = "tasks cells loops models config training thresholds designs store studies"
READS = "frontiers answers figures own.words report"


def within(module: str, names: str) -> bool:
    return f"{module}.".startswith(tuple(f"{name}." for name in names.split()))


def test_no_import_points_up():
    every, up = COUNT.arrows(ROOT)
    assert len(every) > 100
    assert not up
    own = {other for module, other in PAIRS if module == "answers.judge"}
    assert not any(within(other, "answers") for other in own)


def breaches(pairs: set[tuple[str, str]]) -> list[str]:
    """Return what reads rows and is imported by what makes them, directly or not."""
    seen = {module for module in FILES if within(module, MAKES)}
    ahead = [*seen]
    while ahead:
        module = ahead.pop()
        new = {other for first, other in pairs if first == module} - seen
        seen |= new
        ahead += new
    return sorted(module for module in seen if within(module, READS))


def test_the_row_is_the_wall():
    assert breaches(PAIRS) == []
    # rule is imported by training
    assert breaches(PAIRS | {("rule", "own.words")}) == ["own.words"]


def test_nothing_is_imported_in_a_circle():
    assert not COUNT.circles(COUNT.pairs(ROOT, typing=True))


@pytest.mark.parametrize(
    ("word", "by"),
    [
        ("_internal", set()),
        ("jax._src", set()),
        ("import_module(", {"runtime.plugins"}),  # what finds things by name
        ("__import__(", {""}),
        ("exec(", set()),
        ("spec_from", {"runtime.plugins"}),
    ],
)
def test_libraries_are_used_by_their_public_names_and_few_import_by_name(word, by):
    assert {name for name in FILES if word in FILES[name].read_text("utf-8")} == by


@pytest.mark.parametrize("room", ["tasks", "cells", "models"])
def test_mathematics_knows_no_files_no_configuration_and_no_results(room):
    for name in FILES:
        if within(name, room):
            for node in ast.walk(ast.parse(FILES[name].read_bytes())):
                names = [alias.name for alias in getattr(node, "names", ())]
                if isinstance(node, ast.ImportFrom):
                    names = [node.module]
                if isinstance(node, (ast.Import, ast.ImportFrom)):
                    roots = {each.partition(".")[0] for each in names}
                    assert roots <= {*MATHS.split()}, name


@pytest.mark.parametrize("name", ["", ".design", ".bisect", ".adaptive"])
def test_designs_that_serve_any_function_know_no_members(name):
    others = {other for module, other in PAIRS if module == f"designs{name}"}
    assert all(within(other, "knobs thresholds designs") for other in others)
