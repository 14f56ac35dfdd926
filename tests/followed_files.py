"""A study's folder as jobs leave it, written file by file: latch members of one unit, by their seeds."""

import json
from dataclasses import asdict, replace
from datetime import UTC, datetime, timedelta

import polars as pl

from memcap.knobs import key_of
from memcap.studies import curves, shards
from memcap.studies.heartbeat import MEMBERS, JobProgress
from memcap.studies.rows import frame

PROGRAM = "0123456789abcdef"
OURS, THEIRS = "aaaaaaaa", "bbbbbbbb"


def config_of(seed):
    config = {"task": {"name": "latch", "lag": 5}, "model": {"units": 1, "cell": "lstm"}}
    return json.dumps(config | {"recipe": {"name": "hold"}, "seed": seed}, sort_keys=True)


def key(seed):
    return key_of(config_of(seed))


def put_rows(folder, token, seeds, status="solved", later=0, number=0, study="study"):
    """A shard and its curves, as a job writes them."""
    name = shards.shard_name(PROGRAM, token, number)
    finished = datetime(2025, 1, 1, tzinfo=UTC) + timedelta(seconds=later)
    rows = [
        {
            "key": key(seed),
            "config": config_of(seed),
            "study": study,
            "population": name,
            "metric": "accuracy",
            "evaluation_until": "solved",
            "status": status,
            "solved": True,
            "steady": True,
            "finished": finished,
        }
        for seed in seeds
    ]
    (folder / "rows").mkdir(parents=True, exist_ok=True)
    curves.write(folder, name, {key(seed): {1: {"train/loss": float(seed)}} for seed in seeds})
    shards.write_table(folder / "rows" / f"{name}.parquet", frame(rows))
    return folder / "rows" / f"{name}.parquet"


def put_job(folder, token, seeds=(), ended=None, **changes):
    """What a job says of itself."""
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    beat = replace(JobProgress(len(seeds), study="study", token=token).heartbeat(), ended=ended, **changes)
    (folder / "jobs" / f"{token}.json").write_text(json.dumps(asdict(beat)))
    shards.write_table(folder / "jobs" / f"{token}.members.parquet", members_of(seeds))


def members_of(seeds):
    """As a job writes them down before it trains."""
    lines = [(key(seed), f"latch-L5-u1-s{seed}", "accuracy", config_of(seed)) for seed in seeds]
    return pl.DataFrame(lines, MEMBERS, orient="row")
