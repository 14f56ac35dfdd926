"""A study's folder as jobs leave it, written file by file: latch members of one unit,
by their seeds."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import polars as pl

from memcap.knobs import key_of
from memcap.store import curves, files, shards
from memcap.store.heartbeat import MEMBERS, JobProgress
from memcap.store.rows import frame
from memcap.store.shards import Study

PROGRAM = "0123456789abcdef"
OURS = "aaaaaaaa"
THEIRS = "bbbbbbbb"

CONFIG = {
    "task": {"name": "latch", "lag": 5, "length": 6},
    "model": {"cell": "lstm", "units": 1, "readout": "dense"},
    "start": None,
    "recipe": {
        "name": "hold",
        "init": "flax",
        "lr": 0.03,
        "schedule": "constant",
        "warmup": 0,
        "batch": 64,
        "clip": 1.0,
        "budget": 9,
    },
    "evaluation": {"every": 3, "sequences": 256, "successive": 2, "stretch": 20},
    "threshold": 0.99,
}
RESULT = {
    "steps": 9,
    "carry_numbers": 2,
    "parameters": 5,
    "compile_seconds": 1.0,
    "run_seconds": 1.0,
    "up_to": False,
    "metric": "accuracy",
}
SOLVED = {"steps_to_solve": 6, "steps_to_steady": 9, "best": 1.0, "stretched": 1.0}


def config_of(seed):
    return json.dumps(CONFIG | {"seed": seed}, sort_keys=True)


def key(seed):
    return key_of(config_of(seed))


def put_rows(folder, token, seeds, status="solved", later=0, number=0, study="study"):
    """A shard and its curves, as a job writes them."""
    name = shards.shard_name(PROGRAM, token, number)
    done = status == "solved"
    row = RESULT | (SOLVED if done else dict.fromkeys(SOLVED))
    row |= {"status": status, "solved": done, "steady": done}
    row |= {"study": study, "population": name}
    row["finished"] = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=later)
    rows = [row | {"key": key(seed), "config": config_of(seed)} for seed in seeds]
    points = {key(seed): {1: {"train/loss": float(seed)}} for seed in seeds}
    curves.write(folder, name, points)
    path = folder / "rows" / f"{name}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write_table(path, frame(rows))
    return path


def put_job(folder, token, seeds=(), ended=None, **changes):
    """Return what a job says of itself."""
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    beat = JobProgress(len(seeds), Study(folder, "study")).heartbeat()
    beat = replace(beat, token=token, ended=ended, **changes)
    (folder / "jobs" / f"{token}.json").write_text(json.dumps(asdict(beat)))
    files.write_table(folder / "jobs" / f"{token}.members.parquet", members_of(seeds))


def members_of(seeds):
    """Write them down as a job does before it trains."""
    lines = [
        (key(seed), f"latch-L5-u1-s{seed}", "accuracy", config_of(seed))
        for seed in seeds
    ]
    return pl.DataFrame(lines, MEMBERS, orient="row")
