"""Judge your own net, of any library: its score at each lag, and whether it is right at
every lag up to yours, wherever in a sequence the task begins.

  memcap judge my_net:predict --task copy --lag 50 --knob items=16

my_net.py has a function, or a model of Keras, PyTorch or Flax. It takes one-hot symbols
or numbers (N, T, F) as float32. It returns logits or values (N, T, O), or (N, O) for
the last step, or classes as whole numbers (N, T).

If a model is not right, and is one LSTM layer with a dense read-out, the command says
why, and prints a line to change. It finds more if the file also has the model
as it was before training, here `untrained`:

  memcap judge my_net:net --start my_net:untrained --task latch --lag 50

Adjacent lags with the same outcome share a line, with their worst scores; --json has
each lag. `first_step` is the score where the task begins at the first step, and
`length` the length of these sequences. `exact` says whether every possible sequence was
tried.

  memcap judge my_entry --golf

scores an entry of memory golf (a folder): how much state its nets have, and how
many of them are right. Its `entry.py` gives the task and the lag; its code runs.

Read more: memcap docs train; memcap docs golf
"""

from argparse import ArgumentParser, Namespace
from pathlib import Path

import polars as pl

from memcap.answers import golf
from memcap.answers.judge import Judgement
from memcap.api import judge
from memcap.commands.arguments import add_json, add_knobs, positive, steps
from memcap.config.member import task_of
from memcap.knobs import UserError
from memcap.runtime.plugins import import_object
from memcap.terminal.words import Listing, NumberColumn, print_json, show


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="MODULE:NAME", help="a function, or a model that can be called")
    add("--golf", action="store_true", help="MODULE:NAME is an entry, a folder")
    add("--task", help="name of a task, as in `memcap tasks`")
    add(
        "--lag", type=steps, help="longest lag, in time steps; of a stream the only one"
    )
    add_knobs(parser)
    add(
        "--indices",
        action="store_true",
        help="give the net symbols as whole numbers (N, T), as an embedding takes them",
    )
    add(
        "--sequences",
        type=positive,
        default=256,
        help="sequences that the net gets at once (default 256); it gets more until a lag is no"
        " longer in doubt, and, for a file, all held-out ones",
    )
    add("--seed", type=int, default=0, help="seed of the sequences (default 0)")
    add("--start", metavar="MODULE:NAME", help="the same model before training")
    add_json(parser)


def run(arguments: Namespace) -> None:
    if arguments.golf:
        _golf(arguments)
        return
    if arguments.task is None or arguments.lag is None:
        raise UserError("judge: needs --task and --lag; `memcap tasks` lists the tasks")
    task = task_of(arguments.task, arguments.knob)
    net = import_object(arguments.net, "net")
    judgement = judge(
        net,
        task,
        arguments.lag,
        one_hot=not arguments.indices,
        sequences=arguments.sequences,
        seed=arguments.seed,
        start=arguments.start and import_object(arguments.start, "start"),
    )
    if arguments.json:
        names = ("right", "up_to", "words", "diagnosis")
        verdict = {name: getattr(judgement, name) for name in names}
        print_json(verdict | {"lags": judgement.table.to_dicts()})
        return
    table = judgement.table if task.stream else _folded(judgement)
    columns = [NumberColumn(head) for head in table.columns]
    show(Listing(f"{arguments.net} on {task.name}", columns, table.rows()))
    for line in str(judgement).splitlines():
        show(line)


def _golf(arguments: Namespace) -> None:
    if arguments.task or arguments.lag or arguments.knob:
        raise UserError("--golf: entry.py says the task; no --task, --lag or --knob")
    score, judgements = golf.score(Path(arguments.net), arguments.seed)
    if arguments.json:
        print_json(score._asdict())
        return
    columns = [NumberColumn(head) for head in score._fields]
    show(Listing(arguments.net, columns, [score]))
    for line in dict.fromkeys(map(str, judgements)):
        show(line)


def _folded(judgement: Judgement) -> pl.DataFrame:
    """Fold adjacent lags that pass alike into one row, with their worst scores."""
    is_accuracy = judgement.task.higher_is_better
    worst, best = (pl.min, pl.max) if is_accuracy else (pl.max, pl.min)
    ends = pl.col("lag", "length").gather([0, -1]).unique(maintain_order=True)
    runs = judgement.table.group_by(
        run=pl.struct("exact", "passes").rle_id(), maintain_order=True
    )
    return runs.agg(
        ends.cast(pl.String).str.join(" to "),
        worst("^(accuracy|mse|first_step)$"),
        best("chance"),
        pl.first("exact", "passes"),
    ).drop("run")
