"""What goes to a tracking service: runs with their names, tags and points, in plain values that another
process can take."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from memcap.printing import member_name
from memcap.studies.curves import Points

LONGEST_TAG = 64  # characters that W&B takes


class Member(Protocol):
    """What tracking reads of a `memcap.config.Member`, which it does not import: it would bring JAX with
    it."""

    @property
    def key(self) -> str:
        """The hash of the config."""

    @property
    def config(self) -> dict[str, Any]:
        """All that decides the result."""

    @property
    def task(self) -> Any:
        """A dataclass with the task's knobs."""


@dataclass(frozen=True)
class Run:
    """A run of the service, by an id that is always the same for the same thing.

    Args:
        id: at most 64 characters.
        name: for people; need not be unique.
        kind: "member", "cell" or "study".
        tags: to filter by.
        config: all that decides the result.
    """

    id: str
    name: str
    kind: str
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunRecord:
    """Points of a run; with the row it has ended."""

    run: Run
    points: Points
    row: dict[str, Any] | None


@dataclass(frozen=True)
class ProgressRecord:
    """A point of the study's run."""

    values: dict[str, float]


@dataclass(frozen=True)
class StudyRecord:
    """A result of a whole study."""

    table: list[dict[str, Any]]
    image: Path | None


Record = RunRecord | ProgressRecord | StudyRecord


def hashed(*parts: str) -> str:
    """16 hex digits that stand for these texts."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def of_member(member: Member) -> Run:
    """The run of a member."""
    config = member.config
    name = member_name(_task(member), config["task"]["lag"], config["model"]["units"], config["seed"])
    return Run(member.key, name, "member", _tags(config), config)


def of_cell(member: Member, study: str) -> Run:
    """The run of all members that differ from this one in the seed alone."""
    config = {name: value for name, value in member.config.items() if name != "seed"}
    identity = hashed(study, json.dumps(config, sort_keys=True))
    name = member_name(_task(member), config["task"]["lag"], config["model"]["units"])
    return Run(f"cell-{identity}", name, "cell", _tags(config), config)


def of_study(study: str, part: str = "") -> Run:
    """The run of a study; `part` tells apart jobs that share it."""
    return Run(f"study-{hashed(study, part)}", " ".join(filter(None, (study, part))), "study")


def task_at_lag(member: Member) -> str:
    """As `delay_line-L8`."""
    return member_name(_task(member), member.config["task"]["lag"])


def _task(member: Member) -> str:
    """Its name; knobs that are not the default stand behind it."""
    usual = vars(type(member.task)())
    knobs = ",".join(f"{k}={v}" for k, v in vars(member.task).items() if v != usual[k])
    return member.config["task"]["name"] + (f"({knobs})" if knobs else "")


def _tags(config: Mapping[str, Any]) -> tuple[str, ...]:
    task = config["task"]
    tags = (
        str(task["name"]),
        f"lag {task['lag']}",
        str(config["recipe"]["name"]),
        str(config["model"]["cell"]),
    )
    return tuple(dict.fromkeys(tag[:LONGEST_TAG] for tag in tags))
