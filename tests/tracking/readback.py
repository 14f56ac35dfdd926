"""Reader of offline W&B runs, for tests: W&B itself reads them only into its server.

A `.wandb` file is a 7-byte header, then LevelDB log framing (blocks of 32 KiB, each
record cut into chunks of `crc uint32, length uint16, type uint8, payload`) around
protobuf messages `wandb_internal_pb2.Record`.
"""

import json
import struct
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

HEADER = 7
BLOCK = 32 * 1024
CHUNK = struct.Struct("<IHB")
# 3 is a middle chunk
FULL = 1
FIRST = 2
LAST = 4
TIMES = ("_runtime", "_timestamp", "_wandb", "study/seconds")


@dataclass
class Run:
    """What one run holds on disk."""

    directory: Path
    head: Any = None  # with its id, name, project, group, job type and tags
    config: dict[str, Any] = field(default_factory=dict)
    history: list[dict[str, Any]] = field(default_factory=list)
    summary: dict[str, Any] = field(default_factory=dict)
    metrics: list[Any] = field(default_factory=list)  # what `define_metric` left
    finished: bool = False

    def curve(self, metric: str) -> list[tuple[int, Any]]:
        """Steps and values of one metric."""
        points = [point for point in self.history if metric in point]
        return [(point["_step"], point[metric]) for point in points]

    def plain(self) -> dict[str, Any]:
        """All that is the same each time, with tables as they are shown."""
        values = asdict(self)
        for point in (*values["history"], values["summary"]):
            for name in TIMES:
                point.pop(name, None)
            if "frontier" in point:
                shown = self.directory / "files" / point["frontier"]["path"]
                point["frontier"] = shown.read_text()
            point.pop("figure", None)
        head = self.head
        said = head.display_name, head.project, head.run_group, head.job_type
        return values | {"head": [*said, *head.tags], "directory": None}


def read_runs(directory: Path) -> dict[str, Run]:
    """All offline runs under `directory`, by id; two of one id are an error."""
    paths = sorted(directory.glob("wandb/offline-run-*/*.wandb"))
    runs = {run.head.run_id: run for run in map(read_run, paths)}
    assert len(runs) == len(paths), "runs that share an id"
    return runs


def read_run(path: Path) -> Run:
    """The run in one `.wandb` file. A file that was cut short gives what is whole in it."""
    from wandb.proto import wandb_internal_pb2

    run = Run(path.parent)
    for payload in payloads(path.read_bytes()):
        record = wandb_internal_pb2.Record.FromString(payload)
        kind = record.WhichOneof("record_type")
        if kind == "run":
            run.head = record.run
            put(run.config, record.run.config.update)
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
