"""The contract of a user's own task: errors are one line with the task, the method, its
result and what is expected.

memcap's own tasks are tested (tests/tasks/test_interface.py), so they are not checked here.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from memcap.knobs import LONGEST, UserError
from memcap.runtime.plugins import calling
from memcap.tasks.base import Batch, Facts, Task

CHOICES = {"loss": ("classes", "values"), "answers": ("last", "every")}
Expected = list[
    tuple[str, Any, tuple[int, ...], str]
]  # name, array, expected shape and kinds of dtype


def wrong(task: Task, method: str, came: str, expected: str) -> UserError:
    """Return the error for a wrong result of a task's method."""
    return UserError(
        f"task {task.name}: {method} {came}; it must be {expected} (memcap/tasks/base.py)"
    )


def call(task: Task, method: str, *arguments: Any) -> Any:
    """Call a method, or read a property, and return the result; raise UserError, with
    its place, for any other error."""
    with calling(f"task {task.name}: {method}", type(task).__module__):
        value = getattr(task, method)
        return value(*arguments) if callable(value) else value


def check_sizes(task: Task, lag: int) -> None:
    """Check a task's sizes before any sequence is drawn; raise UserError for the first
    wrong one."""
    for name, choices in CHOICES.items():
        value = call(task, name)
        if value not in choices:
            raise wrong(task, name, f"is {value!r}", " or ".join(choices))
    vocabulary = call(task, "vocabulary")
    if vocabulary is not None:
        _check_number(task, "vocabulary", vocabulary, 1, "or None for real inputs")
    least_outputs = 1 if call(task, "loss") == "values" else 2
    _check_number(task, "outputs", call(task, "outputs"), least_outputs)
    for name in ("features", "smallest_lag"):
        _check_number(task, name, call(task, name), 1)
    if lag < task.smallest_lag:  # which is refused
        return
    for method in ("shortest", "length"):
        _check_number(task, f"{method}({lag})", call(task, method, lag), 1)
    longer = call(task, "stretched", lag, 2)
    if not isinstance(longer, tuple) or len(longer) != 2:
        raise wrong(
            task, f"stretched({lag}, 2)", f"is {longer!r}", "a lag and a length"
        )
    for name, value in zip(("lag", "length"), longer, strict=True):
        _check_number(task, f"stretched({lag}, 2)'s {name}", value, 1)


def _check_number(
    task: Task, name: str, value: Any, least: int, more: str = ""
) -> None:
    # lengths are written into a config as JSON
    kinds = int if "(" in name else (int, np.integer)
    is_number = isinstance(value, kinds) and not isinstance(value, bool)
    if not is_number or not least <= value <= LONGEST:
        must = f"a whole number, at least {least} {more}".strip()
        raise wrong(task, name, f"is {value!r}", must)


def facts_of(task: Task, lag: int, length: int) -> Facts:
    """Return the facts of a task; raise UserError for the first that is impossible."""
    facts = call(task, "facts", lag, length)
    where = f"facts({lag}, {length})"
    if not isinstance(facts, Facts):
        raise wrong(task, where, f"gives {type(facts).__name__}", "memcap.Facts")
    most = 1.0 if task.higher_is_better else math.inf
    tops = {"held": math.inf, "bits": math.inf, "chance": most, "threshold": most}
    for name, top in tops.items():
        value = getattr(facts, name)
        is_number = isinstance(value, (int, float, np.number))
        is_number = is_number and not isinstance(value, bool)
        fits = is_number and math.isfinite(value) and 0 <= value <= top
        if not fits or (name == "threshold" and not value):
            must = "a number above 0" if name == "threshold" else "a number from 0"
            if math.isfinite(top):
                must += f" and at most {top:g}"
            if name in ("chance", "threshold"):
                must += f", as {task.metric} is"
            raise wrong(task, where, f"has {name}={value!r}", must)
    if call(task, "facts", lag, length) != facts:
        raise wrong(task, where, "changes from call to call", "the same for ever")
    return facts


def check_keys(task: Task, draws: Sequence[Batch]) -> None:
    """Raise UserError if draws with several keys, as arrays of NumPy, are the same:
    training would see one batch for ever. A task with a single sequence passes."""
    first, *others = [(draw.inputs, draw.targets) for draw in draws]
    same = all(
        np.array_equal(*pair)
        for other in others
        for pair in zip(first, other, strict=True)
    )
    if same and np.any(first[0] != first[0][:, :1]):
        raise wrong(
            task,
            "sample",
            "gives the same sequences for every key",
            "drawn by jax.random from `key`",
        )


def check_again(task: Task, one: Batch, two: Batch) -> None:
    """Raise UserError if two draws with one key, as arrays of NumPy, are not the same."""
    pairs = ((one.inputs, two.inputs), (one.targets, two.targets))
    if not all(np.array_equal(*pair) for pair in pairs):
        raise wrong(
            task,
            "sample",
            "gives other sequences for the same key",
            "a function of its arguments alone",
        )


def check_batch(
    task: Task, method: str, result: Any, length: int, steps: int, batch: int
) -> None:
    """Check sequences that a task drew by `sample` or `unseen`, with arrays of NumPy,
    when it was asked for this length, these steps and this batch; raise UserError for
    the first thing that is wrong."""
    if not isinstance(result, Batch):
        raise wrong(task, method, f"gives {type(result).__name__}", "memcap.Batch")
    every = task.answers == "every"
    values = task.loss == "values"
    symbols = task.vocabulary is not None
    inputs = (steps, batch) if symbols else (steps, batch, task.features)
    targets = (task.outputs,) * task.several_values + (
        (steps, batch) if every else (batch,)
    )
    arrays: Expected = [("inputs", result.inputs, inputs, "iu" if symbols else "f")]
    arrays += [("targets", result.targets, targets, "f" if values else "iu")]
    if every:
        arrays += [("mask", result.mask, (steps, batch), "b")]
    elif result.mask is not None:
        raise wrong(task, method, "gives a mask", 'none where answers is "last"')
    if result.window_starts is not None:
        arrays += [("window_starts", result.window_starts, (steps,), "b")]
    for name, array, shape, kinds in arrays:
        _check_array(task, method, name, array, shape, kinds)
    _check_values(task, method, result, length)


def _check_array(
    task: Task, method: str, name: str, array: Any, shape: tuple[int, ...], kinds: str
) -> None:
    words = {"iu": "int32", "f": "float32", "b": "bool"}
    came = None if array is None else (array.shape, array.dtype.kind)
    if came is None or came[0] != shape or came[1] not in kinds:
        is_ = "none" if array is None else f"{array.dtype} of shape {array.shape}"
        raise wrong(
            task, method, f"gives {name}: {is_}", f"{words[kinds]} of shape {shape}"
        )


def _check_values(task: Task, method: str, result: Batch, length: int) -> None:
    """Check the numbers where they count: at steps of the sequence, and where an answer is due."""
    inputs = np.asarray(result.inputs)[:length]
    targets = np.asarray(result.targets)
    if result.mask is not None:
        mask = np.asarray(result.mask)
        if not mask.any() or mask[length:].any():
            came = (
                "asks for no answer"
                if not mask.any()
                else f"asks for answers after {length} steps"
            )
            raise wrong(
                task, method, f"gives a mask that {came}", "true where an answer is due"
            )
        targets = targets[..., mask]
    tops = {"inputs": (inputs, task.vocabulary)}
    tops["targets"] = (targets, task.outputs if task.loss == "classes" else None)
    for name, (array, top) in tops.items():
        if top is None:
            if not np.isfinite(array).all():
                raise wrong(
                    task, method, f"gives {name} that are not finite", "numbers"
                )
        elif array.min() < 0 or array.max() >= top:
            came = f"gives {name} from {array.min()} to {array.max()}"
            limit = "vocabulary" if name == "inputs" else "outputs"
            raise wrong(task, method, came, f"from 0 to {top - 1}, as {limit} says")
