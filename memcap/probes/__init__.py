"""Probes of a trained net, one file each: what does its state hold? A new file here is
a new probe; nothing else changes.

A probe is an object, in this folder the file itself, with

* a docstring: its first line stands in `memcap probe --help`;
* `probe(net)`, which gets a `memcap.trained.Trained` and gives a `Probed`: a picture,
  the numbers in it, and a short table. It makes its picture with
  `matplotlib.figure.Figure`. It raises `NotForThis`, one line, for a net that it has
  nothing to say about.

A probe that lives elsewhere is called by `module:name`: `memcap probe KEY --what
my_module:mine`. Such a file may look like this:

    '''How large the hidden numbers are at the end of a sequence.'''

    import numpy as np
    import polars as pl
    from matplotlib.figure import Figure
    from memcap.probes import Probed, fresh_batch

    def probe(net):
        sizes = np.abs(net.trace(fresh_batch(net, 256).inputs).hidden[-1]).mean(0)
        data = pl.DataFrame({"unit": range(len(sizes)), "size": sizes})
        figure = Figure()
        figure.add_subplot(xlabel="unit", ylabel="mean size").bar(data["unit"], data["size"])
        return Probed(figure, data, data)

All ask on sequences that the member has not been trained or judged on, the same at each call.
"""

from dataclasses import dataclass
from functools import partial
from typing import Any, Protocol

import jax
import numpy as np
import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.knobs import UserError
from memcap.rule import Stream
from memcap.runtime import plugins
from memcap.tasks import Batch, Task
from memcap.terminal.words import plural
from memcap.trained import Trace, Trained
from memcap.training.host import stream_key


class NotForThis(UserError):  # noqa: N818  # it ends the command only if no probe is left
    """Raised, with a line of reason, if a probe says nothing about a net."""


@dataclass(frozen=True)
class Probed(Drawn):
    """The findings of a probe: a picture with the numbers drawn in it, and words."""

    table: pl.DataFrame  # some of the numbers, to print
    notes: tuple[str, ...] = ()  # sentences below the table


class Probes(Protocol):
    """The interface of a probe: a file of this folder, or an object elsewhere."""

    def probe(self, net: Trained) -> Probed:
        """Look into a net.

        Raises:
            NotForThis: the probe says nothing about this net.
        """
        ...


FOLDER = plugins.Folder[Probes](__name__, "probe", ("probe",))
find = FOLDER.find
summaries = FOLDER.summaries


def fresh_batch(
    net: Trained, sequences: int, index: int = 0, at: tuple[int, int] | None = None
) -> Batch:
    """Draw sequences of the member's task, none trained or judged on, at a lag and
    length (by default the member's); the same ones for the same `index`."""
    lag, length = at or (net.member.lag, net.member.length)
    key = stream_key(net.member, Stream.PROBE, index)
    return _sample(net.member.task, key, lag, length, sequences)


@partial(jax.jit, static_argnums=(0, 2, 3, 4))
def _sample(task: Task, key: jax.Array, lag: int, length: int, sequences: int) -> Batch:
    return task.unseen(jax.random.wrap_key_data(key), lag, length, length, sequences)


def trace(net: Trained, batch: Batch) -> Trace:
    """Run a batch as an evaluation does, with the carry reset at windows if the task
    does so."""
    reset = batch.window_starts if net.member.task.reset_carry else None
    return net.trace(batch.inputs, reset=reset)


def vectors(net: Trained, inputs: Any) -> np.ndarray:
    """Return a batch's inputs as a net sees them, (..., F): symbols one-hot."""
    array = np.asarray(inputs)
    task = net.member.task
    return array if task.vocabulary is None else np.eye(task.features)[array]


def numbers(carry: Any, axes: int) -> np.ndarray:
    """Return the real numbers of a carry side by side, (..., N), after the first `axes`
    axes of its arrays; of complex ones real parts come first."""
    parts: list[np.ndarray] = []
    for leaf in map(np.asarray, jax.tree.leaves(carry)):
        flat = leaf.reshape(*leaf.shape[:axes], -1)
        parts += [flat.real, flat.imag] if np.iscomplexobj(flat) else [flat]
    return np.concatenate(parts, -1)


def carry_name(net: Trained) -> str:
    """Name the whole carry: "(h, c)" of one LSTM layer, otherwise "carry"."""
    model = net.member.model
    alone = (model.readout, model.layers) == ("dense", 1)
    return "(h, c)" if net.network.cell.is_lstm and alone else "carry"


def titled(figure: Figure, net: Trained, what: str, caption: str) -> Figure:
    """Write the title and the net above the axes, and a caption below."""
    member = net.member
    model = member.model
    who = [member.task.name, f"lag {member.lag}", model.cell]
    who.append(plural(model.units, "unit"))
    if model.layers > 1:
        who.append(f"{model.layers} layers")
    who.append(f"seed {member.seed}")
    figure.suptitle(f"{what} ({', '.join(who)})", fontsize=11)
    figure.supxlabel(caption, fontsize=7, x=0.01, ha="left")
    return figure
