"""How few units count, and how far beyond the numbers that they learnt at?

Protocol: words a^n b^n, a^n b^n c^n and a^n b^n c^n d^n, n drawn from 1 to 30, from 1
to 50, or from 50 to 100. An LSTM of one layer, 1 to 36 units, says at each letter which
ones may follow; RMSprop at 0.01, one word per step, 1,000 words in each of 150 epochs,
ten trials. Its range ends at e_1, the first n, counted up from 1, at which it is wrong
anywhere in the word. Code, saved results and figures were read; the mean ranges by eye
(by_eye.csv).

Ours (memcap/tasks/counter_language.py): n from 1 to 30, where most of theirs go to 50.
Every word is fresh; theirs are 1,000, drawn once. The loss is the cross entropy of the
letter that is due, where theirs is the squared error of a sigmoid for each letter, and
the norm of our gradients is clipped at 1. Answers count from the first b on, where one
letter is due. 2,000 steps of 64 words by Adam at 0.03 that falls to 0; three seeds. At
one width per language LSTMs also train nearly as theirs do: 150,000 steps of one word,
RMSprop at 0.01. The test has a list of numbers, up to 70 in steps of 4 to 8 % and wider
beyond. A net's range ends at the first of them at which any of 512 words, of all n up
to it, has a wrong answer. GRU, minGRU and minLSTM are ours.
"""

import math

import polars as pl

from memcap.figures import Drawn
from memcap.findings import (
    NOT_MEASURED,
    Claim,
    Finding,
    OurClaim,
    Paper,
    StandIn,
    by_eye,
    first_failures,
    marks,
)
from memcap.findings.claims import (
    all_of,
    at_least,
    compare,
    each,
    having,
    knob,
    rank_correlation,
    within,
)
from memcap.findings.tables import claim_here, counts, filled, passed

LANGUAGES = {2: "a^n b^n", 3: "a^n b^n c^n", 4: "a^n b^n c^n d^n"}
# languages and units of all cells
COMMON_LANGUAGES = (2, 3)
WIDTH = 4
WIDTHS = {
    2: 2,
    3: 3,
    4: 4,
}  # by letters: units of the nets that train on one word a step, as the authors' do
LSTM = "OptimizedLSTMCell"
CELLS = {LSTM: "LSTM", "GRUCell": "GRU", "minGRU": "minGRU", "minLSTM": "minLSTM"}
# the largest n in training
LARGEST_N = 30
THEIR_LARGEST_N = 50
BATCH = 64  # words a step of most nets
BY_EYE = by_eye(__file__)
THEIRS = {  # the mean e_1 of the authors' ten nets, by letters and units; trained up to 50
    (symbols, units): e
    for symbols, units, n, e in BY_EYE.iter_rows()
    if n == THEIR_LARGEST_N
}
THEIRS_TO_30 = {symbols: e for symbols, _, n, e in BY_EYE.iter_rows() if n == LARGEST_N}
NET = ["symbols", "cell", "units", "batch", "seed"]


def ranges(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each net: its loss, the number at which it fails, the one before, and
    whether it learnt n to 30."""
    own = rows.filter(having(task="counter_language", cell=CELLS)).drop_nulls(
        "whole_at_lengths"
    )
    scored = first_failures(own, "whole", 1).with_columns(knob("symbols", pl.Int64))
    fails = pl.col("fails_at").fill_null(math.inf)
    numbers = pl.col("lengths").str.split(" ").cast(pl.List(pl.Int64)).explode()
    right = (
        numbers.filter(numbers < fails.first())
        .max()
        .fill_null(0)
        .over("key")
        .alias("right_to")
    )
    loss = pl.col("train_loss").alias("loss")
    learnt = (fails > LARGEST_N).alias("learnt")
    return scored.select(*NET, loss, "fails_at", right, learnt).sort(NET)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the number at which each net fails, over the largest n in training, by
    language and units; in the last panel by its loss."""
    data = ranges(rows).with_columns((pl.col("fails_at") / LARGEST_N).alias("times"))
    shape = {"sharey": True, "width_ratios": [3, 3, 3, 4]}
    picture, (*panels, last) = marks.panels((10, 4), 1, len(LANGUAGES) + 1, **shape)
    for axes, (symbols, title) in zip(panels, LANGUAGES.items(), strict=True):
        theirs = {
            units: e / THEIR_LARGEST_N
            for (letters, units), e in THEIRS.items()
            if letters == symbols
        }
        axes.scatter(
            list(theirs),
            list(theirs.values()),
            color="grey",
            marker="x",
            label="LSTM, theirs, n to 50",
        )
        label = "theirs, n to 30" if symbols == 2 else "_theirs"
        marks.level(axes, THEIRS_TO_30[symbols] / LARGEST_N, label, "--")
        for between in (1.5, 2.5, 3.5):
            axes.axvline(between, color="#dddddd", lw=0.5)
        axes.set(
            title=f"${title}$", xlabel="units", xlim=(0.5, 4.8), xticks=[1, 2, 3, 4]
        )
    learnt = data.filter("learnt").with_columns(pl.col("loss").clip(1e-6))
    kinds = [
        (LSTM, 1, "LSTM, a word a step"),
        *((cell, BATCH, name) for cell, name in CELLS.items()),
    ]
    for k, (cell, batch, name) in enumerate(kinds):
        look = marks.dots(k, alpha=0.75)
        for axes, symbols in zip(panels, LANGUAGES, strict=True):
            own = data.filter(cell=cell, batch=batch, symbols=symbols)
            places = (
                own["units"] + 0.16 * (k - 2) + 0.05 * (own["seed"] - 1)
            )  # marks stand beside each other
            axes.scatter(places, own["times"], label=name, **look)
        own = learnt.filter(cell=cell, batch=batch)
        last.scatter(own["loss"], own["times"], **look)
    last.set(
        title="nets that learnt n to 30", xlabel="loss at the end of training, nats"
    )
    if learnt["loss"].count():  # a log scale of nothing cannot be drawn
        last.set_xscale("log")
    for axes in (*panels, last):
        marks.level(axes, 1)
    ticks = [1, 1.5, 2, 3, 5, 10]
    panels[0].set(yscale="log", ylabel="fails at n, over the largest n in training")
    panels[0].set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    panels[0].set_yticks([], minor=True)
    handles, labels = panels[0].get_legend_handles_labels()
    place = {"loc": "upper left", "fontsize": 7}
    marks.legend(panels[-1], handles=handles, labels=labels, **place)
    caption = (
        "Each mark shows one net of one layer, trained at n up to 30. A mark at the dotted line"
        " has not learnt all of these. A loss below 0.000001 is drawn at 0.000001. Crosses, by"
        " units, are means of ten nets that the paper trained at n up to 50. Dashed lines show"
        " its nets trained at n up to 30, whose widths were not read. Both were read by eye from"
        " the figures of Suzgun et al. (2019)."
    )
    return marks.finish(
        picture, rows, data, caption, 175, left=0.07, right=0.99, top=0.92, wspace=0.08
    )


def fails_at(
    nets: pl.DataFrame,
    symbols: int,
    cell: str = LSTM,
    units: int = WIDTH,
    batch: int = BATCH,
) -> list[float]:
    """Return the number at which each of these nets fails, in order; infinite if at
    none of the list."""
    own = nets.filter(cell=cell, symbols=symbols, units=units, batch=batch)
    return own["fails_at"].cast(pl.Float64).fill_null(math.inf).sort().to_list()


def _fewest(nets: pl.DataFrame, units: dict[int, int]) -> Finding:
    """Judge the fewest LSTM units of which some net learns a language."""
    findings = []
    for symbols, fewest in units.items():
        own = nets.filter(cell=LSTM, batch=BATCH, symbols=symbols).group_by("units")
        counts = own.agg(pl.col("learnt").sum(), pl.len()).sort("units")
        text = ", ".join(
            f"{learnt} of {of} nets of {width}"
            for width, learnt, of in counts.iter_rows()
        )
        least = counts.filter(pl.col("learnt") > 0)["units"].min()
        found = Finding(f"{LANGUAGES[symbols]}: {text}", least == fewest)
        findings.append(found if counts.height else NOT_MEASURED)
    return all_of(*findings)


def _beyond(nets: pl.DataFrame, *languages: int) -> Finding:
    """Judge the LSTMs: each goes on beyond the n of its training by a fifth at least,
    and fails somewhere."""
    fails = {LANGUAGES[k]: fails_at(nets, k) for k in languages}
    ends = within(1.2 * LARGEST_N, math.nextafter(math.inf, 0))
    return each(fails, "{name}: {nets.least:g} to {nets.most:g}", ends)


def _twice(nets: pl.DataFrame) -> Finding:
    """Judge how far LSTMs that see a word a step are right, on average, over the n of
    their training."""
    times = {}
    for symbols, units in WIDTHS.items():
        right = (
            nets.filter(cell=LSTM, batch=1, symbols=symbols, units=units)["right_to"]
            / LARGEST_N
        )
        times[LANGUAGES[symbols]] = [right.sum() / len(right)] if len(right) else []
    found = each(times, "{name} {nets:.1f}", at_least(2), join=", ")
    return all_of(found, Finding("times", True), join=" ")


def _recipes(nets: pl.DataFrame) -> Finding:
    """Compare LSTMs trained by our recipe with those of their width trained by theirs,
    one word a step."""
    pairs = {
        LANGUAGES[k]: tuple(
            fails_at(nets, k, units=units, batch=batch) for batch in (BATCH, 1)
        )
        for k, units in WIDTHS.items()
    }
    words = "{name}: {a.least:g} to {a.most:g} and {b.least:g} to {b.most:g}"
    return compare(pairs, words, lambda ours, theirs: max(ours) < min(theirs))


def _loss(nets: pl.DataFrame) -> Finding:
    """Judge the rank correlation of loss and the number at which they fail, of the
    LSTMs that learnt."""
    ranks = {}
    for symbols in COMMON_LANGUAGES:
        own = nets.filter("learnt", cell=LSTM, batch=BATCH, symbols=symbols).drop_nulls(
            "fails_at"
        )
        if own.height < 3:
            return NOT_MEASURED
        ranks[LANGUAGES[symbols]] = (
            rank_correlation(own["loss"], own["fails_at"]),
            own.height,
        )
    return compare(
        ranks, "{name}: {a:.2f} of {b} nets", lambda rank, _: abs(rank) < 0.5
    )


def _shorter(nets: pl.DataFrame) -> Finding:
    cells = "GRUCell", LSTM
    pairs = {
        LANGUAGES[k]: tuple(fails_at(nets, k, cell) for cell in cells)
        for k in COMMON_LANGUAGES
    }
    words = "{name}: GRU {a.least:g} to {a.most:g}, LSTM {b.least:g} to {b.most:g}"
    return compare(pairs, words, lambda gru, lstm: max(gru) < min(lstm))


def _as_the_gru(nets: pl.DataFrame) -> Finding:
    lstm = fails_at(nets, 3)
    pairs = {
        CELLS[cell]: (fails_at(nets, 3, cell), lstm) for cell in ("minGRU", "minLSTM")
    }
    words = "{name} {a.least:g} to {a.most:g}, LSTM {b.least:g} to {b.most:g}"
    return compare(pairs, words, lambda other, lstm: max(other) < min(lstm))


PAPER = Paper(
    source=(
        "Suzgun, Belinkov & Shieber, On evaluating the generalization of LSTM models in formal"
        " languages, SCiL 2019 (1811.01001)"
    ),
    cost="4 core minutes; 25 minutes on two cores of a busy machine",
    read="code",
    table=ranges,
    claims=(
        StandIn(
            "a^n b^n takes two LSTM units (the fewest that learn all n to 30 in some seed)",
            f"one unit fails; two: mean e_1 of {THEIRS[2, 2]} after n to 50",
            "figure, by eye",
            lambda nets: _fewest(nets, {2: 2}),
            within=("symbols", "cell", "batch"),
            why=(
                "likely because their net must also say at each a that a or b may follow; ours"
                " answers from the first b on, for which one counter does"
            ),
        ),
        StandIn(
            "a^n b^n c^n takes two, and a^n b^n c^n d^n three",
            f"two: mean e_1 of {THEIRS[3, 2]}; three: {THEIRS[4, 3]}; after n to 50; no narrower"
            " ones were trained",
            "figure, by eye; the authors' poster",
            lambda nets: _fewest(nets, {3: 2, 4: 3}),
            within=("symbols", "cell", "batch"),
        ),
        Claim(
            "LSTMs go on beyond the n of their training, by a fifth at least, but not for ever:"
            " all of four units, in a^n b^n and a^n b^n c^n",
            f"mean e_1 of {THEIRS_TO_30[2]} and {THEIRS_TO_30[3]} after n to 30",
            "figure, by eye",
            lambda nets: _beyond(nets, 2, 3),
            within=("symbols", "units", "batch"),
        ),
        Claim(
            "and in a^n b^n c^n d^n",
            f"mean e_1 of {THEIRS_TO_30[4]} after n to 30",
            "figure, by eye",
            lambda nets: _beyond(nets, 4),
            within=("symbols", "units", "batch"),
            why=(
                "it takes longest to learn: of three nets one is wrong on some n to 30 after"
                " 2,000 steps, and the others fail at 34 and 36"
            ),
        ),
        Claim(
            "trained on one word a step, nearly as by the authors, LSTMs are right up to twice"
            " the n of their training or more, on average in each language",
            "{:.1f}, {:.1f} and {:.1f} times, after n to 30".format(
                *(e / LARGEST_N for e in THEIRS_TO_30.values())
            ),
            "figure, by eye",
            _twice,
            within=("symbols", "cell"),
        ),
        Claim(
            "loss does not say how far a net counts: of the LSTMs that learn, its rank"
            " correlation with where they fail is below 0.5 in size, in a^n b^n and in a^n"
            " b^n c^n",
            "e_1 of 83 to 244 in ten nets, all of a loss near 0 (a^n b^n c^n, three units)",
            "saved results",
            _loss,
            within=("symbols", "cell", "batch"),
            why=(
                "it is near 0.5 in a^n b^n c^n, of nets at 0.001 to 0.004 nats: one of less loss"
                " counts a little further; eight nets do not tell that from chance, nor are they"
                " as near 0 as theirs"
            ),
        ),
        OurClaim(
            "an LSTM counts less far trained by our recipe (Adam at 0.03, 2,000 steps of 64 words)"
            " than by theirs (RMSprop at 0.01, one word a step, 150,000 steps): each by ours fails"
            " before each of its width by theirs, in each language",
            "RMSprop at 0.01, one word a step",
            "code",
            _recipes,
            within=("symbols", "cell"),
        ),
        OurClaim(
            "a GRU counts less far than an LSTM: at four units each fails before each LSTM, in"
            " a^n b^n and a^n b^n c^n",
            "a cell that is not in the paper",
            "our own question",
            _shorter,
            within=("symbols", "units", "batch"),
        ),
        OurClaim(
            "so do minGRU and minLSTM in a^n b^n c^n",
            "cells that are not in the paper",
            "our own question",
            _as_the_gru,
            within=("symbols", "units", "batch"),
            post_hoc=True,
        ),
    ),
)


def counting_languages() -> str:
    """Counters that were trained."""
    one = counts("up_to_fresh_seeds", "lag", what="counter_language")
    return filled(
        f"Trained by gradients, {passed(one)} nets of one LSTM unit learn a^n b^n up to the lags"
        f" {', '.join(f'{lag}' for lag in one['lag'])} (`memcap frontier"
        " sweeps/answers/up_to_fresh_seeds`). But no net counts for ever. Nets of four units that"
        f" learnt n to 30 first fail at these n: {claim_here('suzgun2019', 'LSTMs go on')} (`memcap"
        " reproduce suzgun2019 --rows`)."
    )


TABLES = {"counting languages": counting_languages}
