"""A study's folder as jobs leave it, written file by file: latch members of one unit,
by their seeds."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import polars as pl

from memcap.config.knobs import key_of
from memcap.store import curves, files, shards
from memcap.store.heartbeat import MEMBERS, JobProgress
from memcap.store.rows import frame
from memcap.store.study import Study

PROGRAM = "0123456789abcdef"
OURS = "aaaaaaaa"
THEIRS = "bbbbbbbb"


MODEL = {"cell": "lstm", "units": 1, "readout": "dense"}
RECIPE = {
    "init": "flax",
    "lr": 0.03,
    "schedule": "constant",
    "warmup": 0,
    "batch": 64,
    "clip": 1.0,
}
RECIPE |= {"budget": 9}
TIMES = {"every": 3, "sequences": 256, "successive": 2}
RESULT = {
    "steps": 9,
    "steps_to_solve": 6,
    "steps_to_steady": 9,
    "best": 1.0,
    "stretched": 1.0,
}
RESULT |= {
    "carry_numbers": 2,
    "parameters": 5,
    "compile_seconds": 1.0,
    "run_seconds": 1.0,
}


def config_of(seed):
    config = {
        "task": {"name": "latch", "lag": 5, "length": 6},
        "model": MODEL,
        "seed": seed,
        "start": None,
    }
    config |= {
        "recipe": RECIPE | {"name": "hold"},
        "evaluation": TIMES | {"stretch": 20},
        "threshold": 0.99,
    }
    return json.dumps(config, sort_keys=True)


def key(seed):
    return key_of(config_of(seed))


def put_rows(folder, token, seeds, status="solved", later=0, number=0, study="study"):
    """A shard and its curves, as a job writes them."""
    name = shards.shard_name(PROGRAM, token, number)
    finished = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=later)
    done = status == "solved"
    result = RESULT | (
        {}
        if done
        else dict.fromkeys(("steps_to_solve", "steps_to_steady", "best", "stretched"))
    )
    result |= {
        "status": status,
        "solved": done,
        "steady": done,
        "up_to": False,
        "metric": "accuracy",
        "finished": finished,
    }
    result |= {"study": study, "population": name}
    rows = [result | {"key": key(seed), "config": config_of(seed)} for seed in seeds]
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    curves.write(
        folder, name, {key(seed): {1: {"train/loss": float(seed)}} for seed in seeds}
    )
    files.write_table(folder / "rows" / f"{name}.parquet", frame(rows))
    return folder / "rows" / f"{name}.parquet"


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
