"""Exchanged carries: what hand-set nets say is the neighbour's, exactly."""

import jax.numpy as jnp
import pytest
from breadth import leave
from probe_checks import hand_set, untrained

from memcap.loops import Targets, loss_and_score_sums
from memcap.own.task import Data
from memcap.probes import SEQUENCES, blocks, fresh_batch, leakage
from memcap.tasks.copy import Copy
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.latch import Latch
from memcap.tasks.vector_hold import VectorHold

pytestmark = pytest.mark.usefixtures("quick_file")


@pytest.mark.breadth
def test_after_the_exchange_a_register_says_its_neighbours_symbols_until_its_own_have_come():
    lag = 3
    data = leakage.probe(hand_set(DelayLine(), lag)).data
    early = data.filter(data["after"] < lag)
    late = data.filter(data["after"] >= lag)
    for right in (early["partner"], late["own"], data["undisturbed"]):
        assert set(right) == {1.0}
    for chance in (*early["own"], *late["partner"]):
        assert chance == pytest.approx(0.5, abs=0.05)


def test_a_latch_says_its_neighbours_symbol():
    table = leakage.probe(hand_set(Latch(symbols=4), 6)).table.row(0, named=True)
    assert (table["partner"], table["undisturbed"], table["answers"]) == (1, 1, 2048)
    assert table["own"] == pytest.approx(table["chance"], abs=0.04)


@pytest.mark.parametrize(
    "task", [VectorHold(numbers=3), *leave([Copy(items=2)])], ids=lambda task: task.name
)
def test_undisturbed_is_the_score(task):
    net = untrained(task, 4)
    data = leakage.probe(net).data
    assert data["answers"].sum() == {"copy": 2}.get(task.name, 1) * SEQUENCES
    mean = (data["undisturbed"] * data["answers"]).sum() / data["answers"].sum()
    score = number = 0.0
    for index, block in enumerate(blocks(net)):
        batch = fresh_batch(net, block, index)
        outputs = net.trace(batch.inputs).outputs
        outputs = outputs if task.answers == "every" else outputs[-1]
        targets = Targets(jnp.asarray(batch.targets), batch.mask, task.loss)
        sums = loss_and_score_sums(jnp.moveaxis(outputs, -1, 0), targets)
        score += float(sums.score)
        number += float(sums.number)
    assert mean == pytest.approx(score / number, rel=1e-4)


def test_of_a_file_each_held_out_sequence_is_scored_once():
    task = Data()
    net = untrained(task, 4)
    file = task.file_content
    held_out = task.parts[2]
    assert len(held_out) == 102
    outputs = net.trace(file.inputs[held_out, -5:].T).outputs[-1]
    right = outputs.argmax(-1) == file.targets[held_out]
    table = leakage.probe(net).table.row(0, named=True)
    assert table["answers"] == 102
    assert table["undisturbed"] == pytest.approx(right.mean())
