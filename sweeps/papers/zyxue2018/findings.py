"""Does one LSTM unit latch worse than a plain one?

Protocol: a question at Cross Validated, 340898, repeats the latch of Bengio, Simard &
Frasconi (1994) in Keras: the first number of a sequence is high or low, the rest is
noise (standard deviation 0.1), and the last hidden state says which it was. One unit, a
plain cell or an LSTM, 10,000 sequences, 5 epochs, 30 repeats, T from 2 to 200. The
asker finds that the LSTM does worse. The question and the beginning of its code were
read, but not its figure, optimiser, rate or batch, so we do not know how far the LSTM
was behind.

Ours: T of 10, 30 and 100, 10 seeds, Adam at 0.001 and batches of 32, Keras's defaults,
1,560 steps of fresh sequences, which are 5 epochs. The first number is -1 or 1, without
noise. The LSTM begins as Keras begins it, with a forget bias of 1, at this rate or at
ten times as much; or with a bias by the lag (`hold`). A net passes at an accuracy of
0.99 in two evaluations in a row. A plain unit begins with a recurrent weight of 1 or
-1, by which nothing fades (both libraries draw orthogonal matrices).
"""

from collections.abc import Sequence

import polars as pl
from scipy.stats import fisher_exact

from memcap.figures import Drawn
from memcap.findings import Claim, Finding, OurClaim, Paper, marks
from memcap.findings.claims import (
    all_of,
    compare,
    each,
    first_of,
    group,
    having,
    share_of,
)

PLAIN = "plain unit"
KERAS = "LSTM, as Keras starts it"
HOLD = "LSTM, told the lag"
FASTER = "LSTM, as Keras, ten times the rate"
ARMS = (PLAIN, KERAS, HOLD, FASTER)
RATE = 0.001  # of all arms but the last
LONG = (30, 100)  # T at which kinds are compared
LEVEL = 0.05  # of Fisher's exact test, by which one kind latches more often
MOST = 0.8  # of the nets, at each T


def scores(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each net with its arm, its number of steps T, its accuracy, and whether it passed."""
    own = rows.filter(having(task="latch", units=1) & having(noise=0.1)).drop_nulls(
        "final"
    )
    plain = having(cell="SimpleCell")
    told = having(init="hold")
    faster = pl.col("lr") > RATE
    arm = first_of("arm", **{PLAIN: plain, FASTER: faster, HOLD: told, KERAS: True})
    columns = own.select(arm, "seed", "solved", T="length", accuracy="final")
    return columns.select("arm", "T", "seed", "accuracy", "solved").sort(
        "arm", "T", "seed"
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the share of nets that latch, by T and arm; after the question's figure."""
    nets = scores(rows)
    by = "arm", "T"
    data = (
        nets.group_by(by)
        .agg(pl.col("solved").mean().alias("share"), pl.len().alias("nets"))
        .sort(by)
    )
    picture, axes = marks.panels((6.4, 4.4))
    for k, arm in enumerate(ARMS):
        own = data.filter(arm=arm)
        look = marks.look(k)
        places = own["T"] * 1.02 ** (k - 1.5)
        axes.plot(places, own["share"], label=arm, **look)
        passed = (own["share"] * own["nets"]).round()
        marks.share_bars(axes, places, passed, own["nets"], look["color"])
    axes.set(
        xscale="log",
        xlabel="T (time steps)",
        ylabel="share of nets that latch",
        ylim=(-0.05, 1.05),
    )
    marks.number_x(axes, data["T"])
    marks.legend(axes)
    caption = (
        "One LSTM unit that starts as in Keras latches less often than a plain one."
        f" Each mark shows {marks.greatest(data, 'nets')} nets of one unit, each trained"
        f" for {marks.greatest(rows, 'budget'):,} steps; bars are 95 % intervals."
        " After Cross Validated 340898 (2018),"
        " whose own figure was not read."
    )
    return marks.finish(picture, rows, data, caption, 95, left=0.11, top=0.96)


def _more_often(nets: pl.DataFrame, ahead: str, behind: str) -> Finding:
    """Judge whether one kind latches more often than the other, at the long T together."""
    own = nets.filter(pl.col("T").is_in(LONG))
    pair = [
        own.filter(arm=arm)["solved"].cast(pl.Int64).to_list()
        for arm in (ahead, behind)
    ]
    words = (
        f"{ahead}: {{a.total}} of {{a.number}}; {behind}: {{b.total}} of {{b.number}}"
    )
    return compare({"": pair}, words, _is_ahead)


def _is_ahead(ahead: Sequence[int], behind: Sequence[int]) -> bool:
    table = [[sum(own), len(own) - sum(own)] for own in (ahead, behind)]
    return bool(fisher_exact(table, alternative="greater").pvalue <= LEVEL)


def _told(nets: pl.DataFrame) -> Finding:
    own = group(nets.filter(arm=HOLD), "solved", "T = {T}")
    latches = each(own, "{name}: {nets.total} of {nets.number}", share_of(MOST))
    return all_of(latches, _more_often(nets, HOLD, PLAIN))


QUESTION = "the question's text; all else second-hand"
PAPER = Paper(
    source=(
        "zyxue, Why LSTM performs worse in information latching than vanilla recurrent neuron"
        " network, Cross Validated 340898, 2018"
    ),
    cost="a minute on one core of a very busy machine",
    read="notes",
    table=scores,
    claims=(
        Claim(
            "one LSTM unit latches less often than a plain one (here: at T = 30 and 100 together,"
            " by Fisher's exact test at 0.05)",
            "LSTM performs worse",
            QUESTION,
            lambda nets: _more_often(nets, PLAIN, KERAS),
            within=("lag",),
        ),
        OurClaim(
            "that is its start and not the cell: with a forget bias by the lag four of five latch"
            " at each T, more than of plain units (likewise)",
            "LSTM performs worse",
            QUESTION,
            _told,
            within=("lag",),
        ),
        OurClaim(
            "nor is it the rate: at ten times as much it is behind the LSTM that is told the lag"
            " (likewise)",
            "LSTM performs worse",
            QUESTION,
            lambda nets: _more_often(nets, HOLD, FASTER),
            within=("lag",),
        ),
    ),
)
