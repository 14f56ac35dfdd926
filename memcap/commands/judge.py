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
from memcap.commands.arguments import add_json, add_knobs, positive, steps
from memcap.config.member import task_of
from memcap.runtime.plugins import import_object
from memcap.terminal.words import Column, Listing, print_json, show


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("net", metavar="MODULE:NAME", help="a function, or a model that can be called")
    add("--task", required=True, help="name of a task, as in `memcap tasks`")
    add("--lag", type=steps, required=True, help="time steps")
    add_knobs(parser)
    add(
        "--indices",
        action="store_true",
        help="give symbols as whole numbers (N, T), as an embedding takes them",
    )
    add(
        "--sequences",
        type=positive,
        default=256,
        help="fresh sequences at each lag (default 256; of a file all held-out ones)",
    )
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
            name: getattr(judgement, name) for name in ("right", "up_to", "words")
        }
        print_json(verdict | {"lags": judgement.table.to_dicts()})
        return
    table = judgement.table
    columns = [Column(head, right=True) for head in table.columns]
    show(Listing(f"{arguments.net} on {task.name}", columns, table.rows()))
    show(judgement.words)
