"""The mathematics of training against plain loops: Adam, schedules, held-out streams,
the stretched score, the verdict."""

from dataclasses import replace
from functools import cache

import jax
import numpy as np
import optax
import pytest
from breadth import leave
from training_checks import ONE, member, vector

from memcap.loops import Targets, loss_and_score_sums
from memcap.rule import Stream
from memcap.tasks.vector_hold import VectorHold
from memcap.training.engine import train
from memcap.training.host import eval_operands, train_operands
from memcap.training.program import Program

pytestmark = pytest.mark.usefixtures("quick_file")


def stream(member, number):
    """A member's key, put together by hand."""
    key = jax.random.key(member.seed)
    for part in (member.lag, member.model.units, number, 0):
        key = jax.random.fold_in(key, part)
    return key


@cache
def stepped(architecture, task):
    """Outputs (T, B, O) of the network, one `step` at a time: the streaming path, not
    the trainer's."""

    def outputs(weights, inputs):
        network = architecture.build(weights)
        return jax.lax.scan(network.step, network.carry(inputs.shape[1]), inputs)[1]

    return jax.jit(outputs)


@cache
def sampler(task, lag, length, size):
    """A key -> a batch in a buffer that just fits; eagerly, each operation would be compiled."""
    return jax.jit(lambda key: task.sample(key, lag, length, length, size))


def due(task, outputs, batch):
    """Outputs and targets where an answer is due, (N, O) and (N,)."""
    if task.answers == "last":
        return outputs[-1], batch.targets
    return outputs[np.asarray(batch.mask)], batch.targets[np.asarray(batch.mask)]


def plain_score(member, weights, key, blocks, size, lag=None, length=None):
    """Mean score over blocks of fresh sequences, in buffers that just fit."""
    lag = lag or member.lag
    length = length or member.length
    scores = []
    for block in range(blocks):
        batch = sampler(member.task, lag, length, size)(jax.random.fold_in(key, block))
        outputs = stepped(member.architecture, member.task)(weights, batch.inputs)
        answers, targets = due(member.task, outputs, batch)
        if member.task.loss == "classes":
            scores.append(np.mean(np.argmax(answers, -1) == targets))
        else:
            scores.append(np.mean((answers[:, 0] - targets) ** 2))
    return float(np.mean(scores))


# Training


TRAINED = {
    "rms": {"seed": 8, "recipe": "hold", "lr": 0.02, "optimizer": "rmsprop"},
    "decay": {"seed": 9, "lr": 0.1, "optimizer": "adamw", "decay": 0.9}
    | {"schedule": "cosine", "warmup": 5},
    "frozen": {"seed": 11, "lr": 0.1, "optimizer": "adamw", "decay": 0.9}
    | {"clip": 0.02, "freeze": "cell"},
}


@pytest.mark.parametrize("name", ["decay", *leave(["rms", "frozen"])])
def test_training_is_what_optax_writes(name):
    """Check what the reference shares with the engine; tests/test_reference.py has the rest."""
    trained = member(units=2, budget=20, **TRAINED[name])
    task = trained.task
    recipe = trained.recipe
    architecture = trained.architecture
    warmup = recipe.warmup
    warm = optax.linear_schedule(0, 1, warmup) if warmup else lambda step: 1.0
    cosine = optax.cosine_decay_schedule(1.0, recipe.budget)
    schedule = cosine if recipe.schedule == "cosine" else lambda step: 1.0

    def speed(step):
        return recipe.lr * warm(step + 1) * schedule(step)

    def spared(weights):
        return {
            part: {name: name != "bias" for name in leaves}
            for part, leaves in weights.items()
        }

    descent = {
        "rmsprop": optax.rmsprop(speed, decay=0.99, eps_in_sqrt=False),
        "adamw": optax.adamw(speed, weight_decay=recipe.decay or 0.0, mask=spared),
    }[recipe.optimizer]
    optimizer = optax.chain(optax.clip_by_global_norm(recipe.clip), descent)
    if recipe.freeze == "cell":
        zero = optax.masked(optax.set_to_zero(), {"cell": True, "readout": False})
        optimizer = optax.chain(zero, optimizer, zero)
    network = stepped(architecture, task)
    draw = sampler(task, trained.lag, trained.length, recipe.batch)

    def loss(weights, batch):
        outputs = network(weights, batch.inputs)[-1]
        return optax.softmax_cross_entropy_with_integer_labels(
            outputs, batch.targets
        ).mean()

    @jax.jit
    def update(weights, state, key):
        found, gradient = jax.value_and_grad(loss)(weights, draw(key))
        change, state = optimizer.update(gradient, state, weights)
        return optax.apply_updates(weights, change), state, found

    weights = architecture.init(trained.init, trained.seed_parts)
    state = optimizer.init(weights)
    key = stream(trained, Stream.TRAIN)
    losses = []
    for step in range(20):
        weights, state, found = update(weights, state, jax.random.fold_in(key, step))
        losses.append(float(found))
    (ended,) = train([trained], ONE)
    assert ended.steps == 20
    np.testing.assert_allclose(vector(ended), architecture.flatten(weights), atol=1e-5)
    assert ended.train_loss == pytest.approx(np.mean(losses[10:]), abs=1e-5)


def test_several_values_an_answer_are_averaged_over():
    rng = np.random.default_rng(0)
    outputs, targets = rng.normal(size=(2, 3, 7, 5)).astype(np.float32)
    mask = rng.random((7, 5)) < 0.5
    sums = loss_and_score_sums(outputs, Targets(targets, mask, VectorHold().loss))
    errors = ((outputs - targets) ** 2).mean(0)[mask]
    assert sums == pytest.approx((errors.sum(), errors.sum(), errors.size), rel=1e-6)


# Held-out data


def test_streams_never_meet():
    """Draw from each stream of one member, and train streams of its neighbours."""
    one = member("delay_line", 3, seed=1, reals=True)
    evaluations = ((Stream.EVALUATE, 0), (Stream.EVALUATE, 1), (Stream.STRETCH, 0))
    keys = [eval_operands(one, *which)[0].sequences.key for which in evaluations]
    others = (replace(one, seed=2), replace(one, lag=4))
    for other in (one, *others, replace(one, model=one.model.at_width(2))):
        keys.append(train_operands(Program.of(other).trainer, other).key)
    keys = map(jax.random.wrap_key_data, keys)
    keys = [jax.random.fold_in(key, k) for key in keys for k in range(3)]
    draw = sampler(one.task, 3, one.length, 4)
    inputs = np.stack([draw(key).inputs.ravel() for key in keys])
    _, times = np.unique(inputs, return_counts=True)
    # 24-bit numbers may meet by chance
    assert np.sum(times > 1) < 3


def test_the_verdict_is_of_fresh_sequences_at_least_as_many_as_asked():
    """300 sequences are two blocks of 256 from the evaluation's own stream."""
    one = member("delay_line", 2, seed=4, units=2, sequences=300)
    (ended,) = train([one], ONE)
    assert ended.status == "unsolved"
    key = stream(one, Stream.EVALUATE)
    half, whole = (plain_score(one, ended.weights, key, n, 256) for n in (1, 2))
    assert ended.score == pytest.approx(whole, abs=1e-6)
    assert ended.score != pytest.approx(half, abs=1e-6)


@pytest.mark.parametrize("task", ["latch", *leave(["delay_line", "count"])])
def test_the_stretched_score_is_what_the_stored_weights_give(task):
    """Twenty times the lag, or the length, over a quarter of the sequences."""
    one = member(task, 3, seed=2, stretch=20, sequences=1024)
    (ended,) = train([one], ONE)
    lag, length = one.task.stretched(3, 20)
    assert max(lag, length) >= 60
    key = stream(one, Stream.STRETCH)
    score = plain_score(one, ended.weights, key, 1, 256, lag, length)
    assert ended.stretched == pytest.approx(score, rel=1e-4)
