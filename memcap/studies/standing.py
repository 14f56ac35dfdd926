"""How far a study is: which members of a job its folder holds, and which are to be trained."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from memcap.config import Member
from memcap.studies import store
from memcap.studies.search import Bisect


@dataclass(frozen=True)
class Standing:
    """What a folder holds of a job, and what it lacks.

    Args:
        rows: of the members that it holds.
        missing: the other members, each once.
        search: of design=bisect, which knows the rows; None: every missing member is trained.
        first: to train first: all that is missing, or what the search begins with.
        most: how many are trained at most; where counts are not monotone in width, a search may come to want
            more.
        in_all: members that have rows in the folder, and those of the job.
    """

    rows: pl.DataFrame
    missing: list[Member]
    search: Bisect | None
    first: list[Member]
    most: int
    in_all: int


def standing(members: Sequence[Member], folder: Path | None, design: str) -> Standing:
    """Look into a study's folder, and write nothing.

    Args:
        members: the job's.
        folder: the study's, which need not exist; None: nothing is kept.
        design: "grid" or "bisect", see `memcap.studies.search`.

    Raises:
        UserError: members that cannot be searched.
    """
    by_key = {member.key: member for member in members}
    held = store.read_all(folder) if folder is not None and folder.exists() else store.frame([])
    rows = store.measured(held.filter(pl.col("key").is_in(list(by_key))))
    passed = {by_key[key]: verdict for key, verdict in rows.select("key", store.passed()).iter_rows()}
    in_all = len(by_key.keys() | set(held["key"]))
    missing = [member for member in by_key.values() if member not in passed]
    if design != "bisect":
        return Standing(rows, missing, None, missing, len(missing), in_all)
    search = Bisect(members, passed)
    first = search.first()
    return Standing(rows, missing, search, first, search.estimate if first else 0, in_all)
