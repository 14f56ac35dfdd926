"""The options `--code` and `-o`, and what a command with them prints."""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Callable
from pathlib import Path

from memcap.scripts.script import FRAMEWORKS


def add_code(parser: ArgumentParser) -> None:
    """Give a command `--code` and `-o`, for `print_code`."""
    about = "write a script of that framework, which trains a net of this width"
    parser.add_argument("--code", choices=FRAMEWORKS, help=about)
    about = (
        "file for the script; its sequences go into an .npz file beside it (default:"
    )
    about += " print the script)"
    parser.add_argument("-o", "--output", type=Path, metavar="FILE.py", help=about)


def print_code(
    arguments: Namespace, code: Callable[[str, Path | None, str], str]
) -> None:
    """Print a script, or say where it was written.

    Args:
        arguments: of the command.
        code: makes the script of a framework, writes it to a file if there is one, and
        names in it the command that does.
    """
    output = arguments.output
    command = shlex.join(["memcap", *sys.argv[1:]])
    if output is None:
        print(code(arguments.code, None, f"{command} -o net.py"), end="")
        return
    code(arguments.code, output, command)
    beside = output.with_suffix(".npz")
    print(
        f"{output}, and its sequences in {beside} ({beside.stat().st_size / 1e6:.1f} MB)"
    )
