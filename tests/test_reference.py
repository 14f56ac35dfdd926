"""The whole method on one page does as the engine: same status, same steps, same
weights to rounding."""

import re
from math import nan
from pathlib import Path

import numpy as np
import pytest
from breadth import leave

import memcap
from memcap import reference
from memcap.rule import Stream, Verdict
from memcap.training.engine import train

SMALL = {"sequences": 512, "every": 50, "seed": 1}
LATCH = {"task": "latch", "lag": 3, "units": 3, "recipe": "forget_bias", "budget": 150}
WINDOWS = {"task": "windows", "lag": 4, "units": 2, "recipe": "hold"}
DELAY = {"task": "delay_line", "lag": 2}
DECAY = {"optimizer": "adamw", "decay": 0.5, "warmup": 30}
MEMBERS = {
    "solved_and_steady": {
        "task": "latch",
        "lag": 3,
        "units": 1,
        "recipe": "hold",
        "budget": 600,
    },
    "right_at_every_lag": {
        "task": "latch",
        "lag": 4,
        "units": 1,
        "recipe": "hold",
        "until": "up_to",
    },
    "values_by_cosine_on_two_frozen_layers": (
        {"task": "adding", "lag": 4, "units": 3, "layers": 2}
        | {
            "recipe": "hold",
            "budget": 150,
            "schedule": "cosine",
            "warmup": 20,
            "freeze": "cell",
        }
    ),
    "weight_decay": (LATCH | DECAY | {"units": 2, "clip": 0.02, "lr_width": -0.5}),
    "windows_reset": WINDOWS | {"budget": 400},
    "a_stream_by_a_gru": (
        DELAY | {"units": 6, "cell": "GRUCell", "recipe": "forget_bias", "budget": 600}
    ),
    "descent_by_an_lru": (
        {"task": "count", "lag": 3, "units": 4, "cell": "LRU", "recipe": "own_start"}
        | {"budget": 150, "optimizer": "sgd"}
    ),
    "muon_in_two_layers_of_a_gru": LATCH
    | {"layers": 2, "cell": "GRUCell", "optimizer": "muon"},
    "soap": LATCH | {"budget": 60, "optimizer": "soap"},
    "ggt": LATCH | {"budget": 56, "optimizer": "ggt"},
    "diverged": (
        DELAY
        | {
            "units": 2,
            "cell": "linear",
            "recipe": "descent",
            "budget": 150,
            "lr": 10.0,
            "clip": 1e30,
        }
    ),
}


QUICK = ("solved_and_steady", "windows_reset", "a_stream_by_a_gru", "descent_by_an_lru")
QUICK += ("values_by_cosine_on_two_frozen_layers", "weight_decay")
NAMES = [
    *leave(QUICK, but="solved_and_steady".__eq__),
    *(
        pytest.param(name, marks=pytest.mark.slow)
        for name in MEMBERS
        if name not in (*QUICK, "diverged")
    ),
]
# A basis divides gradients by their size along it, down to 1e-4 of the largest: rounding, too.
TOLERANCE = {"soap": 1e-3, "ggt": 1e-3}
SCORES = Stream.EVALUATE, Stream.STRETCH
STATUS = {"values_by_cosine_on_two_frozen_layers": "unsolved", "diverged": "diverged"}


def compare(name):
    """By the reference, and by the engine in one lane."""
    (member,) = memcap.members(**SMALL | MEMBERS[name])
    (engine,) = train([member], memcap.Engine(workers=1, lanes=1))
    own = reference.train(member)
    assert own.status == engine.status == STATUS.get(name, "solved")
    verdicts = [getattr(engine, verdict) for verdict in Verdict]
    assert (own.steps, *map(own.verdicts.get, Verdict)) == (engine.steps, *verdicts)
    assert ("up_to" in own.verdicts) == ("until" in MEMBERS[name])
    # Squared errors of .01 in outputs of about 1, each to 1e-7.
    scores = (
        [own.scores.get(stream, nan) for stream in SCORES],
        [engine.score, engine.stretched],
    )
    np.testing.assert_allclose(*scores, rtol=1e-5, atol=1e-8)
    tolerance = TOLERANCE.get(name, 1e-5)
    weights = member.architecture.flatten(engine.weights)
    np.testing.assert_allclose(own.weights, weights, rtol=tolerance, atol=tolerance)


@pytest.mark.usefixtures("quick_compile")
@pytest.mark.parametrize("name", NAMES)
def test_the_reference_and_the_engine_agree(name):
    compare(name)


@pytest.mark.breadth
def test_they_agree_where_the_last_bits_are_blown_up():
    compare("diverged")


def test_it_needs_nothing_of_the_engine():
    text = Path(reference.__file__).read_text()
    assert set(re.findall(r"^from memcap\.([\w.]+)", text, re.MULTILINE)) == {
        "config.member",
        "models.network",
        "optimizers",
        "rule",
        "tasks.base",
    }
