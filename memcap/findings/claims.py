"""Helpers that judge a claim by the numbers of our nets, as a `Finding`: `each` tests
groups of nets, `compare` pairs of groups. Without nets a claim is not measured."""

import json
import math
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from string import Formatter
from typing import Any

import numpy as np
import polars as pl
from scipy import stats

from memcap.findings import NOT_MEASURED, Finding
from memcap.store.rows import SCHEMA

LEVEL = 0.05  # of the rank test

Test = Callable[[Sequence[float]], bool]


class Numbers(tuple[float, ...]):
    """Numbers of a group of nets, with statistics for templates: "{nets.least:.2f}".

    "{nets:g}" lists all numbers, an infinite one as "none".
    """

    least = property(min)
    most = property(max)
    median = property(statistics.median)
    mean = property(statistics.fmean)
    total = property(sum)
    number = property(len)

    def __format__(self, form: str) -> str:
        return ", ".join(
            "none" if math.isinf(each) else format(each, form) for each in self
        )


def knob(name: str, kind: Any = pl.String) -> pl.Expr:
    """Return a column of a knob of each row's task; null if the task lacks it."""
    return pl.col("knobs").str.json_path_match(f"$.{name}").cast(kind).alias(name)


def having(**values: Any) -> pl.Expr:
    """Return a mask of the rows whose columns, or knobs of their task, match: a value,
    a collection of allowed values, or None for null."""
    return pl.all_horizontal(_has(name, value) for name, value in values.items())


def first_of(column: str, **conditions: pl.Expr | bool) -> pl.Expr:
    """Return a column with the name of the first condition that a row meets, else
    null."""
    names = [
        pl.when(condition).then(pl.lit(name)) for name, condition in conditions.items()
    ]
    return pl.coalesce(*names).alias(column)


def over_seeds(score: str) -> list[pl.Expr]:
    """Return aggregates of the seeds' final scores: `least`, `greatest`, `seeds`, and
    the median as `score`."""
    final = pl.col("final")
    extremes = final.min().alias("least"), final.max().alias("greatest")
    return [final.median().alias(score), *extremes, pl.len().alias("seeds")]


def group(data: pl.DataFrame, column: str, name: str) -> dict[str, list[float]]:
    """Group a column's values by the fields of `name`, a template: "lag {lag}, {units}
    units"."""
    by = [field for _, field, _, _ in Formatter().parse(name) if field]
    parts = data.group_by(by, maintain_order=True)
    return {
        name.format(**dict(zip(by, key, strict=True))): nets[column].to_list()
        for key, nets in parts
    }


def pick(
    data: pl.DataFrame, column: str, key: str, names: Iterable[Any]
) -> dict[str, list[float]]:
    """Return the values of `column` where `key` has each of `names`, by that value, or
    by its name if `names` is a mapping; an empty list if no net has it."""
    words = names if isinstance(names, Mapping) else {value: value for value in names}
    return {
        name: data.filter(pl.col(key) == value)[column].to_list()
        for value, name in words.items()
    }


def each(
    groups: Mapping[Any, Any],
    words: str,
    holds: Test,
    *,
    start: str = "",
    join: str = "; ",
) -> Finding:
    """Test each group of nets; the claim holds where all pass.

    Args:
        groups: the numbers of each group, or its only number, by name.
        words: a template for a group, with `name` and `nets`, a `Numbers`.
        holds: the test of a group.
        start: the beginning of the finding's words.
        join: the words between two groups.
    """
    numbers = {name: _numbers(values, alone=True) for name, values in groups.items()}
    if not numbers or not all(numbers.values()):
        return NOT_MEASURED
    text = join.join(
        words.format(name=name, nets=values) for name, values in numbers.items()
    )
    return Finding(
        start + text, all(bool(holds(values)) for values in numbers.values())
    )


def compare(
    pairs: Mapping[Any, Sequence[Any]],
    words: str,
    holds: Callable[[Any, Any], bool],
    *,
    start: str = "",
    join: str = "; ",
) -> Finding:
    """Test each pair of groups of nets; the claim holds where all pass.

    Args:
        pairs: two groups of numbers, or two numbers, by name; None for a missing one.
        words: a template for a pair, with `name`, `a` and `b`.
        holds: the test of a pair.
        start, join: as in `each`.
    """
    if not pairs or any(_is_missing(side) for pair in pairs.values() for side in pair):
        return NOT_MEASURED
    both = {name: (_numbers(a), _numbers(b)) for name, (a, b) in pairs.items()}
    text = join.join(words.format(name=name, a=a, b=b) for name, (a, b) in both.items())
    return Finding(start + text, all(bool(holds(a, b)) for a, b in both.values()))


def all_of(*findings: Finding, join: str = "; ") -> Finding:
    """Join findings that must all hold; not measured if one of them is not."""
    if any(finding.holds is None for finding in findings):
        return NOT_MEASURED
    return Finding(join.join(f.ours for f in findings), all(f.holds for f in findings))


def at_least(limit: float) -> Test:
    return lambda numbers: min(numbers) >= limit


def at_most(limit: float) -> Test:
    return lambda numbers: max(numbers) <= limit


def below(limit: float) -> Test:
    return lambda numbers: max(numbers) < limit


def within(least: float, most: float) -> Test:
    return lambda numbers: least <= min(numbers) and max(numbers) <= most


def is_lower(high: Sequence[float], low: Sequence[float]) -> bool:
    """Test by ranks (Mann and Whitney, one-sided, at 0.05) that the second group's
    numbers are the lower ones."""
    return bool(stats.mannwhitneyu(low, high, alternative="less").pvalue <= LEVEL)


def share_of(least: float, holds: Callable[[float], bool] = bool) -> Test:
    """Return a test that `holds` is true for at least this share of the numbers."""
    return lambda numbers: statistics.fmean(map(bool, map(holds, numbers))) >= least


def least_widths(
    data: pl.DataFrame, by: str | Sequence[str], enough: pl.Expr, width: str = "units"
) -> dict[Any, float]:
    """Map each group to its least width at which `enough` is true, else infinity;
    groups are tuples if `by` has several columns."""
    least = pl.col(width).filter(enough).min().alias("_least")
    table = data.group_by(by, maintain_order=True).agg(least)
    keys = table[by].to_list() if isinstance(by, str) else table.select(by).rows()
    widths = (math.inf if value is None else value for value in table["_least"])
    return dict(zip(keys, widths, strict=True))


def rank_correlation(x: Iterable[float], y: Iterable[float]) -> float:
    """Return Spearman's rank correlation, rounded so that 0.5 is exact."""
    return round(float(stats.spearmanr(np.asarray(x), np.asarray(y)).statistic), 12)


def _has(name: str, value: Any) -> pl.Expr:
    column = pl.col(name) if name in SCHEMA else knob(name)
    if value is None:
        return column.is_null()
    values = [value] if isinstance(value, str | int | float) else [*value]
    if name not in SCHEMA:  # knobs are text
        values = [
            each if isinstance(each, str) else json.dumps(each) for each in values
        ]
    return column.is_in(values)


def _is_missing(side: Any) -> bool:
    return side is None or (
        isinstance(side, list | tuple | pl.Series) and len(side) == 0
    )


def _numbers(side: Any, *, alone: bool = False) -> Any:
    """Return the numbers of a group; a single number as it is, or, if `alone`, as a
    group."""
    if isinstance(side, list | tuple | pl.Series):
        return Numbers(side)
    return Numbers([side]) if alone else side
