"""Who may import whom: imports point down, and nobody imports in a circle."""

import ast
from functools import cache
from graphlib import TopologicalSorter
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
    "own findings probes",
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
# who may import what is named at run time


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


def test_nothing_is_imported_in_a_circle():
    list(TopologicalSorter(graph(sources())).static_order())


@pytest.mark.parametrize("private", ["_internal", "jax._src"])
def test_libraries_are_used_by_their_public_names(private):
    assert [module for module, source in sources().items() if private in source] == []
