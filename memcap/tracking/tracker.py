"""What training sees of tracking: calls that never block, never raise and may do nothing."""

import math
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol, Self

from memcap.tracking import wandb_service
from memcap.tracking.mirror import BackgroundTracker
from memcap.tracking.process import Target, sinks
from memcap.tracking.runs import Member, of_study
from memcap.tracking.settings import Tracking

SECONDS_AT_THE_END = 5.0


class Tracker(Protocol):
    """A mirror of a study. Every call returns at once; only `close` may wait, and for a bounded time."""

    where: str
    """After `close`: where people find the runs, in one line; empty where there are none."""

    def begin(
        self, members: Sequence[Member], there: Sequence[Mapping[str, Any]] = (), in_all: int = 0
    ) -> None:
        """Say what may come, before it comes; further jobs of the study may add to it. Others have runs named
        by their ids.

        Args:
            members: all of the job, or of all jobs.
            there: of the rows of those among them that ended in an earlier job, and will not come: key,
                solved, steady, evaluation_until.
            in_all: how many members the study has, as far as is known: others' on disk, too.
        """

    def curve(self, member_id: str, step: int, values: Mapping[str, float]) -> None:
        """Add a point, such as `{"train/loss": 0.3, "eval/accuracy": 0.9}`, to the curve of a member in
        training.

        Args:
            member_id: the member's key.
            step: training steps done, in any order; values of one step that come in several calls share a
                point.
            values: one number a metric; NaN and infinity are welcome.
        """

    def member(self, member_id: str, config: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """Say that a member has ended: its run appears with `config`, its curve, and `row` as the summary."""

    def study(self, name: str, table: Sequence[Mapping[str, Any]], image: Path | None = None) -> None:
        """Show a result of the whole study: `table`, one dict a row, and a picture (PNG, JPEG, GIF or
        BMP)."""

    def close(self) -> None:
        """Hand over what is still waiting, for some seconds. Calls that come later do nothing."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: object
    ) -> None: ...


class NoTracker:
    """Tracking that is off."""

    where = ""

    def begin(
        self, members: Sequence[Member], there: Sequence[Mapping[str, Any]] = (), in_all: int = 0
    ) -> None:
        """Do nothing."""

    def curve(self, member_id: str, step: int, values: Mapping[str, float]) -> None:
        """Do nothing."""

    def member(self, member_id: str, config: Mapping[str, Any], row: Mapping[str, Any]) -> None:
        """Do nothing."""

    def study(self, name: str, table: Sequence[Mapping[str, Any]], image: Path | None = None) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        return None


def open_tracker(
    mode: str = "off",
    *,
    project: str | None = None,
    entity: str | None = None,
    study: str,
    part: str = "",
    directory: Path | str,
    tags: Sequence[str] = (),
    wandb_mode: str = "auto",
    runs: str = "auto",
    patient: bool = False,
) -> Tracker:
    """The tracker that the configuration asks for.

    Args:
        mode: "off", "wandb" or "trackio". Off needs no account and no network, and imports neither.
        project: of W&B or trackio; None: WANDB_PROJECT, or "memcap".
        entity: W&B user or team; None is the account's default.
        study: name of the study; the group of all its runs, unless WANDB_RUN_GROUP names another.
        part: tells apart jobs that share a study, which have study runs of their own.
        directory: the study's folder. W&B writes a folder `wandb` in it, or in WANDB_DIR; made when first
            needed.
        tags: of every run, each at most 64 characters, beside those of WANDB_TAGS.
        wandb_mode: "online", "offline" or "auto". Auto obeys the environment variable WANDB_MODE; without it,
            it is online where an API key is found and offline elsewhere. WANDB_MODE=disabled always wins.
        runs: one a "member", one a "cell" (members that differ in the seed alone), or "auto": see
            `MOST_MEMBER_RUNS`.
        patient: `close` waits until all is written, and not for some seconds; for rows that come all at once.

    Raises:
        UserError: `mode`, `wandb_mode` or `runs` is not one of those named.
    """
    Tracking(mode, project, entity, wandb_mode, runs)  # checks them
    chosen = wandb_service.resolve_mode(wandb_mode) if mode == "wandb" else mode
    if chosen in ("off", "disabled"):
        return NoTracker()
    theirs = os.environ if mode == "wandb" else {}
    target = Target(
        service=mode,
        mode=chosen,
        project=project or theirs.get("WANDB_PROJECT") or "memcap",
        entity=entity,
        group=theirs.get("WANDB_RUN_GROUP") or study,
        tags=(*tags, *filter(None, map(str.strip, theirs.get("WANDB_TAGS", "").split(",")))),
        directory=Path(theirs.get("WANDB_DIR") or directory).absolute(),  # whatever folder a job goes to
        study=of_study(study, part),
    )
    mirror = ["memcap", "mirror", str(directory)]
    for option, value in (
        ("--to", mode if mode != "wandb" else None),
        ("--project", project),
        ("--entity", entity),
    ):
        mirror += [option, value] if value else []
    return BackgroundTracker(
        sinks(target),
        study=study,
        runs=runs,
        at_most=math.inf if patient else SECONDS_AT_THE_END,
        otherwise=f"; this sends them: {shlex.join(mirror)}",
    )
