"""The engine: a member's result is its own, whoever its neighbours are and however they
share the machine."""

import os
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

from memcap.config.knobs import UserError
from memcap.config.member import Engine
from memcap.runtime import cores
from memcap.training import engine
from memcap.training import program as program_module
from memcap.training.engine import train
from memcap.training.step import Trainer

pytestmark = pytest.mark.usefixtures("quick_file")

TARGET = member("delay_line", 2, seed=3, model={"units": 2})
OTHERS = [
    member("delay_line", 1, seed=1, model={"units": 2}, recipe={"lr": 0.1}),
    member(
        "delay_line",
        7,
        seed=7,
        model={"units": 2},
        recipe={"name": "forget_bias", "schedule": "constant", "budget": 45},
    ),
    member(
        "delay_line", 2, seed=4, model={"units": 2}, recipe={"budget": 15, "warmup": 5}
    ),
    member("delay_line", 2, seed=3, model={"units": 3}),
    member(
        "delay_line", 3, seed=2, length=31, model={"units": 2}, recipe={"init": "hold"}
    ),
]
POPULATION = [*OTHERS[:3], TARGET, *OTHERS[3:]]


@pytest.fixture(scope="module")
def reference():
    listener = Remembers()
    return train(POPULATION, ONE, listener), listener


def test_a_member_alone_and_among_others_has_one_result(reference):
    listener = Remembers()
    (alone,) = train([TARGET], ONE, listener)
    assert_same(alone, reference[0][3])
    mine = listener.points[TARGET]
    among = reference[1].points[TARGET]
    assert [step for step, _ in mine] == [step for step, _ in among] == [*range(1, 31)]
    for (_, values), (_, others) in zip(mine, among, strict=True):
        assert values == pytest.approx(others, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize(
    "other",
    [
        # one after another: the queue
        *leave([Engine(loop="while", lanes=1, workers=1)]),
        *leave([Engine(loop="while", lanes=2, workers=2)]),  # a process beside this one
        *leave([Engine(loop="associative", lanes=4, workers=1)]),
    ],
    ids=lambda e: f"{e.loop}-{e.lanes}-{e.workers}",
)
def test_how_members_share_the_machine_changes_no_result(reference, other):
    for one, same in zip(reference[0], train(POPULATION, other), strict=True):
        assert_same(one, same)
        assert same.side_by_side == (other.loop == "associative")


def test_equal_members_train_once():
    listener = Remembers()
    assert len(train([TARGET, replace(TARGET), TARGET], ONE, listener)) == 3
    assert len(listener.results) == 1


def test_no_members_is_no_work():
    assert train([], ONE) == []


# Steady


def streams():
    """At lag 1: steady when it is solved, steady later, never steady. Short sequences
    teach little of life after the start."""
    ask = {"every": 5, "stretch": 50, "until": "steady"}
    recipe = {"lr": 0.1, "batch": 32, "budget": 113, "schedule": "constant"}
    common = {"model": {"units": 2}, "recipe": recipe, "evaluation": ask}
    lengths = {3: 4, 12: 4, 1: 3}  # by seed
    return [
        member("delay_line", 1, seed=seed, length=length, **common)
        for seed, length in lengths.items()
    ]


def test_a_solved_stream_trains_on_until_it_is_steady_or_the_budget_ends():
    results = train(streams(), ONE)
    at_once, later, never = results
    assert at_once.steps == at_once.solved == at_once.steady < 113
    assert later.solved < later.steps == later.steady < 113
    assert later.steady % 25 == 0
    assert (never.steps, never.steady) == (113, None)
    assert never.solved < 100
    assert [e.status for e in results] == ["solved"] * 3
    assert [e.passed for e in results] == [True, True, False]
    assert min(at_once.stretched, later.stretched) >= 0.99 > never.stretched


# Divergence


# a learning rate at which weights overflow what a loss can be computed from
WILD = 1e38


@pytest.mark.parametrize("loop", ["while", *leave(["associative"])])
def test_divergence_is_recorded_and_leaves_the_neighbours_alone(loop):
    calm = [member("adding", lag, seed=lag, recipe={"lr": 0.1}) for lag in (3, 5, 4)]
    shared = Engine(loop=loop, lanes=2, workers=1)
    usual = train(calm, shared)
    listener = Remembers()
    first, lost, last = train(
        [calm[0], unchecked(calm[1], lr=WILD), calm[2]], shared, listener
    )
    assert (lost.status, lost.steps) == ("diverged", 1)
    assert not np.isfinite(lost.train_loss)
    assert np.isnan(lost.score)
    assert np.isnan(lost.best)
    assert np.isfinite(vector(lost)).all()
    # its last finite weights, not a fresh start
    assert np.abs(vector(lost)).max() > 1e37
    assert len(listener.results) == 3
    for mine, before in ((first, usual[0]), (last, usual[2])):
        assert mine.status == before.status == "unsolved"
        np.testing.assert_array_equal(vector(mine), vector(before))
        assert (mine.score, mine.stretched) == (before.score, before.stretched)


# One program a width


@pytest.fixture
def counted(monkeypatch):
    """How often Python walks through a training step, and how often XLA compiles."""
    counts = {"steps": [], "compiled": 0}
    step = Trainer.train_step
    build = jax.stages.Lowered.compile

    def traced(self, *arguments):
        counts["steps"].append(self.spec.architecture.model.units)
        return step(self, *arguments)

    def built(self, *arguments, **options):
        counts["compiled"] += 1
        return build(self, *arguments, **options)

    monkeypatch.setattr(Trainer, "train_step", traced)
    monkeypatch.setattr(jax.stages.Lowered, "compile", built)
    program_module._jobs.clear()
    return counts


def test_a_width_is_traced_and_compiled_once(counted):
    points = [
        (lag, lr, seed, budget)
        for lag in (1, 4)
        for lr in (0.1, 0.01)
        for seed in (0, 1)
        for budget in (3, 12)
    ]
    many = [
        member(
            "latch",
            lag,
            seed=seed,
            model={"units": units},
            recipe={"lr": lr, "budget": budget},
        )
        for lag, lr, seed, budget in points
        for units in (1, 2)
    ]
    train(many, Engine(loop="while", lanes=3, workers=1))
    assert sorted(counted["steps"]) == [1, 2]
    assert counted["compiled"] == 4  # a width's training, and its stretched evaluation
    shorter = [
        member("latch", 4, seed=9, recipe={"budget": 5}),
        member("latch", 2, seed=8, recipe={"warmup": 2}),
    ]
    train(shorter, Engine(loop="while", lanes=3, workers=1))
    assert counted["compiled"] == 4


def test_programs_group_by_what_a_program_depends_on():
    base = member("latch", 3)
    same = [
        member(
            "latch",
            9,
            seed=5,
            recipe={
                "lr": 0.5,
                "schedule": "cosine",
                "warmup": 3,
                "budget": 77,
                "init": "chrono",
            },
        ),
        member("latch", 3, length=20),
    ]
    apart = [
        member("latch", 3, symbols=3),
        member("copy", 3),
        member("latch", 3, model={"units": 2}),
    ]
    apart += [
        member("latch", 3, model={"cell": "GRUCell"}),
        member("latch", 3, model={"readout": "lstm"}),
    ]
    apart += [
        member("latch", 3, recipe={"batch": 8}),
        member("latch", 3, recipe={"clip": 0.5}),
    ]
    apart += [
        member("latch", 3, evaluation={"every": 20}),
        member("latch", 3, evaluation={"stretch": 3}),
    ]
    groups = programs([base, *apart, *same], ONE)
    assert len(groups) == 1 + len(apart)
    together = next(group for group in groups.values() if base in group)
    assert together == [base, *same]
    program = next(program for program, group in groups.items() if group is together)
    assert program.trainer.max_length == 20
    assert program.trainer.max_eval_length == 20
    assert (program.lanes, program.trainer.side_by_side, program.devices) == (
        4,
        False,
        1,
    )


def test_defaults_of_the_engine_on_a_cpu():
    (program,) = programs([TARGET], Engine())
    assert (program.lanes, program.trainer.side_by_side) == (1, False)
    assert engine.worker_count(Engine()) == cores.count() <= os.cpu_count()
    assert engine.worker_count(Engine(workers=3)) == 3


def test_one_process_drives_all_accelerators(monkeypatch):
    monkeypatch.setattr(engine.jax, "default_backend", lambda: "gpu")
    assert engine.worker_count(Engine()) == 1
    with pytest.raises(
        UserError, match=r"engine\.workers=2: one process drives all accelerators"
    ):
        engine.worker_count(Engine(workers=2))


# Curves


def test_curves_are_reported(reference):
    results, listener = reference
    assert sorted(Counter(listener.populations).values()) == [1, 5]
    assert sorted(e.member.key for e in listener.results) == sorted(
        m.key for m in POPULATION
    )
    for ended in results:
        steps = [step for step, _ in listener.points[ended.member]]
        budget = ended.member.recipe.budget
        assert steps == [*range(1, budget + 1)]
        for step, values in listener.points[ended.member]:
            chunk_ends = step % 10 == 0 or step == budget
            assert set(values) - {"eval/accuracy"} == {"train/loss"} | (
                {"train/accuracy", "train/lr"} if chunk_ends else set()
            )
            assert values["train/loss"] > 0
            assert 0 <= values.get("train/accuracy", 0) <= 1
        points = listener.points[ended.member]
        assert points[-1][1]["eval/accuracy"] == ended.score
        last_chunk = [
            values["train/loss"]
            for step, values in points
            if step > (budget - 1) // 10 * 10
        ]
        assert np.mean(last_chunk) == pytest.approx(ended.train_loss, rel=1e-5)
        assert ended.run_seconds > 0
        assert ended.compile_seconds > 0


def test_an_error_in_a_listener_ends_the_job():
    class Breaks(Remembers):
        def add_curve(self, chunk) -> None:
            raise RuntimeError("no")

    with pytest.raises(RuntimeError, match="no"):
        train(POPULATION, Engine(loop="while", lanes=4, workers=2), Breaks())
