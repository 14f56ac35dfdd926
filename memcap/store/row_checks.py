"""The rules that rows obey, so that a table made by hand is found out. Needs no JAX."""

import json
from collections.abc import Sequence
from dataclasses import MISSING
from functools import cache
from typing import Any

import polars as pl

from memcap.config.member import Config, member_of
from memcap.knobs import BOUNDS, MOST, UserError, allowed, key_of
from memcap.rule import SHORTER_LAGS
from memcap.runtime.plugins import is_import_path
from memcap.store.columns import DERIVED, SEED, RowColumn
from memcap.store.files import BadFileError

Complaints = dict[str, str]  # by key of a row
STATUSES = ("solved", "unsolved", "diverged", "failed")
METRICS = ("accuracy", "mse")
SHOWN = 3  # rows that a line names
NUMBER = r"\d+(?:\.\d+)?(?:e[-+]\d+)?"  # at least 0, as written in JSON
SHARE = r"(?:0\.\d+|1\.0|\d(?:\.\d+)?e-\d+)"  # from 0 to 1
SAME_WAY = ("loop", "memcap", "jaxlib", "backend", "device", "xla_flags")
NO_CONFIG = "its config is not a member's"


class BadRowsError(BadFileError):
    """Rows that do not belong to their members; `rows` has the fault of each, by
    key."""

    def __init__(self, rows: Complaints):
        self.rows = rows
        lines = [f"row {key}: {why}" for key, why in list(rows.items())[:SHOWN]]
        more = [f"and {len(rows) - SHOWN:,} rows more"] if len(rows) > SHOWN else []
        super().__init__("; ".join([*lines, *more]))


def check_rows(table: pl.DataFrame) -> None:
    """Check rows with all columns of `memcap.store.rows.SCHEMA`. Raise BadRowsError if
    a config is another's or out of range, or a result is impossible, or contradicts its
    member or another row of its key."""
    wrong = _against_rules(table) | _out_of_range(table) | _of_others(table)
    others = table.filter(~pl.col("key").is_in(list(wrong)))
    wrong |= _with_two_verdicts(others) | _against_members(others)
    if wrong:
        raise BadRowsError(wrong)


def wrong_copies(table: pl.DataFrame, completed: pl.DataFrame) -> Complaints:
    """Return the rows with a plain column that differs from `completed`."""
    wrong: Complaints = {}
    for name in (name for name in (*DERIVED, "seed") if name in table.columns):
        given = table[name].cast(completed[name].dtype)
        own = completed[name]
        for place in given.ne_missing(own).arg_true():
            why = f"{name}={_word(given[place])}, where its config has {_word(own[place])}"
            wrong.setdefault(str(completed["key"][place]), why)
    return wrong


def _of_others(table: pl.DataFrame) -> Complaints:
    pairs = table.select("key", "config").iter_rows()
    keys = [key for key, config in pairs if config is None or key != key_of(config)]
    return dict.fromkeys(map(str, keys), "damaged: it has the config of another")


def _against_members(table: pl.DataFrame) -> Complaints:
    """Return rows that contradict their members."""
    kinds = table.with_columns(kind=pl.col("config").str.replace(SEED, ""))
    kind = ["kind", "metric", "parameters", "carry_numbers"]
    wrong: Complaints = {}
    for (_, *results), rows in kinds.group_by(kind, maintain_order=True):
        if why := _contradiction(json.loads(rows["config"][0]), results):
            wrong |= dict.fromkeys(rows["key"], why)
    return wrong


def _contradiction(config: Config, results: Sequence[Any]) -> str | None:
    """Say what in a config, or in a row's metric, parameters and carry numbers, is
    wrong; None if it cannot be told here."""
    try:
        member = member_of(config)
    except UserError as error:
        own = is_import_path(config["task"]["name"] + config["model"]["cell"])
        return None if own or error.__cause__ else str(error)
    net = member.architecture
    right = {
        "threshold": (config["threshold"], member.config["threshold"]),
        "metric": (results[0], member.task.metric),
        "parameters": (results[1], net.parameters()),
        "carry_numbers": (results[2], net.carry_numbers()),
    }
    for name, (value, must) in right.items():
        if value != must:
            return f"{name}={_word(value)}, and its member has {_word(must)}"
    return None


def _with_two_verdicts(table: pl.DataFrame) -> Complaints:
    measured = table.filter(pl.col("status") != "failed")
    verdicts = measured.group_by("key", *SAME_WAY, maintain_order=True).agg(
        pl.struct("status", "solved", "steady", "up_to", "anywhere")
        .n_unique()
        .alias("verdicts")
    )
    keys = verdicts.filter(pl.col("verdicts") > 1)["key"]
    return dict.fromkeys(map(str, keys), "two rows of one training have two verdicts")


def _out_of_range(table: pl.DataFrame) -> Complaints:
    ranges = {name: _range(name, column) for name, column in DERIVED.items()}
    wrong = {}
    for key, (name, value) in _breaches(table, ranges).items():
        must = "have a value"
        if value is not None:
            must = f"be {allowed(DERIVED[name].limits) or 'a finite number'}"
        wrong[key] = f"{name}={_word(value)}: must {must}"
    empty = pl.all_horizontal(pl.col(name).is_null() for name in DERIVED)
    return wrong | dict.fromkeys(map(str, table.filter(empty)["key"]), NO_CONFIG)


def _against_rules(table: pl.DataFrame) -> Complaints:
    return {
        key: f"{name}={_word(value)} does not go with what else it says"
        for key, (name, value) in _breaches(table, _rules()).items()
    }


def _breaches(
    table: pl.DataFrame, rules: dict[str, pl.Expr]
) -> dict[str, tuple[str, Any]]:
    """Return the first rule that each row breaks, by key: the column, and its value."""
    breaches = {}
    if not table.select(pl.all_horizontal(rules.values()).all()).item():
        for name, rule in reversed(rules.items()):
            for key, value in table.filter(~rule).select("key", name).iter_rows():
                breaches[str(key)] = (name, value)
    return breaches


def _range(name: str, column: RowColumn) -> pl.Expr:
    value = pl.col(name)
    limits = column.limits
    rules = [
        holds(value, limits[word])
        for word, holds in BOUNDS.items()
        if limits.get(word) is not None
    ]
    if column.dtype == pl.Float64:
        rules.append(value.is_finite())
    may_be_null = limits.get("before", MISSING) is None
    fits = pl.all_horizontal(pl.lit(value=True), *rules)
    return pl.when(value.is_null()).then(may_be_null).otherwise(fits)


def _word(value: Any) -> str:
    return (
        str(value)
        if isinstance(value, (str, float))
        else json.dumps(value, default=str)
    )


SECONDS = ("compile_seconds", "run_seconds")


def _steps_to(verdict: str) -> pl.Expr:
    """Return the rule of the steps to a verdict stricter than solved."""
    taken = pl.col(f"steps_to_{verdict}")
    return (
        pl.when(verdict)
        .then(taken.is_between("steps_to_solve", "steps"))
        .otherwise(taken.is_null())
    )


def _rules_of_every_lag() -> dict[str, pl.Expr]:
    rules = {}
    for verdict in SHORTER_LAGS:
        was_asked = pl.col("evaluation_until") == verdict
        rules[verdict] = ~pl.col(verdict) | (pl.col("solved") & was_asked)
        rules[f"steps_to_{verdict}"] = _steps_to(verdict)
    return rules


@cache
def _rules() -> dict[str, pl.Expr]:
    status, solved, steady, steps = (
        pl.col(name) for name in ("status", "solved", "steady", "steps")
    )
    to_solve = pl.col("steps_to_solve")
    accuracy = pl.col("metric") == "accuracy"
    anywhere = pl.col("anywhere")
    worst_lag = pl.col("worst_lag")

    def score(name: str, passed: pl.Expr) -> pl.Expr:
        """Return the rule of a score: null, or meeting the criterion where `passed`
        holds."""
        value = pl.col(name)
        threshold = pl.col("threshold")
        meets = pl.when(accuracy).then(value >= threshold).otherwise(value <= threshold)
        most = pl.when(accuracy).then(1.0).otherwise(float("inf"))
        possible = value.is_null() | (value.is_finite() & value.is_between(0, most))
        return possible & (~passed | meets.fill_null(False))

    def at_lengths(name: str, number: str) -> pl.Expr:
        """Return the rule of a JSON list with a number or null per length."""
        values = pl.col(name)
        spaces = pl.col("lengths").str.count_matches(" ")
        alike = values.str.contains(rf"^\[(?:{number}|null)(?:, (?:{number}|null))*\]$")
        there = alike & (values.str.count_matches(",") == spaces)
        absent = values.is_null() & (pl.col("lengths").is_null() | (status == "failed"))
        return absent | (there & pl.col("lengths").is_not_null())

    rules = {
        "seed": pl.col("seed").is_between(0, MOST),
        "status": status.is_in(STATUSES),
        # a solved member trains on until it is steady, and may diverge before that
        "solved": (solved == (status == "solved")) | (status == "diverged"),
        "steady": ~steady | solved,
        "steps": steps.is_between(0, pl.col("budget")),
        "steps_to_solve": (
            pl.when(solved)
            .then(to_solve.is_between(1, steps))
            .otherwise(to_solve.is_null())
        ),
        "steps_to_steady": _steps_to("steady"),
        **_rules_of_every_lag(),
        "metric": pl.col("metric").is_in(METRICS),
        "best": score("best", solved),
        "final": score("final", pl.lit(value=False)),
        "stretched": score("stretched", steady),
        "mean_up_to": score("mean_up_to", pl.col("up_to") | anywhere),
        "worst_up_to": score("worst_up_to", anywhere),
        "exact_lags": pl.col("exact_lags").is_not_null() == anywhere,
        "worst_lag": worst_lag.is_null() | worst_lag.is_between(1, pl.col("lag")),
        "score_at_lengths": (
            pl.when(accuracy)
            .then(at_lengths("score_at_lengths", SHARE))
            .otherwise(at_lengths("score_at_lengths", NUMBER))
        ),
        "whole_at_lengths": at_lengths("whole_at_lengths", SHARE),
        "train_loss": pl.col("train_loss").is_null() | pl.col("train_loss").is_finite(),
        # names appear in answers, in commands and in the scripts of `memcap answer --code`
        "recipe": ~pl.col("recipe").str.contains(r'["\\\p{C}]'),
        "carry_numbers": pl.col("carry_numbers") >= 0,
        "parameters": pl.col("parameters") >= 1,
        "reason": (status == "failed") | pl.col("reason").is_null(),
    }
    rules |= {name: pl.col(name).is_finite() & (pl.col(name) >= 0) for name in SECONDS}
    rules |= {name: pl.col(name).is_not_null() for name in ("study", "finished")}
    # a file's name, no path
    rules["population"] = ~pl.col("population").str.contains(r"[/\\\p{C}]")
    return {name: rule.fill_null(value=False) for name, rule in rules.items()}
