"""The `memcap` command: finds the subcommand, parses its arguments, and runs it."""

import argparse
import contextlib
import inspect
import io
import os
import re
import shlex
import signal
import sys
import threading
import traceback
from collections.abc import Sequence
from typing import NoReturn

from memcap import __version__, commands
from memcap.knobs import UserError, did_you_mean, of_disk
from memcap.runtime import jax_setup, plugins, signals
from memcap.terminal.words import complain, fold_help, plural

ABOUT = "How many units does a recurrent network need to remember this? Measured."
FIRST_STEPS = """First steps:
  memcap answer --task delay_line --lag 50    how many units, as measured
  memcap tasks                                what there is to remember
  memcap docs start                           ten minutes; all: memcap docs
  memcap inspect --units 5 --timesteps 2      what `units` sets and does not
  memcap train sweeps=first_study             measure (minutes)
  memcap my_module:my_command                 a command of your own
  memcap --module my_tasks frontier           rows of tasks in my_tasks.py
"""
GROUPS = {
    "Ask": ("answer", "tasks", "inspect", "docs"),
    "Train": ("train", "plan", "status", "collect", "mirror", "export"),
    "Look": ("frontier", "figure", "report", "probe", "watch"),
    "Own data": ("fit", "predict"),
    "Check": ("judge", "prove", "verify", "reproduce", "rank"),
}
MODULE = (
    "import a module of yours first, which rows name: rows themselves import nothing"
)
CHOICE = re.compile(r"invalid choice: '(.*?)' \(choose from (.*)\)")  # of argparse
WORD = re.compile(r"[\w.-]+")

# files of which SystemExit is meant: those of memcap, argparse and Hydra
ENDS = re.compile(r"[/\\](memcap|argparse\.py|hydra)([/\\]|$)")


class HelpFormatter(argparse.HelpFormatter):
    """Keeps the paragraphs of docstrings, and the lines of their examples."""

    def _fill_text(self, text: str, width: int, indent: str) -> str:
        return fold_help(text, width)


class CommandParser(argparse.ArgumentParser):
    """A parser that complains in one line."""

    def error(self, message: str) -> NoReturn:
        message = message.removeprefix("argument ")
        choice = CHOICE.search(message)
        guess = did_you_mean(choice[1], WORD.findall(choice[2])) if choice else ""
        raise UserError(f"{message}; {guess}see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a user's mistake ends it with one line and status 2."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(
            errors="replace"
        )  # a terminal that lacks a character shows the others
    with signals.watching(lambda interrupted: _interruption(interrupted, arguments)):
        _run_to_its_end(arguments)


def _run_to_its_end(arguments: list[str]) -> None:
    try:
        _run(arguments)
        sys.stdout.flush()  # so that a closed pipe raises here
    except UserError as error:
        _stop(f"{error}", 2)
    except KeyboardInterrupt as error:
        interrupted = (
            error
            if isinstance(error, signals.Interrupted)
            else signals.Interrupted(signal.SIGINT)
        )
        _stop(_interruption(interrupted, arguments), interrupted.status)
    except BrokenPipeError:
        # the interpreter flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except (ValueError, TypeError, RuntimeError) as error:
        if (line := _jax_setting(error)) is None:
            raise
        _stop(line, 2)
    except OSError as error:
        line = of_disk(error)
        if line is None:
            raise
        _stop(
            line
            + ("; set out to another folder" if arguments[:1] == ["train"] else ""),
            2,
        )
    except SystemExit as ended:
        frames = traceback.extract_tb(ended.__traceback__)
        # a hook of W&B stands in for sys.exit
        place = [frame for frame in frames if "exit_hooks" not in frame.filename][-1]
        if not ENDS.search(place.filename):
            at = f"{place.filename}:{place.lineno}"
            _stop(f"SystemExit: {ended.code}, at {at}, ends the command", 2)
        if ended.code:
            _leave(ended.code)
        raise


def _jax_setting(error: Exception) -> str | None:
    """Say which variables JAX does not accept; None for any other error."""
    frames = traceback.extract_tb(error.__traceback__)
    names = [name for name in os.environ if name.startswith("JAX_")]
    if not names or not frames[-1].filename.endswith(
        os.path.join("jax", "_src", "config.py")
    ):
        return None
    settings = " ".join(f"{name}={os.environ[name]}" for name in names)
    return f"{settings}: JAX does not take it ({' '.join(str(error).split())}); mend or unset it"


def _interruption(interrupted: signals.Interrupted, arguments: Sequence[str]) -> str:
    name = arguments[:1]
    saved = interrupted.rows_saved
    again = shlex.join(["memcap", *arguments])
    if name == ["mirror"]:
        return f"{interrupted}; what was not sent yet is sent by: {again}"
    if name != ["train"] and saved is None:
        return str(interrupted)
    rows = "finished members" if saved is None else plural(saved, "member")
    half_trained = (
        f", {interrupted.half_trained:,} half-trained"
        if interrupted.half_trained
        else ""
    )
    return f"{interrupted}; {rows} saved{half_trained}. Resume with: {again}"


def _stop(line: str, status: int) -> NoReturn:
    complain(str(UserError(line)))  # which shortens and escapes it
    _leave(status)


def _leave(status: int | str) -> NoReturn:
    """Exit without waiting for a worker's chunk, which would abort the interpreter."""
    if isinstance(status, int) and any(
        thread.name in ("memcap-worker", "memcap-tracking")
        for thread in threading.enumerate()
    ):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


def _run(arguments: list[str]) -> None:
    jax_setup.check_addresses()
    for word in arguments:
        if "\0" in word:  # no shell passes one, but a caller of `main` may
            raise UserError(f"{word}: holds a zero byte, which no name or value does")
    # a shell completes a line, or a user follows memcap train --hydra-help
    if arguments[:1] == ["-sc"]:
        line = os.environ.get("COMP_LINE") or "memcap train "
        program, train, overrides = line.partition(" train ")
        if train:  # Hydra completes what comes right after the program's name
            os.environ["COMP_LINE"] = f"{program} {overrides}"
            _call("train", arguments)
        return
    arguments = _import_modules(arguments)
    if not arguments:
        print(f"{ABOUT}\n\n{FIRST_STEPS}\nmemcap --help lists all commands.")
        return
    name = arguments[0]
    if plugins.is_import_path(name):
        jax_setup.setup()  # its module may use JAX on import
    elif name.startswith("-"):
        # prints the help or the version, or complains
        parser(options=False).parse_args(arguments[:1])
    _call(name, arguments[1:])


def _import_modules(arguments: list[str]) -> list[str]:
    """Import what `--module NAME` before the command names; return the other words."""
    while arguments[:1] == ["--module"]:
        name = "".join(arguments[1:2])
        arguments = arguments[2:]
        if not all(part.isidentifier() for part in name.split(".")):
            raise UserError(
                f"--module {name}: must be the name of a module, as in --module my_tasks"
            )
        jax_setup.setup()  # it may use JAX on import
        plugins.import_named(name, f"--module {name}")
    return arguments


def parser(options: bool = True) -> CommandParser:
    """Make the parser of all commands, as shtab completes them; without `options`, of the
    first word alone."""
    parser = CommandParser(
        prog="memcap",
        description="\n\n".join([ABOUT, *_groups()]),
        epilog=FIRST_STEPS + address(),
        formatter_class=HelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"memcap {__version__}")
    parser.add_argument("--module", metavar="NAME", action="append", help=MODULE)
    names = parser.add_subparsers(
        required=True, metavar="COMMAND", help="memcap COMMAND --help says more"
    )
    for name, summary in commands.summaries().items():
        if options:
            commands.find(name).add_arguments(names.add_parser(name, help=summary))
        else:
            names.add_parser(name)
    return parser


def _groups() -> list[str]:
    summaries = commands.summaries()
    groups = []
    for group, names in GROUPS.items():
        lines = [f"  {name:<10} {summaries[name]}" for name in names]
        groups.append("\n".join([f"{group}:", *lines]))
    return groups


def address() -> str:
    # help alone needs it, and its import takes as long as half of memcap's
    from importlib import metadata

    try:
        urls = metadata.metadata("memcap").get_all("Project-URL") or []
    except metadata.PackageNotFoundError:  # a checkout that is not installed
        urls = []
    pages = [url for url in urls if url.startswith("Documentation, ")]
    return "".join(f"\n{url.replace(',', ':')}" for url in pages)


def _call(name: str, words: list[str]) -> None:
    command = commands.find(name)
    if (
        "jax" in sys.modules
    ):  # memcap's own modules use JAX only later, and some not at all
        jax_setup.setup()
    parser = _parser(name, command)
    takes_all = any(
        action.nargs in (argparse.REMAINDER, argparse.PARSER)
        for action in parser._actions
    )
    command.run(
        (parser.parse_args if takes_all else parser.parse_intermixed_args)(words)
    )


def _parser(name: str, command: commands.Command) -> CommandParser:
    parser = CommandParser(
        prog=f"memcap {name}",
        description=inspect.cleandoc(command.__doc__ or ""),
        formatter_class=HelpFormatter,
    )
    command.add_arguments(parser)
    return parser
