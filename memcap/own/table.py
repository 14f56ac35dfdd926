"""Tables in long form, a line per step, as the arrays of an .npz file (`memcap.own.file`).

sequence  step  load  weather  fault     two sequences, each with one answer at its end;
a            0   1.5     rain     no     `weather` has names, so it becomes a number
a            1   0.2      sun     no     per name
b            0   1.1      sun    yes
"""

import hashlib
import io
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from memcap.knobs import UserError, names_of
from memcap.own.doubts import doubts
from memcap.own.file import AFTER, LARGEST, MOST, PARTS, checked, float_of
from memcap.own.formats import NUMBER, has_names, read_frame, times_of
from memcap.own.window import BLOCK, SERIES, STEP, WINDOW, cut
from memcap.store import files
from memcap.terminal.words import plural

MOST_NUMBERS = LARGEST // 4  # of the inputs, which are float32
# a target with at most this many whole numbers has classes, with more it has values
MOST_CLASSES = 20
MOST_NAMES = 4095  # of a column
Names = tuple[str, ...]
MISSING = "(missing)"
SEQUENCE = "sequence"  # the column, unless another one is given
FEATURES = "--features"
LINES = 10  # that are shown
PART_NAMES = {name: name for name in PARTS} | dict.fromkeys(
    ("val", "valid", "dev"), "validation"
)


@dataclass(frozen=True)
class Columns:
    """The columns of a table, by what they mean.

    Args:
        target: the column to predict: names or few whole numbers are classes, other
            numbers are values. If constant in every sequence, it is asked once, at the
            end; at a null it is not asked.
        sequence: the column with the sequence of a line.
        step: the column that orders the lines of a sequence; None: "step" if there is
            one, otherwise lines are in order.
        features: the columns that the net sees; empty: all others, of which those that
            look like no feature (`memcap.own.doubts`) are refused.
        drop: columns that it does not see.
        keep: columns that it sees, whatever they look like.
        categories: features with whole numbers that are names.
        group: sequences of one group (a subject, a machine) are never on both sides of
            a split.
        missing: "refuse", or "mask": a missing number becomes the mean, and a further
            feature says so; a missing name becomes a name of its own.
        values: whether the target has values; None: judged by its numbers.
        split: the column with a sequence's part: train, validation (or val, valid,
            dev), test.
        window: steps of the sequences to cut from long series; they show the target,
            too, unless it is dropped.
        ahead: steps from the last one of a window to its target.
    """

    target: str
    sequence: str = SEQUENCE
    step: str | None = None
    features: Names = ()
    drop: Names = ()
    keep: Names = ()
    categories: Names = ()
    group: str | None = None
    missing: str = "refuse"
    values: bool | None = None
    split: str | None = None
    window: int | None = None
    ahead: int = 1

    @property
    def ids(self) -> tuple[str | None, ...]:
        """Columns of names, in which 010 is not 10."""
        return self.sequence, self.group, self.split, *self.categories


@dataclass(frozen=True)
class Feature:
    """A column as the net sees it.

    Args:
        name: of the column.
        names: the names in it, an input each; empty: it holds numbers, one input.
        mean: stands for a missing number.
        gaps: whether a further input says where numbers are missing.
    """

    name: str
    names: Names = ()
    mean: float = 0.0
    gaps: bool = False

    @property
    def width(self) -> int:
        return len(self.names) or 1 + self.gaps


@dataclass(frozen=True)
class LongForm:
    """The arrays of an .npz file, a description, and lines of a table."""

    arrays: dict[str, np.ndarray]
    words: Names
    head: pl.DataFrame | None = None
    columns: Columns | None = None  # of a table, with the features that the net sees
    features: tuple[Feature, ...] = ()

    @property
    def digest(self) -> str:
        hashed = hashlib.sha256()
        for name, array in self.arrays.items():
            hashed.update(f"{name} {array.dtype} {array.shape}".encode())
            hashed.update(array.tobytes())
        return hashed.hexdigest()[:16]

    def save(self, path: Path) -> Path:
        """Write the .npz file and return its path.

        Raises:
            UserError: it exists with other content, to which rows may belong.
        """
        content = io.BytesIO()
        np.savez_compressed(content, allow_pickle=False, **self.arrays)
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            files.replace(path, content.getvalue())
        elif not path.is_file() or path.read_bytes() != content.getvalue():
            raise UserError(
                f"{path}: is there already, and holds something else; name another file"
            )
        return path


def read_table(path: Path, columns: Columns, decimal_comma: bool = False) -> LongForm:
    """Read a CSV (perhaps with decimal commas), TSV, Parquet or Arrow file.

    Raises:
        UserError: it cannot be read, or does not match `columns`.
    """
    frame = read_frame(path, columns.ids, decimal_comma)
    return long_form(frame, columns, str(path))


def array_form(
    inputs: Any, targets: Any, groups: Any = None, split: Any = None
) -> LongForm:
    """Return the arrays of sequences that are given one by one.

    Args:
        inputs: for each sequence (T,) whole numbers, or (T, F) numbers; T may differ.
        targets: for each sequence one answer, or one per step.
        groups: for each sequence a whole number; None: all differ.
        split: for each sequence train, validation or test; None: drawn at random.

    Raises:
        UserError: they have a wrong form.
    """
    try:
        lengths = np.array([len(sequence) for sequence in inputs])
        every = all(
            np.ndim(target) and len(target) == length
            for target, length in zip(targets, lengths, strict=True)
        )
        arrays = {
            "inputs": padded(inputs),
            "targets": padded(targets) if every else np.asarray(targets),
        }
    except (TypeError, ValueError) as error:
        raise UserError(
            f"data: {' '.join(str(error).split())}; must be sequences (T,) of whole numbers or"
            " (T, F) of numbers, and a target of each, or of each step"
        ) from error
    if np.ptp(lengths):
        arrays |= {"lengths": lengths, "padding": np.array(AFTER)}
    if groups is not None:
        arrays["groups"] = np.asarray(groups)
    if split is not None:
        arrays["split"] = np.asarray(split)
    return LongForm(arrays, checked("data", arrays, "").words("data"))


def padded(sequences: Any) -> np.ndarray:
    """Stack arrays, with zeros after the shorter ones."""
    arrays = [np.asarray(sequence) for sequence in sequences]
    longest = max(map(len, arrays))
    stack = np.zeros(
        (len(arrays), longest, *arrays[0].shape[1:]), np.result_type(*arrays)
    )
    for row, array in zip(stack, arrays, strict=True):
        row[: len(array)] = array
    return stack


def form_of(inputs: Any, targets: Any, more: dict[str, Any]) -> LongForm:
    """Return the arrays of what a user has in Python; arguments as of `memcap.data`.

    Raises:
        UserError: they do not match.
    """
    if not isinstance(targets, str):
        if unknown := set(more) - {"groups", "split"}:
            raise UserError(
                f"data: {min(unknown)} is for a frame; sequences take only groups and split"
            )
        return array_form(inputs, targets, **more)
    columns = dict(more)
    for name in {"features", "drop", "keep", "categories"} & columns.keys():
        columns[name] = words_of(columns[name])
    frame = frame_of(inputs)
    try:
        return long_form(frame, Columns(targets, **columns))
    except TypeError as error:
        why = str(error).rpartition(") ")[2]
        raise UserError(f"data: {why}; it has {', '.join(names_of(Columns))}") from None


def frame_of(table: Any) -> pl.DataFrame:
    """Return a polars or pandas frame, or a dict of columns, as a polars frame.

    Raises:
        UserError: it is neither.
    """
    if isinstance(table, pl.DataFrame):
        return table
    try:
        lists = {str(name): list(table[name]) for name in table}
        return pl.DataFrame(lists, nan_to_null=True, strict=False)
    except (TypeError, KeyError, pl.exceptions.PolarsError) as error:
        raise UserError(f"frame: must be a polars or pandas frame ({error})") from error


def long_form(frame: pl.DataFrame, columns: Columns, name: str = "frame") -> LongForm:
    """Return the arrays of a table, called `name` in errors.

    Raises:
        UserError: it does not match `columns`.
    """
    if columns.window is not None:
        frame, columns = _windows(frame, columns, name)
    table = _cut(_check(frame, columns, name))
    if not columns.features:
        _ask(table)
    features, input_words = _features(table)
    arrays = {"inputs": _encode(table, features)}
    if arrays["inputs"].ndim == 3:
        kind = float_of(arrays["inputs"][table.place, table.position])
        arrays["inputs"] = arrays["inputs"].astype(kind)
    targets, classes, target_words = _targets(table)
    arrays |= targets
    if table.lengths.min() < table.shape[1]:
        arrays |= {"lengths": table.lengths, "padding": np.array(AFTER)}
    symbols = features[0].names if arrays["inputs"].ndim == 2 else ()
    for key, names in (("symbol_names", symbols), ("class_names", classes)):
        if names:
            arrays[key] = np.array(names, np.str_)
    size = _size(table)
    if columns.group is not None:
        names = _of_sequences(table, "--group", columns.group)
        arrays["groups"] = names.rank("dense").to_numpy().astype(np.int64) - 1
        size += f", in {plural(names.n_unique(), 'group')} of `{columns.group}`"
    if columns.split is not None:
        arrays["split"] = _split(table, columns.split)
    split_words = checked(name, arrays, "").split_words
    words = (f"{size}.", input_words, target_words, *split_words)
    seen = replace(table.columns, features=tuple(feature.name for feature in features))
    return LongForm(arrays, words, _head(table), seen, features)


def sequences_of(
    frame: pl.DataFrame,
    columns: Columns,
    features: Sequence[Feature],
    name: str = "frame",
) -> tuple[list[np.ndarray], pl.DataFrame]:
    """Return the sequences of a table, (T,) or (T, F), as a net trained on another sees
    them, and the sequence and step of all lines, in order.

    Args:
        frame: the table; it need not have the target.
        columns, features: of the table on which the net was trained.
        name: of the table, in error messages.

    Raises:
        UserError: a column is missing, or holds a name that the net does not know.
    """
    frame = frame.with_columns(pl.lit(0).alias(columns.target))
    only = replace(columns, drop=(), keep=(), group=None, split=None)
    table = _cut(_check(frame, only, name))
    inputs = _encode(table, features)
    sequences = [
        row[:length] for row, length in zip(inputs, table.lengths, strict=True)
    ]
    names = filter(None, (columns.sequence, columns.step))
    return sequences, table.frame.select(*names)


def _windows(
    frame: pl.DataFrame, columns: Columns, name: str
) -> tuple[pl.DataFrame, Columns]:
    if columns.group or columns.split:
        raise UserError(
            "--window: blocks of the series are its groups and parts; leave out --group and"
            " --split"
        )
    if columns.sequence == SEQUENCE and SEQUENCE not in frame.columns:
        frame = frame.with_columns(pl.lit(0).alias(SERIES))
        columns = replace(columns, sequence=SERIES)
    table = _cut(_check(frame, columns, name))
    if not columns.features:
        _ask(table)
    past = () if columns.target in columns.drop else (columns.target,)
    seen = tuple(dict.fromkeys((*table.columns.features, *past)))
    window = columns.window or 0
    most = MOST_NUMBERS // (window * len(seen))
    if table.frame.height - window > most:
        raise UserError(
            f"{name}: {table.frame.height:,} steps make more windows than fit into"
            f" {LARGEST >> 20} MiB; give it {most + window:,} steps, or a shorter --window"
        )
    meaning = replace(
        columns,
        target=f"{columns.target} +{columns.ahead}",
        sequence=WINDOW,
        step=STEP,
        features=seen,
        drop=(),
        keep=(),
        group=BLOCK,
    )
    series = table.frame.select({*seen, columns.target})
    return cut(series, table.lengths, columns.target, window, columns.ahead), meaning


@dataclass(frozen=True)
class _CheckedTable:
    """A table whose columns exist and mean one thing each."""

    name: str  # in error messages
    frame: pl.DataFrame
    columns: Columns

    def wrong(self, what: str) -> UserError:
        return UserError(f"{self.name}: {what}")

    def is_named(self, name: str) -> bool:
        """Return whether a column holds names, or numbers that are names."""
        kind = self.frame.schema[name]
        is_class = name == self.columns.target and kind == pl.Boolean
        return is_class or has_names(kind) or name in self.columns.categories


@dataclass(frozen=True)
class _Table(_CheckedTable):
    """Lines sequence by sequence, step by step, up to each one's last answer.

    Args:
        place: the sequence of each line, among the N.
        position: the step of each line.
        due: whether an answer is due there.
        at_end: whether the target is asked once, at the end.
    """

    place: np.ndarray
    position: np.ndarray
    due: np.ndarray
    at_end: bool

    @property
    def lengths(self) -> np.ndarray:
        return np.bincount(self.place)

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.lengths), int(self.lengths.max())

    @property
    def answer(self) -> pl.Series:
        """The target where it is due, otherwise null."""
        return self.frame[self.columns.target].set(pl.Series(~self.due), None)

    def spread(self, entries: np.ndarray) -> np.ndarray:
        """Arrange lines as (N, T, ...), with zeros after the shorter sequences."""
        spread = np.zeros((*self.shape, *entries.shape[1:]), entries.dtype)
        spread[self.place, self.position] = entries
        return spread


def _roles(columns: Columns) -> dict[str, str]:
    roles = {
        "--target": columns.target,
        "--sequence": columns.sequence,
        "--step": columns.step,
        "--group": columns.group,
        "--split": columns.split,
    }
    return {option: column for option, column in roles.items() if column}


def _check(frame: pl.DataFrame, columns: Columns, name: str) -> _CheckedTable:
    if columns.step is None and "step" in frame.columns:
        columns = replace(columns, step="step")
    roles = _roles(columns)
    away = {*roles.values(), *columns.drop}
    features = columns.features or tuple(
        each for each in frame.columns if each not in away
    )
    columns = replace(columns, features=features)
    table = _CheckedTable(name, frame, columns)
    used = [*roles.items(), *((FEATURES, each) for each in features)]
    lists = {"--categories": columns.categories, "--drop": columns.drop}
    lists["--keep"] = columns.keep
    for option, column in [*used, *((o, each) for o in lists for each in lists[o])]:
        if column not in frame.columns:
            raise table.wrong(
                f"has no column `{column}` ({option}); it has"
                f" {_first(frame.columns, 20)}; a table has a line for each step (memcap docs"
                " sequences)"
            )
    times = Counter(column for _, column in used)
    for option, column in reversed(used):
        if times[column] > 1:
            raise table.wrong(f"{option} {column}: is another column already")
    for column in columns.categories:
        if column not in features:
            raise table.wrong(f"--categories {column}: is no column that the net sees")
    if not features and (columns.window is None or columns.target in columns.drop):
        raise table.wrong("has no column that the net could see beside the target")
    if frame.is_empty():
        raise table.wrong("has no lines")
    if columns.missing not in ("refuse", "mask"):
        raise UserError(f"--missing {columns.missing}: must be refuse or mask")
    for column in (*features, columns.target, columns.split or columns.target):
        kind = frame.schema[column]
        has_numbers = kind.is_numeric() or kind in (pl.Boolean, pl.Null)
        if not has_numbers and not has_names(kind):
            raise table.wrong(
                f"`{column}` holds {kind}; it must hold numbers or names, or --drop"
                f" {column}"
            )
    named = {*columns.categories, columns.target if columns.values is False else ""}
    for column in (*features, columns.target):
        if has_names(frame.schema[column]) and column not in named:
            _check_cells(table, frame[column])
    frame = frame.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
    for option, column in roles.items():
        gaps = frame[column].null_count()
        if gaps and column != columns.target:
            raise table.wrong(f"`{column}` ({option}) is missing in {gaps:,} lines")
    return replace(table, frame=frame)


def _check_cells(table: _CheckedTable, column: pl.Series) -> None:
    """Refuse names that are mostly numbers, unless meant to be names."""
    text = column.cast(pl.String)
    seems = text.str.contains(NUMBER)
    is_text = text.cast(pl.Float64, strict=False).is_null() & text.is_not_null()
    row = is_text.arg_max() or 0
    numbers = text.filter(seems).n_unique()
    if is_text[row] and numbers > text.filter(~seems).n_unique():
        raise table.wrong(
            f"`{column.name}` holds numbers, but {text[row]!r} in row {row} (of a CSV file,"
            f" line {row + 2}) is text; mend it (decimal commas: --decimal-comma), or"
            f" --categories {column.name} takes all as names (of the target: --classes)"
        )


def _in_order(table: _CheckedTable) -> pl.DataFrame:
    frame = table.frame
    sequence = table.columns.sequence
    step = table.columns.step
    if step is None:
        return pl.concat(frame.partition_by(sequence, maintain_order=True))
    if has_names(frame.schema[step]):
        text = frame[step].cast(pl.String)
        times = times_of(text)
        for cell in text.filter(times.is_null()).head(1):
            raise table.wrong(
                f"`{step}` (--step) holds {cell!r}, which has no order among the others; it"
                " must hold numbers, or times as 2026-11-29 12:00, all with a zone or none"
            )
        frame = frame.with_columns(times.alias(step))
    frame = frame.sort(sequence, step, maintain_order=True)
    twice = frame.filter(pl.struct(sequence, step).is_duplicated())
    for first in twice.head(1).rows(named=True):
        raise table.wrong(
            f"has step {first[step]} of sequence {first[sequence]} more than once"
        )
    return frame


def _cut(table: _CheckedTable) -> _Table:
    """Put lines in order, and cut each sequence after its last answer."""
    frame = _in_order(table)
    target = table.columns.target
    sequence = table.columns.sequence
    steps = pl.int_range(pl.len())
    last_answer = steps.filter(pl.col(target).is_not_null()).max()
    position = frame.select(steps.over(sequence)).to_series()
    last = frame.select(last_answer.over(sequence)).to_series()
    for name in frame[sequence].filter(last.is_null()).head(1):
        raise table.wrong(f"sequence {name} has no `{target}` at any step")
    counts = position <= last
    frame = frame.filter(counts)
    position = position.filter(counts).to_numpy()
    if not position.any():
        raise table.wrong(
            "has one line a sequence, up to its answer; it must have one for each step"
            " (memcap docs sequences)"
        )
    due = frame[target].is_not_null()
    answers = frame.filter(due).select(sequence, target)
    at_end = answers.n_unique() == frame[sequence].n_unique()
    if at_end:
        due = frame.select(pl.col(sequence).is_last_distinct()).to_series()
    place = frame[sequence].rle_id().to_numpy()
    return _Table(
        table.name, frame, table.columns, place, position, due.to_numpy(), at_end
    )


def _ask(table: _Table) -> None:
    columns = table.columns
    features = [name for name in columns.features if name not in columns.keep]
    questions = doubts(table.frame, features, columns.sequence, table.answer)
    if questions:
        raise table.wrong(
            f"{', '.join(questions.values())}; --drop {','.join(questions)} keeps what is no"
            " feature from the net, --keep shows it"
        )


def _head(table: _Table) -> pl.DataFrame:
    columns = table.columns
    names = filter(None, (columns.sequence, columns.step, *columns.features[:LINES]))
    lines = table.frame.select(*names, table.answer)
    return lines.slice(max(table.lengths[0] - LINES, 0), LINES)


def _size(table: _Table) -> str:
    shortest = int(table.lengths.min())
    longest = table.shape[1]
    steps = f"{longest:,} steps"
    if shortest < longest:
        steps = f"{shortest:,} to {steps}"
    return f"{table.name}: {plural(table.shape[0], 'sequence')} of {steps}"


def _of_sequences(table: _Table, option: str, name: str) -> pl.Series:
    lines = table.frame.select(table.columns.sequence, name)
    values = lines.unique(maintain_order=True)[name]
    if len(values) > table.shape[0]:
        raise table.wrong(f"`{name}` ({option}) changes within a sequence")
    return values


def _split(table: _Table, name: str) -> np.ndarray:
    column = _of_sequences(table, "--split", name)
    parts = column.cast(pl.String).str.to_lowercase()
    parts = parts.replace_strict(PART_NAMES, default=None)
    for odd in column.filter(parts.is_null()).head(1):
        raise table.wrong(
            f"`{name}` (--split) holds {odd}; it must be {', '.join(PARTS)}"
        )
    return np.array(parts.to_list(), np.str_)


def _features(table: _Table) -> tuple[tuple[Feature, ...], str]:
    features = tuple(_feature(table, name) for name in table.columns.features)
    if len(features) == 1 and features[0].names:
        (feature,) = features
        count = plural(len(feature.names), "name")
        return features, f"Inputs: {feature.name}, one of {count} a step."
    labels = []
    for feature in features:
        names = f" ({len(feature.names)} names)" if feature.names else ""
        labels.append(feature.name + names)
        if feature.gaps:
            labels.append(f"whether {feature.name} is missing")
    width = sum(feature.width for feature in features)
    count, steps = table.shape
    if count * steps * width > MOST_NUMBERS:
        raise table.wrong(
            f"{count:,} sequences of up to {steps:,} steps of {width} numbers are more than"
            f" {LARGEST >> 20} MiB; draw {MOST_NUMBERS // (width * steps):,} of them, or leave"
            " out features"
        )
    return features, f"Inputs: {plural(width, 'number')} a step: {_first(labels)}."


def _feature(table: _Table, name: str) -> Feature:
    if table.is_named(name):
        return Feature(name, tuple(_names(table, name)))
    numbers = _numbers(table, name)
    gaps = _gaps(table, name)
    if gaps == len(numbers):
        raise table.wrong(
            f"`{name}` is missing in every line; leave it out by --features"
        )
    mean = float(numbers.drop_nulls().to_numpy().mean())
    return Feature(name, mean=mean, gaps=gaps > 0)


def _encode(table: _Table, features: Sequence[Feature]) -> np.ndarray:
    """Return (N, T) symbols if the only feature has names, otherwise (N, T, F)."""
    if len(features) == 1 and features[0].names:
        return table.spread(_codes(table, features[0].name, features[0].names))
    parts = []
    for feature in features:
        name = feature.name
        if feature.names:
            one_hot = np.eye(len(feature.names), dtype=np.float32)
            parts.append(one_hot[_codes(table, name, feature.names)])
            continue
        numbers = _numbers(table, name)
        parts.append(numbers.fill_null(feature.mean))
        if feature.gaps:
            parts.append(numbers.is_null())
        elif numbers.has_nulls():
            raise table.wrong(f"`{name}` is missing in some lines; fill them in")
    return table.spread(np.column_stack(parts).astype(np.float64))


def _targets(table: _Table) -> tuple[dict[str, np.ndarray], list[str], str]:
    name = table.columns.target
    due = table.due
    names: list[str] = []
    if _has_classes(table):
        names = _names(table, name)
        entries = _codes(table, name, names)
    else:
        entries = _numbers(table, name).fill_null(0).to_numpy()
        entries = entries.astype(float_of(entries[due]))
    answers = entries[due]
    arrays = {"targets": answers}
    where = "at the end of a sequence"
    if not table.at_end:
        arrays = {"targets": table.spread(entries)}
        where = "at every step"
        if not due.all():
            arrays["mask"] = table.spread(due)
            where = f"at {due.mean():.0%} of the steps"
    if not np.ptp(answers):
        one = names[0] if names else f"{answers[0]:g}"
        raise table.wrong(f"`{name}` is always {one}: there is nothing to tell apart")
    if names:
        shares = np.bincount(answers, minlength=len(names)) / len(answers)
        balance = [f"{names[k]} {shares[k]:.1%}" for k in np.argsort(-shares)]
        kind = f"one of {len(names)} classes {where}: {_first(balance)}"
    else:
        mean = f"{answers.mean():.4g}"
        kind = f"values of mean {mean} and deviation {answers.std():.4g}, {where}"
    return arrays, names, f"Target: {name}, {kind}."


def _has_classes(table: _Table) -> bool:
    """Return whether the target has names or few whole numbers."""
    name = table.columns.target
    values = table.columns.values
    if table.is_named(name):
        if values:
            kind = table.frame.schema[name]
            raise table.wrong(f"`{name}` holds {kind}, which are no values")
        return True
    numbers = _numbers(table, name).drop_nulls()
    few = values is False or numbers.n_unique() <= MOST_CLASSES
    return not values and few and bool((numbers % 1 == 0).all())


def _numbers(table: _Table, name: str) -> pl.Series:
    """Return a column's numbers, whose squares fit into float32."""
    numbers = table.frame[name].cast(pl.Float64)
    if numbers.is_infinite().any():
        raise table.wrong(
            f"`{name}` holds inf; fill such cells in, or leave them empty"
        )
    if (numbers.abs() > MOST).any():
        raise table.wrong(
            f"`{name}` holds numbers above {MOST:g}, too large for float32; scale them"
        )
    return numbers


def _texts(table: _Table, name: str) -> pl.Series:
    """Return a column's names as texts; null where missing."""
    column = table.frame[name]
    if column.dtype.is_float():
        return column.map_elements("{:g}".format, pl.String)
    return column.cast(pl.String)


def _names(table: _Table, name: str) -> list[str]:
    """Return a column's names, in order; a missing one is a name of its own."""
    column = table.frame[name]
    texts = _texts(table, name)
    order = (column if column.dtype.is_numeric() else texts).arg_sort()
    names = texts[order].drop_nulls().unique(maintain_order=True).to_list()
    if len(names) > MOST_NAMES:
        raise table.wrong(
            f"`{name}` has {len(names):,} different names, more than {MOST_NAMES:,}"
        )
    if name != table.columns.target and _gaps(table, name):
        names.append(MISSING)
    return names


def _codes(table: _Table, name: str, names: Sequence[str]) -> np.ndarray:
    no_answer = name == table.columns.target
    texts = _texts(table, name).fill_null(names[0] if no_answer else MISSING)
    places = texts.replace_strict(names, range(len(names)), default=None)
    for text in texts.filter(places.is_null()).head(1):
        raise table.wrong(f"`{name}` holds {text!r}; it may be {_first(names)}")
    return places.cast(pl.Int64).to_numpy()


def _gaps(table: _Table, name: str) -> int:
    count = table.frame[name].null_count()
    if count and table.columns.missing == "refuse":
        raise table.wrong(
            f"`{name}` is missing in {count:,} of {table.frame.height:,} lines; --missing"
            " mask tells the net where, or fill them in"
        )
    return count


def _first(words: Sequence[str], most: int = 8) -> str:
    more = len(words) - most
    rest = f" and {plural(more, 'other')}" if more > 0 else ""
    return ", ".join(words[:most]) + rest


def words_of(texts: Sequence[str] | str | None) -> Names:
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
