"""Reader of offline W&B runs, for tests: W&B itself reads them only into its server.

A `.wandb` file is a 7-byte header, then LevelDB log framing (blocks of 32 KiB, each
record cut into chunks of `crc uint32, length uint16, type uint8, payload`) around
protobuf messages `wandb_internal_pb2.Record`.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

HEADER = 7
BLOCK = 32 * 1024
CHUNK = struct.Struct("<IHB")
# 3 is a middle chunk
FULL = 1
FIRST = 2
LAST = 4


@dataclass
class Run:
    """What one run holds on disk."""

    directory: Path
    id: str = ""
    name: str = ""
    project: str = ""
    group: str = ""
    sweep: str = ""
    job_type: str = ""
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: list[Any] = field(default_factory=list)  # what `define_metric` left
    finished: bool = False

    def curve(self, metric: str) -> list[tuple[int, Any]]:
        """Steps and values of one metric."""
        return [
            (point["_step"], point[metric]) for point in self.history if metric in point
        ]


def read_runs(directory: Path) -> dict[str, Run]:
    """All offline runs under `directory`, by name; two of one name are an error."""
    runs = [
        read_run(path) for path in sorted(directory.glob("wandb/offline-run-*/*.wandb"))
    ]
    by_name = {run.name: run for run in runs}
    assert len(by_name) == len(runs), (
        f"runs that share a name: {sorted(run.name for run in runs)}"
    )
    return by_name


def read_run(path: Path) -> Run:
    """The run in one `.wandb` file. A file that was cut short gives what is whole in it."""
    from wandb.proto import wandb_internal_pb2

    run = Run(path.parent)
    for payload in payloads(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(payload)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            head = record.run
            run.id = head.run_id
            run.sweep = head.sweep_id
            run.name = head.display_name
            run.project = head.project
            run.group = head.run_group
            run.job_type = head.job_type
            run.tags = tuple(head.tags)
            put(run.config, head.config.update)
        elif kind == "config":
            put(run.config, record.config.update)
        elif kind == "metric":
            run.metrics.append(record.metric)
        elif kind == "history":
            put(point := {}, record.history.item)
            run.history.append(point)
        elif kind == "summary":
            put(run.summary, record.summary.update)
        elif kind == "exit":
            run.finished = True
    run.config.pop("_wandb", None)
    return run


def payloads(data: bytes) -> Iterator[bytes]:
    """The whole records in the bytes of a `.wandb` file."""
    assert data[:4] == b":W&B", "not a .wandb file"
    at = HEADER
    record = b""
    while at + CHUNK.size <= len(data):
        left = BLOCK - at % BLOCK
        if left < CHUNK.size:  # too little for a chunk: the block is padded
            at += left
            continue
        _crc, length, kind = CHUNK.unpack_from(data, at)
        body = data[at + CHUNK.size : at + CHUNK.size + length]
        if kind == 0 or len(body) < length:
            return
        at += CHUNK.size + length
        record = body if kind in (FULL, FIRST) else record + body
        if kind in (FULL, LAST):
            yield record


def put(target: dict[str, Any], items: Iterable[Any]) -> None:
    """Set JSON `items`, whose keys may be paths, in the nested dict `target`."""
    for item in items:
        *parents, last = item.nested_key or [item.key]
        inner = target
        for parent in parents:
            inner = inner.setdefault(parent, {})
        inner[last] = json.loads(item.value_json)


TIMES = ("_runtime", "_timestamp", "_wandb", "study/seconds", "study/members_a_second")


def plain_runs(directory: Path) -> dict[str, dict[str, Any]]:
    """All offline runs under `directory` by id, in values that JSON takes: all that is
    the same each time."""
    runs = [
        read_run(path) for path in sorted(directory.glob("wandb/offline-run-*/*.wandb"))
    ]
    assert len({run.id for run in runs}) == len(runs), "a run was sent twice"
    return {
        run.id: {
            "name": run.name,
            "project": run.project,
            "group": run.group,
            "job_type": run.job_type,
            "tags": list(run.tags),
            "config": run.config,
            "metrics": [str(metric) for metric in run.metrics],
            "summary": _without_times(run, run.summary),
            "points": [_without_times(run, point) for point in run.history],
            "finished": run.finished,
        }
        for run in runs
    }


def _without_times(run: Run, values: dict[str, Any]) -> dict[str, Any]:
    """A point or a summary; a table is what it shows, and a picture only that it is one."""
    kept = {name: value for name, value in sorted(values.items()) if name not in TIMES}
    if "frontier" in kept:
        kept["frontier"] = json.loads(
            (run.directory / "files" / kept["frontier"]["path"]).read_text()
        )
    if "figure" in kept:
        kept["figure"] = kept["figure"]["_type"]
    return kept
