"""'Sequences of length 50 or less': how many units is a net right with at every lag up
to its own, as it is asked by `memcap answer`?"""

from memcap import Task
from memcap.findings.tables import (
    ATLAS,
    Question,
    atlas_rows,
    from_rows,
    outcome,
    points_of,
    table,
    width,
)


def up_to() -> str:
    """Units to take at every lag up to 50, beside those of lag 50 alone."""
    lines = []
    for task, subject in tasks():
        cells = []
        for at in ("up_to", "steady"):
            found = from_rows(atlas_rows(), Question(task, 50, at=at), ATLAS)
            u90 = "" if found.point is None else width(found.point.fit.u90)
            cells += [found.units or "", u90, outcome(found)]
        lines.append((subject.replace("_", " "), *cells))
    counts = "u90", "passed"
    heads = "task", "every lag to 50", *counts, "lag 50 alone", *counts
    return table(heads, lines)


def tasks() -> list[tuple[Task, str]]:
    """The tasks of the study, with their names."""
    return list(dict.fromkeys((p.task, p.subject) for p in points_of("up_to")))


TABLES = {"every lag up to": up_to}
