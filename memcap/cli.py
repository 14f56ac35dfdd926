"""The `memcap` command. Thin: it reads arguments, calls a room, and prints."""

import argparse
import errno
import json
import math
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from memcap import __version__
from memcap.knobs import UserError

OUTPUTS = Path("outputs")
COMMANDS = ("train", "tasks", "collect", "frontier", "figure", "answer", "inspect", "export")

TRAIN = """usage: memcap train [HYDRA OVERRIDES]

Trains what the configuration asks for and keeps one row a member. Arguments go to Hydra unchanged.

  memcap train task=latch task.lag=50 model.units=1            one member
  memcap train 'axes={task.lag: [1, 2, 4], model.units: [1, 2, 3, 4], seed: 4}'
                                                               axes inside one job: members share compiled programs
  memcap train -m task=latch task.lag=5,50 model.units=1,2     a Hydra multirun, a job each
  memcap train sweeps=first_study                              a study of the folder sweeps/
  memcap train design=bisect 'axes={task.lag: [2, 4], model.units: 1..8, seed: 8}'
                                                               only those members of the axes that find u50 and u90
  memcap train task=latch recipe.lr=0.01 recipe.budget=5000    another learning rate, more training steps
  memcap train tracking=wandb                                  mirrored to W&B, offline without a key
  memcap train --cfg job                                       the whole configuration, with every key and default
  memcap train --info searchpath                               where configurations are looked for
  eval "$(memcap train -sc install=bash)"                      completion
{choices}
Rows and weights go to outputs/STUDY (set study=NAME, or out=FOLDER); a rerun trains only what is missing there.
Then: memcap frontier, memcap figure frontier, memcap answer --task latch --lag 50
"""

TOP = """First steps:
  memcap inspect --units 5 --timesteps 2 --features 3    what `units` sets, and what it doesn't
  memcap tasks                                           what there is to remember
  memcap train sweeps=first_study                        measure (minutes); memcap train --help says more
  memcap answer --task delay_line --lag 50               how many units, from what was measured
"""


class Parser(argparse.ArgumentParser):
    """Complains in one line, as the rest of memcap does."""

    def error(self, message: str) -> NoReturn:
        """Raise the complaint."""
        raise UserError(f"{message.removeprefix('argument ')}; see {self.prog} --help")


def parser() -> Parser:
    """The parser of every subcommand but `train`, whose arguments are Hydra's."""
    top = Parser(
        prog="memcap",
        description="How many units does a recurrent network need to remember this? Answered by measurement.",
        epilog=TOP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument("--version", action="version", version=f"memcap {__version__}")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("train", help="train members and keep their rows; arguments are Hydra overrides", add_help=False)

    def command(name: str, text: str, action: Any) -> argparse.ArgumentParser:
        sub = commands.add_parser(name, help=text, description=text)
        sub.set_defaults(action=action)  # a name that no argument has
        return sub

    def results(sub: argparse.ArgumentParser) -> None:
        sub.add_argument(
            "results", type=Path, nargs="?", default=OUTPUTS, help="folder of a study, or of many (default: outputs)"
        )

    def as_json(sub: argparse.ArgumentParser) -> None:
        sub.add_argument("--json", action="store_true", help="print JSON instead of words")

    sub = command("tasks", "what each task asks of memory at a lag: bits, chance, reference widths", tasks)
    sub.add_argument("--lag", type=_positive, default=8, help="time steps (default 8)")
    as_json(sub)
    sub = command("collect", "fold a study's shards into one Parquet file, DIR/rows.parquet", collect)
    results(sub)
    as_json(sub)
    sub = command("frontier", "units that each task and lag needs, with 95 %% intervals, from a study's rows", frontier)
    results(sub)
    as_json(sub)
    sub = command("figure", "draw a figure from a study's rows, with the numbers drawn beside it", figure)
    sub.add_argument("name", help="which figure: frontier, or MODULE:NAME of your own")
    results(sub)
    sub.add_argument("-o", "--output", type=Path, help="folder to write to (default: RESULTS/figures)")
    sub = command("answer", "how many units for this task at this lag, in plain words", answer)
    sub.add_argument("--task", required=True, help="name of a task, as in `memcap tasks`")
    sub.add_argument("--lag", type=_positive, required=True, help="time steps")
    sub.add_argument("--knob", action="append", default=[], metavar="NAME=VALUE", help="a knob of the task, as symbols=4")
    sub.add_argument(
        "--confidence", type=_share, default=0.9, help="share of the seeds that train at all and should solve (default .9)"
    )
    results(sub)
    as_json(sub)
    sub = command("inspect", "shapes of an LSTM's output and state, and why they don't depend on the length", inspect)
    sub.add_argument("--units", type=_positive, default=5, help="hidden width (default 5)")
    sub.add_argument("--timesteps", type=_positive, default=2, help="steps of a sequence (default 2)")
    sub.add_argument("--features", type=_positive, default=3, help="numbers that come in at a step (default 3)")
    sub.add_argument("--cell", default="lstm", help="lstm (the default), or a Flax cell such as GRUCell")
    as_json(sub)
    sub = command("export", "a trained member's weights as npz, in another library's layout", export)
    sub.add_argument("run", help="key of the member, or its first digits, as in the rows")
    sub.add_argument("-o", "--output", type=Path, required=True, help="file to write, .npz")
    sub.add_argument("--layout", choices=["keras", "torch", "flax"], required=True)
    sub.add_argument("--results", type=Path, default=OUTPUTS, help="folder of the study (default: outputs)")
    return top


def _positive(text: str) -> int:
    value = int(text) if text.lstrip("-").isdigit() else 0
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a whole number, at least 1")
    return value


def _share(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be a number above 0 and below 1")
    return value


def _print_json(value: Any) -> None:
    def finite(v: Any) -> Any:
        if isinstance(v, dict):
            return {k: finite(x) for k, x in v.items()}
        if isinstance(v, (list, tuple)):
            return [finite(x) for x in v]
        return None if isinstance(v, float) and not math.isfinite(v) else v

    print(json.dumps(finite(value), indent=2, default=str))


def tasks(arguments: argparse.Namespace) -> None:
    """`memcap tasks`."""
    from memcap import report

    if arguments.json:
        _print_json(report.task_rows(arguments.lag))
    else:
        report.console().print(report.tasks_table(arguments.lag))


def collect(arguments: argparse.Namespace) -> None:
    """`memcap collect`."""
    from memcap.studies import store

    path, rows = store.collect(arguments.results)
    if arguments.json:
        _print_json({"file": str(path), "rows": rows.height})
    else:
        print(f"{rows.height} rows in {path}")


def _points(folder: Path) -> list[Any]:
    from memcap.capacity.frontier import frontier as fitted
    from memcap.studies import store

    rows = store.read(folder)
    if rows.is_empty():
        raise UserError(f"{folder}: holds no rows; train a study first, as in: memcap train sweeps=first_study")
    return fitted(rows)


def frontier(arguments: argparse.Namespace) -> None:
    """`memcap frontier`."""
    from memcap import report
    from memcap.capacity.frontier import columns

    points = _points(arguments.results)
    if arguments.json:
        _print_json([columns(p) for p in points])
    else:
        report.console().print(report.frontier_table(points))


def figure(arguments: argparse.Namespace) -> None:
    """`memcap figure`."""
    from memcap import figures
    from memcap.studies import store

    found, rows = figures.find(arguments.name), store.read(arguments.results)
    if rows.is_empty():
        raise UserError(f"{arguments.results}: holds no rows; train a study first, as in: memcap train sweeps=first_study")
    drawn = found.draw(rows)
    folder = arguments.results if arguments.results.is_dir() else arguments.results.parent
    print(figures.save(drawn, arguments.output or folder / "figures", arguments.name.rpartition(":")[2]))


def answer(arguments: argparse.Namespace) -> None:
    """`memcap answer`."""
    from memcap.capacity import answer as room
    from memcap.config import task_of
    from memcap.studies import store

    task = task_of(arguments.task, arguments.knob)
    rows = store.read(arguments.results) if arguments.results.exists() else store.frame([])
    from memcap.capacity.frontier import frontier as fitted

    found = room.answer(task, arguments.lag, arguments.confidence, fitted(rows))
    if arguments.json:
        _print_json(room.as_dict(found))
    else:
        print("\n".join(room.sentences(found)))


def inspect(arguments: argparse.Namespace) -> None:
    """`memcap inspect`."""
    from dataclasses import asdict

    from memcap.models import inspection
    from memcap.models.network import Model

    found = inspection.inspect(Model(arguments.cell, arguments.units), arguments.timesteps, arguments.features)
    if arguments.json:
        _print_json(asdict(found))
    else:
        print("\n".join(inspection.sentences(found)))


def export(arguments: argparse.Namespace) -> None:
    """`memcap export`."""
    from memcap.models.export import export as exported
    from memcap.models.network import Model
    from memcap.studies import store

    row = store.one(arguments.results, arguments.run)
    model = Model(**store.config_of(row)["model"])
    arrays = exported(model, store.weights_of(arguments.results, row), arguments.layout)
    store.write_arrays(arguments.output, arrays)
    member = f"{row['task']}, lag {row['lag']}, units {row['units']}, seed {row['seed']}, {row['status']}"
    print(f"{arguments.output}: {', '.join(arrays)} ({member})")


def train(arguments: Sequence[str]) -> None:
    """`memcap train`: everything goes to Hydra; its complaints become one line."""
    if not set(arguments).isdisjoint({"-h", "--help"}):
        print(TRAIN.replace("{choices}", _choices()), end="")
        return
    from memcap import hydra_app

    hydra_app.main(arguments)


def _choices() -> str:
    """The files of each folder of conf/, for the help text."""
    from memcap.config import root

    folders = [*sorted((root() / "conf").iterdir()), root() / "sweeps"]
    names = {f.name: ", ".join(sorted(p.stem for p in f.glob("*.yaml"))) for f in folders if f.is_dir()}
    return "\n" + "".join(f"  {name + '=':<10} {files}\n" for name, files in names.items())


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; a user's mistake ends it with one line and status 2."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    try:
        _run(arguments)
        sys.stdout.flush()  # so that a closed pipe shows here
    except UserError as error:
        _stop(f"{error}", 2)
    except KeyboardInterrupt:
        _stop("interrupted; what had ended is kept, the same command goes on from there", 130)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the interpreter flushes once more at its end
        sys.exit(0)
    except OSError as error:
        if error.filename is None and error.errno != errno.ENOSPC:
            raise
        where = "; set out to another folder" if arguments[:1] == ["train"] else ""
        _stop(f"{error.filename or 'disk'}: cannot be read or written ({error.strerror}){where}", 2)


def _stop(line: str, status: int) -> NoReturn:
    print(f"memcap: {line}", file=sys.stderr)
    sys.exit(status)


def _run(arguments: list[str]) -> None:
    if arguments[:1] == ["-sc"]:  # the shell asks how to complete a line, or somebody follows memcap train --hydra-help
        if not (arguments[-1].startswith("query=") and _complete_command()):
            train(arguments)
        return
    parsed = None if arguments[:1] == ["train"] else parser().parse_args(arguments)
    from memcap import backend

    backend.prepare()
    if parsed is None:
        train(arguments[1:])
    else:
        parsed.action(parsed)


def _complete_command() -> bool:
    """Complete the subcommand's name. For a line that goes on after "memcap train", leave what follows to Hydra.

    Hydra completes what follows the name of the program, so the word "train" is taken out of the line.
    """
    line = os.environ.get("COMP_LINE", "")
    program, _, rest = line.partition(" ")
    command, space, overrides = rest.lstrip().partition(" ")
    if space and command == "train":
        os.environ["COMP_LINE"] = f"{program} {overrides}"
        return False
    if not space:
        print(" ".join(name for name in COMMANDS if name.startswith(command)))
    return True
