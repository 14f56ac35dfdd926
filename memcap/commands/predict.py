"""Predict new sequences by the net that `memcap fit` found.

  memcap predict outputs/mine new.csv -o predicted.csv

The new table has the columns of the one that the net was trained on; the target may be
missing. It prints a CSV: for each sequence, or each step if the target is asked there,
what the net says, and of classes the probability of each.

Read more: memcap docs sequences
"""

from argparse import ArgumentParser, Namespace

from memcap.commands.arguments import add_output, location
from memcap.knobs import UserError
from memcap.own.fitted import load
from memcap.own.formats import READERS, is_table, read_frame
from memcap.store import files


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("net", type=location, help="folder of memcap fit")
    add("file", type=location, help=f"new sequences: {', '.join(READERS)}")
    add(
        "--decimal-comma",
        action="store_true",
        help="the numbers of a CSV file have decimal commas",
    )
    add_output(parser, "file for the predictions, .csv (default: print them)")


def run(arguments: Namespace) -> None:
    net = load(arguments.net)
    file = arguments.file
    if net.columns is None or net.columns.window:
        raise UserError(
            f"{arguments.net}: was trained on arrays or windows; in Python:"
            " memcap.own.fitted.load(FOLDER).outputs"
        )
    if not is_table(file):
        raise UserError(f"{file}: must be a {', '.join(READERS)} file")
    frame = read_frame(file, net.columns.ids, arguments.decimal_comma)
    text = net.table(frame, str(file)).write_csv()
    if arguments.output is None:
        print(text, end="")
        return
    with files.output_of(arguments.output):
        files.replace(arguments.output, text.encode())
