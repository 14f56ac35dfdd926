"""Conversion of tables in long form, a line per step, and of folders of .npy files to
the arrays of an .npz file (`memcap.own.file`).

sequence  step  load  weather  fault          two sequences, of which each has one
answer, at its end; a            0   1.5     rain     no          `weather` has names,
so it becomes a number per name a            1   0.2      sun     no b            0
1.1      sun    yes
"""

import hashlib
import io
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from memcap.config.knobs import UserError
from memcap.own.file import LARGEST, MOST, PARTS, TOO_MUCH, UNPACKED, checked
from memcap.terminal.words import plural

READERS = {
    ".csv": pl.scan_csv,
    ".tsv": pl.scan_csv,
    ".parquet": pl.scan_parquet,
    ".arrow": pl.scan_ipc,
    ".feather": pl.scan_ipc,
    ".ipc": pl.scan_ipc,
}
LARGEST_FILE = 2**30  # bytes
MOST_NUMBERS = LARGEST // 4  # of the inputs, which are float32
# a target with at most this many whole numbers has classes, with more it has values
MOST_CLASSES = 20
MOST_NAMES = 4095  # in a column: symbols and classes of a file are below 4,096
MOST_ENTRIES = 2**27  # of a table
NO_VALUES = ["", "NA", "N/A", "NaN", "nan", "null", "NULL"]  # in a CSV file
MISSING = "(missing)"
PART_NAMES = dict(zip(PARTS, PARTS, strict=True)) | dict.fromkeys(
    ("val", "valid", "dev"), PARTS[1]
)
TIME = r"^(\d{4}-\d\d-\d\d|\d\d:\d\d)"  # texts that begin so are in the order of time
# of a step in its sequence, of a sequence among all
POSITION = "memcap:position"
PLACE = "memcap:place"


@dataclass(frozen=True)
class Columns:
    """The columns of a table, by what they mean.

    Args:
        target: the column to predict: names or few whole numbers are classes, other
            numbers are values. If it is the same at all steps of every sequence, it is
            asked once, at the end; at a null it is not asked.
        sequence: the column that says to which sequence a line belongs.
        step: the column that orders the lines of a sequence; None: "step" if there is
            one, otherwise they are in order.
        features: the columns that the net sees; empty: all other columns.
        categories: features with whole numbers that are names.
        group: sequences of one group (a subject, a machine) are never on both sides of a split.
        missing: "refuse", or "mask": a missing number becomes the mean, beside a
            feature that says so; a missing name becomes a name of its own.
        values: whether the target has values; None: judged by its numbers.
        split: the column that says to which part a sequence belongs: train, validation
            (or val, valid, dev), test.
        take: number of sequences to draw at random from a table that has more; None: all.
    """

    target: str
    sequence: str = "sequence"
    step: str | None = None
    features: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    group: str | None = None
    missing: str = "refuse"
    values: bool | None = None
    split: str | None = None
    take: int | None = None


@dataclass(frozen=True)
class LongForm:
    """The content of a table.

    Args:
        arrays: the arrays of the .npz file.
        words: sentences that describe the content.
    """

    arrays: dict[str, np.ndarray]
    words: tuple[str, ...]

    @property
    def digest(self) -> str:
        """A digest of its arrays, 16 hex digits."""
        hashed = hashlib.sha256()
        for name, array in self.arrays.items():
            hashed.update(
                f"{name} {array.dtype} {array.shape}".encode()
                + np.ascontiguousarray(array).tobytes()
            )
        return hashed.hexdigest()[:16]

    def save(self, path: Path) -> Path:
        """Write the .npz file, unless it exists with this content; return its path.

        Raises:
            UserError: it exists with other content, to which rows may belong.
        """
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **self.arrays)
        if path.exists():
            if not path.is_file() or path.read_bytes() != content.getvalue():
                raise UserError(
                    f"{path}: is there already, and holds something else; name another file"
                )
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            unfinished = path.with_name(f".{path.name}.{os.getpid()}")
            unfinished.write_bytes(content.getvalue())
            unfinished.replace(path)
        return path


def is_table(file: str | Path) -> bool:
    """Tell from its name whether a file is a table."""
    return Path(file).suffix.lower() in READERS


def read_table(file: str | Path, columns: Columns) -> LongForm:
    """Read a CSV, TSV, Parquet or Arrow file.

    Raises:
        UserError: it cannot be read, or does not match `columns`; says what is wrong.
    """
    path = Path(file)
    try:
        mode = os.stat(path)
        if not stat.S_ISREG(mode.st_mode):  # a FIFO would block for ever
            raise UserError(f"{path}: is no regular file")
        if mode.st_size > LARGEST_FILE:
            raise UserError(
                f"{path}: is larger than {LARGEST_FILE >> 20} MiB; take a part of the sequences"
            )
        more: dict[str, Any] = {}
        if READERS[path.suffix.lower()] is pl.scan_csv:
            tabs = path.suffix.lower() == ".tsv"
            more = {
                "infer_schema_length": None,
                "separator": "\t" if tabs else ",",
                "null_values": NO_VALUES,
            }
        lazy = READERS[path.suffix.lower()](path, glob=False, **more)
        lines = lazy.select(pl.len()).collect().item()
        names = lazy.collect_schema().names()
        if lines * len(names) > MOST_ENTRIES:
            raise UserError(
                f"{path}: has {lines:,} lines of {len(names)} columns; take a part of them"
            )
        frame = lazy.collect()
    except (OSError, ValueError) as error:  # the latter for a zero byte in its name
        raise UserError(
            f"{path}: cannot be read ({getattr(error, 'strerror', None) or error})"
        ) from error
    except pl.exceptions.PolarsError as error:
        kind = path.suffix[1:].upper()
        why = " ".join(str(error).split(". ")[0].split())[:200]
        raise UserError(f"{path}: cannot be read as {kind} ({why})") from error
    return long_form(frame, columns, str(path))


def read_folder(folder: Path) -> LongForm:
    """Read a folder of .npy files, each with the name of an array of an .npz file.

    Raises:
        UserError: a file cannot be read, or the arrays have a wrong form; says what is wrong.
    """
    files = sorted(folder.glob("*.npy"))
    arrays = {}
    for file in files:
        if not file.is_file():  # a FIFO would block for ever
            raise UserError(f"{file}: is no regular file")
    if sum(file.stat().st_size for file in files) > UNPACKED:
        raise UserError(f"{folder}: holds {TOO_MUCH}")
    for file in files:
        try:
            arrays[file.stem] = np.lib.format.open_memmap(
                file, "r"
            )  # a header may promise more than follows
        except (
            OSError,
            ValueError,
        ) as error:  # the latter for objects, and for files without an array
            raise UserError(
                f"{file}: cannot be read as an array ({' '.join(str(error).split())})"
            ) from error
    content = checked(str(folder), arrays, "")
    return LongForm(arrays, content.words(str(folder)))


def array_form(
    inputs: Any, targets: Any, groups: Any = None, split: Any = None
) -> LongForm:
    """Return the arrays of sequences that are given one by one, possibly of different lengths.

    Args:
        inputs: for each sequence (T,) whole numbers, or (T, F) numbers.
        targets: for each sequence one answer, or one for each of its steps.
        groups: for each sequence a whole number; None: each is a group of its own.
        split: for each sequence train, validation or test; None: drawn at random.

    Raises:
        UserError: they have a wrong form; says what is wrong.
    """
    try:
        lengths = np.array([len(each) for each in inputs])
        every = all(
            np.ndim(each) and len(each) == n
            for each, n in zip(targets, lengths, strict=True)
        )
        arrays = {
            "inputs": _padded(inputs),
            "targets": _padded(targets) if every else np.asarray(targets),
        }
    except (TypeError, ValueError) as error:
        raise UserError(
            f"data: {' '.join(str(error).split())}; must be sequences (T,) of whole numbers or"
            " (T, F) of numbers, and a target of each, or of each step"
        ) from error
    if np.ptp(lengths):
        arrays["lengths"] = lengths
    if groups is not None:
        arrays["groups"] = np.asarray(groups)
    if split is not None:
        arrays["split"] = np.asarray(split)
    content = checked("data", arrays, "")
    return LongForm(
        arrays,
        (f"{len(content.inputs):,} sequences of up to {content.steps:,} steps.",),
    )


def _padded(sequences: Any) -> np.ndarray:
    """Stack arrays of different lengths, with zeros after the shorter ones."""
    arrays = [np.asarray(each) for each in sequences]
    shape = len(arrays), max(map(len, arrays)), *arrays[0].shape[1:]
    result = np.zeros(shape, np.result_type(*arrays))
    for row, each in zip(result, arrays, strict=True):
        row[: len(each)] = each
    return result


def long_form(frame: pl.DataFrame, columns: Columns, name: str = "frame") -> LongForm:
    """Return the arrays of a table.

    Args:
        frame: the table.
        columns: the meaning of its columns.
        name: its name, for error messages.

    Raises:
        UserError: it does not match `columns`.
    """
    table = _Table(frame, columns, name)
    inputs, names, seen = table.inputs()
    targets, class_names, told = table.targets()
    arrays = {"inputs": inputs, **targets}
    if np.min(table.lengths) < table.shape[1]:
        arrays["lengths"] = table.lengths
    texts = {"symbol_names": names, "class_names": class_names}
    arrays |= {
        key: np.array(value, dtype=np.str_) for key, value in texts.items() if value
    }
    if columns.group is not None:
        arrays["groups"] = table.groups()
    if columns.split is None:
        return LongForm(arrays, (table.words, seen, *told))
    arrays["split"] = table.split()
    return LongForm(
        arrays, (table.words, seen, *told, *checked(name, arrays, "").split_words)
    )


class _Table:
    """A table whose lines are in order and whose columns exist."""

    def __init__(self, frame: pl.DataFrame, columns: Columns, name: str) -> None:
        self.name = name
        step = columns.step or ("step" if "step" in frame.columns else None)
        self.columns = columns
        self.wanted = {"--target": columns.target, "--sequence": columns.sequence}
        optional = (
            ("--step", step),
            ("--group", columns.group),
            ("--split", columns.split),
        )
        self.wanted |= {option: name for option, name in optional if name is not None}
        others = [each for each in frame.columns if each not in self.wanted.values()]
        self.features = list(columns.features) or others
        self._check(frame)
        frame = frame.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
        for option in ("--sequence", "--step", "--group", "--split"):
            column = self.wanted.get(option)
            if column is not None and frame[column].null_count():
                raise self.wrong(
                    f"`{column}` ({option}) is missing in {frame[column].null_count():,} lines"
                )
        frame = self._draw(frame)
        if step is not None:
            has_texts = frame.schema[step] in (pl.String, pl.Categorical)
            if has_texts and not frame[step].cast(pl.String).str.contains(TIME).all():
                raise self.wrong(
                    f"`{step}` (--step) holds names, which have no order; it must hold numbers,"
                    " or times as 2026-11-29 12:00"
                )
            frame = frame.sort(columns.sequence, step, maintain_order=True)
            twice = frame.select(
                pl.struct(columns.sequence, step).is_duplicated()
            ).to_series()
            if twice.any():
                line = frame.filter(twice).row(0, named=True)
                raise self.wrong(
                    f"has step {line[step]} of sequence {line[columns.sequence]} more than once"
                )
        self.frame = self._to_last_answer(frame)
        self.place, self.position = (
            self.frame[each].to_numpy() for each in (PLACE, POSITION)
        )
        self.lengths = np.bincount(self.place).astype(np.int64)
        self.shape = len(self.lengths), int(np.max(self.lengths))
        if self.shape[0] * self.shape[1] > MOST_NUMBERS:
            raise self.wrong(
                f"{self.shape[0]:,} sequences, of which the longest has {self.shape[1]:,} steps,"
                f" are more than {LARGEST >> 20} MiB; --take draws some of them, or leave out"
                " early steps"
            )

    def wrong(self, what: str) -> UserError:
        """Return an error about the table."""
        return UserError(f"{self.name}: {what}")

    def _check(self, frame: pl.DataFrame) -> None:
        names = [*((option, name) for option, name in self.wanted.items())]
        names += [("--features", name) for name in self.features]
        names += [("--categories", name) for name in self.columns.categories]
        for option, name in names:
            if name not in frame.columns:
                there = ", ".join(frame.columns[:20]) + (
                    ", ..." if len(frame.columns) > 20 else ""
                )
                raise self.wrong(f"has no column `{name}` ({option}); it has {there}")
        for option, name in list(self.wanted.items())[1:]:
            if name == self.columns.target:
                raise self.wrong(f"--target {name}: is the column of {option}, too")
        if own := {POSITION, PLACE} & {*frame.columns}:
            raise self.wrong(
                f"has a column `{min(own)}`, a name that memcap needs; call it otherwise"
            )
        if taken := [each for each in self.features if each in self.wanted.values()]:
            raise self.wrong(f"--features {taken[0]}: is another column already")
        if twice := [each for each in self.features if self.features.count(each) > 1]:
            raise self.wrong(f"--features {twice[0]}: stands there twice")
        if odd := {*self.columns.categories} - {*self.features}:
            raise self.wrong(f"--categories {min(odd)}: is no column that the net sees")
        if not self.features:
            raise self.wrong("has no column that the net could see beside the target")
        if frame.is_empty():
            raise self.wrong("has no lines")
        if self.columns.missing not in ("refuse", "mask"):
            raise self.wrong(
                f"--missing {self.columns.missing}: must be refuse or mask"
            )
        for name in (*self.features, self.columns.target):
            kind = frame.schema[name]
            if not (
                kind.is_numeric()
                or kind == pl.Boolean
                or kind == pl.Null
                or _has_names(kind)
            ):
                raise self.wrong(
                    f"`{name}` holds {kind}; it must hold numbers or names"
                )

    def _draw(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Return the lines of the sequences that are drawn, in any order of lines the same ones."""
        names = frame[self.columns.sequence].unique().sort()
        self.total = len(names)
        if self.columns.take is None or self.columns.take >= len(names):
            return frame
        places = np.random.default_rng(0).permutation(len(names))[: self.columns.take]
        return frame.join(
            names[places].to_frame(),
            self.columns.sequence,
            "semi",
            maintain_order="left",
        )

    def _to_last_answer(self, frame: pl.DataFrame) -> pl.DataFrame:
        """Add the numbers of sequences and steps, and leave out steps after the last
        one with a target."""
        sequence = self.columns.sequence
        target = self.columns.target
        order = frame.select(
            pl.col(sequence).unique(maintain_order=True)
        ).with_row_index(PLACE)
        frame = frame.join(order, on=sequence, how="left", maintain_order="left")
        if self.wanted.get("--step") is None:
            frame = frame.sort(PLACE, maintain_order=True)
        frame = frame.with_columns(pl.int_range(pl.len()).over(PLACE).alias(POSITION))
        last = pl.col(POSITION).filter(pl.col(target).is_not_null()).max().over(PLACE)
        if (without := frame.filter(last.is_null())).height:
            raise self.wrong(
                f"sequence {without[sequence][0]} has no `{target}` at any step"
            )
        return frame.filter(pl.col(POSITION) <= last)

    @property
    def words(self) -> str:
        """The sentence about sequences and steps."""
        steps = sorted(
            {int(np.min(self.lengths)), int(np.median(self.lengths)), self.shape[1]}
        )
        text = (
            " to ".join(f"{k:,}" for k in (steps[0], steps[-1]))
            if len(steps) > 1
            else f"{steps[0]:,}"
        )
        median = (
            f" (half of them at most {int(np.median(self.lengths)):,})"
            if len(steps) > 1
            else ""
        )
        groups = ""
        if self.columns.group is not None:
            count = plural(int(self.groups().max()) + 1, "group")
            groups = f", in {count} of `{self.columns.group}`"
        source = f", drawn from {self.total:,}" if self.total > self.shape[0] else ""
        return (
            f"{self.name}: {plural(self.shape[0], 'sequence')} of {text}"
            f" steps{median}{groups}{source}."
        )

    def groups(self) -> np.ndarray:
        """Return the group of each sequence, (N,) from 0."""
        return (
            self._of_sequences("--group").rank("dense").to_numpy().astype(np.int64) - 1
        )

    def split(self) -> np.ndarray:
        """Return the name of the part of each sequence, (N,)."""
        column = self._of_sequences("--split")
        if not _has_names(column.dtype):
            raise self.wrong(
                f"`{column.name}` (--split) holds {column.dtype}; it must be {', '.join(PARTS)}"
            )
        column = column.cast(pl.String)
        parts = column.str.to_lowercase().replace_strict(PART_NAMES, default=None)
        if parts.null_count():
            odd = column.filter(parts.is_null())[0]
            raise self.wrong(
                f"`{column.name}` (--split) holds {odd}; it must be {', '.join(PARTS)}"
            )
        return np.array(parts.to_list(), np.str_)

    def _of_sequences(self, option: str) -> pl.Series:
        """Return a column's value for each sequence."""
        name = self.wanted[option]
        theirs = self.frame.group_by(PLACE, maintain_order=True).agg(
            pl.col(name).first(), pl.col(name).n_unique().alias("memcap:count")
        )
        if theirs["memcap:count"].max() != 1:
            raise self.wrong(f"`{name}` ({option}) changes within a sequence")
        return theirs[name]

    def inputs(self) -> tuple[np.ndarray, list[str], str]:
        """Return the inputs, the names of symbols, and a sentence about them."""
        if len(self.features) == 1 and self._is_named(self.features[0]):
            (name,) = self.features
            codes, names = self._codes(name)
            return (
                self._spread(codes),
                names,
                f"Inputs: {name}, one of {plural(len(names), 'name')} a step.",
            )
        parts = []
        said = []
        for name in self.features:
            column = self.frame[name]
            if self._is_named(name):
                codes, names = self._codes(name)
                if len(names) * self.shape[0] * self.shape[1] > MOST_NUMBERS:
                    raise self.wrong(
                        f"`{name}` has {len(names):,} names, too many beside other features"
                    )
                parts.append(np.eye(len(names), dtype=np.float32)[codes])
                said.append(f"{name} ({len(names)} names)")
                continue
            numbers = self._numbers(name)
            said.append(name)
            parts.append(self._without_missing(name, numbers)[:, None])
            if column.null_count():
                parts.append(column.is_null().to_numpy().astype(np.float32)[:, None])
                said.append(f"whether {name} is missing")
        width = sum(part.shape[1] for part in parts)
        if width * self.shape[0] * self.shape[1] > MOST_NUMBERS:
            fit = MOST_NUMBERS // (width * self.shape[1])
            raise self.wrong(
                f"{self.shape[0]:,} sequences of up to {self.shape[1]:,} steps of {width} numbers"
                f" are more than {LARGEST >> 20} MiB; --take {fit} draws as many as fit, or leave"
                " out features"
            )
        table = np.concatenate(parts, axis=1).astype(np.float32)
        return (
            self._spread(table),
            [],
            f"Inputs: {plural(width, 'number')} a step: {_first(said)}.",
        )

    def targets(self) -> tuple[dict[str, np.ndarray], list[str], list[str]]:
        """Return the targets, with a mask if they are not due at every step; the names
        of classes; and sentences about them."""
        name = self.columns.target
        column = self.frame[name]
        with_names = _has_names(column.dtype) or column.dtype == pl.Boolean
        if self.columns.values and with_names:
            raise self.wrong(f"`{name}` holds {column.dtype}, which are no values")
        numbers = None if with_names else self._numbers(name)
        whole = numbers is not None and bool((numbers.drop_nulls() % 1 == 0).all())
        few = column.n_unique() - bool(column.null_count()) <= MOST_CLASSES
        as_classes = with_names or (whole and few and not self.columns.values)
        if self.columns.values is False and not as_classes and whole:
            as_classes = True
        names: list[str] = []
        if as_classes:
            codes, names = self._codes(name)
            if len(names) < 2:
                raise self.wrong(
                    f"`{name}` is always {names[0]}: there is nothing to tell apart"
                )
            entries = codes
        else:
            entries = np.nan_to_num(
                numbers.to_numpy() if numbers is not None else 0.0
            ).astype(np.float32)
        due = column.is_not_null().to_numpy()
        once = self._is_asked_once()
        if once:
            ends = np.cumsum(self.lengths) - 1
            entries, arrays = entries[ends], {"targets": entries[ends]}
        else:
            arrays = {"targets": self._spread(entries), "mask": self._spread(due)}
            entries = entries[due]
        where = (
            "at the end of a sequence" if once else f"at {due.mean():.0%} of the steps"
        )
        if once or due.all():
            where = where if once else "at every step"
            arrays.pop("mask", None)
        if not as_classes:
            if not np.ptp(entries):
                raise self.wrong(
                    f"`{name}` is always {entries.ravel()[0]:g}: there is nothing to tell apart"
                )
            about = (
                f"values of mean {entries.mean():.4g} and deviation {entries.std():.4g}"
            )
            return arrays, [], [f"Target: {name}, {about}, {where}."]
        shares = np.bincount(np.asarray(entries, np.int64), minlength=len(names)) / len(
            entries
        )
        order = np.argsort(-shares)
        balance = _first([f"{names[k]} {shares[k]:.1%}" for k in order])
        return (
            arrays,
            names,
            [f"Target: {name}, one of {len(names)} classes {where}: {balance}."],
        )

    def _numbers(self, name: str) -> pl.Series:
        """Return a column's numbers, whose squares fit into float32."""
        numbers = self.frame[name].cast(pl.Float64)
        if numbers.is_infinite().any():
            raise self.wrong(f"`{name}` holds infinite numbers")
        if (numbers.abs() > MOST).any():
            raise self.wrong(
                f"`{name}` holds numbers above {MOST:g}, too large for float32; scale them"
            )
        return numbers

    def _is_asked_once(self) -> bool:
        """Tell whether the target is the same at all steps of each sequence that have one."""
        target = pl.col(self.columns.target).drop_nulls()
        return bool(
            self.frame.group_by(PLACE).agg(target.n_unique().alias("n"))["n"].max() == 1
        )

    def _is_named(self, name: str) -> bool:
        return _has_names(self.frame.schema[name]) or name in self.columns.categories

    def _codes(self, name: str) -> tuple[np.ndarray, list[str]]:
        """Return the number of each name, 0 where a target is missing, and the names in order."""
        column = self.frame[name]
        there = column.drop_nulls().unique()
        ordered = (
            there.sort()
            if column.dtype.is_numeric()
            else there.cast(pl.String).unique().sort()
        )
        if len(ordered) > MOST_NAMES:
            raise self.wrong(
                f"`{name}` has {len(ordered):,} different names, more than {MOST_NAMES:,}"
            )
        names = [_text(each) for each in ordered]
        if column.null_count() and name != self.columns.target:
            self._refuse_missing(name, column.null_count())
            names.append(MISSING)
        values = column if column.dtype.is_numeric() else column.cast(pl.String)
        codes = values.replace_strict(
            ordered, np.arange(len(ordered)), default=None, return_dtype=pl.Int64
        )
        missing = len(names) - 1 if names[-1:] == [MISSING] else 0
        return codes.fill_null(missing).to_numpy(), names

    def _without_missing(self, name: str, numbers: pl.Series) -> np.ndarray:
        if count := numbers.null_count():
            self._refuse_missing(name, count)
            if count == len(numbers):
                raise self.wrong(
                    f"`{name}` is missing in every line; leave it out by --features"
                )
        return numbers.fill_null(numbers.mean()).to_numpy()

    def _refuse_missing(self, name: str, count: int) -> None:
        if self.columns.missing == "refuse":
            raise self.wrong(
                f"`{name}` is missing in {count:,} of {self.frame.height:,} lines; --missing mask"
                " tells the net where, or fill them in"
            )

    def _spread(self, entries: np.ndarray) -> np.ndarray:
        """Arrange lines as (N, T, ...), each sequence from step 0 on, with zeros after it."""
        spread = np.zeros((*self.shape, *entries.shape[1:]), entries.dtype)
        spread[self.place, self.position] = entries
        return spread


def _has_names(kind: Any) -> bool:
    return kind == pl.String or isinstance(kind, (pl.Categorical, pl.Enum))


def _first(words: Sequence[str]) -> str:
    """Join the first eight of some words."""
    return ", ".join(words[:8]) + (
        f" and {plural(len(words) - 8, 'other')}" if len(words) > 8 else ""
    )


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value)


def words_of(texts: Sequence[str] | str | None) -> tuple[str, ...]:
    """Split a command's list of columns, as in a,b.

    Raises:
        UserError: some are no names.
    """
    words = texts.split(",") if isinstance(texts, str) else texts or ()
    if not isinstance(words, (list, tuple)) or not all(
        isinstance(word, str) for word in words
    ):
        raise UserError(f"{texts!r}: must be names of columns, as in a,b")
    return tuple(word.strip() for word in words if word.strip())
