"""A task in a file of the current folder: found by `module:Class`, and held to what it
says of itself."""

import sys

import pytest
from study_checks import refusal

from memcap import members
from memcap.config.member import Member, resolve, task_defaults
from memcap.tasks import task_class
from memcap.tasks.chance import without_memory
from memcap.terminal import words

PULSES = '''
"""Say how high the pulse was `lag` steps ago; pulses are rare, so that the answer is nearly always zero."""

import time
from dataclasses import dataclass
from typing import ClassVar

import jax
import jax.numpy as jnp

from memcap.knobs import knob
from memcap.tasks import Batch, Facts, Task


@dataclass(frozen=True)
class Pulses(Task):
    rate: float = knob(1 / 64, "share of the steps that have a pulse", above=0, at_most=1)
    answers: ClassVar[str] = "every"
    loss, vocabulary, features, outputs = "values", None, 1, 1

    def shortest(self, lag):
        return 2 * lag + 1

    def sample(self, key, lag, length, steps, batch):
        place, height = jax.random.split(key)
        there = jax.random.bernoulli(place, self.rate, (steps, batch))
        pulse = there * jax.random.normal(height, (steps, batch))
        step = jnp.arange(steps)[:, None]
        mask = jnp.broadcast_to((step >= lag) & (step < length), pulse.shape)
        return Batch(pulse[:, :, None], jnp.where(mask, jnp.roll(pulse, lag, 0), 0), mask)

    def facts(self, lag, length):
        return Facts(held=1, bits=2.0, chance=1.0, threshold=0.05)  # of pulses at every step


class Honest(Pulses):
    def facts(self, lag, length):
        return Facts(held=1, bits=2.0, chance=self.rate, threshold=0.05 * self.rate)


class Owning(Pulses):
    def facts(self, lag, length):
        return Facts(held=1, bits=2.0, chance=0.01, threshold=0.05)


class Sometimes(Honest):
    def sample(self, key, lag, length, steps, batch):
        drawn = super().sample(key, lag, length, steps, batch)
        bad = jax.random.bernoulli(jax.random.fold_in(key, 1), 0.3)
        return drawn._replace(inputs=jnp.where(bad, jnp.nan, drawn.inputs))


calls = []


class Counts(Honest):
    def sample(self, key, lag, length, steps, batch):
        calls.append(1)
        return super().sample(jax.random.fold_in(key, len(calls)), lag, length, steps, batch)


class Drifts(Honest):
    def facts(self, lag, length):
        calls.append(1)
        return Facts(held=len(calls), bits=2.0, chance=self.rate, threshold=0.05 * self.rate)


class Leaves(Honest):
    def facts(self, lag, length):
        raise SystemExit(0)


class Asks(Honest):
    def __init__(self, rate=0.25):
        raise SystemExit(0)


class Sleeps(Honest):
    def __init__(self, rate=0.25):
        super().__init__(rate)
        time.sleep(0.2)


NOTHING = 0
'''  # noqa: E501


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("Sometimes", "sample gives inputs"),
        ("Counts", "sample gives other sequences for the same key"),
        ("Drifts", "facts(4, 9) changes from call to call"),
        ("Leaves", "facts raises SystemExit: 0"),
    ],
)
def test_a_task_that_keeps_its_contract_only_sometimes_is_refused(module, name, says):
    task = task_class(f"{module}:{name}")(rate=0.25)
    assert says in refusal(lambda: Member(task, 4))


def test_a_task_that_cannot_be_made_is_refused(module):
    text = refusal(lambda: members(f"{module}:Asks", lag=4))
    assert "__init__ raises SystemExit: 0" in text


def test_a_call_that_does_not_return_is_named(module, monkeypatch, capsys):
    monkeypatch.setattr(words, "SECONDS_OF_SILENCE", 0.01)
    members(f"{module}:Sleeps", lag=4)
    assert f"waits for task {module}:Sleeps: __init__" in capsys.readouterr().err


@pytest.fixture
def module(tmp_path, monkeypatch):
    """The name of a module that lies in the current folder and was never imported."""
    (tmp_path / "rare_pulses.py").write_text(PULSES)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield "rare_pulses"
    sys.modules.pop("rare_pulses", None)
    task_class.cache_clear()


def test_a_task_whose_constant_answer_solves_it_is_refused(module):
    """It says that chance is 1, far above its criterion; but always to say zero has an
    error of 1/64."""
    task = task_class(f"{module}:Pulses")()
    measured = without_memory(task, 4, 20)
    assert measured.mean == pytest.approx(1 / 64, abs=4 * measured.error)
    said = refusal(lambda: Member(task, 4, 20))
    assert said.startswith(
        f"task {module}:Pulses at lag 4, length 20: a net without memory scores mse"
        f" {measured.mean:.3g}"
    )
    assert "measured" in said
    assert "<= 0.05" in said
    dense = Member(
        type(task)(rate=1.0), 4, 20
    )  # of pulses at every step, what it says is true
    assert without_memory(dense.task, 4, 20).mean == pytest.approx(1, abs=0.1)


def test_a_task_that_says_itself_that_chance_solves_it_is_refused(module):
    said = refusal(lambda: Member(task_class(f"{module}:Owning")(rate=1.0), 4, 20))
    assert "scores mse 0.01 (by its own facts)" in said


def test_an_honest_task_is_a_member_s_like_any_other(module):
    name = f"{module}:Honest"
    member = resolve(
        {
            "task": task_defaults(name) | {"lag": 4, "rate": 0.25},
            "model": {},
            "recipe": {},
            "evaluation": {},
            "seed": 0,
        }
    )
    assert member == Member(task_class(name)(rate=0.25), 4)
    assert member.config["task"] == {"name": name, "lag": 4, "length": 9, "rate": 0.25}
    assert member.facts.threshold == 0.0125
    assert member.recipe.name == "forget_bias"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (
            "class Half(Task):\n    pass",
            "lacks facts, outputs, sample, shortest, vocabulary",
        ),
        (
            "class Half(Honest):\n    size: int = knob(3, 'a knob')",
            "must be decorated with @dataclass",
        ),
        (
            "class Half(Honest):\n    def smallest_lag(self):\n        return 2",
            "half_a_task:Half: smallest_lag is a method; it must be a value",
        ),
    ],
)
def test_half_a_task_is_one_line(tmp_path, monkeypatch, body, says):
    (tmp_path / "half_a_task.py").write_text(f"{PULSES}\n\n{body}\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    assert says in refusal(lambda: task_class("half_a_task:Half"))
    sys.modules.pop("half_a_task", None)


BROKEN = {  # a method of Honest's, its body, and what is said
    "vocabulary": (
        "return 2.0",
        "vocabulary is 2.0; it must be a whole number, at least 1 or None for real",
    ),
    "outputs": ("return 0", "outputs is 0; it must be a whole number, at least 1"),
    "shortest": (
        "return lag / 0",
        "shortest raises ZeroDivisionError: division by zero, at ",
    ),
    "length": (
        "return None",
        "length(4) is None; it must be a whole number, at least 1",
    ),
    "loss": ("return 'words'", "loss is 'words'; it must be classes or values"),
    "smallest_lag": (
        "return 'a'",
        "smallest_lag is 'a'; it must be a whole number, at least 1",
    ),
    "stretched": (
        "return None",
        "stretched(4, 2) is None; it must be a lag and a length",
    ),
}
FACTS = {
    "None": "facts(4, 9) gives NoneType; it must be memcap.Facts",
    "Facts(1, 1.0, 0.5, float('nan'))": (
        "facts(4, 9) has threshold=nan; it must be a number above 0, as mse is"
    ),
    "Facts(1, -1.0, 0.5, 0.1)": "facts(4, 9) has bits=-1.0; it must be a number from 0",
    "1 / 0": "facts raises ZeroDivisionError: division by zero, at ",
}
SAMPLES = {
    "3": "sample gives ndarray; it must be memcap.Batch",
    "Batch(x[..., 0], y, m)": (
        "sample gives inputs: float32 of shape (16, 4096); it must be float32"
    ),
    "Batch(x > 0, y, m)": "sample gives inputs: bool of shape (16, 4096, 1); it must be float32",
    "Batch(x, y.T, m)": "sample gives targets: float32 of shape (4096, 16); it must be float32",
    "Batch(x, y)": "sample gives mask: none; it must be bool of shape (16, 4096)",
    "Batch(x, y, m & False)": (
        "sample gives a mask that asks for no answer; it must be true where"
    ),
    "Batch(x, y, m | True)": "sample gives a mask that asks for answers after 9 steps",
    "Batch(x / 0, y, m)": "sample gives inputs that are not finite; it must be numbers",
    "Batch(x, y / 0, m)": "sample gives targets that are not finite; it must be numbers",
    "Batch(x, y, m, m)": "sample gives window_starts: bool of shape (16, 4096); it must be bool",
    "int(x)": "sample raises ",
    "Honest.sample(self, jax.random.key(0), lag, length, steps, batch)": (
        "sample gives the same sequences for every key; it must be drawn by jax.random from `key`"
    ),
}


DRAWN = "x, y, m, _ = Honest.sample(self, key, lag, length, steps, batch); return "
ARGUMENTS = {"facts": "lag length", "stretched": "lag factor"}
ARGUMENTS |= dict.fromkeys(("shortest", "length"), "lag")
ARGUMENTS |= dict.fromkeys(("sample", "unseen"), "key lag length steps batch")


def broken(method, body, tmp_path, monkeypatch):
    """A task that is honest but for one method."""
    arguments = ", ".join(["self", *ARGUMENTS.get(method, "").split()])
    prop = "" if method in ARGUMENTS else "    @property\n"
    name = f"broken_{abs(hash((method, body)))}"
    text = "@dataclass(frozen=True)\nclass Broken(Honest):\n"
    text += f"{prop}    def {method}({arguments}):\n        {body}\n"
    (tmp_path / f"{name}.py").write_text(f"{PULSES}\n\n{text}")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    said = refusal(lambda: Member(task_class(f"{name}:Broken")(), 4))
    sys.modules.pop(name)
    return said.removeprefix(f"task {name}:Broken: ")


CASES = [
    *((method, *case) for method, case in BROKEN.items()),
    *(("facts", f"return {facts}", says) for facts, says in FACTS.items()),
    *(("sample", DRAWN + batch, says) for batch, says in SAMPLES.items()),
    ("unseen", f"{DRAWN}3", SAMPLES["3"].replace("sample", "unseen")),
]


@pytest.mark.parametrize(("method", "body", "says"), CASES)
def test_a_task_with_a_wrong_method_is_one_line(
    tmp_path, monkeypatch, method, body, says
):
    assert broken(method, body, tmp_path, monkeypatch).startswith(says)
