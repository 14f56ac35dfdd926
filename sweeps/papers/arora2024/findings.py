"""At equal bytes of state, which recurrent nets recall most pairs of key and value?

Protocol: recall against the bytes of a net's state, over models and widths. The
vocabulary is 8,192. Nets train on 4 to 64 pairs in 64 to 256 steps with random symbols
between them, and are tested on up to 256 pairs in 1,024. Of two layers the first is a
gated convolution over three steps, and the second is the net that is compared, but of
Mamba-2 both are; DeltaNet and Mamba-2 also have convolutions over four steps of their
own. AdamW, the best of four rates, one seed. The paper has the task and the sizes of
states (section 3.1, appendix E.2); the rest was read in the authors' code. None of the
paper's own models is trained here. The accuracies beside the claims were read by eye
from the figure of that code's README (by_eye.csv), which has newer models.

Ours (memcap/tasks/mqar.py) is smaller: 8 or 16 pairs of 32 keys and 32 values. Key and
value come in one step, so that one layer binds them without a convolution, and nothing
stands between the queries. One layer with keys of 16 numbers and values of 2, 4 or 8,
and an LSTM and a GRU of no fewer bytes; 1,000 steps of 32 sequences at one rate, not
tuned. Bytes are those of the whole carry; a cell with a matrix also carries its last
input, 65 numbers. Linear attention and the delta rules have keys and queries of length
1, GLA and Mamba-2 do not. If keys are written twice, the second value is due, which is
our own question. LSTM and GRU come last, perhaps because of training.

We first meant to require a lead of 0.05 for the delta rule at each width with keys
written once. Where all cells recall nearly nothing or nearly everything the lead is
0.02, so it is judged on average over the widths.

Dashed lines in the figure are not trained: random keys and values of length 1, written
in NumPy; the delta rule has the better of two strengths of a write, 1/2 and 1.
"""

import itertools
import statistics
from collections.abc import Iterable
from functools import cache
from typing import Any

import numpy as np
import polars as pl

from memcap.figures import Drawn
from memcap.findings import (
    NOT_MEASURED,
    Finding,
    OurClaim,
    Paper,
    StandIn,
    by_eye,
    marks,
)
from memcap.findings.claims import all_of, compare, each, having, knob, over_seeds

FADING_CELLS = ("gla", "mamba2")
DELTA_CELLS = ("delta_net", "gated_delta_net")
MATRIX_CELLS = ("linear_attention", *FADING_CELLS, *DELTA_CELLS)
LSTM = "OptimizedLSTMCell"
NAMES = {
    "linear_attention": "linear attention",
    "gla": "GLA",
    "mamba2": "Mamba-2",
    "delta_net": "DeltaNet",
    "gated_delta_net": "Gated DeltaNet",
    LSTM: "LSTM",
    "GRUCell": "GRU",
}
# numbers of a key; symbols of each kind
KEYS = 16
SYMBOLS = 32
FEW_PAIRS = 8
MANY_PAIRS = 16
TIMES = ("once", "twice")  # number of writes of a key, by rewrites
STRENGTHS = {
    "linear_attention": (None,),
    "delta_net": (0.5, 1.0),
}  # of a write, without training
# accuracy by which one cell is ahead of another
LEAD = 0.05
LONG_LEAD = 0.15
GAP = 0.1  # by which the LSTM is behind
PASS = 0.2  # accuracy of a net that can lose some
LACK = 0.03  # by which a trained net may be short of one that nobody trained
CONDITION = ["pairs", "rewrites", "cell", "units"]
BY_EYE = by_eye(__file__)


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Return accuracies over the seeds, and the bytes of the carry, by pairs, rewrites,
    cell and units."""
    own = rows.filter(having(task="mqar", cell=NAMES, layout="stacked"))
    knobs = knob("pairs", pl.Int64), knob("rewrites", pl.Int64).fill_null(0)
    size = (4 * pl.col("carry_numbers")).max().alias("bytes")
    return (
        own.with_columns(*knobs)
        .group_by(CONDITION)
        .agg(size, *over_seeds("accuracy"))
        .sort(CONDITION)
    )


@cache
def constructed(
    cell: str, units: int, pairs: int, rewrites: int, sequences: int = 512
) -> float:
    """Return the accuracy of a cell without training, at the best of its `STRENGTHS` of a write."""
    rng = np.random.default_rng(0)
    writes = pairs * (1 + rewrites)
    drawn = (rng.normal(size=(sequences, SYMBOLS, size)) for size in (KEYS, units))
    keys, values = (
        each / np.linalg.norm(each, axis=-1, keepdims=True) for each in drawn
    )
    order, said = (
        np.argsort(rng.random((sequences, size)), axis=1) for size in (writes, SYMBOLS)
    )
    scores = []
    row = np.arange(sequences)
    for strength in STRENGTHS[cell]:
        state = np.zeros((sequences, KEYS, units))
        latest = np.zeros((sequences, pairs), int)
        for k, v in zip(order.T % pairs, said.T, strict=False):
            key = keys[row, k]
            value = values[row, v]
            if strength is not None:
                value = strength * (value - np.einsum("bku,bk->bu", state, key))
            state += key[:, :, None] * value[:, None, :]
            latest[row, k] = v
        read = np.einsum("bnk,bku->bnu", keys[:, :pairs], state)
        answers = np.einsum("bnu,bvu->bnv", read, values).argmax(-1)
        scores.append(float(np.mean(answers == latest)))
    return max(scores)


def untrained(data: pl.DataFrame) -> pl.DataFrame:
    """Return the lines of `data` whose cell can do without training, with the accuracy
    that it has then."""
    own = data.filter(pl.col("cell").is_in([*STRENGTHS]))
    scores = [
        constructed(*each)
        for each in own.select("cell", "units", "pairs", "rewrites").iter_rows()
    ]
    return own.select(*CONDITION, "bytes", pl.Series("accuracy", scores, pl.Float64))


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw accuracy by bytes of state, a panel per number of pairs and of writes; after
    "Based", fig. 2."""
    data = curves(rows)
    beside = untrained(data)
    picture, grid = marks.panels((8, 6.4), 2, 2, sharex=True, sharey=True)
    conditions = itertools.product((0, 1), (FEW_PAIRS, MANY_PAIRS))
    for axes, (rewrites, pairs) in zip(grid.flat, conditions, strict=True):
        for k, (cell, name) in enumerate(NAMES.items()):
            own, free = (
                each.filter(pairs=pairs, rewrites=rewrites, cell=cell)
                for each in (data, beside)
            )
            look = marks.look(k, ms=4, lw=1.1, label=name)
            marks.with_bars(axes, own, "bytes", "accuracy", **look)
            axes.plot(
                free["bytes"],
                free["accuracy"],
                color=look["color"],
                lw=1,
                ls="--",
                label="_untrained",
            )
        marks.level(axes, 1 / SYMBOLS)
        axes.set_title(f"{pairs} pairs, written {TIMES[rewrites]}", fontsize=10)
        axes.set(xscale="log", ylim=(0, 1.04))
        marks.number_x(axes, data["bytes"].unique().sort().gather_every(2), ",")
    for below, beside_it in zip(grid[1], grid[:, 0], strict=True):
        below.set_xlabel("state, bytes")
        beside_it.set_ylabel("accuracy of recalled values")
    marks.legend(grid[1, 1], loc="upper left")
    caption = (
        "At equal bytes the delta rule recalls as much as all others, or more. Some lines hide"
        " others: Gated DeltaNet's hides DeltaNet's, and if keys are written once, Mamba-2's"
        " hides linear attention's. Points are the median of up to"
        f" {marks.greatest(data, 'seeds')} seeds, and bars reach to all of them, for nets of one"
        f" layer after at most {marks.greatest(rows, 'budget'):,} training steps. Dashed lines"
        " show the rule of that colour without training, and the dotted line shows chance. After"
        " Arora et al., Based (2024), fig. 2, scaled down."
    )
    margins = {"left": 0.09, "right": 0.98, "top": 0.95, "wspace": 0.06, "hspace": 0.16}
    return marks.finish(picture, rows, data, caption, 125, **margins)


def _accuracies(
    data: pl.DataFrame, cells: Iterable[str], pairs: int, rewrites: int
) -> list[dict[int, float]]:
    """Return the accuracy by units of each of these cells; none where one was not trained."""
    own = [data.filter(cell=cell, pairs=pairs, rewrites=rewrites) for cell in cells]
    lines = [dict(each.select("units", "accuracy").iter_rows()) for each in own]
    return lines if all(lines) else []


def _widest(*condition: Any) -> list[float]:
    """Return the accuracy of the widest net of each cell of `_accuracies`."""
    return [line[max(line)] for line in _accuracies(*condition)]


def _rises(data: pl.DataFrame) -> Finding:
    lines = _accuracies(data, MATRIX_CELLS, MANY_PAIRS, 0)
    if not lines or min(map(len, lines)) < 2:
        return NOT_MEASURED
    rises = [all(a < b for a, b in itertools.pairwise(line.values())) for line in lines]
    return each({"": rises}, "{nets.total} of {nets.number} curves", all)


def _falls(data: pl.DataFrame) -> Finding:
    own = data.filter(pl.col("cell").is_in(MATRIX_CELLS))
    by_pairs = own.pivot(
        "pairs", index=["cell", "rewrites", "units"], values="accuracy"
    )
    few = str(FEW_PAIRS)
    many = str(MANY_PAIRS)
    if not {few, many} <= set(by_pairs.columns):
        return NOT_MEASURED
    both = by_pairs.drop_nulls().filter(pl.col(few) >= PASS)
    falls = (both[few] > both[many]).sum()
    return Finding(f"{falls} of {both.height} nets", falls == both.height > 0)


def _once(data: pl.DataFrame) -> Finding:
    lines = _accuracies(data, ("delta_net", *FADING_CELLS), MANY_PAIRS, 0)
    if not lines or any(line.keys() != lines[0].keys() for line in lines):
        return NOT_MEASURED
    lead = {
        units: score - max(line[units] for line in lines[1:])
        for units, score in lines[0].items()
    }
    text = ", ".join(f"{by:+.2f} at values of {units}" for units, by in lead.items())
    return Finding(
        text, min(lead.values()) > 0 and statistics.mean(lead.values()) >= LEAD
    )


def _twice(data: pl.DataFrame) -> Finding:
    findings = []
    words = "{name}: {a.least:.2f} to {a.most:.2f}, {b.least:.2f} to {b.most:.2f}"
    for pairs in (FEW_PAIRS, MANY_PAIRS):
        groups = DELTA_CELLS, FADING_CELLS, ["linear_attention"]
        delta, fading, linear = (_widest(data, cells, pairs, 1) for cells in groups)
        ahead = compare(
            {f"{pairs} pairs": (delta, fading)},
            words,
            lambda a, b: min(a) >= max(b) + LEAD,
        )
        behind = compare(
            {"": (linear, fading)}, "{a:.2f}", lambda a, b: min(b) >= max(a) + LONG_LEAD
        )
        findings.append(all_of(ahead, behind, join=" and "))
    return all_of(*findings)


def _vectors(data: pl.DataFrame) -> Finding:
    both = {
        times: tuple(
            _widest(data, cells, MANY_PAIRS, rewrites)
            for cells in ([LSTM], MATRIX_CELLS)
        )
        for rewrites, times in enumerate(TIMES)
    }
    words = "written {name} {a:.2f} against {b.least:.2f} or more"
    return compare(both, words, lambda a, b: max(a) <= min(b) - GAP, join=", ")


def _trained(data: pl.DataFrame) -> Finding:
    both = data.join(untrained(data), on=CONDITION, suffix="_free")
    if both["cell"].n_unique() < len(STRENGTHS):
        return NOT_MEASURED
    lack = both["accuracy_free"] - both["accuracy"]
    reaches = both["accuracy"] >= both["accuracy_free"] - LACK
    text = (
        f"{reaches.sum()} of {both.height} nets; the greatest lack is {lack.max():.2f}"
    )
    return Finding(text, reaches.all())


def _theirs(*models: str) -> str:
    """Return the accuracies of these models by bytes of state, in words."""
    parts = []
    for model in models:
        own = BY_EYE.filter(model=model)["accuracy", "kilobytes"].iter_rows()
        parts.append(
            f"{model} {', '.join(f'{score:g} at {size:g} kB' for score, size in own)}"
        )
    return f"{'; '.join(parts)} (by eye)"


PAPER = Paper(
    source=(
        "Arora, Eyuboglu, Zhang, Timalsina, Alberti, Zinsley, Zou, Rudra & Ré, Simple linear"
        " attention language models balance the recall-throughput tradeoff (Based), ICML 2024"
        " (2402.18668); github HazyResearch/zoology"
    ),
    cost="10 core minutes; 40 minutes on two cores of a busy machine (132 members)",
    read="paper",
    table=curves,
    claims=(
        StandIn(
            "recall rises with the bytes of the state (here: of each cell with a matrix, with"
            f" each step in width, at {MANY_PAIRS} pairs, written once)",
            _theirs("DeltaNet", "GLA", "Mamba-2"),
            "section 3.1: within each class of models a larger state almost always recalls"
            " better; numbers: figure of the code's README",
            _rises,
            within=("cell", "pairs", "rewrites"),
        ),
        OurClaim(
            "DeltaNet recalls more than GLA and Mamba-2 at equal bytes (at each width, and"
            f" by {LEAD:g} on average over them, at {MANY_PAIRS} pairs, written once)",
            _theirs("DeltaNet", "Mamba-2", "GLA"),
            "figure of the code's README; no claim of the paper",
            _once,
            within=("units", "pairs", "rewrites"),
        ),
        OurClaim(
            f"more pairs are recalled less well: each net with a matrix that has {PASS:g} of"
            f" {FEW_PAIRS} pairs right has less of {MANY_PAIRS}",
            "trains and tests on many numbers of pairs, and gives the mean over them",
            "section 3.1",
            _falls,
            within=("cell", "units", "rewrites"),
        ),
        OurClaim(
            "with keys written twice the delta rule is ahead: of the widest nets both by"
            f" {LEAD:g} of GLA and Mamba-2, and these by {LONG_LEAD:g} of linear attention, which"
            " cannot forget",
            "keys are written once",
            "the authors' code",
            _twice,
            within=("units", "pairs", "rewrites"),
        ),
        OurClaim(
            "the widest LSTM, of as many bytes, recalls less than every cell with a matrix, by"
            f" {GAP:g}, at {MANY_PAIRS} pairs",
            "has no LSTM",
            "section 3.1, and figure of the code's README",
            _vectors,
            within=("pairs", "rewrites"),
        ),
        OurClaim(
            "training finds at least what linear attention and the delta rule recall by random"
            f" keys and values, but for {LACK:g}",
            "trained nets alone",
            "the authors' code",
            _trained,
            within=("pairs", "rewrites"),
            why=(
                "with values of 2 numbers, written twice, DeltaNet stays short, by 0.05 at most."
                " All other nets reach it, and those with values of 4 or 8 surpass it"
            ),
        ),
    ),
)
