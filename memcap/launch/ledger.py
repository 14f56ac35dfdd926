"""The studies of one command while it runs: their expected members, their trackers, and
their rows."""

from collections.abc import Iterable
from dataclasses import replace
from types import TracebackType

import polars as pl

from memcap.config.member import Member
from memcap.launch.jobs import Job, Settings
from memcap.report.job_end import print_summary, summarize
from memcap.runtime.signals import Interrupted
from memcap.store import shards
from memcap.store.rows import one_per_key
from memcap.studies.writer import members_table
from memcap.tracking import Tracker


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
        """Record jobs before they run, and start to track their studies; for jobs that
        a sweeper makes up as it goes, without members."""
        studies = dict.fromkeys(self._expect(job) for job in jobs)
        for study in studies:
            self.track(study)

    def _expect(self, job: Job) -> Settings:
        study = job.settings.at_the_end
        self.expected.setdefault(study, {}).update(dict.fromkeys(job.members))
        return study

    def track(self, study: Settings) -> None:
        """Start to follow the study's folder, unless it is followed or tracking is off."""
        if study in self.trackers or study.tracking.is_off:
            return
        members = members_table(list(self.expected.get(study, ())))
        followed = replace(study.study, session=self.session, command=self.command)
        self.trackers[study] = Tracker(study.tracking, followed, members)

    def end(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Print the studies' results, unless the command was interrupted; end the tracking."""
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
        """Add the rows of ended jobs to the count of saved rows that an interruption reports."""
        tables = self.rows_by_study()
        if tables or interrupted.rows_saved is not None:
            saved = interrupted.rows_saved or 0
            interrupted.rows_saved = saved + sum(
                rows.height for rows in tables.values()
            )

    def rows_by_study(self) -> dict[Settings, pl.DataFrame]:
        """Return the rows of each study: those trained here, or else those that others
        left in its folder."""
        tables = {study: one_per_key(rows) for study, rows in self.rows.items() if rows}
        elsewhere = {} if self.rows else self.expected
        for study, members in elsewhere.items():
            if not study.folder.exists():
                continue
            rows = shards.read(study.folder)
            if members:
                rows = rows.filter(
                    pl.col("key").is_in([member.key for member in members])
                )
            if rows.height:
                tables[study] = rows
        return tables
