"""Tests of verdicts, by claims judged again on outcomes that are shuffled, or drawn
anew.

A shuffle permutes outcomes among nets that are equal in all that the claim does not
compare (`Claim.within`). A bootstrap draws each net's outcome from its own condition,
as if other seeds had been trained; for a claim of no effect, from rows with the effect.
"""

import statistics
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import polars as pl

from memcap.findings import Claim, Paper
from memcap.findings.claims import having, knob
from memcap.store.columns import DERIVED
from memcap.store.rows import SCHEMA

OUTCOMES = ["status", "solved", "steady", "steps", "steps_to_solve", "steps_to_steady"]
OUTCOMES += [
    "final",
    "best",
    "stretched",
    "train_loss",
    "score_at_lengths",
    "whole_at_lengths",
]
NUMBER = 400  # of shuffles, and of bootstraps
BY_CHANCE = 0.05  # share of shuffles in which a claim that counts may hold
COLUMNS = {
    "claim": pl.String,
    "whose": pl.String,
    "verdict": pl.String,
    "within": pl.String,
    "shuffled": pl.Float64,
    "bootstrapped": pl.Float64,
    "effect": pl.String,
    "seen": pl.Float64,
}

Groups = Sequence[np.ndarray]
Draw = Callable[[pl.DataFrame, Groups, np.random.Generator], pl.DataFrame]


def groups(rows: pl.DataFrame, within: Sequence[str]) -> list[np.ndarray]:
    """Return groups of row numbers that are equal in the metric and in these columns,
    or knobs of their task."""
    keys = [
        pl.col(name) if name in SCHEMA else knob(name) for name in ("metric", *within)
    ]
    numbered = rows.select(*keys).with_row_index("place")
    return [
        own["place"].to_numpy()
        for own in numbered.partition_by("metric", *within, maintain_order=True)
    ]


def shuffle(
    rows: pl.DataFrame, alike: Groups, rng: np.random.Generator
) -> pl.DataFrame:
    """Give each row the outcome of another of its group, each outcome to one row."""
    return _reorder(rows, [(own, rng.permutation(own)) for own in alike])


def draw_seeds(
    rows: pl.DataFrame, alike: Groups, rng: np.random.Generator
) -> pl.DataFrame:
    """Give each row an outcome of its group, drawn with replacement."""
    return _reorder(rows, [(own, rng.choice(own, len(own))) for own in alike])


def give_narrower(rows: pl.DataFrame, steps: int = 1, **where: Any) -> pl.DataFrame:
    """Give nets the outcomes of narrower ones, as if the task asked for more units
    there.

    Args:
        rows: rows of a study.
        steps: how many of the widths tried narrower; the narrowest at most.
        where: which nets, as in `having`.
    """
    own = rows.with_row_index("place").filter(having(**where))
    widths = own["units"].unique().sort().to_list()
    places = {width: own.filter(units=width)["place"].to_numpy() for width in widths}
    pairs = zip(widths, widths[:1] * steps + widths, strict=False)
    new = [
        (places[wide], np.resize(places[narrow], len(places[wide])))
        for wide, narrow in pairs
    ]
    return _reorder(rows, new)


def resample(paper: Paper, rows: pl.DataFrame, number: int = NUMBER) -> pl.DataFrame:
    """Judge each claim on shuffles of the outcomes, and bootstraps over the seeds.

    Returns:
        A line per claim, with the shares of shuffles in which it holds (null if it does
            not hold in the rows), of bootstraps that give the rows' verdict, and of
            bootstraps with the effect that deny a claim of no effect.
    """
    conditions = [name for name in DERIVED if name in rows.columns]
    seeds = groups(rows, conditions)
    findings = paper.findings(rows)
    stands = [0] * len(findings)
    for drawn in _draws(draw_seeds, rows, seeds, number):
        again = paper.findings(drawn)
        stands = [
            n + (a.holds is b.holds)
            for n, a, b in zip(stands, again, findings, strict=True)
        ]
    lines = []
    for claim, found, same in zip(paper.claims, findings, stands, strict=True):
        by_chance = seen = None
        effect = claim.denies
        if found.holds:
            by_chance = _holds(paper, claim, rows, claim.within, number)
        if found.holds and effect:
            draws = _draws(draw_seeds, effect.put(rows), seeds, number)
            seen = _verdicts(paper, claim, draws).count(False) / number
        line = claim.text, claim.whose, found.verdict, ", ".join(claim.within)
        shares = by_chance, same / number
        lines.append((*line, *shares, effect and effect.size, seen))
    return pl.DataFrame(lines, COLUMNS, orient="row")


def find_chance(table: pl.DataFrame) -> pl.Series:
    """Return the claims that hold by chance, or for want of power."""
    blind = pl.col("seen").fill_null(0) < 1 - BY_CHANCE
    return table.filter(pl.col("shuffled") > BY_CHANCE, blind)["claim"]


def _draws(
    draw: Draw, rows: pl.DataFrame, alike: Groups, number: int
) -> Iterator[pl.DataFrame]:
    rng = np.random.default_rng(0)
    return (draw(rows, alike, rng) for _ in range(number))


def _verdicts(
    paper: Paper, claim: Claim, draws: Iterable[pl.DataFrame]
) -> list[bool | None]:
    return [claim.judge(paper.table(rows)).holds for rows in draws]


def _holds(
    paper: Paper, claim: Claim, rows: pl.DataFrame, within: Sequence[str], number: int
) -> float:
    """Return the share of shuffles in which a claim holds, of those that it can judge;
    1 if none."""
    draws = _draws(shuffle, rows, groups(rows, within), number)
    measured = [holds for holds in _verdicts(paper, claim, draws) if holds is not None]
    return statistics.fmean(measured) if measured else 1.0


def _reorder(
    rows: pl.DataFrame, places: Sequence[tuple[np.ndarray, np.ndarray]]
) -> pl.DataFrame:
    order = np.arange(rows.height)
    for own, new in places:
        order[own] = new
    return rows.with_columns(rows.select(OUTCOMES)[order])
