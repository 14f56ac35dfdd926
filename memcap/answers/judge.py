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
            `mse`), `chance`, the score of a net without memory, and `passes`.
        right: whether it reaches what members are trained for: to be steady on a
            stream, otherwise to be right at every lag up to its own, or at its own if
            the task has no others.
        up_to: the longest lag up to which it is right at every lag; None: not even at
            the shortest, or not a question for this task.
        words: the verdict.
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
    """Judge a network by its answers to fresh sequences; arguments are those of `memcap.judge`.

    Raises:
        UserError: no such lag, a task that has no criterion, or outputs of another shape or NaN.
    """
    if not callable(net):
        raise UserError(f"net: must be a function of inputs, not {type(net).__name__}")
    jax_setup.setup()
    if isinstance(task, FileTask):
        sequences = task.part_sizes[1]
    else:
        whole(sequences, "sequences", 1, MOST)
    every_lag = task.has_other_lags(lag)
    member = Member(
        task, lag, evaluation=Evaluation(until="up_to" if every_lag else None)
    )
    if task.rule.by_loss:
        raise UserError(
            "judge: criterion=best compares nets by their loss; give a score, as criterion=0.95"
        )
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
    for index, (at, length) in enumerate(sizes):
        batch = jax.tree.map(
            np.asarray, draw(jax.random.fold_in(key, index), at, length)
        )
        inputs, targets, due = chance.sequences(task, batch, length)
        guess = _answers(task, net(_as_given(task, inputs, one_hot)), due.shape)
        score = chance.score(task, guess, targets, due).mean
        facts = task.facts(at, length)
        rows.append(
            {
                "lag": at,
                "length": length,
                task.metric: score,
                "chance": facts.chance,
                "passes": criterion.passes(score),
            }
        )
    return _verdict(member, pl.DataFrame(rows), sequences)


def _as_given(task: Task, inputs: np.ndarray, one_hot: bool) -> np.ndarray:
    if task.vocabulary is None:
        return inputs.astype(np.float32)
    if one_hot:
        return np.eye(task.vocabulary, dtype=np.float32)[inputs]
    return inputs.astype(np.int64)


def _answers(task: Task, outputs: Any, shape: tuple[int, int]) -> np.ndarray:
    """Return the answers in a net's outputs, (N, T), or (N, T, O) for several values."""
    if hasattr(outputs, "detach"):  # PyTorch's, which may have a gradient
        outputs = outputs.detach().cpu()
    try:
        array = np.asarray(outputs)
        classes = task.loss == "classes"
    except (ValueError, TypeError, RuntimeError):  # outputs with a carry, say
        raise UserError(
            f"net: gave {type(outputs).__name__}; it must be one array of outputs"
        ) from None
    if array.dtype.kind == "f" and np.isnan(array).any():
        raise UserError("net: gave outputs that are NaN")
    count, steps = shape
    came = f"{array.dtype} of shape {array.shape}"
    answer_shape = (task.outputs,) if task.several_values else ()
    has_outputs = array.shape[-1:] == (task.outputs,)
    if classes and has_outputs and array.dtype.kind == "f":
        array = array.argmax(-1)
    elif (
        not classes
        and answer_shape == ()
        and steps > 1
        and array.shape[1:][-1:] == (1,)
    ):
        array = array[..., 0]
    at_last = task.answers == "last"
    if at_last and array.shape == (count, *answer_shape):
        array = np.repeat(array[:, None], steps, 1)  # only the last step counts
    are_classes = array.dtype.kind in "biu"
    if array.shape == (*shape, *answer_shape) and (are_classes or not classes):
        return array
    what = "logits" if classes else "values"
    forms = [f"{what} {(*shape, task.outputs)}"]
    if at_last:
        forms.append(f"{what} {(count, task.outputs)} of the last step")
    if classes:
        forms.append(f"whole numbers {shape}")
    raise UserError(f"net: gave {came}; {task.name} takes {', or '.join(forms)}")


def _verdict(member: Member, table: pl.DataFrame, sequences: int) -> Judgement:
    """Decide as for a member: by the mean over all lags, and by each lag."""
    task = member.task
    lag = member.lag
    scores = table[task.metric].to_numpy()
    worst = member.criterion.index_of_worst(scores)
    about = (
        f"without memory {number(table['chance'][worst])}; criterion"
        f" {bound(member.facts.threshold)}"
    )
    if task.stream:
        right = bool(table["passes"].all())
        verdict = "STEADY" if right else "NOT SOLVED"
        if table["passes"][0] and not right:
            verdict = "SOLVED, and not steady"
        words = (
            f"{verdict} at lag {lag}: {task.metric} {scores[0]:.4f} on sequences of"
            f" {member.length} steps, {scores[1]:.4f} on those of {table['length'][1]} ({about})."
        )
        return Judgement(task, lag, table, right, None, words)
    up_to = None
    for count, shorter in enumerate(table["lag"], 1):
        if member.criterion.passes_at_all(scores[:count], sequences):
            up_to = shorter
    right = up_to == lag
    verdict = "RIGHT" if right else "NOT RIGHT"
    if len(table) == 1:
        words = f"{verdict} AT LAG {lag}: {task.metric} {scores[0]:.4f} ({about})."
        return Judgement(task, lag, table, right, None, words)
    less = ""
    if not right:
        less = f" (up to {up_to} it is)" if up_to else " (nor at the shortest)"
    words = (
        f"{verdict} AT EVERY LAG UP TO {lag}{less}: {task.metric} {scores.mean():.4f} on"
        f" the mean of {len(table)} lags, at worst {scores[worst]:.4f}, at lag"
        f" {table['lag'][worst]} ({about})."
    )
    return Judgement(task, lag, table, right, up_to, words)
