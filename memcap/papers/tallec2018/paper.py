"""Which start of the forget gate learns to remember?

Protocol: an LSTM of 128 units starts with a constant forget bias of 1, or with chrono: forget biases log U(1,
T_max - 1), input biases their negatives. Copy: ten symbols of eight, T blank steps, then the ten again (T =
500, 2000; T_max = 3 T / 2). Variable copy: the same with drawn waits (T = 500, 1000; T_max = T). Adding: the
sum of two marked numbers of T (T = 200, 750; T_max = T). RMSprop at .001, no clipping; training curves are
drawn.

Ours: 32 units, T = 50 and 100, Adam at .005, batches of 32, clip 1, 2,000 steps, the same for all starts;
beside the two of the paper `hold` (one bias for all units, by the lag) and `open_gate` (gates open, forget
gate shut). T_max is the length of the sequence. Of a copy only the last ten steps are scored, where the paper
averages over all: so our memoryless plateau is an accuracy of 1/8. Drawn are final scores and steps to solve,
for rows hold no curves.
"""

import math
import textwrap
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from scipy.stats import mannwhitneyu

from memcap.figures import Drawn
from memcap.figures.style import COLOURS, MARKERS, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper, knob

STARTS = {"forget_bias": "forget bias 1", "chrono": "chrono", "hold": "hold", "open_gate": "open gates"}
TASKS = ("copy", "variable copy", "adding")
CHANCE = 1 / 8
FASTER = 7  # times as fast: adding from chrono at T = 750, in the paper
LEFT = 0.1  # how far above chance an accuracy has left the plateau
EVEN = 0.05  # how far apart two accuracies are called even
LEVEL = 0.05  # of the rank test over seeds by which one start is called faster
SPREAD = 0.14  # over which the seeds of a start lie side by side


def scores(rows: pl.DataFrame) -> pl.DataFrame:
    """A line per seed, by task, T and start: of a copy its final accuracy, of adding the steps to solve
    (infinite: unsolved)."""
    random_waits = knob("waits").fill_null("fixed") == "drawn"
    adding = pl.col("task") == "adding"
    named = pl.when(adding | ~random_waits).then(pl.col("task")).otherwise(pl.lit("variable copy"))
    steps = pl.col("steps_to_solve").cast(pl.Float64).fill_null(math.inf)
    return (
        rows.filter(pl.col("task").is_in(["copy", "adding"]) & pl.col("init").is_in(list(STARTS)))
        .filter(adding | pl.col("final").is_not_null())
        .select(
            named.alias("task"),
            pl.when(adding).then(pl.col("length")).otherwise(pl.col("lag")).alias("T"),
            pl.col("init").alias("start"),
            "seed",
            pl.when(adding).then(steps).otherwise(pl.col("final")).alias("score"),
            "budget",
        )
        .sort("task", "T", "start", "seed")
        .with_columns(pl.col("score").median().over("task", "T", "start").alias("median"))
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """A panel per task: a mark per seed, a bar at the median, by T and start of the gates."""
    data = scores(rows)
    picture = Figure(figsize=(8.4, 5.0))
    panels = picture.subplots(1, 3)
    for task, axes in zip(TASKS, panels, strict=True):
        own = data.filter(task=task)
        lengths = own["T"].unique().sort().to_list()
        for k, start in enumerate(STARTS):
            _marks(axes, own.filter(start=start), lengths, k)
        axes.set_xticks(range(len(lengths)), [f"T = {length}" for length in lengths])
        axes.set_xlim(-0.5, max(len(lengths), 1) - 0.5)
        axes.set_title(task)
        axes.grid(axis="y", color="#dddddd", lw=0.5)
        if task == "adding":
            budget = max([1, *own["budget"]])
            axes.set(ylabel="training steps to solve", ylim=(0, 1.15 * budget))
            axes.axhline(budget, color="grey", lw=0.8, ls="--", label="budget: not solved")
            usual = own.filter(pl.col("median").is_finite(), start="forget_bias").unique("T")
            at = [lengths.index(length) for length in usual["T"]]
            for x, steps in zip(at, usual["median"] / FASTER, strict=True):
                label = f"1/{FASTER} of forget bias 1: the paper's chrono at T = 750"
                axes.plot([x - 0.4, x + 0.4], [steps, steps], color="#bbbbbb", lw=5, alpha=0.6, label=label)
        else:
            axes.set(ylabel="final accuracy on the ten symbols", ylim=(0, 1.03))
            axes.axhline(CHANCE, color="grey", lw=0.8, ls=":", label="without memory")
    handles = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    picture.legend(handles.values(), handles.keys(), frameon=False, fontsize=8, ncols=4, loc="upper center")
    caption = (
        "A mark a seed (side by side), a bar at the median; open marks at the budget are seeds that did not"
        " solve adding. All"
        " starts have the same training. Scores stand in for the training curves of Tallec & Ollivier"
        " (2018), whose T is 200 to"
        " 2,000."
    )
    write_below(picture, textwrap.fill(caption, 130))
    picture.subplots_adjust(top=0.84, wspace=0.45)
    return Drawn(picture, data)


def _marks(axes: Axes, own: pl.DataFrame, lengths: list[int], k: int) -> None:
    """The seeds of one start; one that has not solved its task is an open mark at the budget."""
    look: dict[str, Any] = {"color": COLOURS[k], "marker": MARKERS[k], "ls": "", "ms": 4}
    seeds = own["seed"].unique().sort().to_list()
    beside = {seed: SPREAD * ((i + 0.5) / len(seeds) - 0.5) for i, seed in enumerate(seeds)}
    place = [
        lengths.index(length) + 0.2 * (k - 1.5) + beside[seed]
        for length, seed in own.select("T", "seed").iter_rows()
    ]
    shown = own.with_columns(x=pl.Series(place, dtype=pl.Float64))
    solved = shown.filter(pl.col("score").is_finite())
    never = shown.filter(pl.col("score").is_infinite())
    axes.plot(solved["x"], solved["score"], label=list(STARTS.values())[k], **look)
    axes.plot(never["x"], never["budget"], mfc="white", label="_never", **look)
    middle = (
        shown.filter(pl.col("median").is_finite())
        .group_by("T")
        .agg(pl.col("x").mean(), pl.col("median").first())
    )
    axes.hlines(middle["median"], middle["x"] - 0.08, middle["x"] + 0.08, color=COLOURS[k], lw=1.5)


def _medians(rows: pl.DataFrame, task: str) -> dict[int, tuple[float, float]]:
    """Median score of the constant bias and of chrono, by T; only where there are both."""
    own = scores(rows).filter(task=task).select("T", "start", "median").unique()
    usual, chrono = (
        dict(own.filter(start=start).select("T", "median").iter_rows()) for start in ("forget_bias", "chrono")
    )
    return {length: (usual[length], chrono[length]) for length in sorted(usual.keys() & chrono.keys())}


def _in_words(medians: dict[int, tuple[float, float]]) -> str:
    """Median accuracies in words."""
    return "constant and chrono, " + "; ".join(
        f"T = {at}: {usual:.2f} and {chrono:.2f}" for at, (usual, chrono) in medians.items()
    )


def _leaves_the_plateau(rows: pl.DataFrame) -> Finding:
    medians = _medians(rows, "copy")
    if not medians:
        return NOT_MEASURED
    longest = scores(rows).filter(task="copy", T=max(medians))
    left = {start: longest.filter(start=start)["score"] >= CHANCE + LEFT for start in STARTS}
    return Finding(_in_words(medians), bool(left["chrono"].all()) and not left["forget_bias"].any())


def _no_worse(rows: pl.DataFrame) -> Finding:
    medians = _medians(rows, "variable copy")
    if not medians:
        return NOT_MEASURED
    return Finding(_in_words(medians), all(chrono >= usual - EVEN for usual, chrono in medians.values()))


def _faster(rows: pl.DataFrame) -> Finding:
    medians = _medians(rows, "adding")
    if not medians or all(math.isinf(chrono) for _, chrono in medians.values()):
        return NOT_MEASURED
    text = "; ".join(
        f"T = {length}: {usual:,.0f} and {chrono:,.0f}" for length, (usual, chrono) in medians.items()
    )
    own = scores(rows).filter(task="adding")
    chances = []
    for length in medians:
        chrono, usual = (own.filter(T=length, start=start)["score"] for start in ("chrono", "forget_bias"))
        chances.append(mannwhitneyu(chrono, usual, alternative="less").pvalue)
    return Finding(f"median steps of constant and chrono, {text}", bool(max(chances) <= LEVEL))


PAPER = Paper(
    source="Tallec & Ollivier, Can recurrent neural networks warp time?, ICLR 2018 (1804.11188)",
    cost="74 minutes on one core of a very busy machine",
    claims=(
        Claim(
            "copy: chrono leaves the memoryless plateau, a constant bias does not (here: all seeds of the"
            " largest T, .1 above 1/8)",
            "so at T = 500 and 2000, in curves",
            "training curves and text",
            _leaves_the_plateau,
        ),
        Claim(
            "variable copy: chrono is even or better (here: median accuracy, .05)",
            "even at T = 500, far better at T = 1000, in curves",
            "training curves and text",
            _no_worse,
            expected=False,
            why="at T = 50 waits are short and a bias of 1 is no handicap; at T = 100 chrono is better, as in"
            " the paper",
        ),
        Claim(
            "adding: chrono converges faster (here: in fewer steps at each T, by a rank test over seeds at"
            " .05)",
            "7 times as fast at T = 750",
            "training curves and text",
            _faster,
        ),
    ),
)
