import jax
import jax.numpy as jnp
import numpy as np
import pytest
from task_checks import draw

from memcap.tasks import Batch
from memcap.tasks.chance import score, sequences
from memcap.tasks.windows import Windows


def test_each_window_starts_with_a_cut():
    starts = draw(Windows(window=4), 9, 12).window_starts[:12]
    assert np.flatnonzero(starts).tolist() == [2, 6, 10]


def windows_alone(task: Windows, lag: int) -> float:
    """Accuracy of the best answers when each window forgets the ones before: 1 if it
    holds a 1, else 0."""
    length = task.length(lag)
    batch = draw(task, lag, length, batch=8192)
    inputs, targets, mask = sequences(task, batch, length)
    guess = np.zeros_like(inputs)
    for t in range(length):
        guess[:, t] = (
            inputs[:, t]
            if batch.window_starts[t]
            else np.maximum(guess[:, t - 1], inputs[:, t])
        )
    return score(task, guess, targets, mask).mean


@pytest.mark.parametrize(("lag", "windows"), [(11, 3), (12, 4), (15, 4)])
def test_a_reset_carry_can_do_no_better_than_this(lag, windows):
    every, last = (
        Windows(window=4, label=label, carry="reset") for label in ("every", "last")
    )
    assert every.reset_carry
    assert not Windows().reset_carry
    assert windows_alone(every, lag) == pytest.approx(0.5 + 0.5 / windows, abs=0.02)
    assert windows_alone(last, lag) == pytest.approx(0.5, abs=0.02)


@jax.jit
def gradients(batch: Batch) -> jax.Array:
    """(T,) norm of the loss's gradient in the input weights as each step uses them, for
    a small tanh network."""
    T, B = batch.inputs.shape
    inward, inner, outward = (
        jax.random.normal(key, (4, 4)) for key in jax.random.split(jax.random.key(1), 3)
    )

    def loss(weights):
        def advance(h, at_step):
            x, cut, w = at_step
            h = jnp.where(cut, jax.lax.stop_gradient(h), h)
            h = jnp.tanh(jax.nn.one_hot(x, 2) @ w + h @ inner)
            return h, h @ outward[:, :2]

        _, logits = jax.lax.scan(
            advance, jnp.zeros((B, 4)), (batch.inputs, batch.window_starts, weights)
        )
        due = jnp.take_along_axis(
            jax.nn.log_softmax(logits), batch.targets[..., None], -1
        )[..., 0]
        return -jnp.where(batch.mask, due, 0).sum()

    return jnp.linalg.norm(jax.grad(loss)(jnp.tile(inward[:2], (T, 1, 1))), axis=(1, 2))


def test_the_write_has_a_gradient_only_if_the_first_window_is_labelled():
    def due_at_lag_15(task):
        return np.array(gradients(draw(task, 15, steps=16, batch=16)))

    assert np.all(due_at_lag_15(Windows(window=4)) > 0)
    last = due_at_lag_15(Windows(window=4, label="last"))
    assert np.all(last[:12] == 0)
    assert np.all(last[12:] > 0)
    assert due_at_lag_15(Windows(window=16, label="last"))[0] > 0
