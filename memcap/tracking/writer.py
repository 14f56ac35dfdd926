"""What runs in the process of a `ProcessSink`: it answers each record once the service has it."""

import os
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.connection import Connection
from typing import Any, Protocol

from memcap.processes import connected
from memcap.tracking import trackio_service, wandb_service
from memcap.tracking.process import Target
from memcap.tracking.runs import ProgressRecord, Record, RunRecord, StudyRecord

NICENESS = 10  # about a tenth of what a training process gets of a core that both want


class Mirror(Protocol):
    """A tracking service."""

    def run(self, record: RunRecord) -> None:
        """Add points to a run; with its row, end it."""

    def progress(self, values: dict[str, float]) -> None:
        """Add a point to the study's run."""

    def result(self, record: StudyRecord) -> None:
        """Show a table and a picture in the study's run."""

    def close(self) -> str:
        """End all runs. Returns where people find them."""


def main() -> None:
    """Serve the process at the other end of the connection that the arguments name, for as long as it
    lives."""
    os.nice(NICENESS)
    try:
        _serve(connected())
    except (EOFError, OSError):
        os._exit(1)  # nobody is there any more: nothing is left to be done, and no service may hold this up


def _serve(connection: Connection) -> None:
    target: Target = connection.recv()
    label = {"wandb": "W&B"}.get(target.service, target.service)

    def answer(work: Callable[..., Any], *arguments: Any) -> Any:
        try:
            value, error = work(*arguments), None
        except (Exception, SystemExit) as problem:
            why = " ".join(str(problem).split()) or type(problem).__name__
            value, error = None, f"{label} does not work and is left: {why}"
        connection.send((error, value if isinstance(value, str) else None))
        return value

    mode = answer(wandb_service.chosen_mode if target.service == "wandb" else lambda mode: mode, target.mode)
    if target.service == "wandb":
        label += f" {mode}"
    connection.recv()
    mirror = answer(
        wandb_service.WandbMirror if target.service == "wandb" else trackio_service.TrackioMirror,
        replace(target, mode=mode),
    )
    while (record := connection.recv()) is not None:
        answer(_write, mirror, record)
    answer(mirror.close)


def _write(mirror: Mirror, record: Record) -> None:
    if isinstance(record, RunRecord):
        mirror.run(record)
    elif isinstance(record, ProgressRecord):
        mirror.progress(record.values)
    else:
        mirror.result(record)
