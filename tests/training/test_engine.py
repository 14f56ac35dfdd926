"""The engine: a member's result is its own, whoever its neighbours are and however they
share the machine."""

from collections import Counter
from dataclasses import replace

import jax
import numpy as np
import pytest
from breadth import leave
from training_checks import (
    ONE,
    Remembers,
    assert_same,
    member,
    programs,
    unchecked,
    vector,
)

import memcap
from memcap.config.member import Engine
from memcap.knobs import UserError
from memcap.training import engine, program as program_module
from memcap.training.engine import train
from memcap.training.step import Trainer

pytestmark = pytest.mark.usefixtures("quick_file")

TARGET = member("delay_line", 2, seed=3, units=2)
OTHERS = [
    member("delay_line", 1, seed=1, units=2, lr=0.1),
    member("delay_line", 7, seed=7, units=2, recipe="forget_bias", budget=45),
    member("delay_line", 2, seed=4, units=2, budget=15, warmup=5),
    member("delay_line", 2, seed=3, units=3),
    member("delay_line", 3, seed=2, length=31, units=2, init="hold"),
]
POPULATION = [*OTHERS[:3], TARGET, *OTHERS[3:]]


@pytest.fixture(scope="module")
def reference():
    listener = Remembers()
    return train(POPULATION, ONE, listener), listener


def test_a_member_alone_and_among_others_has_one_result(reference):
    """And equal members train once."""
    results, among = reference
    listener = Remembers()
    alone, *same = train([TARGET, replace(TARGET), TARGET], ONE, listener)
    assert same == [alone, alone]
    assert len(listener.results) == 1
    assert_same(alone, results[3])
    points = dict(listener.points[TARGET])
    assert list(points) == [*range(1, 31)]
    for step, values in among.points[TARGET]:
        assert values == pytest.approx(points[step], rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    "other",
    leave(
        [
            Engine(loop="while", lanes=1, workers=1),  # one after another: the queue
            Engine(loop="while", lanes=2, workers=2),  # a process beside this one
            Engine(loop="associative", lanes=4, workers=1),
        ]
    ),
    ids=lambda e: f"{e.loop}-{e.lanes}-{e.workers}",
)
def test_how_members_share_the_machine_changes_no_result(reference, other):
    for one, same in zip(reference[0], train(POPULATION, other), strict=True):
        assert_same(one, same)
        assert same.side_by_side == (other.loop == "associative")


def test_a_solved_stream_trains_on_until_it_is_steady_or_the_budget_ends():
    """At lag 1, on short sequences, which teach little of life after the start."""
    values = {"units": 2, "lr": 0.1, "batch": 32, "budget": 113, "schedule": "constant"}
    values |= {"every": 5, "stretch": 50, "until": "steady"}
    lengths = {3: 4, 12: 4, 1: 3}  # by seed
    results = train(
        [
            member("delay_line", 1, seed=seed, length=length, **values)
            for seed, length in lengths.items()
        ],
        ONE,
    )
    at_once, later, never = results
    assert at_once.steps == at_once.solved == at_once.steady < 113
    assert later.solved < later.steps == later.steady < 113
    assert later.steady % 25 == 0
    assert (never.steps, never.steady) == (113, None)
    assert never.solved < 100
    assert [e.status for e in results] == ["solved"] * 3
    assert [e.passed for e in results] == [True, True, False]
    assert min(at_once.stretched, later.stretched) >= 0.99 > never.stretched


# a learning rate at which weights overflow what a loss can be computed from
WILD = 1e38


@pytest.mark.parametrize("loop", ["while", *leave(["associative"])])
def test_divergence_is_recorded_and_leaves_the_neighbours_alone(loop):
    calm = [member("adding", lag, seed=lag, lr=0.1) for lag in (3, 5, 4)]
    shared = Engine(loop=loop, lanes=2, workers=1)
    usual = train(calm, shared)
    first, lost, last = train([calm[0], unchecked(calm[1], lr=WILD), calm[2]], shared)
    assert (lost.status, lost.steps) == ("diverged", 1)
    assert not np.isfinite(lost.train_loss)
    assert np.isnan([lost.score, lost.best]).all()
    # its last finite weights, not a fresh start
    assert np.isfinite(vector(lost)).all()
    assert np.abs(vector(lost)).max() > 1e37
    for found, before in ((first, usual[0]), (last, usual[2])):
        assert found.status == before.status == "unsolved"
        np.testing.assert_array_equal(vector(found), vector(before))
        assert (found.score, found.stretched) == (before.score, before.stretched)


# One program a width


@pytest.fixture
def counted(monkeypatch):
    """How often Python walks through a training step, and how often XLA compiles."""
    counts = Counter()
    step = Trainer.train_step
    build = jax.stages.Lowered.compile

    def traced(self, *arguments):
        counts[self.spec.architecture.model.units] += 1
        return step(self, *arguments)

    def built(self, *arguments, **options):
        counts["compiled"] += 1
        return build(self, *arguments, **options)

    monkeypatch.setattr(Trainer, "train_step", traced)
    monkeypatch.setattr(jax.stages.Lowered, "compile", built)
    program_module._jobs.clear()
    return counts


def test_a_width_is_traced_and_compiled_once(counted):
    shared = Engine(loop="while", lanes=3, workers=1)
    values = {"batch": 16, "every": 10, "sequences": 64, "stretch": 2}
    values |= {"units": [1, 2], "lr": [0.1, 0.01], "budget": [3, 12], "seed": 2}
    train(memcap.members("latch", lag=[1, 4], **values), shared)
    # a width's training, and its stretched evaluation
    assert counted == {1: 1, 2: 1, "compiled": 4}
    train([member(lag=4, seed=9, budget=5), member(lag=2, seed=8, warmup=2)], shared)
    assert counted["compiled"] == 4


def test_programs_group_by_what_a_program_depends_on():
    base = member()
    same = [
        member(lag=9, seed=5, lr=0.5, schedule="cosine", warmup=3, budget=77),
        member(init="chrono"),
        member(length=20),
    ]
    apart = {"symbols": 3, "task": "copy", "units": 2, "cell": "GRUCell"}
    apart |= {"readout": "lstm", "batch": 8, "clip": 0.5, "every": 20, "stretch": 3}
    others = [member(**{name: value}) for name, value in apart.items()]
    groups = programs([base, *others, *same], ONE)
    assert len(groups) == 1 + len(apart)
    program = next(program for program, group in groups.items() if base in group)
    assert groups[program] == [base, *same]
    assert program.trainer.max_length == program.trainer.max_eval_length == 20


def test_one_process_drives_all_accelerators(monkeypatch):
    monkeypatch.setattr(engine.jax, "default_backend", lambda: "gpu")
    assert engine.worker_count(Engine()) == 1
    said = r"engine\.workers=2: one process drives all accelerators"
    with pytest.raises(UserError, match=said):
        engine.worker_count(Engine(workers=2))


# Curves


def test_curves_are_reported(reference):
    results, listener = reference
    assert sorted(Counter(listener.populations).values()) == [1, 5]
    assert {e.member for e in listener.results} == set(POPULATION)
    for ended in results:
        points = dict(listener.points[ended.member])
        budget = ended.member.recipe.budget
        assert list(points) == [*range(1, budget + 1)]
        for step, values in points.items():
            names = {"train/loss"}
            if step % 10 == 0 or step == budget:
                names |= {"train/accuracy", "train/lr"}
            assert set(values) - {"eval/accuracy"} == names
        assert points[budget]["eval/accuracy"] == ended.score
        last_chunk = range((budget - 1) // 10 * 10 + 1, budget + 1)
        losses = [points[step]["train/loss"] for step in last_chunk]
        assert np.mean(losses) == pytest.approx(ended.train_loss, rel=1e-5)


def test_an_error_in_a_listener_ends_the_job():
    class Breaks(Remembers):
        def add_curve(self, chunk) -> None:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        train(POPULATION, Engine(loop="while", lanes=4, workers=2), Breaks())
