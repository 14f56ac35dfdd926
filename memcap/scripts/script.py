"""Writes a member's script from the templates of a framework and of NumPy."""

import re
from collections import ChainMap
from collections.abc import Collection, Iterator
from functools import partial
from pathlib import Path
from string import Template
from typing import Any

import numpy as np

from memcap import cells
from memcap.config import recipes
from memcap.config.member import Member
from memcap.knobs import UserError, set_words, unknown_knob
from memcap.models.model import Model
from memcap.scripts.sequences import counts, first_lag, sequences
from memcap.store.files import write_arrays
from memcap.terminal.words import plural

TEMPLATES = Path(__file__).parent
FRAMEWORKS = ("flax", "keras", "torch")
# The cells whose equations all frameworks have, by `model.cell`: in words, and as layers.
CELLS = {
    "lstm": (
        "an LSTM",
        {"flax": "OptimizedLSTMCell", "keras": "LSTM", "torch": "LSTM"},
    ),
    "GRUCell": ("a GRU", {"flax": "GRUCell", "keras": "GRU", "torch": "GRU"}),
    "SimpleCell": (
        "an Elman network",
        {"flax": "SimpleCell", "keras": "SimpleRNN", "torch": "RNN"},
    ),
}
# optimizers in templates; Muon, SOAP and GGT are written out there, as the frameworks'
# own Muon would take the matrices of all gates for one
OPTIMIZERS = ("adam", "sgd", "rmsprop", "muon", "soap", "ggt")
# the knobs that a script has, or that are refused in words of their own
KNOBS = frozenset(
    [
        *("model.cell", "model.units", "model.readout", "model.layers"),
        *("recipe.name", "recipe.init", "recipe.forget_bias", "recipe.decay"),
        *("recipe.lr", "recipe.lr_width", "recipe.falls_above", "recipe.schedule"),
        *("recipe.floor", "recipe.warmup", "recipe.warmup_share", "recipe.budget"),
        *("recipe.batch", "recipe.lags", "recipe.before", "recipe.curriculum"),
        *("recipe.advance", "recipe.deadline", "recipe.clip", "recipe.clip_by"),
        "recipe.optimizer",
    ]
)


def script(
    member: Member,
    framework: str,
    heading: str = "",
    file: Path | None = None,
    command: str = "",
) -> str:
    """Write a Python script that trains and judges a member on the sequences in an .npz
    file beside it.

    Args:
        member: a net of an LSTM, a GRU or an Elman network with a dense read-out, on
        sequences of the task's own length.
        framework: one of `FRAMEWORKS`.
        heading: what the script says about the width.
        file: path at which to write the script and, beside it, its sequences.
        command: what the script names as the command that does.

    Raises:
        UserError: no such framework, another network, recipe or length, or windows of
        several lengths.
    """
    text = _script(member, framework, heading, command)
    if file is not None:
        if file.suffix != ".py":
            raise UserError(f"{file}: must end in .py")
        write_arrays(file.with_suffix(".npz"), sequences(member))
        file.write_text(text, encoding="utf-8")
    return text


def _script(member: Member, framework: str, heading: str, command: str) -> str:
    from memcap import optimizers
    from memcap.training import curriculum

    _check(member, framework)
    task = member.task
    recipe = member.recipe
    model = member.model
    knobs = ", ".join(set_words(task))
    size = plural(model.units, "unit")
    several = f"{size} in each of {model.layers} layers"
    classes = task.loss == "classes"
    window = _window(member)
    fewest = min(counts(member).values())
    values = {
        **_gates(member, framework),
        "size": several if model.layers > 1 else size,
        "label": f"{task.name} ({knobs})" if knobs else task.name,
        "heading": heading or f"The recipe is memcap's `{recipe.name}`.",
        "command": command,
        "lag": member.lag,
        "front": "LAG" if recipe.curriculum is None else "front",
        "start": first_lag(member),
        "features": task.features,
        "outputs": task.outputs,
        "rate": f"{recipe.rate(model.units):g}",
        "warmup": recipe.warmup_steps,
        "floor": recipe.floor or 0,
        "clipping": "clipvalue" if recipe.clip_by == "element" else "global_clipnorm",
        "window": window,
        "steps": member.length if window else None,
        "metric": task.metric,
        "better": ">=" if classes else "<=",
        "worst": "min" if classes else "max",
        "threshold": f"{member.criterion.value:g}",
        "allowed": f"{member.criterion.with_margin(fewest).value:g}",
    }
    parts = (recipe, model, member.evaluation, recipes, curriculum, optimizers)
    text = _template(framework).replace("$numpy\n", _template("numpy"))
    lines = _lines(text, _marks(member, window))
    return Template("".join(lines)).substitute(ChainMap(values, *map(vars, parts)))


def _gates(member: Member, framework: str) -> dict[str, Any]:
    """Return the names of a cell in a framework, and the start of its gates in the
    framework's order."""
    init = member.init
    words, layers = CELLS[member.model.cell]
    gates = cells.cell_class(layers["flax"]).gates
    assert init is not None  # `_check` refuses Flax's own initialiser
    assert gates is not None
    roles = list(gates.roles)
    if framework == "keras" and member.model.cell == "GRUCell":
        roles = ["forget", "output", "candidate"]
    biases = {role: f"{vars(init).get(role, 0):g}" for role in roles}
    if init.spread is not None:
        biases |= {"input": "-keep", "forget": "keep"}
    return {
        "net": words,
        "layer": layers[framework],
        "bias": gates.bias[0],
        "biases": f"[{', '.join(biases[role] for role in roles)}]",
        "gains": [init.gain if role == "candidate" else 1 for role in roles],
        "gates": len(roles),
        "spread": init.spread,
    }


def _marks(member: Member, window: int | None) -> set[str]:
    """Return the marks of a member's lines in the templates."""
    task = member.task
    recipe = member.recipe
    init = member.init
    assert init is not None
    conditions = {
        "symbols": task.vocabulary is not None,
        "windows": window is not None,
        "curriculum": recipe.curriculum is not None,
        "other_lags": recipe.with_other_lags,
        "whole": recipe.optimizer in ("soap", "ggt"),
        "falls": recipe.falls_above is not None,
        "warmup": recipe.warmup_steps > 1,
        "spread": init.spread is not None,
        "together": init.together,
        "reset": task.reset_carry,
        "keep": not task.reset_carry,
    }
    choices = {recipe.optimizer, recipe.schedule, recipe.clip_by, str(recipe.lags)}
    choices |= {member.model.cell, task.loss, str(member.evaluation.until)}
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
    """Raise UserError if no script has this network."""
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
    if knob := unknown_knob(KNOBS, model=model):
        raise UserError(f"{knob}: a script does not know it; {_by_memcap(framework)}")


def _check(member: Member, framework: str) -> None:
    """Raise UserError if no script can train this member."""
    if framework not in FRAMEWORKS:
        raise UserError(
            f"code={framework}: no such framework; one of {', '.join(FRAMEWORKS)}"
        )
    recipe = member.recipe
    length = member.task.length(member.lag)
    check_network(member.model, framework)
    if knob := unknown_knob(KNOBS, recipe=recipe):
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
    if member.length != length:
        raise UserError(
            f"task.length={member.length}: a script is of the task's own length, {length}"
        )


def _by_memcap(framework: str) -> str:
    """Say how to have a net in a framework that no script there can train."""
    return (
        f"train it by memcap, and take its weights: memcap export KEY --layout {framework} -o"
        " weights.npz"
    )


def _window(member: Member) -> int | None:
    """Return the steps of a window, the first of which starts with the sequence; None
    if there is only one.

    Raises:
        UserError: windows have several lengths, or come with a curriculum or longer
        sequences.
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
