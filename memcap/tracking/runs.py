"""Names, tags, points and summaries of a service's runs. Needs no JAX."""

import hashlib
import json
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from memcap.config.member import Config
from memcap.knobs import UserError
from memcap.store.columns import Row, task_of
from memcap.store.heartbeat import long_name
from memcap.store.rows import BY_LOSS
from memcap.terminal.words import member_name

LONGEST_TAG = 64  # most characters that W&B allows
MOST_TAGS = 20  # of a run with many members


@dataclass(frozen=True)
class Run:
    """A run of the service, with an id that is the same for the same thing."""

    id: str  # at most 64 characters
    name: str  # for people to read; need not be unique
    kind: str  # "member" or "study"
    tags: tuple[str, ...] = ()
    config: Config = field(default_factory=dict)


@dataclass(eq=False)
class Entry:
    """A member, and what was sent of it."""

    key: str
    name: str  # as `delay_line(symbols=4)-L8-u7-s3`
    metric: str  # of its task, as "accuracy"
    config: Config
    row: Row = field(default_factory=dict)  # empty until it has ended
    is_unsent: bool = False  # whether it has ended, and its row is to be sent
    step: int = -1  # the last one that was sent while it trained

    @property
    def group(self) -> str:
        """Its name without the seed, as `delay_line(symbols=4)-L8-u7`."""
        return self.name.rpartition("-s")[0]

    @cached_property
    def config_without_seed(self) -> str:
        config = {name: value for name, value in self.config.items() if name != "seed"}
        return json.dumps(config, sort_keys=True)


def entry(line: Row) -> Entry:
    name = line["name"] if "name" in line else _name(line)
    return Entry(line["key"], name, line["metric"], json.loads(line["config"]))


def _name(row: Row) -> str:
    where = row["lag"], row["units"], row["seed"]
    try:
        return long_name(task_of(row["task"], row["knobs"]), *where)
    except UserError:  # its task cannot be imported here
        return member_name(row["task"], *where)


def run_of_member(member: Entry, about: Mapping[str, Any] | None = None) -> Run:
    config = {**(about or {}), **member.config}
    return Run(member.key, member.name, "member", _tags(member.config), config)


def run_of_study(study: str, members: Collection[Entry] = (), **about: Any) -> Run:
    digest = hashlib.sha256(f"{study}\0".encode()).hexdigest()[:16]
    config = {"study": study, **about, "members": len(members)}
    tags = _short(tag for member in members for tag in _tags(member.config))
    return Run(f"study-{digest}", study, "study", tags[:MOST_TAGS], config)


def _short(tags: Iterable[Any]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(str(tag)[:LONGEST_TAG] for tag in tags))


def _tags(config: Config) -> tuple[str, ...]:
    task = config["task"]
    model = config["model"]
    tags = [task["name"], f"lag {task['lag']}", config["recipe"]["name"], model["cell"]]
    layers = model.get("layers", 1)
    return _short(tags + [f"{layers} layers"] * (layers > 1))


def is_by_loss(row: Row) -> bool:
    """Return whether a member is judged by loss, so that it cannot be solved."""
    return BY_LOSS in (row.get("knobs") or "")


def frontier_so_far(ended: Iterable[Entry]) -> dict[str, float]:
    """Return for each task and lag the fewest units at which half of the seeds pass."""
    verdicts = defaultdict[tuple[str, int, str], list[bool]](list)
    for member in ended:
        task = member.group.rpartition("-u")[0]
        units = member.config["model"]["units"]
        passed = bool(member.row[member.row["evaluation_until"]])
        verdicts[f"frontier/{task}", units, member.config_without_seed].append(passed)
    least: dict[str, float] = {}
    for (task, units, _), passed in verdicts.items():
        if 2 * sum(passed) >= len(passed):
            least[task] = min(units, least.get(task, units))
    return least
