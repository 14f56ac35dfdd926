"""The callable that Hydra runs for each job, and the studies of its command."""

import contextlib
import logging
import os
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any

import polars as pl
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import filter_overrides
from hydra.types import RunMode
from jax.errors import JaxRuntimeError
from omegaconf import DictConfig

from memcap.config.member import Member
from memcap.knobs import UserError
from memcap.launch.errors import exit_with, one_line
from memcap.launch.jobs import Job, Settings, job_of, use_config_folders
from memcap.report.tables import par2_score, print_summary, summarize, totals
from memcap.runtime import cores, signals
from memcap.runtime.signals import Interrupted
from memcap.store import shards
from memcap.store.rows import one_per_key
from memcap.studies.run import run_study
from memcap.studies.writer import members_table
from memcap.tracking import Tracker

log = logging.getLogger(__name__)


class Ledger:
    """The studies of one command, each by its `Settings.at_the_end`."""

    def __init__(self, session: str, command: str = "") -> None:
        self.session = session
        self.command = command
        self.rows: dict[
            Settings, list[pl.DataFrame]
        ] = {}  # of the jobs that were trained in this process
        # the members of all jobs, wherever they train; empty if they are not known beforehand
        self.expected: dict[Settings, dict[Member, None]] = {}
        self.trackers: dict[Settings, Tracker] = {}  # until all jobs have ended

    def expect(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            members = self.expected.setdefault(job.settings.at_the_end, {})
            members.update(dict.fromkeys(job.members))
        for study in self.expected:
            self.track(study)

    def track(self, study: Settings) -> None:
        tracking = study.tracking
        if study in self.trackers or tracking.mode == "off" or tracking.is_disabled:
            return
        members = members_table(list(self.expected.get(study, ())))
        followed = replace(study.study, session=self.session, command=self.command)
        self.trackers[study] = Tracker(tracking, followed, members)

    def end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if isinstance(error, Interrupted):
            self.count(error)
        interrupted = kind is not None and not issubclass(kind, Exception)
        try:
            for study, rows in () if interrupted else self.rows_by_study().items():
                print_summary(summarize(rows, study.folder))
        finally:
            for tracker in self.trackers.values():
                # waits less if the command was interrupted
                tracker.__exit__(kind, error, trace)
        if not interrupted:
            for tracker in self.trackers.values():
                if tracker.where:
                    print(tracker.where)

    def count(self, interrupted: Interrupted) -> None:
        """Add the rows of ended jobs to those that an interruption reports as saved."""
        tables = self.rows_by_study()
        if tables or interrupted.rows_saved is not None:
            saved = interrupted.rows_saved or 0
            interrupted.rows_saved = saved + sum(
                rows.height for rows in tables.values()
            )

    def rows_by_study(self) -> dict[Settings, pl.DataFrame]:
        """Return each study's rows: those trained here, or else those in its folder."""
        if self.rows:
            return {s: one_per_key(rows) for s, rows in self.rows.items() if rows}
        tables = {}
        for study, members in self.expected.items():
            if study.folder.exists():
                rows = shards.read(study.folder)
                keys = [member.key for member in members]
                tables[study] = rows.filter(pl.col("key").is_in(keys)) if keys else rows
        return {study: rows for study, rows in tables.items() if rows.height}


class Session:
    """A context manager that trains the jobs of one command, and prints all results at
    its end, even if one failed.

    Launchers also send it to other processes; their results are printed here, from
    their rows.
    """

    def __init__(self, command: str) -> None:
        self.command = command  # the command line, as it was typed
        self.start = Path.cwd()
        self.process = os.getpid()
        self.session = (
            shards.new_session()
        )  # digits in the names of all files that its jobs write
        self.ledger = Ledger(self.session, command)
        self.contexts = contextlib.ExitStack()  # these end with the command

    def __getstate__(self) -> dict[str, Any]:
        # No process of another host has the number 0, but one may have ours.
        return vars(self) | {
            "process": 0,
            "ledger": Ledger(self.session),
            "contexts": None,
        }

    def __call__(self, config: DictConfig) -> float:
        """Train one job and return its score; a mistake in the only job ends the
        process."""
        hydra = HydraConfig.get()
        use_config_folders(hydra)
        try:
            with contextlib.chdir(
                self.start
            ):  # not in that of hydra.job.chdir, where no rerun looks
                return self.result(self.train([job_of(config, hydra.runtime.choices)]))
        except (UserError, OSError, JaxRuntimeError) as error:
            line = one_line(error)
            if line is None:
                raise
            if hydra.mode == RunMode.MULTIRUN:
                if isinstance(error, JaxRuntimeError):
                    raise UserError(line) from error
                raise
            exit_with(line)  # if it were raised, Hydra would announce it first

    def train(self, jobs: Sequence[Job]) -> pl.DataFrame:
        settings = jobs[0].settings
        key = settings.at_the_end
        tables = self.ledger.rows.setdefault(key, [])
        members = list(dict.fromkeys(member for job in jobs for member in job.members))
        if os.getpid() == self.process:
            self.ledger.track(key)
        study = replace(settings.study, session=self.session, command=self.command)
        with self.in_worker_process():
            rows = run_study(members, settings.engine, study)
        tables.append(rows)
        return rows

    @contextlib.contextmanager
    def in_worker_process(self) -> Generator[None]:
        """End by signals as the command does, and leave others their cores."""
        if os.getpid() == self.process:
            yield
            return
        # joblib and Ray give the cores of a job in OMP_NUM_THREADS
        if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
            os.environ.setdefault(
                cores.CORES_VARIABLE, os.environ.get("OMP_NUM_THREADS") or "1"
            )
        with signals.watching():
            yield

    def result(self, rows: pl.DataFrame) -> float:
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            log.info(f"{job_label()}: {totals(rows)}")
        return par2_score(rows)

    def __enter__(self) -> "Session":
        self.contexts.enter_context(signals.saving(self.ledger.count))
        self.contexts.push(self.ledger.end)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.contexts.__exit__(kind, error, trace)


def job_label() -> str:
    job = HydraConfig.get()
    return " ".join([f"#{job.job.num}", *filter_overrides(job.overrides.task)])
