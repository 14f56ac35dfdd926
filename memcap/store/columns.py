"""The plain columns of a row, derived from its member's config: one for each knob of
the network, the recipe and the evaluation. Needs no JAX."""

import json
from collections.abc import Collection, Mapping
from dataclasses import fields
from datetime import datetime
from functools import lru_cache
from typing import Any, NamedTuple, get_args, get_type_hints

import polars as pl

from memcap.config.recipes import ResolvedRecipe
from memcap.knobs import LONGEST, completed, typed
from memcap.models.model import Model
from memcap.rule import Evaluation
from memcap.runtime.plugins import names_in_data
from memcap.tasks import Task, task_class


class RowColumn(NamedTuple):
    """One column of rows."""

    kind: Any  # the type of its values, a key of `DTYPES`
    doc: str  # its meaning and unit
    # the values that it allows, like the metadata of a knob
    limits: Mapping[str, Any] = {}

    @property
    def dtype(self) -> Any:
        return DTYPES[self.kind]


Columns = dict[str, RowColumn]
Row = dict[str, Any]  # values by column
DTYPES = {
    int: pl.Int64,
    float: pl.Float64,
    str: pl.String,
    bool: pl.Boolean,
    datetime: pl.Datetime("us", "UTC"),
}
LARGEST = (1 << 63) - 1  # largest integer of a column
SEED = r', "seed": (-?\d+)'  # in the text of a config
PREFIX = "evaluation_"
OPTIONAL = {"before": None}  # limits of a column that may be null


def _knobs(cls: Any, without: Collection[str] = ()) -> Columns:
    hints = get_type_hints(cls)
    kinds = {f.name: (*get_args(hints[f.name]), hints[f.name])[0] for f in fields(cls)}
    own = [f for f in fields(cls) if f.name not in without]
    return {
        f.name: RowColumn(kinds[f.name], f.metadata["doc"], f.metadata) for f in own
    }


STEPS = {"at_least": 1, "at_most": LONGEST}
TASK: Columns = {
    "task": RowColumn(str, "name of the task"),
    "knobs": RowColumn(str, "knobs of the task, JSON, as in `config`"),
    "lag": RowColumn(
        int,
        "time steps between seeing something and having to give it; each task says which steps",
        STEPS,
    ),
    "length": RowColumn(int, "time steps of a training sequence", STEPS),
}
MODEL = _knobs(Model)
START: Columns = {
    "input_bias": RowColumn(
        float,
        "bias of the input gate at the start; null if it is drawn (chrono) or set by Flax",
        OPTIONAL,
    ),
    "forget_bias": RowColumn(
        float,
        "bias of the forget gate at the start; null as for `input_bias`",
        OPTIONAL,
    ),
    "output_bias": RowColumn(
        float,
        "bias of the output gate at the start; null as for `input_bias`",
        OPTIONAL,
    ),
    "gain": RowColumn(
        float, "gain of the candidate's recurrent block at the start", OPTIONAL
    ),
    "orthogonal": RowColumn(
        bool, "true if this block is orthogonal at the start", OPTIONAL
    ),
}
RECIPE: Columns = {  # a row's forget bias is the start's, which says more
    "recipe": RowColumn(str, "name of the recipe"),
    **_knobs(ResolvedRecipe, without=("name", "forget_bias")),
}
EVALUATION: Columns = {
    name if name in ("stretch", "lengths") else PREFIX + name: column
    for name, column in _knobs(Evaluation).items()
}
THRESHOLD: Columns = {
    "threshold": RowColumn(
        float, "criterion: the least accuracy or the greatest error that passes"
    )
}
DERIVED: Columns = {
    **TASK,
    **MODEL,
    **{name: RECIPE[name] for name in ("recipe", "init")},
    **START,
    **RECIPE,
    **THRESHOLD,
    **{
        name: EVALUATION[name]
        for name in ("stretch", "lengths", "evaluation_sequences")
    },
    **EVALUATION,
}
# What members that are counted together have in common. The lengths at which they are
# scored at the end affect no verdict.
IDENTITY = [name for name in DERIVED if name not in ("units", "lengths")]


def columns_of(config: Mapping[str, Any]) -> Row:
    """Return the columns of `DERIVED` for a config, with or without its seed.

    Raises:
        KeyError, TypeError, AttributeError, ValueError, OverflowError: it is no
            member's config.
    """
    task = dict(config["task"])
    columns = {
        "task": task.pop("name"),
        "lag": task.pop("lag"),
        "length": task.pop("length"),
        "knobs": json.dumps(task, sort_keys=True),
        "threshold": float(config["threshold"]),
    }
    model = completed(Model, config["model"])
    recipe = completed(ResolvedRecipe, config["recipe"])
    recipe["recipe"] = recipe["name"]
    evaluation = completed(Evaluation, config["evaluation"])
    start = dict(config["start"] or {})
    if start.get("spread") is not None:  # they are drawn
        start |= {"input": None, "forget": None}
    columns |= {name: model[name] for name in MODEL}
    columns |= {name: recipe[name] for name in RECIPE}
    columns |= {name: start.get(name.removesuffix("_bias")) for name in START}
    columns |= {name: evaluation[name.removeprefix(PREFIX)] for name in EVALUATION}
    for name, value in columns.items():
        kind = DERIVED[name].kind
        kinds = (int, float) if kind is float else (kind,)  # in JSON 1.0 may be 1
        is_kind = value is None or type(value) in kinds
        if not is_kind or (type(value) is int and abs(value) > LARGEST):
            raise TypeError(f"{name}: {type(value)}")
    return columns


def derive(configs: pl.Series) -> pl.DataFrame:
    """Return the columns of `DERIVED`, and the seed, for configs as text; nulls where
    one is not a member's."""
    texts = pl.DataFrame({"text": configs.str.replace(SEED, "")})
    different = texts["text"].unique(maintain_order=True)
    lines = [_line(text) for text in different]
    columns = {name: [line.get(name) for line in lines] for name in DERIVED}
    schema = {name: column.dtype for name, column in DERIVED.items()}
    kinds = pl.DataFrame(columns, schema).with_columns(text=different)
    rows = texts.join(kinds, "text", "left", maintain_order="left").drop("text")
    return rows.with_columns(
        configs.str.extract(SEED).cast(pl.Int64, strict=False).alias("seed")
    )


@lru_cache(maxsize=1 << 14)
def _line(text: str | None) -> Row:
    """Return the columns of a config without its seed; none if it is not a member's."""
    try:
        config = json.loads(text or "")
        # its own seed was taken out
        return {} if "seed" in config else columns_of(config)
    except (
        ValueError,
        KeyError,
        TypeError,
        AttributeError,
        OverflowError,
        RecursionError,
    ):
        return {}


def task_of(task: str, knobs: str) -> Task:
    """Return the task of a row; nothing is imported."""
    with names_in_data():
        cls = task_class(task)
    return typed(cls, completed(cls, json.loads(knobs)), "task")


def model_of(row: Row) -> Model:
    """Return the network of a row, at one unit."""
    with names_in_data():
        return typed(
            Model,
            {name: row[name] for name in MODEL if name != "units"} | {"units": 1},
            "model",
        )


def recipe_of(row: Row) -> ResolvedRecipe:
    """Return the recipe of a row; raise UserError if it is not of this version."""
    values = {name: row[name] for name in RECIPE if name != "recipe"}
    forget_bias = row["forget_bias"] if row["init"] == "forget_bias" else None
    return typed(
        ResolvedRecipe,
        values | {"name": row["recipe"], "forget_bias": forget_bias},
        "recipe",
    )


def evaluation_of(row: Row) -> Evaluation:
    """Return the evaluation of a row's member, without its further lengths."""
    values = {
        name.removeprefix(PREFIX): row[name] for name in EVALUATION if name != "lengths"
    }
    return typed(Evaluation, values, "evaluation")
