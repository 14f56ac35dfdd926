"""Who may import whom: imports point down, and nobody imports in a circle."""

import ast
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# From the ground up: what stands on a floor knows itself and all that stands on lower
# floors. A word is a module or a package of memcap.
FLOORS = [
    "knobs",
    "terminal",
    "runtime",
    "rule",
    "confirmation",
    "tasks cells",
    "loops",
    "models",
    "config",
    "optimizers",
    "training trained answers.judge thresholds",
    "designs planning reference store",
    "scripts studies",
    "frontiers",
    "answers",
    "figures",
    "own findings probes proofs measured",
    "report tracking",
    "api",
    "launch",
    "commands",
    "cli",
    "__main__",
]
# The package's own name space stands on the ground: it imports nothing before it is asked for.
HEIGHT = {"memcap": 0} | {
    f"memcap.{name}": height
    for height, names in enumerate(FLOORS, start=1)
    for name in names.split()
}
# What a task, a cell or a network may know of the world: no files, no configuration, no results.
MATHS = (
    "__future__ abc collections dataclasses flax functools itertools jax math memcap numpy"
    " operator scipy sys typing"
)
# What makes rows, and what reads them: the row is the wall between them.
MAKES = "tasks cells loops models config training thresholds designs store studies"
READS = "frontiers answers figures own.words report"
# who may import what is named at run time
BY_NAME = {"memcap", "memcap.runtime.plugins"}


@cache
def sources() -> dict[str, str]:
    """Source by module."""
    found = {}
    for path in sorted((ROOT / "memcap").rglob("*.py")):
        *folders, stem = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(folders if stem == "__init__" else [*folders, stem])] = (
            path.read_text(encoding="utf-8")
        )
    return found


def place(module: str) -> str:
    """The innermost module or package around a module that stands on a floor."""
    name = module
    while name not in HEIGHT:
        name = name.rpartition(".")[0]
    assert name != "memcap" or module == "memcap", f"{module}: stands on no floor"
    return name


@cache
def statements(source: str) -> list[ast.Import | ast.ImportFrom]:
    """All import statements but those for type checkers."""
    at_run_time = [
        node
        for node in ast.parse(source).body
        if not (isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    ]
    return [
        node
        for outer in at_run_time
        for node in ast.walk(outer)
        if isinstance(node, (ast.Import, ast.ImportFrom))
    ]


def imported(node, modules) -> list[str]:
    """Full names of the modules that a statement imports."""
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, "relative import"
    names = [f"{node.module}.{alias.name}" for alias in node.names]
    return [name if name in modules else node.module for name in names]


def graph(code: dict[str, str]) -> dict[str, set[str]]:
    """Modules of memcap that each module imports."""
    return {
        module: {
            name
            for node in statements(source)
            for name in imported(node, code)
            if name.partition(".")[0] == "memcap"
        }
        for module, source in code.items()
    }


def arrows_up(code: dict[str, str]) -> list[str]:
    """Imports of what does not stand on a lower floor."""
    pairs = [
        (module, other) for module, others in graph(code).items() for other in others
    ]
    return [
        f"{a} imports {b}"
        for a, b in pairs
        if place(a) != place(b) and HEIGHT[place(a)] <= HEIGHT[place(b)]
    ]


def test_every_module_stands_on_a_floor():
    code = sources()
    assert {place(module) for module in code} == set(HEIGHT)
    assert len(code) > 50


def test_no_import_points_up():
    assert arrows_up(sources()) == []


def breaches(code: dict[str, str]) -> list[str]:
    """Return what reads rows and is imported by what makes them, directly or not."""
    edges = graph(code)

    def within(module: str, names: str) -> bool:
        return f"{module}.".startswith(tuple(f"memcap.{n}." for n in names.split()))

    seen = {module for module in code if within(module, MAKES)}
    ahead = [*seen]
    while ahead:
        new = edges.get(ahead.pop(), set()) - seen
        seen |= new
        ahead += new
    return sorted(module for module in seen if within(module, READS))


def test_the_row_is_the_wall():
    assert breaches(sources()) == []


@pytest.mark.parametrize(
    ("module", "line", "other"),
    [
        (
            "designs.adaptive",
            "from memcap.answers.words import wilson",
            "answers.words",
        ),
        ("studies.run", "def late():\n    import memcap.figures", "figures"),
        ("rule", "from memcap.own import words", "own.words"),  # imported by training
    ],
)
def test_a_breach_of_the_wall_is_seen(module, line, other):
    assert f"memcap.{other}" in breaches(sources() | {f"memcap.{module}": line})


def test_nothing_is_imported_in_a_circle():
    list(TopologicalSorter(graph(sources())).static_order())


@pytest.mark.parametrize("private", ["_internal", "jax._src"])
def test_libraries_are_used_by_their_public_names(private):
    assert [module for module, source in sources().items() if private in source] == []


@pytest.mark.parametrize("name", ["tasks", "cells", "models"])
def test_mathematics_knows_no_files_no_configuration_and_no_results(name):
    code = {
        module: source
        for module, source in sources().items()
        if place(module) == f"memcap.{name}"
    }
    assert len(code) > 4
    for module, source in code.items():
        outside = {
            other for node in statements(source) for other in imported(node, code)
        }
        assert {other.partition(".")[0] for other in outside} <= {*MATHS.split()}, (
            module
        )


@pytest.mark.parametrize("name", ["", ".design", ".bisect", ".adaptive"])
def test_designs_that_serve_any_function_know_no_members(name):
    others = graph(sources())[f"memcap.designs{name}"]
    allowed = {"memcap.knobs", "memcap.thresholds", "memcap.designs"}
    assert {place(other) for other in others} <= allowed


def test_only_what_finds_things_by_name_imports_by_name():
    calls = ("import_module(", "__import__(", "exec(", "spec_from")
    assert {
        module
        for module, source in sources().items()
        if any(call in source for call in calls)
    } == BY_NAME


@pytest.mark.parametrize(
    ("module", "line"),
    [
        ("memcap.tasks.latch", "from memcap.cells import Cell"),
        ("memcap.models.architecture", "from memcap import config"),
        ("memcap.training.step", "def late():\n    import memcap.studies.run"),
        ("memcap.studies.run", "from memcap.report.tables import summarize"),
        ("memcap.planning.plan", "from memcap.studies import run"),
        ("memcap.knobs", "from memcap.runtime.plugins import Folder"),
        ("memcap.report.tables", "from memcap.launch import jobs"),
    ],
)
def test_an_arrow_up_is_seen(module, line):
    code = sources()
    assert len(arrows_up(code | {module: line})) == 1


def test_a_circle_is_seen():
    code = sources() | {"memcap.cells.gates": "from memcap.cells.base import Cell"}
    assert arrows_up(code) == []
    with pytest.raises(CycleError):
        list(TopologicalSorter(graph(code)).static_order())
