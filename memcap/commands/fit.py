"""Find how many units your own sequences need: read a table, train, answer, and draw a figure.

The file is a CSV, TSV, Parquet or Arrow file with a line per step: columns `sequence`
and `step`, the features that the net sees, and the target that it must predict. It can
also be an .npz file (python -m pydoc memcap.own.task describes it). A width is enough if
its loss on sequences never seen in training is above the best width's by no more than
chance.

Read more: memcap docs sequences
"""

from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory

from memcap import figures, store
from memcap.commands.arguments import (
    add_code,
    add_json,
    check_code,
    location,
    positive,
    print_code,
)
from memcap.config.member import Engine, Member
from memcap.config.recipes import Recipe
from memcap.knobs import UserError, names_of
from memcap.models.model import Model
from memcap.own.fitted import best_net, remove
from memcap.own.folds import CLASSES, ORDERS, TIME
from memcap.own.formats import READERS, is_table
from memcap.own.losses import LossCurve
from memcap.own.search import WidthSearch, recipe_of
from memcap.own.table import Columns, LongForm, read_table, words_of
from memcap.own.task import Data, own_task
from memcap.own.words import as_dict, loss_table, sentences
from memcap.scripts import FRAMEWORKS, script
from memcap.store.shards import OUTPUTS
from memcap.terminal.words import (
    Listing,
    NumberColumn,
    complain,
    print_json,
    printable,
    show,
    warn_once,
)

LISTS = {  # options that take a list of columns
    "--features": "columns that the net sees, as in a,b (default: all others)",
    "--drop": "columns that the net does not see, as in a,b",
    "--keep": "columns that the net sees though they look like an order, an id or a label",
    "--categories": "features whose numbers are names of categories, as in a,b",
}


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("file", type=location, help=f"{', '.join(READERS)}, or .npz")
    add = parser.add_argument_group("columns of a table").add_argument
    add("--target", help="column that the net must predict (of a table)")
    add(
        "--sequence",
        default="sequence",
        help="column that tells sequences apart (default sequence)",
    )
    add(
        "--step",
        help="column that orders a sequence's lines (default step, if there is one)",
    )
    for option, about in LISTS.items():
        add(option, type=words_of, default=(), help=about)
    add(
        "--missing",
        choices=("refuse", "mask"),
        default="refuse",
        help="missing values: refuse the file (default), or tell the net where they are",
    )
    add(
        "--values",
        action="store_true",
        default=None,
        help="the target is numbers (default: a few different whole numbers are classes)",
    )
    add("--classes", dest="values", action="store_false", help="the target is classes")
    add(
        "--decimal-comma",
        action="store_true",
        help="the numbers of a CSV file have decimal commas",
    )
    add = parser.add_argument_group("sequences cut from longer ones").add_argument
    add(
        "--window",
        type=positive,
        help="steps of each sequence that is cut from a long series, or from each of several",
    )
    add(
        "--ahead",
        type=positive,
        default=1,
        help="with --window: steps from its last step to the target (default 1)",
    )
    add = parser.add_argument_group("what is held out").add_argument
    add(
        "--group",
        help="column that names a subject or machine; each is on one side of a split only",
    )
    add(
        "--split",
        help="column that assigns sequences to train, validation or test (default: folds)",
    )
    add(
        "--order",
        choices=ORDERS,
        help="time: judge on later sequences or groups than those trained on (default with"
        " --window); classes: spread each class evenly (default otherwise); random",
    )
    add = parser.add_argument_group("what is trained").add_argument
    add(
        "--most", type=positive, default=32, help="units of the widest net (default 32)"
    )
    add(
        "--folds",
        type=positive,
        default=5,
        help="folds of the cross-validation, at most 5 (default 5); with --split, the number of"
        " repeats",
    )
    add(
        "--seeds",
        type=positive,
        default=2,
        help="nets of each width and fold (default 2)",
    )
    add("--workers", type=positive, help="processes that train (default: one a core)")
    add = parser.add_argument
    add(
        "--out",
        type=location,
        help="folder of the study (default: outputs/NAME of the file)",
    )
    add(
        "--check",
        action="store_true",
        help="print what the file holds, with ten of its lines; train and write nothing",
    )
    add_code(parser, FRAMEWORKS)
    add_json(parser)


def run(arguments: Namespace) -> None:
    check_code(arguments)
    aside = arguments.json or arguments.code
    if arguments.check:
        if aside:
            raise UserError("--check: prints words alone; leave out --json and --code")
        with TemporaryDirectory() as scratch:
            _show_file(arguments.file, *_task(arguments, Path(scratch)))
        return
    folder = arguments.out or OUTPUTS / arguments.file.stem
    task, form = _task(arguments, folder)
    if not aside:
        _print(form.words)
    engine = Engine(workers=arguments.workers or 0)
    sizes = arguments.most, arguments.folds, arguments.seeds
    search = WidthSearch(task, folder, *sizes, engine, quiet=bool(aside))
    remove(folder)  # it may not be what this file and these options lead to
    curve = search.run()
    if curve.enough:
        chosen = curve.enough[0]
        rows = search.final(chosen.units, recipe_of(chosen))
        best_net(rows, folder / "net", form).save(folder)
    if arguments.code:
        print_code(arguments, partial(_code, curve))
        complain(sentences(curve)[0])
    elif arguments.json:
        print_json(as_dict(curve))
    else:
        show(loss_table(curve))
        with figures.own_style():
            picture = figures.find("held_out").draw(store.read(folder))
            path = figures.save(picture, folder / "figures", "held_out")
        print(f"Figure: {path} (data beside it)")
        code = ". A script that trains this net: the same command with --code keras"
        print(f"Rows and weights: {folder}{code if curve.units else ''}")
        if curve.units and form.columns and not arguments.window:
            print(f"New sequences: memcap predict {folder} new.csv")


def _print(words: Iterable[str]) -> None:
    print("\n".join(map(printable, words)))  # they have names of the file


def _show_file(file: Path, task: Data, form: LongForm) -> None:
    _print(form.words)
    for doubt in task.doubts(task.longest_lag):
        warn_once(doubt.replace(task.file, str(file)))
    if form.head is not None:
        names = [printable(name) for name in form.head.columns]
        columns = [NumberColumn(name) for name in names]
        title = "What the net sees, before numbers are scaled:"
        show(Listing(title, columns, form.head.rows(), names[-2:1:-1]))


def _task(arguments: Namespace, folder: Path) -> tuple[Data, LongForm]:
    file = arguments.file
    order = arguments.order or (TIME if arguments.window else CLASSES)
    if not is_table(file):
        if file.suffix != ".npz":
            raise UserError(f"{file}: must be a {', '.join(READERS)} or .npz file")
        for option in ("target", "split", "window"):
            value = getattr(arguments, option)
            if value is not None:
                raise UserError(
                    f"--{option} {value}: arrays have no columns; leave it out"
                )
        task = own_task(file, order)
        return task, LongForm({}, task.file_content.words(str(file)))
    if arguments.target is None:
        raise UserError(
            f"--target: not given; which column of {file} must the net predict?"
        )
    columns = {name: getattr(arguments, name) for name in names_of(Columns)}
    form = read_table(file, Columns(**columns), arguments.decimal_comma)
    path = form.save(folder / f"sequences-{form.digest}.npz")
    return own_task(path, order), form


def _code(curve: LossCurve, framework: str, file: Path | None, command: str) -> str:
    if curve.units is None:
        raise UserError(f"--code: {curve.verdict}, so there is no width to train")
    chosen = curve.enough[0]
    if curve.task.loss == "classes":
        criterion = round(chosen.score - 0.01, 3)
    else:
        criterion = float(f"{1.05 * chosen.mean:.3g}")
    task = replace(curve.task, criterion=criterion)
    values = {name: getattr(curve.recipe, name) for name in ("name", "lr", "budget")}
    member = Member(
        task, curve.lag, model=Model(units=curve.units), recipe=Recipe(**values)
    )
    enough = "1 unit was" if curve.units == 1 else f"{curve.units} units were"
    heading = f"{enough} enough by memcap fit."
    return script(member, framework, heading, file, command)
