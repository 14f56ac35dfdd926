"""Thinned curves of a study's members: a Parquet file per shard of rows, a line per
point.

    DIR/curves/SHARD.parquet          of members that have ended
    DIR/curves/TOKEN.running.parquet  of members in training, every 10 seconds
    DIR/curves.parquet                of ended members, by `memcap collect`

They are only for looking at; a study without them is complete. Needs no JAX.
"""

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from memcap.knobs import grouped
from memcap.store import files
from memcap.store.files import BadFileError
from memcap.terminal.words import warn_once

SCHEMA = {
    "key": pl.String,  # of the member
    "step": pl.Int64,  # training steps done
    "train_loss": pl.Float64,  # mean over the preceding steps, in nats or squared error
    "train_score": pl.Float64,  # running training score; the metric is in the row
    "held_out": pl.Float64,  # held-out score, if there was an evaluation
    "lag": pl.Int64,  # current lag of a curriculum
    "worst": pl.Float64,  # held-out score at the worst lag up to the member's own, if evaluated
    "lr": pl.Float64,  # learning rate of the next step
    # if members are judged by their loss, and there was an evaluation
    "validation_loss": pl.Float64,
}
# Names of points by column; those of scores end in the metric's name.
OWN_NAMES = {
    "train_loss": "train/loss",
    "lag": "train/lag",
    "worst": "eval/worst",
    "lr": "train/lr",
    "validation_loss": "eval/loss",
}
TABLE = "a readable table of curves"
SECONDS_BETWEEN_WRITES = 10.0  # of running curves
RUNNING_AFTER = 10.0  # seconds that a member trains before its curve is written
MOST_RUNNING = 300  # members, those that have trained longest
# A curve on a screen needs no more; W&B costs about 0.2 ms and 335 bytes a point.
MOST_POINTS = 100
# Points of a running curve; those of 4,096 members in flight take up to 0.35 GB.
MOST_HELD = 3 * MOST_POINTS

Points = dict[int, dict[str, Any]]


def write(folder: Path, name: str, curves: Mapping[str, Points]) -> None:
    path = folder / "curves" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_sealed(path, table(curves))


def table(curves: Mapping[str, Points]) -> pl.DataFrame:
    lines = [
        _line(key, step, values)
        for key, curve in curves.items()
        for step, values in curve.items()
    ]
    return pl.DataFrame(lines, SCHEMA, orient="row")


def _line(key: str, step: int, values: Mapping[str, float]) -> tuple:
    loss, *others = (values.get(name) for name in OWN_NAMES.values())
    scores = {
        name.partition("/")[0]: value
        for name, value in values.items()
        if name not in OWN_NAMES.values()
    }
    return key, step, loss, scores.get("train"), scores.get("eval"), *others


def read(folder: Path) -> pl.DataFrame:
    """Read the curves of ended members at or below a folder; name bad files on
    stderr."""
    tables, bad = read_files(folder)
    for path, why in bad.items():
        warn_once(f"{path}: {why}; these curves are skipped")
    whole = pl.concat([pl.DataFrame(schema=SCHEMA), *tables.values()])
    return whole.unique(["key", "step"], keep="last", maintain_order=True).sort(
        "key", "step"
    )


def read_files(
    folder: Path,
) -> tuple[dict[Path, pl.DataFrame], dict[Path, BadFileError]]:
    """Read the curves of ended members by file; also return the faults of bad files."""
    shards = (path for path in folder.rglob("curves/*.parquet") if not is_running(path))
    paths = [*sorted(folder.rglob("curves.parquet")), *sorted(shards)]
    return files.read_all(paths, read_file)


def read_file(path: Path) -> pl.DataFrame:
    """Read the curves of one file; raise BadFileError if it is bad."""
    with files.reading(TABLE):
        lines = files.read_table(path, TABLE)
        return lines.select(pl.col(n).cast(dtype) for n, dtype in SCHEMA.items())


def points(lines: pl.DataFrame, metric: str) -> Points:
    """Return the curve of one member for a tracking service, without scores where there
    are none, as before a curriculum has arrived."""
    names = OWN_NAMES | {"train_score": f"train/{metric}", "held_out": f"eval/{metric}"}
    return {
        line["step"]: {
            name: line[column]
            for column, name in names.items()
            if line[column] is not None
        }
        for line in lines.with_columns(pl.col("train_score").fill_nan(None)).iter_rows(
            named=True
        )
    }


def collect(folder: Path) -> Path | None:
    """Fold all curves of a study into DIR/curves.parquet; return its path, or None if
    there are none."""
    curves = read(folder)
    if curves.is_empty():
        return None
    path = folder / "curves.parquet"
    files.write_table(path, curves)
    return path


def running_path(folder: Path, token: str) -> Path:
    return folder / "curves" / f"{token}.running.parquet"


def is_running(path: Path) -> bool:
    return path.name.endswith(".running.parquet")


def write_running(folder: Path, token: str, curves: Mapping[str, Points]) -> None:
    """Write the curves of members in training by key, or remove the file if there are
    none. Nothing waits for the disk, as the file need not survive a crash."""
    path = running_path(folder, token)
    if not curves:
        path.unlink(missing_ok=True)
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, files.parquet(table(curves)))


def add_point(points: Points, step: int, values: Mapping[str, Any]) -> None:
    """Add `values` at `step`, in place; of several calls for a step, later values
    win."""
    points.setdefault(step, {}).update(values)
    if len(points) > MOST_HELD:
        subset = _coarse(points, 2 * MOST_POINTS)
        points.clear()
        points.update(subset)


def thin(points: Points, most: int = MOST_POINTS) -> Points:
    """Return at most `most` (2 or more) of the points, evenly spread over the steps,
    with the first and the last. Each set of metrics that appear together gets its
    share, so that a frequent metric does not crowd out a rare one."""
    steps = sorted(points)
    if len(steps) > most:
        groups = _groups(points)
        share = max(2, most // len(groups))
        shares = [step for group in groups for step in spread(group, share)]
        steps = spread(sorted(shares), most)
    return {step: points[step] for step in steps}


def _groups(points: Points) -> list[list[int]]:
    """Return the sorted steps of each set of metrics."""
    groups = grouped(sorted(points), lambda step: frozenset(points[step]))
    return list(groups.values())


def _coarse(points: Points, most: int) -> Points:
    """Return about `most` of the points: the first of each stretch, and the last.
    Stretches are powers of two long, so that repeated thinning stays even."""
    groups = _groups(points)
    share = max(2, most // len(groups))
    subset = {max(points)}
    for steps in groups:
        stretches = steps
        length = 1
        while len(stretches) > share:
            length *= 2
            first = {step // length: step for step in reversed(steps)}
            stretches = first.values()
        subset.update(stretches)
    return {step: points[step] for step in sorted(subset)}


def spread(steps: Sequence[int], most: int = MOST_POINTS) -> Sequence[int]:
    """Return at most `most` of the sorted `steps`: the last before each of evenly
    spaced marks."""
    if len(steps) <= most:
        return steps
    first = steps[0]
    span = steps[-1] - steps[0]
    marks = (first + span * i // (most - 1) for i in range(most))
    return sorted({steps[bisect_right(steps, mark) - 1] for mark in marks})
