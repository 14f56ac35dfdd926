"""A run of a job: what its folder lacks of its members, trained, and every row written as it comes."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from memcap import loops
from memcap.config import Engine, Member
from memcap.designs import SearchOfWidths, search_by
from memcap.designs.adaptive import Adaptive
from memcap.designs.bisect import Outcome
from memcap.designs.race import Race
from memcap.runtime import jax_setup, signals
from memcap.runtime.signals import Interrupted
from memcap.store import heartbeat, shards
from memcap.store.heartbeat import JobProgress
from memcap.store.rows import frame, one_per_key, passed_column, without_failed
from memcap.studies.checkpoints import Checkpoints
from memcap.studies.progress import ProgressBar
from memcap.studies.writer import StudyWriter, members_table
from memcap.training.engine import Result, train


@dataclass(frozen=True)
class Todo:
    """What a folder holds of a job, and what it lacks.

    Args:
        rows: of the members that it holds.
        missing: the other members, each once.
        search: of a design that decides as it goes, which knows the rows; None: every missing member is
            trained.
        first: to train first: all that is missing, or what the search begins with.
        most: how many are trained at most; where counts are not monotone in width, a search may come to want
            more.
        usual: about how many, where a search knows that of simulated studies.
    """

    rows: pl.DataFrame
    missing: list[Member]
    search: SearchOfWidths | None
    first: list[Member]
    most: int
    usual: int | None = None


def what_is_missing(
    members: Sequence[Member], folder: Path | None, design: str, precision: float | None = None
) -> Todo:
    """Look into a study's folder, and write nothing.

    Args:
        members: the job's.
        folder: the study's, which need not exist; None: there are no rows.
        design: "grid"; "bisect", see `memcap.designs.bisect`; "adaptive", see `memcap.designs.adaptive`;
            "race", see `memcap.designs.race`.
        precision: of the design "adaptive"; None: its default.

    Raises:
        UserError: members that cannot be searched.
    """
    all_members = members if design != "race" else Race(members, {}).candidates
    by_key = {member.key: member for member in all_members}
    there = shards.read(folder) if folder is not None and folder.exists() else frame([])
    rows = without_failed(there.filter(pl.col("key").is_in(list(by_key))))
    keys = set(rows["key"])
    missing = [member for key, member in by_key.items() if key not in keys]
    if design == "grid":
        return Todo(rows, missing, None, missing, len(missing))
    ends = rows.select("key", passed_column(), "steps", pl.col("best").fill_null(math.nan))
    outcomes = {by_key[key]: Outcome.of(by_key[key], *end) for key, *end in ends.iter_rows()}
    search = search_by(design, members, outcomes, precision)
    first = search.first_members()
    usual = search.usual if isinstance(search, Adaptive) else None
    return Todo(rows, missing, search, first, search.estimate if first else 0, usual)


def run_study(
    members: Sequence[Member],
    engine: Engine,
    folder: Path | None,
    study: str,
    design: str = "grid",
    quiet: bool = False,
    command: str | None = None,
    session: str = "",
    precision: float | None = None,
) -> pl.DataFrame:
    """Train what is missing.

    Args:
        members: the job's members.
        engine: how members share the machine.
        folder: the study's folder; rows that it holds are not trained again, unless the member failed, and
            half-trained members go on. None: nothing is written.
        study: name of the study, in every row.
        design: "grid" trains all members; "bisect" those that find the thresholds, see
            `memcap.designs.bisect`; "adaptive" fewer, see `memcap.designs.adaptive`; "race" first those that
            tell which recipe to take, see `memcap.designs.race`.
        quiet: show no progress.
        command: what was typed to start it, for `memcap status`.
        session: 8 hexadecimal digits that all jobs of one command have in common (`shards.new_session`), so
            that one who follows the folder knows their files; "": the job is alone.
        precision: of the design "adaptive"; None: its default.

    Returns:
        The rows of these members, as far as the design wanted them.
    """
    jax_setup.setup()
    jax_setup.platform()
    loops.check(engine.loop)
    if folder is not None:
        shards.prepare(folder)
        shards.remove_stale_files(folder)
    todo = what_is_missing(members, folder, design, precision)
    search, there = todo.search, todo.rows.height
    token = shards.new_token(session)
    candidates = members if search is None else search.candidates
    checkpoints = None if folder is None else Checkpoints(folder, candidates, engine, token)
    solved_before = int(todo.rows["solved"].sum())
    progress = JobProgress(todo.most, there, study, command, token, search is not None, solved_before)
    writer = StudyWriter(folder, study, progress, checkpoints)

    def next_members(results: Sequence[Result]) -> list[Member]:
        assert search is not None
        more = [
            member
            for each in results
            for member in search.next_members(
                each.member, Outcome.of(each.member, each.passed, each.steps, each.best)
            )
        ]
        progress.expect(search.estimate)
        return more

    def save(interrupted: Interrupted) -> None:
        writer.flush()
        writer.count(interrupted)

    try:
        with (
            signals.saving(save),
            ProgressBar(progress, quiet),
            heartbeat.writing(folder, progress, members_table(todo.missing if todo.first else [])),
            writer,
        ):
            if todo.first:
                how = (next_members, candidates, ()) if search else (None, (), members)
                train(todo.first, engine, writer, *how)
                if checkpoints is not None:
                    # The rest are of members that a search wanted before, and now does not.
                    checkpoints.drop(list(checkpoints.states))
    except Interrupted as interrupted:
        writer.count(interrupted)
        raise
    return one_per_key([todo.rows, frame(writer.rows)])
