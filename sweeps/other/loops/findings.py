"""How often does a single net's verdict differ between the loops over time, on the same
seeds?"""

import polars as pl
from scipy.stats import binomtest

from memcap.findings.tables import filled, passed_column, rows_of, table, task_label


def both_loops() -> pl.DataFrame:
    """Return the nets with their verdicts by XLA's loop and by the LSTM in C, on the same seeds."""
    ours, native = (
        rows_of(f"loops/{loop}").with_columns(passed_column())
        for loop in ("while", "native")
    )
    native = native.select("key", "steps", "passed")
    return ours.join(native, "key", validate="1:1", suffix="_native")


def in_short() -> str:
    """Count the nets with another verdict by the other loop."""
    members = both_loops()
    *_, other, _ = counts_of(members)
    return filled(
        f"Of {members.height} nets, {other} have another verdict by XLA's loop (`while`) than by"
        " the LSTM in C (`native`), on the same seeds."
    )


def loops() -> str:
    """How often a net's verdict differs between XLA's loop and the LSTM in C on the same seeds."""
    members = both_loops()
    lines = []
    for (task, knobs, lag), own in members.group_by(
        "task", "knobs", "lag", maintain_order=True
    ):
        what = task_label(task, knobs).replace("_", " ")
        lines.append(
            (
                what,
                lag,
                " and ".join(map(str, sorted(own["units"].unique()))),
                *counts_of(own),
            )
        )
    lines.append(("all", "", "", *counts_of(members)))
    head = (
        "task",
        "lag",
        "units",
        "nets",
        "passed by while",
        "passed by native",
        "other verdict",
        "other step",
    )
    turned = members.filter(pl.col("passed") != pl.col("passed_native"))
    lost = turned["passed"].sum()
    chance = binomtest(lost, turned.height).pvalue
    sentence = filled(
        f"Of {turned.height} nets whose verdicts differ, {lost} passed with `while` alone and"
        f" {turned.height - lost} with `native` alone (sign test: p = {chance:.2f}). *Other step*"
        " counts nets whose training ended after another number of steps."
    )
    return f"{table(head, lines)}\n\n{sentence}"


def counts_of(members: pl.DataFrame) -> list[int]:
    """How many nets, how many passed by each of the two loops, and at how many the loops differ."""
    passed = members["passed"]
    native = members["passed_native"]
    other_step = members["steps"] != members["steps_native"]
    counts = (passed, native, passed != native, other_step)
    return [members.height, *(count.sum() for count in counts)]


TABLES = {"loops": loops, "loops in short": in_short}
