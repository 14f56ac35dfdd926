"""One study shared by several jobs: on a SLURM array, several GPUs or hosts. Keys stay, and all write into
one folder."""

from collections.abc import Hashable, Sequence

from memcap.config import Engine, Member
from memcap.studies.search import search_of


def share(members: Sequence[Member], engine: Engine, design: str) -> list[Member]:
    """The members that this job trains: every `engine.shards`-th, from `engine.shard` on.

    Neighbours in a list of axes differ in seed, then width, so each job gets some of every lag. Under
    `bisect` a job gets whole searches (all widths and seeds of a task, lag and recipe), as they need each
    other's results.

    Args:
        members: all of the study, in the same order in every job.
        engine: `shard` and `shards`.
        design: "grid" or "bisect".
    """
    if engine.shards == 1:
        return list(members)
    whole = [
        member if design == "grid" else search_of(member) for member in members
    ]  # what must not be split
    places: dict[Hashable, int] = {}
    for each in whole:
        places.setdefault(each, len(places))
    return [
        member
        for member, each in zip(members, whole, strict=True)
        if places[each] % engine.shards == engine.shard
    ]
