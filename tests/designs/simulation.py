"""A simulation of designs: what they cost to an interval of u90, and whether it holds
the truth; nothing is trained. `python -m tests.designs.simulation` writes
docs/designs.json in minutes, for docs/decides.md.

Each line of lags is one of the published atlas. `simulated`: curves fitted to its rows,
shifted together by 10 % and lag by lag by 5 % (standard deviations), their steepness by
30 %, a lapse to 0.1, and seeds of one width that are alike (intraclass correlation 0.1).
`replayed`: each seed of a width passes as often as its published seeds did, between
widths by straight lines in log2 units; the truth is the estimate from all rows. A
member that fails takes its whole budget; one that passes, as much as one of the lag's
published rows.
"""

import json
import zlib
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.designs.adaptive import PRECISION, Adaptive
from memcap.designs.bisect import Bisect
from memcap.designs.design import Outcome
from memcap.models.model import Model
from memcap.store.shards import ATLAS, rows_file
from memcap.tasks import task_class
from memcap.thresholds.curve import Counts, Floats, logistic, logit
from memcap.thresholds.lags import believe

ENDS = np.array([0.025, 0.5, 0.975])
# of log2 u50, of all lags and of each
SHIFT = np.log2(1.1)
SCATTER = np.log2(1.05)
STEEPNESS = 0.3  # of log slope
MOST_LAPSE = 0.1
CORRELATION = 0.1
ROUNDING = 0.01  # the model's grid of widths is as coarse


@dataclass(frozen=True)
class Line:
    """Lags of the atlas that have task, cell and recipe in common.

    Args:
        title: for the table.
        task, knobs, cell, recipe: which rows.
        widths: 1 to this may be trained.
    """

    title: str
    task: str
    knobs: tuple[tuple[str, int], ...]
    cell: str
    recipe: str
    widths: int


LINES = (
    Line("delay line", "delay_line", (("symbols", 2),), "lstm", "curriculum", 64),
    Line(
        "delay line, GRU", "delay_line", (("symbols", 2),), "GRUCell", "curriculum", 64
    ),
    Line("copy of 8", "copy", (("items", 8),), "lstm", "curriculum_chrono", 64),
    Line("latch", "latch", (("symbols", 2), ("distractors", 4)), "lstm", "hold", 32),
    Line(
        "latch of 8 symbols",
        "latch",
        (("symbols", 8), ("distractors", 4)),
        "lstm",
        "hold",
        32,
    ),
)
DESIGNS = {  # by title: seeds of a width, and the design; None: all of the grid
    "grid": (8, None),
    "bisect, 4 seeds": (4, Bisect),
    "bisect, 8 seeds": (8, Bisect),
    "bisect, 16 seeds": (16, Bisect),
    f"adaptive, precision={PRECISION:g}": (8, Adaptive),
    "adaptive, precision=0.3": (8, partial(Adaptive, precision=0.3)),
}


@dataclass(frozen=True)
class DesignsPlan:
    """How often each line is drawn of each kind."""

    lines: tuple[Line, ...] = LINES
    simulated: int = 9
    replayed: int = 3
    processes: int = 2


@dataclass(frozen=True, eq=False)
class Published:
    """The atlas of one line.

    Args:
        lags: (L,), with the length of each.
        counts: by lag.
        shares: by lag, of their budget that members took which passed.
        log_u50, slope: (L,), fitted, and log_u50 smoothed over lags; u90: (L,) estimated.
    """

    lags: tuple[int, ...]
    length: tuple[int, ...]
    counts: Mapping[int, Counts]
    shares: Mapping[int, Floats]
    log_u50: Floats
    slope: Floats
    u90: Floats


@dataclass(frozen=True, eq=False)
class Draw:
    """One study that could have been.

    Args:
        passed: (L, W, S) of each member; steps: the same, in budgets.
        u90: (L,) the truth.
    """

    passed: np.ndarray
    steps: Floats
    u90: Floats


@dataclass(frozen=True)
class Result:
    """The outcome of one design on one draw.

    Args:
        members: that it trained; steps: theirs, in budgets; work: steps x length x (units + 8)^2.
        width: mean over lags of log(high / low) of u90; an interval within one unit
            counts as one unit.
        held: share of the lags whose interval holds the truth.
    """

    line: str
    kind: str
    design: str
    members: int
    steps: float
    work: float
    width: float
    held: float


@cache
def published(line: Line) -> Published:
    """Read the rows of a line, and fit them."""
    rows = pl.read_parquet(rows_file(ATLAS)).filter(
        task=line.task, cell=line.cell, recipe=line.recipe
    )
    for knob, value in line.knobs:
        rows = rows.filter(
            pl.col("knobs").str.json_path_match(f"$.{knob}") == str(value)
        )
    counts = {}
    shares = {}
    length = {}
    for (lag,), own in rows.group_by("lag"):
        table = (
            own.group_by("units")
            .agg(pl.col("solved").sum(), runs=pl.len())
            .sort("units")
        )
        solved, runs = (
            table[name].cast(pl.Int64).to_numpy() for name in ("solved", "runs")
        )
        counts[lag] = Counts(table["units"].to_numpy(), solved, runs)
        passed = own.filter(pl.col("solved"))
        shares[lag], length[lag] = (
            (passed["steps"] / passed["budget"]).to_numpy(),
            own["length"][0],
        )
    lags = sorted(counts)
    beliefs = believe(counts, lags)
    octaves = np.log2(lags)
    log_u50 = [beliefs[lag].weights.sum(axis=1) @ beliefs[lag].mu for lag in lags]
    slope = [
        beliefs[lag].weights.sum(axis=0) @ np.log(beliefs[lag].slope) for lag in lags
    ]
    return Published(
        tuple(lags),
        tuple(length[lag] for lag in lags),
        counts,
        shares,
        np.polyval(np.polyfit(octaves, log_u50, min(3, len(lags) - 2)), octaves),
        np.exp(slope),
        np.array([beliefs[lag].quantiles(0.9, ENDS)[1] for lag in lags]),
    )


def draw(line: Line, kind: str, number: int, seeds: int) -> Draw:
    """Draw a study that could have been; the same truth for every number of seeds."""
    atlas = published(line)
    log_widths = np.log2(np.arange(1, line.widths + 1))
    rng = np.random.default_rng([zlib.crc32(f"{line.title}, {kind}".encode()), number])
    lags = len(atlas.lags)
    if kind == "simulated":
        log_u50 = atlas.log_u50 + rng.normal(0, SHIFT) + rng.normal(0, SCATTER, lags)
        slope = atlas.slope * np.exp(rng.normal(0, STEEPNESS, lags))
        lapse = rng.uniform(0, MOST_LAPSE)
        chance = (1 - lapse) * logistic(
            slope[:, None] * (log_widths - log_u50[:, None])
        )
        like = 1 / CORRELATION - 1
        chance = rng.beta(
            *(np.maximum(like * part, 1e-9) for part in (chance, 1 - chance))
        )
        u90 = np.maximum(1, np.exp2(log_u50 + logit(0.9) / slope))
    else:
        curves = [
            np.interp(log_widths, np.log2(each.widths), each.solved / each.runs)
            for each in (atlas.counts[lag] for lag in atlas.lags)
        ]
        chance = np.array(curves)
        u90 = atlas.u90
    passed = rng.random((*chance.shape, seeds)) < chance[..., None]
    steps = np.array(
        [rng.choice(atlas.shares[lag], passed.shape[1:]) for lag in atlas.lags]
    )
    return Draw(passed, np.where(passed, steps, 1.0), u90)


def outcomes(task: tuple[Line, str, int]) -> list[Result]:
    """Run each design on one draw."""
    line, kind, number = task
    return [
        run(line, kind, name, draw(line, kind, number, seeds), design)
        for name, (seeds, design) in DESIGNS.items()
    ]


def run(
    line: Line, kind: str, name: str, study: Draw, design: Callable[..., Any] | None
) -> Result:
    """Run one design to its end."""
    atlas, (lags, widths, seeds) = published(line), study.passed.shape
    trained = np.zeros(study.passed.shape, bool)
    if design is None:
        trained[:] = True
    else:
        task = task_class(line.task)()
        recipe = Recipe(line.recipe, budget=1)
        places = {
            Member(
                task, atlas.lags[k], model=Model(units=j + 1), recipe=recipe, seed=i
            ): (k, j, i)
            for k in range(lags)
            for j in range(widths)
            for i in range(seeds)
        }
        search = design(places, {})
        waiting = search.first_members()
        while waiting:
            member = waiting.pop(0)
            at = places[member]
            trained[at] = True
            outcome = Outcome(bool(study.passed[at]), study.steps[at])
            waiting += search.next_members(member, outcome)
    intervals = judged(atlas, study, trained)
    low, _, high = intervals.T
    sizes = (
        np.array(atlas.length)[:, None, None] * (np.arange(widths)[:, None] + 9.0) ** 2
    )
    return Result(
        *(line.title, kind, name, int(trained.sum())),
        steps=float((study.steps * trained).sum()),
        work=float((study.steps * trained * sizes).sum()),
        width=float(np.log(np.maximum(high / low, (low + 1) / low)).mean()),
        held=float(
            np.mean(
                (low * (1 - ROUNDING) <= study.u90)
                & (study.u90 <= high * (1 + ROUNDING))
            )
        ),
    )


def judged(atlas: Published, study: Draw, trained: np.ndarray) -> Floats:
    """Return low, middle and high of u90, (L, 3), by the model that `memcap answer` reads."""
    counts = {}
    for k, lag in enumerate(atlas.lags):
        runs = trained[k].sum(axis=1)
        tried = np.flatnonzero(runs)
        counts[lag] = Counts(
            tried + 1, (study.passed[k] & trained[k]).sum(axis=1)[tried], runs[tried]
        )
    beliefs = believe(counts, atlas.lags)
    return np.array([beliefs[lag].quantiles(0.9, ENDS) for lag in atlas.lags])


def main() -> None:
    """Draw studies of every line, and let every design ask."""
    plan = DesignsPlan()
    kinds = (("simulated", plan.simulated), ("replayed", plan.replayed))
    tasks = [
        (line, kind, k)
        for kind, count in kinds
        for k in range(count)
        for line in plan.lines
    ]
    with ProcessPoolExecutor(plan.processes) as pool:
        results = [each for found in pool.map(outcomes, tasks) for each in found]
    data = {"plan": asdict(plan), "results": [asdict(each) for each in results]}
    (Path(__file__).parents[2] / "docs" / "designs.json").write_text(
        json.dumps(data, indent=1) + "\n"
    )


if __name__ == "__main__":
    main()
