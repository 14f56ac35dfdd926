"""Find how many units your own sequences need: read a table, train, answer, and draw a figure.

The file is a CSV, TSV, Parquet or Arrow file with a line per step: columns `sequence`
and `step`, the features that the net sees, and the target that it must predict. It can
also be an .npz file (python -m pydoc memcap.own.task describes it), or a folder with
the arrays of such a file as .npy files. A width is enough if its loss on sequences that
training never saw equals the best width's within chance.
"""

from argparse import ArgumentParser, Namespace
from dataclasses import replace
from pathlib import Path

from memcap import figures, store
from memcap.api import load
from memcap.commands.arguments import location, positive
from memcap.config.knobs import UserError
from memcap.config.member import Engine, Member
from memcap.config.recipes import Recipe
from memcap.models.model import MOST_UNITS, Model
from memcap.own.losses import LossCurve
from memcap.own.rare_classes import has_rare_class, rare_words
from memcap.own.search import WidthSearch
from memcap.own.table import (
    READERS,
    Columns,
    LongForm,
    is_table,
    read_folder,
    read_table,
    words_of,
)
from memcap.own.task import BEST, Data
from memcap.own.words import as_dict, loss_table
from memcap.scripts import FRAMEWORKS
from memcap.scripts.script import script
from memcap.store.shards import OUTPUTS
from memcap.terminal.printing import add_json, print_json, show
from memcap.terminal.words import printable


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "file",
        type=location,
        help=f"{', '.join(READERS)}, .npz, or a folder of .npy files",
    )
    parser.add_argument(
        "--target", help="column that the net must predict (of a table)"
    )
    about = "column that tells sequences apart (default sequence)"
    parser.add_argument("--sequence", default="sequence", help=about)
    about = "column that orders a sequence's lines (default step, if there is one)"
    parser.add_argument("--step", help=about)
    parser.add_argument(
        "--features", help="columns that the net sees, as in a,b (default: all others)"
    )
    parser.add_argument(
        "--categories", help="features whose numbers are names of categories, as in a,b"
    )
    parser.add_argument(
        "--group",
        help="column of subjects or machines; each is on one side of a split only",
    )
    about = (
        "column that assigns sequences to train, validation or test (default: folds)"
    )
    parser.add_argument("--split", help=about)
    about = "number of sequences to draw at random from a larger table (default: all)"
    parser.add_argument("--take", type=positive, help=about)
    about = "missing features: refuse them (default), or tell the net where they are"
    parser.add_argument(
        "--missing", choices=("refuse", "mask"), default="refuse", help=about
    )
    about = (
        "the target is numbers (default for whole numbers: classes, if they are few)"
    )
    parser.add_argument("--values", action="store_true", default=None, help=about)
    parser.add_argument(
        "--classes", dest="values", action="store_false", help="the target is classes"
    )
    about = "folder of the study (default: outputs/NAME of the file)"
    parser.add_argument("--out", type=location, help=about)
    parser.add_argument(
        "--most", type=positive, default=32, help="units of the widest net (default 32)"
    )
    about = "folds of the cross-validation, at most 5 (default 5); with your own split, repeats"
    parser.add_argument("--folds", type=positive, default=5, help=about)
    parser.add_argument(
        "--seeds",
        type=positive,
        default=2,
        help="nets of each width and fold (default 2)",
    )
    parser.add_argument(
        "--workers", type=positive, help="processes that train (default: one a core)"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="print what the file holds, and train nothing",
    )
    about = (
        "print a script of that framework, which trains a net of this width on the file"
    )
    parser.add_argument("--code", choices=FRAMEWORKS, help=about)
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Train what is missing, and answer."""
    if arguments.most > MOST_UNITS:
        raise UserError(f"--most {arguments.most}: must be at most {MOST_UNITS}")
    if arguments.folds > 5:
        raise UserError(
            f"--folds {arguments.folds}: must be at most 5, each a fifth of the sequences"
        )
    aside = arguments.json or arguments.code
    folder = arguments.out or OUTPUTS / arguments.file.stem
    task, words = _task(arguments, folder)
    if not aside:
        print(
            "\n".join(map(printable, words))
        )  # columns and classes have names of the file
    if arguments.check:
        return
    engine = Engine(workers=arguments.workers or 0)
    sizes = arguments.most, arguments.folds, arguments.seeds
    curve = WidthSearch(task, folder, *sizes, engine, quiet=bool(aside)).run()
    if arguments.code:
        print(_code(curve, arguments.code), end="")
    elif arguments.json:
        print_json(as_dict(curve))
    else:
        show(loss_table(curve))
        if curve.enough and has_rare_class(curve.task):
            print(
                printable(
                    rare_words(
                        curve, (load(folder, key) for key in curve.enough[0].keys)
                    )
                )
            )
        drawn = figures.find("held_out").draw(store.read(folder))
        print(
            f"Figure: {figures.save(drawn, folder / 'figures', 'held_out')} (data beside it)"
        )
        code = ". A script that trains this net: the same command with --code keras"
        print(f"Rows and weights: {folder}{code if curve.units else ''}")


def _task(arguments: Namespace, folder: Path) -> tuple[Data, list[str]]:
    file = arguments.file
    if not is_table(file):
        if file.suffix != ".npz" and not file.is_dir():
            raise UserError(
                f"{file}: must be a {', '.join(READERS)} or .npz file, or a folder of .npy files"
            )
        for option in ("target", "split", "take"):
            if (value := getattr(arguments, option)) is not None:
                raise UserError(
                    f"--{option} {value}: arrays have no columns; leave it out"
                )
        if file.is_dir():
            return _saved(read_folder(file), folder)
        task = Data(file=str(file), criterion=BEST, scale=True)
        return task, [*task.file_content.words(str(file))]
    if arguments.target is None:
        raise UserError(
            f"--target: not given; which column of {file} must the net predict?"
        )
    columns = Columns(
        arguments.target,
        arguments.sequence,
        arguments.step,
        words_of(arguments.features),
        words_of(arguments.categories),
        arguments.group,
        arguments.missing,
        arguments.values,
        arguments.split,
        arguments.take,
    )
    return _saved(read_table(file, columns), folder)


def _saved(form: LongForm, folder: Path) -> tuple[Data, list[str]]:
    path = form.save(folder / f"sequences-{form.digest}.npz")
    return Data(file=str(path), criterion=BEST, scale=True), list(form.words)


def _code(curve: LossCurve, framework: str) -> str:
    """Return a script that trains a net of the width that is enough, until it is as
    good as those here."""
    if curve.units is None:
        raise UserError("--code: no width helps, so there is none to train")
    chosen = curve.enough[0]
    classes = curve.task.loss == "classes"
    criterion = (
        round(chosen.score - 0.01, 3)
        if classes
        else float(f"{1.05 * chosen.score:.3g}")
    )
    task = replace(curve.task, criterion=criterion)
    values = {name: getattr(curve.recipe, name) for name in ("name", "lr", "budget")}
    member = Member(
        task, curve.lag, model=Model(units=curve.units), recipe=Recipe(**values)
    )
    enough = "1 unit was" if curve.units == 1 else f"{curve.units} units were"
    return script(member, framework, f"{enough} enough by memcap fit.")
