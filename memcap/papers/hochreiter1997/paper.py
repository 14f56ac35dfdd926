"""How many cells does a long lag take, and how many sequences?

Protocol: nets of one or two cells a block learn to hold something for long. Experiment 2c: one bit through q
random distractors of p = q kinds; two blocks of a cell. Experiment 4: the sum of two marked numbers of T; two
blocks of two cells. Experiment 6a: the order of two symbols among 100 to 110; two blocks of two cells. They
train by gradient descent, one sequence at a time, and count the sequences until all of a long test is right.

Ours: one LSTM layer of 1 to 4 units, recipe `hold` (conf/recipe/hold.yaml: Adam, batches of 64 sequences),
lags to 100 (study_full.yaml: 1,000). Our LSTM has a forget gate and biases throughout; theirs
has no forget gate, gates that see each other, and in experiment 2c no biases. Solved is accuracy .99, of
adding a squared error of the sum of .01, where theirs asks for errors below .2 (2c), .04 of half the sum (4)
and .3 (6a). So sequences to success stand side by side, but say no more than their order of magnitude; what
is compared is how they grow. A lag is here the longest hold that training may ask for: T - 1 for the adding
problem of T steps, 90 for experiment 6a. Ours are counted every 25 training steps, so in steps of 1,600
sequences.
"""

import math
import textwrap
from typing import Any, NamedTuple

import polars as pl
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator

from memcap.figures import Drawn
from memcap.figures.style import COLOURS, MARKERS, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper

SLOW = 0.5  # the largest power of the lag that is called slow growth
ROOM = 10  # by how much the lag must grow for growth to be judged


class Net(NamedTuple):
    """A net of the paper: fully connected blocks of cells, each block with an input and an output gate.

    Args:
        inputs, outputs: units of these layers.
        blocks, cells: memory cell blocks, and cells of each.
        biases: whether hidden and output units have any.
    """

    inputs: int
    outputs: int
    blocks: int
    cells: int
    biases: bool = True

    @property
    def weights(self) -> int:
        """All hidden units, gates too, feed all hidden units; the cells feed the outputs."""
        hidden, held = self.blocks * (self.cells + 2), self.blocks * self.cells
        return hidden * (hidden + self.inputs + self.biases) + self.outputs * (held + self.biases)


class Published(NamedTuple):
    """A line of the paper's tables: what we call the lag, its net, and the sequences to success."""

    lag: int
    net: Net
    sequences: int


def _latch(q: int, sequences: int) -> Published:
    return Published(q, Net(q + 4, 2, blocks=2, cells=1, biases=False), sequences)


_SUM = Net(2, 1, blocks=2, cells=2)
TABLES: dict[str, tuple[Published, ...]] = {
    "latch": tuple(
        _latch(q, n) for q, n in ((50, 30_000), (100, 31_000), (200, 33_000), (500, 38_000), (1000, 49_000))
    ),
    "adding": (Published(99, _SUM, 74_000), Published(499, _SUM, 209_000), Published(999, _SUM, 853_000)),
    "temporal_order": (Published(90, Net(8, 4, blocks=2, cells=2), 31_390),),
}
NAMES = {"latch": "2c: one bit", "adding": "4: adding", "temporal_order": "6a: order of two"}
CELLS = {"latch": 2, "adding": 4, "temporal_order": 2}  # units whose sequences are drawn


def lines(rows: pl.DataFrame) -> pl.DataFrame:
    """By task, lag and units: how many of the seeds are solved, and the median of their sequences to success,
    beside the paper's.

    An unsolved seed counts as infinitely many sequences. `least` is the least width that most seeds solve.
    Lags that only the paper has stand with nulls for ours.
    """
    grouped = (
        rows.filter(pl.col("task").is_in(list(NAMES)))
        .group_by("task", "lag", "units")
        .agg(
            pl.len().alias("seeds"),
            pl.col("solved").sum().cast(pl.Int64),
            (pl.col("steps_to_solve") * pl.col("batch"))
            .cast(pl.Float64)
            .fill_null(math.inf)
            .median()
            .alias("sequences"),
            pl.col("parameters").first(),
        )
        .with_columns(pl.col("seeds").cast(pl.Int64))
    )
    by_most = grouped.filter(2 * pl.col("solved") > pl.col("seeds"))
    most = by_most.group_by("task", "lag").agg(pl.col("units").min().alias("least"))
    schema = {"task": pl.String, "lag": pl.Int64, "paper_sequences": pl.Int64, "paper_weights": pl.Int64}
    theirs = [
        (task, line.lag, line.sequences, line.net.weights) for task, table in TABLES.items() for line in table
    ]
    published = pl.DataFrame(theirs, schema=schema, orient="row")
    counts = grouped.join(most, on=["task", "lag"], how="left")
    return counts.join(published, on=["task", "lag"], how="full", coalesce=True).sort(
        "task", "lag", "units", nulls_last=True
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Sequences to success against lag, ours filled and the paper's open; below, the least width that most
    seeds solve."""
    data = lines(rows)
    picture = Figure(figsize=(7.2, 7.0))
    above, below = picture.subplots(2, 1, sharex=True, height_ratios=[3, 1.2], gridspec_kw={"hspace": 0.06})
    for k, (task, name) in enumerate(NAMES.items()):
        own = data.filter(task=task)
        look: dict[str, Any] = {"color": COLOURS[k], "marker": MARKERS[k], "ms": 5, "lw": 1}
        ours = own.filter((pl.col("units") == CELLS[task]) & pl.col("sequences").is_finite())
        above.plot(ours["lag"], ours["sequences"], label=f"{name}, {CELLS[task]} units, ours", **look)
        theirs = own.filter(pl.col("paper_sequences").is_not_null()).unique("lag", maintain_order=True)
        above.plot(
            theirs["lag"], theirs["paper_sequences"], label=f"{name}, paper", mfc="white", ls="--", **look
        )
        widths = own.filter(pl.col("least").is_not_null()).unique("lag", maintain_order=True)
        below.plot(widths["lag"] * 1.1 ** (k - 1), widths["least"], label=name, **look)
    above.set(
        xscale="log",
        yscale="log",
        ylabel="sequences to success",
        title="Sequences and cells that a lag takes",
    )
    above.legend(frameon=False, fontsize=8)
    below.set(xlabel="lag (time steps)", ylabel="least units", ylim=(0, 4.9), yticks=[1, 2, 3, 4])
    below.xaxis.set_major_locator(FixedLocator([5, 10, 25, 50, 100, 200, 500, 1000]))
    below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    below.xaxis.set_minor_locator(NullLocator())
    for axes in (above, below):
        axes.grid(color="#dddddd", lw=0.5)
    seeds = data["seeds"].max() or 0
    caption = (
        f"Above: median over {seeds} seeds of training steps times batch; open: experiments 2c, 4 and 6a of"
        " Hochreiter &"
        " Schmidhuber (1997), at the lag as it is counted here. Learning rule, criterion and cell differ,"
        " so compare slopes, not"
        " heights. Below: the least width that more than half of the seeds solve, of 1 to 4 (moved sideways"
        " a little to tell them"
        " apart)."
    )
    write_below(picture, textwrap.fill(caption, 120))
    return Drawn(picture, data)


def _least(rows: pl.DataFrame, task: str) -> dict[int, float]:
    """The least width that most seeds solve, by lag; infinite where none of those tried is."""
    own = (
        lines(rows)
        .filter((pl.col("task") == task) & pl.col("units").is_not_null())
        .unique("lag", maintain_order=True)
    )
    return {
        lag: math.inf if least is None else least for lag, least in own.select("lag", "least").iter_rows()
    }


def _in_words(widths: dict[int, float]) -> str:
    return ", ".join(f"{width:g} at lag {lag}" for lag, width in sorted(widths.items()))


def _cells_of_a_latch(rows: pl.DataFrame) -> Finding:
    widths = _least(rows, "latch")
    if len(widths) < 2:
        return NOT_MEASURED
    return Finding(f"units: {_in_words(widths)}", max(widths.values()) <= 2)


def _growth(rows: pl.DataFrame) -> Finding:
    own = lines(rows).filter((pl.col("task") == "latch") & (pl.col("units") == CELLS["latch"])).sort("lag")
    if own.is_empty() or own["lag"][-1] < ROOM * own["lag"][0]:
        return NOT_MEASURED
    (first, few), (last, many) = (own.select("lag", "sequences").row(k) for k in (0, -1))
    text = f"{few:,.0f} to {many:,.0f} from lag {first} to {last}"
    if math.isinf(few) or math.isinf(many):
        return Finding(text, False)
    power = math.log(many / few) / math.log(last / first)
    return Finding(f"{text}: as lag^{power:.2f}", power <= SLOW)


def _at(rows: pl.DataFrame, task: str, units: int) -> Finding:
    """Whether so many units solve the task at the paper's least lag, and after how many sequences."""
    lag = TABLES[task][0].lag
    own = lines(rows).filter((pl.col("task") == task) & (pl.col("lag") == lag) & (pl.col("units") == units))
    if own.is_empty():
        return NOT_MEASURED
    line = own.row(0, named=True)
    text = (
        f"{line['solved']} of {line['seeds']} seeds, median {line['sequences']:,.0f} sequences; least width"
        f" {line['least']}"
    )
    return Finding(text, 2 * line["solved"] > line["seeds"])


PAPER = Paper(
    source="Hochreiter & Schmidhuber, Long short-term memory, Neural Computation 9(8), 1997",
    cost="11 minutes on one core of a busy machine, of which 2 train and 8 compile",
    claims=(
        Claim(
            "one or two cells latch a bit at every lag (ours: most seeds, lags of the study)",
            "2 cells at lags 50 to 1000; one would be sufficient",
            "experiment 2c, table and text",
            _cells_of_a_latch,
        ),
        Claim(
            "sequences to success grow slowly with the lag (ours: at most as its square root, over a"
            " tenfold lag or more)",
            "30,000 to 49,000 from lag 50 to 1000: as lag^0.16",
            "experiment 2c, table",
            _growth,
        ),
        Claim(
            "4 cells learn to add two of 100 numbers (ours: most seeds)",
            "74,000 sequences, 93 weights, 1 wrong of 2,560 after 10 trials",
            "experiment 4, table",
            lambda rows: _at(rows, "adding", 4),
        ),
        Claim(
            "one block of two cells learns the order of two symbols among 100 (ours: most seeds)",
            "31,390 sequences with two blocks, 156 weights; typical solutions require only one block",
            "experiment 6a, table and text",
            lambda rows: _at(rows, "temporal_order", 2),
        ),
    ),
)
