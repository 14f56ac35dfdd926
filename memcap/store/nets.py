"""Trained nets that memcap publishes, by name, such as `atlas:delay_line-L50`."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from memcap import store
from memcap.config.member import member_of
from memcap.knobs import UserError, set_words
from memcap.store import shards
from memcap.store.columns import Row
from memcap.store.shards import ATLAS, is_published
from memcap.tasks import Task

PREFIX = "atlas:"
STUDIES = (ATLAS, "other_tasks", "up_to")  # each task and lag of these has a net
STEM = "nets"  # of the folder and its two files, rows/nets.parquet and weights/nets.npz


def folder() -> Path:
    """Return the folder of the nets, laid out as a study's; it need not exist."""
    return shards.folder(STEM)


def name_of(task: Task, lag: int) -> str:
    return PREFIX + "-".join([task.name, *set_words(task), f"L{lag}"])


def names() -> dict[str, dict[str, Any]]:
    """Return the row of each net by its name, by task and lag."""
    if not folder().exists():
        return {}
    rows = store.read(folder()).sort("task", "knobs", "lag").to_dicts()
    members = [member_of(store.config_of(row)) for row in rows]
    return {
        name_of(member.task, member.lag): row
        for member, row in zip(members, rows, strict=True)
    }


def _there_are(run: str, published: Sequence[str]) -> str:
    """Suggest published nets of the task, or else the tasks that have some."""
    if not published:
        return "none is published with this memcap"
    task = run.partition("-")[0]
    lags = defaultdict[str, list[str]](list)
    for name in published:
        stem, _, lag = name.rpartition("-")
        if stem.partition("-")[0] == task:
            lags[stem].append(lag)
    if lags:
        nets = [f"{stem}-{', '.join(of_stem)}" for stem, of_stem in lags.items()]
        return f"one of {'; '.join(nets)}"
    tasks = dict.fromkeys(name.partition("-")[0] for name in published)
    return f"one of a task that has some, as {published[0]}; of {', '.join(tasks)}"


def find_net(results: Path, run: str) -> tuple[Path, Row]:
    """Find the folder and the row of a member, by its key or the key's first digits
    below a folder, or by the name of a published net."""
    if not run.startswith(PREFIX):
        if is_published(results):
            raise UserError(
                f"{results}: rows without weights; a net that memcap publishes has a name, as in"
                f" {PREFIX}latch-L50"
            )
        return results, store.find_row(results, run)
    published = names()
    if run not in published:
        raise UserError(f"{run}: no such net; {_there_are(run, list(published))}")
    return folder(), published[run]
