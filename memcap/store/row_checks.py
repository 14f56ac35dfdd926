"""Whether rows can be what came of their members. Needs no JAX.

A digest vouches for a file, and a key for a row's config. Neither says anything of a table that somebody made
anew: its plain columns, which all else is computed from, are compared here with the config beside them, and
what came of the training with the rules by which a job writes it.
"""

import json
from collections.abc import Callable
from functools import cache, lru_cache
from typing import Any

import polars as pl

from memcap.knobs import LONGEST, MOST, key_of
from memcap.models.model import MOST_LAYERS, MOST_UNITS
from memcap.store.files import BadFileError
from memcap.store.rows import BEFORE, TRAINING

STATUSES = ("solved", "unsolved", "diverged", "failed")
METRICS = ("accuracy", "mse")
SHOWN = 3  # rows that a line names
LARGEST = 1 << 20  # sequences of a batch, or of an evaluation
NUMBER = r"\d+(?:\.\d+)?(?:e[-+]\d+)?"  # at least 0, as JSON has it
SHARE = r"(?:0\.\d+|1\.0|\d(?:\.\d+)?e-\d+)"  # from 0 to 1
SEED = r', "seed": (-?\d+)'
NO_CONFIG = "its config is not a member's"
START = {  # columns of a start of the weights, and their names in the config
    "input_bias": "input",
    "forget_bias": "forget",
    "output_bias": "output",
    "gain": "gain",
    "orthogonal": "orthogonal",
}
RANGES: dict[str, tuple[float, float]] = {
    "lag": (1, LONGEST),
    "length": (1, LONGEST),
    "units": (1, MOST_UNITS),
    "layers": (1, MOST_LAYERS),
    "lr": (0, 10),
    "warmup": (0, MOST),
    "batch": (1, LARGEST),
    "clip": (0, float("inf")),
    "budget": (1, MOST),
    "stretch": (1, 100),
    "evaluation_sequences": (1, LARGEST),
    "evaluation_every": (1, MOST),
    "evaluation_successive": (1, 100),
}
OPTIONAL = ("falls_above", "curriculum", "advance", "deadline", *START)  # columns that may be null
OPTIONAL += ("decay", "floor", "warmup_share", "lags", "lengths")


class BadRowsError(BadFileError):
    """A table whose rows are not those of their members.

    Args:
        rows: what is wrong with each, by key.
    """

    def __init__(self, rows: dict[str, str]):
        self.rows = rows
        lines = [f"row {key}: {why}" for key, why in list(rows.items())[:SHOWN]]
        more = [f"and {len(rows) - SHOWN:,} rows more"] if len(rows) > SHOWN else []
        super().__init__("; ".join([*lines, *more]))


def check_rows(table: pl.DataFrame) -> None:
    """Check rows with all columns of `memcap.store.rows.SCHEMA`.

    Raises:
        BadRowsError: a row has the config of another, plain columns that differ from its config or are out of
            their range, or a result that no training has.
    """
    if wrong := _impossible(table) | _unlike_their_configs(table) | _of_others(table):
        raise BadRowsError(wrong)


def _of_others(table: pl.DataFrame) -> dict[str, str]:
    """Rows whose key is not their config's."""
    pairs = zip(table["key"].to_list(), table["config"].to_list(), strict=True)
    keys = [key for key, config in pairs if config is None or key != key_of(config)]
    return dict.fromkeys(map(str, keys), "damaged: it has the config of another")


def _unlike_their_configs(table: pl.DataFrame) -> dict[str, str]:
    """Rows whose plain columns differ from their config, or are out of their range.

    Rows that only the seed tells apart are one kind, and few texts of a config's parts are different: each is
    parsed once. So a table of 10,000 rows costs some milliseconds.
    """
    columns = [column for part in PARTS for column in COLUMNS[part]]
    table = table.select("key", pl.col("config").str.replace(SEED, ""), *columns)
    if not any(_problems(table.drop("key").unique())):
        return {}
    return {str(key): why for key, why in zip(table["key"], _problems(table), strict=True) if why}


def _problems(table: pl.DataFrame) -> list[str | None]:
    """What is wrong with each line of a table of configs without seeds and plain columns."""
    lines: list[str | None] = [None] * table.height
    for part, values in _parts(table).items():
        if any(_problem(part, *row) for row in values.unique().iter_rows()):
            lines = [
                line or _problem(part, *row) for line, row in zip(lines, values.iter_rows(), strict=True)
            ]
    return lines


def _parts(table: pl.DataFrame) -> dict[str, pl.DataFrame]:
    """The parts of configs without seeds, each as text with the columns that repeat it.

    The texts are cut where parts begin: to parse them all would take longer than all else that is done with
    rows.
    """
    parts, rest = {}, table["config"]
    for part, following in zip(PARTS, [*PARTS][1:], strict=False):
        cut = rest.str.splitn(f', "{following}": ', 2).struct
        parts[part], rest = cut.field("field_0"), cut.field("field_1")
    first, last = "evaluation", "task"
    parts |= {first: parts[first] + "}", last: '{"task": ' + rest}
    return {part: table.select(text.alias("text"), *COLUMNS[part]) for part, text in parts.items()}


def _impossible(table: pl.DataFrame) -> dict[str, str]:
    """Rows that say of their training what no job writes."""
    rules = _rules()
    wrong: dict[str, str] = {}
    if not table.select(pl.all_horizontal(rules.values()).all()).item():
        for name, rule in reversed(rules.items()):
            for key, value in table.filter(~rule).select("key", name).iter_rows():
                wrong[str(key)] = f"{name}={_word(value)} does not go with what else it says"
    return wrong


def _evaluation(part: Any) -> dict[str, Any]:
    evaluation = part["evaluation"]
    return {
        "stretch": evaluation["stretch"],
        "evaluation_sequences": evaluation["sequences"],
        "evaluation_every": evaluation["every"],
        "evaluation_successive": evaluation["successive"],
        "evaluation_until": evaluation.get("until", BEFORE["evaluation_until"]),
        "lengths": evaluation.get("lengths"),
    }


def _model(part: Any) -> dict[str, Any]:
    columns = {name: part[name] for name in ("cell", "units", "readout")}
    return columns | {name: part.get(name, BEFORE[name]) for name in ("layers", "initial_carry")}


def _recipe(part: Any) -> dict[str, Any]:
    training = {name: part.get(name, BEFORE.get(name)) for name in TRAINING}
    return {"recipe": part["name"], "init": part["init"], **training}


def _start(part: Any) -> dict[str, Any]:
    if part is None:
        return dict.fromkeys(START)
    random = {"input_bias", "forget_bias"} if part["spread"] is not None else set()
    return {column: None if column in random else part[name] for column, name in START.items()}


def _task(part: Any) -> dict[str, Any]:
    knobs = dict(part["task"])
    fields = {"task": knobs.pop("name"), "lag": knobs.pop("lag"), "length": knobs.pop("length")}
    return fields | {"knobs": knobs, "threshold": part["threshold"]}


PARTS: dict[str, Callable[[Any], dict[str, Any]]] = {  # of a config, in its order: the columns that repeat it
    "evaluation": _evaluation,
    "model": _model,
    "recipe": _recipe,
    "start": _start,
    "task": _task,
}
COLUMNS = {
    "evaluation": (
        "stretch",
        "evaluation_sequences",
        "evaluation_every",
        "evaluation_successive",
        "evaluation_until",
        "lengths",
    ),
    "model": ("cell", "units", "readout", "layers", "initial_carry"),
    "recipe": ("recipe", "init", *TRAINING),
    "start": tuple(START),
    "task": ("task", "lag", "length", "knobs", "threshold"),
}


@lru_cache(maxsize=4096)
def _problem(part: str, text: str | None, *values: Any) -> str | None:
    """What is wrong with the values of a part's columns; None: nothing."""
    try:
        expected = PARTS[part](json.loads(text or ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return NO_CONFIG
    for column, value in zip(COLUMNS[part], values, strict=True):
        try:
            same = (json.loads(value) if column == "knobs" else value) == expected[column]
        except (ValueError, TypeError):
            same = False
        if not same:
            return f"{column}={_word(value)}, where its config has {_word(expected[column])}"
        if value is None and column not in OPTIONAL:
            return f"{column}=null: must have a value"
        least, most = RANGES.get(column, (None, None))
        if least is not None and not least <= value <= most:
            return f"{column}={value}: must be at least {least:,} and at most {most:,}"
    return None


def _word(value: Any) -> str:
    return str(value) if isinstance(value, (str, float)) else json.dumps(value, default=str)


@cache
def _rules() -> dict[str, pl.Expr]:
    """What must hold of each column that says what came of the training."""
    status, solved, steady, steps = (pl.col(name) for name in ("status", "solved", "steady", "steps"))
    to_solve, to_steady, accuracy = (
        pl.col("steps_to_solve"),
        pl.col("steps_to_steady"),
        pl.col("metric") == "accuracy",
    )

    def score(name: str, passed: pl.Expr) -> pl.Expr:
        """A score, or null; one that must meet the criterion where `passed` holds."""
        value, threshold = pl.col(name), pl.col("threshold")
        meets = pl.when(accuracy).then(value >= threshold).otherwise(value <= threshold)
        most = pl.when(accuracy).then(1.0).otherwise(float("inf"))
        possible = value.is_null() | (value.is_finite() & value.is_between(0, most))
        return possible & (~passed | meets.fill_null(False))

    def at_lengths(name: str, number: str) -> pl.Expr:
        """A JSON list with a number or null for each length; null where there are no lengths, or the member
        failed."""
        values, spaces = pl.col(name), pl.col("lengths").str.count_matches(" ")
        alike = values.str.contains(rf"^\[(?:{number}|null)(?:, (?:{number}|null))*\]$")
        there = alike & (values.str.count_matches(",") == spaces)
        absent = values.is_null() & (pl.col("lengths").is_null() | (status == "failed"))
        return absent | (there & pl.col("lengths").is_not_null())

    def seconds(name: str) -> pl.Expr:
        return pl.col(name).is_finite() & (pl.col(name) >= 0)

    rules = {
        "seed": (pl.col("config").str.extract(SEED).cast(pl.Int64, strict=False) == pl.col("seed"))
        & pl.col("seed").is_between(0, MOST),
        "status": status.is_in(STATUSES),
        # one that is solved trains on until it is steady, and may diverge by then
        "solved": (solved == (status == "solved")) | (status == "diverged"),
        "steady": ~steady | solved,
        "steps": steps.is_between(0, pl.col("budget")),
        "steps_to_solve": pl.when(solved).then(to_solve.is_between(1, steps)).otherwise(to_solve.is_null()),
        "steps_to_steady": pl.when(steady)
        .then(to_steady.is_between(to_solve, steps))
        .otherwise(to_steady.is_null()),
        "metric": pl.col("metric").is_in(METRICS),
        "best": score("best", solved),
        "final": score("final", pl.lit(value=False)),
        "stretched": score("stretched", steady),
        "score_at_lengths": pl.when(accuracy)
        .then(at_lengths("score_at_lengths", SHARE))
        .otherwise(at_lengths("score_at_lengths", NUMBER)),
        "whole_at_lengths": at_lengths("whole_at_lengths", SHARE),
        "train_loss": pl.col("train_loss").is_null() | pl.col("train_loss").is_finite(),
        "carry_numbers": pl.col("carry_numbers") >= 0,
        "parameters": pl.col("parameters") >= 1,
        "compile_seconds": seconds("compile_seconds"),
        "run_seconds": seconds("run_seconds"),
        "reason": (status == "failed") | pl.col("reason").is_null(),
        "population": pl.col("population").is_not_null(),
        "study": pl.col("study").is_not_null(),
        "finished": pl.col("finished").is_not_null(),
    }
    return {name: rule.fill_null(value=False) for name, rule in rules.items()}
