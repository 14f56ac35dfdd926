"""Tables in long form, a line per step, and folders of .npy files as the arrays of an
.npz file (`memcap.own.file`).

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
            numbers are values. If it is the same at all steps of every sequence, it is
            asked once, at the end; at a null it is not asked.
        sequence: the column that says to which sequence a line belongs.
        step: the column that orders the lines of a sequence; None: "step" if there is
            one, otherwise they are in order.
        features: the columns that the net sees; empty: all other columns, of which those
            that look like no feature (`memcap.own.doubts`) are refused.
        drop: columns that it does not see, of all others.
        keep: columns that it sees, whatever they look like.
        categories: features with whole numbers that are names.
        group: sequences of one group (a subject, a machine) are never on both sides of
            a split.
        missing: "refuse", or "mask": a missing number becomes the mean, beside a
            feature that says so; a missing name becomes a name of its own.
        values: whether the target has values; None: judged by its numbers.
        split: the column that says to which part a sequence belongs: train, validation
            (or val, valid, dev), test.
        window: of a table that is one long series: steps of the sequences that are cut
            from it, which show the target, too.
        ahead: the target is this many steps after the last one of a window.
    """

    target: str
    sequence: str = "sequence"
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
        names: of what it holds, an input each; empty: it holds numbers, one input.
        mean: the number that stands for a missing one.
        gaps: whether a further input says where numbers are missing.
    """

    name: str
    names: Names = ()
    mean: float = 0.0
    gaps: bool = False

    @property
    def width(self) -> int:
        """Number of inputs."""
        return len(self.names) or 1 + self.gaps


@dataclass(frozen=True)
class LongForm:
    """The arrays of an .npz file, sentences that describe them, and lines of a table."""

    arrays: dict[str, np.ndarray]
    words: Names
    head: pl.DataFrame | None = None
    columns: Columns | None = None  # of a table, with the features that the net sees
    features: tuple[Feature, ...] = ()

    @property
    def digest(self) -> str:
        """A digest of its arrays, 16 hex digits."""
        hashed = hashlib.sha256()
        for name, array in self.arrays.items():
            hashed.update(f"{name} {array.dtype} {array.shape}".encode())
            hashed.update(array.tobytes())
        return hashed.hexdigest()[:16]

    def save(self, path: Path) -> Path:
        """Write the .npz file, unless it exists with this content; return its path.

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
    """Read a CSV, TSV, Parquet or Arrow file; `decimal_comma`: of a CSV file's numbers.

    Raises:
        UserError: it cannot be read, or does not match `columns`; says what is wrong.
    """
    frame = read_frame(path, columns.ids, decimal_comma)
    return long_form(frame, columns, str(path))


def read_folder(folder: Path) -> LongForm:
    """Read a folder of .npy files, each with the name of an array of an .npz file.

    Raises:
        UserError: a file cannot be read, or the arrays have a wrong form; says what is wrong.
    """
    arrays = {}
    for file in sorted(folder.glob("*.npy")):
        try:  # a header may promise more than follows
            arrays[file.stem] = np.lib.format.open_memmap(file, "r")
        except (OSError, ValueError) as error:
            why = " ".join(str(error).split())
            raise UserError(f"{file}: cannot be read as an array ({why})") from error
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
    """Stack arrays of different lengths, with zeros after the shorter ones."""
    arrays = [np.asarray(sequence) for sequence in sequences]
    longest = max(map(len, arrays))
    stack = np.zeros(
        (len(arrays), longest, *arrays[0].shape[1:]), np.result_type(*arrays)
    )
    for row, array in zip(stack, arrays, strict=True):
        row[: len(array)] = array
    return stack


def form_of(inputs: Any, targets: Any, more: dict[str, Any]) -> LongForm:
    """Return the arrays of what a user has in Python: a frame and the name of its target,
    or sequences and their targets.

    Args:
        inputs: see `memcap.data`, as for `targets`.
        targets: a name, or targets.
        more: fields of `Columns`; for sequences groups and split.

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
    """Return a polars frame of one, of a pandas frame, or of a dict of columns.

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
    """Return the arrays of a table; `name` is its name in error messages.

    Raises:
        UserError: it does not match `columns`.
    """
    if columns.window is not None:
        frame, columns = _windows(frame, columns, name)
    table = _Table(frame, columns, name)
    inputs, features, input_words = table.inputs()
    targets, classes, target_words = table.targets()
    arrays = {"inputs": inputs, **targets}
    if table.lengths.min() < table.shape[1]:
        arrays |= {"lengths": table.lengths, "padding": np.array(AFTER)}
    symbols = features[0].names if inputs.ndim == 2 else ()
    for key, names in (("symbol_names", symbols), ("class_names", classes)):
        if names:
            arrays[key] = np.array(names, np.str_)
    size = table.size_words
    if columns.group is not None:
        groups = table.of_sequences("--group").rank("dense").to_numpy() - 1
        arrays["groups"] = groups.astype(np.int64)
        size += f", in {plural(int(groups.max()) + 1, 'group')} of `{columns.group}`"
    if columns.split is not None:
        arrays["split"] = table.split()
    split_words = checked(name, arrays, "").split_words
    words = (f"{size}.", input_words, target_words, *split_words)
    seen = replace(
        columns,
        step=table.roles.get("--step"),
        features=tuple(feature.name for feature in features),
    )
    return LongForm(arrays, words, table.head, seen, features)


def sequences_of(
    frame: pl.DataFrame,
    columns: Columns,
    features: Sequence[Feature],
    name: str = "frame",
) -> tuple[list[np.ndarray], pl.DataFrame]:
    """Return the sequences of a table as a net sees them that was trained on another.

    Args:
        frame: the table; it need not have the target.
        columns, features: of the table on which the net was trained.
        name: of the table, in error messages.

    Returns:
        Of each sequence (T,) symbols or (T, F) numbers, and all lines in their order,
        with the columns of the sequence and the step.

    Raises:
        UserError: a column is missing, or holds a name that the net does not know.
    """
    asked = frame.with_columns(pl.lit(0).alias(columns.target))
    only = replace(columns, drop=(), keep=(), group=None, split=None)
    table = _Table(asked, only, name)
    inputs = table.encoded(features)
    sequences = [
        row[:length] for row, length in zip(inputs, table.lengths, strict=True)
    ]
    names = filter(None, (columns.sequence, columns.step))
    return sequences, table.frame.select(*names)


def _windows(
    frame: pl.DataFrame, columns: Columns, name: str
) -> tuple[pl.DataFrame, Columns]:
    """Return the table of the windows of a series, and the meaning of its columns."""
    if columns.group or columns.split:
        raise UserError(
            "--window: blocks of the series are its groups and parts; leave out --group and"
            " --split"
        )
    one = replace(columns, sequence=SERIES)
    table = _Table(frame.with_columns(pl.lit(0).alias(SERIES)), one, name)
    series = table.frame.select(*table.features, columns.target)
    window = columns.window or 0
    most = MOST_NUMBERS // (window * series.width)
    if series.height - window > most:
        raise UserError(
            f"{name}: {series.height:,} steps make more windows than fit into"
            f" {LARGEST >> 20} MiB; give it {most + window:,} steps, or a shorter --window"
        )
    meaning = replace(
        columns,
        target=f"{columns.target} +{columns.ahead}",
        sequence=WINDOW,
        step=STEP,
        features=tuple(series.columns),
        drop=(),
        keep=(),
        group=BLOCK,
    )
    return cut(series, columns.target, window, columns.ahead), meaning


class _Table:
    """A table in order: sequence by sequence, step by step, up to each one's last answer.

    Attributes:
        roles: the columns that are no features, by the option that names them.
        frame: the lines. place: of each line, its sequence's among the N. position: of
            each line, its step.
        lengths: (N,) steps of each sequence. shape: N, and the most steps.
        due: of each line, whether an answer is due. head: some lines, up to an answer.
        at_end: whether the target is asked once, at the end of a sequence.
    """

    def __init__(self, frame: pl.DataFrame, columns: Columns, name: str) -> None:
        self.name = name
        self.columns = columns
        target = columns.target
        sequence = columns.sequence
        step = columns.step or ("step" if "step" in frame.columns else None)
        roles = {
            "--target": target,
            "--sequence": sequence,
            "--step": step,
            "--group": columns.group,
            "--split": columns.split,
        }
        self.roles = {option: column for option, column in roles.items() if column}
        away = {*self.roles.values(), *columns.drop}
        others = [name for name in frame.columns if name not in away]
        self.features = columns.features or others
        self._check(frame)
        frame = frame.with_columns(pl.col(pl.Float32, pl.Float64).fill_nan(None))
        for option, column in self.roles.items():
            gaps = frame[column].null_count()
            self.refuse(
                gaps and column != target,
                f"`{column}` ({option}) is missing in {gaps:,} lines",
            )
        if step is None:
            frame = pl.concat(frame.partition_by(sequence, maintain_order=True))
        else:
            frame = self._in_order(frame, step)
        steps = pl.int_range(pl.len())
        last_answer = steps.filter(pl.col(target).is_not_null()).max()
        position = frame.select(steps.over(sequence)).to_series()
        last = frame.select(last_answer.over(sequence)).to_series()
        unanswered = frame[sequence].filter(last.is_null())
        if len(unanswered):
            raise self.wrong(f"sequence {unanswered[0]} has no `{target}` at any step")
        counts = position <= last
        self.frame = frame.filter(counts)
        self.position = position.filter(counts).to_numpy()
        self.place = self.frame[sequence].rle_id().to_numpy()
        self.lengths = np.bincount(self.place)
        self.shape = len(self.lengths), int(self.lengths.max())
        self.refuse(
            self.shape[1] == 1,
            "has one line a sequence, up to its answer; it must have one for each step"
            " (memcap docs sequences)",
        )
        self.due = self.frame[target].is_not_null().to_numpy()
        answers = self.frame.filter(self.due).select(sequence, target)
        self.at_end = answers.n_unique() == self.shape[0]
        if self.at_end:
            self.due = self.position == self.lengths[self.place] - 1
        shown = filter(None, (sequence, step, *self.features[:LINES], target))
        answer = self.frame[target].set(pl.Series(~self.due), None)
        lines = self.frame.with_columns(answer).select(*shown)
        self.head = lines.slice(max(self.lengths[0] - LINES, 0), LINES)
        if not columns.features:
            self._question(answer)

    def wrong(self, what: str) -> UserError:
        return UserError(f"{self.name}: {what}")

    def refuse(self, is_wrong: Any, what: str) -> None:
        if is_wrong:
            raise self.wrong(what)

    def _check(self, frame: pl.DataFrame) -> None:
        """Check that each column exists, has one meaning, and has numbers or names."""
        target = self.columns.target
        categories = self.columns.categories
        missing = self.columns.missing
        used = [*self.roles.items(), *((FEATURES, name) for name in self.features)]
        columns = [
            *used,
            *(("--categories", name) for name in categories),
            *(("--drop", name) for name in self.columns.drop),
            *(("--keep", name) for name in self.columns.keep),
        ]
        present = ", ".join(frame.columns[:20]) + ", ..." * (len(frame.columns) > 20)
        for option, name in columns:
            self.refuse(
                name not in frame.columns,
                f"has no column `{name}` ({option}); it has {present}; a table has a"
                " line for each step (memcap docs sequences)",
            )
        times = Counter(name for _, name in used)
        for option, name in reversed(used):
            self.refuse(times[name] > 1, f"{option} {name}: is another column already")
        for name in categories:
            self.refuse(
                name not in self.features,
                f"--categories {name}: is no column that the net sees",
            )
        self.refuse(
            not self.features, "has no column that the net could see beside the target"
        )
        self.refuse(frame.is_empty(), "has no lines")
        self.refuse(
            missing not in ("refuse", "mask"),
            f"--missing {missing}: must be refuse or mask",
        )
        for name in (*self.features, target, self.roles.get("--split", target)):
            kind = frame.schema[name]
            has_numbers = kind.is_numeric() or kind in (pl.Boolean, pl.Null)
            self.refuse(
                not has_numbers and not has_names(kind),
                f"`{name}` holds {kind}; it must hold numbers or names, or --drop {name}",
            )
        named = {*categories, target if self.columns.values is False else ""}
        for name in (*self.features, target):
            if has_names(frame.schema[name]) and name not in named:
                self._check_cells(frame[name])

    def _check_cells(self, column: pl.Series) -> None:
        """Refuse names of which most are numbers, unless the user says that all are names."""
        text = column.cast(pl.String)
        seems = text.str.contains(NUMBER)
        is_text = text.cast(pl.Float64, strict=False).is_null() & text.is_not_null()
        row = is_text.arg_max() or 0
        numbers = text.filter(seems).n_unique()
        self.refuse(
            is_text[row] and numbers > text.filter(~seems).n_unique(),
            f"`{column.name}` holds numbers, but {text[row]!r} in row {row} (of a CSV file,"
            f" line {row + 2}) is text; mend it (decimal commas: --decimal-comma), or"
            f" --categories {column.name} takes all as names (of the target: --classes)",
        )

    def _question(self, answer: pl.Series) -> None:
        """Ask about features that look like none."""
        features = [name for name in self.features if name not in self.columns.keep]
        found = doubts(self.frame, features, self.columns.sequence, answer)
        self.refuse(
            found,
            f"{', '.join(found.values())}; --drop {','.join(found)} keeps what is no feature"
            " from the net, --keep shows it",
        )

    def _in_order(self, frame: pl.DataFrame, step: str) -> pl.DataFrame:
        steps = frame[step]
        if steps.dtype in (pl.String, pl.Categorical):
            text = steps.cast(pl.String)
            steps = times_of(text)
            for cell in text.filter(steps.is_null()).head(1):
                raise self.wrong(
                    f"`{step}` (--step) holds {cell!r}, which has no order among the others;"
                    " it must hold numbers, or times as 2026-11-29 12:00, all with a zone or"
                    " none"
                )
            frame = frame.with_columns(steps.alias(step))
        sequence = self.columns.sequence
        frame = frame.sort(sequence, step, maintain_order=True)
        twice = frame.filter(pl.struct(sequence, step).is_duplicated())
        for first in twice.head(1).rows(named=True):
            raise self.wrong(
                f"has step {first[step]} of sequence {first[sequence]} more than once"
            )
        return frame

    @property
    def size_words(self) -> str:
        """How many sequences there are, and of how many steps."""
        shortest = int(self.lengths.min())
        longest = self.shape[1]
        steps = f"{longest:,} steps"
        if shortest < longest:
            half = int(np.median(self.lengths))
            steps = f"{shortest:,} to {steps} (half of them at most {half:,})"
        return f"{self.name}: {plural(self.shape[0], 'sequence')} of {steps}"

    def split(self) -> np.ndarray:
        """Return the name of the part of each sequence, (N,)."""
        column = self.of_sequences("--split")
        parts = column.cast(pl.String).str.to_lowercase()
        parts = parts.replace_strict(PART_NAMES, default=None)
        odd = column.filter(parts.is_null())
        if len(odd):
            raise self.wrong(
                f"`{column.name}` (--split) holds {odd[0]}; it must be {', '.join(PARTS)}"
            )
        return np.array(parts.to_list(), np.str_)

    def of_sequences(self, option: str) -> pl.Series:
        """Return a column's value for each sequence."""
        name = self.roles[option]
        lines = self.frame.select(self.columns.sequence, name)
        values = lines.unique(maintain_order=True)[name]
        self.refuse(
            len(values) > self.shape[0],
            f"`{name}` ({option}) changes within a sequence",
        )
        return values

    def inputs(self) -> tuple[np.ndarray, tuple[Feature, ...], str]:
        """Return the inputs, their features, and a sentence about them."""
        features = tuple(map(self._feature, self.features))
        if len(features) == 1 and features[0].names:
            (feature,) = features
            count = plural(len(feature.names), "name")
            text = f"Inputs: {feature.name}, one of {count} a step."
            return self.encoded(features), features, text
        labels = []
        for feature in features:
            names = f" ({len(feature.names)} names)" if feature.names else ""
            labels.append(feature.name + names)
            if feature.gaps:
                labels.append(f"whether {feature.name} is missing")
        width = sum(feature.width for feature in features)
        self._check_width(width)
        text = f"Inputs: {plural(width, 'number')} a step: {_first(labels)}."
        inputs = self.encoded(features)
        kind = float_of(inputs[self.place, self.position])
        return inputs.astype(kind), features, text

    def _feature(self, name: str) -> Feature:
        """Return how a column is shown to the net."""
        if self._is_named(name):
            return Feature(name, tuple(self._names(name)))
        numbers = self._numbers(name)
        gaps = self._check_gaps(name)
        self.refuse(
            gaps == len(numbers),
            f"`{name}` is missing in every line; leave it out by --features",
        )
        mean = float(numbers.drop_nulls().to_numpy().mean())
        return Feature(name, mean=mean, gaps=gaps > 0)

    def encoded(self, features: Sequence[Feature]) -> np.ndarray:
        """Return what the net sees of features, (N, T) symbols if it is one with names,
        otherwise (N, T, F) numbers."""
        if len(features) == 1 and features[0].names:
            return self._spread(self._codes(features[0].name, features[0].names))
        parts = []
        for feature in features:
            name = feature.name
            if feature.names:
                one_hot = np.eye(len(feature.names), dtype=np.float32)
                parts.append(one_hot[self._codes(name, feature.names)])
                continue
            numbers = self._numbers(name)
            parts.append(numbers.fill_null(feature.mean))
            if feature.gaps:
                parts.append(numbers.is_null())
            elif numbers.has_nulls():
                raise self.wrong(f"`{name}` is missing in some lines; fill them in")
        return self._spread(np.column_stack(parts).astype(np.float64))

    def _check_width(self, width: int) -> None:
        count, steps = self.shape
        self.refuse(
            count * steps * width > MOST_NUMBERS,
            f"{count:,} sequences of up to {steps:,} steps of {width} numbers are more than"
            f" {LARGEST >> 20} MiB; draw {MOST_NUMBERS // (width * steps):,} of them, or leave"
            " out features",
        )

    def targets(self) -> tuple[dict[str, np.ndarray], list[str], str]:
        """Return the targets, with a mask if they are not due at every step; the names
        of classes; and a sentence about them."""
        name = self.columns.target
        names: list[str] = []
        entries: np.ndarray
        due = self.due
        if self._has_classes(name):
            names = self._names(name)
            entries = self._codes(name, names)
        else:
            entries = self._numbers(name).fill_null(0).to_numpy()
            entries = entries.astype(float_of(entries[due]))
        if self.at_end:
            entries = entries[due]
            arrays = {"targets": entries}
            where = "at the end of a sequence"
        else:
            arrays = {"targets": self._spread(entries)}
            where = "at every step"
            if not due.all():
                arrays["mask"] = self._spread(due)
                where = f"at {due.mean():.0%} of the steps"
            entries = entries[due]
        one = names[0] if names else f"{entries[0]:g}"
        self.refuse(
            not np.ptp(entries),
            f"`{name}` is always {one}: there is nothing to tell apart",
        )
        if names:
            shares = np.bincount(entries, minlength=len(names)) / len(entries)
            balance = [f"{names[k]} {shares[k]:.1%}" for k in np.argsort(-shares)]
            kind = f"one of {len(names)} classes {where}: {_first(balance)}"
        else:
            mean = f"{entries.mean():.4g}"
            kind = f"values of mean {mean} and deviation {entries.std():.4g}, {where}"
        return arrays, names, f"Target: {name}, {kind}."

    def _has_classes(self, name: str) -> bool:
        """Tell whether the target has classes: names, or few whole numbers."""
        values = self.columns.values
        if self._is_named(name):
            self.refuse(
                values is True,
                f"`{name}` holds {self.frame.schema[name]}, which are no values",
            )
            return True
        numbers = self._numbers(name).drop_nulls()
        few = values is False or numbers.n_unique() <= MOST_CLASSES
        return not values and few and bool((numbers % 1 == 0).all())

    def _numbers(self, name: str) -> pl.Series:
        """Return a column's numbers, whose squares fit into float32."""
        numbers = self.frame[name].cast(pl.Float64)
        self.refuse(
            (numbers.abs() > MOST).any(),
            f"`{name}` holds numbers above {MOST:g}, too large for float32; scale them",
        )
        return numbers

    def _is_named(self, name: str) -> bool:
        kind = self.frame.schema[name]
        is_class = name == self.columns.target and kind == pl.Boolean
        return is_class or has_names(kind) or name in self.columns.categories

    def _texts(self, name: str) -> pl.Series:
        """Return the names in a column as texts; null where one is missing."""
        column = self.frame[name]
        if column.dtype.is_float():
            return column.map_elements("{:g}".format, pl.String)
        return column.cast(pl.String)

    def _names(self, name: str) -> list[str]:
        """Return the names of a column, in order; a missing feature has a name of its own."""
        column = self.frame[name]
        texts = self._texts(name)
        order = (column if column.dtype.is_numeric() else texts).arg_sort()
        names = texts[order].drop_nulls().unique(maintain_order=True).to_list()
        self.refuse(
            len(names) > MOST_NAMES,
            f"`{name}` has {len(names):,} different names, more than {MOST_NAMES:,}",
        )
        if name != self.columns.target and self._check_gaps(name):
            names.append(MISSING)
        return names

    def _codes(self, name: str, names: Sequence[str]) -> np.ndarray:
        """Return the place of each line's name among some names."""
        no_answer = name == self.columns.target
        texts = self._texts(name).fill_null(names[0] if no_answer else MISSING)
        places = texts.replace_strict(names, range(len(names)), default=None)
        for text in texts.filter(places.is_null()).head(1):
            raise self.wrong(f"`{name}` holds {text!r}; it may be {_first(names)}")
        return places.cast(pl.Int64).to_numpy()

    def _check_gaps(self, name: str) -> int:
        """Return in how many lines a feature is missing, if that is allowed."""
        count = self.frame[name].null_count()
        self.refuse(
            count and self.columns.missing == "refuse",
            f"`{name}` is missing in {count:,} of {self.frame.height:,} lines; --missing mask"
            " tells the net where, or fill them in",
        )
        return count

    def _spread(self, entries: np.ndarray) -> np.ndarray:
        """Arrange lines as (N, T, ...), each sequence from step 0 on, with zeros after it."""
        spread = np.zeros((*self.shape, *entries.shape[1:]), entries.dtype)
        spread[self.place, self.position] = entries
        return spread


def _first(words: Sequence[str]) -> str:
    """Join the first eight of some words."""
    rest = f" and {plural(len(words) - 8, 'other')}" if len(words) > 8 else ""
    return ", ".join(words[:8]) + rest


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
