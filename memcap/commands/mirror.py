"""Send a study's rows and curves to W&B or trackio, also long after it was trained. A run that is there goes
on, or stays."""

from argparse import ArgumentParser, Namespace

import polars as pl

from memcap.arguments import add_results, add_strict, folder_of
from memcap.capacity.frontier import frontier
from memcap.capacity.points import columns
from memcap.config import member_of
from memcap.report.tables import print_places
from memcap.studies import curves, store
from memcap.studies.store import rows_of
from memcap.tracking import MODES, RUNS, WANDB_MODES, open_tracker


def add_arguments(parser: ArgumentParser) -> None:
    """Which study, and where it goes."""
    add_results(parser)
    add_strict(parser)
    parser.add_argument("--to", choices=MODES[1:], default="wandb", help="the service (default: wandb)")
    parser.add_argument("--project", help="its project (default: WANDB_PROJECT, or memcap)")
    parser.add_argument("--entity", help="W&B user or team (default: the account's)")
    parser.add_argument(
        "--wandb",
        choices=WANDB_MODES,
        default="auto",
        help="auto: online only where a key is present (default)",
    )
    parser.add_argument(
        "--runs", choices=RUNS, default="auto", help="a run a member or a cell; auto: a cell in large studies"
    )


def run(arguments: Namespace) -> None:
    """Send one study after another."""
    rows = rows_of(arguments.results, arguments.strict)
    found = curves.read(arguments.results)
    for (study,), part in rows.group_by("study", maintain_order=True):
        _send(str(study), part, found, arguments)


def _send(study: str, rows: pl.DataFrame, found: pl.DataFrame, arguments: Namespace) -> None:
    folder = folder_of(arguments.results)
    picture = folder / "figures" / "frontier.png"
    by_key = found.filter(pl.col("key").is_in(rows["key"].to_list())).partition_by("key", as_dict=True)
    with open_tracker(
        arguments.to,
        project=arguments.project,
        entity=arguments.entity,
        study=study,
        directory=folder,
        wandb_mode=arguments.wandb,
        runs=arguments.runs,
        patient=True,
    ) as tracker:
        tracker.begin([member_of(store.config_of(row)) for row in rows.iter_rows(named=True)])
        for row in rows.iter_rows(named=True):
            curve = curves.points(by_key[row["key"],], row["metric"]) if (row["key"],) in by_key else {}
            for step, values in curve.items():
                tracker.curve(row["key"], step, values)
            tracker.member(row["key"], store.config_of(row), row)
        tracker.study(
            study, [columns(point) for point in frontier(rows)], picture if picture.exists() else None
        )
    print_places([tracker.where])
