"""The `memcap` command. Thin: it finds the subcommand, parses its arguments, runs it, and says what went
wrong in one line."""

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
        with signals.raised():
            _run(arguments)
        sys.stdout.flush()  # so that a closed pipe shows here
    except UserError as error:
        _stop(f"{error}", 2)
    except KeyboardInterrupt as error:
        _interrupted(error, arguments)
    except BrokenPipeError:
        os.dup2(
            os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno()
        )  # the interpreter flushes once more at its end
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
    """Say what is kept and what goes on from there."""
    told = error if isinstance(error, signals.Interrupted) else signals.Interrupted(signal.SIGINT)
    line, kept = f"interrupted ({signal.Signals(told.number).name})", told.kept
    if arguments[:1] == ["train"]:
        what = (
            "what had ended is kept"
            if kept is None
            else f"{kept} member{'s are' if kept != 1 else ' is'} kept"
        )
        what += f", {told.half_trained} half-trained" if told.half_trained else ""
        line += f"; {what}, and this goes on from there: {shlex.join(['memcap', *arguments])}"
    _stop(line, told.status)


def _stop(line: str, status: int) -> NoReturn:
    print(f"memcap: {line}", file=sys.stderr)
    _leave(status)


def _leave(status: int | str) -> NoReturn:
    """Exit. Nobody waits for a worker's thread that is in the middle of its chunk: at it the interpreter's
    end would abort."""
    if isinstance(status, int) and any(thread.name == "memcap-worker" for thread in threading.enumerate()):
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError):
                stream.flush()
        os._exit(status)
    sys.exit(status)


def _run(arguments: list[str]) -> None:
    if arguments[:1] == [
        "-sc"
    ]:  # the shell asks how to complete a line, or somebody follows memcap train --hydra-help
        if not (arguments[-1].startswith("query=") and _complete_command()):
            _call("train", arguments)
        return
    name = arguments[0] if arguments else ""
    if plugins.is_outside(name):
        jax_setup.prepare()  # its module may use JAX as it is imported
    else:
        _top().parse_args(
            arguments[:1]
        )  # prints the help or the version, or complains, unless this is a command's name
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
    """Look for no garbage while the libraries are imported, and never again among what they made: much of the
    start is that."""
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
        found = [each for each in commands.summaries() if each.startswith(name)]
    elif name in commands.summaries():
        found = _options(_parser(name, commands.find(name)), words.split(" ")[:-1], last)
    else:
        found = []
    print(" ".join(found))
    return True


def _options(parser: Parser, before: list[str], last: str) -> list[str]:
    """The options of a command that begin as the last word does, or what the option before it may be, if it
    has choices."""
    options = {text: action for action in parser._actions for text in action.option_strings}
    asked = options.get(before[-1]) if before else None
    if asked is not None and asked.nargs != 0:
        return [str(each) for each in asked.choices or () if str(each).startswith(last)]
    return [text for text in options if text.startswith(last)] if last.startswith("-") else []
