"""'Sequences of length 50 or less': how many units is a net right with at every lag up
to its own, as it is asked by `memcap answer`?"""

from memcap import Task
from memcap.findings.tables import (
    ATLAS,
    Question,
    atlas_rows,
    from_rows,
    label,
    outcome,
    points_of,
    table,
    width,
)

LAG = 50  # up to which the nets of other cells and layers are shown


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


def up_to_by_net() -> str:
    """Units at every lag up to 50: of an LSTM, of each of its two layers, and of other cells."""
    nets = {
        "LSTM": ("up_to", "lstm"),
        "two layers": ("up_to_layers", "lstm"),
        "GRU": ("up_to_cells", "GRUCell"),
        "SimpleCell": ("up_to_cells", "SimpleCell"),
    }
    first, *others = (
        {
            p.task: width(p.fit.u90) if p.trains else "not trained"
            for p in points_of(study)
            if p.model.cell == cell and p.lag == LAG
        }
        for study, cell in nets.values()
    )
    lines = []
    for task, units in first.items():
        cells = [widths.get(task, "") for widths in others]
        if any(cells):
            lines.append((label(task).replace("_", " "), units, *cells))
    return table((f"task, every lag to {LAG}", *nets), lines)


def tasks() -> list[tuple[Task, str]]:
    """The tasks of the study, with their names."""
    return list(dict.fromkeys((p.task, p.subject) for p in points_of("up_to")))


TABLES = {"every lag up to": up_to, "every lag by net": up_to_by_net}
