"""How far a study is, while it trains and afterwards, from another shell: what is done, what runs, what
failed and what goes on.

Counts come from the rows, which a job writes every few seconds. A member counts as running from its first
chunk of training steps on. A job that was killed is named as such, with the time when it was last heard of.
"""

import shlex
from argparse import ArgumentParser, Namespace
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from memcap.printing import Column, Listing, add_json, counted, duration, number, print_json, show
from memcap.studies.heartbeat import Heartbeat, Running
from memcap.studies.status import Failure, Status, status, studies

SHOWN = 10  # members that are shown, of those that run and of those that failed
RUNNING = (
    Column("key"),
    Column("member"),
    Column("step", right=True),
    Column("budget", "most training steps", right=True),
    Column("loss", "mean over its last chunk", right=True),
    Column("trains", "for how long"),
    Column("left", "at most, at its pace so far"),
)


def add_arguments(parser: ArgumentParser) -> None:
    """Which study, and how it is printed."""
    about = "folder of a study, or of many (default: outputs)"
    parser.add_argument("results", type=Path, nargs="?", default=Path("outputs"), help=about)
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print what is known of each study there."""
    found = [status(folder) for folder in studies(arguments.results)]
    if arguments.json:
        print_json([_columns(each) for each in found])
        return
    for place, each in enumerate(found):
        if place:
            show("")
        _say(each)


def _columns(found: Status) -> dict[str, Any]:
    jobs = [_job_columns(job) for job in found.jobs]
    return asdict(found) | {
        "members": found.members,
        "jobs": jobs,
        "goes_on": [_again(job) for job in found.unfinished],
    }


def _job_columns(job: Heartbeat) -> dict[str, Any]:
    """A job, with two fields under the names that they have always had in this JSON."""
    columns = {"updated": "heard", "seconds_left": "left"}
    return {columns.get(name, name): value for name, value in asdict(job).items()} | {"state": state(job)}


def _say(found: Status) -> None:
    for sentence in sentences(found):
        show(sentence)
    if found.longest:
        show(_running(found.longest, found.running))
    if found.failed:
        show(_failed(found.failed))
    for line in goes_on(found):
        print(line)  # whole, to be copied


def sentences(found: Status) -> list[str]:
    """What is known of a study, in words."""
    unsolved = found.done - found.solved
    most = "at most " if found.at_most and found.members > found.done else ""
    what = f"{found.solved:,} solved, {unsolved:,} not" + (
        f" ({found.diverged:,} diverged)" if found.diverged else ""
    )
    said = [
        f"{found.folder}: {found.done:,} of {most}{counted(found.members, 'member')} done: {what};"
        f" {len(found.failed):,} failed."
    ]
    if any(job.alive for job in found.jobs):
        pace = [] if found.a_minute is None else [f"{number(found.a_minute)} members a minute"]
        pace += (
            []
            if found.left is None
            else [f"{'at most' if found.at_most else 'about'} {duration(round(found.left))} left"]
        )
        pace += [] if found.running else ["compiling, or in the first steps"]
        said.append(
            "; ".join(
                filter(None, [f"{found.running:,} running, {found.waiting:,} waiting", ", ".join(pace)])
            )
            + "."
        )
    if found.left_over:
        said.append(
            f"{counted(found.left_over, 'member')} that a job set out to train and nobody has in hand."
        )
    said += [f"Job {job.pid} on {job.host}: {state(job)}." for job in found.jobs if job.ended != "done"]
    if found.unreadable:
        said.append(
            f"{counted(len(found.unreadable), 'file')} of rows cannot be read: memcap verify"
            f" {shlex.quote(str(found.folder))}"
        )
    return said


def state(job: Heartbeat) -> str:
    """What becomes of a job, in words."""
    ago = f"{duration(round(job.age))} ago"
    if job.ended is not None:
        return f"{job.ended}, {ago}"
    if job.alive:
        return f"trains, for {duration(round(job.updated - job.started))}"
    return f"{'silent, or gone' if job.exists else 'killed: its process is gone'}; last heard of {ago}"


def goes_on(found: Status) -> list[str]:
    """The commands that train what nobody has in hand; or, where all is done, what shows it."""
    if found.left_over or found.failed:
        return list(dict.fromkeys(f"Goes on: {_again(job)}" for job in found.unfinished))
    if found.running or found.waiting:
        return []
    return [f"Then: memcap frontier {shlex.quote(str(found.folder))}"]


def _again(job: Heartbeat) -> str:
    if job.command is None:
        return "the same call of memcap.train, with this folder"
    return job.command if Path(job.folder) == Path.cwd() else f"cd {shlex.quote(job.folder)} && {job.command}"


def _running(longest: Sequence[Running], running: int) -> Listing:
    rows = [
        [
            each.key,
            each.name,
            f"{each.step:,}",
            f"{each.budget:,}",
            number(each.loss),
            duration(round(each.seconds)),
            "" if each.left is None else duration(round(each.left)),
        ]
        for each in longest[:SHOWN]
    ]
    notes = [f"{len(rows)} of {running}, those that have trained longest."] if running > len(rows) else []
    return Listing("Running", RUNNING, rows, ("budget", "trains", "loss"), notes)


def _failed(failed: Sequence[Failure]) -> Listing:
    rows = [[each.key, each.name, each.reason] for each in failed[:SHOWN]]
    notes = [f"The first {SHOWN} of {len(failed)}."] if len(failed) > SHOWN else []
    return Listing("Failed", [Column("key"), Column("member"), Column("reason", folds=True)], rows, (), notes)
