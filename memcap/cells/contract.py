"""The contract of a cell of somebody's: a line names the cell, the method, what came
and what is expected.

memcap's own cells, and Flax's, are tested, so nothing of this is asked of them.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.cells.base import Cell
from memcap.cells.registry import cell_class
from memcap.knobs import UserError
from memcap.runtime import jax_setup
from memcap.runtime.plugins import calling

BATCH = 2
STEPS = 3
_whole: set[type[Cell]] = set()  # cells that were found to be whole


def check(name: str, features: int, units: int) -> None:
    """Take a step of a cell on shapes alone, the first time that it is asked for; raise
    UserError for the first thing that is wrong."""
    cls = cell_class(name)
    if cls not in _whole:
        nnx.eval_shape(lambda: _step(cls, name, features, units))
        _run(cls, name, features, units)
        _whole.add(cls)


def _step(cls: type[Cell], name: str, features: int, units: int) -> None:
    make = partial(cast(Callable[..., Cell], cls), rngs=nnx.Rngs(0))
    cell = _call(cls, name, "__init__", make, features, units)
    for field, value in (("in_features", features), ("hidden_features", units)):
        came = getattr(cell, field, None)
        if came != value:
            must = f"{value}, the number that it was made with"
            raise _wrong(name, f"__init__ keeps {field}={came}", must)
    shape = (BATCH, features)
    start = cell.initialize_carry
    carry = _call(cls, name, "initialize_carry", start, shape, nnx.Rngs(0))
    given = _call(cls, name, "__call__", cell, carry, jnp.zeros(shape))
    if not (isinstance(given, tuple) and len(given) == 2):
        must = "the next carry and the hidden state"
        raise _wrong(name, f"__call__ gives {type(given).__name__}", must)
    before, after, hidden = map(_words, (carry, *given))
    if after != before:
        must = f"{before}, as initialize_carry gives"
        raise _wrong(name, f"__call__ gives a carry of {after}", must)
    wanted = f"({BATCH}, {units * cell.hidden_per_unit})"
    if not hidden.endswith(f" {wanted}"):
        must = f"of shape {wanted}, a number a unit"
        raise _wrong(name, f"__call__ gives a hidden state of {hidden}", must)


def _run(cls: type[Cell], name: str, features: int, units: int) -> None:
    """Run a cell on two sequences at once, and on each alone; raise UserError if they
    give other numbers, or change the cell."""
    jax_setup.limit_threads()
    cell = cast(Callable[..., Cell], cls)(features, units, rngs=nnx.Rngs(0))
    weights = _weights(cell)
    fields = set(vars(cell))
    start = cell.initialize_carry((BATCH, features), nnx.Rngs(0))
    inputs = np.random.default_rng(0).standard_normal((STEPS, BATCH, features))

    def run(rows: slice) -> Any:
        carry = jax.tree.map(lambda leaf: leaf[rows], start)
        for x in inputs.astype(np.float32):
            carry, hidden = _call(cls, name, "__call__", cell, carry, x[rows])
        return hidden

    together = run(slice(None))
    alone = jnp.concatenate([run(slice(k, k + 1)) for k in range(BATCH)])
    if not jnp.allclose(together, alone, atol=1e-4, equal_nan=True):
        came = "__call__ gives a sequence other numbers beside another one"
        must = "the same for each sequence, whatever else is in the batch"
        raise _wrong(name, came, must)
    if _weights(cell) != weights or set(vars(cell)) != fields:
        raise _wrong(name, "__call__ changes the cell", "a function: the carry is all")


def _weights(cell: Cell) -> dict[str, bytes]:
    """Return the bytes of a cell's arrays, by their paths."""
    leaves = jax.tree.leaves_with_path(nnx.to_pure_dict(nnx.state(cell)))
    return {
        jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves
    }


def _words(tree: Any) -> str:
    """Return the arrays of a tree by dtype and shape, in its form."""
    leaves, form = jax.tree.flatten(tree)
    texts = [f"{jnp.result_type(leaf)} {jnp.shape(leaf)}" for leaf in leaves]
    if form == jax.tree.structure(0):
        return texts[0]
    return str(form.unflatten(texts)).replace("'", "")


def _wrong(name: str, came: str, expected: str) -> UserError:
    return UserError(
        f"model.cell={name}: {came}; it must be {expected} (memcap/cells/base.py)"
    )


def _call(
    cls: type[Cell], name: str, method: str, of: Callable[..., Any], *arguments: Any
) -> Any:
    """Return what a method gives; what it raises is a UserError."""
    with calling(f"model.cell={name}: {method}", cls.__module__):
        return of(*arguments)
