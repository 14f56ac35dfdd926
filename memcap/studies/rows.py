"""Rows: one per member, with all that was trained, how it was judged and what came of it. Needs no JAX."""

from collections.abc import Collection, Sequence
from typing import Any, Literal, get_args

import polars as pl

from memcap.studies.files import BadFileError

At = Literal["steady", "trained"]  # which verdict counts: see `memcap.capacity.frontier`
VERDICTS = get_args(At)

SCHEMA: dict[str, Any] = {
    "key": pl.String,  # hash of `config`
    "study": pl.String,
    "task": pl.String,
    "knobs": pl.String,  # the task's own knobs, as JSON and as in `config`
    "lag": pl.Int64,
    "length": pl.Int64,
    "cell": pl.String,
    "units": pl.Int64,
    "readout": pl.String,
    "seed": pl.Int64,
    "recipe": pl.String,
    "init": pl.String,
    "input_bias": pl.Float64,  # null where drawn (chrono) or Flax's own
    "forget_bias": pl.Float64,
    "output_bias": pl.Float64,
    "gain": pl.Float64,  # of the candidate's recurrent block
    "orthogonal": pl.Boolean,
    "lr": pl.Float64,
    "schedule": pl.String,
    "warmup": pl.Int64,
    "batch": pl.Int64,
    "clip": pl.Float64,
    "budget": pl.Int64,
    "falls_above": pl.Int64,  # null: the learning rate is the same at every lag
    "curriculum": pl.Float64,  # null: none
    "advance": pl.Float64,
    "deadline": pl.Float64,
    "optimizer": pl.String,  # adam, or sgd: with momentum
    "status": pl.String,  # solved, unsolved, diverged; failed: two workers ended while they trained it
    "reason": pl.String,  # null unless failed
    "solved": pl.Boolean,
    "steady": pl.Boolean,  # solved, and by the same weights at the stretched length
    "steps": pl.Int64,  # taken
    "steps_to_solve": pl.Int64,  # null unless solved
    "steps_to_steady": pl.Int64,  # null unless steady
    "metric": pl.String,  # accuracy, or mse
    "threshold": pl.Float64,
    "final": pl.Float64,  # last held-out metric; null if never evaluated
    "best": pl.Float64,  # best held-out metric
    "train_loss": pl.Float64,  # mean over the last chunk
    "stretch": pl.Int64,
    "stretched": pl.Float64,  # metric at `stretch` times the lag (or length)
    "evaluation_sequences": pl.Int64,
    "evaluation_every": pl.Int64,
    "evaluation_successive": pl.Int64,
    "evaluation_until": pl.String,  # solved, or steady: what the member was trained for
    "carry_numbers": pl.Int64,
    "parameters": pl.Int64,
    "compile_seconds": pl.Float64,  # of the program, shared by its population
    "run_seconds": pl.Float64,
    "loop": pl.String,  # over time, by its name in memcap/loops/
    "batching": pl.String,  # the same in three words, before there was `loop`: map or vmap,
    "scan": pl.String,  # loop, scan or plain,
    "kernel": pl.String,  # xla or native
    # what the member was padded to: more than `units` only where widths share a program
    "program_units": pl.Int64,
    "program_steps": pl.Int64,  # and the buffer of its sequences
    "population": pl.String,  # stem of the shard and of the weights' file
    "config": pl.String,  # the whole resolved config, as JSON
    "memcap": pl.String,
    "python": pl.String,
    "jax": pl.String,
    "jaxlib": pl.String,
    "flax": pl.String,
    "optax": pl.String,
    "backend": pl.String,
    "device": pl.String,
    "matmul_precision": pl.String,
    "xla_flags": pl.String,
    "git_commit": pl.String,
    "finished": pl.Datetime("us", "UTC"),
}

# Columns that hold a recipe's values for training.
TRAINING = ("lr", "schedule", "warmup", "batch", "clip", "budget", "falls_above")
TRAINING += ("curriculum", "advance", "deadline", "optimizer")
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
)
REQUIRED = tuple(name for name in SCHEMA if name not in LATER)


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
    values |= {"evaluation_until": pl.lit("solved"), "optimizer": pl.lit("adam"), "kernel": pl.lit("xla")}
    values["loop"] = pl.when(pl.col("batching") == "vmap").then(pl.lit("masked")).otherwise(pl.lit("while"))
    for column, loop in (("scan", "plain"), ("kernel", "native")):
        if column in there:
            values["loop"] = pl.when(pl.col(column) == loop).then(pl.lit(loop)).otherwise(values["loop"])
    return values.get(name, pl.lit(None))


def latest_per_key(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of several tables, one per key: the one that finished last."""
    rows = pl.concat([frame([]), *tables]).sort("finished", maintain_order=True)
    return rows.unique("key", keep="last", maintain_order=True).sort(
        "study", "task", "lag", "units", "recipe", "seed"
    )


def without_failed(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that measure something: not those of members that failed, which a rerun trains again."""
    return rows.filter(pl.col("status") != "failed")


def passed_column() -> pl.Expr:
    """Of a row: whether the member became what its training was for (`memcap.config.Evaluation.until`)."""
    return pl.when(pl.col("evaluation_until") == "steady").then("steady").otherwise("solved").alias("passed")
