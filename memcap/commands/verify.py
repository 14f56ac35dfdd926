"""Check a study, above all one of somebody else: digests, rows that obey the rules of
training, each member's weights, curves and checkpoints.

The exit status is 1 if anything is wrong.
"""

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from memcap.commands.arguments import add_results
from memcap.studies.verify import verify
from memcap.terminal.printing import add_json, print_json
from memcap.terminal.words import plural, printable


def add_arguments(parser: ArgumentParser) -> None:
    add_results(parser)
    about = "check only the rows, as for a published table, which has nothing else"
    parser.add_argument("--rows-only", action="store_true", help=about)
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print a line per problem, and the number of sound files."""
    report = verify(arguments.results, arguments.rows_only)
    if arguments.json:
        print_json(asdict(report))
    else:
        beside = (
            ""
            if arguments.rows_only
            else f", {plural(report.weight_files, 'file')} of weights"
        )
        for count, what in (
            (report.curve_files, "curves"),
            (report.checkpoint_files, "checkpoints"),
        ):
            beside += f", {plural(count, 'file')} of {what}" if count else ""
        verdict = "Read" if report.wrong else "OK"
        rows = f"{plural(report.rows, 'row')} in {plural(report.row_files, 'file')}"
        problems = f"; {plural(len(report.wrong), 'problem')}" if report.wrong else ""
        print(
            "\n".join(
                [*map(printable, report.wrong), f"{verdict}: {rows}{beside}{problems}"]
            )
        )
    if report.wrong:
        sys.exit(1)
