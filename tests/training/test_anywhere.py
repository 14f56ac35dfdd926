"""Members that are to be right at every lag up to their own, wherever it begins."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from training_checks import ONE, member

from memcap.config.member import Engine, Member
from memcap.knobs import UserError
from memcap.rule import Evaluation, Stream
from memcap.tasks import Latch
from memcap.training import host
from memcap.training.engine import train
from memcap.training.host import initial_state, score_lag, train_operands
from memcap.training.program import Program

pytestmark = pytest.mark.usefixtures("quick_file")

ASK = {"every": 100, "sequences": 512, "until": "anywhere"}


def latch(units=2, seed=0, budget=2000, **values):
    return member(
        "latch", 8, units=units, seed=seed, batch=32, budget=budget, **ASK | values
    )


@pytest.fixture(scope="module")
def anywhere():
    """A latch that drew its lags, and what came before."""
    return train([latch()], ONE)[0]


def outputs_of(ended, inputs):
    network = ended.member.architecture.build(ended.weights)
    return np.asarray(jax.jit(network)(inputs))


def test_a_net_is_right_wherever_it_begins(anywhere):
    """By its own network, on sequences that nobody drew before."""
    assert anywhere.passed
    assert anywhere.solved <= anywhere.anywhere == anywhere.steps
    assert 0.99 <= anywhere.worst <= anywhere.mean
    task = anywhere.member.task
    for lag, length in ((1, 3), (1, 10), (4, 8), (8, 10)):
        batch = task.sample(jax.random.key(lag), lag, length, length, 512)
        outputs = outputs_of(anywhere, batch.inputs)[:, -1]
        assert (outputs.argmax(0) == batch.targets).mean() > 0.98


def test_one_that_saw_nothing_before_is_not(anywhere):
    """It is right at every lag where it begins at the first step, and not elsewhere."""
    (first,) = train([latch(recipe="uniform")], ONE)
    assert first.solved is not None
    assert first.anywhere is None
    assert first.status == "solved"
    assert first.worst < anywhere.worst


def test_all_sequences_are_tried_where_they_are_few():
    values = {"items": 2, "units": 4, "recipe": "anywhere", "budget": 3000}
    (copies,) = train([member("copy", 3, batch=32, **values, **ASK)], ONE)
    one = copies.member
    assert copies.anywhere is not None
    assert copies.exact_lags == 3
    worst = 1.0
    for lag in (1, 2, 3):
        right = []
        for length in range(4 + lag, 8):
            batch = one.task.enumerated(np.arange(4), lag, length, length)
            outputs = outputs_of(copies, batch.inputs)
            right.append((outputs.argmax(0) == batch.targets)[np.asarray(batch.mask)])
        worst = min(worst, np.mean(right))
    assert copies.worst == pytest.approx(worst, abs=1e-6)


def tallies(one, lag, first, last, blocks, draw=0):
    """Sum up sequences of a net that always answers with the same class."""
    trainer = Program.of(one).trainer
    params = np.zeros(one.architecture.parameters(), np.float32)
    tables = []

    class Test(NamedTuple):
        """In place of the test: draws once."""

        criterion: Any
        draw: Any
        block: int
        is_exact: bool

        def score(self, shortest, longest):
            tables.append(self.draw(first, last, blocks))

    def tally(operands):
        return np.asarray(jax.jit(trainer.tally)(params, operands))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "LagTest", Test)
        score_lag(one, lag, tally, lambda: draw)
    return tables[0]


def test_each_length_has_its_blocks():
    one = latch()
    tally = tallies(one, 3, 6, 9, 2)
    assert tally.sequences.tolist() == [512] * 4
    assert tally.answers.tolist() == [512] * 4
    # one of two symbols, at random
    assert np.abs(tally.errors / 512 - 0.5).max() < 0.1
    assert tally.squares.tolist() == tally.errors.tolist()


def test_draws_have_other_sequences():
    one = latch()
    errors = {tuple(tallies(one, 3, 5, 10, 1, draw).errors) for draw in range(5)}
    assert len(errors) == 5


def test_all_sequences_of_each_length_are_counted_once():
    tally = tallies(member("copy", 3, items=2, units=4, **ASK), 2, 6, 7, 1)
    assert tally.sequences.tolist() == [4, 4]
    assert tally.answers.tolist() == [8, 8]
    assert tally.errors.tolist() == [4, 4]
    assert tally.squares.tolist() == [0 + 1 + 1 + 4] * 2


@dataclass(frozen=True)
class Prefixed(Latch):
    """A latch of which there are more sequences, the longer they are."""

    distractors: int = 0

    def sequences_in_all(self, lag, length):
        """Return twice as many for each step before what counts."""
        return 2 ** (length - lag - 1)

    def enumerated(self, numbers, lag, length, steps):
        """Return the latch's own, by the last bit of the number."""
        return super().enumerated(numbers % 2, lag, length, steps)


def test_where_lengths_have_other_numbers_of_sequences_each_is_counted():
    one = Member(Prefixed(), 8, evaluation=Evaluation(until="anywhere"))
    assert one.sequences_at(3) == [2, 4, 8, 16, 32, 64]
    tally = tallies(one, 3, 5, 10, 1)
    assert tally.sequences.tolist() == [2, 4, 8, 16, 32, 64]
    assert tally.errors.tolist() == [1, 2, 4, 8, 16, 32]


def test_more_than_a_thousand_sequences_are_drawn():
    one = Member(Prefixed(), 20, evaluation=Evaluation(until="anywhere"))
    assert one.sequences_at(20) == [2]
    assert one.sequences_at(3) is None


def test_lengths_are_drawn_up_to_the_members_own():
    one = latch()
    trainer = Program.of(one).trainer
    operands = jax.tree.map(jnp.asarray, train_operands(trainer, one))
    state = initial_state(trainer, one)
    state = state._replace(progress=state.progress._replace(lag=np.int32(8)))

    @jax.jit
    def draw(step):
        return trainer.lag_and_length(state._replace(step=step), operands)

    pairs = {tuple(map(int, draw(step))) for step in range(600)}
    every = {(lag, length) for lag in range(1, 9) for length in range(lag + 2, 11)}
    assert pairs == every


def test_a_look_has_lengths_of_all_kinds():
    sizes = member("latch", 50, **ASK).evaluation_sizes(Stream.LOOK)
    shares = [(length - lag - 2) / (50 - lag) for lag, length, _ in sizes if lag < 40]
    assert all(0 <= share <= 1 for share in shares)
    assert np.histogram(shares, 4, (0, 1))[0].min() >= 4
    assert {blocks for *_, blocks in sizes} == {1}


def test_by_default_it_takes_the_recipe_that_draws_what_comes_before():
    assert latch().recipe.before == "drawn"
    assert latch(until="up_to").recipe.before is None


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"task": "count", "recipe": "anywhere"}, "nothing can come before"),
        ({"recipe": "hold", "before": "drawn"}, "train at shorter lags, too"),
        ({"task": "delay_line"}, "until=anywhere: the lag of delay_line is part"),
    ],
)
def test_what_cannot_be_is_refused(values, said):
    task = values.get("task", "latch")
    others = {name: value for name, value in values.items() if name != "task"}
    with pytest.raises(UserError, match=said):
        member(task, 8, **ASK | others)


def test_where_nothing_can_come_before_every_lag_is_confirmed():
    one = member("count", 8, until="anywhere")
    assert one.recipe.name == "uniform"
    assert all(one.lengths_at(lag)[0] == one.lengths_at(lag)[1] for lag in range(1, 9))


@pytest.mark.breadth
@pytest.mark.parametrize("loop", ["while", "associative"])  # in turn; side by side
def test_how_members_share_the_machine_changes_no_verdict(loop):
    members = [latch(units, seed) for units, seed in ((1, 1), (2, 1), (2, 2))]
    members.append(latch(1, 3, 100))
    others = train(members, Engine(loop=loop, lanes=3))
    for one, same in zip(train(members, ONE), others, strict=True):
        assert one.member == same.member
        assert one.passed == same.passed == (one.member.recipe.budget > 100)
        assert (one.mean, one.worst) == pytest.approx((same.mean, same.worst), abs=0.01)
