"""Muon, SOAP and GGT against their rules in NumPy, and one after the other as side by side."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from breadth import leave

import memcap
from memcap import optimizers
from memcap.config.knobs import UserError
from memcap.config.member import Engine
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.training.engine import train
from memcap.training.program import Groups
from memcap.training.step import TrainSpec

pytestmark = pytest.mark.usefixtures("quick_file")

F = 3
U = 4
OUT = 2
UNITS = {"units": U}
NAMES = [*optimizers.NET_OPTIMIZERS]


def architecture(cell="lstm", layers=2, units=U):
    return Architecture(Model(cell, units, layers=layers), F, OUT)


def gradients(net, steps, rank=None):
    """Of changing size, along some directions more than along others; of a rank, along
    so many alone."""
    rng = np.random.default_rng(0)
    size = net.parameters()
    mixed = np.linalg.qr(rng.normal(size=(size, size)))[0] * np.exp(
        0.2 * rng.normal(size=size)
    )
    mixed = mixed[:, :rank]
    return [
        (mixed @ rng.normal(size=mixed.shape[1]) / (10 + t)).astype(np.float32)
        for t in range(steps)
    ]


def directions(name, net, given, **values):
    optimizer = optax.with_extra_args_support(optimizers.NET_OPTIMIZERS[name](net))
    update = jax.jit(optimizer.update)
    state = optimizer.init(jnp.zeros_like(given[0]))
    found = []
    for gradient in given:
        direction, state = update(gradient, state, **values)
        found.append(np.asarray(direction))
    return found


def adam(given):
    m = v = 0
    for t, g in enumerate(given, 1):
        m = 0.9 * m + 0.1 * g
        v = 0.999 * v + 0.001 * g**2
        yield m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


def by_layer(net, vector):
    """Kernel, recurrent weights and bias of each layer of memcap's LSTM."""
    weights = net.unflatten(vector)
    return [
        [weights[name][part] for part in ("kernel", "recurrent", "bias")]
        for name in ("cell", "cell_2")
    ]


def test_a_block_is_brought_to_the_orthogonal_matrix_next_to_it():
    """Of it the iteration moves the singular values alone; those that were small stay behind."""
    rng = np.random.default_rng(0)
    blocks = rng.normal(size=(5, 6, 6)).astype(np.float32)
    left, values, right = np.linalg.svd(blocks.astype(np.float64))
    values /= np.sqrt((values**2).sum(-1, keepdims=True))
    for a, b, c in optimizers.COEFFICIENTS:
        values = a * values + b * values**3 + c * values**5
    found = optimizers.orthogonal(blocks)
    np.testing.assert_allclose(found, left * values[:, None] @ right, atol=1e-5)
    np.testing.assert_allclose(values, 1, atol=0.1)
    zeros = jnp.zeros((1, 3, 3))
    assert not optimizers.orthogonal(zeros).any()


def test_muon_is_its_rule():
    net = architecture()
    given = gradients(net, 30)
    momentum = np.zeros((2, U, 4, U))
    for direction, gradient, elsewhere in zip(
        directions("muon", net, given, **UNITS), given, adam(given), strict=True
    ):
        ours = by_layer(net, direction)
        theirs = by_layer(net, elsewhere)
        layers = np.stack(
            [recurrent.reshape(U, 4, U) for _, recurrent, _ in by_layer(net, gradient)]
        )
        momentum = 0.95 * momentum + 0.05 * layers
        ahead = (0.95 * momentum + 0.05 * layers).swapaxes(1, 2).astype(np.float32)
        turned = 0.3 * np.sqrt(U) * np.array(jax.vmap(optimizers.orthogonal)(ahead))
        for layer in (0, 1):
            np.testing.assert_allclose(
                ours[layer][1].reshape(U, 4, U).swapaxes(0, 1), turned[layer], atol=1e-4
            )
            for part in (0, 2):
                np.testing.assert_allclose(
                    ours[layer][part], theirs[layer][part], atol=1e-4
                )
        readouts = [net.unflatten(each)["readout"] for each in (direction, elsewhere)]
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), *readouts
        )
    step = np.sqrt(np.mean(turned**2))
    assert step == pytest.approx(0.3, abs=0.03)


def soap(given):
    """The directions of one matrix."""
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


def test_soap_is_its_rule():
    net = architecture()
    given = gradients(net, 45)

    def matrices(vector):
        return [np.vstack(layer).astype(np.float64) for layer in by_layer(net, vector)]

    rules = [soap([matrices(g)[layer] for g in given]) for layer in (0, 1)]
    found = directions("soap", net, given)
    for direction, elsewhere, *wanted in zip(found, adam(given), *rules, strict=True):
        for ours, axes, rule in zip(
            matrices(direction), matrices(elsewhere), wanted, strict=True
        ):
            np.testing.assert_allclose(ours, axes if rule is None else rule, atol=1e-2)
        readouts = [net.unflatten(each)["readout"] for each in (direction, elsewhere)]
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, atol=1e-4), *readouts
        )


def ggt(given, size):
    """The directions of the vector, with a window of this size."""
    mean = 0
    basis = None
    variance = None
    outside = 0
    for t, g in enumerate(given, 1):
        mean = 0.95 * mean + 0.05 * g
        if t % 50 == 0:
            rows = [
                0.995 ** (age / 2) * each
                for age, each in enumerate(given[:t][::-1][:size])
            ]
            values, basis = np.linalg.eigh(
                0.005 * sum(np.outer(each, each) for each in rows)
            )
            largest = values > 1e-7 * values[-1]
            basis = basis[:, largest].T
            variance = values[largest] / (1 - 0.995**t)
        if basis is None:
            yield None
            continue
        variance = 0.99 * variance + 0.01 * (basis @ g) ** 2
        across, mean_across = (each - basis.T @ (basis @ each) for each in (g, mean))
        outside = 0.99 * outside + 0.01 * (across @ across) / max(
            len(g) - len(basis), 1
        )
        scale = np.sqrt(max(outside / (1 - 0.99 ** (t - 49)), 1e-7 * variance.max()))
        yield basis.T @ (basis @ mean / np.sqrt(variance)) + mean_across / scale


@pytest.mark.parametrize(("size", "rank"), [(30, None), (400, 20)])
def test_ggt_is_its_rule(size, rank, monkeypatch):
    """With fewer gradients in its window than there are directions, and with as many as
    weights, of which some have no gradient."""
    monkeypatch.setattr(optimizers, "GGT_WINDOW", size)
    net = architecture("irnn", layers=1)
    given = gradients(net, 120, rank)
    assert 30 < net.parameters() < 50
    exact = [g.astype(np.float64) for g in given]
    found = directions("ggt", net, given)
    for ours, axes, rule in zip(
        found, adam(given), ggt(exact, min(size, net.parameters())), strict=True
    ):
        np.testing.assert_allclose(ours, axes if rule is None else rule, atol=5e-3)


@pytest.mark.parametrize("name", NAMES)
def test_gradients_of_zeros_move_nothing(name):
    net = architecture()
    zeros = [np.zeros(net.parameters(), np.float32)] * 60
    assert not np.any(directions(name, net, zeros, **UNITS))


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
    assert {Groups(together).of(m).spec.can_pad for m in members} == {name == "muon"}
    assert len({Groups(together).of(m) for m in members}) == (
        1 if name == "muon" else 2
    )
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


def test_a_program_of_muon_pads_and_those_with_a_basis_do_not():
    (member,) = memcap.members(task="latch", lag=3, units=3, recipe="hold", seed=1)
    spec = TrainSpec.of(member)

    def can_pad(name):
        return replace(spec, recipe=replace(spec.recipe, optimizer=name)).can_pad

    able = {name: can_pad(name) for name in ("adam", *NAMES)}
    assert able == {"adam": True, "muon": True, "soap": False, "ggt": False}


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
