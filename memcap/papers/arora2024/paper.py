"""At equal bytes of state, which recurrent nets recall most pairs of key and value?

Protocol: "Based" (2024) draws recall against the bytes of a net's state, over models and widths; "Zoology"
(2023) had drawn it against width (memcap/papers/arora2023). The vocabulary is 8,192. Nets train on 4 to 64
pairs in 64 to 256 steps with random symbols between them, and are tested on up to 256 pairs in 1,024. Two
layers, each with a convolution over three steps; AdamW, the best of four rates, one seed. This was read in
the authors' code. Of the paper only the abstract was read. The accuracies beside the claims were read by eye
from the figure of that code's README, which has models newer than the paper.

Ours (memcap/tasks/mqar.py) is smaller: 8 or 16 pairs of 32 keys and 32 values. Key and value come in one
step, so that one layer binds them without a convolution, and nothing stands between the queries. One layer
with keys of 16 numbers and values of 2, 4 or 8, and an LSTM and a GRU of no fewer bytes; 1,000 steps of 32
sequences at one rate, which nobody tuned. Bytes are those of the whole carry; a cell with a matrix also
carries its last input, 65 numbers that are of no use here. Keys are written once, as in the paper, or twice.
If twice, the second value is due, which is our own question. LSTM and GRU come last, in part by training: of
16 pairs they say any value that came (1/16), and so does an LSTM of 97 units after 3,000 steps at a quarter
of the rate. Their state may still be able to hold the pairs.

We first meant to ask of the delta rule a lead of .05 at each width, where keys are written once. Where all
cells recall nearly nothing or nearly everything the lead is .02; so it is judged on average over the widths.

Dashed lines in the figure are not trained: linear attention or the delta rule writes random keys and values
of length 1 in NumPy, and the answer is the value nearest to what a key reads. The delta rule has the better
of two strengths of a write, 1/2 and 1.
"""

import itertools
import statistics
from collections.abc import Iterable
from functools import cache

import numpy as np
import polars as pl

from memcap.figures import Drawn
from memcap.papers import NOT_MEASURED, Claim, Finding, OurClaim, Paper, marks
from memcap.papers.claims import all_of, compare, each, knob, over_seeds

FADING_CELLS, DELTA_CELLS = ("gla", "mamba2"), ("delta_net", "gated_delta_net")
MATRIX_CELLS = ("linear_attention", *FADING_CELLS, *DELTA_CELLS)
LSTM = "OptimizedLSTMCell"
NAMES = {cell: cell for cell in MATRIX_CELLS} | {LSTM: "LSTM", "GRUCell": "GRU"}
KEYS, SYMBOLS = 16, 32  # numbers of a key; symbols of each kind
FEW_PAIRS, MANY_PAIRS = 8, 16  # pairs
TIMES = ("once", "twice")  # that a key is written, by rewrites
STRENGTHS = {"linear_attention": (None,), "delta_net": (0.5, 1.0)}  # of a write, without training
LEAD, LONG_LEAD = 0.05, 0.15  # accuracy by which one cell is ahead of another
GAP = 0.1  # by which the LSTM is behind
PASS = 0.2  # accuracy of a net that can lose some
LACK = 0.03  # by which a trained net may be short of one that nobody trained
CONDITION = ["pairs", "rewrites", "cell", "units"]


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each cell at each width: pairs, rewrites, cell, units, bytes of the carry; median and extreme
    accuracies over the seeds."""
    which = pl.col("task") == "mqar", pl.col("cell").is_in([*NAMES]), knob("layout") == "stacked"
    own = rows.filter(*which).with_columns(knob("pairs", pl.Int64), knob("rewrites", pl.Int64).fill_null(0))
    size = (4 * pl.col("carry_numbers")).max().alias("bytes")
    return own.group_by(CONDITION).agg(size, *over_seeds("accuracy")).sort(CONDITION)


@cache
def constructed(cell: str, units: int, pairs: int, rewrites: int, sequences: int = 512) -> float:
    """Return the accuracy without training of `linear_attention`, or of `delta_net` at the better of two
    strengths of a write."""
    rng = np.random.default_rng(0)
    keys, values = (_directions(rng, (sequences, SYMBOLS, size)) for size in (KEYS, units))
    writes = pairs * (1 + rewrites)
    which, said = _orders(rng, sequences, writes) % pairs, _orders(rng, sequences, SYMBOLS)[:, :writes]
    scores, row = [], np.arange(sequences)
    for strength in STRENGTHS[cell]:
        state = np.zeros((sequences, KEYS, units))
        latest = np.zeros((sequences, pairs), int)
        for k, v in zip(which.T, said.T, strict=True):
            key, value = keys[row, k], values[row, v]
            if strength is not None:
                value = strength * (value - np.einsum("bku,bk->bu", state, key))
            state += key[:, :, None] * value[:, None, :]
            latest[row, k] = v
        read = np.einsum("bnk,bku->bnu", keys[:, :pairs], state)
        answers = np.einsum("bnu,bvu->bnv", read, values).argmax(-1)
        scores.append(float(np.mean(answers == latest)))
    return max(scores)


def _directions(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    vectors = rng.normal(size=shape)
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


def _orders(rng: np.random.Generator, sequences: int, count: int) -> np.ndarray:
    return np.argsort(rng.random((sequences, count)), axis=1)


def untrained(data: pl.DataFrame) -> pl.DataFrame:
    """Return the lines of `data` whose cell can do without training, with that accuracy in place of the
    trained ones."""
    own = data.filter(pl.col("cell").is_in([*STRENGTHS]))
    conditions = own.select("cell", "units", "pairs", "rewrites").iter_rows()
    scores = [constructed(*condition) for condition in conditions]
    return own.select(*CONDITION, "bytes", pl.Series("accuracy", scores, pl.Float64))


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw accuracy against bytes of state, a line per cell, a panel per number of pairs and of writes; after
    "Based", fig. 2."""
    data = curves(rows)
    beside = untrained(data)
    picture, grid = marks.panels((8, 6.4), 2, 2, sharex=True, sharey=True)
    for axes, (rewrites, pairs) in zip(
        grid.flat, itertools.product((0, 1), (FEW_PAIRS, MANY_PAIRS)), strict=True
    ):
        for k, (cell, name) in enumerate(NAMES.items()):
            which = {"pairs": pairs, "rewrites": rewrites, "cell": cell}
            look = marks.look(k, ms=4, lw=1.1, label=name)
            marks.with_bars(axes, data.filter(**which), "bytes", "accuracy", **look)
            free = beside.filter(**which)
            axes.plot(free["bytes"], free["accuracy"], color=look["color"], lw=1, ls="--", label="_untrained")
        marks.level(axes, 1 / SYMBOLS)
        axes.set_title(f"{pairs} pairs, written {TIMES[rewrites]}", fontsize=10)
        axes.set(xscale="log", ylim=(0, 1.04))
        marks.number_x(axes, data["bytes"].unique().sort().gather_every(2), ",")
    for axes in grid[1]:
        axes.set_xlabel("state, bytes")
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy of recalled values")
    marks.legend(grid[1, 1], loc="upper left")
    caption = (
        f"Median of up to {marks.greatest(data, 'seeds')} seeds, and bars to all of them, of nets of one"
        f" layer after at most {marks.greatest(rows, 'budget'):,} training steps; dashed, the rule of that"
        " colour without training; dotted, chance. After Arora et al., Based (2024), fig. 2, scaled down."
    )
    margins = {"left": 0.09, "right": 0.98, "top": 0.95, "wspace": 0.06, "hspace": 0.16}
    return marks.finish(picture, data, caption, 125, **margins)


def _accuracy(data: pl.DataFrame, cell: str, pairs: int, rewrites: int) -> dict[int, float]:
    """Return the accuracy of a cell by units."""
    own = data.filter(cell=cell, pairs=pairs, rewrites=rewrites)
    return dict(own.select("units", "accuracy").sort("units").iter_rows())


def _widest(data: pl.DataFrame, cells: Iterable[str], pairs: int, rewrites: int) -> list[float]:
    """Return the accuracy of the widest net of each of these cells; none where one was not trained."""
    found = [[*_accuracy(data, cell, pairs, rewrites).values()] for cell in cells]
    return [each[-1] for each in found] if all(found) else []


def _rises(rows: pl.DataFrame) -> Finding:
    data = curves(rows)
    conditions = itertools.product(MATRIX_CELLS, (MANY_PAIRS,), (0, 1))
    lines = [[*_accuracy(data, *condition).values()] for condition in conditions]
    if min(map(len, lines)) < 2:
        return NOT_MEASURED
    rises = [all(a < b for a, b in itertools.pairwise(line)) for line in lines]
    return each({"": rises}, "{own.total} of {own.number} curves", all)


def _falls(rows: pl.DataFrame) -> Finding:
    data = curves(rows).filter(pl.col("cell").is_in(MATRIX_CELLS))
    by_pairs = data.pivot("pairs", index=["cell", "rewrites", "units"], values="accuracy")
    few, many = str(FEW_PAIRS), str(MANY_PAIRS)
    if not {few, many} <= set(by_pairs.columns):
        return NOT_MEASURED
    both = by_pairs.drop_nulls().filter(pl.col(few) >= PASS)
    falls = (both[few] > both[many]).sum()
    return Finding(f"{falls} of {both.height} nets", falls == both.height > 0)


def _once(rows: pl.DataFrame) -> Finding:
    data = curves(rows)
    delta, *others = (_accuracy(data, cell, MANY_PAIRS, 0) for cell in ("delta_net", *FADING_CELLS))
    if not delta or any(other.keys() != delta.keys() for other in others):
        return NOT_MEASURED
    lead = {units: score - max(other[units] for other in others) for units, score in delta.items()}
    text = ", ".join(f"{by:+.2f} at values of {units}" for units, by in lead.items())
    return Finding(text, min(lead.values()) > 0 and statistics.mean(lead.values()) >= LEAD)


def _twice(rows: pl.DataFrame) -> Finding:
    data, findings = curves(rows), []
    for pairs in (FEW_PAIRS, MANY_PAIRS):
        delta, fading, linear = (
            _widest(data, cells, pairs, 1) for cells in (DELTA_CELLS, FADING_CELLS, MATRIX_CELLS[:1])
        )
        spans = "{name}: {a.least:.2f} to {a.most:.2f}, {b.least:.2f} to {b.most:.2f}"
        ahead = compare({f"{pairs} pairs": (delta, fading)}, spans, lambda a, b: min(a) >= max(b) + LEAD)
        behind = compare({"": (linear, fading)}, "{a:.2f}", lambda a, b: min(b) >= max(a) + LONG_LEAD)
        findings.append(all_of(ahead, behind, join=" and "))
    return all_of(*findings)


def _vectors(rows: pl.DataFrame) -> Finding:
    data = curves(rows)
    pairs = {
        times: (
            _widest(data, [LSTM], MANY_PAIRS, rewrites),
            _widest(data, MATRIX_CELLS, MANY_PAIRS, rewrites),
        )
        for rewrites, times in enumerate(TIMES)
    }
    words = "written {name} {a:.2f} against {b.least:.2f} or more"
    return compare(pairs, words, lambda a, b: max(a) <= min(b) - GAP, join=", ")


def _trained(rows: pl.DataFrame) -> Finding:
    data = curves(rows)
    both = data.join(untrained(data), on=CONDITION, suffix="_free")
    if both["cell"].n_unique() < len(STRENGTHS):
        return NOT_MEASURED
    lack = both["accuracy_free"] - both["accuracy"]
    reaches = both["accuracy"] >= both["accuracy_free"] - LACK
    text = f"{reaches.sum()} of {both.height} nets; the greatest lack is {lack.max():.2f}"
    return Finding(text, reaches.all())


PAPER = Paper(
    source="Arora, Eyuboglu, Zhang, Timalsina, Alberti, Zinsley, Zou, Rudra & Ré, Simple linear attention"
    " language models balance the recall-throughput tradeoff (Based), ICML 2024 (2402.18668); github"
    " HazyResearch/zoology",
    cost="10 core minutes; 40 minutes on two cores of a busy machine (132 members)",
    read="code",
    claims=(
        Claim(
            "recall rises with the bytes of the state (here: of each cell with a matrix, with each step in"
            f" width, at {MANY_PAIRS} pairs, written once or twice)",
            "DeltaNet .79 at 9.0 kB, .96 at 34 kB; GLA .53 at 4.9 kB, .95 at 69 kB; Mamba-2 .52 at 8.2 kB,"
            " .84 at 98 kB (by eye)",
            "figure of the code's README; the abstract says so without numbers",
            _rises,
        ),
        Claim(
            f"DeltaNet recalls more than GLA and Mamba-2 at equal bytes (here: at each width, and by"
            f" {LEAD:g} on average over them, at {MANY_PAIRS} pairs, written once)",
            "DeltaNet .79 at 9.0 kB; Mamba-2 .52 at 8.2 kB; GLA .53 at 4.9 kB and .77 at 18 kB (by eye)",
            "figure of the code's README",
            _once,
        ),
        OurClaim(
            f"more pairs are recalled less well: each net with a matrix that has {PASS:g} of {FEW_PAIRS}"
            f" pairs right has less of {MANY_PAIRS}",
            "trains and tests on many numbers of pairs, and gives the mean over them",
            "the authors' code",
            _falls,
        ),
        OurClaim(
            f"with keys written twice the delta rule is ahead: of the widest nets both by {LEAD:g} of GLA"
            f" and Mamba-2, and these by {LONG_LEAD:g} of linear attention, which cannot forget",
            "keys are written once",
            "the authors' code",
            _twice,
        ),
        OurClaim(
            f"the widest LSTM, of as many bytes, recalls less than every cell with a matrix, by {GAP:g}, at"
            f" {MANY_PAIRS} pairs",
            "has no LSTM",
            "figure of the code's README",
            _vectors,
        ),
        OurClaim(
            "training finds at least what linear attention and the delta rule recall by random keys and"
            f" values, but for {LACK:g}",
            "trained nets alone",
            "the authors' code",
            _trained,
            expected=False,
            why="with values of 2 numbers, written twice, DeltaNet stays short: of 8 pairs it has .26 right"
            " after 3,000 steps, .24 at a quarter of the rate, and random keys have .29. All other nets reach"
            " it, and those with values of 4 or 8 surpass it",
        ),
    ),
)
