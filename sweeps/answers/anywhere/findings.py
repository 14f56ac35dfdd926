"""'Sequences of length 50 or less', as whoever asks understands it: how many units is a
net right with at every lag up to its own, wherever in a sequence it begins?"""

from memcap.findings.tables import (
    ATLAS,
    Question,
    atlas_rows,
    filled,
    from_rows,
    label,
    passes,
    points_of,
    rows_of,
    table,
    task_of_row,
)


def widths() -> str:
    """The units to take up to lag 50, and how many nets on other seeds pass with them and
    with one unit less, beside the units to take where it begins at the first step."""
    fresh = passes(rows_of("anywhere_fresh_seeds"), "task", "knobs", "units")
    counts = {
        (task_of_row(task, knobs), units): f"{good} of {nets}"
        for task, knobs, units, good, nets in fresh.rows()
    }
    lines = []
    more = []  # units
    for task in sorted({p.task for p in points_of("anywhere")}, key=label):
        units, first = (
            from_rows(atlas_rows(), Question(task, 50, at=at), ATLAS).units
            for at in ("anywhere", "up_to")
        )
        if units and first:
            more.append(units - first)
        passed = counts.get((task, units), "")
        less = counts.get((task, (units or 0) - 1), "")
        lines.append(
            (label(task).replace("_", " "), units or "", passed, less, first or "")
        )
    heads = (
        "task, up to lag 50",
        "units to take",
        "on other seeds",
        "with one unit less",
        "where it begins at the first step",
    )
    text = filled(
        f"{more.count(0)} of {len(more)} tasks need no more units than where it begins at the"
        f" first step, the others at most {max(more)} more."
    )
    return f"{text}\n\n{table(heads, lines)}"


TABLES = {"anywhere widths": widths}
