"""What goes to a tracking service: runs with their names, tags and points, in plain values. Needs no JAX."""

import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from memcap.store.curves import Points, spread

LONGEST_TAG = 64  # characters that W&B takes
QUANTILES = {"q25": 0.25, "q50": 0.5, "q75": 0.75}
SUMMARIZED = ("final", "best", "stretched", "steps", "steps_to_solve", "steps_to_steady", "run_seconds")


@dataclass(frozen=True)
class Run:
    """A run of the service, by an id that is always the same for the same thing.

    Args:
        id: at most 64 characters.
        name: for people; need not be unique.
        kind: "member", "cell" (members that differ in the seed alone) or "study".
        tags: to filter by.
        config: all that decides the result.
    """

    id: str
    name: str
    kind: str
    tags: tuple[str, ...] = ()
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Agent:
    """The run as which `wandb agent` started this command: the sweep looks at no other.

    Args:
        id: of the run.
        sweep: id of the sweep.
        project, entity: the sweep's.
        config: what the sweep chose.
    """

    id: str
    sweep: str
    project: str | None = None
    entity: str | None = None
    config: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """Where runs go.

    Args:
        service: "wandb", "trackio", or `module:name` of a class of one's own.
        mode: of W&B, "online", "offline", or "auto": online where an API key is found.
        project, entity, group, tags: of every run.
        directory: where W&B writes; it makes a folder `wandb` inside.
        study: the study's run.
        agent: of W&B, the run that waits for what this command finds; None: it was not started by an agent.
    """

    service: str
    mode: str
    project: str
    entity: str | None
    group: str
    tags: tuple[str, ...]
    directory: Path
    study: Run
    agent: Agent | None = None


@dataclass(frozen=True)
class Entry:
    """What tracking knows of a member, before and after it is trained.

    Args:
        key: of the member.
        name: as `delay_line(symbols=4)-L8-u7-s3`.
        config: all that decides the result.
        metric: of its task, as "accuracy".
    """

    key: str
    name: str
    config: dict[str, Any]
    metric: str

    @property
    def configuration(self) -> str:
        """Its name without the seed, as `delay_line(symbols=4)-L8-u7`."""
        return self.name.rpartition("-s")[0]

    @property
    def task_at_lag(self) -> str:
        """As `delay_line(symbols=4)-L8`."""
        return self.configuration.rpartition("-u")[0]


def run_of_member(member: Entry) -> Run:
    """The run of a member."""
    return Run(member.key, member.name, "member", _tags(member.config), member.config)


def run_of_seeds(member: Entry, study: str) -> Run:
    """The run of all members that differ from this one in the seed alone."""
    config = {name: value for name, value in member.config.items() if name != "seed"}
    identity = _digest(study, json.dumps(config, sort_keys=True))
    return Run(f"cell-{identity}", member.configuration, "cell", _tags(config), config)


def run_of_study(study: str, part: str = "") -> Run:
    """The run of a study; `part` tells apart commands that share it."""
    return Run(f"study-{_digest(study, part)}", " ".join(filter(None, (study, part))), "study")


def run_of_agent(agent: Agent, member: Entry | None = None) -> Run:
    """The run of the agent that started this command, which trains one member, or several."""
    if member is None:
        return Run(agent.id, "", "agent", config=agent.config)
    run = run_of_member(member)
    return replace(run, id=agent.id, config={**agent.config, **run.config})


def _digest(*texts: str) -> str:
    """16 hex digits that stand for these texts."""
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()[:16]


def _tags(config: Mapping[str, Any]) -> tuple[str, ...]:
    task = config["task"]
    tags = (task["name"], f"lag {task['lag']}", config["recipe"]["name"], config["model"]["cell"])
    tags += (f"{layers} layers",) if (layers := config["model"].get("layers", 1)) > 1 else ()
    return tuple(dict.fromkeys(str(tag)[:LONGEST_TAG] for tag in tags))


class SeedGroups:
    """Collects the members of a study that differ in the seed alone until all of them have ended.

    A group of which some members ended in an earlier command is left out: what is collected is not all of it.
    """

    def __init__(self, study: str):
        self.study = study
        self.runs: dict[str, Run] = {}  # by the member's key, of those that are still to come
        self.missing: Counter[str] = Counter()  # members of each group, by the run's id
        self.partial: set[str] = set()  # groups
        self.ended: dict[str, list[tuple[Run, dict[str, Any], Points]]] = defaultdict(list)

    def expect(self, members: Iterable[Entry]) -> None:
        """Say which members may come, each once."""
        for member in members:
            run = self.runs[member.key] = run_of_seeds(member, self.study)
            self.missing[run.id] += 1

    def leave_out(self, configs: Iterable[Mapping[str, Any]]) -> None:
        """Leave out the groups of members that ended in an earlier command, by their configs."""
        self.partial |= {run_of_seeds(Entry("", "", dict(config), ""), self.study).id for config in configs}

    def add(self, key: str, row: dict[str, Any], curve: Points) -> "SeedGroup | None":
        """Take in a member that has ended. Returns its group once that is whole."""
        run = self.runs.pop(key, None)
        if run is None or run.id in self.partial:
            return None
        self.ended[run.id].append((run, row, curve))
        self.missing[run.id] -= 1
        return None if self.missing[run.id] else _group(self.ended.pop(run.id))

    def rest(self) -> "list[SeedGroup]":
        """The groups that are not whole, as a search leaves them that wanted no more."""
        return [_group(self.ended.pop(name)) for name in list(self.ended)]


@dataclass(frozen=True)
class SeedGroup:
    """Members that differ in the seed alone: their run, with the quartiles over seeds of every metric."""

    run: Run
    members: int
    points: Points
    summary: dict[str, Any]


def _group(ended: Sequence[tuple[Run, dict[str, Any], Points]]) -> SeedGroup:
    run, rows = ended[0][0], [row for _, row, _ in ended]
    return SeedGroup(run, len(rows), quantiles([curve for _, _, curve in ended]), summary_of(rows))


def summary_of(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Members, shares of them, and quartiles over them."""
    summary: dict[str, Any] = {"members": len(rows), **Counter(f"members_{row['status']}" for row in rows)}
    for name in ("solved", "steady"):
        summary[f"share_{name}"] = sum(bool(row[name]) for row in rows) / len(rows)
    for name in SUMMARIZED:
        summary |= _quantiles(name, [row[name] for row in rows if row.get(name) is not None])
    return summary


def quantiles(curves: Sequence[Points]) -> Points:
    """Quantiles over curves, at steps that some of them have.

    A curve that has ended stays at its last value; NaN is left out.

    Returns:
        At most `memcap.store.curves.MOST_POINTS` points, with METRIC/q25, METRIC/q50 and METRIC/q75 for
        each metric.
    """
    steps = np.array(spread(sorted({step for curve in curves for step in curve})), np.int64)
    points: Points = {int(step): {} for step in steps}
    for metric in dict.fromkeys(name for curve in curves for point in curve.values() for name in point):
        last_values = np.array([_last_values(curve, metric, steps) for curve in curves])
        for step, values in zip(points, last_values.T, strict=True):
            points[step] |= _quantiles(metric, values)
    return {step: point for step, point in points.items() if point}


def _last_values(curve: Points, metric: str, steps: np.ndarray) -> np.ndarray:
    """The last value of a metric at or before each of `steps`; NaN before the first."""
    logged = [(step, point[metric]) for step, point in curve.items() if metric in point]
    at = np.array([step for step, _ in logged], np.int64)
    values = np.array([np.nan, *(value for _, value in logged)], float)
    return values[np.searchsorted(at, steps, side="right")]


def _quantiles(name: str, values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Of the values that are not NaN: values that are there, no means between them, as some may be
    infinite."""
    numbers = np.sort([value for value in values if value == value])
    return {
        f"{name}/{q}": float(numbers[round(share * (len(numbers) - 1))])
        for q, share in QUANTILES.items()
        if len(numbers)
    }


class StudyMetrics:
    """How far a study is while it trains, in numbers that a curve can show. Counts members as they end, each
    once."""

    def __init__(self) -> None:
        self.keys: set[str] = set()
        self.solved = 0
        self.members: Counter[tuple[str, int, str]] = Counter()  # by task at lag, units and seed group
        self.passed: Counter[tuple[str, int, str]] = Counter()
        self.started = self.last_call = time.monotonic()
        self.trained = 0  # members that have ended since the last call of `values`

    def add(self, member: Entry, row: Mapping[str, Any], trained: bool = True) -> None:
        """Count one more member; `trained`: by this command."""
        if member.key in self.keys:
            return
        self.keys.add(member.key)
        self.trained += trained
        self.solved += bool(row["solved"])
        where = (member.task_at_lag, member.config["model"]["units"], run_of_seeds(member, "").id)
        self.members[where] += 1
        self.passed[where] += bool(row["steady" if row["evaluation_until"] == "steady" else "solved"])

    def values(self) -> dict[str, float]:
        """Members done, solved, and a second since the last call; and for each task and lag the frontier so
        far."""
        now = time.monotonic()
        counts = {
            "seconds": now - self.started,
            "done": len(self.keys),
            "solved": self.solved,
            "members_a_second": self.trained / max(now - self.last_call, 1e-3),
        }
        self.last_call, self.trained = now, 0
        return {f"study/{k}": v for k, v in counts.items()} | self.frontier()

    def frontier(self) -> dict[str, float]:
        """For each task and lag the fewest units of which at least half of the seeds passed.

        By any recipe and cell, of those that have ended.
        """
        least: dict[str, float] = {}
        for (name, units, seeds), members in self.members.items():
            if 2 * self.passed[name, units, seeds] >= members:
                least[name] = min(units, least.get(name, units))
        return {f"frontier/{k}": v for k, v in least.items()}


def plain(value: Any) -> Any:
    """`value` as dicts, lists, strings and numbers, without arrays."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, Mapping):
        return {str(k): plain(v) for k, v in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(v) for v in value]
    if hasattr(value, "tolist"):  # NumPy, scalars and arrays
        return value.tolist()
    return str(value)
