"""Judge your own net, of any library: its scores by lag, and whether it is right at
every lag up to one.

  memcap judge my_net:predict --task copy --lag 50 --knob items=16

my_net.py has a function or a Keras model. It takes one-hot symbols or numbers (N, T, F)
as NumPy's float32. It returns logits or values (N, T, O), or (N, O) for the last step,
or classes as whole numbers (N, T). For a PyTorch module `net`:

  def predict(inputs):
      return net(torch.from_numpy(inputs))
"""

from argparse import ArgumentParser, Namespace

from memcap.answers.judge import judge
from memcap.commands.arguments import add_knobs, positive, steps
from memcap.config.member import task_of
from memcap.runtime.plugins import import_object
from memcap.terminal.printing import Column, Listing, add_json, number, print_json, show


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        "net", metavar="MODULE:NAME", help="a function, or a model that can be called"
    )
    parser.add_argument(
        "--task", required=True, help="name of a task, as in `memcap tasks`"
    )
    parser.add_argument("--lag", type=steps, required=True, help="time steps")
    add_knobs(parser)
    about = "give symbols as whole numbers (N, T), as an embedding takes them"
    parser.add_argument("--indices", action="store_true", help=about)
    about = "fresh sequences at each lag (default 256; of a file all held-out ones)"
    parser.add_argument("--sequences", type=positive, default=256, help=about)
    add_json(parser)


def run(arguments: Namespace) -> None:
    """Print the score at each lag, and the verdict."""
    task = task_of(arguments.task, arguments.knob)
    net = import_object(arguments.net, "net")
    judgement = judge(
        net, task, arguments.lag, not arguments.indices, arguments.sequences
    )
    if arguments.json:
        verdict = {
            "right": judgement.right,
            "up_to": judgement.up_to,
            "words": judgement.words,
        }
        print_json(verdict | {"lags": judgement.table.to_dicts()})
        return
    columns = [Column(head, right=True) for head in judgement.table.columns]
    rows = [
        [
            ("yes" if cell else "no") if isinstance(cell, bool) else number(cell)
            for cell in row
        ]
        for row in judgement.table.iter_rows()
    ]
    show(Listing(f"{arguments.net} on {task.name}", columns, rows))
    show(judgement.words)
