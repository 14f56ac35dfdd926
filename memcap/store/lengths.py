"""A net's scores at lags or lengths at which it was not trained
(`evaluation.lengths`)."""

import json
from functools import lru_cache

import polars as pl

from memcap import store
from memcap.rule import Criterion

TEXTS = ("score_at_lengths", "whole_at_lengths")  # JSON
SCORES = {
    "number": pl.Int64,  # the lag, or for a stream the length
    "score": pl.Float64,  # the metric there
    "whole": pl.Float64,  # the share of sequences without a wrong answer; null for values
    "chance": pl.Float64,  # the score of a net without memory there
    "scaled": pl.Float64,  # (score - chance) / (perfect - chance)
    "passes": pl.Boolean,  # whether the score meets the member's criterion
}


def over_lengths(rows: pl.DataFrame) -> pl.DataFrame:
    """Repeat each row for each of its lengths, with the columns of `SCORES`."""
    scored = rows.filter(pl.col("score_at_lengths").is_not_null())
    lines = []
    places = []
    for place, row in enumerate(scored.iter_rows(named=True)):
        criterion = Criterion(row["metric"], row["threshold"])
        perfect = float(criterion.higher_is_better)
        numbers = map(int, row["lengths"].split())
        scores, whole = (json.loads(row[text]) for text in TEXTS)
        for number, score, share in zip(numbers, scores, whole, strict=True):
            chance = _chance(row["task"], row["knobs"], row["lag"], number)
            scaled = None
            passes = False
            if score is not None:
                scaled = (score - chance) / (perfect - chance)
                passes = criterion.passes(score)
            lines.append((number, score, share, chance, scaled, passes))
            places.append(place)
    return scored[places].hstack(pl.DataFrame(lines, SCORES, orient="row"))


def first_failures(
    rows: pl.DataFrame, by: str = "score", least: float | None = None
) -> pl.DataFrame:
    """Return the rows with lengths, and `fails_at`: the first length at which `by`
    (`score`, `scaled` or `whole`) is below `least`, or the score fails the criterion;
    null if none."""
    lines = over_lengths(rows)
    fails = ~pl.col("passes")
    if least is not None:
        fails = (pl.col(by) < least).fill_null(value=True)
    fails_at = pl.col("number").filter(fails).min().alias("fails_at")
    first = lines.group_by("key").agg(fails_at)
    return rows.join(first, "key", maintain_order="left")


@lru_cache(maxsize=4096)
def _chance(name: str, knobs: str, lag: int, number: int) -> float:
    task = store.task_of(name, knobs)
    return task.facts(*task.at_number(lag, number)).chance
