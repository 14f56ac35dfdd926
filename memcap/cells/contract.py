"""The check that a cell from outside takes steps as `Cell` says."""

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
    """Raise UserError for the first thing that is wrong with a cell, once a process.
    Two sequences, run together and alone, must agree and leave it unchanged."""
    cls = cell_class(name)
    if cls in _whole:
        return
    jax_setup.limit_threads()
    call = partial(_call, cls, name)
    make = partial(cast(Callable[..., Cell], cls), rngs=nnx.Rngs(0))
    cell = call("__init__", make, features, units)
    for field, value in (("in_features", features), ("hidden_features", units)):
        came = getattr(cell, field, None)
        if came != value:
            must = f"{value}, the number that it was made with"
            raise _wrong(name, f"__init__ keeps {field}={came}", must)
    weights = _weights(cell)
    fields = set(vars(cell))
    shape = (BATCH, features)
    start = call("initialize_carry", cell.initialize_carry, shape, nnx.Rngs(0))
    inputs = np.random.default_rng(0).standard_normal((STEPS, *shape), np.float32)

    def run(rows: slice) -> Any:
        carry = jax.tree.map(lambda leaf: leaf[rows], start)
        for x in inputs:
            step = call("__call__", cell, carry, x[rows])
            _check_step(cell, name, len(x[rows]), carry, step)
            carry, hidden = step
        return hidden

    together = run(slice(None))
    alone = jnp.concatenate([run(slice(k, k + 1)) for k in range(BATCH)])
    if not jnp.allclose(together, alone, atol=1e-4, equal_nan=True):
        came = "__call__ gives a sequence other numbers beside another one"
        must = "the same for each sequence, whatever else is in the batch"
        raise _wrong(name, came, must)
    if _weights(cell) != weights or set(vars(cell)) != fields:
        raise _wrong(name, "__call__ changes the cell", "a function: the carry is all")
    _whole.add(cls)


def _check_step(cell: Cell, name: str, batch: int, carry: Any, step: Any) -> None:
    if not (isinstance(step, tuple) and len(step) == 2):
        must = "the next carry and the hidden state"
        raise _wrong(name, f"__call__ gives {type(step).__name__}", must)
    before, after, hidden = map(_words, (carry, *step))
    if after != before:
        must = f"{before}, as initialize_carry gives"
        raise _wrong(name, f"__call__ gives a carry of {after}", must)
    wanted = f"({batch}, {cell.hidden_features * cell.hidden_per_unit})"
    if not hidden.endswith(f" {wanted}"):
        must = f"of shape {wanted}, a number a unit"
        raise _wrong(name, f"__call__ gives a hidden state of {hidden}", must)


def _weights(cell: Cell) -> dict[str, bytes]:
    leaves = jax.tree.leaves_with_path(nnx.to_pure_dict(nnx.state(cell)))
    return {
        jax.tree_util.keystr(path): np.asarray(leaf).tobytes() for path, leaf in leaves
    }


def _words(tree: Any) -> str:
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
    with calling(f"model.cell={name}: {method}", cls.__module__):
        return of(*arguments)
