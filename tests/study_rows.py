"""Rows of members that nobody trained: for tests of what is said about rows."""

import itertools
import json
from dataclasses import MISSING, asdict, replace
from datetime import UTC, datetime
from typing import Any

import numpy as np
import polars as pl

from memcap.config.member import Member
from memcap.knobs import key_of, keyed
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.rule import SHORTER_LAGS
from memcap.store import files
from memcap.store.columns import (
    DERIVED,
    EVALUATION,
    MODEL,
    RECIPE as RECIPE_COLUMNS,
    START,
)
from memcap.store.rows import SCHEMA, frame
from memcap.tasks import task_class
from memcap.training.engine import Result

RECIPE = {
    "recipe": "hold",
    "init": "hold",
    "lr": 0.03,
    "schedule": "constant",
    "warmup": 0,
    "batch": 64,
    "clip": 1.0,
    "budget": 1500,
}
NUMBERS = itertools.count()


def row_of(**columns):
    """A row of a member that nobody trained: what `columns` leave out is of one that
    never learned anything, and the config beside it is made of them."""
    units = columns.setdefault("units", 1)
    layers = columns.get("layers", 1)
    task = task_class(columns.setdefault("task", "latch"))()
    later = {name: column.limits.get("before") for name, column in DERIVED.items()}
    row = dict.fromkeys(SCHEMA)
    row |= {name: None if value is MISSING else value for name, value in later.items()}
    row |= {
        **RECIPE,
        "study": "made_up",
        "knobs": json.dumps(asdict(task), sort_keys=True),
        "lag": 5,
        "seed": 0,
        "cell": "lstm",
        "readout": "dense",
        "evaluation_sequences": 2048,
        "evaluation_every": 100,
        "evaluation_successive": 2,
        "evaluation_until": "steady" if task.stream else "solved",
        "stretch": 20,
        "metric": task.metric,
        "status": "unsolved",
        "solved": False,
        "steady": False,
        "up_to": False,
        "anywhere": False,
        "steps": 100,
        "train_loss": 0.5,
        "carry_numbers": 2 * units * layers,
        "parameters": parameters(task, units, layers),
        "compile_seconds": 1.0,
        "run_seconds": 1.0,
        "population": "p",
        "finished": datetime.now(UTC),
        **columns,
    }
    row["length"] = row["length"] or task.length(row["lag"])
    facts = task.facts(row["lag"], row["length"])
    row["threshold"] = row["threshold"] or facts.threshold
    return sealed(row)


def parameters(task, units, layers=1):
    """Parameters of an LSTM with a dense read-out."""
    inputs = [task.features, *[units] * (layers - 1)]
    cells = sum(4 * units * (each + units + 1) for each in inputs)
    return cells + (units + 1) * task.outputs


def part(row, columns):
    """The part of a config that these columns of a row follow from: later knobs stand
    in it where they are not as before."""
    values = {
        name: row[name]
        for name in columns
        if row[name] != columns[name].limits.get("before", MISSING)
    }
    return {name.removeprefix("evaluation_"): value for name, value in values.items()}


def sealed(row, name=None):
    """A row with the config that its plain columns follow from, and that config's key;
    `name`: what tells it from others, any number if None."""
    recipe = part(row, RECIPE_COLUMNS)
    config = {
        "task": {
            "name": row["task"],
            "lag": row["lag"],
            "length": row["length"],
            **json.loads(row["knobs"]),
        },
        "model": part(row, MODEL),
        "recipe": recipe | {"name": recipe.pop("recipe")},
        "evaluation": part(row, EVALUATION),
        "seed": row["seed"],
        "start": {each.removesuffix("_bias"): row[each] for each in START}
        | {"spread": None},
        "threshold": row["threshold"],
        "made_up": next(NUMBERS) if name is None else name,
    }
    text = json.dumps(config, sort_keys=True)
    return row | {"key": key_of(text), "config": text}


def group(
    task="latch",
    lag=5,
    counts=None,
    *,
    steady=None,
    up_to=None,
    knobs=None,
    diverged=0,
    steps=100,
    **columns,
):
    """Rows of one task and lag.

    counts: {units: (solved, runs)}; diverged: how many of the unsolved of each width
    are called so; steps: to solve, of the first solved, 10 more for each next, and 5
    more to be steady; steady: {units: how many of the solved are}, all where not named;
    up_to: the same, of members trained until that or "anywhere"; knobs: that differ from the task's
    defaults; columns: as in the schema.
    """
    generator = replace(task_class(task)(), **(knobs or {}))
    length = columns.get("length") or generator.length(lag)
    best, worst = (1.0, 0.5) if generator.higher_is_better else (0.0, 10.0)
    until = columns.get("evaluation_until")
    asked = until in SHORTER_LAGS
    shared = {
        "task": task,
        "lag": lag,
        "length": length,
        "knobs": json.dumps(keyed(generator), sort_keys=True),
        "metric": generator.metric,
        "threshold": generator.facts(lag, length).threshold,
        "evaluation_until": "steady" if generator.stream else "solved",
    }
    rows = []
    for units, (solved, runs) in (counts or {1: (0, 4), 2: (4, 4), 3: (4, 4)}).items():
        for seed in range(runs):
            done = seed < solved
            fails = not done and seed < solved + diverged
            everywhere = asked and done and seed < (up_to or {}).get(units, solved)
            lasts = done and seed < (steady or {}).get(units, solved)
            taken = steps + 10 * (seed % 100)
            score = None if fails else best if done else worst
            stretched = best * (1 - 0.001 * (seed % 10)) if lasts else worst
            outcome = {
                "units": units,
                "seed": seed,
                "status": "solved" if done else "diverged" if fails else "unsolved",
                "solved": done,
                "steady": lasts,
                "up_to": everywhere and until == "up_to",
                "anywhere": everywhere and until == "anywhere",
                "steps": taken + 5 * lasts,
                "steps_to_solve": taken if done else None,
                "steps_to_steady": taken + 5 if lasts else None,
                **({f"steps_to_{until}": taken} if everywhere else {}),
                "final": score,
                "best": score,
                "mean_up_to": best if everywhere else None,
                "worst_up_to": best if everywhere else None,
                "exact_lags": 0 if everywhere and until == "anywhere" else None,
                "stretched": stretched if done else None,
            }
            rows.append(row_of(**shared | outcome | columns))
    return rows


def seeds(task, lag, *outcomes, units=1, **columns):
    """Rows of nets of a width, one a seed: an outcome is further columns of its row."""
    nets = enumerate(outcomes)
    return [
        row
        for seed, own in nets
        for row in group(task, lag, {units: (0, 1)}, seed=seed, **columns | own)
    ]


def at_lengths(lengths, whole, score=None):
    """Columns of a row with these shares of whole sequences right, and scores, at its lengths."""
    texts = {
        "whole_at_lengths": json.dumps(whole),
        "score_at_lengths": json.dumps(score or whole),
    }
    return texts | {"lengths": " ".join(map(str, lengths))}


def sharp(edge, seeds=8):
    """Counts of a task that takes `edge` units: no seed passes with fewer, and all do
    from there on."""
    return {edge - 1: (0, seeds), edge: (seeds, seeds), edge + 1: (seeds, seeds)}


def sizes(row):
    """Carry numbers and parameters of a row's net, as the real network has them."""
    task = task_class(row["task"])(**json.loads(row["knobs"]))
    net = Architecture(
        Model(row["cell"], row["units"], layers=row["layers"]),
        task.features,
        task.outputs,
    )
    return {"carry_numbers": net.carry_numbers(), "parameters": net.parameters()}


def sized(rows):
    """The same rows with the sizes of real networks."""
    return [row | sizes(row) for row in rows]


def table(*groups) -> pl.DataFrame:
    """All rows of some groups, as the store would read them."""
    return frame([row for group in groups for row in group])


def write(folder, *groups):
    """Put the rows where a study would have put them."""
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    files.write_table(folder / "rows" / "made_up.parquet", table(*groups))


def fake(member: Member, **changes: Any) -> Result:
    """Return the result of a member that nobody trained."""
    weights = member.architecture.init(member.init, [0])
    values = {
        "status": "diverged",
        "steps": 0,
        "solved": None,
        "steady": None,
        "train_loss": np.inf,
        "score": np.nan,
        "best": np.nan,
        "stretched": np.nan,
        "compile_seconds": 1.0,
        "run_seconds": 1.0,
        "loop": "while",
        "side_by_side": False,
        "program_units": member.model.units,
        "program_steps": member.length,
    }
    return Result(member, weights=weights, **values | changes)
