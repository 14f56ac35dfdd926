"""Cells by name: from this folder, from Flax, or from another module."""

from collections.abc import Callable
from functools import cache
from typing import Any, cast

import jax
import jax.numpy as jnp
from flax import nnx

from memcap.cells.base import Cell
from memcap.cells.sizes import ALIASES, CellFacts
from memcap.cells.variants import FewBits, variant
from memcap.knobs import UserError, alternatives
from memcap.runtime import plugins


@cache
def cell_classes() -> dict[str, type[Cell]]:
    """Return the cells of this folder by name, alphabetically."""
    return plugins.classes("memcap.cells", Cell)


def flax_cell_names() -> list[str]:
    """Return the names of the cells of `flax.nnx`."""
    base = nnx.RNNCellBase
    return sorted(
        n
        for n, c in vars(nnx).items()
        if isinstance(c, type) and issubclass(c, base) and c is not base
    )


_outside: dict[str, type[nnx.RNNCellBase]] = {}


def cell_class(name: str) -> type[Cell]:
    """Return a cell by name: of this folder, of `flax.nnx`, or `module:Class`, with
    suffixes for a variant, `lstm+bfloat16`.

    Raises:
        UserError: there is none.
    """
    name = ALIASES.get(name, name)
    if name in cell_classes():
        return cell_classes()[name]
    base, plus, suffix = name.rpartition("+")
    if plus:
        return _variant(base, suffix)
    if plugins.is_import_path(name):
        cls = plugins.import_object(name, "model.cell")
        if not (isinstance(cls, type) and issubclass(cls, nnx.RNNCellBase)):
            raise UserError(
                f"model.cell={name}: must be a class derived from memcap.cells.Cell or"
                " flax.nnx.RNNCellBase"
            )
        if (
            _outside.setdefault(name, cls) is not cls
        ):  # programs and rows identify it by name
            raise UserError(
                f"model.cell={name}: was defined anew in this process; give the new class another"
                " name"
            )
        return _adopted(cls, name)
    if name not in flax_cell_names():
        known = dict.fromkeys([*cell_classes(), *flax_cell_names()])
        names = alternatives(name, known, "MODULE:CLASS for your own")
        raise UserError(f"model.cell={name}: no such cell; {names}")
    return _adopted(getattr(nnx, name), name)


@cache
def _variant(base: str, suffix: str) -> type[Cell]:
    return variant(cell_class(base), suffix, f"{base}+{suffix}")


@cache
def _adopted(cls: type[nnx.RNNCellBase], name: str) -> type[Cell]:
    """Add `Cell`'s methods to a foreign cell; its own come first."""
    if issubclass(cls, Cell):
        return cls
    return cast(
        type[Cell],
        type(cls.__name__, (cls, Cell), {"name": name, "__module__": cls.__module__}),
    )


def count(name: str, features: int) -> CellFacts:
    """Count a cell's facts on its own carry."""
    cls = cell_class(name)

    def sizes(units: int, features: int = features) -> tuple[int, int]:
        def carry() -> Any:
            cell = cast(Callable[..., Cell], cls)(features, units, rngs=nnx.Rngs(0))
            return cell.initialize_carry((1, features), nnx.Rngs(0))

        leaves = jax.tree.leaves(nnx.eval_shape(carry))
        numbers = sum(
            leaf.size * (2 if jnp.iscomplexobj(leaf) else 1) for leaf in leaves
        )
        stored = sum(8 * leaf.size * leaf.dtype.itemsize for leaf in leaves)
        return numbers, numbers * cls.bits if issubclass(cls, FewBits) else stored

    one = sizes(1)
    two = sizes(2)
    more = sizes(1, features + 1)
    constant = 2 * one[1] - two[1] - features * (more[1] - one[1])
    return CellFacts(
        two[0] - one[0], two[1] - one[1], cls.is_lstm, more[0] - one[0], constant
    )
