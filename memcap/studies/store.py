"""The store: one row a member, in Parquet shards that are written whole or not at all, and the weights beside them.

    DIR/rows/POPULATION.parquet     rows of one program's members in one job, rewritten whole as they end
    DIR/weights/POPULATION.npz      its members' weights, under KEY/path/of/array
    DIR/rows.parquet                all shards folded into one, by `memcap collect`

A member's key is the hash of its whole config and seed, so a rerun replaces its row and never adds one.
"""

import json
import os
import tempfile
import zipfile
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from memcap.knobs import UserError

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
    "program_units": pl.Int64,  # what the member was padded to: more than `units` only where widths share a program
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
TRAINING = ("lr", "schedule", "warmup", "batch", "clip", "budget", "falls_above", "curriculum", "advance", "deadline")
# Columns that came after rows were published: where a table lacks them they are null, or follow from the others (`_made_up`).
# A table that lacks another column holds no rows.
LATER = ("falls_above", "curriculum", "advance", "deadline", "scan", "program_units", "program_steps", "matmul_precision")
LATER += ("steady", "steps_to_steady", "evaluation_until", "reason")
FIRST = tuple(name for name in SCHEMA if name not in LATER)


def prepare(folder: Path) -> None:
    """Make the folder and see that it can be written, before anything trains."""
    try:
        for part in ("rows", "weights"):
            (folder / part).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(f"out={folder}: cannot be written ({error.strerror or error}); set out to another folder") from error


def _atomically(path: Path, write: Any) -> None:
    """Let `write(file)` fill a temporary file, bring it to disk, and put it in place in one step."""
    descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(descriptor, "wb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        Path(name).chmod(0o644)
        os.replace(name, path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def write_population(folder: Path, name: str, rows: Sequence[dict[str, Any]], weights: dict[str, dict[str, Any]]) -> None:
    """Write a population's weights, then its rows: a row that exists has its weights."""
    arrays = {f"{key}/{path}": array for key, tree in weights.items() for path, array in flat(tree).items()}
    _atomically(folder / "weights" / f"{name}.npz", lambda file: np.savez(file, allow_pickle=False, **arrays))
    write_rows(folder / "rows" / f"{name}.parquet", frame(rows))


def write_rows(path: Path, rows: pl.DataFrame) -> None:
    """Write one Parquet file, whole or not at all."""
    _atomically(path, rows.write_parquet)


def frame(rows: Sequence[dict[str, Any]]) -> pl.DataFrame:
    """Rows as a table with all columns and their types."""
    return pl.DataFrame(list(rows), schema=SCHEMA)


def flat(tree: dict[str, Any], prefix: str = "") -> dict[str, np.ndarray]:
    """A nested dict as {"outer/inner": array}."""
    found: dict[str, np.ndarray] = {}
    for name, value in tree.items():
        found |= flat(value, f"{prefix}{name}/") if isinstance(value, dict) else {f"{prefix}{name}": np.asarray(value)}
    return found


def nested(arrays: dict[str, np.ndarray]) -> dict[str, Any]:
    """The inverse of `flat`."""
    tree: dict[str, Any] = {}
    for path, array in arrays.items():
        *outer, last = path.split("/")
        node = tree
        for name in outer:
            node = node.setdefault(name, {})
        node[last] = array
    return tree


def shards(folder: Path) -> list[Path]:
    """All files of rows in a study's folder, or in all studies below a folder: folded files, then shards."""
    if folder.is_file():
        return [folder]
    return sorted(folder.rglob("rows.parquet")) + sorted(folder.rglob("rows/*.parquet"))


def read(folder: Path) -> pl.DataFrame:
    """All rows at or below a folder (or of one Parquet file), one a key: the one that finished last.

    Raises:
        UserError: a file that is no table of rows; the folder doesn't exist.
    """
    if not folder.exists():
        raise UserError(f"{folder}: no such folder or file; train a study first, as in: memcap train sweeps=first_study")
    tables = []
    for path in shards(folder):
        try:
            status = path.stat()
            tables.append(_shard(path, status.st_ino, status.st_mtime_ns, status.st_size))
        except (pl.exceptions.PolarsError, OSError) as error:
            raise UserError(f"{path}: not a readable table of rows; delete it and train again what it held") from error
    return merged(tables)


def merged(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Rows of several tables, one a key: the one that finished last."""
    rows = pl.concat([frame([]), *tables]).sort("finished", maintain_order=True)
    return rows.unique("key", keep="last", maintain_order=True).sort("study", "task", "lag", "units", "recipe", "seed")


@lru_cache(maxsize=128)
def _shard(path: Path, *state: int) -> pl.DataFrame:
    """The rows of one file; `state` changes when the file does, so that a job reads each file once."""
    del state
    table = pl.read_parquet(path, glob=False, hive_partitioning=False)
    missing = [column for column in FIRST if column not in table.columns]
    if missing:
        raise UserError(f"{path}: no column {missing[0]}; not a table of rows")
    known = {name: pl.col(name) if name in table.columns else _made_up(name) for name in SCHEMA}
    return table.select(known[name].cast(dtype).alias(name) for name, dtype in SCHEMA.items())


def _made_up(name: str) -> pl.Expr:
    """The values of a column that a table lacks."""
    passes = pl.when(pl.col("metric") == "accuracy").then(pl.col("stretched") >= pl.col("threshold"))
    steady = pl.col("solved") & passes.otherwise(pl.col("stretched") <= pl.col("threshold")).fill_null(False)
    known = {"steady": steady, "steps_to_steady": pl.when(steady).then("steps_to_solve"), "evaluation_until": pl.lit("solved")}
    return known.get(name, pl.lit(None))


def passed() -> pl.Expr:
    """Of a row: whether the member became what its training was for (`memcap.config.Evaluation.until`)."""
    return pl.when(pl.col("evaluation_until") == "steady").then("steady").otherwise("solved").alias("passed")


def measured(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows that measure something: not those of members that failed, which a rerun trains again."""
    return rows.filter(pl.col("status") != "failed")


def collect(folder: Path) -> tuple[Path, pl.DataFrame]:
    """Fold all shards of a study into DIR/rows.parquet. The shards stay; folding again gives the same rows."""
    rows = read(folder)
    if rows.is_empty():
        raise UserError(f"{folder}: holds no rows; train a study first, as in: memcap train sweeps=first_study")
    path = folder / "rows.parquet"
    try:
        write_rows(path, rows)
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); give the folder of a study") from error
    return path, rows


def weights_of(folder: Path, row: dict[str, Any]) -> dict[str, Any]:
    """The nested weights of one row's member, from the study's folder."""
    for path in folder.rglob(f"weights/{row['population']}.npz"):
        prefix = f"{row['key']}/"
        try:
            with np.load(path, allow_pickle=False) as stored:
                arrays = {n.removeprefix(prefix): stored[n] for n in stored.files if n.startswith(prefix)}
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            raise UserError(f"{path}: not a readable npz file; delete it and its rows, and train again what it held") from error
        if arrays:
            return nested(arrays)
    raise UserError(f"{folder}: holds no weights of member {row['key']} (weights/{row['population']}.npz)")


def one(folder: Path, key: str) -> dict[str, Any]:
    """The row of the one member whose key begins with `key`."""
    rows = read(folder)
    found = rows.filter(pl.col("key").str.starts_with(key))
    if found.height != 1 or not key:
        raise UserError(f"{key}: {found.height} members in {folder} have such a key; `memcap train` and the rows show keys")
    return found.row(0, named=True)


def write_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write an npz file, whole or not at all."""
    if path.suffix != ".npz":
        raise UserError(f"{path}: must end in .npz")
    try:
        _atomically(path, lambda file: np.savez(file, allow_pickle=False, **arrays))
    except OSError as error:
        raise UserError(f"{path}: cannot be written ({error.strerror}); choose another file with -o") from error


def config_of(row: dict[str, Any]) -> dict[str, Any]:
    """The whole config of a row's member."""
    return json.loads(row["config"])
