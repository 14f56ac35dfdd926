"""Judgement of a network of any library, as memcap judges its own: by its answers to
fresh sequences of a task."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import jax
import numpy as np
import polars as pl

from memcap.config.member import Member
from memcap.knobs import MOST, UserError, whole
from memcap.rule import Evaluation
from memcap.runtime import jax_setup
from memcap.tasks import FileTask, Task, chance
from memcap.terminal.words import bound, number


@dataclass(frozen=True)
class Judgement:
    """The scores of a network on a task, and the verdict. Print it for words.

    Args:
        task, lag: the task and lag at which it was judged.
        table: a row for each lag and length: `lag`, `length`, the score (`accuracy` or
            `mse`), `chance`, the score of a net without memory, and `passes`. Where
            there are several lags, `passes` allows each score a margin, which their
            mean does not have.
        right: whether the network reaches what members are trained for. On a stream it
            must be steady, otherwise right at every lag up to its own. If the task has
            no other lags, it must be right at its own.
        up_to: the longest lag up to which the network is right at every lag. None if it
            is wrong at the shortest, or if the task is a stream or has one lag alone.
        words: the verdict in words.
    """

    task: Task
    lag: int
    table: pl.DataFrame
    right: bool
    up_to: int | None
    words: str

    def __str__(self) -> str:
        return self.words

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the words in a notebook."""
        printer.text(str(self))


def judge(
    net: Callable[[np.ndarray], Any],
    task: Task,
    lag: int,
    one_hot: bool = True,
    sequences: int = 256,
    seed: int = 0,
) -> Judgement:
    """Judge a network by its answers to fresh sequences. The arguments are those of
    `memcap.judge`.

    Raises:
        UserError: the task has no such lag or no criterion, or outputs have another
            shape or are NaN.
    """
    if not callable(net):
        raise UserError(f"net: must be a function of inputs, not {type(net).__name__}")
    jax_setup.setup()
    if isinstance(task, FileTask):
        sequences = task.part_sizes[1]  # all that are held out, whatever was asked for
    else:
        whole(sequences, "sequences", 1, MOST)
    every_lag = task.has_other_lags(lag)
    # The network is judged like a member with the same task and lag.
    evaluation = Evaluation(until="up_to" if every_lag else None)
    member = Member(task, lag, evaluation=evaluation)
    if task.rule.by_loss:
        raise UserError(
            "judge: criterion=best compares nets by their loss; give a score, as criterion=0.95"
        )
    # pairs of a lag and a length
    sizes = member.lags_up_to if every_lag else ((member.lag, member.length),)
    if task.stream:
        sizes = (*sizes, task.stretched(lag, member.evaluation.stretch))
    draw = jax.jit(
        partial(task.unseen, steps=max(length for _, length in sizes), batch=sequences)
    )
    criterion = member.criterion
    if every_lag:
        criterion = criterion.with_margin(sequences)
    key = jax.random.key(whole(seed, "seed", 0, MOST))
    rows = []
    for index, (test_lag, length) in enumerate(sizes):
        batch = draw(jax.random.fold_in(key, index), test_lag, length)
        batch = jax.tree.map(np.asarray, batch)
        # `sequences` puts the batch into arrays (N, T); `score` scores the net's answers.
        inputs, targets, mask = chance.sequences(task, batch, length)
        outputs = net(_net_inputs(task, inputs, one_hot))
        answers = _net_answers(task, outputs, mask.shape)
        score = chance.score(task, answers, targets, mask).mean
        facts = task.facts(test_lag, length)
        rows.append(
            {
                "lag": test_lag,
                "length": length,
                task.metric: score,
                "chance": facts.chance,
                "passes": criterion.passes(score),
            }
        )
    return _verdict(member, pl.DataFrame(rows), sequences)


def _net_inputs(task: Task, inputs: np.ndarray, one_hot: bool) -> np.ndarray:
    """Return a task's inputs as a network takes them: values, symbols, or vectors with a
    1 at the symbol."""
    if task.vocabulary is None:
        return inputs.astype(np.float32)
    if one_hot:
        return np.eye(task.vocabulary, dtype=np.float32)[inputs]
    return inputs.astype(np.int64)


def _net_answers(task: Task, outputs: Any, shape: tuple[int, int]) -> np.ndarray:
    """Return the answers in a net's outputs: (N, T), or (N, T, O) if each answer has
    several values. `shape` is (N, T)."""
    if hasattr(outputs, "detach"):  # PyTorch's, which may have a gradient
        outputs = outputs.detach().cpu()
    try:
        array = np.asarray(outputs)
    except (ValueError, TypeError, RuntimeError):  # outputs with a carry, say
        raise UserError(
            f"net: gave {type(outputs).__name__}; it must be one array of outputs"
        ) from None
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise UserError("net: gave outputs that are NaN")
    count, steps = shape
    given = f"{array.dtype} of shape {array.shape}"
    has_classes = task.loss == "classes"
    answer_shape = (task.outputs,) if task.several_values else ()
    if has_classes:
        are_logits = array.dtype.kind == "f" and array.shape[-1:] == (task.outputs,)
        if are_logits:
            array = array.argmax(-1)
    elif not task.several_values and steps > 1 and array.shape[1:][-1:] == (1,):
        # The net gave (N, T, 1), or (N, 1) though T > 1: drop the axis of its only output.
        array = array[..., 0]
    at_last = task.answers == "last"
    if at_last and array.shape == (count, *answer_shape):
        array = np.repeat(array[:, None], steps, 1)  # only the last step counts
    has_numbers = array.dtype.kind in "biu" or not has_classes
    if has_numbers and array.shape == (*shape, *answer_shape):
        return array
    noun = "logits" if has_classes else "values"
    forms = [f"{noun} {(*shape, task.outputs)}"]
    if at_last:
        forms.append(f"{noun} {(count, task.outputs)} of the last step")
    if has_classes:
        forms.append(f"whole numbers {shape}")
    raise UserError(f"net: gave {given}; {task.name} takes {', or '.join(forms)}")


def _verdict(member: Member, table: pl.DataFrame, sequences: int) -> Judgement:
    """Return the verdict that the scores of a table give a member, with its words."""
    task = member.task
    lag = member.lag
    scores = table[task.metric].to_numpy()
    worst = member.criterion.index_of_worst(scores)
    note = (
        f"without memory {number(table['chance'][worst])}; criterion"
        f" {bound(member.facts.threshold)}"
    )
    if task.stream:
        # A stream is judged at one lag, so there are two rows: the first one is at the
        # trained length, the second one at the stretched length.
        right = bool(table["passes"].all())
        verdict = "STEADY" if right else "NOT SOLVED"
        if table["passes"][0] and not right:
            verdict = "SOLVED, and not steady"
        words = (
            f"{verdict} at lag {lag}: {task.metric} {scores[0]:.4f} on sequences of"
            f" {member.length} steps, {scores[1]:.4f} on those of {table['length'][1]} ({note})."
        )
        return Judgement(task, lag, table, right, None, words)
    # A net is right up to lag k if its scores at all lags from the first to k pass
    # together. They may pass up to k although they do not up to a shorter lag, so all
    # lags are tried, and the longest that passes counts.
    up_to = None
    for index, test_lag in enumerate(table["lag"]):
        if member.criterion.passes_at_all_lags(scores[: index + 1], sequences):
            up_to = test_lag
    right = up_to == lag
    verdict = "RIGHT" if right else "NOT RIGHT"
    if len(table) == 1:
        words = f"{verdict} AT LAG {lag}: {task.metric} {scores[0]:.4f} ({note})."
        return Judgement(task, lag, table, right, None, words)
    less = ""
    if not right:
        less = f" (up to {up_to} it is)" if up_to else " (nor at the shortest)"
    words = (
        f"{verdict} AT EVERY LAG UP TO {lag}{less}: {task.metric} {scores.mean():.4f} on"
        f" the mean of {len(table)} lags, at worst {scores[worst]:.4f}, at lag"
        f" {table['lag'][worst]} ({note})."
    )
    return Judgement(task, lag, table, right, up_to, words)
