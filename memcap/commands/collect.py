"""Fold a study's shards into one Parquet file, DIR/rows.parquet."""

from argparse import ArgumentParser, Namespace

from memcap.console import add_results, add_strict
from memcap.printing import add_json, print_json
from memcap.studies import store


def add_arguments(parser: ArgumentParser) -> None:
    """Which study, and how the outcome is printed."""
    add_results(parser)
    add_strict(parser)
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Fold, and say where the rows are."""
    path, rows = store.collect(arguments.results, arguments.strict)
    if arguments.json:
        print_json({"file": str(path), "rows": rows.height})
    else:
        print(f"{rows.height} rows in {path}")
