"""Diagnosis of an LSTM that is not right, with one line to change (docs/remember.md)."""

import tomllib
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import jax
import numpy as np
from scipy.special import log_expit, softmax

from memcap.answers.answer import Question
from memcap.answers.judge import FIRST_STEP, KEEPS_STATE, Judgement, outputs_of
from memcap.answers.sources import best_answer
from memcap.loops import Targets, loss_and_score_sums
from memcap.models.export import read_model
from memcap.models.model import preset
from memcap.tasks import chance
from memcap.trained import Trained, of_arrays

ALIKE = 0.005  # most by which shares of classes differ, of a net in another precision
FAULTS = tomllib.loads(
    Path(__file__).with_name("faults.toml").read_text(encoding="utf-8")
)


@dataclass(frozen=True)
class Diagnosis:
    """Why a net is not right. Print it for words.

    Args:
        words: the numbers, and what is wrong.
        fault: a name in faults.toml; "": the net cannot be read.
        line: a line of code to change.
    """

    words: str
    fault: str = ""
    line: str = ""

    def __str__(self) -> str:
        change = f"\nChange this line, and train it again:\n    {self.line}"
        return self.words + change * bool(self.line)


def diagnose(
    net: Any, judgement: Judgement, start: Any = None, one_hot: bool = True
) -> Diagnosis | None:
    """Find why a model of Keras, PyTorch or Flax is not right; None for a function.

    Args:
        net: one layer of an LSTM with a dense read-out. Others are not read.
        judgement: of its answers.
        start: the same model before training, if known.
        one_hot: as for `memcap.judge`.
    """
    task = judgement.task
    lag = judgement.lag
    library, arrays = read_model(net)
    if judgement.right or not library:
        return None
    try:
        now = of_arrays(arrays, task, lag)
        before = now if start is None else of_arrays(read_model(start)[1], task, lag)
        moves = now.weights["cell"]["kernel"] - before.weights["cell"]["kernel"]
    except ValueError as error:
        return Diagnosis(f"Its gates are not read: {error}.")
    length = now.member.length
    draw = jax.jit(partial(task.unseen, steps=length, batch=256))
    batch = draw(jax.random.key(0), lag, length)
    inputs, targets, _ = chance.sequences(task, batch, length)
    # Sequences of any kind show a difference: here what counts comes in the middle.
    inputs = np.roll(inputs, length // 3, 1)
    outputs = outputs_of(net, task, one_hot, inputs)
    difference = differs(now, inputs.swapaxes(0, 1), outputs)
    # of a stream the steps that the last answer is about
    steps = batch.inputs[-lag - 1 if task.stream else 0 :]
    holds, gradients, largest = zip(
        *(read(each, steps, targets[:, -1]) for each in (now, before)), strict=True
    )
    advice = best_answer(Question(task, lag))
    trained = start is not None
    change = np.abs(moves).max()
    passes = judgement.table["passes"]
    shows = {
        "random": judgement.words.endswith(KEEPS_STATE),
        difference: True,
        # Usual starts have recurrent weights of at most 1.5, and nets of the atlas of 60.
        "start": trained and largest[1] > 2,
        "diverged": largest[0] > 5 and not passes.any(),
        "before": FIRST_STEP in judgement.words,
        "lags": passes[-1] and not passes[0],
        "width": advice.units and now.member.model.units < (advice.low or 0),
        # In nets that learn, some weight of the inputs changes by more.
        "rate": trained and change < 0.1,
        "steps": trained and change < 1,
        "forget": holds[0] < lag / 2 and not task.stream,
        "unknown": True,
    }
    fault = next(name for name in FAULTS if shows.get(name))
    text = FAULTS["numbers"] | FAULTS[fault]
    facts = {
        "net": now.member,
        "bias": preset("hold", lag, length).forget,
        "advice": advice,
        "change": change,
        "hold": holds,
        "gradient": gradients,
        "largest": largest,
    }
    words = text["both" if trained else "now"] + text["words"]
    line = text.get("line", text.get(library))
    return Diagnosis(words.format(**facts), fault, line.format(**facts))


def read(net: Trained, steps: np.ndarray, answers: np.ndarray) -> tuple[Any, ...]:
    """Read an LSTM on sequences (T, N) or (T, N, F), with the answers at their last
    step, (N,) or (N, O).

    Returns:
        1 / (1 - f), in steps, of the unit that holds longest, with f the geometric mean
        of its forget gate. The loss's gradient norm by the carry after the first step,
        relative to that before the last. The greatest recurrent weight.
    """
    task = net.member.task
    targets = Targets(answers.T, None, task.loss)
    cell = net.weights["cell"]
    c, h = net.trace(steps).carries
    vectors = steps if task.vocabulary is None else np.eye(task.vocabulary)[steps]
    sums = vectors[1:] @ cell["kernel"] + h[:-1] @ cell["recurrent"] + cell["bias"]
    _, forget, _, _ = np.split(log_expit(sums), 4, -1)
    share = np.exp(forget.mean((0, 1))).max()

    @jax.grad
    def gradient(carry: Any, rest: jax.Array) -> jax.Array:
        _, outputs = jax.lax.scan(net.network.step, carry, rest)
        return loss_and_score_sums(outputs[-1].T, targets).loss

    first, last = (
        np.linalg.norm(gradient((c[step], h[step]), steps[step + 1 :]))
        for step in (0, -2)
    )
    return 1 / (1 - share), first / last, np.abs(cell["recurrent"]).max()


def differs(net: Trained, steps: np.ndarray, outputs: np.ndarray) -> str:
    """Return the fault by which a model's outputs, (N, O) or (N, T, O), differ from
    those of its LSTM and read-out, or "". Classes and single values are not compared.
    """

    def is_same(array: np.ndarray) -> bool:
        shares = [
            each if np.allclose(each.sum(-1), 1) else softmax(each, -1)
            for each in (array, given)
        ]
        return np.ptp(shares, 0).max() < ALIKE

    plain = net.run(steps)[0]
    given = outputs[:, -1] if outputs.ndim == plain.ndim else outputs
    if given.shape != plain[-1].shape or is_same(plain[-1]):
        return ""
    if any(map(is_same, plain)):
        return "read"
    resets = np.eye(len(plain), dtype=bool)[1:]
    cuts = (net.trace(steps, reset=each).outputs[-1] for each in resets)
    return "cut" if any(map(is_same, cuts)) else "other"
