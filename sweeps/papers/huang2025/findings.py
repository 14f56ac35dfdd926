"""How long must a key be for one layer of Mamba-2 to recall pairs of key and value?

Protocol: pairs of key and value come one by one, at two steps each, and then keys among
noise, whose values are due; there are as many keys as pairs, n, and 128 values, in 100
steps. One layer of Mamba-2, with its convolution over keys, values and queries and
without its gate, solves this with keys of the order of log n numbers (theorem 3).
Trained, it fails with keys of log n and 2 log n numbers, and succeeds with 8 log n
(figures 2 and A.3, the best of 7 nets). Adam from 0.03 with a cosine decay, 100,000
sequences in batches of 16, up to 600 epochs. We read the text; accuracies are in
figures alone.

Ours: 8 and 16 pairs of as many keys and as many values, all of which come, each once,
and blanks between the queries (memcap/tasks/mqar.py). Logarithms are natural, as in the
paper's figures, and numbers of a key rounded. At most 3,000 steps of 64 sequences at
one rate. A net recalls if 0.99 of the values are right. Values have 16 numbers, at
least one for each symbol, or 4 of 16 pairs; the paper's nets have fewer numbers than
its 128 values. We first judged the paper's claim by values of 16 numbers. When all of
these nets had recalled, we planned those of 4 numbers, three of each and then three
more, as two of three recalled with the longest keys; the claim is now judged by these.
"""

from functools import partial

import polars as pl

from memcap.figures import Drawn
from memcap.findings import Finding, OurClaim, Paper, StandIn, marks
from memcap.findings.claims import (
    all_of,
    at_least,
    below,
    each,
    group,
    having,
    knob,
    share_of,
)

# numbers of a key, as multiples of the log of the pairs
LONG = 8
MIDDLE = 4
SHORT = (1, 2)
MOST = 2 / 3  # share of nets that counts as most of them
WIDE = 16  # numbers of a value
NARROW = 4
PASS = 0.99  # accuracy from which on a net recalls its pairs
KEY = r"^mamba2\+conv4\+key(\d+)$"


def accuracies(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each net with its accuracy, the numbers `keys` of a key, and `times`, how
    many times the log of the pairs they are, to the nearest power of two."""
    own = rows.filter(having(task="mqar"), pl.col("cell").str.contains(KEY))
    keys = pl.col("cell").str.extract(KEY).cast(pl.Int64).alias("keys")
    nets = own.select("units", knob("pairs", pl.Int64), keys, "seed", accuracy="final")
    ratio = pl.col("keys") / pl.col("pairs").log()
    times = (2 ** ratio.log(2).round()).cast(pl.Int64).alias("times")
    return nets.with_columns(times).sort("units", "pairs", "keys", "seed")


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the accuracy of recall by the numbers of a key, a line per number of pairs."""
    data = accuracies(rows)
    picture, axes = marks.panels((6.4, 4.2))
    lines = data.group_by("units", "pairs", maintain_order=True)
    for k, ((units, pairs), nets) in enumerate(lines):
        label = f"{pairs} pairs, values of {units}"
        marks.with_nets(axes, nets, "keys", "accuracy", k, label)
    marks.level(axes, PASS, ls="--")
    axes.set(xscale="log", xlabel="numbers of a key", ylim=(-0.03, 1.05))
    axes.set_ylabel("accuracy of recalled values")
    marks.number_x(axes, sorted({*data["keys"]}))
    marks.legend(axes, loc=(0.02, 0.62))
    caption = (
        "Each mark shows one net of one layer with a convolution and without a gate,"
        f" after at most {marks.greatest(rows, 'budget'):,} training steps, and lines"
        " their medians. After Huang et al. (2025), figure A.3."
    )
    return marks.finish(picture, rows, data, caption, 100, left=0.1, right=0.97)


def _best(data: pl.DataFrame, *times: int) -> dict[str, list[float]]:
    """Return the best accuracy by pairs and numbers of a key."""
    own = data.filter(pl.col("times").is_in(times))
    by = "pairs", "keys"
    best = own.group_by(by, maintain_order=True).agg(pl.col("accuracy").max())
    return group(best, "accuracy", "{pairs} pairs, keys of {keys}")


def _between(data: pl.DataFrame, units: int) -> Finding:
    """Judge whether with values of this many numbers the best net recalls with long keys,
    and none with short ones."""
    words = "{name}: {nets:.2f}"
    own = data.filter(pl.col("units") == units)
    return all_of(
        each(_best(own, LONG), words, at_least(PASS)),
        each(_best(own, *SHORT), words, below(PASS)),
    )


def _not_with_half(data: pl.DataFrame) -> Finding:
    """Judge whether most nets recall with long keys, and none with half as many numbers."""
    own = data.filter(units=NARROW)
    long, middle = (
        group(own.filter(times=times), "accuracy", "{pairs} pairs, keys of {keys}")
        for times in (LONG, MIDDLE)
    )
    words = "{name}: {nets:.2f}"
    most = share_of(MOST, lambda accuracy: accuracy >= PASS)
    return all_of(each(middle, words, below(PASS)), each(long, words, most))


PAPER = Paper(
    source=(
        "Huang, Sarabia, Moudgil, Rodríguez, Zappella & Danieli, Understanding input"
        " selectivity in Mamba: impact on approximation power, memorization, and associative"
        " recall capacity, ICML 2025 (2506.11891)"
    ),
    cost="11 minutes on one of two busy cores (48 members)",
    table=accuracies,
    claims=(
        StandIn(
            "one layer of Mamba-2 without its gate recalls n pairs with keys of 8 log n numbers,"
            " and with log n or 2 log n no solution is found (here: of 16 pairs, with values of"
            f" {NARROW} numbers, the best of six nets has {PASS:g} right with 8 log n, and none"
            " with these)",
            "a key of the order of log n is enough; 100 % with 8 log n numbers for 4 to 32 pairs,"
            " the best of 7 nets; none with fewer than 4 log n",
            "theorem 3; figures 2 and A.3",
            partial(_between, units=NARROW),
            within=("pairs", "units"),
            post_hoc=True,
        ),
        OurClaim(
            "nor does one with 4 log n numbers: there none of six nets has"
            f" {PASS:g} right, and with 8 log n four have (of 16 pairs, with values of {NARROW})",
            "none with fewer than 4 log n",
            "figures 2 and A.3",
            _not_with_half,
            within=("pairs", "units"),
            post_hoc=True,
        ),
        OurClaim(
            "and so where a value has a number for each symbol: of 8 and 16 pairs the best of"
            f" three nets has {PASS:g} right with 8 log n, and none with log n or 2 log n",
            "values of fewer numbers than there are symbols",
            "figure 2",
            partial(_between, units=WIDE),
            within=("pairs", "units"),
            why=(
                "all nets recall all pairs, with keys of 2 numbers, too: of as many numbers as"
                " symbols the one that is read most is right"
            ),
        ),
    ),
)
