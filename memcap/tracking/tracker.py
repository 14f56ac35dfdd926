"""The tracker of a job: a thread that calls the mirror every few seconds."""

import threading
import time
from typing import Self

import polars as pl

from memcap.runtime import signals
from memcap.store.study import Study
from memcap.terminal.words import Waiting, warn_once
from memcap.tracking.mirror import Mirror
from memcap.tracking.settings import Tracking

SECONDS_BETWEEN_LOOKS = 3.0
SECONDS_AT_THE_END = 50.0  # in which the rest is sent
SECONDS_WHEN_INTERRUPTED = 0.5
SECONDS_BETWEEN_SIGNALS = 0.1


class Tracker:
    """Sends a study's folder while jobs train in it; a context manager, which sends the rest.

    A service that hangs is left behind with its thread.

    Args:
        settings: the knobs of tracking. study: the study of the jobs that it follows.
        members: members that may come, with the columns of
            `memcap.store.heartbeat.MEMBERS`, as far as they are known.
    """

    def __init__(self, settings: Tracking, study: Study, members: pl.DataFrame):
        assert study.folder is not None
        self.where = ""  # once it has ended: where to find the runs, in one line
        self._folder = study.folder
        self._mirror = Mirror(
            settings,
            study.name,
            study.folder.absolute(),  # even if the job changes its folder
            study.session,
            study.command or "",
            members,
        )
        self._over = threading.Event()
        self._with_results = True
        self._thread = threading.Thread(
            target=self._follow, name="memcap-tracking", daemon=True
        )
        self._thread.start()

    def _follow(self) -> None:
        try:
            while not self._over.wait(SECONDS_BETWEEN_LOOKS):
                self._mirror.send()
            self.where = self._mirror.finish(self._with_results)
        except Exception as error:  # of the folder: training goes on
            warn_once(f"tracking does not work and is left: {error}")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: object, trace: object
    ) -> None:
        """Wait until all is sent, but only half a second after an interrupt, and not
        after a user's mistake. A warning counts what was not sent."""
        is_mistake = kind is not None and issubclass(kind, SystemExit)
        is_interrupted = kind is not None and not issubclass(kind, Exception)
        self._with_results = not is_interrupted
        self._over.set()
        if not is_mistake:
            self._wait(
                SECONDS_WHEN_INTERRUPTED if is_interrupted else SECONDS_AT_THE_END
            )
        self._mirror.sender.works = False
        is_left = self._thread.is_alive()
        if not is_mistake and (left := self._mirror.left(self._folder, is_left)):
            warn_once(left)

    def _wait(self, seconds: float) -> None:
        end = time.monotonic() + seconds
        with Waiting("sending the last results (Ctrl-C ends this), a minute at most"):
            while self._thread.is_alive() and (now := time.monotonic()) < end:
                if signals.pending():
                    end = min(end, now + SECONDS_WHEN_INTERRUPTED)
                self._thread.join(SECONDS_BETWEEN_SIGNALS)
