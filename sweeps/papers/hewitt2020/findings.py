"""Do nested brackets ask for units by types, and not by length?

Protocol: words of brackets of k types, nested at most m deep. Hewitt et al. prove that
a recurrent net needs of the order of m log k units to continue them, and that this many
are enough. They train LSTMs of `3 m log2 k - m` units as language models: m = 3 and 5,
k = 2 to 128, on 2e3 to 2e7 symbols, tested on words up to twice as long, all longer
than any in training. A net is right where the right close bracket has more than 0.8 of
the probability of all close brackets. The score is a mean over the distances to the
open bracket, and then the median of three seeds.

Ours (memcap/tasks/dyck.py): m = 3, k = 2, 8, 32. One pair of brackets spans the word,
so that the first one is stored for 20 or 80 steps. The net only says which close
bracket comes, if its open one is out of sight. Each training step has fresh words. Adam
at 0.03, batches of 64, forget gates that hold from the start (conf/recipe/hold.yaml). A
net stops once it is right at 99 %, and then meets words of twice the length.
"""

import math
from functools import partial

import polars as pl

from memcap.figures import Drawn
from memcap.figures.style import legend_in_order
from memcap.findings import NOT_MEASURED, Claim, Effect, Finding, OurClaim, Paper, marks
from memcap.findings.claims import at_least, each, knob, over_seeds
from memcap.findings.resample import give_narrower

# accuracy at the trained length, and at twice that
PASS = 0.99
PASS_TWICE = 0.95
PAPER_WIDTH = "3 m log2 k - m units"
RATIO = (
    1.5  # how far the units per bit may differ between the fewest and the most types
)
WORDS = ["types", "depth"]


def width(depth: int, types: int) -> int:
    """Return the paper's units for words of so many types, nested so deep: 3 m log2 k - m."""
    return round(3 * depth * math.log2(types)) - depth


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Return accuracies over the seeds by words, lag and units, trained and `longer`;
    the paper's width."""
    own = rows.filter(task="dyck").with_columns(knob(name, pl.Int64) for name in WORDS)
    longer = pl.col("stretched").median().alias("longer")
    medians = own.group_by(*WORDS, "lag", "units", "stretch").agg(
        *over_seeds("accuracy"), longer
    )
    papers = [width(depth, types) for types, depth in medians.select(WORDS).iter_rows()]
    return medians.with_columns(pl.Series("paper_units", papers, pl.Int64)).sort(
        *WORDS, "lag", "units"
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw accuracy by units, a panel per number of types, a colour per length, with
    the paper's width."""
    data = curves(rows)
    kinds = list(data.group_by(WORDS, maintain_order=True))
    picture, (panels,) = marks.panels((9.6, 4.6), 1, max(1, len(kinds)), squeeze=False)
    picture.suptitle("Closing nested brackets, by width, types and length", y=0.98)
    labels = []
    for axes, ((types, depth), own) in zip(panels, kinds, strict=False):
        axes.set(xlabel="units", xscale="log", ylim=(0, 1.04))
        axes.axvline(
            own["paper_units"][0], color="grey", lw=6, alpha=0.3, label=PAPER_WIDTH
        )
        marks.level(axes, 1 / types, "chance")
        for k, ((lag, stretch), line) in enumerate(
            own.group_by("lag", "stretch", maintain_order=True)
        ):
            labels += [
                f"lag {lag}, as trained",
                f"lag {stretch * lag}, {stretch} times as long",
            ]
            marks.with_bars(
                axes,
                line,
                "units",
                "accuracy",
                label=labels[-2],
                **marks.look(k, lw=1.2),
            )
            look = marks.look(k, mfc="white", lw=0.7, ls="--")
            axes.plot(line["units"], line["longer"], label=labels[-1], **look)
        marks.number_x(axes, own["units"])
        axes.set_title(f"k = {types} types, depth m = {depth}", fontsize=10)
    panels[0].set_ylabel("accuracy on brackets out of sight")
    order = [*dict.fromkeys(labels), PAPER_WIDTH, "chance"]
    legend_in_order(panels[0], order, frameon=False, fontsize=7, loc="lower left")
    caption = (
        "Filled marks show nets at the trained length, and open marks show the same nets on"
        f" words twice as long. Marks are the median over up to {marks.greatest(data, 'seeds')}"
        " seeds, and bars reach to all of them. The lag is the number of steps from the first"
        " bracket to the answer that closes it. A net stops once it is right at 99 %. The grey"
        " line is the width that Hewitt et al. (2020) give their LSTMs; other widths are ours."
    )
    return marks.finish(
        picture, rows, data, caption, 170, left=0.07, right=0.985, top=0.86, wspace=0.16
    )


def _wide_enough(data: pl.DataFrame) -> Finding:
    own = data.filter(pl.col("units") == pl.col("paper_units"))
    widths = ", ".join(map(str, own["units"].unique().sort()))
    words = f"at least {{nets.least:.3f}} at {widths} units"
    return each({"": own["least"]}, words, at_least(PASS))


def _twice_as_long(data: pl.DataFrame) -> Finding:
    own = data.filter(pl.col("units") == pl.col("paper_units"), stretch=2).drop_nulls(
        "longer"
    )
    lags = ", ".join(map(str, own["lag"].unique().sort()))
    words = f"at least {{nets.least:.3f}}, from {lags} steps to twice that"
    return each({"": own["longer"]}, words, at_least(PASS_TWICE))


def _narrowest(data: pl.DataFrame) -> pl.DataFrame:
    """Return the narrowest width whose median net is right, by types, depth and lag;
    null where none is."""
    enough = pl.col("units").filter(pl.col("accuracy") >= PASS).min().alias("enough")
    by = *WORDS, "lag"
    return data.group_by(by).agg(enough, pl.col("units").min().alias("tried")).sort(by)


def _by_bits(data: pl.DataFrame) -> Finding:
    """Judge the width that is enough at all lags, by types; the narrowest tried is an
    upper end alone."""
    widths = (
        _narrowest(data)
        .group_by(WORDS, maintain_order=True)
        .agg(pl.all().exclude("lag").max())
    )
    measured = widths.filter(pl.col("enough") > pl.col("tried"))
    if measured.height < 2 or widths["enough"].has_nulls():
        return NOT_MEASURED
    bits = measured["depth"] * measured["types"].log(2)
    per_bit = (measured["enough"] / bits).to_list()
    grows = (widths["enough"].diff().drop_nulls() > 0).all()
    text = ", ".join(
        f"{units} for k = {types}"
        for types, units in widths["types", "enough"].iter_rows()
    )
    least = min(per_bit)
    most = max(per_bit)
    return Finding(
        f"units: {text}; {least:.2f} to {most:.2f} per bit",
        grows and most <= RATIO * least,
    )


def _not_by_length(data: pl.DataFrame) -> Finding:
    """Judge types whose narrowest width tried is too narrow at some lag, and some wider
    one enough at some; of others nothing is measured."""
    enough = pl.col("enough")
    too_narrow = enough.is_null() | (enough > pl.col("tried"))
    measured = too_narrow.any() & enough.is_not_null().any()
    widths = _narrowest(data).filter(measured.over(WORDS))
    if widths["lag"].n_unique() < 2 or widths["types"].n_unique() < 2:
        return NOT_MEASURED
    texts = []
    same = True
    for (types,), own in widths.group_by("types", maintain_order=True):
        at_lags = (
            f"{units or 'none'} at lag {lag}"
            for lag, units in own["lag", "enough"].iter_rows()
        )
        texts.append(f"k = {types}: {', '.join(at_lags)}")
        same &= own["enough"].n_unique() == 1 and not own["enough"].has_nulls()
    return Finding("; ".join(texts), same)


PAPER = Paper(
    source=(
        "Hewitt, Hahn, Ganguli, Liang & Manning, RNNs can generate bounded hierarchical languages"
        " with optimal memory, EMNLP 2020 (2010.07515)"
    ),
    cost="10 minutes on one core of a busy machine, without compilation (96 members)",
    read="code",
    table=curves,
    claims=(
        Claim(
            "LSTMs of 3 m log2 k - m units learn to close brackets (here: every net is right at"
            f" {PASS:.0%})",
            "6, 24 and 42 units for m = 3 and k = 2, 8, 32",
            "the authors' code and its configurations",
            _wide_enough,
            within=("types", "lag"),
        ),
        Claim(
            "and they do so in words of up to twice the trained length (here: the median net is"
            f" right at {PASS_TWICE:.0%})",
            "trained to 84 symbols, tested to 168",
            "the authors' code and its configurations",
            _twice_as_long,
            within=("types", "lag"),
            why=(
                "our nets stop at the first 99 %, after some hundred steps on words of one"
                " length; theirs train on, on words of all lengths up to the longest"
            ),
            reached=False,
        ),
        OurClaim(
            "units follow log k (here: they grow with k, and units per m log2 k differ by at"
            f" most {RATIO:g} times over the k of which the narrowest width tried is not enough)",
            "of the order of m log k units are needed, and are enough; here m = 3 alone",
            "abstract",
            _by_bits,
            within=("units", "lag"),
            post_hoc=True,
        ),
        OurClaim(
            "and not the length (here: the narrowest width that is enough is the same at all"
            " lags; of types whose narrowest width tried is not)",
            "the bound has no length in it",
            "abstract; the lags are ours",
            _not_by_length,
            within=("types", "units"),
            denies=Effect(
                "8 units in place of 4 for k = 8 at lag 80",
                partial(give_narrower, types=8, lag=80),
            ),
        ),
    ),
)
