"""What Hydra calls to run a job, whatever launcher has it run."""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import NoReturn

import polars as pl
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import filter_overrides
from hydra.types import RunMode
from omegaconf import DictConfig

from memcap.config import Member
from memcap.interrupts import Interrupted
from memcap.knobs import UserError
from memcap.launchers.jobs import Job, Settings, job_of, look_where_hydra_does
from memcap.report import counted, print_outcome, print_places
from memcap.studies import store
from memcap.studies.job import run
from memcap.studies.outcome import conclude, score
from memcap.tracking import Tracker, open_tracker

log = logging.getLogger(__name__)


class Training:
    """Trains jobs, and says at the end what all of them found; a context manager.

    What has ended by then is said also where a job failed; not where the command was interrupted, or ended by a mistake.

    Args:
        command: what was typed.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.rows: dict[Settings, list[pl.DataFrame]] = {}
        self.trackers: dict[Settings, Tracker] = {}  # by where the rows go, and open until all jobs have ended
        self.start, self.process = Path.cwd(), os.getpid()

    def __call__(self, config: DictConfig) -> float:
        """Train one job; a mistake in it ends the process. Returns its score, see `memcap.studies.outcome.score`."""
        look_where_hydra_does(HydraConfig.get())
        try:
            return self.result(self.train([job_of(config)]))
        except UserError as error:  # raised, it would first be announced by Hydra
            stop(str(error))

    def train(self, jobs: Sequence[Job]) -> pl.DataFrame:
        """Train the members of jobs that have their settings in common, and keep the rows for the end.

        Args:
            jobs: at least one.

        Returns:
            The rows of all of them.
        """
        settings = jobs[0].settings
        members = list(dict.fromkeys(member for job in jobs for member in job.members))
        place = settings
        if not settings.folder.is_absolute():  # hydra.job.chdir: the job is in a folder of its own, which it will leave
            place = replace(settings, folder=Path(os.path.relpath(settings.folder, self.start)))
        if os.getpid() != self.process:  # of a launcher that has a process for each job, where nothing comes after the job
            with _tracker(settings, f"job {HydraConfig.get().job.num}") as tracker:
                return self._run(members, settings, tracker)
        if place not in self.trackers:
            self.trackers[place] = _tracker(settings)
        rows = self._run(members, settings, self.trackers[place])
        self.rows.setdefault(place, []).append(rows)
        return rows

    def _run(self, members: Sequence[Member], settings: Settings, tracker: Tracker) -> pl.DataFrame:
        return run(members, settings.engine, settings.folder, settings.study, tracker, settings.design, command=self.command)

    def result(self, rows: pl.DataFrame) -> float:
        """Say in the log of the job that Hydra runs now what became of its members. Returns its score."""
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            log.info(f"{named()}: {counted(rows)}")
        return score(rows)

    def __enter__(self) -> "Training":
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        tables = {settings: store.merged(rows) for settings, rows in self.rows.items()}
        if isinstance(error, Interrupted) and (tables or error.kept is not None):
            error.kept = (error.kept or 0) + sum(rows.height for rows in tables.values())
        with ExitStack() as stack:
            for tracker in self.trackers.values():
                stack.push(tracker)
            if kind is not None and not issubclass(kind, Exception):
                return
            for settings, rows in tables.items():
                print_outcome(conclude(rows, settings.folder, settings.study, self.trackers[settings]))
        print_places(tracker.where for tracker in self.trackers.values())


def named() -> str:
    """The job that Hydra runs now, by its number and overrides."""
    job = HydraConfig.get()
    return " ".join([f"#{job.job.num}", *filter_overrides(job.overrides.task)])


def stop(line: str) -> NoReturn:
    """End the process as a user's mistake does. Hydra turns exceptions of a callback into warnings, but not this."""
    print(f"memcap: {line}", file=sys.stderr)
    sys.exit(2)


def _tracker(settings: Settings, job: str = "") -> Tracker:
    tracking, engine = settings.tracking, settings.engine
    part = f"{engine.shard} of {engine.shards}" if engine.shards > 1 else ""
    return open_tracker(
        tracking.mode,
        project=tracking.project,
        entity=tracking.entity,
        study=settings.study,
        part=" ".join(filter(None, (part, job))),
        directory=settings.folder,
        wandb_mode=tracking.wandb,
        runs=tracking.runs,
    )
