"""Trains the nets that memcap publishes, sweeps/answers/nets: one that passes, of the advised
width, for each task and lag of the atlas, and of the tasks that came later.

python sweeps/answers/nets/make_nets.py
    trains what is not there, or has another width or rule by now, as `make nets` does
python sweeps/answers/nets/make_nets.py latch-L50 ...
    only these

Members train in outputs/nets, seed after seed until one passes, so that a run that was
stopped goes on.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl

from memcap import api, store
from memcap.answers.answer import ONE_UNIT, Question
from memcap.answers.sources import from_rows
from memcap.config.member import Config, Member
from memcap.config.recipes import Recipe
from memcap.frontiers.frontier import frontier
from memcap.models.network import Model
from memcap.rule import SHORTER_LAGS, Evaluation
from memcap.store import nets, shards
from memcap.store.rows import passed_column
from memcap.store.shards import ATLAS, rows_file, rows_files

FIRST_SEED = 9100  # that no study has; the nets of before GGT have 9000 and later
SEEDS = 8
WORK = Path("outputs/nets")


def advised() -> dict[str, Member]:
    """By name, the member of the first seed, of all points of the atlas whose width is
    known: the one that `memcap answer` advises. Of lags that were measured between
    those of the atlas there is none.
    """
    members = {}
    rows = pl.concat([store.read(file) for file in rows_files(ATLAS)])
    for point in (
        p for study in nets.STUDIES for p in frontier(store.read(rows_file(study)))
    ):
        if not point.usual or point.model != ONE_UNIT:
            continue
        advice = from_rows(rows, Question(point.task, point.lag))
        if advice.units is not None:
            members[nets.name_of(point.task, point.lag)] = Member(
                point.task,
                point.lag,
                model=Model("lstm", advice.units),
                recipe=advice.recipe or Recipe(),
                evaluation=Evaluation(
                    until=advice.at if advice.at in SHORTER_LAGS else None
                ),
                seed=FIRST_SEED,
            )
    return members


def question(config: Config) -> tuple[Any, ...]:
    """Return what a net of a config answers: its width, its verdict and the rule."""
    until = config["evaluation"].get("until")
    return config["model"]["units"], until, config.get("confirmation")


def train_until_one_passes(member: Member) -> dict[str, Any] | None:
    """The row of a net that passes, trained where none has been yet; None if all seeds fail."""
    for seed in range(FIRST_SEED, FIRST_SEED + SEEDS):
        rows = api.train(
            [replace(member, seed=seed)], WORK, study="nets", progress=False
        )
        if passing := rows.filter(passed_column()).to_dicts():
            return passing[0]
    return None


def publish(rows: list[dict[str, Any]], weights: dict[str, dict[str, Any]]) -> None:
    """Write all nets into one file of rows and one of weights."""
    shards.prepare(nets.folder())
    shards.write(
        nets.folder(),
        nets.STEM,
        [row | {"population": nets.STEM} for row in rows],
        weights,
    )


def main() -> None:
    """Train what is missing, and publish it with what was there."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="NAME")
    wanted = {nets.PREFIX + name for name in parser.parse_args().names}
    rows = nets.names()
    weights = {
        row["key"]: store.weights_of(nets.folder(), row) for row in rows.values()
    }
    for name, member in advised().items():
        if wanted and name not in wanted:
            continue
        if name in rows and question(store.config_of(rows[name])) == question(
            member.config
        ):
            continue
        row = train_until_one_passes(member)
        if row is None:
            print(
                f"{name}: none of {SEEDS} seeds passes with {member.model.units} units",
                file=sys.stderr,
            )
            continue
        print(
            f"{name}: {member.model.units} units, seed {row['seed']}, {row['steps']} steps",
            flush=True,
        )
        rows[name], weights[row["key"]] = row, store.weights_of(WORK, row)
    publish(
        list(rows.values()), {row["key"]: weights[row["key"]] for row in rows.values()}
    )


if __name__ == "__main__":
    main()
