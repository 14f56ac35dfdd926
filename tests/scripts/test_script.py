"""A script's net, start, rate, curriculum, optimizer and verdict are the engine's; and it
trains by itself."""

import ast
import os
import re
import subprocess
import sys
from functools import partial
from pathlib import Path

import jax
import numpy as np
import optax
import pytest
from breadth import leave
from script_nets import NETS, run

from memcap import optimizers
from memcap.cells import cell_class
from memcap.config.member import Member, task_of
from memcap.config.recipes import Recipe
from memcap.knobs import UserError, acting_on
from memcap.models.model import Model, cell_names
from memcap.optimizers import NET_OPTIMIZERS, OPTIMIZERS as DIRECTIONS
from memcap.rule import Evaluation
from memcap.scripts import FRAMEWORKS, definition, script
from memcap.scripts.script import SERVES
from memcap.scripts.sequences import sequences
from memcap.training import curriculum
from memcap.training.host import train_operands
from memcap.training.step import Trainer, TrainSpec

MODULES = {
    "flax": {"jax", "optax", "flax"},
    "keras": {"keras", "os", "importlib"},
    "torch": {"torch"},
}
HALF_WRITTEN = re.compile(r"\$|#\w")
RNG = np.random.default_rng(0)


@pytest.fixture(autouse=True)
def keras_by_jax(monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "jax")


def member(
    task="delay_line",
    lag=8,
    units=3,
    knobs=(),
    recipe="auto",
    until=None,
    cell="lstm",
    layers=1,
    **values,
):
    return Member(
        task_of(task, list(knobs)),
        lag,
        model=Model(cell, units, layers=layers),
        recipe=Recipe(recipe, **values),
        evaluation=Evaluation(until=until),
    )


MEMBERS = {
    "curriculum": member(recipe="curriculum"),
    "last": member("latch", 5, 1),
    "error": member("count", 20, 2, recipe="curriculum", budget=900),
    "reals": member(recipe="open_gate", knobs=["reals=true"]),
    "windows": member("windows", 24, 1, ["window=10"]),
    "reset": member("windows", 24, 1, ["window=10", "carry=reset"], cell="GRUCell"),
    "own": member("data", 11, 4),
    "rmsprop": member("reber", 8, 4, optimizer="rmsprop"),
    "sgd": member("latch", 5, 1, optimizer="sgd", schedule="cosine"),
    "muon": member(recipe="curriculum_muon", cell="GRUCell"),
    "ggt": member(recipe="curriculum_ggt"),
    "soap": member(recipe="curriculum", optimizer="soap", layers=2),
    "elman": member("latch", 5, 2, recipe="hold", init="keras", cell="SimpleCell"),
    "up to": member("copy", 12, 4, recipe="uniform", until="up_to"),
    "anywhere": member("copy", 12, 4, recipe="anywhere", until="anywhere"),
    "values up to": member(
        "adding", 12, 2, recipe="hold", lags="uniform", until="up_to"
    ),
}


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", MEMBERS)
def test_a_script_needs_its_framework_and_numpy_only(framework, name):
    text = script(MEMBERS[name], framework)
    imports = {
        name.partition(".")[0]
        for node in ast.walk(ast.parse(text))
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in [getattr(node, "module", None) or node.names[0].name]
    }
    assert imports == {"sys", "pathlib", "numpy"} | MODULES[framework]
    assert max(map(len, text.splitlines())) <= 115
    assert not HALF_WRITTEN.search(text)
    lines = text.splitlines()
    layer = next(k for k, line in enumerate(lines) if line.startswith("    return"))
    assert layer < lines.index("def batches():")
    assert layer < 25 - 1  # a heading of memcap answer has a line more


# Other values than those of `LATCH`, of each knob that a script serves
LATCH = {"task": "latch", "recipe": "curriculum", "init": "forget_bias"}
OTHER = {
    "init": {"init": "chrono"},
    "forget_bias": {"forget_bias": 3.0},
    "lr": {"lr": 0.5},
    "schedule": {"schedule": "cosine"},
    "warmup": {"warmup": 7},
    "batch": {"batch": 7},
    "clip": {"clip": 7.0},
    "budget": {"budget": 777},
    "falls_above": {"falls_above": 7},
    "lr_width": {"lr_width": 0.5},
    "curriculum": {"curriculum": 0.77},
    "advance": {"advance": 0.77},
    "deadline": {"deadline": 0.77},
    "optimizer": {"optimizer": "sgd"},
    "decay": {"optimizer": "adamw", "decay": 0.7},
    "lags": {"lags": "uniform"},
    "before": {"lags": "uniform", "before": "drawn"},
}


@pytest.mark.parametrize("knob", acting_on(Recipe, *set(SERVES) - {"label"}))
def test_a_script_has_every_knob_that_it_serves(knob):
    """In its text or its sequences; or refuses it. A value that it ignores would train
    another net."""

    *needed, _ = OTHER[knob].items()
    try:
        after = member(**LATCH | OTHER[knob])
        text = script(after, "flax")
    except UserError:
        return
    before = member(**LATCH | dict(needed))
    if text == script(before, "flax"):
        lengths, others = (sequences(each)["lengths"] for each in (before, after))
        assert not np.array_equal(lengths, others)


@pytest.mark.parametrize("framework", FRAMEWORKS)
@pytest.mark.parametrize("name", MEMBERS)
def test_a_definition_has_seven_lines(framework, name):
    lines = defined(MEMBERS[name], framework)
    assert len(lines) <= 7
    assert max(map(len, lines)) <= 88
    assert not re.search(r"[$#][A-Za-z]|UNITS|RATE|CLIP", "".join(lines))


BIASES = {
    "flax": lambda layer: layer.cell.dense_h.bias[...],
    "keras": lambda layer: layer.cell.bias,
    "torch": lambda layer: layer.bias_ih_l0.detach(),
}


@pytest.mark.parametrize("framework", leave(FRAMEWORKS, but="flax".__eq__))
def test_a_definition_starts_as_the_script(framework, tmp_path):
    names = run(MEMBERS["last"], framework, tmp_path)
    net = NETS[framework](names).net
    names["net"] = net
    exec("\n".join(defined(MEMBERS["last"], framework)), names)
    layers = names["layer"], net.layers[int(framework == "keras")]
    np.testing.assert_array_equal(*map(BIASES[framework], layers))


def defined(chosen, framework):
    return definition(framework, chosen.task, chosen.lag, chosen.recipe, chosen.model)


@pytest.mark.parametrize("framework", leave(FRAMEWORKS, but="flax".__eq__))
@pytest.mark.parametrize("cell", ["lstm", "GRUCell", "SimpleCell"])
@pytest.mark.parametrize("init", ["half_open", *leave(["chrono", "keras"])])
def test_a_net_starts_and_steps_as_the_engine_s(framework, cell, init, tmp_path):
    chosen = member("latch", 4, cell=cell, layers=2, recipe="hold", init=init)
    net = NETS[framework](run(chosen, framework, tmp_path))
    weights = chosen.architecture.init(chosen.init, [0])
    names = cell_names(chosen.model)
    starts = [part for name in names for part in cell_class(cell).arrays(weights[name])]
    ours = net.weights()
    for number, (array, start) in enumerate(zip(ours, starts, strict=False)):
        if number % 3 == 0:
            limit = np.sqrt(6 / sum(start.shape))
            assert limit / 2 < np.abs(array).max() <= limit
        if number % 3 == 1:
            gates = start.shape[1] // 3
            squares = [
                [block.T @ block for block in np.split(each, gates, 1)]
                for each in (array, start)
            ]
            if init == "keras":
                squares = [each @ each.T for each in (array, start)]
            np.testing.assert_allclose(*squares, atol=1e-5)
        if number % 3 == 2 and init != "chrono":
            np.testing.assert_array_equal(array, start)
        start[...] = array
    weights["readout"] = dict(zip(("kernel", "bias"), ours[-2:], strict=True))
    inputs = np.random.default_rng(1).normal(size=(2, 5, chosen.task.features))
    inputs = inputs.astype(np.float32)
    wanted = chosen.architecture.build(weights)(inputs.swapaxes(0, 1))
    np.testing.assert_allclose(
        net.outputs(inputs), wanted.transpose(2, 1, 0), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("framework", leave(FRAMEWORKS, but="flax".__eq__))
@pytest.mark.parametrize(
    "name", [name for name in (*DIRECTIONS, *NET_OPTIMIZERS) if name != "adamw"]
)
def test_an_optimizer_steps_as_the_engine_s(framework, name, tmp_path, monkeypatch):
    """Twelve gradients of random numbers, with a new basis after every fifth."""
    for constant in ("GGT_EVERY", "SOAP_EVERY"):
        monkeypatch.setattr(optimizers, constant, 5)
    chosen = member(layers=2, clip=2.0, recipe="curriculum", optimizer=name)
    net = NETS[framework](run(chosen, framework, tmp_path))
    architecture = chosen.architecture

    def arrays(vector):
        weights = architecture.unflatten(vector)
        layers = [weights[layer] for layer in cell_names(chosen.model)]
        parts = [part for layer in layers for part in cell_class("lstm").arrays(layer)]
        readout = [weights["readout"][part] for part in ("kernel", "bias")]
        return [np.asarray(part) for part in (*parts, *readout)]

    whole = NET_OPTIMIZERS.get(name)
    clip = optax.clip_by_global_norm(2.0)
    scale = DIRECTIONS[name]() if whole is None else whole(architecture)
    vector = architecture.flatten(architecture.init(chosen.init, [0]))
    state = scale.init(0 * vector)
    moved = 0 * vector
    before = net.weights()
    rng = np.random.default_rng(0)
    for _ in range(12):
        gradient = rng.standard_normal(vector.size).astype(np.float32)
        net.step(arrays(gradient), 0.5)
        clipped, _ = clip.update(gradient, clip.init(gradient))
        direction, state = scale.update(clipped, state)
        moved = moved - 0.5 * np.asarray(direction)
    for old, new, change in zip(before, net.weights(), arrays(moved), strict=True):
        np.testing.assert_allclose(new - old, change, rtol=1e-3, atol=2e-3)


CURRICULUM = {"recipe": "curriculum", "budget": 400}


@pytest.mark.parametrize(
    "chosen",
    [
        member(recipe="hold", budget=400),
        member(recipe="open_gate", lr_width=0.5, budget=400),
        member(recipe="forget_bias", warmup=40, budget=400),
        member(lag=20, **CURRICULUM),
        member(lag=20, schedule="cosine", falls_above=8, warmup=0, **CURRICULUM),
        member("count", 24, **CURRICULUM | {"curriculum": 0.3}),
    ],
)
def test_rates_and_lags_are_the_engine_s(chosen, tmp_path):
    names = run(chosen, "flax", tmp_path)
    trainer = Trainer(TrainSpec.of(chosen), chosen.length, chosen.length)
    operands = train_operands(trainer, chosen)
    plan = operands.curriculum
    state = plan and curriculum.initial_state(plan, chosen.lag)
    update = jax.jit(curriculum.next_progress)
    rng = np.random.default_rng(0)
    steps = iter(range(400))

    def train_step(lags, targets, due, rate):
        nonlocal state
        step = np.int32(next(steps))
        wanted = trainer.learning_rate(step, state, operands, np)
        assert rate == pytest.approx(float(wanted), rel=1e-3, abs=1e-7)
        assert set(lags) == {int(state.lag) if state else chosen.lag}
        score = rng.uniform(0.9, 1)
        if chosen.task.loss == "values":
            score = 100 * (1 - score) * chosen.facts.threshold
        if state:
            state = update(state, plan, chosen.lag, step + 1, np.float32(score))
        return score

    trained(
        names, train_step, batches=lambda: places(chosen.lag), evaluate=no_evaluation
    )
    assert list(steps) == []


def test_data_of_one_lag_are_trained_on_from_the_start(tmp_path):
    arrays = {"inputs": np.zeros((10, 9, 2)), "targets": np.zeros(10)}
    names = run(member(lag=8, **CURRICULUM), "flax", tmp_path, **arrays)
    lags = set()
    trained(names, lambda each, *_: lags.update(each) or 0.0, evaluate=no_evaluation)
    assert lags == {8}


def no_evaluation(*_):
    return np.nan


def trained(names, train_step=lambda *_: 1.0, **parts):
    """Train with these parts of a script in place of its own: its last line."""
    names |= {"sequences": lambda data, rows: [data["lags"][rows]] * 3} | parts
    return names["train"](train_step, None, np.random.default_rng(0))


def places(lag):
    """Places of a file with a sequence of each lag for training, and one for tests."""
    lags = np.arange(1, lag + 1)
    return {"lags": np.repeat(lags, 2), "split": np.tile(["train", "test"], lag)}


RIGHT = dict.fromkeys(range(1, 13), 1.0)
UP_TO = {"lags": "uniform", "until": "up_to"}


@pytest.mark.parametrize(
    ("task", "values", "scores", "verdict"),
    [
        ("latch", {}, {12: 0.99}, "SOLVED after 200 steps"),
        ("latch", {}, {12: 0.98}, "FAILED"),
        ("count", {}, {12: 1e-9}, "SOLVED"),
        ("delay_line", {}, {12: 1.0, "longer_": 0.99}, "STEADY"),
        ("delay_line", {}, {12: 1.0, "longer_": 0.98}, "FAILED"),
        ("latch", UP_TO, RIGHT | {5: 0.972}, "RIGHT AT EVERY LAG UP TO 12 after 200"),
        ("latch", UP_TO, RIGHT | {5: 0.971}, "FAILED"),
        ("latch", UP_TO, dict.fromkeys(RIGHT, 0.98) | {12: 1.0}, "FAILED"),
    ],
)
def test_verdicts(task, values, scores, verdict, tmp_path):
    """Of 256 sequences of one lag 7 may be wrong by chance, but the mean counts, too."""
    chosen = member(task, 12, recipe="hold", budget=200, **values)
    arrays = {"longer_inputs": np.zeros((1, 99))} | places(12)

    def evaluate(_, data, rows, kind=""):
        return scores[kind or data["lags"][rows[0]]]

    names = run(chosen, "flax", tmp_path)
    said = trained(names, batches=lambda: arrays, evaluate=evaluate)
    assert said.startswith(verdict)


PLACES = [12, 9, 9, 9, 9], [20, 17, 18, 19, 20]  # lags and lengths; four of one lag
ENDS = range(8, 13), range(10, 15)


@pytest.mark.parametrize(
    ("task", "tests", "scores", "verdict"),
    [
        # the mean over the later places of lag 9 is 0.993
        ("copy", PLACES, [1, 1, 1, 0.98, 1], "RIGHT ANY"),
        ("copy", PLACES, [1, 1, 1, 0.979, 1], "FAILED"),
        # drawn sequences must show that `memcap judge` will agree
        ("latch", ENDS, [0.995] * 5, "RIGHT ANY"),
        ("latch", ENDS, [0.99] * 5, "FAILED"),
    ],
)
def test_a_net_is_right_anywhere_if_it_is_at_each_length(
    task, tests, scores, verdict, tmp_path
):
    recipe = {"recipe": "hold", "lags": "uniform", "before": "drawn", "budget": 200}
    chosen = member(task, 12, 4, until="anywhere", **recipe)
    lags, lengths = (np.tile(each, 2) for each in tests)
    split = np.repeat(["train", "test"], 5)

    def by_sequence(_, data, rows, *kind):
        return np.take(scores, rows - 5), np.ones(len(rows))

    said = trained(
        run(chosen, "flax", tmp_path),
        batches=lambda: {"lags": lags, "lengths": lengths, "split": split},
        by_sequence=by_sequence,
    )
    assert said.startswith(verdict)


def test_a_score_counts_what_is_due(tmp_path):
    due = np.array([[True, True, False]])
    names = run(MEMBERS["last"], "flax", tmp_path)
    outputs = np.array([[[0, 1], [0, 1], [1, 0]]])
    assert names["score_of"](outputs, np.array([[1, 0, 1]]), due) == 0.5
    names = run(MEMBERS["error"], "flax", tmp_path)
    assert names["score_of"](outputs, np.zeros((1, 3, 2)), due) == 0.5


@pytest.mark.parametrize("framework", leave(FRAMEWORKS, but="flax".__eq__))
@pytest.mark.parametrize("carry", ["keep", "reset"])
def test_no_gradient_passes_from_window_to_window(framework, carry, tmp_path):
    """From the last of three windows; what the carry brings does where it is kept."""
    knobs = ["window=10", f"carry={carry}"]
    chosen = member("windows", 24, knobs=knobs, layers=2)
    net = NETS[framework](run(chosen, framework, tmp_path))
    inputs = RNG.standard_normal((4, 25, 2)).astype(np.float32)
    changed = np.where(np.arange(25)[:, None] < 20, -inputs, inputs)
    gradient = np.asarray(net.gradient_of_last(inputs))
    assert not gradient[:, :20].any()
    assert gradient[:, 20:].any(axis=(0, 2)).all()
    last, other = (net.outputs(each)[:, -1] for each in (inputs, changed))
    assert np.allclose(last, other) == (carry == "reset")


@pytest.mark.parametrize("framework", leave(FRAMEWORKS, but="flax".__eq__))
@pytest.mark.parametrize(
    ("chosen", "verdict"),
    [
        (member(lag=4, units=6, layers=2, recipe="curriculum"), "STEADY after"),
        *leave([(member("adding", 8, 2, budget=200), ("SOLVED after", "FAILED"))]),
    ],
)
def test_a_script_trains_by_itself(framework, chosen, verdict, tmp_path):
    if framework == "torch":
        pytest.importorskip("torch")
    script(chosen, framework, file=tmp_path / "net.py")
    done = run_script(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith(verdict)
    assert len(list(tmp_path.glob("net.*"))) == 3


@pytest.mark.parametrize(
    ("there", "chosen", "backend"),
    [
        (("jax", "torch"), None, "jax"),
        (("torch",), None, "torch"),
        (("torch", "jax"), "torch", "torch"),
        (("jax", "tensorflow"), None, None),
    ],
)
def test_a_keras_script_takes_a_backend_that_is_there(
    there, chosen, backend, monkeypatch
):
    """As Keras itself would end where TensorFlow is not; a choice of the user's counts."""
    text, _ = script(MEMBERS["last"], "keras").split("import keras\n")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: name in there or None)
    monkeypatch.delenv("KERAS_BACKEND")
    if chosen:
        monkeypatch.setenv("KERAS_BACKEND", chosen)
    exec(text, {})
    assert os.environ.pop("KERAS_BACKEND", None) == backend


def run_script(folder):
    threads = {"OMP_NUM_THREADS": "1", "JAX_PLATFORMS": "cpu"}
    return subprocess.run(
        [sys.executable, "net.py", "1"],
        cwd=folder,
        env=os.environ | threads,
        capture_output=True,
        text=True,
        check=False,
    )


def test_arrays_of_the_user_s_are_completed(tmp_path):
    arrays = {"inputs": np.zeros((5, 4, 3)), "targets": np.arange(5)}
    lengths = [4, 4, 4, 2, 1]
    names = run(MEMBERS["last"], "flax", tmp_path, lengths=lengths, **arrays)
    data = names["batches"]()
    np.testing.assert_array_equal(data["mask"].argmax(1), [3, 3, 3, 1, 0])
    assert data["mask"].sum() == 5
    np.testing.assert_array_equal(data["targets"][:, 0], np.arange(5))
    np.testing.assert_array_equal(data["split"], [*4 * ["train"], "test"])
    np.testing.assert_array_equal(data["lags"], 5 * [MEMBERS["last"].lag])
    (tmp_path / "net.npz").unlink()
    with pytest.raises(
        SystemExit, match=r"net\.npz: is not there; batches\(\) in net\.py"
    ):
        names["batches"]()


def test_a_script_trains_on_data_of_the_user_s(tmp_path):
    """Sequences of two numbers a step, of which the first tells the class."""
    text = script(member("latch", 7, 2, recipe="hold", budget=400), "flax")
    for name in ("FEATURES", "OUTPUTS"):
        text, changes = re.subn(rf"{name} = \d+  # YOURS", f"{name} = 2  #", text)
        assert changes == 1
    (tmp_path / "net.py").write_text(text)
    inputs = RNG.choice([-2.0, 2.0], (500, 8, 2))
    targets = (inputs[:, 0, 0] > 0).astype(int)
    np.savez(tmp_path / "net.npz", inputs=inputs, targets=targets)
    done = run_script(tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].startswith("SOLVED after")


held = partial(member, "latch", recipe="hold")
REFUSED = [
    (held(cell="linear"), "scripts are for the cells lstm, GRUCell, SimpleCell"),
    (
        held(init="flax", cell="GRUCell"),
        r"starts as memcap does; set recipe\.init=forget_bias",
    ),
    (held(optimizer="adamw", decay=0.1), "optimizer=adamw: no script .* export"),
    (held(freeze="cell"), r"recipe\.freeze=cell: a script does not know it"),
    (member("windows", recipe="curriculum"), "sequences of one length"),
    (Member(task_of("latch", []), 8, 20), "the task's own length"),
]


@pytest.mark.parametrize(("chosen", "why"), REFUSED)
def test_a_net_that_a_script_cannot_train_is_refused(chosen, why):
    with pytest.raises(UserError, match=why):
        script(chosen, "torch")


def test_another_framework_and_another_kind_of_file_are_refused():
    with pytest.raises(UserError, match="code=jax: no such framework; one of flax"):
        script(member(), "jax")
    with pytest.raises(UserError, match=r"net\.txt: must end in \.py"):
        script(member(), "torch", file=Path("net.txt"))
