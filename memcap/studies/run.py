"""A run of one job: trains the members that the study's folder lacks, and writes each
row as it comes."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import polars as pl

from memcap import loops
from memcap.config.member import Engine, Member
from memcap.designs import Design, Outcome, search_by
from memcap.designs.race import Race
from memcap.runtime import jax_setup, signals
from memcap.runtime.signals import Interrupted
from memcap.store import heartbeat, shards
from memcap.store.heartbeat import JobProgress
from memcap.store.rows import frame, one_per_key, passed_column, without_failed
from memcap.store.shards import Study
from memcap.studies.checkpoints import Checkpoints
from memcap.studies.progress import ProgressBar
from memcap.studies.writer import StudyWriter, members_table
from memcap.tasks import FileTask
from memcap.terminal.words import warn_once
from memcap.training.engine import Result, train


@dataclass(frozen=True)
class Todo:
    """The part of a job that its folder holds, and the part that is missing."""

    rows: pl.DataFrame  # rows in the folder of the job's members
    finished: frozenset[str]  # keys of all rows in the folder, including other members'
    missing: list[Member]  # the job's other members, each once
    candidates: Sequence[Member]  # all members that may be trained
    # of a design that chooses by results; None: every missing member is trained
    search: Design | None
    # the members to train first: all missing ones, or those with which the search begins
    first: list[Member]
    # most members that will be trained; a search may want more if counts are not
    # monotone
    most: int
    # the number that such a search trains in simulated studies, if known
    usual: int | None = None


def what_is_missing(members: Sequence[Member], study: Study) -> Todo:
    """Compare a job's members with the rows in the study's folder, which need not
    exist; write nothing."""
    candidates = members if study.design != "race" else Race(members, {}).candidates
    by_key = {member.key: member for member in candidates}
    folder = study.folder
    there = shards.read(folder) if folder is not None and folder.exists() else frame([])
    there = without_failed(there)
    finished = frozenset(there["key"])
    rows = there.filter(pl.col("key").is_in(list(by_key)))
    missing = [member for key, member in by_key.items() if key not in finished]
    if not study.is_searched:
        return Todo(rows, finished, missing, members, None, missing, len(missing))
    best = pl.col("best").fill_null(math.nan)
    ends = rows.select("key", passed_column(), "steps", best)
    outcomes = {
        by_key[key]: Outcome.of(by_key[key], *end) for key, *end in ends.iter_rows()
    }
    search = search_by(study.design, members, outcomes, study.precision)
    first = search.first_members()
    most = search.estimate if first else 0
    return Todo(
        rows, finished, missing, search.candidates, search, first, most, search.usual
    )


def run_study(
    members: Sequence[Member], engine: Engine, study: Study, quiet: bool = False
) -> pl.DataFrame:
    """Train the members that are missing; `quiet`: show no progress. Return the rows of
    those members that the design wanted.

    Members with rows are not trained again, unless they failed. Half-trained members continue.
    """
    jax_setup.setup()
    jax_setup.platform()
    loops.check(engine.loop)
    lags: dict[FileTask, int] = {}
    for member in members:
        if isinstance(member.task, FileTask):
            lags[member.task] = max(member.lag, lags.get(member.task, 0))
    for task, lag in lags.items():
        for doubt in task.doubts(lag):
            warn_once(doubt)
    if study.folder is not None:
        shards.prepare(study.folder)
    todo = what_is_missing(members, study)
    solved = int(todo.rows["solved"].sum())
    progress = JobProgress(todo.most, study, todo.rows.height, solved)
    progress.by_loss = all(member.task.rule.by_loss for member in members)
    checkpoints = None
    if study.folder is not None:
        checkpoints = Checkpoints(
            study.folder, todo.candidates, engine, progress.token, todo.finished
        )
    writer = StudyWriter(progress, checkpoints)
    to_come = members_table(todo.missing if todo.first else [])

    def save(interrupted: Interrupted) -> None:
        writer.flush()
        writer.count(interrupted)

    try:
        with (
            signals.saving(save),
            ProgressBar(progress, quiet),
            heartbeat.writing(progress, to_come),
            writer,
        ):
            if todo.first:
                _train(todo, engine, writer)
    except Interrupted as interrupted:
        writer.count(interrupted)
        raise
    return one_per_key([todo.rows, frame(writer.rows)])


def _train(todo: Todo, engine: Engine, writer: StudyWriter) -> None:
    """Train the first members of a job, and all that its search then wants."""
    search = todo.search
    if search is None:
        train(todo.first, engine, writer, None, (), todo.candidates)
    else:

        def next_members(results: Iterable[Result]) -> list[Member]:
            more = []
            for end in results:
                outcome = Outcome.of(end.member, end.passed, end.steps, end.best)
                more += search.next_members(end.member, outcome)
            writer.progress.expect(search.estimate)
            return more

        train(todo.first, engine, writer, next_members, todo.candidates)
    if writer.checkpoints is not None:
        # The rest are members that an earlier search wanted, and this one does not.
        writer.checkpoints.drop(list(writer.checkpoints.states))
