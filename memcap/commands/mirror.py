"""Send a study's rows and curves to W&B or trackio, while it trains (--follow) or long
afterwards. If a run exists already, it is continued."""

import os
import signal
import sys
import threading
import time
from argparse import SUPPRESS, ArgumentParser, Namespace
from pathlib import Path
from typing import Any

import polars as pl

from memcap import store
from memcap.commands.arguments import add_strict, location
from memcap.config.knobs import UserError
from memcap.frontiers.frontier import frontier
from memcap.frontiers.points import columns
from memcap.own.losses import loss_curves
from memcap.own.words import as_dict
from memcap.runtime.project import git_commit
from memcap.store import heartbeat, shards
from memcap.store.follow import Follower
from memcap.store.published import is_published
from memcap.store.shards import OUTPUTS
from memcap.store.status import studies
from memcap.terminal.words import warn_once
from memcap.tracking import RUNS, WANDB_MODES, Tracking
from memcap.tracking.mirror import SECONDS_BETWEEN_POLLS, Sender, StudyMirror, mirror
from memcap.tracking.report import figure_since, remove_files, report_path

PATIENCE = 60.0  # most seconds that a mirror lives once the job beside it was killed


def add_arguments(parser: ArgumentParser) -> None:
    about = "folder of a study, or of many (default: outputs)"
    parser.add_argument(
        "results", type=location, nargs="?", default=OUTPUTS, help=about
    )
    add_strict(parser)
    parser.add_argument(
        "--follow", action="store_true", help="go on while jobs train in the folder"
    )
    about = "only the jobs of one command; give the digits with which their files in DIR/jobs begin"
    parser.add_argument("--session", help=about)
    about = "the service: wandb (default), trackio, or MODULE:NAME of your own"
    parser.add_argument("--to", default="wandb", metavar="SERVICE", help=about)
    parser.add_argument(
        "--project", help="project of the service (default: WANDB_PROJECT, or memcap)"
    )
    parser.add_argument("--entity", help="W&B user or team (default: the account's)")
    about = "auto: online only where a key is present (default)"
    parser.add_argument("--wandb", choices=WANDB_MODES, default="auto", help=about)
    about = "a run a member or per group of seeds; auto: groups in large studies"
    shown = "{auto,member,seeds}"
    parser.add_argument(
        "--runs", choices=[*RUNS, "cell"], default="auto", metavar=shown, help=about
    )
    # Arguments with which a training process starts it.
    parser.add_argument("--token", help=SUPPRESS)
    parser.add_argument("--study", help=SUPPRESS)
    parser.add_argument("--part", default="", help=SUPPRESS)
    parser.add_argument("--command", default="", help=SUPPRESS)


def run(arguments: Namespace) -> None:
    """Send one study after another, or follow one."""
    settings = Tracking(
        arguments.to,
        arguments.project,
        arguments.entity,
        arguments.wandb,
        arguments.runs,
    )
    if arguments.token:
        _beside_a_job(settings, arguments)
        os._exit(0)  # without waiting for the threads of a service that hangs
    if settings.is_off:
        raise UserError(
            f"--to {arguments.to}: is turned off, by the service off or by WANDB_MODE=disabled"
        )
    settings.check_service()
    _by_hand(settings, arguments)


def _by_hand(settings: Tracking, arguments: Namespace) -> None:
    place = arguments.results
    if is_published(place):
        raise UserError(
            f"{place}: these published rows belong to no study that could be sent; give a folder"
        )
    if arguments.strict or not arguments.follow:
        rows = shards.read(place, arguments.strict)
        if rows.is_empty() and not arguments.follow:  # before a service starts
            raise shards.no_rows(place)
    for folder in [place] if arguments.follow or place.is_file() else studies(place):
        follower = Follower(folder, arguments.session)
        mirrors = mirror(
            follower,
            lambda study, follower=follower: _mirror_of(study, settings, follower),
            ends=None if arguments.follow else lambda: True,
            wait=lambda: time.sleep(SECONDS_BETWEEN_POLLS),
        )
        for path, why in follower.bad.items():
            warn_once(f"{path}: {why}; passed over")
        if not mirrors:
            raise shards.no_rows(folder)
        for study, each in mirrors.items():
            report = each.finish(*_result(folder, study))
            if report.where:
                print(report.where)
            if report.left:
                print(settings.not_sent(report.left, folder), file=sys.stderr)


def _mirror_of(
    study: str,
    settings: Tracking,
    follower: Follower,
    part: str = "",
    report: Path | None = None,
    command: str = "",
) -> StudyMirror:
    sender = Sender(settings.target(study, follower.folder, part), report)
    commit = git_commit() if report else None  # the job beside it has the same code
    return StudyMirror(
        sender, study, settings.runs, command or _last_command(follower.folder), commit
    )


def _last_command(folder: Path) -> str:
    jobs = sorted(heartbeat.read(folder).values(), key=lambda job: job.started)
    return next((job.command for job in reversed(jobs) if job.command is not None), "")


def _result(folder: Path, study: str) -> tuple[list[dict[str, Any]], Path | None]:
    """Return the frontier of a study's rows, or the losses of its widths, and the
    figure, if any."""
    rows = store.read(folder).filter(study=study)
    curves = list(map(as_dict, loss_curves(rows)))
    table = [
        {"file": curve["file"], **width}
        for curve in curves
        for width in curve["widths"]
    ]
    figures = (folder.parent if folder.is_file() else folder) / "figures"
    image = figures / ("held_out.png" if table else "frontier.png")
    return table or [columns(point) for point in frontier(rows)], (
        image if image.exists() else None
    )


def _beside_a_job(settings: Tracking, arguments: Namespace) -> None:
    """Follow one command until it ends, or is gone."""
    for number in (
        signal.SIGINT,
        signal.SIGTERM,
        signal.SIGHUP,
    ):  # the job ends it, or the job's own end
        signal.signal(number, signal.SIG_IGN)
    folder = arguments.results
    token = arguments.token
    parent = os.getppid()
    over = threading.Event()
    threading.Thread(
        target=_watch, args=[over], name="memcap-mirror-job", daemon=True
    ).start()
    follower = Follower(folder, shards.session_of(token))
    report = report_path(folder, token)
    command = arguments.command
    own = _mirror_of(
        arguments.study, settings, follower, arguments.part, report, command
    )
    mirror(
        follower,
        lambda study: own if study == arguments.study else None,
        ends=lambda: over.is_set() or os.getppid() != parent,
        wait=lambda: over.wait(SECONDS_BETWEEN_POLLS),
        members=heartbeat.read_members(folder, token).with_columns(
            study=pl.lit(arguments.study)
        ),
    )
    if (figure := figure_since(folder, token)) is None:
        own.finish()
    else:
        own.finish(
            pl.read_csv(
                figure.with_suffix(".csv"), infer_schema_length=None
            ).to_dicts(),
            figure,
        )
    if os.getppid() != parent:
        remove_files(folder, token)  # the job would read them, but was killed


def _watch(over: threading.Event) -> None:
    """Wait in a thread for the end of standard input, which is that of the job."""
    os.read(sys.stdin.fileno(), 1)  # holds no lock that the process needs to end
    over.set()
    time.sleep(PATIENCE)  # the job ends this process before that, unless it was killed
    os._exit(1)
