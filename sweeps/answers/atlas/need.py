"""Predicts widths from sequences alone, without training, and compares them with those of
the atlas.

python sweeps/answers/atlas/need.py
    every LSTM line of the atlas; prints all marks, and writes need.csv

10,000 sequences of each task and lag are drawn. A linear map from all inputs so far to
each answer is fitted on one half and judged on the other: where it leaves more than a
tenth of what a constant gets wrong, what must be held is unknown. Else the state holds,
at the worst moment, what the answers to come take from the inputs gone by: the rank of
that part of the map counts it (of classes in bits, of values in numbers), and the
number of different pasts bounds it, where these are few. A width is that amount times
the median units per bit, or per number, of all other tasks: within 1.5 times u90, off,
or wrong, 1.5 times outside its interval.
"""

import math
from bisect import bisect_left
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path

import jax
import numpy as np
import polars as pl
from scipy.linalg import solve_triangular

from memcap import store
from memcap.frontiers.frontier import frontier
from memcap.store.shards import ATLAS, rows_files
from memcap.tasks import Batch, Task
from memcap.tasks.chance import sequences

OUT = Path(__file__).with_name("need.csv")
DRAWN = 10_000
SEED = 0
FEATURES = (
    1000  # of a sequence; where it has more, those that correlate most with an answer
)
RIDGE = 1e-3
UNEXPLAINED = 0.1  # of a constant's errors, above which nothing is said
LEFT_OUT = 0.05  # of what the past explains of the future, that the rank may miss
MOMENTS = (
    4  # at which the state is looked at, beside the one that most of the map crosses
)
FEW = 10  # sequences per past, at least, where pasts are counted
FACTOR = 1.5


@dataclass(frozen=True)
class Estimate:
    """An estimate, from sequences alone, of the state that they need.

    Args:
        explained: share of a constant's errors that a linear map of all inputs so far avoids.
        reach: steps back that it takes, all but `LEFT_OUT`.
        rank: of the map from past to future at the worst moment.
        amount: bits, or numbers where `values`, to hold there.
        values: whether the answers are values.
    """

    explained: float
    reach: int | None
    rank: int | None
    amount: float | None
    values: bool


def features_of(inputs: np.ndarray, symbols: int | None) -> np.ndarray:
    """Return (N, T, P): symbols one-hot, or numbers and, where they are few, their
    products in a step."""
    if symbols is not None:
        return np.eye(symbols, dtype=np.float32)[inputs][..., 1:]
    if inputs.shape[2] > 4:
        return inputs
    first, second = np.triu_indices(inputs.shape[2])
    return np.concatenate([inputs, inputs[..., first] * inputs[..., second]], -1)


class LinearMap:
    """The least-squares maps from all inputs so far to each answer, fitted on the first
    half of N sequences.

    Args:
        x: features (N, T, P).
        y: answers (N, T, O), classes one-hot.
        due: where answers count (N, T).
    """

    def __init__(self, x: np.ndarray, y: np.ndarray, due: np.ndarray) -> None:
        self.half = len(x) // 2
        self.steps = np.flatnonzero(due[: self.half].mean(0) > 0.01)
        self.due = due[:, self.steps]
        weight = self.due[: self.half, :, None]
        self.means = (y[: self.half, self.steps] * weight).sum(0) / weight.sum(0)
        # where none is due the mean stands, which no input explains
        self.y = np.where(self.due[..., None], y[:, self.steps] - self.means, 0)
        self.at = np.repeat(
            np.arange(x.shape[1]), x.shape[2]
        )  # the step of each feature
        flat = x.reshape(len(x), -1)
        flat = flat - flat[: self.half].mean(0)
        spread = flat[: self.half].std(0)
        keep = spread > 1e-6
        if keep.sum() > FEATURES:
            fit = flat[: self.half] / np.maximum(spread, 1e-6)
            related = (
                np.abs(fit.T @ self.y[: self.half].reshape(self.half, -1)).max(1) * keep
            )
            keep &= related >= np.sort(related)[-FEATURES]
        self.x = (flat / np.maximum(spread, 1e-6))[:, keep]
        self.at = self.at[keep]
        fit = self.x[: self.half].astype(np.float64)
        factor = np.linalg.cholesky(
            fit.T @ fit + RIDGE * self.half * np.eye(fit.shape[1])
        )
        # One column of weights per answer and output; zero for inputs that come later.
        # A leading block of the factor is the factor of that block.
        self.weights = np.zeros((fit.shape[1], *self.y.shape[1:]), np.float32)
        both = fit.T @ self.y[: self.half].reshape(self.half, -1)
        half_solved = solve_triangular(factor, both, lower=True).reshape(
            self.weights.shape
        )
        for place, step in enumerate(self.steps):
            n = int(np.searchsorted(self.at, step, "right"))
            self.weights[:n, place] = solve_triangular(
                factor[:n, :n].T, half_solved[:n, place], lower=False
            )

    def guesses(
        self, first: int = 0, last: int | None = None, half: int = 1
    ) -> np.ndarray:
        """Return the part of the guesses (N / 2, answers, O) that inputs of steps
        `first` to `last` make."""
        rows = slice(self.half, None) if half else slice(0, self.half)
        some = slice(
            *np.searchsorted(self.at, [first, math.inf if last is None else last + 1])
        )
        return np.tensordot(self.x[rows, some], self.weights[some], 1)

    def errors(self, guesses: np.ndarray, values: bool) -> float:
        """Return the error on the second half: squared, or the share of wrong classes."""
        due = self.due[self.half :]
        y = self.y[self.half :]
        if values:
            return float(((guesses - y) ** 2)[due].mean())
        right = (guesses + self.means).argmax(-1) == (y + self.means).argmax(-1)
        return float(1 - right[due].mean())

    @property
    def moments(self) -> list[int]:
        """The moments at which the state is looked at."""
        crossing = np.zeros(self.at.max(initial=0) + 2)
        for step, mass in zip(self.steps, (self.weights**2).sum(2).T, strict=True):
            # of inputs up to each moment before this answer
            crossing[:step] += np.cumsum(
                np.bincount(self.at, mass, len(crossing))[:step]
            )
        even = np.linspace(0, self.steps[-1] - 1, MOMENTS).astype(int)
        return sorted({int(crossing.argmax()), *map(int, even)})

    def rank_at(self, moment: int) -> int:
        """Return the rank of the map from the inputs up to a moment to the answers
        after it: the fewest directions that do, on the second half, all but `LEFT_OUT`
        of what all do (Larimore, 1983).
        """
        after = self.steps > moment
        flat = len(self.x) - self.half, -1
        past_fit = self.guesses(0, moment, half=0)[:, after].reshape(self.half, -1)
        directions = np.linalg.eigh(past_fit.T @ past_fit)[1][:, ::-1]
        past = self.guesses(0, moment)[:, after].reshape(flat) @ directions
        rest = (self.y[self.half :] - self.guesses(moment + 1))[:, after].reshape(
            flat
        ) @ directions
        gains = np.cumsum((2 * rest * past - past**2).mean(0))
        if gains.max() <= 0.01 * (rest**2).mean(0).sum():
            return 0
        return int(np.argmax(gains >= (1 - LEFT_OUT) * gains.max())) + 1


def estimate(
    inputs: np.ndarray,
    targets: np.ndarray,
    due: np.ndarray,
    symbols: int | None,
    classes: int | None,
) -> Estimate:
    """Return what N sequences say of the state that they need.

    Args:
        inputs: (N, T) symbols, or (N, T, F) numbers.
        targets: (N, T) classes or values, or (N, T, O) values.
        due: (N, T), where an answer is due.
        symbols, classes: how many; None: numbers, values.
    """
    y = (
        np.eye(classes, dtype=np.float32)[targets]
        if classes
        else targets.reshape(*due.shape, -1)
    )
    maps = LinearMap(features_of(inputs, symbols), y.astype(np.float32), due)
    values = classes is None
    constant = maps.errors(np.zeros_like(maps.y[maps.half :]), values)
    error = maps.errors(maps.guesses(), values)
    explained = (
        1 - error / constant if constant > 1e-9 else 1.0
    )  # the time alone tells it
    if explained < 1 - UNEXPLAINED:
        return Estimate(explained, None, None, None, values)
    most = error + LEFT_OUT * constant
    last = int(maps.steps[-1])
    reach = bisect_left(
        range(last), True, key=lambda back: _error_without(maps, back, values) <= most
    )
    best = 0.0
    rank = 0
    mixed = np.random.default_rng(SEED).normal(
        size=inputs.shape[1]
    )  # tells symbols' pasts apart
    for moment in maps.moments:
        now = maps.rank_at(moment)
        amount = float(now) if values else now * _bits_per_direction(targets[due])
        if symbols is not None and not values:
            pasts = len(np.unique(inputs[:, : moment + 1] @ mixed[: moment + 1]))
            amount = (
                min(amount, math.log2(pasts)) if pasts * FEW <= len(inputs) else amount
            )
        best, rank = max((best, rank), (amount, now))
    return Estimate(explained, reach, rank, best, values)


def _error_without(maps: LinearMap, back: int, values: bool) -> float:
    """Return the error without the inputs of more than `back` steps before each answer."""
    seen = np.where(maps.at[:, None] >= maps.steps - back, 1, 0)[..., None]
    return maps.errors(
        np.tensordot(maps.x[maps.half :], maps.weights * seen, 1), values
    )


def _bits_per_direction(answers: np.ndarray) -> float:
    """Return the entropy of the classes over the directions that they span one-hot."""
    shares = np.unique(answers, return_counts=True)[1] / answers.size
    return float(-(shares * np.log2(shares)).sum() / max(1, len(shares) - 1))


@cache
def _sampler(task: Task, steps: int) -> Callable[..., Batch]:
    return jax.jit(
        partial(task.sample, steps=steps, batch=DRAWN)
    )  # few buffers, so that few are compiled


@cache
def of_task(task: Task, lag: int, length: int) -> Estimate:
    """Return the estimate of sequences that a task draws."""
    batch = _sampler(task, 1 << (length - 1).bit_length())(
        jax.random.key(SEED), lag, length
    )
    inputs, targets, due = sequences(task, batch, length)
    return estimate(
        inputs,
        targets,
        due,
        task.vocabulary,
        task.outputs if task.loss == "classes" else None,
    )


def units_per_amount(marks: pl.DataFrame) -> float | None:
    """Return the median over lines of their median units per bit, or number, where it
    takes more than one."""
    some = marks.filter(
        pl.col("amount") > 0, pl.col("u90") > 1, pl.col("high").is_finite()
    )
    ratios = some.group_by("line").agg(
        ratio=(pl.col("u90") / pl.col("amount")).median()
    )
    return None if ratios.is_empty() else float(np.median(ratios["ratio"]))


def predict(marks: pl.DataFrame) -> pl.DataFrame:
    """Add to each mark the width by its estimate and by the marks of all other tasks,
    and the verdict."""
    widths: list[float | None] = []
    for mark in marks.iter_rows(named=True):
        slope = units_per_amount(
            marks.filter(pl.col("task") != mark["task"], values=mark["values"])
        )
        known = mark["amount"] is not None and slope is not None
        widths.append(max(1.0, slope * mark["amount"]) if known else None)
    marks = marks.with_columns(width=pl.Series(widths, dtype=pl.Float64))
    width = pl.col("width")
    u90 = pl.col("u90")
    cases = {
        "unknown": width.is_null(),
        "within": pl.max_horizontal(width / u90, u90 / width) <= FACTOR,
        "off": pl.max_horizontal(width / pl.col("high"), pl.col("low") / width)
        <= FACTOR,
    }
    verdicts = [pl.when(case).then(pl.lit(verdict)) for verdict, case in cases.items()]
    return marks.with_columns(verdict=pl.coalesce(*verdicts, pl.lit("wrong")))


def main() -> None:
    """Estimate, compare, print, and write the table."""
    rows = pl.concat([store.read(file) for file in rows_files(ATLAS)])
    marks = []
    for point in frontier(rows, at="trained"):
        if point.model.cell == "lstm" and point.trains:
            mark = {"task": point.task.name, "line": point.label, "lag": point.lag}
            mark |= asdict(of_task(point.task, point.lag, point.length))
            u90 = point.fit.u90
            marks.append(
                mark | {"u90": u90.units, "low": max(1.0, u90.low), "high": u90.high}
            )
    table = predict(pl.DataFrame(marks, infer_schema_length=None))
    with pl.Config(
        tbl_rows=-1,
        tbl_cols=-1,
        tbl_width_chars=200,
        fmt_str_lengths=50,
        float_precision=2,
    ):
        print(table, table["verdict"].value_counts(sort=True))
    table.write_csv(OUT, float_precision=4)


if __name__ == "__main__":
    main()
