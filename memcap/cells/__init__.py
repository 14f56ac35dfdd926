"""Recurrent cells, one file each. A new file here that defines a named `Cell` is found; nothing else
changes."""

from functools import cache
from typing import cast

from flax import nnx

from memcap import plugins
from memcap.cells.base import Cell
from memcap.cells.gates import Gates, Init
from memcap.cells.variants import variant
from memcap.knobs import UserError

__all__ = ["Cell", "Gates", "Init", "cell_class", "cell_classes", "flax_cell_names"]


@cache
def cell_classes() -> dict[str, type[Cell]]:
    """The cells of this folder by name, in alphabetical order."""
    return plugins.classes(__name__, Cell)


def flax_cell_names() -> list[str]:
    """Names of the recurrent cells of `flax.nnx`, all of which work."""
    base = nnx.RNNCellBase
    return sorted(
        n for n, c in vars(nnx).items() if isinstance(c, type) and issubclass(c, base) and c is not base
    )


_outside: dict[str, type[nnx.RNNCellBase]] = {}


def cell_class(name: str) -> type[Cell]:
    """The cell of this name: of this folder, any of `flax.nnx`, or `module:Class` for one outside the
    package.

    With a suffix it is a variant of the cell (memcap/cells/variants.py): `lstm+bfloat16`.

    Raises:
        UserError: there is none.
    """
    if name in cell_classes():
        return cell_classes()[name]
    base, plus, suffix = name.rpartition("+")
    if plus:
        return _variant(base, suffix)
    if plugins.is_import_path(name):
        found = plugins.import_object(name, "model.cell")
        if not (isinstance(found, type) and issubclass(found, nnx.RNNCellBase)):
            raise UserError(
                f"model.cell={name}: must be a class derived from memcap.cells.Cell or flax.nnx.RNNCellBase"
            )
        if _outside.setdefault(name, found) is not found:  # programs and rows go by the name
            raise UserError(
                f"model.cell={name}: was defined anew in this process; give the new class another name"
            )
        return _adopted(found, name)
    if name not in flax_cell_names():
        known = dict.fromkeys([*cell_classes(), *flax_cell_names()])
        raise UserError(
            f"model.cell={name}: no such cell; one of {', '.join(known)}, or MODULE:CLASS for your own"
        )
    return _adopted(getattr(nnx, name), name)


@cache
def _variant(base: str, suffix: str) -> type[Cell]:
    return variant(cell_class(base), suffix, f"{base}+{suffix}")


@cache
def _adopted(cls: type[nnx.RNNCellBase], name: str) -> type[Cell]:
    """A cell that knows nothing of memcap, with `Cell`'s methods added; its own come first."""
    if issubclass(cls, Cell):
        return cls
    return cast(type[Cell], type(cls.__name__, (cls, Cell), {"name": name, "__module__": cls.__module__}))
