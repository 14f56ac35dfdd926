"""How many cells does a long lag take, and how many sequences?

Protocol: nets of one or two cells a block learn to hold something for long. Experiment 2c: one bit through q
random distractors of p = q kinds; two blocks of a cell. Experiment 4: the sum of two marked numbers of T; two
blocks of two cells. Experiment 6a: the order of two symbols among 100 to 110; two blocks of two cells. They
train by gradient descent, one sequence at a time, and count the sequences until all of a long test is right.

Ours: one LSTM layer of 1 to 4 units, recipe `hold` (conf/recipe/hold.yaml: Adam, batches of 64 sequences),
lags to 100 (study_full.yaml: 1,000). The biases of `hold` are set by the lag: it is told how long to hold. So
the latch is trained from two starts, too, that are the same at all lags: `constant`, a forget bias of 5, else
as `hold`; and `curriculum`, a forget bias of 1, at first on shorter lags (conf/recipe/curriculum.yaml), which
theirs never see. Elman nets, trained as `hold`, stand for their plain recurrent nets.

Our LSTM has a forget gate and biases throughout; theirs
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
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FixedLocator, FuncFormatter, NullLocator
from scipy import stats

from memcap.figures import Drawn
from memcap.figures.style import COLOURS, MARKERS, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper

SLOW = 0.5  # the largest power of the lag that is called slow growth
ROOM = 10  # by how much the lag must grow for growth to be judged
RISES = 0.4  # least rank correlation of lag and sequences, over the seeds, that is called growth
LONG = 50  # the lag from which on plain recurrent nets must fail


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
ARMS = {
    "hold": "told the lag",
    "curriculum": "curriculum, forget bias 1",
    "constant": "forget bias 5",
    "Elman": "Elman nets",
}


def _members(rows: pl.DataFrame) -> pl.DataFrame:
    """The rows of the three tasks with their arm, and `sequences` to success: infinite where unsolved."""
    arm = (
        pl.when(pl.col("cell") != "lstm")
        .then(pl.lit("Elman"))
        .when(pl.col("curriculum").is_not_null())
        .then(pl.lit("curriculum"))
        .when(pl.col("init") == "forget_bias")
        .then(pl.lit("constant"))
        .otherwise(pl.lit("hold"))
    )
    sequences = (pl.col("steps_to_solve") * pl.col("batch")).cast(pl.Float64).fill_null(math.inf)
    return rows.filter(pl.col("task").is_in(list(NAMES))).with_columns(
        arm.alias("arm"), sequences.alias("sequences")
    )


def lines(rows: pl.DataFrame) -> pl.DataFrame:
    """By task, arm, lag and units: how many of the seeds are solved, and the median of their sequences to
    success, beside the paper's.

    An unsolved seed counts as infinitely many sequences. `least` is the least width that most seeds solve.
    Lags that only the paper has stand with nulls for ours.
    """
    grouped = (
        _members(rows)
        .group_by("task", "arm", "lag", "units")
        .agg(
            pl.len().alias("seeds"),
            pl.col("solved").sum().cast(pl.Int64),
            pl.col("sequences").median(),
            pl.col("parameters").first(),
        )
        .with_columns(pl.col("seeds").cast(pl.Int64))
    )
    by_most = grouped.filter(2 * pl.col("solved") > pl.col("seeds"))
    most = by_most.group_by("task", "arm", "lag").agg(pl.col("units").min().alias("least"))
    schema = {"task": pl.String, "lag": pl.Int64, "paper_sequences": pl.Int64, "paper_weights": pl.Int64}
    theirs = [
        (task, line.lag, line.sequences, line.net.weights) for task, table in TABLES.items() for line in table
    ]
    published = pl.DataFrame(theirs, schema=schema, orient="row")
    counts = grouped.join(most, on=["task", "arm", "lag"], how="left")
    return counts.join(published, on=["task", "lag"], how="full", coalesce=True).sort(
        "task", "arm", "lag", "units", nulls_last=True
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Sequences to success against lag, ours filled and the paper's open; below, the share of seeds that
    latch a bit, by arm, and the least width that most seeds solve."""
    data = lines(rows)
    picture = Figure(figsize=(7.2, 8.6))
    above, middle, below = picture.subplots(
        3, 1, sharex=True, height_ratios=[3, 1.2, 1], gridspec_kw={"hspace": 0.08}
    )
    for k, (task, name) in enumerate(NAMES.items()):
        own = data.filter(task=task)
        look: dict[str, Any] = {"color": COLOURS[k], "marker": MARKERS[k], "ms": 5, "lw": 1}
        theirs = own.filter(pl.col("paper_sequences").is_not_null()).unique("lag", maintain_order=True)
        theirs = theirs.sort("lag")
        above.plot(
            theirs["lag"], theirs["paper_sequences"], label=f"{name}, paper", mfc="white", ls="--", **look
        )
        _sequences(
            above,
            own.filter(arm="hold", units=CELLS[task]),
            f"{name}, {CELLS[task]} units, {ARMS['hold']}",
            **look,
        )
        widths = own.filter(pl.col("least").is_not_null(), arm="hold").unique("lag", maintain_order=True)
        below.plot(widths["lag"] * 1.1 ** (k - 1), widths["least"], label=name, **look)
    latch = data.filter(task="latch", units=CELLS["latch"])
    for k, (arm, name) in enumerate(ARMS.items()):
        own = latch.filter(arm=arm)
        at = 0 if arm == "hold" else len(NAMES) + k - 1
        look = {"color": COLOURS[at], "marker": MARKERS[at], "ms": 5, "lw": 1}
        if arm in ("curriculum", "constant"):
            _sequences(above, own, f"{NAMES['latch']}, 2 units, {name}", **look)
        middle.plot(own["lag"], own["solved"] / own["seeds"], label=name, **look)
    above.set(
        xscale="log",
        yscale="log",
        ylabel="sequences to success",
        title="Sequences and cells that a lag takes",
    )
    above.legend(frameon=False, fontsize=8)
    middle.set(ylabel="share that latch", ylim=(-0.08, 1.08))
    middle.legend(frameon=False, fontsize=8, loc="lower right")
    below.set(xlabel="lag (time steps)", ylabel="least units", ylim=(0, 4.9), yticks=[1, 2, 3, 4])
    below.xaxis.set_major_locator(FixedLocator([5, 10, 25, 50, 100, 200, 500, 1000]))
    below.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    below.xaxis.set_minor_locator(NullLocator())
    for axes in (above, middle, below):
        axes.grid(color="#dddddd", lw=0.5)
    seeds = data["seeds"].max() or 0
    caption = (
        f"Above: median over {seeds} seeds of training steps times batch, where most are solved, from biases"
        " that are told the lag or the same at all lags; open: experiments 2c, 4 and 6a of Hochreiter &"
        " Schmidhuber (1997), at the lag as it is counted here. Learning rule, criterion and cell differ, so"
        " compare slopes, not heights. Middle: share of seeds of 2 units. Below: the least width that more"
        " than half of the seeds solve, of 1 to 4 (moved sideways a little to tell them apart)."
    )
    write_below(picture, textwrap.fill(caption, 120))
    return Drawn(picture, data)


def _sequences(axes: Axes, own: pl.DataFrame, label: str, **look: Any) -> None:
    """The sequences to success of nets of one width, where most are solved."""
    shown = own.filter(pl.col("sequences").is_finite())
    axes.plot(shown["lag"], shown["sequences"], label=label, **look)


def _least(rows: pl.DataFrame, task: str, arm: str) -> dict[int, float]:
    """The least width that most seeds solve, by lag; infinite where none of those tried is."""
    own = lines(rows).filter(task=task, arm=arm).unique("lag", maintain_order=True)
    return {
        lag: math.inf if least is None else least for lag, least in own.select("lag", "least").iter_rows()
    }


def _in_words(widths: dict[int, float]) -> str:
    return ", ".join(f"{width:g} at lag {lag}" for lag, width in sorted(widths.items()))


def _cells_of_a_latch(rows: pl.DataFrame) -> Finding:
    widths, plain = _least(rows, "latch", "hold"), _least(rows, "latch", "Elman")
    plain = {lag: width for lag, width in plain.items() if lag >= LONG}
    if len(widths) < 2 or not plain:
        return NOT_MEASURED
    wider = sorted(lag for lag, width in plain.items() if width > CELLS["latch"])
    text = f"units: {_in_words(widths)}; Elman nets fail at lags {', '.join(map(str, wider)) or 'none'}"
    return Finding(text, max(widths.values()) <= CELLS["latch"] and len(wider) == len(plain))


def _growth(arm: str, rows: pl.DataFrame) -> Finding:
    own = _members(rows).filter(task="latch", arm=arm, units=CELLS["latch"])
    medians = own.group_by("lag").agg(pl.col("sequences").median()).sort("lag")
    if own.is_empty() or medians["lag"][-1] < ROOM * medians["lag"][0]:
        return NOT_MEASURED
    (first, few), (last, many) = (medians.row(k) for k in (0, -1))
    text = f"{few:,.0f} to {many:,.0f} from lag {first} to {last}"
    if math.isinf(few) or math.isinf(many):
        return Finding(text, False)
    power = math.log(many / few) / math.log(last / first)
    rises = own["sequences"].n_unique() > 1 and _correlation(own) >= RISES
    return Finding(f"{text}: as lag^{power:.2f}", rises and power <= SLOW)


def _correlation(own: pl.DataFrame) -> float:
    """Rank correlation of lag and sequences."""
    return float(stats.spearmanr(own["lag"].to_numpy(), own["sequences"].to_numpy()).statistic)


def _at(rows: pl.DataFrame, task: str, units: int) -> Finding:
    """Whether so many units solve the task at the paper's least lag, after how many sequences, and whether
    Elman nets do not."""
    lag = TABLES[task][0].lag
    own = lines(rows).filter(task=task, lag=lag, units=units)
    arms = {line["arm"]: line for line in own.to_dicts()}
    if not {"hold", "Elman"} <= set(arms):
        return NOT_MEASURED
    line, plain = arms["hold"], arms["Elman"]
    text = (
        f"{line['solved']} of {line['seeds']} seeds, median {line['sequences']:,.0f} sequences; least width"
        f" {line['least']}; Elman nets {plain['solved']} of {plain['seeds']}"
    )
    return Finding(text, 2 * line["solved"] > line["seeds"] and 2 * plain["solved"] <= plain["seeds"])


PAPER = Paper(
    source="Hochreiter & Schmidhuber, Long short-term memory, Neural Computation 9(8), 1997",
    cost="18 minutes on one core of a busy machine",
    claims=(
        Claim(
            "one or two cells latch a bit at every lag, plain recurrent nets do not at long ones (here: most"
            f" seeds, told the lag; Elman nets of 2 units, from lag {LONG} on)",
            "2 cells at lags 50 to 1000; one would be sufficient; 0 % by BPTT or RTRL in experiment 2a, p ="
            " 100",
            "experiments 2a and 2c, table and text",
            _cells_of_a_latch,
        ),
        Claim(
            "sequences to success grow, but slowly, with the lag (here: from a forget bias of 5 at all lags;"
            " medians at most as the lag's square root over a tenfold lag or more, rank correlation"
            f" {RISES:g} or more)",
            "30,000 to 49,000 from lag 50 to 1000: as lag^0.16",
            "experiment 2c, table",
            lambda rows: _growth("constant", rows),
            expected=False,
            why="at lag 100 3 of 8 seeds latch the bit in 3,000 steps, and 4 of 8 through a curriculum over"
            " the lag from a forget bias of 1; so the slow growth below is that of the start, which is told"
            " the lag. Their cells cannot forget, and they train at smaller rates, one sequence at a time;"
            " rates of .01 and .003 did no better here",
        ),
        Claim(
            "they do so from biases that are told the lag (here: likewise)",
            "30,000 to 49,000; no net is told",
            "experiment 2c, table",
            lambda rows: _growth("hold", rows),
            whose="ours",
        ),
        Claim(
            "4 cells learn to add two of 100 numbers (here: most seeds, told the lag, and not most of Elman"
            " nets of 4)",
            "74,000 sequences, 93 weights, 1 wrong of 2,560 after 10 trials",
            "experiment 4, table",
            lambda rows: _at(rows, "adding", 4),
        ),
        Claim(
            "one block of two cells learns the order of two symbols among 100 (here: most seeds, told the"
            " lag, and not most of Elman nets of 2)",
            "31,390 sequences with two blocks, 156 weights; typical solutions require only one block",
            "experiment 6a, table and text",
            lambda rows: _at(rows, "temporal_order", 2),
        ),
    ),
)
