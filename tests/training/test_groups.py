"""Members of several widths and lengths share programs where compiling is dear: few of
them, and the padding is exact."""

import threading
from dataclasses import replace

import jax
import numpy as np
import pytest
from breadth import leave

import memcap
from memcap.cells import cell_class, cell_classes
from memcap.config.member import Engine
from memcap.training import program as programs
from memcap.training.engine import train
from memcap.training.operands import initial_state, train_operands, weights_of
from memcap.training.program import Groups, Program, Size, bucket, compiled, size_of
from memcap.training.queue import Queue
from memcap.training.step import Trainer, TrainSpec

pytestmark = pytest.mark.usefixtures("quick_file")

TOGETHER = Engine(loop="associative", workers=1)
IN_TURN = Engine(loop="while", workers=1)
PADDING = [name for name, cell in cell_classes().items() if cell.can_pad]


def one(units=3, cell="lstm", **values):
    usual = {
        "task": "delay_line",
        "lag": 2,
        "recipe": "forget_bias",
        "batch": 8,
        "seed": [1],
    }
    (member,) = memcap.members(units=units, cell=cell, **usual | values)
    return member


def test_buckets_grow_by_four():
    assert [bucket(n, 4) for n in (1, 4, 5, 16, 17, 64, 65)] == [
        4,
        4,
        16,
        16,
        64,
        64,
        256,
    ]


def test_a_column_of_the_frontier_compiles_at_most_six_programs():
    """Whether its recipe has a curriculum or not."""
    lags = [1, 2, 3, 5, 8, 13, 21, 34, 50]
    recipes = ["open_gate", "curriculum"]
    members = memcap.members(
        task="delay_line", lag=lags, recipe=recipes, units="1..64", seed=1
    )
    ahead = Queue(members, TOGETHER).programs_to_compile()
    assert len(ahead) == len(set(ahead)) <= 6
    for member in members:
        own = replace(TrainSpec.of(member), curriculum=True)
        assert any(
            Size.needed_by(member).fits(size_of(p))
            and replace(p.spec, architecture=member.architecture) == own
            for p in ahead
        )


@pytest.mark.breadth
def test_members_with_and_without_a_curriculum_train_in_one_program_as_alone():
    values = {
        "task": "delay_line",
        "lag": 3,
        "units": 4,
        "budget": 120,
        "sequences": 256,
        "seed": 2,
    }
    members = memcap.members(
        **values, recipe=["open_gate", "curriculum"], falls_above=2
    )
    together = train(members, replace(TOGETHER, lanes=4))
    alone = train(members, IN_TURN)
    assert len({Groups(TOGETHER).of(m) for m in members}) == 1
    assert len({Groups(IN_TURN).of(m) for m in members}) == 2
    for one, other in zip(together, alone, strict=True):
        assert one.member == other.member
        assert (one.status, one.steps, one.solved) == (
            other.status,
            other.steps,
            other.solved,
        )
        np.testing.assert_allclose(
            [one.score, one.train_loss], [other.score, other.train_loss], rtol=2e-3
        )


def test_a_program_is_no_larger_than_what_may_come():
    lags = [20, 50]
    units = [17, 20]
    members = memcap.members(
        task="delay_line", lag=lags, units=units, recipe="curriculum", seed=1
    )
    (program,) = Queue(members[:1], TOGETHER, candidates=members).programs_to_compile()
    assert size_of(program) == (20, 200, 1000)


def test_on_a_cpu_each_width_has_its_own_program_and_all_lengths_share_it():
    members = memcap.members(
        task="delay_line", lag=[1, 8, 16], units=[3, 4], recipe="forget_bias", seed=1
    )
    found = Queue(members, IN_TURN).programs_to_compile()
    assert {
        (size_of(program).units, program.trainer.max_length) for program in found
    } == {(3, 64), (4, 64)}


def test_a_cell_that_does_not_pad_keeps_its_width():
    assert not cell_class("LSTMCell").can_pad
    assert (
        Groups(TOGETHER)
        .of(one(3, "LSTMCell", init="flax", forget_bias=None))
        .spec.architecture.model.units
        == 3
    )
    assert Groups(TOGETHER).of(one(3, "GRUCell")).spec.architecture.model.units == 4


@pytest.mark.parametrize(
    ("cell", "readout", "layers"),
    [*((cell, "dense", 1) for cell in PADDING), ("GRUCell", "lstm", 3)],
)
def test_resizing_there_and_back_changes_nothing(cell, readout, layers):
    architecture = one(3, cell, readout=readout, layers=layers).architecture
    rng = np.random.default_rng(1)
    weights = jax.tree.map(
        lambda leaf: rng.standard_normal(leaf.shape).astype(leaf.dtype),
        architecture.abstract_weights(),
    )
    wide = architecture.resized(weights, 7)
    shapes = jax.tree.map(np.shape, wide)
    assert shapes == jax.tree.map(
        lambda leaf: leaf.shape, architecture.at_width(7).abstract_weights()
    )
    again = architecture.at_width(7).resized(wide, 3)
    assert jax.tree.all(jax.tree.map(np.array_equal, weights, again))


@pytest.mark.usefixtures("quick_compile")
@pytest.mark.parametrize(
    ("cell", "layers", "optimizer"),
    [
        ("lstm", 1, "adam"),
        *leave([("GRUCell", 1, "adam"), ("lstm", 2, "muon")]),
        *(
            pytest.param(*each, marks=pytest.mark.slow)
            for each in [
                *(
                    (cell, 1, "adam")
                    for cell in PADDING
                    if cell not in ("lstm", "GRUCell")
                ),
                ("lstm", 2, "adam"),
                ("SimpleCell", 1, "muon"),
            ]
        ),
    ],
)
def test_a_padded_unit_stays_zero_after_400_steps_and_the_rest_learns_as_alone(
    cell, layers, optimizer
):
    member = one(3, cell, layers=layers, every=20, budget=400, optimizer=optimizer)
    alone = Trainer(
        TrainSpec.of(member),
        member.length,
        member.length,
        "associative",
        side_by_side=True,
    )
    wide = replace(alone, spec=alone.spec.at_width(5))
    start = np.asarray(initial_state(alone, member).params)
    few = {}
    states = {}
    for t in (alone, wide):
        operands = train_operands(t, member)
        chunk = jax.jit(t.train_chunk)
        states[t] = few[t] = chunk(initial_state(t, member), operands)[0]
        for _ in range(19):
            states[t] = chunk(states[t], operands)[0]
    vector = np.asarray(states[wide].params)
    padded = wide.spec.architecture.unflatten(vector)
    cropped_and_back = member.architecture.resized(weights_of(wide, member, vector), 5)
    assert int(states[wide].step) == 400
    # so all that was cropped is exactly zero
    assert jax.tree.all(jax.tree.map(np.array_equal, padded, cropped_and_back))
    assert np.abs(np.asarray(states[alone].params) - start).max() > 0.1
    ends = {t: weights_of(t, member, np.asarray(few[t].params)) for t in few}
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        ends[alone],
        ends[wide],
    )


@pytest.mark.breadth
def test_a_search_makes_its_programs_as_large_as_it_will_need_them():
    members = memcap.members(
        task="delay_line",
        lag=[1, 2],
        units="1..3",
        seed=4,
        budget=20,
        batch=8,
        sequences=16,
        stretch=1,
    )
    made = []

    def more(results):
        made.extend(results)
        return members if len(made) == 1 else ()

    found = train(
        members[:1], replace(TOGETHER, lanes=0), next_members=more, candidates=members
    )
    assert len(found) == len(members)
    assert {(r.program_units, r.program_steps) for r in found} == {(3, 14)}


def test_a_program_is_compiled_once_whoever_asks(monkeypatch):
    program = Program.of(one(2, lag=1, budget=7))
    calls = []
    gate = threading.Event()

    def compile_slowly(asked):
        calls.append(asked)
        gate.wait(10)
        return asked

    monkeypatch.setattr(programs, "_compile", compile_slowly)
    found = []
    threads = [
        threading.Thread(target=lambda: found.append(compiled(program)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    gate.set()
    for thread in threads:
        thread.join()
    assert found == [program] * 4
    assert len(calls) == 1
    programs._jobs.pop(program)


def test_a_program_that_failed_to_compile_is_tried_again(monkeypatch):
    program = Program.of(one(2, lag=1, budget=9))
    monkeypatch.setattr(
        programs,
        "_compile",
        lambda asked: (_ for _ in ()).throw(MemoryError("too large")),
    )
    for _ in range(2):
        with pytest.raises(MemoryError, match="too large"):
            compiled(program)
