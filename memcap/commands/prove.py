"""Prove that a net is right on all sequences within N steps, or find one on which it is
wrong.

  memcap prove atlas:latch-L50                      a published net
  memcap prove 'atlas:copy*'                        several
  memcap prove KEY outputs/mine                     a member of your own
  memcap prove '*' outputs/mine                     all of a study
  memcap prove net.npz --task latch --lag 50        an LSTM of Keras, PyTorch or Flax

N is the length of the net's own sequences. Where there are at most 65,536 sequences of a
lag and a length, each is tried. A latch among distractors is proved by bounds of the
carry, which hold for real numbers and for float32. An .npz file has the arrays of one
layer of an LSTM and a dense read-out, in the order of the library's own.

Read more: memcap docs train
"""

import time
from argparse import ArgumentParser, Namespace
from fnmatch import filter as matches
from pathlib import Path

from memcap import store
from memcap.api import load
from memcap.commands.arguments import NET, add_knobs, add_results, steps
from memcap.config.member import task_of
from memcap.knobs import UserError
from memcap.proofs.proof import Proof, prove
from memcap.store.files import BadFileError, read_npz
from memcap.store.nets import names
from memcap.terminal.words import Column, Listing, Waiting, show
from memcap.trained import Trained, of_arrays

# Before what counts may come filler, within so many steps.
HEADS = "net", "task", "units", "steps", "before", "seconds", *Proof._fields[:-1]
MOST_BYTES = 2**29  # of a file; an LSTM of 4,096 units has half as many
DROPS = "steps", "sequences", "seconds", "task", "units"


def add_arguments(parser: ArgumentParser) -> None:
    add = parser.add_argument
    add("run", metavar="NET", help=f"{NET}; or several, as 'atlas:copy*'; or a file")
    add_results(parser)
    add("--task", default="latch", help="task of a file (default latch)")
    add("--lag", type=steps, default=50, help="its lag, in time steps (default 50)")
    add_knobs(parser)


def run(arguments: Namespace) -> None:
    rows = []
    notes = []
    nets = names()
    if arguments.run == "*":
        nets = store.read(arguments.results)["key"]
    for name in matches(nets, arguments.run) or [arguments.run]:
        is_file = name.endswith(".npz")
        net = _net_of_file(arguments) if is_file else load(arguments.results, name)
        for *row, sequence in verdicts(name, net):
            rows.append(row)
            if sequence:
                notes.append(f"{name} is wrong on {sequence}")
    columns = [Column(head, folds=head == "reason") for head in HEADS]
    show(Listing("Proofs", columns, rows, DROPS, notes))


def verdicts(name: str, net: Trained) -> list[list]:
    """Return a row of `HEADS` without filler, then, unless the net is wrong there, one
    with filler, each with a sequence on which it is wrong, or None."""
    task = net.member.task
    about = name, task.name, net.member.model.units, net.member.length
    rows = []
    for filler in dict.fromkeys(["", task.filler]):
        start = time.perf_counter()
        with Waiting(f"proving {name}"):
            proof = prove(net, anywhere=bool(filler))
        seconds = time.perf_counter() - start
        rows.append([*about, filler, seconds, *proof])
        if proof.counterexample:
            break  # with filler it would be the same
    return rows


def _net_of_file(arguments: Namespace) -> Trained:
    task = task_of(arguments.task, arguments.knob)
    try:
        path = Path(arguments.run)
        arrays = read_npz(path, lambda npz: dict(npz), MOST_BYTES)
        return of_arrays(arrays, task, arguments.lag)
    except (BadFileError, ValueError) as error:
        raise UserError(f"{arguments.run}: {error}") from error
