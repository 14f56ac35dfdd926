"""How much of a width is the optimizer's?"""

import polars as pl

from memcap.figures import Drawn
from memcap.findings.tables import (
    filled,
    fraction,
    passed_column,
    passes,
    rows_of,
    table,
    task_label,
)

from .picture import of_rows

OPTIMIZERS = ("adam", "muon", "soap", "ggt")  # in the order of columns
IN_ORDER = pl.col("optimizer").cast(pl.Enum(OPTIMIZERS))
PLACE = pl.concat_str("lag", "units", separator=" ")

NEAR_THRESHOLDS = ("8 5", "12 7", "20 10", "20 12")  # lags and units


NEAR_IN_SECONDS = ("8 5", "12 6", "20 10")


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw units against training steps and seconds, with a colour for each optimizer."""
    return of_rows(rows)


def optimizers_on_delay_lines() -> str:
    """How many nets near the thresholds passed by each optimizer."""
    near_thresholds = PLACE.is_in(NEAR_THRESHOLDS)
    rows = rows_of("optimizers").filter(near_thresholds, task="delay_line")
    near = passes(rows, "optimizer", "lr")
    near = near.sort(IN_ORDER, "lr")
    nets = ", ".join(
        f"{passed} of {nets} by {name} {rate:g}"
        for name, rate, passed, nets in near.rows()
    )
    together = f"Together these nets passed: {nets}."
    return f"{passed_by_optimizer(rows)}\n\n{filled(together)}"


def in_equal_seconds() -> str:
    """Count the nets near the thresholds that pass by Adam, and by GGT in as many seconds."""
    near = rows_of("optimizers_seconds").filter(PLACE.is_in(NEAR_IN_SECONDS))
    passed = {
        name: nets["steady"].sum() for (name,), nets in near.group_by("optimizer")
    }
    return filled(
        f"Of {near.height // 2} nets near the thresholds (5 units at lag 8, 6 at 12, 10 at 20),"
        f" {passed['ggt']} pass by GGT and {passed['adam']} by Adam."
    )


def passed_by_optimizer(rows: pl.DataFrame) -> str:
    """Tabulate how many nets passed, with the 95 % interval (Wilson) of their share: a line
    for each task, lag and width, and a column for each optimizer with its rate."""
    rows = rows.with_columns(passed_column())
    columns = rows.select("optimizer", "lr").unique().sort(IN_ORDER, "lr").rows()
    net = "task", "knobs", "lag", "units"
    lines = []
    for (task, knobs, lag, units), nets in rows.sort(net).group_by(
        net, maintain_order=True
    ):
        counts = {
            column: fraction(own["passed"].sum(), own.height)
            for column, own in nets.group_by("optimizer", "lr")
        }
        cells = (counts.get(column, "") for column in columns)
        lines.append((task_label(task, knobs).replace("_", " "), lag, units, *cells))
    heads = (f"{name} {rate:g}" for name, rate in columns)
    return table(("task", "lag", "units", *heads), lines)


TABLES = {
    "optimizers on delay lines": optimizers_on_delay_lines,
    "in equal seconds": in_equal_seconds,
}
