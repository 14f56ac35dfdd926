"""Tracking: curves, rows and the frontier of a study, sent to W&B or trackio by a process that follows the
study's folder. Nothing is ever read back, and nothing here imports a service."""

import contextlib
import json
import logging
import os
import queue
import shlex
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import polars as pl

from memcap.knobs import UserError, check, knob
from memcap.runtime import plugins, signals
from memcap.store import follow
from memcap.tracking import wandb_service
from memcap.tracking.runs import Agent, Run, Target, run_of_study

__all__ = ["MODES", "RUNS", "WANDB_MODES", "MirrorProcess", "Run", "Target", "Tracking"]

log = logging.getLogger(__name__)

MODES = ("off", "wandb", "trackio")
WANDB_MODES = ("auto", "online", "offline")
RUNS = ("auto", "member", "seeds")
METHODS = ("run", "progress", "result", "close")  # of a service, see `memcap.tracking.mirror.Service`
SECONDS_AT_THE_END = 5.0  # that a mirror has once its job has ended
SECONDS_WHEN_INTERRUPTED = 0.5
SECONDS_BETWEEN_LOOKS = 0.1  # whether there was a signal
GONE = ("open_tracker", "Tracker", "NoTracker")  # of memcap 0.1


def __getattr__(name: str) -> Any:
    if name in GONE:
        raise UserError(
            f"memcap.tracking.{name}: there are no trackers any more; write memcap.train(tracking='wandb'),"
            " or tracking='my_module:MyService' for a service of your own (memcap.tracking.mirror.Service)"
        )
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


@dataclass(frozen=True)
class Tracking:
    """Where curves are mirrored. The rows on disk are the truth."""

    mode: str = knob("off", "off, wandb, trackio, or MODULE:NAME of your own")
    project: str | None = knob(None, "project of W&B or trackio; null: WANDB_PROJECT, or memcap")
    entity: str | None = knob(None, "W&B entity; null: your default")
    wandb: str = knob("auto", "auto: online only where a key is present", choices=WANDB_MODES)
    runs: str = knob(
        "auto", "a run a member or per group of seeds; auto: groups in large studies", choices=RUNS
    )

    def __post_init__(self) -> None:
        if self.runs == "cell":  # its name before memcap 0.2
            object.__setattr__(self, "runs", "seeds")
        if isinstance(self.mode, str) and self.mode not in MODES and not plugins.is_import_path(self.mode):
            raise UserError(
                f"tracking.mode={self.mode}: must be one of {', '.join(MODES)}; or MODULE:NAME of your own"
            )
        for name in ("project", "entity"):
            if getattr(self, name) == "":  # nobody's but the default would be taken
                raise UserError(f"tracking.{name}: is empty; name one, or leave it out")
        check(self, "tracking")

    @property
    def is_off(self) -> bool:
        """Whether nothing is mirrored; WANDB_MODE=disabled turns W&B off."""
        return self.mode == "off" or (
            self.mode == "wandb" and wandb_service.resolve_mode(self.wandb) == "disabled"
        )

    def check_service(self) -> None:
        """Import a service of one's own, before anything trains for it.

        Raises:
            UserError: there is no such module, it cannot be imported, or what it names is no service.
        """
        if not plugins.is_import_path(self.mode):
            return
        try:
            service = plugins.import_object(self.mode, "tracking")
        except UserError:
            raise
        except (Exception, SystemExit) as error:
            why = " ".join(str(error).split())
            raise UserError(
                f"tracking={self.mode}: cannot be imported ({type(error).__name__}: {why}); mend it, or set"
                " tracking=off"
            ) from error
        methods = METHODS if isinstance(service, type) else ()
        missing = [name for name in methods if not callable(getattr(service, name, None))]
        if missing or not callable(service):
            lacks = f"has no {', '.join(missing)}" if missing else "cannot be called"
            raise UserError(
                f"tracking={self.mode}: {lacks}; a service is a class with the methods {', '.join(METHODS)}"
                " (python -m pydoc memcap.tracking.mirror.Service)"
            )

    def target(self, study: str, folder: Path, part: str = "") -> Target:
        """Where the runs of a study go, by these settings and the environment.

        Args:
            study: name of the study; the group of all its runs, unless WANDB_RUN_GROUP names another, and the
                name of its own, unless WANDB_NAME does.
            folder: of the study. W&B writes a folder `wandb` in it, or in WANDB_DIR.
            part: tells apart commands that share a study, which have study runs of their own.
        """
        theirs: Mapping[str, str] = os.environ if self.mode == "wandb" else {}
        run = run_of_study(study, part)
        return Target(
            service=self.mode,
            mode=wandb_service.resolve_mode(self.wandb) if self.mode == "wandb" else "",
            project=self.project or theirs.get("WANDB_PROJECT") or "memcap",
            entity=self.entity,
            group=theirs.get("WANDB_RUN_GROUP") or study,
            tags=tuple(filter(None, map(str.strip, theirs.get("WANDB_TAGS", "").split(",")))),
            directory=Path(theirs.get("WANDB_DIR") or folder).absolute(),
            study=replace(run, name=" ".join(filter(None, (theirs.get("WANDB_NAME") or study, part)))),
            agent=self.agent,
        )

    @property
    def agent(self) -> Agent | None:
        """The run as which an agent of W&B started this command."""
        return wandb_service.agent() if self.mode == "wandb" else None

    def command(self, folder: Path) -> list[str]:
        """What sends a folder by hand."""
        words = ["memcap", "mirror", str(folder)]
        named = {"--to": self.mode if self.mode != "wandb" else None, "--project": self.project}
        for option, value in (named | {"--entity": self.entity}).items():
            words += [option, value] if value else []
        return words

    def not_sent(self, left: int, folder: Path) -> str:
        """What to say of members and results that were not sent."""
        command = shlex.join(self.command(folder))
        if (agent := self.agent) is not None:  # or its run would stay as it is
            command = f"WANDB_SWEEP_ID={agent.sweep} WANDB_RUN_ID={agent.id} {command}"
        return f"tracking: {left} of the members and results were not mirrored; this sends them: {command}"


class MirrorProcess:
    """`memcap mirror` beside the job that starts it: a process of its own, below the job's priority, which
    follows the study's folder; a context manager, which ends it.

    It can be ended at any moment, costs the job neither imports nor Python's lock, and outlives a job that is
    killed until it has sent what that wrote. It is told over its standard input, in lines of JSON, and says
    over its standard output what it has sent.

    Args:
        settings: what it does.
        folder: of the study, which need not be there yet.
        study: name of the study.
        session: of the command whose jobs it follows (`memcap.store.shards`).
        members: that may come, with the columns of `memcap.store.heartbeat.MEMBERS`, as far as they are
            known.
        part: tells apart commands that share a study.

    Raises:
        UserError: a service of one's own that cannot be used.
    """

    def __init__(
        self,
        settings: Tracking,
        folder: Path,
        study: str,
        session: str,
        members: pl.DataFrame,
        part: str = "",
    ):
        settings.check_service()
        self.where = ""  # once it has ended: where people find the runs, in one line
        self._settings, self._folder, self._study = settings, folder, study
        self._session, self._part, self._members = session, part, members
        self._absolute = folder.absolute()  # whatever folder the job goes to
        self._result: list[Any] = []
        self._start(settings.wandb)

    def _start(self, wandb: str) -> None:
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        words = self._settings.command(self._absolute)[1:]
        words += ["--wandb", wandb, "--runs", self._settings.runs, "--session", self._session]
        words += ["--beside-a-job", "--study", self._study, "--part", self._part]
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (read once the process is dead)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-m", "memcap", *words],  # -P: import nothing from here
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the job
            text=True,
        )
        self._sent, self._using = 0, ""  # how many members and results, by which service
        self._end: dict[str, Any] | None = None  # what it said as it ended
        self._lines: queue.SimpleQueue[Any] = queue.SimpleQueue()  # to tell it; None: no more
        self._lines.put(self._members.rows())
        self._reader = threading.Thread(target=self._read, name="memcap-mirror-reader", daemon=True)
        self._reader.start()
        threading.Thread(target=self._write, name="memcap-mirror-writer", daemon=True).start()

    def _write(self) -> None:
        """In a thread, as the process may be slow to read."""
        lines = self._lines
        assert self._process.stdin is not None
        with contextlib.suppress(OSError), self._process.stdin as stream:  # it may have ended
            while (line := lines.get()) is not None:
                stream.write(json.dumps(line, default=str) + "\n")
                stream.flush()

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self._process.stdout as lines:
            for line in lines:
                reply = json.loads(line)
                self._sent, self._using = reply.get("sent", self._sent), reply.get("using", self._using)
                self._end = reply.get("end")
                if "warning" in reply:
                    log.warning(reply["warning"])

    def result(self, table: Sequence[Mapping[str, Any]], image: Path | None = None) -> None:
        """Show what the whole study found in its run: a table, one dict a row, and a picture (PNG)."""
        self._result = [[table, None if image is None else str(image.absolute())]]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        """Wait until all is sent, for some seconds, or half a second where the job was interrupted; then end
        it. What was not sent is counted in one warning."""
        self._finish()
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._wait(SECONDS_WHEN_INTERRUPTED)
        elif kind is not None and issubclass(kind, SystemExit):  # of a mistake, before anything has trained
            self._kill()
        else:
            self._wait(SECONDS_AT_THE_END / 2)
            if self._reader.is_alive() and not self._sent and self._using == "W&B online":
                log.warning("W&B online does not work and is left: did not answer in time")
                self._kill()
                self._errors.close()
                self._start("offline")
                self._finish()
            self._wait(SECONDS_AT_THE_END / 2)
        in_time = not self._reader.is_alive()
        self._kill()
        if kind is None or not issubclass(kind, SystemExit):
            self._say_what_is_left(in_time)
        self._errors.close()

    def _wait(self, seconds: float) -> None:
        """Wait until it has ended, for so many seconds; after a signal for no more than half a second."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0 and self._reader.is_alive():
            if signals.pending():
                end = min(end, time.monotonic() + SECONDS_WHEN_INTERRUPTED)
            self._reader.join(min(left, SECONDS_BETWEEN_LOOKS))

    def _finish(self) -> None:
        """Tell it that nothing else will come."""
        for line in (*self._result, None):
            self._lines.put(line)

    def _kill(self) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()

    def _say_what_is_left(self, in_time: bool) -> None:
        if self._end is not None:
            self.where, left = self._end["where"], self._end["left"]
        else:
            if in_time:
                mode = self._settings.mode
                log.warning(f"tracking={mode} does not work and is left: its process ended{self._why()}")
            rows = follow.count_rows(self._absolute, self._session, self._study)
            of_agent = self._settings.agent is not None and self._members.height != 1 and rows > 0
            left = rows + len(self._result) + of_agent - self._sent
        if left > 0:
            log.warning(self._settings.not_sent(left, self._folder))

    def _why(self) -> str:
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((f' ("{line}")' for line in reversed(lines) if line.strip()), "")
