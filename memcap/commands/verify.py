"""Check a study: digests, keys, each member's weights, curves and checkpoints. The exit status is 1 if
anything is wrong."""

import sys
from argparse import ArgumentParser, Namespace
from dataclasses import asdict

from memcap.arguments import add_results
from memcap.printing import add_json, counted, print_json
from memcap.studies.verify import verify


def add_arguments(parser: ArgumentParser) -> None:
    """Which study, and what of it."""
    add_results(parser)
    parser.add_argument(
        "--rows-only",
        action="store_true",
        help="leave all else aside, as of a published table, which has none",
    )
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print a line for each fault, and how much was sound."""
    found = verify(arguments.results, arguments.rows_only)
    if arguments.json:
        print_json(asdict(found))
    else:
        beside = "" if arguments.rows_only else f", {counted(found.weight_files, 'file')} of weights"
        for count, what in ((found.curve_files, "curves"), (found.checkpoint_files, "checkpoints")):
            beside += f", {counted(count, 'file')} of {what}" if count else ""
        old = f"; {found.without_digest} of these without a digest" if found.without_digest else ""
        faults = f"; {counted(len(found.wrong), 'fault')}" if found.wrong else ""
        rows = f"{counted(found.rows, 'row')} in {counted(found.row_files, 'file')}"
        print("\n".join([*found.wrong, f"Sound: {rows}{beside}{old}{faults}"]))
    if found.wrong:
        sys.exit(1)
