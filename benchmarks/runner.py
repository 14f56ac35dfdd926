"""Runs a benchmark: all that is the same for each of them before it measures and after.

A benchmark is a module of this folder that defines `benchmark`. Its name is the
command's, and the first line of its docstring is what `--help` says of it. It has

* `PEERS`: keys of `CONTESTANTS`, all of which must be installed for numbers that count;
* `add_arguments(parser)`: its own arguments, and `core`, to which it is pinned: by
  `one_core`, or set in words;
* `benchmark(arguments, facts)`: measures, and returns an `Outcome`; `facts` are those
  of `report.machine`, for its page.
"""

import argparse
import ast
import importlib
import sys
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import report
from benchmarks.peers import CONTESTANTS
from benchmarks.process import last_core
from memcap.terminal.words import first_paragraph


class Outcome(NamedTuple):
    """A benchmark's page and data."""

    page: str  # Markdown
    data: dict[str, Any]  # every sample, for JSON
    suffix: str = (
        ""  # of the files' names, where they must not replace those of the usual run
    )


def commands() -> dict[str, str]:
    """Return the summary of each benchmark, by name. None is imported: each has imports
    of its own."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_bytes())
        if any(
            isinstance(node, ast.FunctionDef) and node.name == "benchmark"
            for node in tree.body
        ):
            found[path.stem] = first_paragraph(ast.get_docstring(tree))
    return found


def one_core(parser: argparse.ArgumentParser) -> None:
    """Add the argument of those that run on one core."""
    about = "core to which processes are pinned (default: the last)"
    parser.add_argument("--core", type=int, default=last_core(), help=about)


def main(words: list[str] | None = None) -> None:
    """Find the benchmark that is asked for, and run it."""
    words = sys.argv[1:] if words is None else words
    found = commands()
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks",
        description="\n".join(f"{name:10}{line}" for name, line in found.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("command", choices=found)
    run(parser.parse_args(words[:1]).command, words)


def run(name: str, words: list[str]) -> None:
    """Import a benchmark and no other, look at the machine, measure, report; `words`
    are of the command line, with the name."""
    module = importlib.import_module(f"benchmarks.{name}")
    parser = argparse.ArgumentParser(
        prog=f"python -m benchmarks {name}", description=module.__doc__
    )
    files = f"{name}.md and {name}.json"
    parser.add_argument(
        "--out",
        type=Path,
        metavar="FOLDER",
        help=f"for {files} (default: results/; --tiny: none)",
    )
    parser.add_argument(
        "--tiny",
        action="store_true",
        help="as little as can be run: for tests; its times say nothing",
    )
    module.add_arguments(parser)
    arguments = parser.parse_args(words[1:])

    peers = [CONTESTANTS[peer] for peer in module.PEERS]
    absent = [
        f"{peer.title} ({', '.join(peer.missing)})" for peer in peers if peer.missing
    ]
    facts = report.machine(words, arguments.core, report.other_load(), absent)
    if facts["warning"]:
        report.say(facts["warning"])
    if absent:
        report.say(f"not installed: {'; '.join(absent)}. pip install '.[bench]'")
        if not arguments.tiny:
            raise SystemExit(1)

    page, data, suffix = module.benchmark(arguments, facts)
    print(page)
    folder = arguments.out or (None if arguments.tiny else report.RESULTS)
    if folder:
        print(
            "\nwritten:",
            *report.write(folder, name + suffix, page, {"machine": facts, **data}),
        )
