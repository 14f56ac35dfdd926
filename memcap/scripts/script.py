"""Writes a member's script from the templates of a framework and of NumPy."""

import re
from collections import ChainMap
from collections.abc import Collection, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from string import Template
from textwrap import dedent
from typing import Any

import numpy as np

from memcap.cells import Init
from memcap.config import recipes
from memcap.config.member import Member
from memcap.config.recipes import ResolvedRecipe
from memcap.knobs import Acts, UserError, set_words, unknown_knob
from memcap.models.model import Model, preset
from memcap.scripts.sequences import BLOCK, all_tests, counts, first_lag, sequences
from memcap.store.files import write_arrays
from memcap.tasks import Task
from memcap.terminal.words import plural

TEMPLATES = Path(__file__).parent
FRAMEWORKS = ("flax", "keras", "torch")
# The cells whose equations all frameworks have, by `model.cell`: in words, and for each
# framework the layer and the letters of its gates.
CELLS = {
    "lstm": ("an LSTM", "OptimizedLSTMCell i f g o", "LSTM i f c o", "LSTM i f g o"),
    "GRUCell": ("a GRU", "GRUCell r z n", "GRU z r h", "GRU r z n"),
    "SimpleCell": ("an Elman network", "SimpleCell h", "SimpleRNN h", "RNN h"),
}
# The roles of gates in `Init`, by their letters; the others are the candidate.
ROLES = {"i": "input", "f": "forget", "z": "forget", "o": "output", "r": "output"}
DEFINITION = "#definition\n"  # stands before and after lines that define a net
# optimizers in templates; Muon, SOAP and GGT are written out there, as the frameworks'
# own Muon would take the matrices of all gates for one
OPTIMIZERS = ("adam", "sgd", "rmsprop", "muon", "soap", "ggt")
# the knobs that a script has, or refuses in words of its own, act on these
SERVES: tuple[Acts, ...] = ("label", "start", "schedule", "update", "batch", "layers")


def script(
    member: Member,
    framework: str,
    heading: str = "",
    file: Path | None = None,
    command: str = "",
    width: str = "",
) -> str:
    """Write a Python script that trains and judges a member on an .npz file beside it.

    Args:
        member: a net of an LSTM, a GRU or an Elman network with a dense read-out, on
            sequences of the task's own length.
        framework: one of `FRAMEWORKS`.
        heading: what the first lines say about the width.
        file: path of the script; its sequences lie beside it.
        command: what the script names as the command that does.
        width: the comment on the width, such as "not measured".

    Raises:
        UserError: no such framework, another network, recipe or length, or windows of
            several lengths.
    """
    comment = f"  # {width}" if width else ""
    words = {"heading": heading, "command": command, "width": comment}
    text = _script(member, framework, words)
    if file is not None:
        if file.suffix != ".py":
            raise UserError(f"{file}: must end in .py")
        write_arrays(file.with_suffix(".npz"), sequences(member))
        file.write_text(text, encoding="utf-8")
    return text


def definition(
    framework: str, task: Task, lag: int, recipe: ResolvedRecipe, model: Model
) -> list[str]:
    """Return the lines that define a layer, its read-out and its optimizer. They need
    no JAX.

    Raises:
        UserError: no script has this network or recipe.
    """
    _check(framework, model, recipe)
    init = _init(task, lag, model, recipe)
    marks = _layer_marks(model, recipe, init) | {"answer"}
    _, *parts = _template(framework).split(DEFINITION)
    text = "".join(line for part in parts[::2] for line in _lines(dedent(part), marks))
    values = _layer_values(framework, model, init)
    numbers = {
        "UNITS": model.units,
        "RATE": f"{recipe.peak(lag, model.units):g}",
        "CLIP": f"{recipe.clip:g}",
        "OUTPUTS": task.outputs,
        "features": task.features,
        "rng": "np.random",
        "rngs": "nnx.Rngs(0)",
    }
    names = rf"\b({'|'.join(numbers)})\b(?!=)"
    text = Template(text).substitute(values)
    return re.sub(names, lambda name: str(numbers[name[0]]), text).splitlines()


def lags_words(task: Task, lag: int, recipe: ResolvedRecipe) -> str:
    if recipe.lags == "uniform":
        return f"every lag from {task.smallest_lag} to {lag}"
    first = first_lag(task, lag, recipe)
    return f"lags that rise from {first} to {lag}" if first < lag else f"lag {lag}"


def _script(member: Member, framework: str, words: dict[str, str]) -> str:
    from memcap import optimizers
    from memcap.training import curriculum

    task = member.task
    recipe = member.recipe
    model = member.model
    _check(framework, model, recipe)
    _check_length(member)
    knobs = ", ".join(set_words(task))
    size = plural(model.units, "unit")
    several = f"{size} in each of {model.layers} layers"
    classes = task.loss == "classes"
    window = _window(member)
    fewest = min(BLOCK, *counts(member).values())
    criterion = member.criterion
    init = _init(task, member.lag, model, recipe)
    values = {
        **_layer_values(framework, model, init),
        **words,
        "heading": words["heading"] or f"The recipe is memcap's `{recipe.name}`.",
        "size": several if model.layers > 1 else size,
        "label": f"{task.name} ({knobs})" if knobs else task.name,
        "lag": member.lag,
        "lags": lags_words(task, member.lag, recipe),
        "front": "LAG" if recipe.curriculum is None else "front",
        "start": first_lag(task, member.lag, recipe),
        "features": task.features,
        "outputs": task.outputs,
        "rate": f"{recipe.rate(model.units):g}",
        "warmup": recipe.warmup,
        "window": window,
        "steps": member.length if window else None,
        "metric": task.metric,
        "better": ">=" if classes else "<=",
        "worst": "min" if classes else "max",
        "threshold": f"{criterion.value:g}",
        "strict": f"{criterion.score(criterion.allowed / 2):g}",
        "twice": f"{criterion.score(2 * criterion.allowed):g}",
        "allowed": f"{criterion.with_margin(fewest).value:g}",
    }
    parts = (recipe, model, member.evaluation, curriculum, optimizers)
    text = _template(framework).replace("$numpy\n", _template("numpy"))
    text = re.sub(f" *{DEFINITION}", "", text)
    marks = _layer_marks(model, recipe, init) | _marks(member, window)
    lines = _lines(text, marks)
    return Template("".join(lines)).substitute(ChainMap(values, *map(vars, parts)))


def _init(task: Task, lag: int, model: Model, recipe: ResolvedRecipe) -> Init:
    init = preset(recipe.init, lag, task.length(lag), recipe.forget_bias)
    # an Elman network has no gate that could hold
    return replace(init, spread=None) if model.cell == "SimpleCell" else init


def _layer_values(framework: str, model: Model, init: Init) -> dict[str, Any]:
    words, *layers = CELLS[model.cell]
    layer, *letters = layers[FRAMEWORKS.index(framework)].split()
    roles = [ROLES.get(letter, "candidate") for letter in letters]
    biases = {role: repr(round(vars(init).get(role, 0.0), 3)) for role in roles}
    if init.spread is not None:
        biases = dict.fromkeys(roles, "0 * keep") | {"input": "-keep", "forget": "keep"}
    return vars(recipes) | {
        "net": words,
        "layer": layer,
        "letters": ", ".join(letters),
        "biases": ", ".join(biases[role] for role in roles),
        "gains": [init.gain if role == "candidate" else 1 for role in roles],
        "gates": len(roles),
        "spread": f"{init.spread or 0:g}",
    }


def _layer_marks(model: Model, recipe: ResolvedRecipe, init: Init) -> set[str]:
    conditions = {
        "spread": init.spread is not None,
        "together": init.together,
        "whole": recipe.optimizer in ("soap", "ggt"),
    }
    choices = {model.cell, recipe.optimizer}
    return choices | {name for name, holds in conditions.items() if holds}


def _marks(member: Member, window: int | None) -> set[str]:
    task = member.task
    recipe = member.recipe
    conditions = {
        "windows": window is not None,
        "curriculum": recipe.curriculum is not None,
        "other_lags": recipe.with_other_lags,
        "falls": recipe.falls_above is not None,
        "warmup": recipe.warmup > 1,
        "exact": all_tests(member),
        "drawn": not all_tests(member),
        "reset": task.reset_carry,
        "keep": not task.reset_carry,
    }
    choices = {recipe.schedule, str(recipe.lags), task.loss}
    choices.add(str(member.evaluation.until))
    return choices | {name for name, holds in conditions.items() if holds}


def _template(name: str) -> str:
    return (TEMPLATES / f"{name}.template").read_text(encoding="utf-8")


def _lines(text: str, marks: Collection[str]) -> Iterator[str]:
    """Keep lines that end in a mark, and those from a mark to its `#end`, where it
    holds; and from its `#else` on where it does not."""
    holds: list[bool] = []
    for line in text.splitlines():
        marked = re.fullmatch(r"(.*?) *#(\w+)", line)
        before, mark = marked.groups() if marked else (line, "")
        if mark == "end":
            holds.pop()
        elif mark == "else":
            holds[-1] = not holds[-1]
        elif mark and not before:
            holds.append(mark in marks)
        elif all(holds) and (not mark or mark in marks):
            yield f"{before}\n"


def check_network(model: Model, framework: str) -> None:
    if model.cell not in CELLS:
        raise UserError(
            f"code={framework}: scripts are for the cells {', '.join(CELLS)}, not for"
            f" {model.cell}, which memcap alone trains: memcap train model.cell={model.cell}"
        )
    if model.readout != "dense":
        raise UserError(
            f"code={framework}: a script has a dense read-out, not one by an {model.readout};"
            f" {_by_memcap(framework)}"
        )
    if knob := unknown_knob(SERVES, model=model):
        raise UserError(f"{knob}: a script does not know it; {_by_memcap(framework)}")


def _check(framework: str, model: Model, recipe: ResolvedRecipe) -> None:
    if framework not in FRAMEWORKS:
        raise UserError(
            f"code={framework}: no such framework; one of {', '.join(FRAMEWORKS)}"
        )
    check_network(model, framework)
    if knob := unknown_knob(SERVES, recipe=recipe):
        raise UserError(f"{knob}: a script does not know it; {_by_memcap(framework)}")
    if recipe.optimizer not in OPTIMIZERS:
        raise UserError(
            f"recipe.optimizer={recipe.optimizer}: no script trains by it;"
            f" {_by_memcap(framework)}"
        )
    if recipe.init == "flax":
        raise UserError(
            "recipe.init=flax: a script starts as memcap does; set recipe.init=forget_bias"
        )


def _check_length(member: Member) -> None:
    length = member.task.length(member.lag)
    if member.length != length:
        raise UserError(
            f"task.length={member.length}: a script is of the task's own length, {length}"
        )


def _by_memcap(framework: str) -> str:
    """Say how to have a net that no script can train."""
    return (
        f"train it by memcap, and take its weights: memcap export KEY --layout {framework} -o"
        " weights.npz"
    )


def _window(member: Member) -> int | None:
    """Return the steps of a window, the first of which starts with the sequence; None
    if there is only one.

    Raises:
        UserError: windows have several lengths, a curriculum, or longer sequences.
    """
    import jax

    task = member.task
    length = member.length
    sizes = (member.lag, length, length, 1)
    draw: Any = partial(task.sample, jax.random.key(0), *sizes)
    if jax.eval_shape(draw).window_starts is None:
        return None
    starts = np.flatnonzero(draw().window_starts)
    window = int(starts[1]) if len(starts) > 1 else length
    if not np.array_equal(starts, np.arange(0, length, window)):
        raise UserError(
            f"task {task.name}: windows of a script have one length, from the first step on"
        )
    if member.recipe.with_other_lags or member.evaluation.until != "solved":
        raise UserError(
            f"task {task.name}: a script with windows has sequences of one length; give it a"
            " recipe of one lag, and evaluation.until=solved"
        )
    return window if window < length else None
