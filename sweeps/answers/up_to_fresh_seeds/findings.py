"""The advice of `memcap answer` at every lag up to one: 20 seeds that nothing was chosen
on, at the advised width and by the recipe that the advice rests on, up to lag 50, and
up to 13, 30 and 41, which nothing measured."""

import polars as pl

from memcap.findings.tables import filled, label, passes, rows_of, table, task_of_row

UNIFORM_RATE = 0.06  # of recipe=uniform


def advice_up_to() -> str:
    """How the advised widths did up to lag 50, and to lags that nothing measured; of a
    stream at these."""
    slower = (pl.col("recipe") == "uniform") & (pl.col("lr") < UNIFORM_RATE)
    rows = rows_of("up_to_fresh_seeds")
    place = "task", "knobs", "optimizer", "lag", "units"
    streams = dict[str, list[str]]()  # by optimizer
    others = dict[str, dict[int, list[str]]]()  # by task, then lag
    for task, knobs, optimizer, lag, units, passed, nets in (
        passes(rows.filter(~slower), *place).sort(place).rows()
    ):
        kind = task_of_row(task, knobs)
        if kind.stream:
            words = f"{passed} of {nets} at lag {lag} with {units} units"
            streams.setdefault(optimizer, []).append(words)
        else:
            by_lag = others.setdefault(label(kind), {})
            by_lag.setdefault(lag, []).append(f"{passed}/{nets} ({units})")
    lags = sorted({lag for by_lag in others.values() for lag in by_lag})
    lines = [
        (name, *(", ".join(by_lag.get(lag, [])) for lag in lags))
        for name, by_lag in others.items()
    ]
    whole = table(("task, passed (units)", *(f"up to {lag}" for lag in lags)), lines)
    half = ", ".join(
        f"{passed} of {nets} up to {lag} with {units} units"
        for lag, units, passed, nets in (
            passes(rows.filter(slower), "lag", "units").sort("lag").rows()
        )
    )
    copies = filled(
        f"With half the rate ({UNIFORM_RATE / 2:g}), these copies of 16 pass: {half}."
    )
    by = "; ".join(f"by {name}, {', '.join(words)}" for name, words in streams.items())
    steady = filled(f"These delay lines were steady: {by}.")
    return f"{whole}\n\n{copies}\n\n{steady}"


TABLES = {"advice up to": advice_up_to}
