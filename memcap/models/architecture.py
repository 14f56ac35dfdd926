"""The weights of a network: shapes, initial values, and layout as one flat vector."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from memcap.cells import Init, cell_class, cell_classes
from memcap.cells.gates import glorot
from memcap.cells.lstm import LSTM
from memcap.knobs import UserError
from memcap.models.model import Model, Params, cell_names
from memcap.models.network import Network


@dataclass(frozen=True)
class Architecture:
    """A network's structure, apart from its weights."""

    model: Model  # cell, units, layers and read-out
    features: int  # F
    outputs: int  # O

    def network(self, key: Any = 0) -> Network:
        """Return a network with Flax's own initial weights."""
        return Network(self.model, self.features, self.outputs, rngs=nnx.Rngs(key))

    def abstract_weights(self) -> Params:
        return _shapes(self)

    def init(self, init: Init | None, entropy: Sequence[int]) -> Params:
        """Draw nested NumPy weights, of their parameters' dtypes; without `init` by the
        cell's own initialiser. Raise UserError if `init` is given and the cell's gates
        are unknown."""
        rng = np.random.default_rng(entropy)
        cell = cell_class(self.model.cell)
        if init is None and cell.has_own_init:
            seed = int(rng.integers(2**31))
            weights = jax.tree.map(np.asarray, nnx.to_pure_dict(_own_init(self)(seed)))
        elif cell.gates is not None:
            weights = jax.tree.map(
                lambda leaf: np.zeros(leaf.shape, leaf.dtype), self.abstract_weights()
            )
            features = self.features
            for name in cell_names(self.model):  # all layers have one initialiser
                for path, value in cell.draw(
                    rng, init or Init(), features, self.model.units
                ).items():
                    _assign(weights[name], path, value)
                features = self.model.hidden
        else:
            names = ", ".join(
                name for name, each in cell_classes().items() if each.gates is not None
            )
            raise UserError(
                f"model.cell={self.model.cell}: its gates are not known here, so only"
                " recipe.init=flax (the cell's own initialiser) can start it; cells with named"
                f" presets: {names}"
            )
        if self.model.readout == "lstm":
            for path, value in LSTM.draw(
                rng, Init(forget=1.0), self.model.hidden, self.outputs
            ).items():
                _assign(weights["readout"], path, value)
        else:
            weights["readout"]["kernel"] = glorot(
                rng, self.model.hidden, self.outputs
            ).astype(np.float32)
            weights["readout"]["bias"] = np.zeros(self.outputs, np.float32)
        return weights

    def check(self, weights: Params) -> None:
        """Raise ValueError if weights are not finite arrays of this network."""
        expected = dict(jax.tree.leaves_with_path(self.abstract_weights()))
        arrays = dict(jax.tree.leaves_with_path(weights))
        if expected.keys() != arrays.keys():
            names = map(_name, expected.keys() ^ arrays.keys())
            raise ValueError(f"lacks or adds the arrays {', '.join(sorted(names))}")
        for path, leaf in expected.items():
            array = arrays[path]
            if (array.shape, array.dtype) != (leaf.shape, leaf.dtype):
                raise ValueError(
                    f"{_name(path)} is {array.dtype}{list(array.shape)}, and must be"
                    f" {leaf.dtype}{list(leaf.shape)}"
                )
            if not np.isfinite(array).all():
                raise ValueError(f"{_name(path)} is not finite")

    def build(self, weights: Params) -> Network:
        graph, state = nnx.split(nnx.eval_shape(self.network))
        nnx.replace_by_pure_dict(state, weights)
        return nnx.merge(graph, state)

    def at_width(self, units: int) -> Architecture:
        return replace(self, model=self.model.at_width(units))

    def resized(self, weights: Params, units: int) -> Params:
        """Return weights of another number of units: cropped, or padded with units that
        output zero and never learn; needs `can_pad`."""
        shapes = self.at_width(units).abstract_weights()
        result = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
        for name in cell_names(self.model):
            for path, value in (
                cell_class(self.model.cell).resized(weights[name], units).items()
            ):
                _fit(result[name], path, value)
        for name, leaf in weights["readout"].items():
            _fit(result["readout"], (name,), leaf)
        return result

    def carry_numbers(self) -> int:
        """Count the real numbers in one sequence's carry, two for a complex number."""
        return sum(_reals(leaf) for leaf in _carry(self))

    def parameters(self) -> int:
        """Count the P trained real numbers, two for a complex weight."""
        return sum(_reals(leaf) for leaf in jax.tree.leaves(self.abstract_weights()))

    def flatten(self, weights: Params) -> np.ndarray:
        """Return the weights as one (P,) vector, of complex arrays all real parts
        first."""
        return np.concatenate(
            [_parts(np.asarray(leaf)) for leaf in jax.tree.leaves(weights)]
        )

    def places(self) -> Params:
        """Return each weight's slice of the flat vector, nested."""
        leaves, tree = jax.tree.flatten(self.abstract_weights())
        ends = np.cumsum([_reals(leaf) for leaf in leaves]).tolist()
        places = [
            slice(end - _reals(leaf), end)
            for leaf, end in zip(leaves, ends, strict=True)
        ]
        return jax.tree.unflatten(tree, places)

    def matrix_mask(self) -> np.ndarray:
        """Return (P,) float32: 1 for matrices, 0 for vectors such as biases."""
        marks = [
            np.full(_reals(leaf), len(leaf.shape) > 1, np.float32)
            for leaf in jax.tree.leaves(self.abstract_weights())
        ]
        return np.concatenate(marks)

    def unflatten(self, vector: Any) -> Params:
        """Return nested weights, in their dtypes, from a (P,) vector."""
        shapes = self.abstract_weights()
        places = self.places()
        return jax.tree.map(
            lambda leaf, place: _whole(vector[place], leaf), shapes, places
        )


def _assign(tree: Params, path: tuple[str, ...], value: np.ndarray) -> None:
    for key in path[:-1]:
        tree = tree[key]
    tree[path[-1]] = value.astype(tree[path[-1]].dtype)


def _fit(tree: Any, path: tuple[str, ...], value: np.ndarray) -> None:
    for key in path:
        tree = tree[key]
    rows = min(len(tree), len(value))
    tree[:rows] = value[:rows]


def _is_complex(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jnp.complexfloating)


def _reals(leaf: Any) -> int:
    return math.prod(leaf.shape) * (2 if _is_complex(leaf) else 1)


def _parts(leaf: np.ndarray) -> np.ndarray:
    if _is_complex(leaf):
        return np.concatenate([leaf.real.ravel(), leaf.imag.ravel()])
    return leaf.ravel().astype(np.float64 if leaf.dtype == np.float64 else np.float32)


def _whole(part: Any, leaf: Any) -> Any:
    if _is_complex(leaf):
        half = math.prod(leaf.shape)
        return (part[:half] + 1j * part[half:]).reshape(leaf.shape).astype(leaf.dtype)
    part = part.reshape(leaf.shape)
    # so that tests in float64 stay in float64
    return part if leaf.dtype == jnp.float32 else part.astype(leaf.dtype)


@cache
def _shapes(architecture: Architecture) -> Params:
    return nnx.to_pure_dict(nnx.split(nnx.eval_shape(architecture.network))[1])


@cache
def _carry(architecture: Architecture) -> list[Any]:
    return jax.tree.leaves(nnx.eval_shape(lambda: architecture.network().carry(1)))


# Each takes some hundred of the 65,530 memory maps that Linux allows a process: keep the last few.
def _name(path: Any) -> str:
    return jax.tree_util.keystr(path, simple=True, separator="/")


@lru_cache(maxsize=16)
def _own_init(architecture: Architecture) -> Callable[[int], nnx.State]:
    return jax.jit(
        lambda seed: nnx.split(architecture.network(jax.random.key(seed)))[1]
    )
