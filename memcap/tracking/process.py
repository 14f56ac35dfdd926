"""A sink that is a process of its own, below the priority of those that train; it can be ended at any moment.

So the service's library costs the training process neither imports nor Python's lock, and nothing in it can
hold up Ctrl-C.
"""

import contextlib
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from memcap.processes import start
from memcap.tracking.runs import Record, Run

MAIN = "from memcap.tracking import writer; writer.main()"


@dataclass(frozen=True)
class Target:
    """Where records go.

    Args:
        service: "wandb" or "trackio".
        mode: of W&B, "online", "offline", or "auto": online where an API key is found.
        project, entity, group, tags: of every run.
        directory: where W&B writes; it makes a folder `wandb` inside.
        study: the study's run.
    """

    service: str
    mode: str
    project: str
    entity: str | None
    group: str
    tags: tuple[str, ...]
    directory: Path
    study: Run


class ProcessSink:
    """See `memcap.tracking.mirror.Sink`.

    Args:
        target: where records go.
        chosen: is told the mode, once the process has chosen it.

    Raises:
        RuntimeError: what went wrong in the process.
    """

    def __init__(self, target: Target, chosen: Callable[[str], None]):
        self._words = tempfile.TemporaryFile()  # noqa: SIM115 (read once the process is dead)
        self._process, self._connection = start(MAIN, stdout=subprocess.DEVNULL, stderr=self._words)
        self._target, self._killed = target, False
        mode = self._ask(target)
        chosen(mode)
        self.replaceable = mode == "online"
        self._ask(None)

    def write(self, record: Record) -> None:
        """See `Sink`."""
        self._ask(record)

    def close(self) -> str:
        """See `Sink`."""
        where = self._ask(None)
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(2)
        self.kill()
        return where

    def kill(self) -> None:
        """See `Sink`."""
        self._killed = True
        self._process.kill()
        self._process.wait()
        self._words.close()

    def _ask(self, what: Any) -> Any:
        try:
            self._connection.send(what)
            error, answer = self._connection.recv()
        except (EOFError, OSError):
            how = "did not answer in time" if self._killed else f"its process ended{self._last_line()}"
            raise RuntimeError(f"tracking={self._target.service} does not work and is left: {how}") from None
        if error:
            raise RuntimeError(error)
        return answer

    def _last_line(self) -> str:
        self._words.seek(0)
        lines = self._words.read().decode(errors="replace").split("\n")
        return next((f' ("{line}")' for line in reversed(lines) if line.strip()), "")


def sinks(target: Target) -> Iterator[Callable[[], ProcessSink]]:
    """The sinks to try, the best first. W&B offline comes after online."""
    modes: list[str] = []
    yield lambda: ProcessSink(target, modes.append)
    if modes == ["online"]:
        yield lambda: ProcessSink(replace(target, mode="offline"), modes.append)
