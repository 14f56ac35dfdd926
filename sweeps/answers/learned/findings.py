"""Are the nets of the advice learned, or did their start hold already?"""

from collections import Counter
from collections.abc import Mapping
from functools import cache
from typing import Any, NamedTuple

import polars as pl

from memcap import Task
from memcap.findings import folder
from memcap.findings.tables import filled, label, passes, rows_of, table, task_of_row

CONTROLS = "advised", "frozen", "bias"


class Controls(NamedTuple):
    """How many nets of a condition passed, of how many: as advised, with a frozen cell,
    from forget bias 1 where this is not the start of the recipe; and how many of how
    many draws, of the recipe and wide.
    """

    advised: tuple[int, int]
    frozen: tuple[int, int]
    bias: tuple[int, int] | None
    by_recipe: int
    wide: int
    draws: int

    @property
    def verdict(self) -> str:
        """Say what the nets owe to their start."""
        inherits, learns = (
            2 * passed >= nets
            for passed, nets in (self.frozen, self.bias or self.advised)
        )
        words = ["inherited"] * inherits + ["learned"] * learns or [
            "learned, from that start alone"
        ]
        if luck := max(self.by_recipe, self.wide):
            words.append(f"guessed in {self.draws / luck:,.0f}")
        return ", or ".join(words)


@cache
def controls() -> dict[tuple[str, Task, int, int], Controls]:
    """All conditions of sweeps/answers/learned, by recipe, task, lag and units."""
    counts = counts_by_control()
    conditions = {}
    for row in pl.read_csv(folder("learned") / "guesses.csv").to_dicts():
        task = task_of_row(row["task"], row["knobs"])
        place = row["recipe"], task, row["lag"], row["units"]
        conditions[place] = Controls(
            *(counts.get((*place, control)) for control in CONTROLS),
            *(row[name] for name in ("by_recipe", "wide", "draws")),
        )
    return conditions


def learned() -> str:
    """Count the nets that are learned alone, and tabulate those that owe something to
    their start or to luck: how many pass with a cell that stays as it starts, from a start
    that knows no lag, and of untrained nets."""
    lines = []
    plain = Counter[str]()
    for (recipe, task, lag, units), nets in controls().items():
        if nets.verdict == "learned" and not nets.frozen[0]:
            plain[recipe] += 1
            continue
        counts = (
            "-" if count is None else "{}/{}".format(*count) for count in nets[:3]
        )
        draws = (f"{luck:,} of {nets.draws:,}" for luck in (nets.by_recipe, nets.wide))
        net = label(task).replace("_", " "), lag, units, recipe
        lines.append((*net, *counts, *draws, nets.verdict))
    head = "task", "lag", "units", "recipe", "as advised", "cell frozen"
    more = "from forget bias 1", "drawn", "drawn wide", "so it is"
    recipes = ", ".join(f"{number} by `{recipe}`" for recipe, number in plain.items())
    text = filled(
        f"{plain.total()} of {len(controls())} conditions are learned alone: no net passes with a"
        " frozen cell, none of those drawn, and at least half from forget bias 1 (or, where that"
        f" is the start of the recipe, as advised). These are {recipes}. The table has the others:"
    )
    return f"{text}\n\n{table((*head, *more), lines)}"


def counts_by_control() -> Mapping[tuple[Any, ...], tuple[int, int]]:
    """How many nets passed, and how many there were, by recipe, task, lag, units and control."""
    studies = "learned", "up_to_fresh_seeds", "advice_fresh_seeds"
    # Some of these have the recipe of nets for which it begins at the first step.
    anywhere = rows_of("anywhere_fresh_seeds").filter(recipe="anywhere")
    at_bias_one = pl.col("init") == "forget_bias"
    control = (
        pl.when(freeze="cell")
        .then(pl.lit("frozen"))
        .when(at_bias_one & (pl.col("recipe") != "forget_bias"))
        .then(pl.lit("bias"))
        .otherwise(pl.lit("advised"))
    )
    rows = pl.concat([*map(rows_of, studies), anywhere]).with_columns(control=control)
    by = "recipe", "task", "knobs", "lag", "units", "control"
    return {
        (recipe, task_of_row(task, knobs), *place): (passed, nets)
        for recipe, task, knobs, *place, passed, nets in passes(rows, *by).rows()
    }


TABLES = {"learned or inherited": learned}
