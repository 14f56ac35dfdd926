"""The frontier of the delay line, lag by lag, at integer widths: how many units does one
more lag cost, and with which recipe?"""

import polars as pl

from memcap.figures import Drawn
from memcap.findings.tables import recipes_of, table, u90

from .picture import of_rows


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw units against lag, with a line for each recipe."""
    return of_rows(rows)


def recipes() -> str:
    """u90 of three recipes by lag."""
    marks = {(p.recipe.name, p.lag): p for p in recipes_of("delay_line_frontier")}
    names = ("forget_bias", "open_gate", "curriculum")
    heads = [f"{name} ({marks[name, 8].recipe.budget:,} steps)" for name in names]
    lines = [
        (lag, *(u90(marks[name, lag]) for name in names)) for lag in (8, 16, 20, 25, 50)
    ]
    return table(("lag", *heads), lines)


TABLES = {"recipes": recipes}
