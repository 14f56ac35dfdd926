"""Nets of one to four units, read as the number of variables behind choices: does it
come out where sessions have no end?"""

import json

import polars as pl

from memcap.findings import folder
from memcap.findings.tables import fraction, rows_of, table


def agent_widths() -> pl.DataFrame:
    """The units that each agent takes by two rules: of sweeps/other/agents/choices.py, that
    of memcap fit and one standard error of the best width's loss; of
    sweeps/other/agents.yaml, whose sessions have no end (null), the criterion and one ten
    times as loose."""
    agents = []
    choices = pl.read_csv(folder("agents") / "choices.csv")
    agent = "world", "values", "habit", "subject", "sessions"
    for _, nets in choices.group_by(agent, maintain_order=True):
        losses = nets.pivot("units", index="fold", values="loss").drop("fold")
        best = min(losses, key=lambda width: width.mean())
        most = best.mean() + best.std() / len(best) ** 0.5
        classic = next(int(width.name) for width in losses if width.mean() <= most)
        first = nets.select("world", "variables", "sessions", units="fit").to_dicts()[0]
        agents.append(first | {"other": classic})
    streams = rows_of("agents").group_by("task", "knobs", maintain_order=True)
    for (world, knobs), nets in streams:
        agent = json.loads(knobs)
        units, other = (
            nets.filter(pl.col("best") <= pl.col("threshold") * looser)["units"].min()
            for looser in (1, 10)
        )
        variables = agent["values"] + agent["habit"]
        stream = {"world": world, "variables": variables, "sessions": None}
        agents.append(stream | {"units": units, "other": other})
    right = pl.col("units", "other") == pl.col("variables")
    return pl.DataFrame(agents).with_columns(
        right.fill_null(False).name.suffix(" right")
    )


def trials(sessions: int | None) -> str:
    """How many trials an agent's sessions have."""
    return "no end" if sessions is None else f"{sessions * 100:,}"


def share(right: pl.Series) -> str:
    """How many are right, with a 95 % interval."""
    return fraction(int(right.sum()), len(right))


def dimensions() -> str:
    """Tabulate how often nets of one to four units tell the number of an agent's variables."""
    by = "sessions", "variables"
    agents = agent_widths().sort(by, nulls_last=True)
    lines = []
    for (sessions, variables), own in agents.group_by(by, maintain_order=True):
        cells = (share(own[f"{rule} right"]) for rule in ("units", "other"))
        lines.append((trials(sessions), variables, *cells))
    heads = "trials", "variables", "right", "right by the other rule"
    return table(heads, lines)


TABLES = {"dimensions": dimensions}
