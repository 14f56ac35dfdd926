"""How far beyond the trained length does a net follow parity or S3, if its update is affine?

Protocol: we know the abstract, and a summary by others. An affine update takes the old
state to A S + b, where A and b depend on the input alone. The paper proves that it
cannot correct an error along the directions that tell states of a group apart, if it
keeps these states; the error adds up, and the net is right up to a horizon. An update
that depends on the state can correct it. Affine nets (Mamba, Mamba-3, AUSSM) and others
(tanh RNN, a gated one) are trained on products of C2, C6 and S3.

Ours: parity, which is C2, of 16 bits, and products of 16 elements of S3; one bare layer
of 8 units, of S3 16, at one rate. Affine are gated DeltaProduct, DeltaProduct and
DeltaNet with eigenvalues in [-1, 1], and the selective LRU. The others are LSTM, GRU
and a tanh RNN; of S3, which it does not learn in 3,000 steps, the latter is left out. A
net trains until it is right at 32 times the length, too, or to the end of its budget,
which affine nets reach. The horizon of a net is the last of 1, 2, 4 to 64 times the
trained length up to which it has 0.9 of whole sequences right at each. Rate, widths,
budgets and the claims were set on seeds that are not among the published ones.
"""

import polars as pl

from memcap.figures import Drawn
from memcap.findings import Finding, OurClaim, Paper, StandIn, marks, over_lengths
from memcap.findings.claims import all_of, below, compare, each, having, pick, share_of

GROUPS = {"parity": "parity", "word_problem": "S3"}
DELTA_NET = "signed_delta_net"
AFFINE = {
    "gated_delta_product": "gated DeltaProduct",
    "delta_product": "DeltaProduct",
    DELTA_NET: "DeltaNet, [-1, 1]",
    "selective_LRU": "selective LRU",
}
OTHERS = {"OptimizedLSTMCell": "LSTM", "GRUCell": "GRU", "SimpleCell": "tanh RNN"}
CELLS = AFFINE | OTHERS
LENGTH = 16  # bits or elements in training
LONG = 24_000  # steps, eight times as many as those of other nets
PASS = 0.9  # the least share of whole sequences of a net that follows a length
FAR = 16  # times the trained length
MOST = 0.75  # the share of nets that learn, or go on: 6 of 8
NET = ["task", "cell", "budget", "seed"]
SPAN = "{name}: {nets.least:g} to {nets.most:g} times"


def lines(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the share of whole sequences that each net has right at each multiple of
    the trained length."""
    own = over_lengths(rows.filter(having(task=GROUPS, cell=CELLS)))
    # after the first of its elements, a product needs no lag
    elements = pl.col("number") + (pl.col("task") == "word_problem")
    times = (elements // LENGTH).alias("times")
    return own.select(*NET, times, "whole").sort(*NET, "times")


def horizons(rows: pl.DataFrame) -> pl.DataFrame:
    """Return the horizon of each net, in trained lengths; 0 if it has not learnt these."""
    fails = pl.col("times").filter(pl.col("whole") < PASS).min()
    before = pl.col("times").filter(pl.col("times") < fails).max().fill_null(0)
    horizon = pl.when(fails.is_null()).then(pl.col("times").max()).otherwise(before)
    nets = lines(rows).group_by(NET, maintain_order=True)
    return nets.agg(horizon.alias("horizon"))


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the share of whole sequences right by length, a mark per net, a panel per
    group."""
    data = lines(rows)
    picture, panels = marks.panels((9, 4.4), 1, 2, sharey=True)
    for axes, (task, title) in zip(panels, GROUPS.items(), strict=True):
        for k, (cell, name) in enumerate(CELLS.items()):
            own = data.filter(task=task, cell=cell)
            for budget, nets in own.group_by("budget", maintain_order=True):
                longer = budget == (LONG,)
                label = f"{name}, {LONG:,} steps" if longer else name
                look = len(CELLS) if longer else k
                marks.with_nets(
                    axes, nets, "times", "whole", look, label, 1.04 ** (k - 3)
                )
        marks.level(axes, PASS, ls="--")
        axes.axvline(FAR, color="grey", lw=0.8, ls=":")
        axes.set(title=title, xscale="log", xlabel="times the trained length")
        marks.number_x(axes, data["times"])
        marks.legend(axes)
    panels[0].set_ylabel("share of whole sequences right")
    caption = (
        f"Each mark shows one net of one layer, trained at {LENGTH} bits or elements; lines"
        " go through medians. Nets above the dashed line follow a length. DeltaProduct,"
        " DeltaNet and LRU are affine in their state, the others are not. After Chung et"
        " al. (2026)."
    )
    return marks.finish(
        picture, rows, data, caption, 140, left=0.08, right=0.98, top=0.93, wspace=0.05
    )


def _horizons(nets: pl.DataFrame, task: str, *cells: str) -> dict[str, list[float]]:
    """Return the horizons of each cell's nets, but for those that trained for longer."""
    own = nets.filter(pl.col("budget") < LONG, task=task)
    return pick(own, "horizon", "cell", {cell: CELLS[cell] for cell in cells})


def _ends(nets: pl.DataFrame, task: str, *cells: str) -> Finding:
    """Judge whether most nets of each cell learn, and none goes on."""
    learn = share_of(MOST, lambda horizon: horizon >= 1)
    end = below(FAR)
    by_cell = _horizons(nets, task, *cells)
    return each(by_cell, SPAN, lambda numbers: learn(numbers) and end(numbers))


def _goes_on(nets: pl.DataFrame, task: str, *cells: str) -> Finding:
    """Judge whether most nets of each cell go on."""
    by_cell = _horizons(nets, task, *cells)
    return each(by_cell, SPAN, share_of(MOST, lambda horizon: horizon >= FAR))


def _of_s3(nets: pl.DataFrame) -> Finding:
    affine = _ends(nets, "word_problem", "gated_delta_product", "delta_product")
    return all_of(
        affine, _goes_on(nets, "word_problem", "OptimizedLSTMCell", "GRUCell")
    )


def _longer(nets: pl.DataFrame) -> Finding:
    """Judge whether more steps at least double the median horizon, and do not remove it."""
    own = nets.filter(task="parity", cell=DELTA_NET)
    brief, long = own.filter(pl.col("budget") < LONG), own.filter(budget=LONG)
    pair = brief["horizon"].to_list(), long["horizon"].to_list()
    farther = compare(
        {"median": pair},
        "{name}: {a.median:g} times, and {b.median:g} by more steps",
        lambda few, many: many.median >= 2 * few.median,
    )
    end = each({"the farthest": pair[1]}, "{name}: {nets.most:g}", below(FAR))
    return all_of(farther, end)


PAPER = Paper(
    source=(
        "Chung, Choi & Kim, Rethinking state tracking in recurrent models through error control"
        " dynamics, 2026 (2605.07755)"
    ),
    cost="15 minutes on one of two busy cores (88 members)",
    read="notes",
    table=horizons,
    claims=(
        StandIn(
            "affine nets follow parity up to a horizon (here: at least six of eight nets of each"
            f" cell learn {LENGTH} bits, and none follows {FAR} times as many)",
            "affine nets learn solutions of a finite horizon",
            "abstract",
            lambda nets: _ends(
                nets, "parity", "gated_delta_product", DELTA_NET, "selective_LRU"
            ),
            within=("task", "budget"),
        ),
        StandIn(
            "nets whose update depends on their state go on (here: at least six of eight LSTMs,"
            f" GRUs and tanh RNNs follow parity of {FAR} times as many bits)",
            "updates that depend on the state can track robustly",
            "second-hand: a summary",
            lambda nets: _goes_on(nets, "parity", *OTHERS),
            within=("task", "budget"),
        ),
        StandIn(
            "both hold of S3, whose elements do not commute (DeltaProduct, gated or not; LSTM and"
            " GRU)",
            "on C2, C6 and S3",
            "second-hand: a summary",
            _of_s3,
            within=("task",),
        ),
        OurClaim(
            "with eight times the steps the horizon of DeltaNet is farther (its median at least"
            f" doubles), and still a horizon (no net follows {FAR} times as many bits)",
            "no such number",
            "our own question",
            _longer,
            within=("task", "cell"),
            why=(
                "the median rises from 2 to 3 times the trained length; two of eight nets go to 8"
                " times, which none does in fewer steps"
            ),
        ),
    ),
)
