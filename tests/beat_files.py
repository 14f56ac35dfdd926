"""Files as jobs leave them for `memcap status`, of jobs that nobody ran."""

import json
import os
import socket
import time
from dataclasses import asdict, replace
from pathlib import Path

import polars as pl

from memcap.store import files
from memcap.store.heartbeat import MEMBERS, Heartbeat, Running, read_members

MEMBER = Running("0123456789abcdef", "latch-L5-u1-s0", 100, 1500, 0.5, 3.0)


def first(**changes):
    """The heartbeat of a job of this process, with changes."""
    now = time.time()
    job = ("0123456789abcdef", "name", "memcap train study=name", str(Path.cwd()))
    heartbeat = Heartbeat(*job, socket.gethostname(), os.getpid(), now, now)
    return replace(heartbeat, **changes)


def listed(keys):
    """Members of these keys, as a job writes them down."""
    values = {"key": list(keys), "name": MEMBER.name, "metric": None, "config": None}
    return pl.DataFrame(values, MEMBERS)


def keys_of(folder, token):
    """The keys of the members that a job may train."""
    return {*read_members(folder, token, ["key"])["key"]}


def put(folder, token, heartbeat, keys):
    """Read its words and the members that it may train."""
    (folder / "jobs").mkdir(parents=True, exist_ok=True)
    (folder / "jobs" / f"{token}.json").write_text(
        json.dumps(asdict(replace(heartbeat, token=token)))
    )
    files.write_table(folder / "jobs" / f"{token}.members.parquet", listed(keys))
