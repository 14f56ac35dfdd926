"""Fold a study's shards into one Parquet file, DIR/rows.parquet, and its curves into
DIR/curves.parquet.

With --strict, rows that no training gives are refused, too."""

from argparse import ArgumentParser, Namespace

from polars import selectors as cs

from memcap.commands.arguments import add_json, add_results, add_strict
from memcap.knobs import UserError
from memcap.store import curves, files, shards
from memcap.store.row_checks import BadRowsError, check_rows
from memcap.terminal.words import plural, print_json


def add_arguments(parser: ArgumentParser) -> None:
    add_results(parser)
    add_strict(parser)
    parser.add_argument(
        "--csv", action="store_true", help="write the rows to DIR/rows.csv, too"
    )
    add_json(parser)


def run(arguments: Namespace) -> None:
    results = arguments.results
    if arguments.strict:
        tables, _ = shards.read_files(results)
        try:
            check_rows(shards.every_row(tables.values()))
        except BadRowsError as error:
            raise UserError(f"{results}: {error}; memcap verify names all") from error
    path, rows = shards.collect(results, arguments.strict)
    curves.collect(results)
    if arguments.csv:
        path = path.with_suffix(".csv")
        # a quote before texts that a spreadsheet would take for formulas
        as_text = cs.string().str.replace(r"^[=+\-@\t\r]", "'$0")
        with files.output_of(path, "give the folder of a study"):
            files.replace(path, rows.with_columns(as_text).write_csv().encode())
    if arguments.json:
        print_json({"file": str(path), "rows": rows.height})
    else:
        print(f"{plural(rows.height, 'row')} in {path}")
