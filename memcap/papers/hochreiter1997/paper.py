"""How many cells does a long lag take, and how many sequences?

Protocol: nets of one or two cells per block learn to hold something for long. Experiment 2c: one bit through
q random distractors of p = q kinds; two blocks of one cell. Experiment 4: the sum of two marked numbers of T;
two blocks of two cells. Experiment 6a: the order of two symbols among 100 to 110; two blocks of two cells.
They train by gradient descent, one sequence at a time, and count the sequences until all of a long test is
right.

Ours: one LSTM layer of 1 to 4 units, recipe `hold` (conf/recipe/hold.yaml: Adam, batches of 64 sequences),
lags to 100 (study_full.yaml: 1,000). The lag sets the biases of `hold`: the net is told how long to hold. So
the latch is also trained from two starts that are the same at all lags: `constant`, a forget bias of 5, else
as `hold`; and `curriculum`, a forget bias of 1, on shorter lags at first (conf/recipe/curriculum.yaml), which
their nets never see. Elman nets, trained as `hold`, stand for their plain recurrent nets.

Our LSTM has a forget gate and biases throughout. Theirs has no forget gate, its gates see each other, and in
experiment 2c it has no biases. Solved is an accuracy of .99, and for adding a squared error of the sum of
.01; theirs asks for errors below .2 (2c), .04 of half the sum (4) and .3 (6a). So compare how the sequences
to success grow, and of their number the order of magnitude at most. A lag is here the longest hold that
training may ask for: T - 1 for the adding problem of T steps, 90 for experiment 6a. We look every 25 training
steps, which are 1,600 sequences.
"""

import math
from typing import Any, NamedTuple

import polars as pl
from matplotlib.axes import Axes

from memcap.figures import Drawn
from memcap.papers import NOT_MEASURED, Claim, Finding, OurClaim, Paper, marks
from memcap.papers.claims import all_of, at_most, each, least_widths, rank_correlation

POWER = 0.5  # the largest power of the lag that is called slow growth
ROOM = 10  # by how much the lag must grow for growth to be judged
CORRELATION = 0.4  # least rank correlation of lag and sequences, over the seeds, that is called growth
HOLD = 50  # the lag from which on plain recurrent nets must fail


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
        """Their number: all hidden units, gates too, feed all hidden units; the cells feed the outputs."""
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
_LATCHES = (50, 30_000), (100, 31_000), (200, 33_000), (500, 38_000), (1000, 49_000)
TABLES: dict[str, tuple[Published, ...]] = {
    "latch": tuple(_latch(q, sequences) for q, sequences in _LATCHES),
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
    """Return the rows of the three tasks with their arm, and `sequences` to success: infinite where
    unsolved."""
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
    own = rows.filter(pl.col("task").is_in(list(NAMES)))
    return own.with_columns(arm.alias("arm"), sequences.alias("sequences"))


def lines(rows: pl.DataFrame) -> pl.DataFrame:
    """Return, by task, arm, lag and units, how many of the seeds are solved, and the median of their
    sequences to success, beside the paper's.

    An unsolved seed counts as infinitely many sequences. `least` is the least width that most seeds solve.
    Lags that only the paper has stand with nulls for ours.
    """
    seeds, solved = pl.len().cast(pl.Int64).alias("seeds"), pl.col("solved").sum().cast(pl.Int64)
    medians = pl.col("sequences").median(), pl.col("parameters").first()
    counts = _members(rows).group_by("task", "arm", "lag", "units").agg(seeds, solved, *medians)
    of_lag = ["task", "arm", "lag"]
    most = counts.filter(2 * pl.col("solved") > pl.col("seeds"))
    least = most.group_by(of_lag).agg(pl.col("units").min().alias("least"))
    theirs = [
        (task, line.lag, line.sequences, line.net.weights) for task, table in TABLES.items() for line in table
    ]
    schema = {"task": pl.String, "lag": pl.Int64, "paper_sequences": pl.Int64, "paper_weights": pl.Int64}
    published = pl.DataFrame(theirs, schema=schema, orient="row")
    both = counts.join(least, on=of_lag, how="left").join(
        published, on=["task", "lag"], how="full", coalesce=True
    )
    return both.sort(*of_lag, "units", nulls_last=True)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw sequences to success against lag, ours filled and the paper's open; below, the share of seeds that
    latch a bit, by arm, and the least width that most seeds solve."""
    data = lines(rows)
    shape: dict[str, Any] = {"height_ratios": [3, 1.2, 1], "gridspec_kw": {"hspace": 0.08}}
    picture, (above, middle, below) = marks.panels((7.2, 8.6), 3, 1, sharex=True, **shape)
    for k, (task, name) in enumerate(NAMES.items()):
        _draw_task(above, below, data.filter(task=task), k, name)
    _draw_arms(above, middle, data.filter(task="latch", units=CELLS["latch"]))
    title = "Sequences and cells that a lag takes"
    above.set(xscale="log", yscale="log", ylabel="sequences to success", title=title)
    marks.legend(above)
    middle.set(ylabel="share that latch", ylim=(-0.08, 1.08))
    marks.legend(middle, loc="lower right")
    below.set(xlabel="lag (time steps)", ylabel="least units", ylim=(0, 4.9), yticks=[1, 2, 3, 4])
    marks.number_x(below, [5, 10, 25, 50, 100, 200, 500, 1000])
    for axes in (above, middle, below):
        axes.grid(color="#dddddd", lw=0.5)
    caption = (
        f"Above: median over {marks.greatest(data, 'seeds')} seeds of training steps times batch, where most"
        " are solved, from biases that are told the lag or the same at all lags; open: experiments 2c, 4 and"
        " 6a of Hochreiter & Schmidhuber (1997), at the lag as it is counted here. Learning rule, criterion"
        " and cell differ, so compare slopes, not heights. Middle: share of seeds of 2 units. Below: the"
        " least width that more than half of the seeds solve, of 1 to 4 (moved sideways a little to tell them"
        " apart)."
    )
    return marks.finish(picture, data, caption, 120)


def _draw_task(above: Axes, below: Axes, own: pl.DataFrame, k: int, name: str) -> None:
    look, units = marks.look(k, lw=1), [*CELLS.values()][k]
    theirs = own.drop_nulls("paper_sequences").unique("lag", maintain_order=True).sort("lag")
    above.plot(theirs["lag"], theirs["paper_sequences"], label=f"{name}, paper", mfc="white", ls="--", **look)
    label = f"{name}, {units} units, {ARMS['hold']}"
    _draw_sequences(above, own.filter(arm="hold", units=units), label, look)
    widths = own.drop_nulls("least").filter(arm="hold").unique("lag", maintain_order=True)
    below.plot(widths["lag"] * 1.1 ** (k - 1), widths["least"], label=name, **look)


def _draw_arms(above: Axes, middle: Axes, latch: pl.DataFrame) -> None:
    for k, (arm, name) in enumerate(ARMS.items()):
        own = latch.filter(arm=arm)
        look = marks.look(0 if arm == "hold" else len(NAMES) + k - 1, lw=1)
        if arm in ("curriculum", "constant"):
            _draw_sequences(above, own, f"{NAMES['latch']}, 2 units, {name}", look)
        middle.plot(own["lag"], own["solved"] / own["seeds"], label=name, **look)


def _draw_sequences(axes: Axes, own: pl.DataFrame, label: str, look: dict[str, Any]) -> None:
    """Draw the sequences to success of nets of one width, where most are solved."""
    shown = own.filter(pl.col("sequences").is_finite())
    axes.plot(shown["lag"], shown["sequences"], label=label, **look)


def _least(rows: pl.DataFrame, arm: str) -> dict[int, float]:
    """Return the least width with which most seeds latch a bit, by lag; infinite where none of those tried
    is enough."""
    own = lines(rows).filter(task="latch", arm=arm)
    return least_widths(own, "lag", pl.col("units") == pl.col("least"))


def _cells_of_a_latch(rows: pl.DataFrame) -> Finding:
    widths, units = _least(rows, "hold"), CELLS["latch"]
    plain = {lag: width for lag, width in _least(rows, "Elman").items() if lag >= HOLD}
    if len(widths) < 2 or not plain:
        return NOT_MEASURED
    wider = [lag for lag, width in plain.items() if width > units]
    told = each(widths, "{own:g} at lag {name}", at_most(units), start="units: ", join=", ")
    text = f"Elman nets fail at lags {', '.join(map(str, wider)) or 'none'}"
    return all_of(told, Finding(text, len(wider) == len(plain)))


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
    rises = own["sequences"].n_unique() > 1
    rises = rises and rank_correlation(own["lag"], own["sequences"]) >= CORRELATION
    return Finding(f"{text}: as lag^{power:.2f}", rises and power <= POWER)


def _at(rows: pl.DataFrame, task: str, units: int) -> Finding:
    """Judge nets of so many units at the paper's least lag: most are solved, and most Elman nets are not."""
    own = lines(rows).filter(task=task, lag=TABLES[task][0].lag, units=units)
    arms = {line["arm"]: line for line in own.to_dicts()}
    if not {"hold", "Elman"} <= arms.keys():
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
            f" seeds, told the lag; Elman nets of 2 units, from lag {HOLD} on)",
            "2 cells at lags 50 to 1000; one would be sufficient; 0 % by BPTT or RTRL in experiment 2a, p ="
            " 100",
            "experiments 2a and 2c, table and text",
            _cells_of_a_latch,
        ),
        Claim(
            "sequences to success grow, but slowly, with the lag (here: from a forget bias of 5 at all lags;"
            " medians at most as the lag's square root over a tenfold lag or more, rank correlation"
            f" {CORRELATION:g} or more)",
            "30,000 to 49,000 from lag 50 to 1000: as lag^0.16",
            "experiment 2c, table",
            lambda rows: _growth("constant", rows),
            expected=False,
            why="at lag 100 3 of 8 seeds latch the bit in 3,000 steps, and 4 of 8 through a curriculum over"
            " the lag from a forget bias of 1; so the slow growth below is that of the start, which is told"
            " the lag. Their cells cannot forget, and they train at smaller rates, one sequence at a time;"
            " rates of .01 and .003 did no better here",
        ),
        OurClaim(
            "they do so from biases that are told the lag (here: likewise)",
            "30,000 to 49,000; no net is told",
            "experiment 2c, table",
            lambda rows: _growth("hold", rows),
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
