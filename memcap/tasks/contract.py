"""The contract of a user's own task: what each of its values and arrays must be.

memcap's own tasks are tested (tests/tasks/test_interface.py), not checked here."""

import math
from typing import Any

import numpy as np

from memcap.knobs import LONGEST, UserError
from memcap.runtime.plugins import calling
from memcap.tasks.base import Batch, Facts, Task

CHOICES = {"loss": ("classes", "values"), "answers": ("last", "every")}
KINDS = {"int32": "iu", "float32": "f", "bool": "b"}  # of NumPy's dtypes


def wrong(task: Task, method: str, came: str, expected: str) -> UserError:
    return UserError(
        f"task {task.name}: {method} {came}; it must be {expected} (memcap/tasks/base.py)"
    )


def call(task: Task, method: str, *arguments: Any) -> Any:
    """Call a method, or read a property; raise UserError, with its place."""
    with calling(f"task {task.name}: {method}", type(task).__module__):
        value = getattr(task, method)
        return value(*arguments) if callable(value) else value


def check_sizes(task: Task, lag: int) -> None:
    """Check a task's sizes before any sequence is drawn."""
    for name, choices in CHOICES.items():
        value = call(task, name)
        if value not in choices:
            raise wrong(task, name, f"is {value!r}", " or ".join(choices))
    vocabulary = call(task, "vocabulary")
    if vocabulary is not None:
        _check_number(task, "vocabulary", vocabulary, 1, " or None for real inputs")
    least_outputs = 1 if call(task, "loss") == "values" else 2
    _check_number(task, "outputs", call(task, "outputs"), least_outputs)
    for name in ("features", "smallest_lag"):
        _check_number(task, name, call(task, name), 1)
    if lag < task.smallest_lag:  # which is refused
        return
    for method in ("shortest", "length"):
        _check_number(task, f"{method}({lag})", call(task, method, lag), 1)
    longer = call(task, "stretched", lag, 2)
    where = f"stretched({lag}, 2)"
    if not isinstance(longer, tuple) or len(longer) != 2:
        raise wrong(task, where, f"is {longer!r}", "a lag and a length")
    for name, value in zip(("lag", "length"), longer, strict=True):
        _check_number(task, f"{where}'s {name}", value, 1)


def _check_number(
    task: Task, name: str, value: Any, least: int, more: str = ""
) -> None:
    # lengths are written into a config as JSON
    kinds = int if "(" in name else (int, np.integer)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    if not is_number or not least <= value <= LONGEST:
        raise wrong(
            task, name, f"is {value!r}", f"a whole number, at least {least}{more}"
        )


def facts_of(task: Task, lag: int, length: int) -> Facts:
    """Return the facts of a task; raise UserError for the first that is impossible."""
    facts = call(task, "facts", lag, length)
    where = f"facts({lag}, {length})"
    if not isinstance(facts, Facts):
        raise wrong(task, where, f"gives {type(facts).__name__}", "memcap.Facts")
    most = 1.0 if task.higher_is_better else math.inf
    for name in ("held", "bits", "chance", "threshold"):
        value = getattr(facts, name)
        is_score = name in ("chance", "threshold")
        top = most if is_score else math.inf
        is_number = isinstance(value, (int, float, np.number))
        is_number = is_number and not isinstance(value, bool)
        fits = is_number and math.isfinite(value) and 0 <= value <= top
        if not fits or (name == "threshold" and not value):
            must = f"a number {'above' if name == 'threshold' else 'from'} 0"
            must += f" and at most {top:g}" if math.isfinite(top) else ""
            must += f", as {task.metric} is" if is_score else ""
            raise wrong(task, where, f"has {name}={value!r}", must)
    if call(task, "facts", lag, length) != facts:
        raise wrong(task, where, "changes from call to call", "the same for ever")
    return facts


def check_keys(task: Task, again: Batch, first: Batch, *others: Batch) -> None:
    """Raise UserError unless sequences depend on the key, and on it alone.

    `again` is drawn with the key of `first`, the others with other keys. A task with a
    single sequence passes."""

    def is_first(draw: Batch) -> bool:
        return all(map(np.array_equal, first[:2], draw[:2]))

    if not is_first(again):
        came = "gives other sequences for the same key"
        raise wrong(task, "sample", came, "a function of its arguments alone")
    if all(map(is_first, others)) and np.any(first.inputs != first.inputs[:, :1]):
        came = "gives the same sequences for every key"
        raise wrong(task, "sample", came, "drawn by jax.random from `key`")


def check_batch(
    task: Task, method: str, result: Any, length: int, steps: int, batch: int
) -> None:
    """Check sequences that a task drew for these sizes, as arrays of NumPy.

    The table has each array's shape, dtype, end of its whole numbers (None: any finite
    numbers) and place of the numbers that count."""
    if not isinstance(result, Batch):
        raise wrong(task, method, f"gives {type(result).__name__}", "memcap.Batch")
    whole = (steps, batch)
    answers = (task.outputs,) * task.several_values + whole
    every = slice(None)
    table: dict[str, tuple[Any, ...]] = {"mask": (whole, "bool", None, every)}
    due: Any = (..., result.mask)
    if task.answers == "last":
        if result.mask is not None:
            raise wrong(task, method, "gives a mask", 'none where answers is "last"')
        table = {}
        answers = (*answers[:-2], batch)
        due = every
    inside = slice(length)
    table["inputs"] = (whole, "int32", task.vocabulary, inside)
    if task.vocabulary is None:
        table["inputs"] = ((*whole, task.features), "float32", None, inside)
    table["targets"] = (answers, "float32", None, due)
    if task.loss == "classes":
        table["targets"] = (answers, "int32", task.outputs, due)
    if result.window_starts is not None:
        table["window_starts"] = ((steps,), "bool", None, every)
    for name, line in table.items():
        if mistake := _mistake(name, getattr(result, name), *line):
            raise wrong(task, method, *mistake)
    if result.mask is not None and result.mask[length:].any():
        came = f"gives a mask that asks for answers after {length} steps"
        raise wrong(task, method, came, "true where an answer is due")
    if result.mask is not None and not result.mask.any():
        came = "gives a mask that asks for no answer"
        raise wrong(task, method, came, "true where an answer is due")


def _mistake(
    name: str, array: Any, shape: tuple[int, ...], dtype: str, end: int | None, at: Any
) -> tuple[str, str] | None:
    """Return what an array is, and what it must be; None if it is right."""
    came = "none" if array is None else f"{array.dtype} of shape {array.shape}"
    must = f"{dtype} of shape {shape}"
    if array is None or array.shape != shape or array.dtype.kind not in KINDS[dtype]:
        return f"gives {name}: {came}", must
    numbers = array[at]
    if not np.isfinite(numbers).all():
        return f"gives {name} that are not finite", "numbers"
    if (
        end is not None
        and numbers.size
        and not 0 <= numbers.min() <= numbers.max() < end
    ):
        limit = "vocabulary" if name == "inputs" else "outputs"
        came = f"gives {name} from {numbers.min()} to {numbers.max()}"
        return came, f"from 0 to {end - 1}, as {limit} says"
    return None
