"""Rows: one per member, with all that was trained, how it was judged and what came of it. Needs no JAX."""

from collections.abc import Collection, Sequence
from typing import Any, Literal, get_args

import polars as pl

from memcap.store.files import BadFileError

At = Literal["steady", "trained"]  # which verdict counts: see `memcap.capacity.frontier`
VERDICTS = get_args(At)

# What each column is, in which units, and its type. `make tables` prints it into results/README.md.
COLUMNS: dict[str, tuple[Any, str]] = {
    "key": (pl.String, "hash of `config`: who has the same key is the same member"),
    "study": (pl.String, "name of the study"),
    "task": (pl.String, "what is to be remembered"),
    "knobs": (pl.String, "the task's own knobs, JSON, as in `config`"),
    "lag": (pl.Int64, "time steps from what is to be remembered to where it is due; each task says which"),
    "length": (pl.Int64, "time steps of a training sequence"),
    "cell": (pl.String, "the recurrent cell"),
    "units": (pl.Int64, "width of the cell, in each layer"),
    "readout": (pl.String, "what maps the shown state to the answer"),
    "layers": (pl.Int64, "cells one on top of another, each of `units` units"),
    "initial_carry": (pl.String, "the carry before the first step: fixed, the cell's own, or learned"),
    "seed": (pl.Int64, "of weights and data"),
    "recipe": (pl.String, "name of the recipe"),
    "init": (pl.String, "how weights begin"),
    "input_bias": (pl.Float64, "of the input gate at the start; null where drawn (chrono) or Flax's own"),
    "forget_bias": (pl.Float64, "of the forget gate at the start; null likewise"),
    "output_bias": (pl.Float64, "of the output gate at the start; null likewise"),
    "gain": (pl.Float64, "of the candidate's recurrent block at the start"),
    "orthogonal": (pl.Boolean, "whether that block begins orthogonal"),
    "lr": (pl.Float64, "learning rate"),
    "schedule": (pl.String, "of the learning rate"),
    "warmup": (pl.Int64, "steps until the learning rate is reached"),
    "batch": (pl.Int64, "sequences per training step"),
    "clip": (pl.Float64, "at which a gradient is clipped; `clip_by` says how"),
    "budget": (pl.Int64, "the most training steps"),
    "falls_above": (pl.Int64, "lag above which the learning rate falls; null: it is the same at every lag"),
    "curriculum": (pl.Float64, "share of the lag at which a curriculum starts; null: none"),
    "advance": (pl.Float64, "score at which the curriculum goes on"),
    "deadline": (pl.Float64, "share of the budget by which the curriculum is over"),
    "optimizer": (pl.String, "adam, sgd: with momentum, rmsprop, or adamw"),
    "decay": (pl.Float64, "of weights by adamw; null: none"),
    "floor": (pl.Float64, "share of the learning rate at which a cosine ends; null: 0"),
    "warmup_share": (pl.Float64, "share of the budget that is warmup; null: `warmup` says it"),
    "lags": (pl.String, "uniform: a lag of its own for each batch, up to `lag`; null: `lag`"),
    "clip_by": (pl.String, "what `clip` bounds: the gradient's global norm, or each element's size"),
    "status": (pl.String, "solved, unsolved, diverged; failed: two workers ended while they trained it"),
    "reason": (pl.String, "why it failed; null unless it did"),
    "solved": (pl.Boolean, "whether the criterion was met"),
    "steady": (pl.Boolean, "solved, and by the same weights at the stretched length"),
    "steps": (pl.Int64, "training steps taken"),
    "steps_to_solve": (pl.Int64, "null unless solved"),
    "steps_to_steady": (pl.Int64, "null unless steady"),
    "metric": (pl.String, "accuracy, or mse (mean squared error)"),
    "threshold": (pl.Float64, "the criterion: accuracy at least, or error at most"),
    "final": (pl.Float64, "last held-out metric; null if never evaluated"),
    "best": (pl.Float64, "best held-out metric"),
    "train_loss": (pl.Float64, "mean over the last chunk; nats, or squared error"),
    "stretch": (pl.Int64, "how many times the lag (or length) the stretched test asks"),
    "stretched": (pl.Float64, "metric there"),
    "lengths": (
        pl.String,
        "lags (of a stream: lengths) at which the trained net was scored; null: none",
    ),
    "score_at_lengths": (pl.String, "metric at each of them, JSON"),
    "whole_at_lengths": (
        pl.String,
        "share of sequences there without a wrong answer, JSON; of values nulls",
    ),
    "evaluation_sequences": (pl.Int64, "held-out sequences per evaluation"),
    "evaluation_every": (pl.Int64, "training steps between evaluations"),
    "evaluation_successive": (pl.Int64, "evaluations in a row that must pass"),
    "evaluation_until": (pl.String, "solved, or steady: what the member was trained for"),
    "carry_numbers": (pl.Int64, "numbers in the carry of the whole net, per sequence"),
    "parameters": (pl.Int64, "trained numbers, read-out included"),
    "compile_seconds": (pl.Float64, "of the program, shared by its population"),
    "run_seconds": (pl.Float64, "of training and evaluation"),
    "loop": (pl.String, "over time, by its name in memcap/loops/"),
    "batching": (pl.String, "the same in three words, before there was `loop`: map or vmap,"),
    "scan": (pl.String, "loop, scan or plain,"),
    "kernel": (pl.String, "xla or native"),
    "program_units": (
        pl.Int64,
        "width that the member was padded to: more than `units` only where widths share a program",
    ),
    "program_steps": (pl.Int64, "and the buffer of its sequences, time steps"),
    "population": (pl.String, "stem of the shard and of the weights' file"),
    "config": (pl.String, "the whole resolved config, JSON"),
    "memcap": (pl.String, "version of memcap"),
    "python": (pl.String, "version of Python"),
    "jax": (pl.String, "version of JAX"),
    "jaxlib": (pl.String, "version of jaxlib"),
    "flax": (pl.String, "version of Flax"),
    "optax": (pl.String, "version of optax"),
    "backend": (pl.String, "cpu, gpu or tpu"),
    "device": (pl.String, "its name"),
    "matmul_precision": (pl.String, "of products, where a device would round them"),
    "xla_flags": (pl.String, "those that were set"),
    "git_commit": (pl.String, "of memcap, where it was a checkout"),
    "finished": (pl.Datetime("us", "UTC"), "when, UTC"),
}
SCHEMA: dict[str, Any] = {name: dtype for name, (dtype, _) in COLUMNS.items()}

# Columns that hold a recipe's values for training.
TRAINING = ("lr", "schedule", "warmup", "batch", "clip", "budget", "falls_above")
TRAINING += ("curriculum", "advance", "deadline", "optimizer", "decay", "floor", "warmup_share", "lags")
TRAINING += ("clip_by",)
# Columns that came after rows were published: where a table lacks them they are null, or follow from the
# others (`_derived`). A table that lacks another column holds no rows.
LATER = ("falls_above", "curriculum", "advance", "deadline", "scan", "program_units", "program_steps")
LATER += (
    "matmul_precision",
    "steady",
    "steps_to_steady",
    "evaluation_until",
    "reason",
    "optimizer",
    "kernel",
    "loop",
    "layers",
    "lengths",
    "score_at_lengths",
    "whole_at_lengths",
    "decay",
    "floor",
    "warmup_share",
    "lags",
    "clip_by",
    "initial_carry",
)
REQUIRED = tuple(name for name in SCHEMA if name not in LATER)
# What members had before there was a column for it, in tables and in configs alike.
BEFORE = {
    "optimizer": "adam",
    "clip_by": "norm",
    "evaluation_until": "solved",
    "layers": 1,
    "initial_carry": "fixed",
}
# Which of several rows of a member counts is the last in this order: one that measures something before one
# that failed. Clocks of different machines differ, so of rows alike it is that of the shard whose name comes
# last, which is chance: names begin with digits drawn at random for each program and job.
PREFERENCE = (pl.col("status") != "failed", pl.col("population"), pl.col("finished"))
ORDER = ("study", "task", "lag", "units", "recipe", "seed")  # in which rows are listed


def frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a table with all columns and their types."""
    return pl.DataFrame(list(rows), schema=SCHEMA)


def complete(table: pl.DataFrame) -> pl.DataFrame:
    """A table of rows with all columns of `SCHEMA`, those that came later derived.

    Raises:
        BadFileError: a column is missing that all tables of rows have.
        polars.exceptions.PolarsError: a column cannot have the type of the schema.
    """
    missing = [column for column in REQUIRED if column not in table.columns]
    if missing:
        raise BadFileError(f"no column {missing[0]}; not a table of rows")
    there = table.columns
    columns = {name: pl.col(name) if name in there else _derived(name, there) for name in SCHEMA}
    return table.select(columns[name].cast(dtype).alias(name) for name, dtype in SCHEMA.items())


def _derived(name: str, there: Collection[str]) -> pl.Expr:
    """The values of a column that a table lacks, from the columns that are there."""
    passes = pl.when(pl.col("metric") == "accuracy").then(pl.col("stretched") >= pl.col("threshold"))
    steady = pl.col("solved") & passes.otherwise(pl.col("stretched") <= pl.col("threshold")).fill_null(False)
    values = {"steady": steady, "steps_to_steady": pl.when(steady).then("steps_to_solve")}
    values |= {column: pl.lit(value) for column, value in BEFORE.items()} | {"kernel": pl.lit("xla")}
    values["loop"] = pl.when(pl.col("batching") == "vmap").then(pl.lit("masked")).otherwise(pl.lit("while"))
    for column, loop in (("scan", "plain"), ("kernel", "native")):
        if column in there:
            values["loop"] = pl.when(pl.col(column) == loop).then(pl.lit(loop)).otherwise(values["loop"])
    return values.get(name, pl.lit(None))


def one_per_key(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of several tables, one per key: the last in the order of `PREFERENCE`."""
    rows = pl.concat([frame([]), *tables], rechunk=True)
    # places are sorted, and rows gathered once: most columns decide no order
    places = rows.select("key", "status", "population", "finished", *ORDER, place=pl.int_range(pl.len()))
    places = places.sort(PREFERENCE, maintain_order=True).unique("key", keep="last", maintain_order=True)
    return rows[places.sort(ORDER, maintain_order=True)["place"]]


def without_failed(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that measure something: not those of members that failed, which a rerun trains again."""
    return rows.filter(pl.col("status") != "failed")


def passed_column() -> pl.Expr:
    """Of a row: whether the member became what its training was for (`memcap.config.Evaluation.until`)."""
    return pl.when(pl.col("evaluation_until") == "steady").then("steady").otherwise("solved").alias("passed")
