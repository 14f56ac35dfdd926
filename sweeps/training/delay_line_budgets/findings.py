"""One recipe, three budgets: how much of a width is bought by training longer?"""

import polars as pl

from memcap.figures import Drawn
from memcap.findings.tables import (
    Point,
    best_recipes,
    filled,
    recipes_of,
    table,
    u90,
    width,
)

from .picture import of_rows

BUDGETS = (4000, 8000, 24000)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw units against lag, with a line for each training budget."""
    return of_rows(rows)


def budgets_at_50() -> str:
    """What a longer or shorter budget buys at lag 50."""
    parts = [
        f"{width(best_within(50, budget).fit.u90)} units with up to {budget:,} steps"
        for budget in reversed(BUDGETS)
    ]
    return filled(
        f"At lag 50, 90 % of the seeds need {parts[0]}, {parts[1]}, and {parts[2]}."
    )


def budgets() -> str:
    """u90 of three budgets by lag."""
    lags = sorted({p.lag for p in recipes_of("delay_line_budgets")})
    lines = [
        (lag, *(u90(best_within(lag, budget)) for budget in BUDGETS)) for lag in lags
    ]
    return table(("lag", *(f"{budget:,} steps" for budget in BUDGETS)), lines)


def best_within(lag: int, budget: int) -> Point:
    """The point of the best recipe within a budget."""
    points = recipes_of("delay_line_budgets")
    (best,) = best_recipes(
        p for p in points if p.lag == lag and p.recipe.budget <= budget
    )
    return best


TABLES = {"budgets at lag 50": budgets_at_50, "budgets": budgets}
