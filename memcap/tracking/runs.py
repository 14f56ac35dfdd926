"""Runs of a tracking service, with their names, tags and points, in plain values. Needs no JAX."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from memcap.rule import Verdict
from memcap.store.curves import Points, spread
from memcap.store.rows import BY_LOSS

LONGEST_TAG = 64  # most characters that W&B allows
QUANTILES = {"q25": 0.25, "q50": 0.5, "q75": 0.75}
SUMMARIZED = (
    "final",
    "best",
    "stretched",
    "mean_up_to",
    "worst_up_to",
    "steps",
    "steps_to_solve",
)
SUMMARIZED += (
    "steps_to_steady",
    "steps_to_up_to",
    "run_seconds",
    "validation_loss",
    "held_out_loss",
)
# Of a study's config.
SHARED = (
    "task.name",
    "task.lag",
    "model.cell",
    "model.units",
    "recipe.name",
    "recipe.lr",
)
MOST_VALUES = 100  # of one of these keys


@dataclass(frozen=True)
class Run:
    """A run of the service, with an id that is always the same for the same thing."""

    id: str  # at most 64 characters
    name: str  # for people to read; need not be unique
    kind: str  # "member", "cell" (members that differ only in the seed), "study" or "agent"
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)  # all that decides the result


@dataclass(frozen=True)
class Agent:
    """The run under which `wandb agent` started this command: the sweep looks at no other."""

    id: str
    sweep: str  # its id
    project: str | None = None  # of the sweep, as the entity is
    entity: str | None = None
    config: dict[str, Any] = field(
        default_factory=dict
    )  # the values that the sweep chose


@dataclass(frozen=True)
class Target:
    """The place where runs go."""

    service: str  # "wandb", "trackio", or `module:name` of a user's own class
    mode: str  # of W&B: "online", "offline", or "auto": online if an API key is found
    project: str
    entity: str | None
    group: str
    tags: tuple[str, ...]  # of every run
    directory: Path  # in which W&B makes a folder `wandb`
    study: Run
    agent: Agent | None = (
        None  # under an agent of W&B: the run that waits for this command's results
    )


@dataclass(frozen=True)
class Entry:
    """A member in the list that a job writes before it trains
    (`memcap.store.heartbeat.MEMBERS`)."""

    key: str
    name: str  # as `delay_line(symbols=4)-L8-u7-s3`
    config: dict[str, Any]
    metric: str  # of its task, as "accuracy"

    @property
    def configuration(self) -> str:
        """Return its name without the seed, as `delay_line(symbols=4)-L8-u7`."""
        return self.name.rpartition("-s")[0]

    @property
    def task_at_lag(self) -> str:
        """Return its task and lag, as `delay_line(symbols=4)-L8`."""
        return self.configuration.rpartition("-u")[0]

    @cached_property
    def config_without_seed(self) -> str:
        """Return the member's config without the seed, as JSON."""
        config = {name: value for name, value in self.config.items() if name != "seed"}
        return json.dumps(config, sort_keys=True)


def run_of_member(member: Entry) -> Run:
    """Return the run of a member."""
    return Run(member.key, member.name, "member", _tags(member.config), member.config)


def run_of_seeds(member: Entry, study: str) -> Run:
    """Return the run of all members that differ from this one only in the seed."""
    identity = _digest(study, member.config_without_seed)
    config = json.loads(member.config_without_seed)
    return Run(f"cell-{identity}", member.configuration, "cell", _tags(config), config)


def run_of_study(study: str, part: str = "") -> Run:
    """Return the run of a study; `part` distinguishes commands that share it."""
    return Run(
        f"study-{_digest(study, part)}", " ".join(filter(None, (study, part))), "study"
    )


def of_members(
    run: Run, study: str, command: str, git_commit: str | None, members: Iterable[Entry]
) -> Run:
    """Return the run of a study with config and tags that describe its members."""
    configs = [member.config for member in members]
    values: dict[str, Any] = {
        "study": study,
        "command": command,
        "git_commit": git_commit,
    }
    values |= {"members": len(configs)}
    for name in SHARED:
        part, _, field_ = name.partition(".")
        some = {config[part].get(field_) for config in configs}
        values[name] = sorted(some, key=lambda value: (str(type(value)), value))[
            :MOST_VALUES
        ]
    tagged = "task.name", "model.cell", "recipe.name"
    tags = (str(tag)[:LONGEST_TAG] for name in tagged for tag in values[name])
    return replace(run, config=values, tags=tuple(dict.fromkeys(tags)))


def run_of_agent(agent: Agent, member: Entry | None = None) -> Run:
    """Return the run of the agent that started this command, which trains one member or
    several. Its name is the values that the sweep chose, as members may differ only in
    these."""
    name = " ".join(
        f"{key}={value:.4g}" if isinstance(value, float) else f"{key}={value}"
        for key, value in agent.config.items()
    )
    if member is None:
        return Run(agent.id, name, "agent", config=agent.config)
    run = run_of_member(member)
    return replace(
        run, id=agent.id, name=name or run.name, config={**agent.config, **run.config}
    )


def _digest(*texts: str) -> str:
    """Return 16 hex digits that stand for these texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _tags(config: Mapping[str, Any]) -> tuple[str, ...]:
    task = config["task"]
    tags = (
        task["name"],
        f"lag {task['lag']}",
        config["recipe"]["name"],
        config["model"]["cell"],
    )
    tags += (
        (f"{layers} layers",)
        if (layers := config["model"].get("layers", 1)) > 1
        else ()
    )
    return tuple(dict.fromkeys(str(tag)[:LONGEST_TAG] for tag in tags))


@dataclass
class SeedGroup:
    """Members that differ only in the seed, with the rows and curves of those that have ended."""

    run: Run  # their run
    to_come: int = 0  # number of members that have not ended
    # whether some ended in an earlier command, so that the group here is not complete
    is_partial: bool = False
    rows: list[dict[str, Any]] = field(default_factory=list)
    curves: list[Points] = field(default_factory=list)


def summary_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the number of members, the shares that passed, and quartiles of their values."""
    summary: dict[str, Any] = {
        "members": len(rows),
        **Counter(f"members_{row['status']}" for row in rows),
    }
    for name in Verdict if not all(map(is_by_loss, rows)) else ():
        summary[f"share_{name}"] = sum(bool(row[name]) for row in rows) / len(rows)
    for name in SUMMARIZED:
        summary |= _quantiles(
            name, [row[name] for row in rows if row.get(name) is not None]
        )
    return summary


def is_by_loss(row: Mapping[str, Any]) -> bool:
    """Tell whether a row's member is judged by its held-out loss, so that it cannot be solved."""
    return BY_LOSS in (row.get("knobs") or "")


def quantiles(curves: Sequence[Points]) -> Points:
    """Return quantiles over curves, at steps that some of them have.

    A curve that has ended stays at its last value; NaN is left out.

    Returns:
        At most `memcap.store.curves.MOST_POINTS` points, with METRIC/q25, METRIC/q50
        and METRIC/q75 for each metric.
    """
    steps = np.array(
        spread(sorted({step for curve in curves for step in curve})), np.int64
    )
    points: Points = {int(step): {} for step in steps}
    for metric in dict.fromkeys(
        name for curve in curves for point in curve.values() for name in point
    ):
        last_values = np.array([_last_values(curve, metric, steps) for curve in curves])
        for step, values in zip(points, last_values.T, strict=True):
            points[step] |= _quantiles(metric, values)
    return {step: point for step, point in points.items() if point}


def _last_values(curve: Points, metric: str, steps: np.ndarray) -> np.ndarray:
    """Return the last value of a metric at or before each of `steps`; NaN before the first."""
    logged = [(step, point[metric]) for step, point in curve.items() if metric in point]
    at = np.array([step for step, _ in logged], np.int64)
    values = np.array([np.nan, *(value for _, value in logged)], float)
    return values[np.searchsorted(at, steps, side="right")]


def _quantiles(name: str, values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Return quantiles of the values that are not NaN.

    They are existing values, never means of two, as some may be infinite.
    """
    numbers = np.sort([value for value in values if value == value])
    last = len(numbers) - 1
    shares = QUANTILES if len(numbers) else {}
    return {
        f"{name}/{q}": float(numbers[round(share * last)])
        for q, share in shares.items()
    }


def frontier_so_far(
    ended: Iterable[tuple[Entry, Mapping[str, Any]]],
) -> dict[str, float]:
    """Return for each task and lag of ended members the fewest units at which at least
    half of the seeds passed, by any recipe and cell."""
    verdicts: dict[tuple[str, int, str], list[bool]] = {}
    for member, row in ended:
        where = (
            member.task_at_lag,
            member.config["model"]["units"],
            member.config_without_seed,
        )
        passed = bool(row[row["evaluation_until"]])
        verdicts.setdefault(where, []).append(passed)
    least: dict[str, float] = {}
    for (task, units, _), passed in verdicts.items():
        if 2 * sum(passed) >= len(passed):
            least[f"frontier/{task}"] = min(units, least.get(f"frontier/{task}", units))
    return least


def plain(value: Any) -> Any:
    """Return `value` as dicts, lists, strings and numbers, without arrays."""

    def as_plain(each: Any) -> Any:
        return each.tolist() if hasattr(each, "tolist") else str(each)

    return json.loads(json.dumps(value, default=as_plain))


def table_parts(
    table: Sequence[Mapping[str, Any]],
) -> tuple[list[str], list[list[Any]]]:
    """Return the columns of a table of dicts, and its rows as lists."""
    columns = list(dict.fromkeys(key for row in table for key in row))
    return columns, [[row.get(column) for column in columns] for row in table]
