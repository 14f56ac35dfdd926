"""Muon, SOAP and GGT against their rules in NumPy, and one after the other as side by side."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from breadth import leave

import memcap
from memcap import optimizers
from memcap.config.member import Engine
from memcap.knobs import UserError
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.training.engine import train
from memcap.training.program import Groups

pytestmark = pytest.mark.usefixtures("quick_file")

U = 4
NAMES = [*optimizers.NET_OPTIMIZERS]
CELLS = ("cell", "cell_2")  # the layers of a net
PARTS = ("kernel", "recurrent", "bias")  # the weights of memcap's LSTM


def architecture(cell="lstm", layers=2):
    return Architecture(Model(cell, U, layers=layers), 3, 2)


def gradients(net, steps, rank=None):
    """Gradients of changing size, along some directions more than along others; of a
    rank, along so many alone."""
    rng = np.random.default_rng(0)
    size = net.parameters()
    rotation, _ = np.linalg.qr(rng.normal(size=(size, size)))
    mixed = (rotation * np.exp(0.2 * rng.normal(size=size)))[:, :rank]
    drawn = [mixed @ rng.normal(size=mixed.shape[1]) for _ in range(steps)]
    return [(g / (10 + t)).astype(np.float32) for t, g in enumerate(drawn)]


def directions(name, net, given, **values):
    """The directions of an optimizer of memcap for these gradients."""
    optimizer = optax.with_extra_args_support(optimizers.NET_OPTIMIZERS[name](net))
    update = jax.jit(optimizer.update)
    state = optimizer.init(jnp.zeros_like(given[0]))
    found = []
    for gradient in given:
        direction, state = update(gradient, state, **values)
        found.append(np.asarray(direction))
    return found


def adam(given):
    """The directions of Adam, which trains what the others leave."""
    m = v = 0
    for t, g in enumerate(given, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        yield m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def test_a_block_is_brought_to_the_orthogonal_matrix_next_to_it():
    """The iteration moves the singular values alone; those that were small stay behind."""
    rng = np.random.default_rng(0)
    blocks = rng.normal(size=(5, 6, 6)).astype(np.float32)
    left, values, right = np.linalg.svd(blocks.astype(np.float64))
    values /= np.sqrt((values**2).sum(-1, keepdims=True))
    for a, b, c in optimizers.COEFFICIENTS:
        values = a * values + b * values**3 + c * values**5
    found = optimizers.orthogonal(blocks)
    np.testing.assert_allclose(found, left * values[:, None] @ right, atol=1e-5)
    np.testing.assert_allclose(values, 1, atol=0.1)
    assert not optimizers.orthogonal(jnp.zeros((1, 3, 3))).any()


def muon(net, given):
    """The directions of all weights: Adam's, but for the recurrent weights."""
    momentum = dict.fromkeys(CELLS, 0)
    for gradient, elsewhere in zip(map(net.unflatten, given), adam(given), strict=True):
        weights = net.unflatten(elsewhere)
        for cell in CELLS:
            gates = gradient[cell]["recurrent"].reshape(U, 4, U)
            momentum[cell] = 0.95 * momentum[cell] + 0.05 * gates
            ahead = (0.95 * momentum[cell] + 0.05 * gates).swapaxes(0, 1)
            turned = 0.3 * np.sqrt(U) * optimizers.orthogonal(ahead)
            assert np.sqrt(np.mean(turned**2)) == pytest.approx(0.3, abs=0.03)
            weights[cell]["recurrent"] = turned.swapaxes(0, 1).reshape(U, 4 * U)
        yield net.flatten(weights)


def soap_of_matrix(given):
    """The directions of one matrix; None while they are Adam's."""
    mean = left = right = squares = 0
    for t, g in enumerate(given, 1):
        mean = 0.95 * mean + 0.05 * g
        left = 0.99 * left + 0.01 * g @ g.T
        right = 0.99 * right + 0.01 * g.T @ g
        if t % 10 == 0:
            values, bases = zip(*map(np.linalg.eigh, (left, right)), strict=True)
        if t == 10:
            squares = np.outer(*values) / values[0].sum() / (1 - 0.99**t)
        if t < 10:
            yield None
            continue
        squares = 0.99 * squares + 0.01 * (bases[0].T @ g @ bases[1]) ** 2
        along = bases[0].T @ mean @ bases[1] / (1 - 0.95**t)
        yield bases[0] @ (along / np.sqrt(squares)) @ bases[1].T


def soap(net, given):
    """The directions of all weights: Adam's, but for the matrices of the layers."""
    nets = [net.unflatten(g.astype(np.float64)) for g in given]
    rules = [
        soap_of_matrix([np.vstack([n[cell][part] for part in PARTS]) for n in nets])
        for cell in CELLS
    ]
    for elsewhere, *matrices in zip(adam(given), *rules, strict=True):
        weights = net.unflatten(elsewhere)
        for cell, matrix in zip(CELLS, matrices, strict=True):
            if matrix is not None:
                parts = np.split(matrix, [-U - 1, -1])
                weights[cell] |= {
                    "kernel": parts[0],
                    "recurrent": parts[1],
                    "bias": parts[2][0],
                }
        yield net.flatten(weights)


def ggt(net, given):
    """The directions of all weights."""
    size = min(optimizers.GGT_WINDOW, net.parameters())
    mean = outside = 0
    basis = None
    exact = [g.astype(np.float64) for g in given]
    for t, (g, elsewhere) in enumerate(zip(exact, adam(given), strict=True), 1):
        mean = 0.95 * mean + 0.05 * g
        if t % 50 == 0:
            window = exact[:t][::-1][:size]
            rows = [0.995 ** (age / 2) * row for age, row in enumerate(window)]
            values, basis = np.linalg.eigh(0.005 * sum(np.outer(r, r) for r in rows))
            largest = values > 1e-7 * values[-1]
            basis = basis[:, largest].T
            variance = values[largest] / (1 - 0.995**t)
        if basis is None:
            yield elsewhere
            continue
        variance = 0.99 * variance + 0.01 * (basis @ g) ** 2
        across, mean_across = (each - basis.T @ (basis @ each) for each in (g, mean))
        rest = max(len(g) - len(basis), 1)
        outside = 0.99 * outside + 0.01 * (across @ across) / rest
        scale = np.sqrt(max(outside / (1 - 0.99 ** (t - 49)), 1e-7 * variance.max()))
        yield basis.T @ (basis @ mean / np.sqrt(variance)) + mean_across / scale


@pytest.mark.parametrize(
    ("name", "rule", "window", "rank", "steps", "tolerance"),
    [
        ("muon", muon, None, None, 30, 1e-4),
        ("soap", soap, None, None, 45, 1e-2),
        # fewer gradients in its window than there are directions
        ("ggt", ggt, 30, None, 120, 5e-3),
        # as many as weights, of which some have no gradient
        ("ggt", ggt, 400, 20, 120, 5e-3),
    ],
)
def test_an_optimizer_is_its_rule(
    name, rule, window, rank, steps, tolerance, monkeypatch
):
    net = architecture()
    if name == "ggt":
        monkeypatch.setattr(optimizers, "GGT_WINDOW", window)
        net = architecture("irnn", layers=1)
        assert 30 < net.parameters() < 50
    given = gradients(net, steps, rank)
    units = {"units": U} if name == "muon" else {}
    found = directions(name, net, given, **units)
    for direction, expected in zip(found, rule(net, given), strict=True):
        np.testing.assert_allclose(direction, expected, atol=tolerance)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_zeros_move_nothing(name):
    net = architecture()
    zeros = [np.zeros(net.parameters(), np.float32)] * 60
    assert not np.any(directions(name, net, zeros, units=U))


@pytest.mark.parametrize("name", leave(NAMES))
def test_members_train_side_by_side_as_one_after_the_other(name):
    members = memcap.members(
        task="latch",
        lag=3,
        units=[2, 3],
        recipe="forget_bias",
        optimizer=name,
        budget=70,
        batch=8,
        seed=2,
        sequences=64,
        every=70,
        stretch=1,
    )
    together = Engine(loop="associative", workers=1, lanes=4)
    programs = {Groups(together).of(member) for member in members}
    assert len(programs) == (1 if name == "muon" else 2)
    in_turn = train(members, Engine(loop="while", workers=1))
    for one, other in zip(train(members, together), in_turn, strict=True):
        assert one.steps == other.steps == 70
        weights = [e.member.architecture.flatten(e.weights) for e in (one, other)]
        np.testing.assert_allclose(*weights, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["soap", "ggt"])
def test_side_by_side_a_basis_is_found_only_where_it_is_due(name):
    """A choice between two values would find both at every step."""
    net = architecture()
    optimizer = optimizers.NET_OPTIMIZERS[name](net)
    vectors = jnp.ones((3, net.parameters()))
    state = jax.vmap(optimizer.init)(vectors)
    jaxpr = jax.make_jaxpr(jax.vmap(optimizer.update))(vectors, state).jaxpr
    outside = {each.primitive.name for each in jaxpr.eqns}
    assert "cond" in outside
    assert "eigh" not in outside
    assert "eigh" in str(jaxpr)


@pytest.mark.parametrize(
    ("optimizer", "cell", "trained"),
    [
        ("muon", "LRU", "the recurrent weights of gates"),
        ("muon", "minGRU", "the recurrent weights of gates"),
        ("soap", "LRU", "the weights of gates"),
    ],
)
def test_cells_without_such_weights_are_refused_in_one_line(optimizer, cell, trained):
    recipe = "own_start" if cell == "LRU" else "hold"
    with pytest.raises(UserError) as caught:
        memcap.members(
            "latch", lag=3, cell=cell, units=2, recipe=recipe, optimizer=optimizer
        )
    assert str(caught.value).startswith(
        f"recipe.optimizer={optimizer}: trains {trained}, and those of model.cell={cell}"
    )
