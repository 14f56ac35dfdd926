"""Is a lag of 50 the most that a recurrent net learns to count, and does it take six layers?

Protocol: a run of five ones among zeros is to be said again, from `lag` steps after its end on, with an
answer at every step (memcap/tasks/square_wave.py). For each net the lag is raised until training no longer
succeeds. Nets: tanh RNN, GRU and LSTM, 1 to 8 layers of 8 to 128 units, 384 of them; cross entropy, Adam. The
longest lag is 50, by a GRU of six layers of 120 units.

Only the paper's abstract and introduction were read. All else above is second-hand, from summaries that
others wrote of it (one at sciencestack.ai). Rates, batches, lengths, when training ends, whether a net goes
on from the lag before, and all nets but the best are not known to us.

Ours: one layer of 1, 4 and 16 units, each lag trained anew from the cell's own start, in sequences of
15 + 2 lag steps with the run at a random one; batches of 64, at most 4,000 steps, a rate per cell, four
seeds. A net has learnt a lag when at most one answer is wrong for a hundred ones that are due; zeros
throughout are a hundred. How far a net goes is told among lags of 5, 20, 50 and 100 (a tanh RNN, and one
unit, to 50): up to the first that its seed has not learnt, even where it has learnt a longer one, as two of
the four GRUs of four units have.
"""

import math
import operator
import textwrap

import polars as pl
from matplotlib.figure import Figure
from scipy import stats

from memcap.figures import Drawn
from memcap.figures.style import COLOURS, MARKERS, write_below
from memcap.papers import NOT_MEASURED, Claim, Finding, Paper

CELLS = {"OptimizedLSTMCell": "LSTM", "GRUCell": "GRU", "SimpleCell": "tanh RNN"}
LONGEST = 50  # the paper's longest lag
FEW = 4  # units
SHARE = 0.75  # of the seeds
RISES = 0.5  # least rank correlation that is called growth


def nets(rows: pl.DataFrame) -> pl.DataFrame:
    """Each net: cell, units, budget, lag, seed; training steps until it had learnt the lag, null where it
    had not."""
    return (
        rows.filter(pl.col("task") == "square_wave", pl.col("cell").is_in([*CELLS]))
        .select("cell", "units", "budget", "lag", "seed", pl.col("steps_to_solve").alias("steps"))
        .sort("cell", "units", "budget", "lag", "seed")
    )


def with_most_steps(data: pl.DataFrame) -> pl.DataFrame:
    """Of `nets`, those of the largest budget."""
    return data.filter(pl.col("budget") == pl.col("budget").max())


def reach(data: pl.DataFrame) -> dict[int, float]:
    """Of `nets` of one cell, by width: the median over the seeds of the longest lag learnt before the first
    that is not; 0: none."""
    first_not = pl.col("lag").filter(pl.col("steps").is_null()).min().fill_null(math.inf)
    longest = pl.col("lag").filter(pl.col("lag") < first_not).max().fill_null(0)
    of_seeds = data.group_by("units", "seed").agg(longest)
    return dict(of_seeds.group_by("units").agg(pl.col("lag").median()).sort("units").iter_rows())


def draw(rows: pl.DataFrame) -> Drawn:
    """Training steps to learn a lag, a mark per net, a panel per width; on the right the share of nets of
    four units that learn it, by budget."""
    data = nets(rows)
    most = with_most_steps(data)
    widths, budget = most["units"].unique().sort().to_list(), max(most["budget"].to_list(), default=1)
    picture = Figure(figsize=(11, 4.2))
    *panels, right = picture.subplots(1, len(widths) + 1)
    for k, (cell, name) in enumerate(CELLS.items()):
        beside = 1.12 ** (k - 1)  # marks of cells stand beside each other
        look = {"color": COLOURS[k], "marker": MARKERS[k], "ms": 5, "alpha": 0.75}
        for axes, units in zip(panels, widths, strict=True):
            own = most.filter(pl.col("cell") == cell, pl.col("units") == units)
            learnt, not_learnt = own.drop_nulls("steps"), own.filter(pl.col("steps").is_null())
            axes.plot(learnt["lag"] * beside, learnt["steps"], ls="", label=name, **look)
            above = budget * 1.25 ** (1 + 4 * k / len(CELLS) + not_learnt["seed"] / 4)
            axes.plot(not_learnt["lag"] * beside, above, ls="", mfc="none", **look)
        for own in data.filter(pl.col("cell") == cell, pl.col("units") == FEW).partition_by("budget"):
            shares = own.group_by("lag").agg(pl.col("steps").is_not_null().mean()).sort("lag")
            style = {"ls": "-", "mfc": COLOURS[k]} if own["budget"][0] == budget else {"ls": ":", "mfc": "w"}
            label = f"{name}, {own['budget'][0]:,} steps"
            right.plot(shares["lag"] * beside, shares["steps"], lw=1, label=label, **style, **look)
    for axes, units in zip(panels, widths, strict=True):
        axes.axhline(budget, color="grey", lw=0.8, ls="--")
        axes.set(title=f"{units} unit{'s' * (units > 1)}", yscale="log", ylim=(100, 3.5 * budget))
        if axes is not panels[0]:
            axes.tick_params(labelleft=False)
    for axes in (*panels, right):
        lags = data["lag"].unique().sort().to_list()
        axes.axvline(LONGEST, color="grey", lw=0.8, ls=":")
        axes.set(xscale="log", xlim=(3.5, 145), xlabel="lag")
        axes.set_xticks(lags, [str(lag) for lag in lags])
        axes.set_xticks([], minor=True)
    if panels:
        panels[0].set_ylabel("training steps to learn it")
        panels[-1].legend(frameon=False, fontsize=8, loc="lower right")
    right.set(title=f"{FEW} units: share that learns it", ylim=(-0.04, 1.04))
    if right.get_legend_handles_labels()[0]:  # none in rows without nets of four units
        right.legend(frameon=False, fontsize=7)
    caption = (
        "A mark is a net of one layer; open, above the dashed line: not learnt in so many steps. Dotted: 50,"
        " the longest lag of Kent & Murray (2024), by a GRU of six layers of 120 units."
    )
    write_below(picture, textwrap.fill(caption, 165))
    picture.subplots_adjust(left=0.07, right=0.99, top=0.92, wspace=0.17)
    return Drawn(picture, data)


def _beyond(rows: pl.DataFrame) -> Finding:
    """Whether no net has learnt a lag beyond the paper's longest."""
    own = with_most_steps(nets(rows)).filter(pl.col("lag") > LONGEST)
    if own.is_empty():
        return NOT_MEASURED
    counts = own.group_by("lag", "cell", "units").agg(pl.col("steps").count(), pl.len()).sort(pl.all())
    texts = [
        f"lag {lag}, {CELLS[cell]}, {units} units: {learnt} of {number}"
        for lag, cell, units, learnt, number in counts.iter_rows()
    ]
    return Finding("; ".join(texts), own["steps"].null_count() == own.height)


def _best(rows: pl.DataFrame) -> Finding:
    """Whether the GRU goes at least as far as the LSTM, and further than the tanh RNN, at every width above
    1, of the lags and widths that both were trained at."""
    data = with_most_steps(nets(rows)).filter(pl.col("units") > 1)
    gru, texts, holds = data.filter(pl.col("cell") == "GRUCell"), [], True
    for cell, compare in (("OptimizedLSTMCell", operator.ge), ("SimpleCell", operator.gt)):
        other = data.filter(pl.col("cell") == cell)
        ours, theirs = (
            reach(own.join(to, ["lag", "units"], "semi")) for own, to in ((gru, other), (other, gru))
        )
        if not ours:
            return NOT_MEASURED
        medians = [f"{lag:g} against {theirs[units]:g} at {units} units" for units, lag in ours.items()]
        texts.append(f"{CELLS[cell]}: {', '.join(medians)}")
        holds &= all(compare(lag, theirs[units]) for units, lag in ours.items())
    return Finding("; ".join(texts), holds)


def _few_units(rows: pl.DataFrame) -> Finding:
    """Whether LSTMs of four units learn the paper's longest lag, and none with fewer steps."""
    lstm = pl.col("cell") == "OptimizedLSTMCell", pl.col("units") == FEW, pl.col("lag") == LONGEST
    own = nets(rows).filter(*lstm)
    shares = own.group_by("budget").agg(pl.col("steps").is_not_null().mean()).sort("budget")
    if shares.height < 2:
        return NOT_MEASURED
    text = ", ".join(f"{share:.0%} in {budget:,} steps" for budget, share in shares.iter_rows())
    *fewer, most = shares["steps"]
    return Finding(text, most >= SHARE and not any(fewer))


def _one_unit(rows: pl.DataFrame) -> Finding:
    """Whether no net of one unit learns any lag, and all LSTMs of four units learn these lags."""
    data = with_most_steps(nets(rows))
    one = data.filter(pl.col("units") == 1)
    four = data.filter(pl.col("cell") == "OptimizedLSTMCell", pl.col("units") == FEW)
    four = four.join(one, "lag", "semi")
    if four.is_empty():
        return NOT_MEASURED
    few, many = one["steps"].count(), four["steps"].count()
    text = f"1 unit: {few} of {one.height} nets; LSTMs of 4 units: {many} of {four.height}"
    return Finding(text, few == 0 and many == four.height)


def _growth(rows: pl.DataFrame) -> Finding:
    """Whether longer lags take each cell more steps, what is not learnt being infinitely many."""
    data = with_most_steps(nets(rows)).filter(pl.col("units") > 1)
    texts, least = [], math.inf
    for cell, name in CELLS.items():
        own = data.filter(pl.col("cell") == cell)
        if own["lag"].n_unique() < 2 or own["steps"].n_unique() < 2:
            return NOT_MEASURED
        steps = own["steps"].cast(pl.Float64).fill_null(math.inf)
        rises = float(stats.spearmanr(own["lag"].to_numpy(), steps.to_numpy()).statistic)
        texts.append(f"{name} {rises:.2f}")
        least = min(least, rises)
    return Finding(", ".join(texts), least >= RISES)


PAPER = Paper(
    source="Kent & Murray, A technical note on the architectural effects on maximum dependency lengths of"
    " recurrent neural networks, 2024 (2408.11946)",
    cost="5 core minutes; 40 minutes on two cores of a busy machine",
    claims=(
        Claim(
            "no net of one layer learns a lag beyond 50",
            "50 is the longest of 384 nets, by a GRU of 6 layers of 120 units",
            "second-hand: a summary",
            _beyond,
            expected=False,
            why="the limit is one of training, which is not known of theirs: here 9 of 16 nets learn a lag of"
            " 100, in 1,300 to 3,400 steps",
        ),
        Claim(
            "a GRU goes at least as far as an LSTM of as many units, 4 or 16, and further than a tanh RNN"
            " (median over seeds of the longest lag before the first that is not learnt)",
            "the GRU is the best of the three",
            "second-hand: a summary",
            _best,
            expected=False,
            why="of four units GRUs go to a lag of 20 and LSTMs to 50: three of four GRUs miss 20 or 50, no"
            " LSTM does. At 16 units both go to 100; a tanh RNN is behind at both widths",
        ),
        Claim(
            "one layer of four LSTM units learns a lag of 50 in at least three of four seeds, and in a"
            " quarter of the steps in none",
            "6 layers of 120 units",
            "second-hand: a summary",
            _few_units,
            whose="ours",
        ),
        Claim(
            "no net of one unit learns a lag of 5, 20 or 50, though its carry could hold the count, and all"
            " LSTMs of four units do",
            "at least 8 units in all nets",
            "second-hand: a summary",
            _one_unit,
            whose="ours",
        ),
        Claim(
            "a longer lag takes longer to learn in each of the three cells, at 4 and 16 units (rank"
            " correlation of lag and steps at least .5)",
            "no such number",
            "our own question",
            _growth,
            whose="ours",
        ),
    ),
)
