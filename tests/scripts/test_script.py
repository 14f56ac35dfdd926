"""The parts of a script in NumPy equal the engine's; the scripts themselves train."""

import ast
import importlib.util
import math
import os
import re
import subprocess
import sys
from dataclasses import replace

import jax
import numpy as np
import optax
import pytest
from breadth import leave
from flax import nnx

from memcap import optimizers
from memcap.cells import cell_class
from memcap.config.knobs import UserError
from memcap.config.member import Member, task_of
from memcap.config.recipes import Recipe
from memcap.models.initializers import PRESETS
from memcap.models.network import Model
from memcap.optimizers import NET_OPTIMIZERS, scale_by_muon
from memcap.optimizers import OPTIMIZERS as DIRECTIONS
from memcap.rule import Evaluation
from memcap.scripts import FRAMEWORKS, script
from memcap.scripts.script import CLIPPINGS, LAYERS, OPTIMIZERS
from memcap.training import curriculum
from memcap.training.operands import train_operands
from memcap.training.step import Trainer, TrainSpec, learning_rate

MODULES = {"flax": {"jax", "optax", "flax"}, "keras": {"keras"}, "torch": {"torch"}}


def member(
    task="delay_line",
    lag=8,
    units=7,
    knobs=(),
    recipe="auto",
    cell="lstm",
    layers=1,
    **values,
):
    model = Model(cell, units, layers=layers)
    return Member(
        task_of(task, list(knobs)), lag, model=model, recipe=Recipe(recipe, **values)
    )


def up_to(task, lag, units, **recipe):
    """Right at every lag up to its own."""
    return replace(
        member(task, lag, units, **recipe), evaluation=Evaluation(until="up_to")
    )


def parts(text):
    """What a script defines without its framework: constants, functions in NumPy, and
    the curriculum."""
    names = {"np": np}
    for node in ast.parse(text).body:
        words = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        if isinstance(
            node, (ast.Assign, ast.FunctionDef, ast.ClassDef)
        ) and not words & {*("keras", "torch", "nn", "nnx", "jax", "jnp", "optax")}:
            exec(compile(ast.Module([node], []), "script", "exec"), names)
    return names


MEMBERS = [
    pytest.param(member(recipe="curriculum"), id="curriculum"),
    pytest.param(member("latch", 5, 1), id="last"),
    pytest.param(member("count", 20, 2, recipe="curriculum", budget=900), id="error"),
    pytest.param(member("vector_hold", 5, 9), id="several values"),
    pytest.param(
        member("copy", 9, 5, ["coding=number"], recipe="descent", init="keras"),
        id="numbers",
    ),
    pytest.param(member(recipe="open_gate", knobs=["reals=true"]), id="reals"),
    pytest.param(member("windows", 24, 1, ["window=10"]), id="windows"),
    pytest.param(member("data", 11, 4), id="data"),
    pytest.param(member("bandlimited_delay", 8, 9), id="bandlimited"),
    pytest.param(
        member("reber", 8, 4, optimizer="rmsprop", clip_by="element"), id="loop"
    ),
    pytest.param(member(recipe="curriculum_muon"), id="muon"),
    pytest.param(member(recipe="curriculum_muon", cell="GRUCell"), id="gru"),
    pytest.param(member(recipe="curriculum_ggt"), id="ggt"),
    pytest.param(member(recipe="curriculum", optimizer="soap", layers=2), id="soap"),
    pytest.param(
        member(recipe="curriculum", optimizer="soap", cell="GRUCell"),
        id="soap of a gru",
    ),
    pytest.param(
        member("windows", 24, 2, ["window=10"], cell="SimpleCell"), id="elman"
    ),
    pytest.param(
        member(recipe="curriculum_muon", cell="GRUCell", layers=2), id="layers"
    ),
    pytest.param(
        up_to("copy", 12, 4, recipe="uniform"), id="every lag, by a curriculum"
    ),
    pytest.param(
        up_to("adding", 12, 2, recipe="hold", lags="uniform"), id="every lag, of values"
    ),
]


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("each", MEMBERS)
def test_a_script_needs_its_framework_and_numpy_only(framework, each):
    text = script(each, framework)
    imports = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in (
            [node.module]
            if isinstance(node, ast.ImportFrom)
            else [alias.name for alias in node.names]
        )
    }
    assert imports == {"sys", "functools", "numpy"} | MODULES[framework]
    assert max(map(len, text.splitlines())) <= 115
    assert "$" not in text
    assert text.endswith(")\n")


@pytest.mark.parametrize("each", MEMBERS)
def test_batches_have_the_batch_first_and_what_is_due_at_every_step(each):
    names = parts(script(each, "keras"))
    task = each.task
    length = each.length
    steps = each.length + 3
    inputs, targets, due = names["draw"](
        np.random.default_rng(0), each.lag, length, steps, 4
    )
    values = task.loss == "values"
    assert (inputs.shape, inputs.dtype) == ((4, steps, task.features), np.float32)
    assert targets.shape == ((4, steps, task.outputs) if values else (4, steps))
    assert targets.dtype == (np.float32 if values else np.int64)
    assert (due.shape, due.dtype) == ((4, steps), bool)
    assert not due[:, length:].any()
    assert due.any(1).all()
    if task.answers == "last":
        assert due.sum() == 4
        assert due[:, length - 1].all()
    if task.vocabulary is not None:
        np.testing.assert_array_equal(inputs.sum(-1), 1)


@pytest.mark.parametrize(
    ("cell", "init"),
    [
        (cell, init)
        for cell in LAYERS
        for init in PRESETS
        if (cell, init) != ("SimpleCell", "chrono")
    ],
)  # of a forget gate that an Elman network lacks the engine draws all the same
def test_weights_start_as_the_engine_starts_them(cell, init):
    each = member("latch", 20, 6, recipe="hold", init=init, cell=cell)
    entropy = [3, 20, 6]
    arrays = parts(script(each, "torch"))["initial_weights"](
        np.random.default_rng(entropy), 7
    )
    wanted = cell_class(cell).arrays(each.architecture.init(each.init, entropy)["cell"])
    for ours, engines in zip(arrays, wanted, strict=True):
        np.testing.assert_allclose(ours, engines, rtol=1e-5, atol=1e-7)


@pytest.mark.breadth
@pytest.mark.parametrize("framework", ["keras", "torch"])
@pytest.mark.parametrize("cell", ["GRUCell", "SimpleCell"])
def test_a_layer_of_a_script_steps_as_memcap_s_cell(cell, framework, monkeypatch):
    """At its start, where each gate has another bias."""
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip(framework)
    each = member("latch", 4, 3, recipe="hold", init="half_open", cell=cell)
    names = {"__name__": "script"}
    exec(script(each, framework), names)
    kernel, recurrent, bias = names["initial_weights"](
        np.random.default_rng(0), each.task.features
    )
    inputs = (
        np.random.default_rng(1)
        .standard_normal((2, 5, each.task.features))
        .astype(np.float32)
    )
    if framework == "keras":
        net = names["build"](np.random.default_rng(0))
        outputs = np.asarray(net(inputs))
        readout, shift = (np.asarray(weight.value) for weight in net.layers[-1].weights)
        if cell == "GRUCell":  # gates z, r, n
            bias = bias[0]
            kernel, recurrent, bias = (
                np.concatenate([np.split(array, 3, -1)[k] for k in (1, 0, 2)], -1)
                for array in (kernel, recurrent, bias)
            )
    else:
        net = names["Net"](np.random.default_rng(0))
        outputs = net(names["torch"].from_numpy(inputs)).detach().numpy()
        readout, shift = (each.detach().numpy().T for each in net.readout.parameters())
    ours = cell_class(cell)(each.task.features, 3, rngs=nnx.Rngs(0))
    ours.dense_i.kernel[...], ours.dense_h.kernel[...], ours.dense_i.bias[...] = (
        kernel,
        recurrent,
        bias,
    )
    hidden = nnx.RNN(ours)(inputs)
    np.testing.assert_allclose(outputs, hidden @ readout + shift, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("framework", leave(FRAMEWORKS))
def test_layers_of_a_script_are_those_of_memcap(framework, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    each = member("latch", 4, 3, recipe="hold", layers=2)
    names = {"__name__": "script"}
    exec(script(each, framework), names)
    weights = each.architecture.init(each.init, [0])
    widths = []
    layers = [cell_class("lstm").arrays(weights[name]) for name in ("cell", "cell_2")]
    names["initial_weights"] = lambda rng, features: (
        widths.append(features) or layers[len(widths) - 1]
    )
    inputs = (
        np.random.default_rng(1)
        .standard_normal((2, 5, each.task.features))
        .astype(np.float32)
    )
    if framework == "torch":
        net = names["Net"](None)
        outputs = net(names["torch"].from_numpy(inputs)).detach().numpy()
        readout = [each.detach().numpy().T for each in net.readout.parameters()]
    else:
        net = (
            names["build"](None)
            if framework == "keras"
            else names["Net"](None, nnx.Rngs(0))
        )
        outputs = net(inputs)
        top = net.layers[-1] if framework == "keras" else net.readout
        readout = [np.asarray(part) for part in (top.kernel, top.bias)]
    weights["readout"] = dict(zip(("kernel", "bias"), readout, strict=True))
    assert widths == [each.task.features, 3]
    ours = each.architecture.build(weights)(inputs.swapaxes(0, 1))
    np.testing.assert_allclose(outputs, ours.transpose(2, 1, 0), rtol=1e-4, atol=1e-5)


def trainer(each):
    return Trainer(TrainSpec.of(each), each.length, each.length)


@pytest.mark.parametrize(
    ("recipe", "values"),
    [
        ("forget_bias", {}),
        ("hold", {}),
        ("open_gate", {}),
        ("forget_bias", {"floor": 0.1, "warmup_share": 0.1}),
    ],
)
def test_the_rate_is_the_engine_s(recipe, values):
    each = member(recipe=recipe, **values)
    names = parts(script(each, "keras"))
    operands = train_operands(trainer(each), each)
    for step in (0, 1, 20, 49, 700, each.recipe.budget - 1):
        wanted = float(
            learning_rate(operands, np.int32(step), each.recipe.floor or 0.0)
        )
        assert names["learning_rate"](step) == pytest.approx(wanted, rel=1e-4, abs=1e-9)


@pytest.mark.parametrize(
    ("task", "lag", "values"),
    [
        ("delay_line", 20, {}),
        ("delay_line", 20, {"schedule": "cosine", "falls_above": 8, "warmup": 0}),
        ("count", 24, {"curriculum": 0.3}),
    ],
)
def test_the_curriculum_is_the_engine_s(task, lag, values):
    each = member(task, lag, recipe="curriculum", budget=400, **values)
    operands = train_operands(trainer(each), each)
    plan = operands.curriculum
    state = curriculum.initial_state(operands.curriculum, lag)
    names = parts(script(each, "keras"))
    ours = names["Curriculum"]()
    rng = np.random.default_rng(0)
    advance = jax.jit(
        lambda state, step, score: curriculum.update(state, plan, lag, step, score)
    )
    scale = jax.jit(
        lambda state, step: curriculum.lr_scale(state, plan, step, each.recipe.budget)
    )
    lags = set()
    for step in range(400):
        wanted = float(
            learning_rate(operands, np.int32(step)) * scale(state, np.int32(step))
        )
        assert ours.rate(step) == pytest.approx(wanted, rel=1e-3, abs=1e-7)
        score = (
            rng.uniform(0.9, 1)
            if task == "delay_line"
            else each.facts.threshold * rng.uniform(0, 10)
        )
        state = advance(state, np.int32(step + 1), np.float32(score))
        ours.update(step + 1, score)
        assert ours.lag == int(state.lag)
        assert names["length_of"](ours.lag) == int(plan.lengths[ours.lag])
        lags.add(ours.lag)
    assert lags == {*range(math.ceil(each.recipe.curriculum * lag), lag + 1)}


def test_scores_count_what_is_due():
    names = parts(script(member(), "torch"))
    outputs = np.array([[[0, 1], [0, 1], [1, 0]]])
    targets = np.array([[1, 0, 1]])
    due = np.array([[True, True, False]])
    assert names["score_of"](outputs, targets, due) == 0.5
    names = parts(script(member("vector_hold", 5, 9), "torch"))
    assert (
        names["score_of"](
            np.ones((2, 3, 4)), np.zeros((2, 3, 4)), np.ones((2, 3), bool)
        )
        == 1
    )


@pytest.mark.parametrize("right", [True, False])
@pytest.mark.parametrize("each", [MEMBERS[0], MEMBERS[1]])
def test_the_verdict(each, right, capsys):
    names = parts(script(each, "torch"))
    answers = {}

    def train_step(inputs, targets, due, rate):
        return 1.0

    def draw(rng, lag, length, steps, batch, original=names["draw"]):
        inputs, targets, due = answers["last"] = original(
            rng, lag, length, steps, batch
        )
        return inputs, targets, due

    def predict(inputs):
        targets = answers["last"][1]
        return np.eye(names["OUTPUTS"])[targets if right else 1 - targets]

    names["draw"] = draw
    verdict = names["train"](train_step, predict, np.random.default_rng(0))
    until = each.evaluation.until.upper()
    assert verdict.startswith(until if right else f"NOT {until}")
    assert "fresh sequences" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("where", "wrong", "right"),
    [([7], 0, True), ([7], 7, True), ([7], 8, False), (range(1, 12), 5, False)],
)
def test_the_verdict_at_every_lag(where, wrong, right, capsys):
    """Of 256 sequences of some lags so many are answered wrongly: of one lag up to 7
    may be chance, of all shorter ones 5 are too many, as their mean counts."""
    each = up_to("latch", 12, 1, recipe="hold", lags="uniform", budget=200)
    names = parts(script(each, "torch"))
    lags = set()
    answers = {}

    def train_step(inputs, targets, due, rate):
        lags.add(int(due[0].argmax()) - 1)

    def draw(rng, lag, length, steps, batch, original=names["draw"]):
        answers["last"] = lag, *original(rng, lag, length, steps, batch)
        return answers["last"][1:]

    def predict(inputs):
        lag, _, targets, _ = answers["last"]
        said = targets.copy()
        if lag in where:
            said[:wrong] = 1 - said[:wrong]
        return np.eye(2)[said]

    names["draw"] = draw
    verdict = names["train"](train_step, predict, np.random.default_rng(0))
    assert names["LAGS"] == [lag for lag, _ in each.lags_up_to]
    assert lags == {*range(1, 13)}
    assert verdict.startswith(
        "RIGHT AT EVERY LAG UP TO 12 after 200 steps" if right else "NOT RIGHT AT EVERY"
    )
    assert ("at worst 1.0000" in capsys.readouterr().out) == (wrong == 0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_an_optimizer_of_a_script_steps_as_the_engine_s(name):
    """Three gradients, some of them small, and a weight that has none; at a rate of .5."""
    _, in_torch, in_flax = OPTIMIZERS[name]
    gradients = np.float32([[1.0, -2.0, 0.0], [1e-3, 0.5, 0.0], [-3.0, 1e-4, 0.0]])

    def after(optimizer):
        weights = np.zeros(3, np.float32)
        state = optimizer.init(np.zeros(3, np.float32))
        for gradient in gradients:
            direction, state = optimizer.update(gradient, state)
            weights = weights - 0.5 * np.asarray(direction)
        return weights

    weights = after(DIRECTIONS[name]())
    np.testing.assert_array_equal(
        after(eval(f"optax.{in_flax}", {"optax": optax})), weights
    )
    torch = pytest.importorskip("torch")
    trained = [torch.zeros(3, requires_grad=True)]
    optimizer = eval(f"torch.optim.{in_torch}", {"torch": torch, "trained": trained})
    optimizer.param_groups[0]["lr"] = 0.5
    for gradient in gradients:
        trained[0].grad = torch.from_numpy(gradient)
        optimizer.step()
    np.testing.assert_allclose(
        trained[0].detach().numpy(), weights, rtol=1e-5, atol=1e-7
    )


def turned_by_flax(names, starts, gradients):
    """Weights after steps by a script's optimizer at a rate of .5: kernel, recurrent weights."""
    weights = {"dense_i": {"kernel": starts[0]}, "dense_h": {"kernel": starts[1]}}
    state = names["DIRECTION"].init(weights)
    for kernel, recurrent in gradients:
        tree = {"dense_i": {"kernel": kernel}, "dense_h": {"kernel": recurrent}}
        direction, state = names["DIRECTION"].update(tree, state)
        weights = jax.tree.map(
            lambda value, turn: value - 0.5 * turn, weights, direction
        )
    return weights["dense_i"]["kernel"], weights["dense_h"]["kernel"]


def turned_by_keras(names, starts, gradients):
    variable = names["keras"].Variable
    weights = [
        variable(starts[0], name="kernel"),
        variable(starts[1], name="recurrent_kernel"),
    ]
    optimizer = names["Muon"](epsilon=1e-8, learning_rate=0.5)
    for gradient in gradients:
        optimizer.apply(gradient, weights)
    return [np.asarray(weight.value) for weight in weights]


def turned_by_torch(names, starts, gradients):
    torch = names["torch"]
    weights = [torch.zeros(start.T.shape, requires_grad=True) for start in starts]
    optimizer = names["Muon"](weights[1:], weights[:1])
    optimizer.param_groups[0]["lr"] = 0.5
    for gradient in gradients:
        for weight, own in zip(weights, gradient, strict=True):
            weight.grad = torch.from_numpy(np.array(own.T))
        optimizer.step()
    return [weight.detach().numpy().T for weight in weights]


@pytest.mark.parametrize(
    "turned", [turned_by_flax, *leave([turned_by_keras, turned_by_torch])]
)
def test_muon_of_a_script_steps_as_the_engine_s(turned, monkeypatch):
    """Three gradients of random numbers."""
    framework = turned.__name__.rpartition("_")[2]
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip(framework)
    each = member(units=3, recipe="curriculum_muon")
    names = {"__name__": "script"}
    exec(script(each, framework), names)

    def blocks(vector):
        weights = each.architecture.unflatten(vector)["cell"]
        return [np.asarray(weights[name]) for name in ("kernel", "recurrent")]

    weights = np.zeros_like(
        each.architecture.flatten(each.architecture.init(each.init, [0]))
    )
    gradients = (
        np.random.default_rng(0).standard_normal((3, weights.size)).astype(np.float32)
    )
    starts = blocks(weights)
    optimizer = scale_by_muon(each.architecture)
    state = optimizer.init(weights)
    for gradient in gradients:
        direction, state = optimizer.update(gradient, state)
        weights = weights - 0.5 * np.asarray(direction)
    for ours, own in zip(
        blocks(weights), turned(names, starts, map(blocks, gradients)), strict=True
    ):
        np.testing.assert_allclose(own, ours, rtol=1e-4, atol=1e-5)


def weights_by_flax(names, optimizer, gradients):
    """Weights after steps by a script's optimizer at a rate of .5, as arrays in memcap's order."""
    weights = [np.zeros_like(each) for each in gradients[0]]
    state = names["DIRECTION"].init(weights)
    for gradient in gradients:
        direction, state = names["DIRECTION"].update(gradient, state)
        weights = jax.tree.map(
            lambda value, turn: value - 0.5 * turn, weights, direction
        )
    return weights


def weights_by_keras(names, optimizer, gradients):
    names["CLIP"] = 1e9
    weights = [names["keras"].Variable(np.zeros_like(each)) for each in gradients[0]]
    optimizer = names[optimizer](learning_rate=0.5)
    optimizer.build(weights)
    for gradient in gradients:
        optimizer.apply(gradient, weights)
    return [weight.value for weight in weights]


def weights_by_torch(names, optimizer, gradients):
    torch = names["torch"]
    weights = [torch.zeros(each.T.shape, requires_grad=True) for each in gradients[0]]
    optimizer = names[optimizer](weights)
    optimizer.param_groups[0]["lr"] = 0.5
    for gradient in gradients:
        for weight, own in zip(weights, gradient, strict=True):
            weight.grad = torch.from_numpy(own.T.copy())
        optimizer.step()
    return [weight.detach().numpy().T for weight in weights]


@pytest.mark.parametrize(
    "steps", leave([weights_by_flax, weights_by_keras, weights_by_torch])
)
@pytest.mark.parametrize("name", ["ggt", "soap"])
def test_an_optimizer_of_whole_nets_steps_as_the_engine_s(name, steps, monkeypatch):
    """Twelve gradients of random numbers, with a new basis after every fifth, for two layers and a
    read-out."""
    framework = steps.__name__.rpartition("_")[2]
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    pytest.importorskip(framework)
    monkeypatch.setattr(optimizers, f"{name.upper()}_EVERY", 5)
    each = member(units=3, layers=2, optimizer=name, recipe="curriculum")
    names = {"__name__": "script"}
    exec(script(each, framework), names)

    def arrays(vector):
        weights = each.architecture.unflatten(vector)
        layers = [
            cell_class("lstm").arrays(weights[layer]) for layer in ("cell", "cell_2")
        ]
        readout = [weights["readout"][part] for part in ("kernel", "bias")]
        return [np.asarray(part) for part in (*layers[0], *layers[1], *readout)]

    weights = np.zeros_like(
        each.architecture.flatten(each.architecture.init(each.init, [0]))
    )
    gradients = (
        np.random.default_rng(0).standard_normal((12, weights.size)).astype(np.float32)
    )
    optimizer = NET_OPTIMIZERS[name](each.architecture)
    state = optimizer.init(weights)
    for gradient in gradients:
        direction, state = optimizer.update(gradient, state)
        weights = weights - 0.5 * np.asarray(direction)
    own = steps(names, name.upper(), [arrays(gradient) for gradient in gradients])
    for engine_s, script_s in zip(arrays(weights), own, strict=True):
        np.testing.assert_allclose(script_s, engine_s, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("name", CLIPPINGS)
def test_a_gradient_of_a_script_is_clipped_as_the_engine_s(name):
    """At 1, of two arrays, one of whose numbers alone is larger; by the argument that
    Keras has for it."""
    in_keras, in_torch, in_flax = CLIPPINGS[name]
    gradients = [np.float32([0.5, -2.0]), np.float32([[0.25]])]
    long = np.sqrt(sum(np.sum(each**2) for each in gradients))
    of_numpy = [
        np.clip(each, -1, 1) if name == "element" else each / long for each in gradients
    ]

    def check(clipped):
        for each, other in zip(clipped, of_numpy, strict=True):
            np.testing.assert_allclose(np.asarray(each), other, rtol=1e-6)

    optimizer = getattr(optax, in_flax)(1.0)
    check(optimizer.update(gradients, optimizer.init(gradients))[0])
    if importlib.util.find_spec("torch") is not None:
        import torch

        weights = [torch.nn.Parameter(torch.zeros(each.shape)) for each in gradients]
        for weight, gradient in zip(weights, gradients, strict=True):
            weight.grad = torch.from_numpy(gradient.copy())
        getattr(torch.nn.utils, in_torch)(weights, 1.0)
        check([weight.grad for weight in weights])
    text = script(member("reber", 8, 4, clip_by=name), "keras")
    assert f"keras.optimizers.Adam(epsilon=1e-8, {in_keras}=CLIP)" in text


@pytest.mark.parametrize("name", ["hold", "curriculum"])
def test_a_rate_that_falls_with_the_width_is_that_of_the_width(name):
    text = script(member("latch", 8, 32, recipe=name, lr_width=0.5), "keras")
    rate = member("latch", 8, 32, recipe=name).recipe.lr / 2
    assert re.search(
        rf"^BATCH, BUDGET, RATE, CLIP = .*, {rate:g}, ", text, re.MULTILINE
    )


def test_refusals():
    with pytest.raises(
        UserError, match="code=jax: no such framework; one of flax, keras, torch"
    ):
        script(member(), "jax")
    with pytest.raises(
        UserError,
        match="scripts are for the cells lstm, GRUCell, SimpleCell, not for linear",
    ):
        script(member("latch", cell="linear"), "torch")
    with pytest.raises(
        UserError, match=r"a script starts as memcap does; set recipe\.init=forget_bias"
    ):
        script(member("latch", cell="GRUCell", recipe="hold", init="flax"), "torch")
    learned = Member(
        task_of("latch", []), 8, model=Model("lstm", 2, initial_carry="learned")
    )
    with pytest.raises(
        UserError, match=r"model\.initial_carry=learned: a script starts from zeros"
    ):
        script(learned, "torch")
    with pytest.raises(
        UserError, match="a script with windows has sequences of one length"
    ):
        script(up_to("windows", 12, 2, recipe="uniform"), "torch")
    with pytest.raises(
        UserError,
        match=r"recipe\.optimizer=adamw: no script .* memcap export KEY --layout",
    ):
        script(
            member("parity", 8, 2, recipe="forget_bias", optimizer="adamw", decay=0.1),
            "torch",
        )
    with pytest.raises(
        UserError, match=r"recipe\.freeze=cell: a script trains all weights"
    ):
        script(member("parity", 8, 2, recipe="forget_bias", freeze="cell"), "keras")
    with pytest.raises(UserError, match="the task's own length"):
        script(Member(task_of("latch", []), 8, 20, model=Model("lstm", 2)), "torch")
    with pytest.raises(
        UserError, match="sequences of one length; give it a recipe of one lag"
    ):
        script(member("windows", 24, 1, recipe="curriculum"), "torch")


@pytest.mark.parametrize("carry", ["keep", "reset"])
@pytest.mark.parametrize("framework", leave(FRAMEWORKS))
def test_no_gradient_passes_from_window_to_window(framework, carry, monkeypatch):
    """From the last of three windows; what the carry brings does where it is kept."""
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    names = {"__name__": "script"}
    exec(
        script(
            member("windows", 24, 3, ["window=10", f"carry={carry}"], layers=2),
            framework,
        ),
        names,
    )
    assert names["WINDOW"] == 10
    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((4, 25, 2)).astype(np.float32)
    changed = np.where(np.arange(25)[:, None] < 20, -inputs, inputs)
    if framework == "torch":
        torch = names["torch"]
        net = names["Net"](rng)
        array = torch.from_numpy(inputs).requires_grad_()
        (gradient,) = torch.autograd.grad(net(array)[:, -1].sum(), array)
        last, other = (
            net(torch.from_numpy(each))[:, -1].detach() for each in (inputs, changed)
        )
    else:
        net = (
            names["build"](rng)
            if framework == "keras"
            else names["Net"](rng, nnx.Rngs(0))
        )
        grad = (
            jax.grad if framework == "keras" else nnx.grad
        )  # Flax counts what it draws for the carry
        gradient = grad(lambda array, net: net(array)[:, -1].sum())(inputs, net)
        last, other = (net(each)[:, -1] for each in (inputs, changed))
    gradient = np.asarray(gradient)
    assert not gradient[:, :20].any()
    assert gradient[:, 20:].any(axis=(0, 2)).all()
    assert np.allclose(last, other) == (carry == "reset")


def run(text, framework, folder):
    """A script's last line, run by itself."""
    if importlib.util.find_spec(framework) is None:
        pytest.skip(f"{framework} is not installed")
    path = folder / "train_net.py"
    path.write_text(text, encoding="utf-8")
    threads = {"OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu", "KERAS_BACKEND": "jax"}
    done = subprocess.run(
        [sys.executable, path, "1"],
        cwd=folder,
        env=os.environ | threads,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()[-1]


@pytest.mark.parametrize("framework", leave(FRAMEWORKS, but="flax".__eq__))
def test_a_script_trains_a_delay_line_by_a_curriculum(framework, tmp_path):
    each = member(lag=4, units=6, layers=2, recipe="curriculum")
    assert run(script(each, framework), framework, tmp_path).startswith("STEADY after")
    assert len(list(tmp_path.glob("delay_line_4.*"))) == 1


SORTED = """
from dataclasses import dataclass
import jax
import jax.numpy as jnp
from memcap import Batch
from memcap.tasks.latch import Latch

@dataclass(frozen=True)
class Sorted(Latch):
    def sample(self, key, lag, length, steps, batch):
        inputs = jax.lax.sort(jax.random.randint(key, (steps, batch), 0, self.vocabulary), dimension=1)
        return Batch(inputs, inputs[0] % self.symbols)
"""  # noqa: E501


@pytest.mark.breadth
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_script_of_a_task_without_a_twin_draws_by_memcap(
    framework, tmp_path, own_module
):
    (tmp_path / "my_module.py").write_text(SORTED)
    text = script(
        member("my_module:Sorted", 3, 2, ["symbols=3"], recipe="hold", budget=60),
        framework,
    )
    top = " ".join(ast.get_docstring(ast.parse(text)).split())
    assert (
        "Its sequences are drawn by memcap (pip install memcap), since it uses jax.lax.sort."
        in top
    )
    assert (text.count("import memcap\n"), text.count("import jax\n")) == (1, 1)
    assert 'memcap.tasks.task_class("my_module:Sorted")(symbols=3' in text.replace(
        "'", '"'
    )
    for large, small in ((" = 1024, ", " = 64, "), (" = 2048, ", " = 64, ")):
        text = text.replace(large, small)
    if framework == "flax":  # what draws is the same in each
        assert run(text, framework, tmp_path).startswith(("SOLVED after", "NOT SOLVED"))


@pytest.mark.slow
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_a_script_trains_on_an_error(framework, tmp_path):
    each = member("adding", 8, 2, batch=16)
    text = script(each, framework).replace(
        "SEQUENCES, EVERY, SUCCESSIVE = 2048", "SEQUENCES, EVERY, SUCCESSIVE = 64"
    )
    text = text.replace(", 1500, ", ", 100, ")
    assert run(text, framework, tmp_path).startswith(("SOLVED after", "NOT SOLVED"))


def test_a_script_of_own_sequences_scores_each_held_out_one_once(tmp_path):
    file = {
        "inputs": np.random.default_rng(0).normal(size=(10, 5, 1)),
        "targets": np.arange(10) % 2,
    }
    np.savez(tmp_path / "ten.npz", **file)
    each = member(
        "data", 4, 2, [f"file={tmp_path / 'ten.npz'}", "held_out=0.3", "criterion=0.9"]
    )
    names = parts(text := script(each, "torch"))
    inputs, _, _ = names["draw"](
        np.random.default_rng(0), 4, 5, 5, names["SEQUENCES"], names["unseen"]
    )
    np.testing.assert_allclose(
        np.sort(inputs[:, 0]), np.sort(file["inputs"][each.task.parts[2], 0]), rtol=1e-6
    )
    assert "# on held-out ones" in text


def test_a_file_of_two_steps_has_a_script(tmp_path):
    inputs = np.random.default_rng(0).integers(0, 3, (64, 2))
    np.savez(tmp_path / "short.npz", inputs=inputs, targets=inputs[:, 0])
    assert "import memcap" not in script(
        member("data", 1, 2, [f"file={tmp_path / 'short.npz'}"]), "torch"
    )
