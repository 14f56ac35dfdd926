"""Tests of verdicts, which judge claims again on outcomes that are shuffled, or drawn
anew over the seeds.

A shuffle permutes outcomes among nets that are equal in everything that the claim does
not compare (`Claim.within`). If what it compares did not matter, the claim would hold
as often. A bootstrap gives each net an outcome drawn with replacement from its own
condition, as if other seeds had been trained.
"""

from collections.abc import Sequence

import numpy as np
import polars as pl

from memcap.findings import Claim, Paper
from memcap.findings.claims import knob
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


def groups(rows: pl.DataFrame, within: Sequence[str]) -> list[np.ndarray]:
    """Return groups of row numbers: rows are equal in these columns, or knobs of their
    task, and in the metric."""
    keys = [
        pl.col(name) if name in SCHEMA else knob(name) for name in ("metric", *within)
    ]
    numbered = rows.select(*keys).with_row_index("place")
    return [
        own["place"].to_numpy()
        for own in numbered.partition_by("metric", *within, maintain_order=True)
    ]


def shuffle(
    rows: pl.DataFrame, alike: Sequence[np.ndarray], rng: np.random.Generator
) -> pl.DataFrame:
    """Give each row the outcome of another of its group, each outcome to one row."""
    return _reorder(rows, [(own, rng.permutation(own)) for own in alike])


def draw_seeds(
    rows: pl.DataFrame, alike: Sequence[np.ndarray], rng: np.random.Generator
) -> pl.DataFrame:
    """Give each row an outcome of its group, drawn with replacement."""
    return _reorder(rows, [(own, rng.choice(own, len(own))) for own in alike])


def resample(paper: Paper, rows: pl.DataFrame, number: int = NUMBER) -> pl.DataFrame:
    """Judge each claim on so many shuffles of the outcomes, and bootstraps over the seeds.

    Returns:
        A line per claim: `within`; the share of shuffles in which it holds, null if it
            does not hold in the
        rows; and the share of bootstraps that give the rows' verdict.
    """
    findings = paper.findings(rows)
    conditions = [name for name in DERIVED if name in rows.columns]
    seeds = groups(rows, conditions)
    rng = np.random.default_rng(0)
    stands = [0] * len(findings)
    for _ in range(number):
        again = paper.findings(draw_seeds(rows, seeds, rng))
        stands = [
            n + (a.holds is b.holds)
            for n, a, b in zip(stands, again, findings, strict=True)
        ]
    lines = []
    for claim, found, same in zip(paper.claims, findings, stands, strict=True):
        by_chance = _by_chance(paper, claim, rows, number) if found.holds else None
        within = ", ".join(claim.within)
        lines.append(
            (claim.text, claim.whose, found.verdict, within, by_chance, same / number)
        )
    names = "claim", "whose", "verdict", "within", "shuffled", "bootstrapped"
    kinds = dict.fromkeys(names, pl.String) | dict.fromkeys(names[-2:], pl.Float64)
    return pl.DataFrame(lines, kinds, orient="row")


def _by_chance(paper: Paper, claim: Claim, rows: pl.DataFrame, number: int) -> float:
    alike = groups(rows, claim.within)
    rng = np.random.default_rng(0)
    holds = (
        claim.judge(paper.table(shuffle(rows, alike, rng))).holds for _ in range(number)
    )
    return sum(each is True for each in holds) / number


def _reorder(
    rows: pl.DataFrame, places: Sequence[tuple[np.ndarray, np.ndarray]]
) -> pl.DataFrame:
    order = np.arange(rows.height)
    for own, new in places:
        order[own] = new
    return rows.with_columns(rows.select(OUTCOMES)[order])
