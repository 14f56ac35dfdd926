"""The plain columns of a row: what follows from its member's config. Needs no JAX.

Each knob of the network, the recipe and the evaluation is a column, named by its dataclass, so a new knob is
a column without an edit here. Whoever reads a row gets its parts back as the same objects.
"""

import json
from collections.abc import Collection, Mapping
from dataclasses import fields
from typing import Any, get_args, get_type_hints

import polars as pl

from memcap.config import Evaluation
from memcap.knobs import completed, typed
from memcap.models.model import Model
from memcap.recipes import ResolvedRecipe
from memcap.tasks import Task, task_class

Columns = dict[str, tuple[Any, str]]  # by name: the type, and what the column is
DTYPES = {int: pl.Int64, float: pl.Float64, str: pl.String, bool: pl.Boolean}
EVALUATION_PREFIX = "evaluation_"


def _knobs(cls: Any, without: Collection[str] = ()) -> Columns:
    """Return a column for each knob of a dataclass."""
    hints = get_type_hints(cls)
    kinds = {f.name: (*get_args(hints[f.name]), hints[f.name])[0] for f in fields(cls)}
    return {f.name: (DTYPES[kinds[f.name]], f.metadata["doc"]) for f in fields(cls) if f.name not in without}


TASK: Columns = {
    "task": (pl.String, "what is to be remembered"),
    "knobs": (pl.String, "the task's own knobs, JSON, as in `config`"),
    "lag": (pl.Int64, "time steps from what is to be remembered to where it is due; each task says which"),
    "length": (pl.Int64, "time steps of a training sequence"),
}
MODEL = _knobs(Model)
START: Columns = {  # of the weights, as the recipe's initialiser made it
    "input_bias": (pl.Float64, "of the input gate at the start; null where drawn (chrono) or Flax's own"),
    "forget_bias": (pl.Float64, "of the forget gate at the start; null likewise"),
    "output_bias": (pl.Float64, "of the output gate at the start; null likewise"),
    "gain": (pl.Float64, "of the candidate's recurrent block at the start"),
    "orthogonal": (pl.Boolean, "whether that block begins orthogonal"),
}
# A row's forget bias is the start's, which says more than the recipe's.
RECIPE: Columns = {
    "recipe": (pl.String, "name of the recipe"),
    **_knobs(ResolvedRecipe, without=("name", "forget_bias")),
}
EVALUATION: Columns = {
    name if name in ("stretch", "lengths") else EVALUATION_PREFIX + name: column
    for name, column in _knobs(Evaluation).items()
}
THRESHOLD: Columns = {"threshold": (pl.Float64, "the criterion: accuracy at least, or error at most")}
DERIVED: Columns = {
    **TASK,
    **MODEL,
    **{name: RECIPE[name] for name in ("recipe", "init")},
    **START,
    **RECIPE,
    **THRESHOLD,
    **{name: EVALUATION[name] for name in ("stretch", "lengths", "evaluation_sequences")},
    **EVALUATION,
}
# What members that are counted together have in common: all but width and seed. Lengths at which they are
# scored at the end bear on no verdict.
IDENTITY = [name for name in DERIVED if name not in ("units", "lengths")]


def columns_of(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the columns of `DERIVED` for a member's config, with or without its seed.

    Raises:
        KeyError, TypeError, AttributeError: it is no member's config.
    """
    task = dict(config["task"])
    name, lag, length = (task.pop(each) for each in ("name", "lag", "length"))
    recipe = completed(ResolvedRecipe, config["recipe"])
    evaluation = completed(Evaluation, config["evaluation"])
    start = config["start"] or {}
    if start.get("spread") is not None:
        start = start | {"input": None, "forget": None}  # drawn
    values = {
        "task": name,
        "knobs": json.dumps(task, sort_keys=True),
        "lag": lag,
        "length": length,
        **completed(Model, config["model"]),
        **recipe,
        "recipe": recipe["name"],
        **{column: start.get(column.removesuffix("_bias")) for column in START},
        **{EVALUATION_PREFIX + name: value for name, value in evaluation.items()},
        **evaluation,
        "threshold": config["threshold"],
    }
    return {column: values[column] for column in DERIVED}


def task_of(row: Mapping[str, Any]) -> Task:
    """Return the task of a row.

    Raises:
        UserError: there is no such task, or it has no such knobs.
    """
    cls = task_class(row["task"])
    return typed(cls, completed(cls, json.loads(row["knobs"])), "task")


def model_of(row: Mapping[str, Any]) -> Model:
    """Return the network of a row, at one unit.

    Raises:
        UserError: there is no such cell, or a value is none of this version's.
    """
    return typed(Model, {name: row[name] for name in MODEL} | {"units": 1}, "model")


def recipe_of(row: Mapping[str, Any]) -> ResolvedRecipe:
    """Return the recipe of a row.

    Raises:
        UserError: a value is none of this version's.
    """
    values = {name: row[name] for name in RECIPE if name != "recipe"}
    forget_bias = row["forget_bias"] if row["init"] == "forget_bias" else None
    return typed(ResolvedRecipe, values | {"name": row["recipe"], "forget_bias": forget_bias}, "recipe")


def evaluation_of(row: Mapping[str, Any]) -> Evaluation:
    """Return how the member of a row was judged, but for the lengths at which it was scored at the end."""
    values = {
        column.removeprefix(EVALUATION_PREFIX): row[column] for column in EVALUATION if column != "lengths"
    }
    return typed(Evaluation, values, "evaluation")
