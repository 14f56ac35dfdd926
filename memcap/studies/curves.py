"""Curves of a study's members on disk, thinned: a Parquet file a shard of rows, one line a point.

    DIR/curves/POPULATION.parquet   beside DIR/rows/POPULATION.parquet
    DIR/curves.parquet              all of them folded into one, by `memcap collect`

They are to look at: nothing that memcap says of a study rests on them, and a study without them is whole.
"""

from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

import polars as pl

from memcap.studies import files, store
from memcap.studies.files import BadFileError
from memcap.studies.notes import note
from memcap.tracking import Points

SCHEMA = {
    "key": pl.String,  # of the member
    "step": pl.Int64,  # training steps done
    "train_loss": pl.Float64,  # mean over the steps just before, in nats or squared error
    "train_score": pl.Float64,  # running training score; the metric is in the row
    "held_out": pl.Float64,  # held-out score, where there was an evaluation
}


def write(folder: Path, name: str, curves: Mapping[str, Points]) -> None:
    """Write the curves of a shard's members by key."""
    lines = [_line(key, step, values) for key, curve in curves.items() for step, values in curve.items()]
    path = folder / "curves" / f"{name}.parquet"
    files.make_folder(path.parent)
    store.write_rows(path, pl.DataFrame(lines, SCHEMA, orient="row"))


def _line(key: str, step: int, values: Mapping[str, float]) -> tuple:
    by_room = {name.partition("/")[0]: value for name, value in values.items() if name != "train/loss"}
    return key, step, values.get("train/loss"), by_room.get("train"), by_room.get("eval")


def read(folder: Path) -> pl.DataFrame:
    """The curves at or below a folder, with the columns of `SCHEMA`; empty where there are none. Bad files
    are named."""
    tables, bad = survey(folder)
    for path, why in bad.items():
        note(f"{path}: {why}; these curves are passed over")
    whole = pl.concat([pl.DataFrame(schema=SCHEMA), *tables.values()])
    return whole.unique(["key", "step"], keep="last", maintain_order=True).sort("key", "step")


def survey(folder: Path) -> tuple[dict[Path, pl.DataFrame], dict[Path, str]]:
    """The curves of each file at or below a folder that is sound, and for each other file what is wrong with
    it."""
    tables, bad = {}, {}
    for path in sorted(folder.rglob("curves.parquet")) + sorted(folder.rglob("curves/*.parquet")):
        try:
            tables[path] = _table(path)
        except BadFileError as error:
            bad[path] = str(error)
        except OSError as error:
            bad[path] = f"cannot be read ({error.strerror or error})"
    return tables, bad


def _table(path: Path) -> pl.DataFrame:
    with files.open_regular(path) as file:
        content = BytesIO(file.read())
    files.check(content)
    try:
        return pl.read_parquet(content).select(pl.col(n).cast(dtype) for n, dtype in SCHEMA.items())
    except (
        Exception,
        pl.exceptions.PanicException,
    ) as error:  # a file without a digest may make the reader panic
        raise BadFileError("not a readable table of curves") from error


def points(lines: pl.DataFrame, metric: str) -> Points:
    """The curve of one member, as trackers take it.

    Args:
        lines: of the member, as `read` gives them.
        metric: of its task.
    """
    names = {"train_loss": "train/loss", "train_score": f"train/{metric}", "held_out": f"eval/{metric}"}
    return {
        line["step"]: {name: line[column] for column, name in names.items() if line[column] is not None}
        for line in lines.iter_rows(named=True)
    }


def collect(folder: Path) -> Path | None:
    """Fold all curves of a study into DIR/curves.parquet. Returns where they are; None where there are
    none."""
    table = read(folder)
    if table.is_empty():
        return None
    path = folder / "curves.parquet"
    store.write_rows(path, table)
    return path
