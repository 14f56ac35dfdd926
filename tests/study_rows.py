"""Rows of members that nobody trained: for tests of what is said about rows."""

import itertools
import json
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from memcap.config import Member
from memcap.knobs import key_of
from memcap.studies import shards
from memcap.studies.rows import SCHEMA, frame
from memcap.tasks import task_class
from memcap.training.engine import Result

RECIPE = {
    "recipe": "hold",
    "lr": 0.03,
    "schedule": "constant",
    "warmup": 0,
    "batch": 64,
    "clip": 1.0,
    "budget": 1500,
}
NUMBERS = itertools.count()


def group(task="latch", lag=5, counts=None, *, steady=None, knobs=None, diverged=0, steps=100, **columns):
    """Rows of one task and lag.

    counts: {units: (solved, runs)}; diverged: how many of the unsolved of each width are called so; steps: to
    solve, of the first solved, 10 more for each next, and 5 more to be steady; steady: {units: how many of
    the solved are}, all where not named; knobs: that differ from the task's defaults; columns: as in the
    schema.
    """
    generator = replace(task_class(task)(), **(knobs or {}))
    columns = {"length": generator.length(lag), "cell": "lstm", "readout": "dense", **RECIPE, **columns}
    found = []
    for units, (solved, runs) in (counts or {1: (0, 4), 2: (4, 4), 3: (4, 4)}).items():
        for seed in range(runs):
            status = "solved" if seed < solved else "diverged" if seed < solved + diverged else "unsolved"
            done = status == "solved"
            lasts = done and seed < (steady or {}).get(units, solved)
            found.append(
                dict.fromkeys(SCHEMA)
                | {
                    "key": key_of(config := json.dumps(next(NUMBERS))),
                    "config": config,
                    "study": "made_up",
                    "task": task,
                    "lag": lag,
                    "units": units,
                }
                | {"knobs": json.dumps(asdict(generator), sort_keys=True), "seed": seed, "status": status}
                | {
                    "solved": done,
                    "steps": steps + 10 * seed,
                    "steps_to_solve": steps + 10 * seed if done else None,
                }
                | {"steady": lasts, "steps_to_steady": steps + 10 * seed + 5 if lasts else None}
                | {"evaluation_until": "steady" if generator.stream else "solved"}
                | {
                    "metric": generator.metric,
                    "threshold": generator.facts(lag, generator.length(lag)).threshold,
                    "stretch": 20,
                }
                | {
                    "stretched": 1.0 - 0.01 * seed if done else None,
                    "final": None if status == "diverged" else 0.5,
                }
                | {"evaluation_sequences": 2048, "evaluation_every": 100, "evaluation_successive": 2}
                | {"finished": datetime.now(UTC), **columns}
            )
    return found


def table(*groups) -> pl.DataFrame:
    """All rows of some groups, as the store would read them."""
    return frame([row for group in groups for row in group])


def write(folder, *groups):
    """Put the rows where a study would have put them."""
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    shards.write_table(folder / "rows" / "made_up.parquet", table(*groups))


def fake(member: Member, **changes: Any) -> Result:
    """What came of a member that nobody trained."""
    weights = member.architecture.init(member.init, [0])
    values = {"status": "diverged", "steps": 0, "solved": None, "steady": None, "train_loss": np.inf}
    values |= {"score": np.nan, "best": np.nan, "stretched": np.nan}
    values |= {"compile_seconds": 1.0, "run_seconds": 1.0, "loop": "while", "side_by_side": False}
    values |= {"program_units": member.model.units, "program_steps": member.length}
    return Result(member, weights=weights, **values | changes)
