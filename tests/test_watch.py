"""The page on which an LSTM trains: its nets train and are judged as the engine does it.

They run in Node; the page itself in Debian's chromium, from a file.
"""

import re
import shlex
import shutil
from pathlib import Path

import jax
import numpy as np
import pytest
from command import memcap
from lstm_reference import relative_error
from own_programs import program

from memcap import members, reference
from memcap.launch.app import compose_jobs
from memcap.rule import Stream
from memcap.training.host import initial_state, train_operands
from memcap.training.step import Trainer, TrainSpec

pytestmark = pytest.mark.usefixtures("quick_file")

PAGE = Path(__file__).parents[1] / "docs" / "watch"
NODE = pytest.mark.skipif(shutil.which("node") is None, reason="needs Node")
SMALL = {
    "latch": {"task": "latch", "lag": 5, "units": 2, "rate": 0.06},
    "parity": {"task": "parity", "lag": 13, "units": 3, "rate": 0.06},
    "delay_line": {"task": "delay_line", "lag": 2, "units": 2, "rate": 0.03},
}


@pytest.fixture
def page(monkeypatch):
    """The folder's programs."""
    monkeypatch.syspath_prepend(PAGE)
    return lambda name: program(f"docs/watch/{name}.py")


@pytest.fixture
def run(page):
    """Run a script beside the page's classes, with a training's settings."""
    nets = page("nets")

    def script(text, settings, **values):
        settings = settings | {"forget_bias": 1, "prefix": 0, "seed": 0}
        return nets.run(text, settings=settings, **values)

    return script


def member_of(settings):
    """The same training in memcap."""
    own = {name: settings[name] for name in ("task", "lag", "units")}
    how = {"recipe": "uniform", "until": "up_to"}
    if own["task"] == "delay_line":
        how = {"recipe": "forget_bias"}
    (member,) = members(
        **own, **how, init="forget_bias", forget_bias=1.0, lr=settings["rate"]
    )
    return member


def sequences(batch, length):
    """The inputs and targets (B, T) of a batch, as the page has them: -1 where no answer
    is due."""
    inputs = np.asarray(batch.inputs)[:length].T
    targets = np.full_like(inputs, -1)
    if batch.mask is None:
        targets[:, -1] = batch.targets
    else:
        targets = np.where(batch.mask, batch.targets, -1)[:length].T
    return inputs.tolist(), targets.tolist()


@NODE
@pytest.mark.parametrize("name", SMALL)
def test_its_gradient_is_jaxs_in_float64(run, name):
    member = member_of(SMALL[name])
    length = member.length
    batch = member.task.sample(jax.random.key(0), member.lag, length, length, 8)
    size = member.architecture.parameters()
    weights = np.random.default_rng(0).standard_normal(size)
    with jax.enable_x64(True):
        value_and_gradient = jax.value_and_grad(reference.loss_and_score, has_aux=True)
        (loss, score), gradient = value_and_gradient(weights, member, batch)
    assert gradient.dtype == np.float64
    found = run(
        """
        const { net } = new Training(settings);
        net.weights.set(weights);
        const sums = { loss: 0, right: 0, due: 0 };
        inputs.forEach((steps, k) => {
          net.read(steps);
          net.learn(steps, targets[k], sums);
        });
        result = { ...sums, gradient: Array.from(net.gradient, (value) => value / sums.due) };
        """,
        SMALL[name],
        weights=weights.tolist(),
        **dict(zip(("inputs", "targets"), sequences(batch, length), strict=True)),
    )
    assert [found["right"], found["due"]] == np.asarray(score).tolist()
    assert found["loss"] / found["due"] == pytest.approx(float(loss), rel=1e-12)
    assert relative_error(found["gradient"], gradient) <= 1e-12


def widened(leaf):
    leaf = np.asarray(leaf)
    return leaf.astype(float) if leaf.dtype == np.float32 else leaf


@NODE
@pytest.mark.parametrize(("name", "steps"), [("latch", 300), ("delay_line", 20)])
def test_its_training_steps_are_the_engines(run, name, steps):
    """Let the latch's lag rise to its own: clipping, Adam, the rate and the curriculum."""
    member = member_of(SMALL[name])
    trainer = Trainer(TrainSpec.of(member), member.length, member.length, "while")
    batches = []
    losses = []

    @jax.jit
    def step(state, operands, key):
        lag, length = trainer.lag_and_length(state, operands)
        sizes = lag, length, member.length, member.recipe.batch
        batch = member.task.sample(key, *sizes)
        return *trainer.train_step(state, operands, batch), batch, length

    with jax.enable_x64(True):
        start = initial_state(trainer, member)
        state = jax.tree.map(widened, start)
        operands = jax.tree.map(widened, train_operands(trainer, member))
        for k in range(steps):
            state, loss, batch, length = step(state, operands, jax.random.key(k))
            batches.append(sequences(batch, int(length)))
            losses.append(float(loss))
    found = run(
        """
        const training = new Training(settings);
        training.net.weights.set(start);
        training.judge = () => {};
        result = { losses: [] };
        for (const [inputs, targets] of batches) {
          let k = 0;
          training.sample = () => ({ inputs: inputs[k], targets: Int8Array.from(targets[k++]) });
          const mean = training.loss;
          training.step();
          result.losses.push(mean + 10 * (training.loss - mean));
        }
        result.front = training.front;
        result.weights = Array.from(training.net.weights);
        """,
        SMALL[name],
        start=np.asarray(start.params, float).tolist(),
        batches=batches,
    )
    np.testing.assert_allclose(found["losses"], losses, rtol=1e-5, atol=1e-9)
    assert relative_error(found["weights"], state.params) <= 1e-6
    if name == "latch":
        assert found["front"] == int(state.progress.lag) == member.lag


@NODE
@pytest.mark.parametrize("name", SMALL)
def test_it_judges_by_memcaps_rule(run, name):
    """Give both the same scores, of which most are near the criterion; and ask the same
    lags and lengths."""
    member = member_of(SMALL[name])
    rng = np.random.default_rng(0)
    stricter = Stream.STRETCH if name == "delay_line" else Stream.UP_TO
    sizes = {
        stream: member.evaluation_sizes(stream)
        for stream in (Stream.EVALUATE, stricter)
    }
    scripts = []
    ends = []
    for _ in range(100):
        rule = member.rule()
        step = member.recipe.budget - 1200
        looks = []
        while rule.running:
            step = min(step + 100, member.recipe.budget)
            training, held_out = rng.choice([0.95, 0.98, 0.985, 0.99, 1.0], 2).tolist()
            lags = [lag for lag, *_ in sizes[stricter]]
            strict = rng.choice([0.96, 0.99, 1.0], len(lags), p=[0.05, 0.2, 0.75])
            looks.append([step, training, held_out, strict.tolist()])
            scores = dict(zip(lags, strict, strict=True))
            is_due = rule.is_due(Stream.EVALUATE, step, training)
            rule.update(Stream.EVALUATE, step, {member.lag: held_out} if is_due else {})
            if rule.is_due(stricter, step, training) and is_due and rule.solved:
                rule.update(stricter, step, scores)
        scripts.append(looks)
        is_right = rule.up_to or rule.steady
        ends.append(["passed" if is_right else "failed", len(looks)])
    found = run(
        """
        const asked = {};
        result = { ends: [] };
        for (const looks of scripts) {
          const training = new Training(settings);
          let number = 0;
          let place = 0;
          training.test = (lag, length, sequences) => {
            asked[[lag, length, sequences]] = [lag, length, sequences];
            const [, , heldOut, strict] = looks[number - 1];
            return sequences === 2048 ? (place = 0, heldOut) : strict[place++];
          };
          training.judge = () => {
            [training.steps, training.score] = looks[number++];
            Training.prototype.judge.call(training);
          };
          while (training.status === "running") training.judge();
          result.ends.push([training.status, number]);
        }
        result.asked = Object.values(asked);
        """,
        SMALL[name],
        scripts=scripts,
    )
    assert {status for status, _ in ends} == {"passed", "failed"}
    assert found["ends"] == ends
    assert sorted(found["asked"]) == sorted(
        [lag, length, 256 * blocks]
        for stream in sizes.values()
        for lag, length, blocks in stream
    )


@NODE
def test_its_sequences_are_the_tasks(run):
    """Let filler come first: 3 steps."""
    lags = {"latch": 4, "parity": 4, "delay_line": 2}
    forms = {"latch": "[2-5]{3}[01][2-5]{4}6", "parity": "2{3}[01]{4}2"}
    found = run(
        """
        result = {};
        for (const [task, lag] of Object.entries(lags)) {
          const { sample, length } = Training.tasks[task];
          const random = new Random(0);
          const draws = Array.from({ length: 64 }, () => sample(random, lag, length(lag) + 3));
          result[task] = draws.map(({ inputs, targets }) => [inputs.join(""), [...targets]]);
        }
        """,
        SMALL["latch"],
        lags=lags,
    )
    for task, form in forms.items():
        assert len({inputs for inputs, _ in found[task]}) > 8
        for inputs, targets in found[task]:
            assert re.fullmatch(form, inputs)
            answer = int(inputs[3]) if task == "latch" else inputs.count("1") % 2
            assert targets == [-1] * (len(inputs) - 1) + [answer]
    for inputs, targets in found["delay_line"]:
        assert re.fullmatch("[01]{17}", inputs)
        assert targets == [-1, -1, *map(int, inputs[:-2])]


def test_the_command_opens_it(tmp_path, monkeypatch):
    addresses = []
    monkeypatch.setattr("webbrowser.open", addresses.append)
    assert memcap(tmp_path, "watch").out == f"{(PAGE / 'index.html').as_uri()}\n"
    assert addresses == [(PAGE / "index.html").as_uri()]


@pytest.fixture
def tab():
    """A tab of a browser that shows the page, and the errors that it complained of."""
    driver = pytest.importorskip("playwright.sync_api", reason="needs memcap[browser]")
    if (chromium := shutil.which("chromium")) is None:
        pytest.skip("needs Debian's chromium")
    with driver.sync_playwright() as browsers:
        browser = browsers.chromium.launch(
            executable_path=chromium, args=["--no-sandbox"]
        )
        tab = browser.new_page(viewport={"width": 375, "height": 700})
        errors = []
        tab.on("console", lambda message: errors.append(message.text))
        tab.on("pageerror", lambda error: errors.append(str(error)))
        yield tab
        browser.close()
        assert errors == []


def values(tab):
    """What the sliders show."""
    return [float(each.input_value()) for each in tab.locator("form input").all()]


def test_in_a_browser_one_unit_learns_to_hold_for_50_steps(tab):
    tab.goto((PAGE / "index.html").as_uri())
    assert values(tab) == [50, 1, 1, 0.06, 0]
    assert tab.inner_text("#summary") == "Of 8 nets: 8 untrained."
    tab.focus("#prefix")
    tab.keyboard.press("Tab")  # to the button
    tab.keyboard.press("Enter")
    tab.wait_for_function("summary.textContent === 'Of 8 nets: 8 passed.'")
    assert tab.inner_text("#here") == "Here, at lag 50: 8 of 8 with 1."
    assert tab.locator("#after polyline").count() == 2
    assert tab.evaluate("document.documentElement.scrollWidth") == 375


BAD_LINKS = {
    "#task=latch&lag=9e99&units=-5&forget_bias=NaN&rate=1e3&prefix=77": (
        [50, 1, 1, 0.2, 50]
    ),
    "#task=<img src=x onerror=alert(1)>&lag=&units=%00&rate=x": [50, 1, 1, 0.06, 0],
    "#task=delay_line&lag=50&prefix=9&seed=constructor": [8, 5, 1, 0.03, 0],
    "#%E0%A4%A&&&=&lag=7&lag=9": [7, 1, 1, 0.06, 0],
}


def test_a_bad_link_is_read_as_the_nearest_that_is_allowed(tab):
    for link, expected in BAD_LINKS.items():
        tab.goto("about:blank")
        tab.goto(f"{(PAGE / 'index.html').as_uri()}{link}")
        assert values(tab) == expected
        words = shlex.split(tab.inner_text("#command"))
        assert all(job.members for job in compose_jobs(words[2:], multirun=False)[0])


def test_a_slider_writes_the_link_and_a_task_brings_its_own_settings(tab):
    tab.goto((PAGE / "index.html").as_uri())
    tab.focus("#units")
    tab.keyboard.press("ArrowRight")
    link = "#task=latch&lag=50&units=2&forget_bias=1&rate=0.06&prefix=0"
    assert tab.evaluate("location.hash") == link
    assert tab.inner_text("output[for=units]") == "2"
    tab.select_option("#task", "delay_line")
    tab.wait_for_function("lag.value === '5'")
    assert values(tab) == [5, 5, 1, 0.03, 0]
    assert tab.is_visible("#steady")
    assert not tab.is_visible("#up_to")
