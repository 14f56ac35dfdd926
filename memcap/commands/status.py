"""Print the progress of a study: what is done, what runs, what failed, and how to resume it.

Run it from another shell while the study trains, or afterwards. Counts come from the
rows, which a job writes every few seconds. A member counts as running after its first
chunk of training steps. If a job was killed, the command says so, with the time of its
last heartbeat.

Read more: memcap docs train
"""

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from memcap.commands.arguments import add_json, add_results
from memcap.runtime.plugins import command_with_modules
from memcap.store.columns import Row
from memcap.store.heartbeat import Heartbeat, Running
from memcap.store.rows import JUDGED
from memcap.store.status import Failure, Status, status, studies
from memcap.terminal.words import (
    Column,
    Listing,
    NumberColumn,
    duration,
    plural,
    print_json,
    printable,
    show,
)

SHOWN = 10  # members shown, of the running and of the failed ones
RUNNING = (
    Column("key"),
    Column("member"),
    NumberColumn("step"),
    NumberColumn("budget", "most training steps"),
    NumberColumn("loss", "mean loss over its last chunk"),
    Column("trains", "time since it began"),
)
FAILED = (Column("key"), Column("member"), Column("reason", folds=True))


def add_arguments(parser: ArgumentParser) -> None:
    add_results(parser)
    add_json(parser)


def run(arguments: Namespace) -> None:
    statuses = [status(folder) for folder in studies(arguments.results)]
    if arguments.json:
        print_json(list(map(_columns, statuses)))
        return
    for place, study in enumerate(statuses):
        if place:
            show("")
        _print(study)


def _columns(study: Status) -> Row:
    jobs = [asdict(job) | {"state": state(job)} for job in study.jobs]
    for job in jobs:
        job["heard"] = job.pop("updated")
        job["left"] = job.pop("seconds_left")
    commands = map(_again, study.unfinished)
    return asdict(study) | {
        "members": study.members,
        "jobs": jobs,
        "goes_on": [command.removeprefix("Resume with: ") for command in commands],
    }


def _print(study: Status) -> None:
    for sentence in sentences(study):
        show(sentence)
    if study.longest:
        show(_running(study.longest, study.running))
    if study.failed:
        show(_failed(study.failed))
    for line in goes_on(study):
        print(printable(line))  # unfolded, for copying


def sentences(study: Status) -> list[str]:
    judged = study.done - study.by_loss
    most = "at most " if study.at_most and study.members > study.done else ""
    members = plural(study.members, "member")
    verdicts = []
    if judged or not study.by_loss:
        every = "" if study.up_to is None else f", {study.up_to:,} of them at every lag"
        others = judged - study.solved
        verdicts.append(f"{study.solved:,} solved{every}, {others:,} not")
    if study.by_loss:
        verdicts.append(f"{study.by_loss:,} {JUDGED}")
    diverged = f" ({study.diverged:,} diverged)" if study.diverged else ""
    lines = [
        f"{study.folder}: {study.done:,} of {most}{members} done:"
        f" {', '.join(verdicts)}{diverged}; {len(study.failed):,} failed."
    ]
    if any(job.alive for job in study.jobs):
        pace = []
        if study.left is not None:
            pace.append(f"{most}about {duration(round(study.left))} left")
        if not study.running:
            pace.append("compiling, or in the first steps")
        now = f"{study.running:,} running, {study.waiting:,} waiting"
        lines.append(f"{now}; {', '.join(pace)}." if pace else f"{now}.")
    if study.left_over:
        lines.append(
            f"{plural(study.left_over, 'member')} unfinished: no running job trains them."
        )
    over = study.done == study.members  # then interrupted jobs no longer matter
    lines += [
        f"Job {job.pid} on {job.host}: {state(job)}."
        for job in study.jobs
        if job.ended != "done" and (job.alive or not over)
    ]
    if study.unreadable:
        bad = plural(len(study.unreadable), "file")
        folder = shlex.quote(str(study.folder))
        lines.append(f"{bad} of rows cannot be read: memcap verify {folder}")
    return lines


def state(job: Heartbeat) -> str:
    age = duration(round(job.age))
    if job.ended is not None:
        return f"{job.ended}, {age} ago"
    if job.alive:
        return f"trains, for {duration(round(job.updated - job.started))}"
    if job.ahead:
        ahead = duration(round(job.ahead))
        return f"its last heartbeat is dated {ahead} ahead of this host's clock"
    if job.exists:
        return f"no heartbeat for {age}"
    return f"killed: its process is gone; last heartbeat {age} ago"


def goes_on(study: Status) -> list[str]:
    if study.left_over or study.failed:
        return list(dict.fromkeys(map(_again, study.unfinished)))
    if study.running or study.waiting:
        return []
    return [f"Then: {command_with_modules(study.names, 'frontier', str(study.folder))}"]


def _again(job: Heartbeat) -> str:
    """Say how to train a job's members. Only a command of memcap is advised."""
    if job.command is None:
        return "Resume with: the same call of memcap.train, with this folder"
    try:
        words = shlex.split(job.command)
    except ValueError:
        words = []
    if words[:2] != ["memcap", "train"] or job.command != shlex.join(words):
        return "Resume with the command that trained it, which its file does not name"
    here = "" if Path(job.folder) == Path.cwd() else f"cd {shlex.quote(job.folder)} && "
    return f"Resume with: {here}{job.command}"


def _running(longest: Sequence[Running], running: int) -> Listing:
    rows = [
        [
            each.key,
            each.name,
            f"{each.step:,}",
            f"{each.budget:,}",
            each.loss,
            duration(round(each.seconds)),
        ]
        for each in longest[:SHOWN]
    ]
    note = f"{len(rows)} of {running}, those that have trained longest."
    notes = [note] if running > len(rows) else []
    return Listing("Running", RUNNING, rows, ("budget", "trains", "loss"), notes)


def _failed(failed: Sequence[Failure]) -> Listing:
    rows = [[each.key, each.name, each.reason] for each in failed[:SHOWN]]
    notes = [f"The first {SHOWN} of {len(failed)}."] if len(failed) > SHOWN else []
    return Listing("Failed", FAILED, rows, notes=notes)
