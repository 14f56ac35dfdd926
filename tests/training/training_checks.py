"""Helpers of the training tests: small members, and a listener that remembers what it was told."""

from copy import copy
from typing import Any

import numpy as np

import memcap
from memcap.config.member import Engine, Member
from memcap.training.engine import CurveChunk, Listener, Result
from memcap.training.program import Program
from memcap.training.queue import Queue

ONE = Engine(loop="while", lanes=4, workers=1)


def member(task: str = "latch", lag: int = 3, *, seed: int = 0, **axes: Any) -> Member:
    """A member that trains in a blink: one unit, 30 steps, evaluations of 64 sequences."""
    usual = {"units": 1, "budget": 30, "batch": 16}
    usual |= {"every": 10, "sequences": 64, "stretch": 2}
    (made,) = memcap.members(task=task, lag=lag, seed=[seed], **usual | axes)
    return made


def unchecked(member: Member, **recipe: Any) -> Member:
    """The member with values of the recipe that no user may set. Members share their
    parts, so nothing is changed in place."""
    twin = copy(member)
    own = copy(member.recipe)
    for name, value in recipe.items():
        object.__setattr__(own, name, value)
    object.__setattr__(twin, "recipe", own)
    return twin


class Remembers(Listener):
    """Keeps every call."""

    def __init__(self) -> None:
        self.points: dict[Member, list[tuple[int, dict[str, float]]]] = {}
        self.results: list[Result] = []
        self.populations: list[str] = []  # of each result

    def add_curve(self, chunk: CurveChunk) -> None:
        points = self.points.setdefault(chunk.member, [])
        for step, values in chunk.points():
            # what is said of one step at several times belongs together
            if points and points[-1][0] == step:
                points[-1][1].update(values)
            else:
                points.append((step, values))

    def finish(self, program, ended) -> None:
        self.results += ended
        self.populations += [program] * len(ended)


def programs(members, engine: Engine) -> dict[Program, list[Member]]:
    """Return what one worker would claim and take, in its order."""
    queue = Queue(members, engine)
    found = {}
    while any(queue.pending.values()):
        program = queue.claim_program(0)
        found[program] = queue.take_members(0, program, len(members))
    return found


def vector(ended: Result) -> np.ndarray:
    """A result's weights as one vector."""
    return ended.member.architecture.flatten(ended.weights)


def start(member: Member) -> np.ndarray:
    """A member's weights before training, as one vector."""
    architecture = member.architecture
    return architecture.flatten(
        architecture.init(member.init, [member.seed, member.lag, member.model.units])
    )


def assert_same(one: Result, other: Result) -> None:
    """Equal to float rounding."""
    assert verdict(one) == verdict(other)
    scores = [(e.score, e.best, e.stretched, e.train_loss) for e in (one, other)]
    np.testing.assert_allclose(*scores, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(vector(one), vector(other), rtol=1e-4, atol=1e-5)


def verdict(ended: Result) -> tuple[Any, ...]:
    """A member, and the steps after which it had each verdict."""
    steps = (ended.steps, ended.solved, ended.steady, ended.up_to)
    return (ended.member, ended.status, *steps)
