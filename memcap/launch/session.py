"""What Hydra calls to run a job, whatever launcher has it run."""

import contextlib
import logging
import os
import sys
from collections.abc import Generator, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, NoReturn

import polars as pl
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import filter_overrides
from hydra.types import RunMode
from jax.errors import JaxRuntimeError
from omegaconf import DictConfig

from memcap.config import Engine, Member
from memcap.knobs import UserError, of_disk
from memcap.launch.composer import Composer
from memcap.launch.jobs import Job, Settings, job_of, use_config_folders
from memcap.report.tables import par2_score, print_places, print_summary, summarize, totals
from memcap.runtime import cores, signals
from memcap.runtime.signals import Interrupted
from memcap.store import shards
from memcap.store.rows import one_per_key
from memcap.studies.run import run_study
from memcap.studies.writer import members_table
from memcap.tracking import MirrorProcess

log = logging.getLogger(__name__)


class Session:
    """Trains jobs, and says at the end what all of them found; a context manager.

    What has ended by then is said also where a job failed; not where the command was interrupted, or ended by
    a mistake.

    Launchers send it to other processes, too, where it does what the command does here; the end is said here,
    from their rows.

    Args:
        command: what was typed.
    """

    def __init__(self, command: str) -> None:
        self.command = command
        self.start = Path.cwd()
        self.process = os.getpid()
        self.composer: Composer | None = None  # of a multirun's jobs
        self.rows: dict[Settings, list[pl.DataFrame]] = {}  # of what was trained here, by its `_study`
        # of the jobs, wherever they train; none: not known before
        self.expected: dict[Settings, dict[Member, None]] = {}
        self.session = shards.new_session()  # in the names of what all its jobs write
        self.mirrors: dict[Settings, MirrorProcess] = {}  # by `_study`, until all jobs have ended
        self.saving, self.waits_elsewhere = contextlib.ExitStack(), contextlib.ExitStack()

    def __getstate__(self) -> dict[str, Any]:
        # No process of another host has the number 0, though one may have ours.
        here = {"composer": None, "rows": {}, "expected": {}, "mirrors": {}}
        return vars(self) | {"process": 0, **here, "saving": None, "waits_elsewhere": None}

    def add_jobs(self, jobs: Iterable[Job]) -> None:
        """Say before they run which jobs there will be; of jobs that a sweeper makes up as it goes one
        without members."""
        engines: dict[Settings, list[Engine]] = {}
        for job in jobs:
            study = _study(job.settings)
            self.expected.setdefault(study, {}).update(dict.fromkeys(job.members))
            engines.setdefault(study, []).append(job.settings.engine)
        for study, each in engines.items():
            self._mirror(study, each)

    def __call__(self, config: DictConfig) -> float:
        """Train one job; a mistake in the only one ends the process. Returns its score, see
        `memcap.report.tables.par2_score`."""
        use_config_folders(HydraConfig.get())
        try:
            return self.result(self.train([job_of(config)]))
        except (UserError, OSError, JaxRuntimeError) as error:
            line = one_line(error)
            if line is None:
                raise
            if HydraConfig.get().mode == RunMode.MULTIRUN:
                if isinstance(error, JaxRuntimeError):
                    raise UserError(line) from error
                raise
            exit_with(line)  # raised, Hydra would announce it first

    def train(self, jobs: Sequence[Job]) -> pl.DataFrame:
        """Train the members of jobs that have their settings in common, and keep the rows for the end.

        Args:
            jobs: at least one.

        Returns:
            The rows of all of them.
        """
        settings = jobs[0].settings
        folder = settings.folder
        # hydra.job.chdir: the job is in a folder of its own, which it will leave
        if not folder.is_absolute():
            folder = Path(os.path.relpath(folder, self.start))
        study = _study(replace(settings, folder=folder))
        tables = self.rows.setdefault(study, [])
        members = list(dict.fromkeys(member for job in jobs for member in job.members))
        if os.getpid() == self.process:
            self._mirror(study, [settings.engine])
        with self.in_worker_process():
            rows = run_study(
                members,
                settings.engine,
                settings.folder,
                settings.study,
                settings.design,
                command=self.command,
                session=self.session,
                precision=settings.precision,
            )
        tables.append(rows)
        return rows

    def _mirror(self, study: Settings, engines: Iterable[Engine]) -> None:
        """Have a process follow the study's folder, wherever its jobs train, unless tracking is off or one
        does."""
        if study not in self.mirrors and not study.tracking.is_off:
            members, part = members_table(list(self.expected.get(study, ()))), shares(engines)
            self.mirrors[study] = MirrorProcess(
                study.tracking, study.folder, study.study, self.session, members, part
            )

    @contextlib.contextmanager
    def in_worker_process(self) -> Generator[None]:
        """In another process than the command's: end by signals as the command does, and leave the other jobs
        their cores."""
        if os.getpid() == self.process:
            yield
            return
        # joblib and Ray say how many cores a job has by OMP_NUM_THREADS
        if os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
            os.environ.setdefault(cores.CORES_VARIABLE, os.environ.get("OMP_NUM_THREADS") or "1")
        with signals.watching():
            yield

    def result(self, rows: pl.DataFrame) -> float:
        """Say in the log of the job that Hydra runs now what became of its members. Returns its score."""
        if HydraConfig.get().mode == RunMode.MULTIRUN:
            log.info(f"{job_label()}: {totals(rows)}")
        return par2_score(rows)

    def wait_elsewhere(self) -> None:
        """From now on a launcher that is not ours may wait for the jobs."""
        self.waits_elsewhere.enter_context(signals.raising())

    def __enter__(self) -> "Session":
        self.saving.enter_context(signals.saving(self._count))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.waits_elsewhere.__exit__(kind, error, trace)
        try:
            self._end(kind, error, trace)
        finally:
            self.saving.__exit__(kind, error, trace)

    def _end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if isinstance(error, Interrupted):
            self._count(error)
        interrupted = kind is not None and not issubclass(kind, Exception)
        try:
            for study, rows in () if interrupted else self.rows_by_study().items():
                summary = summarize(rows, study.folder)
                print_summary(summary)
        finally:
            for mirror in self.mirrors.values():
                mirror.__exit__(kind, error, trace)  # which waits less for one that was interrupted
        if not interrupted:
            print_places(mirror.where for mirror in self.mirrors.values())

    def _count(self, interrupted: Interrupted) -> None:
        """Count the rows of the jobs that have ended."""
        tables = self.rows_by_study()
        if tables or interrupted.rows_saved is not None:
            saved = interrupted.rows_saved or 0
            interrupted.rows_saved = saved + sum(rows.height for rows in tables.values())

    def rows_by_study(self) -> dict[Settings, pl.DataFrame]:
        """The rows of each study: those trained here; if none ever was, those that other processes left in
        its folder."""
        tables = {study: one_per_key(rows) for study, rows in self.rows.items() if rows}
        elsewhere = {} if self.rows else self.expected
        for study, members in elsewhere.items():
            if not study.folder.exists():
                continue
            rows = shards.read(study.folder)
            if members:
                rows = rows.filter(pl.col("key").is_in([member.key for member in members]))
            if rows.height:
                tables[study] = rows
        return tables


def _study(settings: Settings) -> Settings:
    """What jobs have in common that are one study at the end, such as its shares."""
    return replace(settings, engine=Engine(), design="")


def job_label() -> str:
    """The job that Hydra runs now, by its number and overrides."""
    job = HydraConfig.get()
    return " ".join([f"#{job.job.num}", *filter_overrides(job.overrides.task)])


def one_line(error: UserError | OSError | JaxRuntimeError) -> str | None:
    """What the user can mend; None where it is nothing of the kind."""
    if isinstance(error, UserError):
        return str(error)
    if isinstance(error, OSError):
        line = of_disk(error)
        return line and f"{line}; set out to another folder"
    if "RESOURCE_EXHAUSTED" not in str(error):
        return None
    return f"memory: {str(error).splitlines()[0]}; lower engine.lanes, recipe.batch, task.lag or model.units"


def exit_with(line: str) -> NoReturn:
    """End the process as a user's mistake does. Hydra turns exceptions of a callback into warnings, but not
    this."""
    print(f"memcap: {line}", file=sys.stderr)
    sys.exit(2)


def shares(engines: Iterable[Engine]) -> str:
    """Which shares of a study these are, as in "0, 1 of 3"; nothing where they are all of it."""
    indices: dict[int, set[int]] = {}
    for engine in engines:
        indices.setdefault(engine.shards, set()).add(engine.shard)
    parts = [
        f"{', '.join(map(str, sorted(some)))} of {of}"
        for of, some in sorted(indices.items())
        if len(some) < of
    ]
    return "" if len(parts) < len(indices) else "; ".join(parts)
