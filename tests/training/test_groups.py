"""Members of several widths and lengths share programs where compiling is dear: few of
them, and the padding is exact."""

from dataclasses import replace
from functools import partial

import jax
import numpy as np
import pytest
from breadth import leave
from training_checks import verdict

import memcap
from memcap.cells import cell_classes
from memcap.config.member import Engine
from memcap.training.engine import train
from memcap.training.host import initial_state, train_operands, weights_of
from memcap.training.program import Groups
from memcap.training.queue import Queue
from memcap.training.step import Trainer, TrainSpec

pytestmark = pytest.mark.usefixtures("quick_file")

TOGETHER = Engine(loop="associative", workers=1)
IN_TURN = Engine(loop="while", workers=1)
PADDING = [name for name, cell in cell_classes().items() if cell.can_pad]


def one(units=3, cell="lstm", **values):
    usual = {"task": "delay_line", "lag": 2, "recipe": "forget_bias", "batch": 8}
    (member,) = memcap.members(units=units, cell=cell, seed=[1], **usual | values)
    return member


def test_a_column_of_the_frontier_compiles_at_most_six_programs():
    """Whether its recipe has a curriculum or not."""
    lags = [1, 2, 3, 5, 8, 13, 21, 34, 50]
    recipes = ["open_gate", "curriculum"]
    axes = {"lag": lags, "recipe": recipes, "units": "1..64", "seed": 1}
    members = memcap.members("delay_line", **axes)
    ahead = Queue(members, TOGETHER).programs_to_compile()
    assert len(ahead) == len(set(ahead)) <= 6


@pytest.mark.breadth
def test_members_with_and_without_a_curriculum_train_in_one_program_as_alone():
    values = {"lag": 3, "units": 4, "budget": 120, "sequences": 256, "seed": 2}
    values |= {"recipe": ["open_gate", "curriculum"], "falls_above": 2}
    members = memcap.members("delay_line", **values)
    together = train(members, replace(TOGETHER, lanes=4))
    assert len({Groups(TOGETHER).of(m) for m in members}) == 1
    assert len({Groups(IN_TURN).of(m) for m in members}) == 2
    for one, other in zip(together, train(members, IN_TURN), strict=True):
        assert verdict(one) == verdict(other)
        scores = [(found.score, found.train_loss) for found in (one, other)]
        np.testing.assert_allclose(*scores, rtol=2e-3)


@pytest.mark.usefixtures("quick_compile")
@pytest.mark.parametrize(
    ("cell", "layers", "optimizer"),
    [
        ("lstm", 1, "adam"),
        *leave([("GRUCell", 1, "adam"), ("lstm", 2, "muon")]),
        *(
            pytest.param(cell, 1, "adam", marks=pytest.mark.slow)
            for cell in PADDING
            if cell not in ("lstm", "GRUCell")
        ),
        pytest.param("lstm", 2, "adam", marks=pytest.mark.slow),
        pytest.param("SimpleCell", 1, "muon", marks=pytest.mark.slow),
    ],
)
def test_a_padded_unit_stays_zero_after_400_steps_and_the_rest_learns_as_alone(
    cell, layers, optimizer
):
    member = one(3, cell, layers=layers, every=20, budget=400, optimizer=optimizer)
    length = member.length
    spec = TrainSpec.of(member)
    alone = Trainer(spec, length, length, "associative", side_by_side=True)
    wide = replace(alone, spec=spec.at_width(5))
    start = np.asarray(initial_state(alone, member).params)
    few = {}
    states = {}
    for trainer in (alone, wide):
        operands = train_operands(trainer, member)
        chunk = jax.jit(trainer.train_chunk)
        state, _ = chunk(initial_state(trainer, member), operands)
        few[trainer] = weights_of(trainer, member, np.asarray(state.params))
        for _ in range(19):
            state, _ = chunk(state, operands)
        states[trainer] = state
    vector = np.asarray(states[wide].params)
    padded = wide.spec.architecture.unflatten(vector)
    cropped_and_back = member.architecture.resized(weights_of(wide, member, vector), 5)
    assert int(states[wide].step) == 400
    # so all that was cropped is exactly zero
    jax.tree.map(np.testing.assert_array_equal, padded, cropped_and_back)
    assert np.abs(np.asarray(states[alone].params) - start).max() > 0.1
    close = partial(np.testing.assert_allclose, rtol=1e-3, atol=1e-5)
    jax.tree.map(close, few[alone], few[wide])


@pytest.mark.breadth
def test_a_search_makes_its_programs_as_large_as_it_will_need_them():
    values = {"lag": [1, 2], "units": "1..3", "seed": 4, "budget": 20, "batch": 8}
    members = memcap.members("delay_line", sequences=16, stretch=1, **values)
    rounds = []

    def more(results):
        rounds.append(results)
        return members if len(rounds) == 1 else ()

    engine = replace(TOGETHER, lanes=0)
    found = train(members[:1], engine, next_members=more, candidates=members)
    assert len(found) == len(members)
    assert {(r.program_units, r.program_steps) for r in found} == {(3, 14)}


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
    wider = architecture.at_width(7)
    expected = jax.tree.map(lambda leaf: leaf.shape, wider.abstract_weights())
    assert jax.tree.map(np.shape, wide) == expected
    again = wider.resized(wide, 3)
    jax.tree.map(np.testing.assert_array_equal, weights, again)
