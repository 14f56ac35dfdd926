"""'Sequences of length 50 or less', as whoever asks understands it: how many units is a
net right with at every lag up to its own, wherever in a sequence it begins?"""

from memcap.findings.tables import (
    ATLAS,
    Question,
    atlas_rows,
    from_rows,
    label,
    passes,
    points_of,
    rows_of,
    table,
    task_of_row,
)

LAGS = (5, 16, 50)


def anywhere() -> str:
    """Nets that pass by width, up to each lag, and the units to take up to 50, beside
    those of nets for which it begins at the first step."""
    counted = passes(rows_of("anywhere"), "task", "knobs", "lag", "units")
    by_task: dict[str, dict[int, list[str]]] = {}
    for task, knobs, lag, units, good, nets in counted.sort("lag", "units").rows():
        by_lag = by_task.setdefault(label(task_of_row(task, knobs)), {})
        by_lag.setdefault(lag, []).append(f"{units}: {good}/{nets}")
    lines = []
    for task in sorted({p.task for p in points_of("anywhere")}, key=label):
        name = label(task)
        counts = [", ".join(by_task[name].get(lag, [])) for lag in LAGS]
        widths = [
            from_rows(atlas_rows(), Question(task, 50, at=at), ATLAS).units or ""
            for at in ("anywhere", "up_to")
        ]
        lines.append((name.replace("_", " "), *counts, *widths))
    heads = [f"passed by units, up to {lag}" for lag in LAGS]
    return table(
        ("task", *heads, "units to take up to 50", "from the first step"), lines
    )


TABLES = {"anywhere by width": anywhere}
