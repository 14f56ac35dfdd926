"""Optimizers by name; Muon, SOAP and GGT see more of a gradient than single elements.

Each rescales the flat gradient (P,) of a net from a state of zeros, as optax's
`scale_by_adam` does. `optax.contrib` has Muon alone, which takes no member's own width.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial, reduce
from operator import getitem
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import jax
import jax.numpy as jnp
import optax
from jax import lax
from jax.custom_batching import custom_vmap

from memcap.cells import cell_class
from memcap.config.recipes import EPSILON, MOMENTUM, RMS_DECAY, ResolvedRecipe
from memcap.models.architecture import Architecture
from memcap.models.model import cell_names

if TYPE_CHECKING:
    from jaxtyping import Array, Bool, Float, Int

# Coefficients of the Newton-Schulz iteration: Jordan's five steps, which leave singular
# values between 0.7 and 1.2, and one that brings them close to 1.
COEFFICIENTS = (*[(3.4445, -4.7750, 2.0315)] * 5, (1.875, -1.25, 0.375))
# decay of the momentum; root mean square of a step, about Adam's
MUON_DECAY = 0.95
MUON_RMS = 0.3
# SOAP and GGT: of the mean gradient, and of mean squares along a basis
MEAN_DECAY = 0.95
SQUARE_DECAY = 0.99
# decay of SOAP's factors; steps between bases
SOAP_DECAY = 0.99
SOAP_EVERY = 10
# decay by age; steps between bases; size of the window
GGT_DECAY = 0.995
GGT_EVERY = 50
GGT_WINDOW = 400
# Least variance of a direction, as a share of the largest. Below it there is only
# rounding, which division by its own size would make as large as the gradient: in SOAP
# the rounding of a product, in GGT that of a matrix of products, whose eigenvalues are
# squares.
SOAP_FLOOR = 1e-8
GGT_FLOOR = 1e-7
TINY = 1e-10  # added to a deviation
ADAM: Any = optax.scale_by_adam()


class MuonState(NamedTuple):
    """Adam's state of all weights, and the momentum of recurrent blocks (N, U, U)."""

    adam: Any
    momentum: Any


def orthogonal(blocks: Float[Array, "N U U"]) -> Float[Array, "N U U"]:
    """Return roughly the nearest orthogonal matrices (Newton-Schulz iteration)."""
    blocks = blocks / (jnp.linalg.norm(blocks, axis=(-2, -1), keepdims=True) + 1e-12)
    for a, b, c in COEFFICIENTS:
        gram = blocks @ blocks.mT
        blocks = a * blocks + (b * gram + c * gram @ gram) @ blocks
    return blocks


def scale_by_muon(architecture: Architecture) -> optax.GradientTransformationExtraArgs:
    """Rescale updates of recurrent weights by Muon, and all others by Adam.

    The momentum of each gate's (U, U) block is replaced by the nearest orthogonal
    matrix. `update` takes the keyword `units`, a padded member's own number of units:
    padding stays at zero and does not count.

    References:
        Jordan et al., `Muon: An optimizer for hidden layers in neural networks
        <https://kellerjordan.github.io/posts/muon/>`_, 2024
    """
    units = architecture.model.units
    places = [layer[1] for layer in gate_places(architecture)]

    def blocks(vector: Float[Array, " P"]) -> Float[Array, "N U U"]:
        layers = [
            vector[place].reshape(units, -1, units).swapaxes(0, 1) for place in places
        ]
        return jnp.concatenate(layers)

    def init(params: Any) -> MuonState:
        return MuonState(ADAM.init(params), jnp.zeros_like(blocks(params)))

    def update(
        updates: Any, state: Any, params: Any = None, *, units: Any = units, **_: Any
    ) -> tuple[Any, MuonState]:
        direction, adam_state = ADAM.update(updates, state.adam)
        gradient = blocks(updates)
        momentum = _mean(MUON_DECAY, state.momentum, gradient)
        # one step ahead, as in Nesterov's momentum
        turn = orthogonal(_mean(MUON_DECAY, momentum, gradient))
        turn = MUON_RMS * jnp.sqrt(jnp.float32(units)) * turn
        for place, layer in zip(places, jnp.split(turn, len(places)), strict=True):
            direction = _put(direction, layer.swapaxes(0, 1).ravel(), place)
        return direction, MuonState(adam_state, momentum)

    return optax.GradientTransformationExtraArgs(init, update)


class SoapLayer(NamedTuple):
    """SOAP's state of a layer's weights (R, C): means of the gradient G, G G^T and G^T
    G, the eigenvectors of the latter two, and the mean squares of G along them."""

    mean: Any
    factors: tuple[Any, Any]
    bases: tuple[Any, Any]
    squares: Any


class SoapState(NamedTuple):
    """Steps taken, Adam's state of all weights, and a `SoapLayer` for each layer."""

    count: Any
    adam: Any
    layers: tuple[SoapLayer, ...]


def scale_by_soap(architecture: Architecture) -> optax.GradientTransformation:
    """Rescale updates of weights into gates by SOAP, and all others by Adam.

    A layer's weights are one matrix, with a row for each input, each hidden number and
    the bias, and a column for each gate of each unit. Adam runs along the eigenvectors
    of Shampoo's factors, renewed every 10 steps; at first along the axes.

    References:
        Vyas et al., `SOAP: Improving and Stabilizing Shampoo using Adam
        <https://arxiv.org/abs/2409.11321>`_, 2024
    """
    places = gate_places(architecture)
    gates = cell_class(architecture.model.cell).gates
    assert gates is not None
    columns = len(gates.roles) * architecture.model.units

    def matrix(vector: Float[Array, " P"], layer: list[slice]) -> Float[Array, "R C"]:
        return jnp.concatenate([vector[place].reshape(-1, columns) for place in layer])

    def init(params: Any) -> SoapState:
        layers = []
        for layer in places:
            mean = jnp.zeros_like(matrix(params, layer))
            square = (
                jnp.zeros((len(mean), len(mean)), mean.dtype),
                jnp.zeros((columns, columns), mean.dtype),
            )
            layers.append(SoapLayer(mean, square, square, mean))
        return SoapState(jnp.int32(0), ADAM.init(params), tuple(layers))

    def update_layer(
        state: SoapLayer, gradient: Any, count: Any
    ) -> tuple[Any, SoapLayer]:
        mean = _mean(MEAN_DECAY, state.mean, gradient)
        products = gradient @ gradient.T, gradient.T @ gradient
        factors = tuple(
            _mean(SOAP_DECAY, *pair)
            for pair in zip(state.factors, products, strict=True)
        )
        old = state.bases, state.squares
        (left, right), squares = renew(
            count % SOAP_EVERY == 0, _eigenvectors, old, factors, old[1], count
        )
        squares = _mean(SQUARE_DECAY, squares, (left.T @ gradient @ right) ** 2)
        along = (left.T @ mean @ right) / (1 - MEAN_DECAY**count)
        direction = left @ (along / _deviation(squares, SOAP_FLOOR)) @ right.T
        return direction, SoapLayer(mean, factors, (left, right), squares)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, SoapState]:
        direction, adam_state = ADAM.update(updates, state.adam)
        count = state.count + 1
        layers = []
        for layer, old in zip(places, state.layers, strict=True):
            along, new = update_layer(old, matrix(updates, layer), count)
            layers.append(new)
            along = jnp.where(
                count < SOAP_EVERY, matrix(direction, layer), along
            ).ravel()
            for place in layer:
                size = place.stop - place.start
                direction = _put(direction, along[:size], place)
                along = along[size:]
        return direction, SoapState(count, adam_state, tuple(layers))

    return optax.GradientTransformation(init, update)


class GgtState(NamedTuple):
    """GGT's state of P weights: steps, Adam's state, mean and last R gradients.

    `basis` (R, P) has orthonormal rows, or zeros; `variance` (R,) is the variance along
    them, `outside` () that of every other direction.
    """

    count: Any
    adam: Any
    mean: Any
    window: Any
    basis: Any
    variance: Any
    outside: Any


def scale_by_ggt(architecture: Architecture) -> optax.GradientTransformation:
    """Rescale updates by the root of the gradient's full second moment, estimated from
    the last 400 gradients.

    Adam runs along their principal directions, renewed every 50 steps (at first along
    the axes); all others share one scale. The state holds 800 numbers per weight, or 2
    P for P < 400.

    References:
        Agarwal et al., `Efficient Full-Matrix Adaptive Regularization
        <https://arxiv.org/abs/1806.02958>`_, 2019
    """

    def init(params: Any) -> GgtState:
        window = jnp.zeros((min(GGT_WINDOW, params.size), params.size), params.dtype)
        zero = jnp.zeros((), params.dtype)
        mean = jnp.zeros_like(params)
        return GgtState(
            jnp.int32(0), ADAM.init(params), mean, window, window, window[:, 0], zero
        )

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, GgtState]:
        direction, adam_state = ADAM.update(updates, state.adam)
        count = state.count + 1
        mean = _mean(MEAN_DECAY, state.mean, updates)
        window = lax.dynamic_update_index_in_dim(
            state.window, updates, state.count % len(state.window), 0
        )
        old = state.basis, state.variance
        basis, variance = renew(
            count % GGT_EVERY == 0, _principal_directions, old, window, count
        )
        # One vector at a time: on a CPU XLA takes five times as long for a matrix times
        # two vectors.
        along = basis @ updates
        mean_along = basis @ mean
        across = updates - along @ basis
        mean_across = mean - mean_along @ basis
        variance = jnp.where(variance > 0, _mean(SQUARE_DECAY, variance, along**2), 0)
        free = jnp.maximum(updates.size - (variance > 0).sum(), 1)
        outside = _mean(SQUARE_DECAY, state.outside, (across**2).sum() / free)
        outside = jnp.where(count < GGT_EVERY, 0, outside)
        # of data in the mean
        share = 1 - SQUARE_DECAY ** jnp.maximum(count - GGT_EVERY + 1, 1)
        deviations = _deviation(jnp.append(variance, outside / share), GGT_FLOOR)
        whole = (mean_along / deviations[:-1]) @ basis + mean_across / deviations[-1]
        direction = jnp.where(count < GGT_EVERY, direction, whole)
        return direction, GgtState(
            count, adam_state, mean, window, basis, variance, outside
        )

    return optax.GradientTransformation(init, update)


# By `recipe.optimizer`, without the learning rate, which is an operand. Each starts
# from zeros and maps zero gradients to zero updates, so the weights of padding never
# move.
OPTIMIZERS = {
    "adam": optax.scale_by_adam,
    "sgd": partial(optax.trace, MOMENTUM),
    # as PyTorch has it
    "rmsprop": partial(optax.scale_by_rms, RMS_DECAY, EPSILON, eps_in_sqrt=False),
    "adamw": optax.scale_by_adam,  # the decay is added to its direction
}
# Those that need a net's structure
NET_OPTIMIZERS = {"muon": scale_by_muon, "soap": scale_by_soap, "ggt": scale_by_ggt}
# Those that would mix padding and a member's own units in one basis
CANNOT_PAD = ("soap", "ggt")


def optimizer_of(
    recipe: ResolvedRecipe, architecture: Architecture
) -> optax.GradientTransformationExtraArgs:
    """Return a recipe's optimizer of flat weights, without the learning rate.

    `update` takes the keyword `units`, a padded member's own number of units.
    """
    if recipe.optimizer in OPTIMIZERS:
        direction = OPTIMIZERS[recipe.optimizer]()
    else:
        direction = NET_OPTIMIZERS[recipe.optimizer](architecture)
    steps = [optax.clip_by_global_norm(recipe.clip), direction]
    if recipe.decay:
        decay = jnp.asarray(recipe.decay * architecture.matrix_mask())
        steps.append(optax.add_decayed_weights(decay))
    optimizer = optax.chain(*steps)
    return freeze_cell(architecture, optimizer) if recipe.freeze else optimizer


def freeze_cell(
    architecture: Architecture, optimizer: optax.GradientTransformationExtraArgs
) -> optax.GradientTransformationExtraArgs:
    """Zero the updates of all weights but the read-out's, before and after an
    optimizer, so that frozen weights neither decay nor count towards the gradient's
    norm."""
    first = min(
        place.start for place in jax.tree.leaves(architecture.places()["readout"])
    )
    zero = optax.stateless(
        lambda updates, _: cast(jax.Array, updates).at[:first].set(0.0)
    )
    return optax.chain(zero, optimizer, zero)


def gate_places(architecture: Architecture) -> list[list[slice]]:
    """Return where each layer's gate parameters lie in the flat vector: kernel,
    recurrent weights if there are any, bias."""
    gates = cell_class(architecture.model.cell).gates
    weights = architecture.places()
    assert gates is not None
    names = cell_names(architecture.model)
    get = cast(Any, getitem)
    return [
        [reduce(get, path, weights[name]) for path in gates.paths] for name in names
    ]


def renew(
    due: Bool[Array, ""], function: Callable[..., Any], old: Any, *operands: Any
) -> Any:
    """Return `function(*operands)` where it is due, else the old value.

    Under `vmap` it runs only when due for at least one member; a condition would become
    a selection, and run it at every step.
    """

    @custom_vmap
    def choose(due: Any, old: Any, operands: Any) -> Any:
        return lax.cond(due, lambda: function(*operands), lambda: old)

    @choose.def_vmap
    def choose_for_all(size: int, batched: Any, *arguments: Any) -> tuple[Any, Any]:
        due, old, operands = jax.tree.map(
            lambda leaf, has_axis: (
                leaf if has_axis else jnp.broadcast_to(leaf, (size, *leaf.shape))
            ),
            arguments,
            tuple(batched),
        )

        def of_each(due: Any, old: Any, operands: Any) -> Any:
            return jax.tree.map(
                lambda new, before: jnp.where(due, new, before),
                function(*operands),
                old,
            )

        result = lax.cond(
            due.any(), lambda: jax.vmap(of_each)(due, old, operands), lambda: old
        )
        return result, jax.tree.map(lambda _: True, result)

    return choose(due, old, operands)


def _mean(decay: float, old: Any, new: Any) -> Any:
    return decay * old + (1 - decay) * new


def _put(
    vector: Float[Array, " P"], part: Float[Array, " N"], place: slice
) -> Float[Array, " P"]:
    return lax.dynamic_update_slice_in_dim(vector, part, place.start, 0)


def _deviation(
    variance: Float[Array, "*shape"], floor: float
) -> Float[Array, "*shape"]:
    return jnp.sqrt(jnp.maximum(variance, floor * variance.max())) + TINY


def _eigenvectors(
    factors: tuple[Float[Array, "R R"], Float[Array, "C C"]],
    squares: Float[Array, "R C"],
    count: Int[Array, ""],
) -> tuple[tuple[Float[Array, "R R"], Float[Array, "C C"]], Float[Array, "R C"]]:
    """Return the eigenvectors of SOAP's factors, and the mean squares along them."""
    (left_values, left), (right_values, right) = (
        jnp.linalg.eigh(factor) for factor in factors
    )
    total = jnp.maximum(left_values.sum(), jnp.finfo(left.dtype).tiny)
    by_factors = jnp.outer(
        jnp.maximum(left_values, 0), jnp.maximum(right_values, 0) / total
    )
    by_factors = by_factors / (1 - SOAP_DECAY**count)
    return (left, right), jnp.where(count == SOAP_EVERY, by_factors, squares)


def _principal_directions(
    window: Float[Array, "R P"], count: Int[Array, ""]
) -> tuple[Float[Array, "R P"], Float[Array, " R"]]:
    """Return a window's principal directions, a row each, and the variance along them.

    Those lost to rounding are zeros.
    """
    age = (count - 1 - jnp.arange(len(window))) % len(window)
    rows = window * jnp.sqrt((1 - GGT_DECAY) * GGT_DECAY**age)[:, None]
    values, vectors = jnp.linalg.eigh(rows @ rows.T)
    keep = values > GGT_FLOOR * values[-1]
    values = jnp.where(keep, values, 1)
    basis = jnp.where(keep[:, None], vectors.T @ rows / jnp.sqrt(values)[:, None], 0)
    return basis, jnp.where(keep, values / (1 - GGT_DECAY**count), 0)
