"""Recurrent cells, one file each. A new file here that defines a named `Cell` is found;
nothing else changes.

Code that needs Flax is in registry.py, which is imported at its first use.
"""

from typing import TYPE_CHECKING, Any

from memcap.cells.gates import Gates, Init
from memcap.cells.sizes import ALIASES, FACTS, LAYERS, CellFacts
from memcap.runtime.plugins import is_import_path

if TYPE_CHECKING:
    from memcap.cells.base import Cell
    from memcap.cells.registry import cell_class, cell_classes, flax_cell_names

__all__ = [
    "ALIASES",
    "LAYERS",
    "Cell",
    "CellFacts",
    "Gates",
    "Init",
    "cell_class",
    "cell_classes",
    "cell_facts",
    "check_contract",
    "check_name",
    "flax_cell_names",
]


def cell_facts(name: str, features: int = 1) -> CellFacts:
    """Return the facts of a cell that sees `features` numbers at a step; raise
    UserError if there is none of this name."""
    if name in FACTS:
        return FACTS[name]
    from memcap.cells import registry

    return registry.count(name, features)


def check_name(name: str) -> None:
    """Raise UserError if there is no cell of this name."""
    if name not in FACTS:
        from memcap.cells import registry

        registry.cell_class(name)


def check_contract(name: str, features: int, units: int) -> None:
    """Raise UserError if a cell of somebody's does not exist, or takes no step as cells do."""
    if is_import_path(name):
        from memcap.cells import contract

        contract.check(name, features, units)


def __getattr__(name: str) -> Any:
    if name in __all__:
        from memcap.cells import registry

        return getattr(registry, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
