"""Check a study, above all one of somebody else: digests, rows that obey the rules of
training, each member's weights, curves and checkpoints.

The exit status is 1 if anything is wrong.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from memcap.commands.arguments import add_json, add_results
from memcap.studies.verify import verify
from memcap.terminal.words import plural, print_json, printable


def add_arguments(parser: ArgumentParser) -> None:
    add_results(parser)
    about = "check only the rows, as for a published table, which has nothing else"
    parser.add_argument("--rows-only", action="store_true", help=about)
    add_json(parser)


def run(arguments: Namespace) -> None:
    report = verify(arguments.results, arguments.rows_only)
    if arguments.json:
        print_json(asdict(report))
    else:
        for problem in report.wrong:
            print(printable(problem))
        counts = f"{plural(report.rows, 'row')} in {plural(report.row_files, 'file')}"
        if not arguments.rows_only:
            counts += f", {plural(report.weight_files, 'file')} of weights"
        if report.curve_files:
            counts += f", {plural(report.curve_files, 'file')} of curves"
        if report.checkpoint_files:
            counts += f", {plural(report.checkpoint_files, 'file')} of checkpoints"
        problems = plural(len(report.wrong), "problem")
        print(f"Read: {counts}; {problems}" if report.wrong else f"OK: {counts}")
    if report.wrong:
        raise SystemExit(1)
