"""Rows: one per member, with what was trained, how it was judged and what came of it.

What trains nets and writes rows imports nothing that reads them
(`tests/test_imports.py`).
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Literal, get_args

import polars as pl

from memcap.rule import SHORTER_LAGS, Verdict
from memcap.store.columns import (
    DERIVED,
    EVALUATION,
    MODEL,
    OPTIONAL,
    RECIPE,
    START,
    TASK,
    THRESHOLD,
    Columns,
    Row,
    RowColumn,
    derive,
)
from memcap.store.files import BadFileError

At = Literal[
    "anywhere", "up_to", "steady", "trained"
]  # the verdict that counts: see `memcap.frontiers.frontier`
AT = get_args(At)
STEPS_TO = {  # the column of the steps after which a net has a verdict
    "solved": "steps_to_solve",
    "steady": "steps_to_steady",
    "up_to": "steps_to_up_to",
    "anywhere": "steps_to_anywhere",
}

# Every column. `make tables` prints this into sweeps/README.md.
COLUMNS: Columns = {
    "key": RowColumn(
        str, "hash of `config`; rows with the same key are the same member"
    ),
    "study": RowColumn(str, "name of the study"),
    **TASK,
    **MODEL,
    "seed": RowColumn(int, "seed of weights and data"),
    **{name: RECIPE[name] for name in ("recipe", "init")},
    **START,
    **RECIPE,
    "status": RowColumn(
        str,
        "solved, unsolved or diverged; failed if two workers ended while they trained it",
    ),
    "reason": RowColumn(str, "reason of a failure; null if it did not fail"),
    "solved": RowColumn(bool, "true if the member met the criterion"),
    "steady": RowColumn(
        bool, "true if it is solved, and the same weights pass at the stretched length"
    ),
    "up_to": RowColumn(
        bool,
        "true if it is solved, and the same weights are right at every shorter lag; false if this"
        " was not tested",
    ),
    "anywhere": RowColumn(
        bool,
        "true if it is solved, and the same weights are right at every lag up to its own, wherever"
        " in a sequence it begins, confirmed on fresh sequences; false if this was not tested",
        {"before": False},
    ),
    "steps": RowColumn(int, "training steps taken"),
    "steps_to_solve": RowColumn(int, "training steps until solved; null if not solved"),
    "steps_to_steady": RowColumn(
        int, "training steps until steady; null if not steady"
    ),
    "steps_to_up_to": RowColumn(int, "training steps until up_to; null if not up_to"),
    "steps_to_anywhere": RowColumn(
        int, "training steps until anywhere; null if not anywhere", OPTIONAL
    ),
    "metric": RowColumn(str, "accuracy, or mse (mean squared error)"),
    **THRESHOLD,
    "final": RowColumn(float, "last held-out metric; null if never evaluated"),
    "best": RowColumn(float, "best held-out metric"),
    "train_loss": RowColumn(
        float, "mean training loss over the last chunk, in nats or squared error"
    ),
    "validation_loss": RowColumn(
        float, "lowest loss of the validation split; null unless task.criterion=best"
    ),
    "held_out_loss": RowColumn(
        float, "loss of the held-out sequences, with the same weights"
    ),
    "stretch": EVALUATION["stretch"],
    "stretched": RowColumn(float, "metric at the stretched length"),
    "mean_up_to": RowColumn(
        float, "mean of the metric at every lag up to its own; null if not tested"
    ),
    "worst_up_to": RowColumn(float, "worst metric of these lags"),
    "worst_lag": RowColumn(int, "lag with the worst metric"),
    "exact_lags": RowColumn(
        int,
        "number of lags at which all sequences there are were tried, at every length; null if the"
        " member is not right anywhere",
        OPTIONAL,
    ),
    "lengths": EVALUATION["lengths"],
    "score_at_lengths": RowColumn(str, "metric at each of `lengths`, JSON"),
    "whole_at_lengths": RowColumn(
        str,
        "share of sequences without a wrong answer at each of `lengths`, JSON; nulls for values",
    ),
    "evaluation_sequences": EVALUATION["evaluation_sequences"],
    **EVALUATION,
    "carry_numbers": RowColumn(
        int, "numbers in the carry of the whole net, per sequence"
    ),
    "parameters": RowColumn(int, "trained numbers, including the read-out"),
    "compile_seconds": RowColumn(
        float, "seconds of compiling the program that its population shares"
    ),
    "run_seconds": RowColumn(float, "seconds of training and evaluation"),
    "loop": RowColumn(str, "name of the loop over time, as in memcap/loops/"),
    "batching": RowColumn(str, "older name of the loop: map or vmap"),
    "scan": RowColumn(str, "older name of the loop: loop, scan or plain"),
    "kernel": RowColumn(str, "older name of the loop: xla or native"),
    "program_units": RowColumn(
        int,
        "width that the member was padded to; more than `units` only if widths share a program",
    ),
    "program_steps": RowColumn(int, "time steps of the buffer of its sequences"),
    "population": RowColumn(
        str, "name of its shard and of its file of weights, without the ending"
    ),
    "config": RowColumn(str, "the whole resolved config, JSON"),
    "memcap": RowColumn(str, "version of memcap"),
    "python": RowColumn(str, "version of Python"),
    "jax": RowColumn(str, "version of JAX"),
    "jaxlib": RowColumn(str, "version of jaxlib"),
    "flax": RowColumn(str, "version of Flax"),
    "optax": RowColumn(str, "version of optax"),
    "backend": RowColumn(str, "cpu, gpu or tpu"),
    "device": RowColumn(str, "name of the device"),
    "matmul_precision": RowColumn(
        str, "precision of products, which devices may round"
    ),
    "xla_flags": RowColumn(str, "XLA flags that were set"),
    "git_commit": RowColumn(str, "commit of memcap, if it ran from a checkout"),
    "finished": RowColumn(datetime, "time of its end, UTC"),
}
SCHEMA = {name: column.dtype for name, column in COLUMNS.items()}
RESULTS = [
    name for name in COLUMNS if name not in (*DERIVED, "seed")
]  # do not follow from the config
# Members with task.criterion=best are judged by comparing their held-out losses.
BY_LOSS = '"criterion": "best"'  # in the text of the task's knobs
IS_BY_LOSS = pl.col("knobs").str.contains(BY_LOSS, literal=True)
JUDGED = "judged by their held-out loss"  # the words for these members
# If a member has several rows, the last one in this order counts, so that a measurement
# beats a failure. Clocks of machines differ, so among equals the name of the shard
# decides; its order is arbitrary.
PREFERENCE = (pl.col("status") != "failed", pl.col("population"), pl.col("finished"))
STACKED = 256  # tables stacked at once
ORDER = ("study", "task", "lag", "units", "recipe", "seed")  # of rows in lists


def frame(rows: Sequence[Row]) -> pl.DataFrame:
    """Return rows as a table with all columns and their types."""
    return pl.DataFrame(list(rows), schema=SCHEMA)


def complete(table: pl.DataFrame) -> pl.DataFrame:
    """Return a table with all columns of `SCHEMA`: its results, and the columns that
    follow from the configs, whatever the table says there.

    Raises:
        BadFileError: it lacks a result.
        polars.exceptions.PolarsError: a column cannot be cast to the schema's type.
    """
    own = results(table)
    return own.hstack(derive(own["config"])).select(*SCHEMA)


def results(table: pl.DataFrame) -> pl.DataFrame:
    """Return the columns `RESULTS`; one that an older table lacks has its value
    `before`. Raises as `complete` does."""
    missing = [name for name in RESULTS if name not in table.columns]
    if never := [name for name in missing if "before" not in COLUMNS[name].limits]:
        raise BadFileError(f"no column {never[0]}; not a table of rows")
    later = [pl.lit(COLUMNS[name].limits["before"]).alias(name) for name in missing]
    whole = table.with_columns(later)
    return whole.select(pl.col(name).cast(SCHEMA[name]) for name in RESULTS)


def stack(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Stack tables of rows, thousands of them in groups, which is faster in polars."""
    some = range(0, len(tables), STACKED)
    stacked = [
        pl.concat(tables[first : first + STACKED], rechunk=True) for first in some
    ]
    return pl.concat(stacked or [frame([])], rechunk=True)


def one_per_key(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Merge tables; for each key keep the last row in the order of `PREFERENCE`."""
    rows = stack(tables)
    # sort places and gather rows once, because most columns play no part in the order
    places = rows.select(
        "key", "status", "population", "finished", *ORDER, place=pl.int_range(pl.len())
    )
    places = places.sort(PREFERENCE, maintain_order=True).unique(
        "key", keep="last", maintain_order=True
    )
    return rows[places.sort(ORDER, maintain_order=True)["place"]]


def without_failed(rows: pl.DataFrame) -> pl.DataFrame:
    """Leave out failed members, which measure nothing."""
    return rows.filter(pl.col("status") != "failed")


def right_at_every_lag(rows: pl.DataFrame) -> int | None:
    """Count the members that are right at every lag up to their own; None if none was
    tested."""
    rows = rows.filter(pl.col("evaluation_until").is_in(SHORTER_LAGS))
    right = rows["up_to"] | rows["anywhere"]
    return None if rows.is_empty() else int(right.sum())


def passed_column() -> pl.Expr:
    """Return `passed`: whether a member reached the verdict of `Evaluation.until`."""
    until = pl.col("evaluation_until")
    return pl.coalesce(
        pl.when(until == verdict.value).then(verdict.value) for verdict in Verdict
    ).alias("passed")
