"""The store: one row a member, in Parquet shards that are written whole or not at all, and the weights beside
them.

    DIR/rows/POPULATION.parquet     rows of one program's members in one job, rewritten whole as they end
    DIR/weights/POPULATION.npz      its members' weights, under KEY/path/of/array
    DIR/rows.parquet                all shards folded into one, by `memcap collect`
    DIR/checkpoints/*.npz           members in training (memcap/studies/checkpoints.py), while there are any

A member's key is the hash of its whole config and seed, so a rerun replaces its row and never adds one. Each
file carries a digest of its bytes (memcap/studies/files.py), and each row's key is compared with its config.
A file that fails is named, left where it is and passed over: what only it held is missing, so a rerun trains
it into new files.
"""

import json
import tempfile
from collections.abc import Sequence
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import polars as pl

from memcap.config import key_of
from memcap.knobs import UserError
from memcap.studies import files
from memcap.studies.files import BadFileError
from memcap.studies.known import known
from memcap.studies.notes import note
from memcap.studies.weights import flat as flat
from memcap.studies.weights import nested as nested
from memcap.studies.weights import weights_of as weights_of
from memcap.studies.weights import write_arrays as write_arrays
from memcap.studies.weights import write_weights

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
    "batching": pl.String,
    "scan": pl.String,  # loop, scan or plain: memcap/cells/scan.py
    "kernel": pl.String,  # what ran the loop: xla, or native, the LSTM in C
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
# others (`_made_up`). A table that lacks another column holds no rows.
LATER = (
    "falls_above",
    "curriculum",
    "advance",
    "deadline",
    "scan",
    "program_units",
    "program_steps",
    "matmul_precision",
)
LATER += ("steady", "steps_to_steady", "evaluation_until", "reason", "optimizer", "kernel")
FIRST = tuple(name for name in SCHEMA if name not in LATER)


def prepare(folder: Path) -> None:
    """Make the folder and see that it can be written, before anything trains."""
    try:
        for part in ("rows", "weights"):
            files.make_folder(folder / part)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"out={folder}: cannot be written ({error.strerror or error}); set out to another folder"
        ) from error


def write_population(
    folder: Path, name: str, rows: Sequence[dict[str, Any]], weights: dict[str, dict[str, Any]]
) -> None:
    """Write a population's weights, then its rows: a row that exists has its weights."""
    with files.writing(folder / "weights"):  # nobody takes the weights for orphans
        write_weights(folder / "weights" / f"{name}.npz", weights)
        write_rows(folder / "rows" / f"{name}.parquet", frame(rows))


def write_rows(path: Path, rows: pl.DataFrame) -> None:
    """Write one Parquet file, whole or not at all, with a digest."""
    content = BytesIO()  # on a full disk polars would raise errors of its own
    rows.write_parquet(content, metadata={"memcap": files.UNSEALED.decode()})
    files.write(path, lambda file: file.write(content.getbuffer()))


def frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a table with all columns and their types."""
    return pl.DataFrame(list(rows), schema=SCHEMA)


def no_rows(folder: Path) -> UserError:
    """What to say of a place that holds none."""
    return UserError(f"{folder}: holds no rows; train a study first, as in: memcap train sweeps=first_study")


def shards(folder: Path) -> list[Path]:
    """All files of rows in a study's folder, or in all studies below a folder: folded files, then shards."""
    if folder.is_file():
        return [folder]
    return sorted(folder.rglob("rows.parquet")) + sorted(folder.rglob("rows/*.parquet"))


def read(folder: Path, strict: bool = False) -> pl.DataFrame:
    """All rows at or below a folder (or of one Parquet file) that can be told about, one a key: the one that
    finished last.

    Rows whose task or cell cannot be imported are left out, with a line on stderr. For `strict` and errors
    see `read_all`.
    """
    return known(read_all(folder, strict))


def read_all(folder: Path, strict: bool = False) -> pl.DataFrame:
    """All rows, also those of tasks and cells that cannot be imported.

    Args:
        folder: of a study or of several, or one Parquet file.
        strict: refuse a bad file. Otherwise it is named on stderr, and the others are read.

    Raises:
        UserError: a bad file, if `strict` or if it is the one that was asked for; the folder doesn't exist.
    """
    tables, bad = survey(folder)
    for path, why in bad.items():
        if path == folder:
            raise UserError(f"{path}: {why}; give the folder of a study, or its rows.parquet")
        if strict:
            raise UserError(f"{path}: {why}; without --strict the other files are read")
        note(f"{path}: {why}; passed over, and training its study again makes up for what only it held")
    return merged(tables)


def survey(folder: Path) -> tuple[list[pl.DataFrame], dict[Path, str]]:
    """The tables of all files that are sound, and for each other file what is wrong with it.

    Raises:
        UserError: the folder doesn't exist.
    """
    if not folder.exists():
        raise UserError(
            f"{folder}: no such folder or file; train a study first, as in: memcap train sweeps=first_study"
        )
    tables, bad = [], {}
    for path in shards(folder):
        try:
            status = path.stat()
            tables.append(_shard(path, status.st_ino, status.st_mtime_ns, status.st_size))
        except BadFileError as error:
            bad[path] = str(error)
        except OSError as error:
            bad[path] = f"cannot be read ({error.strerror or error})"
    return tables, bad


def merged(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of several tables, one a key: the one that finished last."""
    rows = pl.concat([frame([]), *tables]).sort("finished", maintain_order=True)
    return rows.unique("key", keep="last", maintain_order=True).sort(
        "study", "task", "lag", "units", "recipe", "seed"
    )


@lru_cache(maxsize=1024)
def _shard(path: Path, *state: int) -> pl.DataFrame:
    """The rows of one file, checked; `state` changes when the file does, so that a job reads each file
    once."""
    del state
    with files.open_regular(path) as file:
        content = BytesIO(file.read())
    files.check(content)
    table = _table(content)
    for key, config in table.select("key", "config").iter_rows():
        if config is None or key != key_of(config):
            raise BadFileError(f"damaged: the row {key} has the config of another")
    return table


def _table(content: BytesIO) -> pl.DataFrame:
    """The rows of a Parquet file, with all columns of `SCHEMA`."""
    try:
        table = pl.read_parquet(content)
        missing = [column for column in FIRST if column not in table.columns]
        if missing:
            raise BadFileError(f"no column {missing[0]}; not a table of rows")
        columns = {name: pl.col(name) if name in table.columns else _made_up(name) for name in SCHEMA}
        return table.select(columns[name].cast(dtype).alias(name) for name, dtype in SCHEMA.items())
    except (
        Exception,
        pl.exceptions.PanicException,
    ) as error:  # a file without a digest may make the reader panic
        if isinstance(error, BadFileError):
            raise
        raise BadFileError("not a readable table of rows") from error


def _made_up(name: str) -> pl.Expr:
    """The values of a column that a table lacks."""
    passes = pl.when(pl.col("metric") == "accuracy").then(pl.col("stretched") >= pl.col("threshold"))
    steady = pl.col("solved") & passes.otherwise(pl.col("stretched") <= pl.col("threshold")).fill_null(False)
    known = {"steady": steady, "steps_to_steady": pl.when(steady).then("steps_to_solve")}
    known |= {"evaluation_until": pl.lit("solved"), "optimizer": pl.lit("adam"), "kernel": pl.lit("xla")}
    return known.get(name, pl.lit(None))


def passed() -> pl.Expr:
    """Of a row: whether the member became what its training was for (`memcap.config.Evaluation.until`)."""
    return pl.when(pl.col("evaluation_until") == "steady").then("steady").otherwise("solved").alias("passed")


def measured(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that measure something: not those of members that failed, which a rerun trains again."""
    return rows.filter(pl.col("status") != "failed")


def collect(folder: Path, strict: bool = False) -> tuple[Path, pl.DataFrame]:
    """Fold all shards of a study into DIR/rows.parquet. The shards stay; folding again gives the same rows.

    Raises:
        UserError: not a study's folder, or one without rows; a bad rows.parquet, which would be written over;
            as `read_all`.
    """
    path = folder / "rows.parquet"
    if folder.is_file():
        raise UserError(f"{folder}: cannot be written into; give the folder of a study")
    if why := survey(folder)[1].get(path):
        raise UserError(f"{path}: {why}; it would be written over: move it elsewhere, and collect again")
    rows = read_all(folder, strict)
    if rows.is_empty():
        raise no_rows(folder)
    try:
        write_rows(path, rows)
    except OSError as error:
        raise UserError(
            f"{path}: cannot be written ({error.strerror}); give the folder of a study"
        ) from error
    return path, rows


def one(folder: Path, key: str) -> dict[str, Any]:
    """The row of the one member whose key begins with `key`."""
    rows = read_all(folder)
    found = rows.filter(pl.col("key").str.starts_with(key))
    if found.height != 1 or not key:
        raise UserError(
            f"{key}: {found.height} members in {folder} have such a key; `memcap train` and the rows show"
            " keys"
        )
    return found.row(0, named=True)


def config_of(row: dict[str, Any]) -> dict[str, Any]:
    """The whole config of a row's member."""
    return json.loads(row["config"])
