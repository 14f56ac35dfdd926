"""The `memcap` command: finds the subcommand, parses its arguments, runs it; errors take one line."""

import argparse
import contextlib
import gc
import inspect
import os
import shlex
import signal
import sys
import threading
from collections.abc import Generator, Sequence
from typing import NoReturn

from memcap import __version__, commands, jax_setup, plugins, signals
from memcap.knobs import UserError, of_disk
from memcap.words import plural

LINES = argparse.RawDescriptionHelpFormatter  # keeps the line breaks of docstrings and examples
FIRST_STEPS = """First steps:
  memcap inspect --units 5 --timesteps 2 --features 3    what `units` sets, and what it doesn't
  memcap tasks                                           what there is to remember
  memcap train sweeps=first_study                        measure (minutes); memcap train --help says more
  memcap answer --task delay_line --lag 50               how many units, from what was measured
  memcap my_module:my_command                            a command of your own, from my_module.py
"""


class Parser(argparse.ArgumentParser):
    """Complains in one line, as the rest of memcap does."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint."""
        raise UserError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a user's mistake ends it with one line and status 2."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        with signals.raise_on_signal():
            _run(arguments)
        sys.stdout.flush()  # so that a closed pipe shows here
    except UserError as error:
        _stop(f"{error}", 2)
    except KeyboardInterrupt as error:
        _interrupted(error, arguments)
    except BrokenPipeError:
        # the interpreter flushes once more at its end
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        line = of_disk(error)
        if line is None:
            raise
        _stop(line + ("; set out to another folder" if arguments[:1] == ["train"] else ""), 2)
    except SystemExit as ended:
        if ended.code:
            _leave(ended.code)
        raise


def _interrupted(error: KeyboardInterrupt, arguments: Sequence[str]) -> NoReturn:
    """Say what is saved, and how to resume."""
    signal_error = error if isinstance(error, signals.Interrupted) else signals.Interrupted(signal.SIGINT)
    line, saved = f"interrupted ({signal.Signals(signal_error.number).name})", signal_error.rows_saved
    if arguments[:1] == ["train"]:
        rows = "finished members" if saved is None else plural(saved, "member")
        half_trained = f", {signal_error.half_trained:,} half-trained" if signal_error.half_trained else ""
        line += f"; {rows} saved{half_trained}. Resume with: {shlex.join(['memcap', *arguments])}"
    _stop(line, signal_error.status)


def _stop(line: str, status: int) -> NoReturn:
    print(f"memcap: {line}", file=sys.stderr)
    _leave(status)


def _leave(status: int | str) -> NoReturn:
    """Exit, without waiting for a worker's thread in the middle of its chunk, at which the interpreter's end
    would abort."""
    if isinstance(status, int) and any(thread.name == "memcap-worker" for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


def _run(arguments: list[str]) -> None:
    # the shell asks how to complete a line, or somebody follows memcap train --hydra-help
    if arguments[:1] == ["-sc"]:
        if not (arguments[-1].startswith("query=") and _complete_command()):
            _call("train", arguments)
        return
    name = arguments[0] if arguments else ""
    if plugins.is_import_path(name):
        jax_setup.prepare()  # its module may use JAX as it is imported
    else:
        # prints the help or the version, or complains, unless this is a command's name
        _top().parse_args(arguments[:1])
    _call(name, arguments[1:])


def _top() -> Parser:
    """The parser of the first word: a command's name, --help or --version."""
    about = "How many units does a recurrent network need to remember this? Answered by measurement."
    parser = Parser(prog="memcap", description=about, epilog=FIRST_STEPS, formatter_class=LINES)
    parser.add_argument("--version", action="version", version=f"memcap {__version__}")
    names = parser.add_subparsers(required=True, metavar="COMMAND")
    for name, summary in commands.summaries().items():
        names.add_parser(name, help=summary.replace("%", "%%"))
    return parser


def _call(name: str, words: list[str]) -> None:
    """Import a command, parse its words, and run it."""
    with _libraries_coming():
        command = commands.find(name)
    if "jax" in sys.modules:  # memcap's own modules import it and use it later; some do without
        jax_setup.prepare()
    parser = _parser(name, command)
    takes_all = any(action.nargs in (argparse.REMAINDER, argparse.PARSER) for action in parser._actions)
    command.run((parser.parse_args if takes_all else parser.parse_intermixed_args)(words))


@contextlib.contextmanager
def _libraries_coming() -> Generator[None]:
    """Collect no garbage while the libraries are imported, and never again what they made: that is much of
    the start."""
    if "jax" in sys.modules or not gc.isenabled():  # this process is not ours alone
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _parser(name: str, command: commands.Command) -> Parser:
    """The parser of a command's words."""
    parser = Parser(
        prog=f"memcap {name}", description=inspect.cleandoc(command.__doc__ or ""), formatter_class=LINES
    )
    command.add_arguments(parser)
    return parser


def _complete_command() -> bool:
    """Complete the subcommand's name, its options, and what an option may be. Leave a line's overrides to
    Hydra.

    Hydra completes what follows the name of the program, so the subcommand is taken out of the line.
    """
    line = os.environ.get("COMP_LINE", "")
    program, _, rest = line.partition(" ")
    name, space, words = rest.lstrip().partition(" ")
    last = words.rpartition(" ")[2]
    if space and (name == "train" or (name == "plan" and not last.startswith("-"))):
        os.environ["COMP_LINE"] = f"{program} {words}"
        return False
    if not space:
        matches = [each for each in commands.summaries() if each.startswith(name)]
    elif name in commands.summaries():
        matches = _options(_parser(name, commands.find(name)), words.split(" ")[:-1], last)
    else:
        matches = []
    print(" ".join(matches))
    return True


def _options(parser: Parser, before: list[str], last: str) -> list[str]:
    """The options of a command that begin like the last word, or the choices of the option before it."""
    options = {text: action for action in parser._actions for text in action.option_strings}
    option = options.get(before[-1]) if before else None
    if option is not None and option.nargs != 0:
        return [str(each) for each in option.choices or () if str(each).startswith(last)]
    return [text for text in options if text.startswith(last)] if last.startswith("-") else []
