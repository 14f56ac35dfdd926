"""Read tables, whatever their separators, decimal marks, ids and times."""

import csv
import re
from collections.abc import Collection
from pathlib import Path
from typing import Any

import polars as pl

from memcap.knobs import UserError

READERS = {
    ".csv": pl.read_csv,
    ".tsv": pl.read_csv,
    ".parquet": pl.read_parquet,
    ".arrow": pl.read_ipc,
    ".feather": pl.read_ipc,
    ".ipc": pl.read_ipc,
}
TEXT_KINDS = (".csv", ".tsv")
NO_VALUES = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]  # in a CSV file
SEPARATORS = ",;\t|"  # that are found; where two are as frequent, the first
# what is written as a number, whether or not it can be read as one
NUMBER = r"^[-+\u2212]?\.?\d[\d.,' ]*([eE][-+]?\d+)?\s?%?$"
YEAR_FIRST = r"^\d{4}-\d"
CLOCKS = ("%H:%M", "%H:%M:%S%.f", "%I:%M %p", "%I:%M:%S %p")


def is_table(path: Path) -> bool:
    return path.suffix.lower() in READERS


def has_names(kind: Any) -> bool:
    return kind == pl.String or isinstance(kind, (pl.Categorical, pl.Enum))


def read_frame(
    path: Path, ids: Collection[str | None], decimal_comma: bool
) -> pl.DataFrame:
    """Read a table from a CSV, TSV, Parquet or Arrow file.

    Args:
        path: the file.
        ids: columns of names, in which 010 is not 10.
        decimal_comma: whether a CSV file has decimal commas.

    Raises:
        UserError: it cannot be read.
    """
    kind = path.suffix.lower()
    try:
        if kind in TEXT_KINDS:
            return _read_csv(path, ids, decimal_comma)
        with path.open("rb") as file:
            return READERS[kind](file)
    except OSError as error:
        why = error.strerror or error
        raise UserError(f"{path}: cannot be read ({why})") from error
    except (pl.exceptions.PolarsError, csv.Error) as error:
        why = " ".join(str(error).split(". ")[0].split())[:200]
        if "utf-8" in why:
            why += "; save it as UTF-8"
        raise UserError(
            f"{path}: cannot be read as {kind[1:].upper()} ({why})"
        ) from error


def _read_csv(
    path: Path, ids: Collection[str | None], decimal_comma: bool
) -> pl.DataFrame:
    with path.open(encoding="utf-8-sig", errors="replace") as file:
        header = file.readline()
    if header.startswith("\ufffd\ufffd"):  # two bytes that no UTF-8 has
        raise UserError(f"{path}: is UTF-16; save it as UTF-8")
    if header.startswith("#"):
        raise UserError(
            f"{path}: begins with #; take out comments, and name columns without #"
        )
    separator = max(SEPARATORS, key=re.sub('"[^"]*"', "", header).count)
    cells = next(csv.reader([header], delimiter=separator), [])
    names = [cell.strip() for cell in cells]
    if "" in names:
        raise UserError(
            f"{path}: column {names.index('') + 1} has no name (an index? pandas writes none"
            " with index=False); name it, or leave it out"
        )
    if len({*names}) < len(names):
        raise UserError(f"{path}: has two columns of one name: {', '.join(names)}")
    frame = pl.scan_csv(
        path,
        separator=separator,
        decimal_comma=decimal_comma,
        with_column_names=lambda _: names,
        schema_overrides={name: pl.String for name in names if name in ids},
        infer_schema_length=None,
        null_values=NO_VALUES,
        glob=False,
    ).collect()
    for column in frame.select(pl.col(pl.String)):
        text = column.str.strip_chars().replace(NO_VALUES, None)
        if column.name in ids:
            text = _ids(text)
        elif not decimal_comma:  # else polars has read all numbers, and 1.234 is none
            text = _numbers(text)
        frame = frame.with_columns(text)
    return frame


def _ids(text: pl.Series) -> pl.Series:
    """Return whole numbers if that loses nothing, otherwise the texts."""
    whole = text.cast(pl.Int64, strict=False)
    return whole if whole.cast(pl.String).eq_missing(text).all() else text


def _numbers(text: pl.Series) -> pl.Series:
    numbers = text.cast(pl.Float64, strict=False)
    return numbers if numbers.null_count() == text.null_count() else text


def times_of(text: pl.Series) -> pl.Series:
    """Parse times, year first. If some have a zone, these are in UTC, and the others
    null."""
    text = text.str.replace_all("/", "-", literal=True).str.replace(r"(\d)T", "$1 ")
    dates = pl.when(text.str.contains(YEAR_FIRST)).then(text)
    formats = ["%Y-%m-%d", *(f"%Y-%m-%d {clock}" for clock in CLOCKS)]
    local, in_zone = (
        pl.select(
            pl.coalesce(
                dates.str.to_datetime(form + zone, strict=False) for form in formats
            )
        ).to_series()
        for zone in ("", "%#z")
    )
    return in_zone if local.null_count() > text.null_count() else local
