"""The mirror beside a job: `memcap mirror` in a process of its own."""

import contextlib
import logging
import os
import shlex
import subprocess
import sys
import tempfile
import time
from typing import Self

import polars as pl

from memcap.runtime import signals
from memcap.store import heartbeat, shards
from memcap.store.follow import Follower
from memcap.store.study import Study
from memcap.terminal.printing import Waiting
from memcap.tracking.report import (
    ONLINE,
    WITHOUT_NETWORK,
    figure_since,
    read_report,
    remove_files,
)
from memcap.tracking.settings import Tracking

log = logging.getLogger(__package__)

# Seconds that a mirror has once its job has ended: without getting on, in all, and
# after a signal. In all it is less than the mirror gives itself.
SECONDS_AT_THE_END = 5.0
MOST_SECONDS_AT_THE_END = 50.0
SECONDS_WHEN_INTERRUPTED = 0.5
SECONDS_BETWEEN_LOOKS = 0.1  # for a signal


class MirrorProcess:
    """A process that mirrors a study's folder while jobs train in it; a context
    manager, which ends it.

    It reads only the folder, ends when its standard input does, and leaves a report
    (`report.py`). It costs the job neither imports nor Python's lock, and can be killed
    at any moment. If the job is killed, it lives on until it has sent what the job
    wrote.

    Args:
        settings: the knobs of tracking.
        study: the study of the jobs that it follows; its folder need not exist yet.
        members: members that may come, with the columns of
            `memcap.store.heartbeat.MEMBERS`, as far as they are known.
        part: tells apart commands that share a study.

    Raises:
        UserError: the user's own service cannot be used.
    """

    def __init__(
        self, settings: Tracking, study: Study, members: pl.DataFrame, part: str = ""
    ):
        settings.check_service()
        assert study.folder is not None
        self.where = ""  # once it has ended: where to find the runs, in one line
        self._settings = settings
        self._study = study
        self._part = part
        self._folder = study.folder
        self._absolute = study.folder.absolute()  # even if the job changes its folder
        self._token = shards.new_token(study.session)
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 (read once the process is dead)
        with contextlib.suppress(OSError):
            heartbeat.write_members(self._absolute, self._token, members)
        self._process = self._start(settings.wandb)

    def _start(self, wandb: str) -> subprocess.Popen[bytes]:
        options = {"wandb": wandb, "runs": self._settings.runs, "token": self._token}
        options |= {
            "study": self._study.name,
            "part": self._part,
            "command": self._study.command or "",
        }
        words = self._settings.command(self._absolute)[1:]
        words += [f"--{name}={value}" for name, value in options.items()]
        path = os.pathsep.join(folder or os.getcwd() for folder in sys.path)
        return subprocess.Popen(
            [
                sys.executable,
                "-P",
                "-m",
                "memcap",
                *words,
            ],  # -P: import nothing from this folder
            stdin=subprocess.PIPE,
            stdout=self._errors,
            stderr=self._errors,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C reaches only the job
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: object,
    ) -> None:
        """Wait until all is sent, as long as the process makes progress, but only half
        a second after an interrupt; then end it.

        One warning counts what was not sent. After a user's mistake, before anything
        trains, it does not wait.
        """
        mistake = kind is not None and issubclass(kind, SystemExit)
        if kind is not None and issubclass(kind, KeyboardInterrupt):
            self._finish(time.monotonic() + SECONDS_WHEN_INTERRUPTED)
        elif not mistake:
            end = time.monotonic() + MOST_SECONDS_AT_THE_END
            rest = shlex.join(self._settings.command(self._folder))
            with Waiting(
                f"mirroring the last results (Ctrl-C ends this; {rest} does it later), a minute"
                " at most"
            ):
                self._finish(end)
                report = read_report(self._absolute, self._token)
                if (
                    self._process.poll() is None
                    and report.service == ONLINE
                    and not report.sent
                ):
                    log.warning(
                        f"{ONLINE} does not work and is left: did not answer in time"
                    )
                    self._kill()
                    self._process = self._start("offline")
                    self._finish(end)
        in_time = self._process.poll() is not None
        self._kill()
        if not mistake:
            self._say_what_came(in_time)
        remove_files(self._absolute, self._token)
        self._errors.close()

    def _finish(self, end: float) -> None:
        """Tell the process to end, and wait while it makes progress; after a signal for
        half a second at most.

        Without a network it counts as making progress, however slow the machine is.
        """
        assert self._process.stdin is not None
        self._process.stdin.close()
        seen = None
        since = time.monotonic()
        while (now := time.monotonic()) < end and self._process.poll() is None:
            report = read_report(self._absolute, self._token)
            if report != seen or report.service in WITHOUT_NETWORK:
                seen = report
                since = now
            if now - since >= SECONDS_AT_THE_END:
                return
            if signals.pending():
                end = min(end, now + SECONDS_WHEN_INTERRUPTED)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(min(end - now, SECONDS_BETWEEN_LOOKS))

    def _kill(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.kill()
        self._process.wait()

    def _say_what_came(self, in_time: bool) -> None:
        """Log the report's warnings, and the number that was not sent."""
        report = read_report(self._absolute, self._token)
        for line in report.warnings:
            log.warning(line)
        self.where = report.where
        left = report.left
        if self._process.returncode and in_time:
            mode = self._settings.mode
            log.warning(
                f"tracking={mode} does not work and is left: its process ended{self._why()}"
            )
        if self._process.returncode or not (report.where or left):
            follower = Follower(self._absolute, self._study.session)
            rows = follower.poll().rows.filter(study=self._study.name).height
            drawn = figure_since(self._absolute, self._token) is not None
            left = max(
                rows + drawn - report.sent, min(rows, 1)
            )  # it never reported that all is sent
        if left > 0:
            log.warning(self._settings.not_sent(left, self._folder))

    def _why(self) -> str:
        """Return the last words of the process, in parentheses."""
        self._errors.seek(0)
        lines = self._errors.read().decode(errors="replace").split("\n")
        return next((f' ("{line}")' for line in reversed(lines) if line.strip()), "")
