"""How much state does a recurrent net need to copy a string?

Protocol: repeat a string of random letters. A state of fewer than K log2 D - 1 bits,
for K letters of D, gets more than half of the strings wrong (corollary 2.8); a theorem
gets no verdict. Transformers and Mamba of about 160 million parameters and an LSTM of
40 million (4 layers of 1,024 units) are trained on 26 letters, at most 30, 50 or 300 a
string, in batches of 64, by AdamW at 0.00005, the best of three rates for Mamba and the
LSTM (appendix A.2). A string is right if all its letters are. The LSTM learns 30 and 50
letters, with 100 times the samples of a transformer, and not 300 (sections 3.2 and 3.3,
appendix B.1).

Ours: memcap's `copy` of 4 to 32 symbols of 8, or of 4 of 64, at lag 1. One layer, of
four cells whose state is a vector and of two with a matrix; at most 2,000 steps of 64
strings, a rate per cell; LSTM and GRU start from open gates; two or three seeds. A
width copies if half of the strings of its nets are right; the narrowest such width
gives the fewest numbers of state, of 32 bits each. After the first results widths were
added beside these thresholds (LSTM at 16 symbols, LRU at 8, GRU and LSTM at 4 of 64).
The claim of the two starts was then put as each net against none, because shuffled rows
passed it. Nothing is fed in while the string is due, which is harder than with the
letters so far, as in the paper.
"""

import math

import numpy as np
import polars as pl

from memcap.figures import Drawn
from memcap.findings import Finding, OurClaim, Paper, StandIn, marks
from memcap.findings.claims import (
    all_of,
    at_least,
    below,
    compare,
    each,
    having,
    knob,
    least_widths,
    pick,
)
from memcap.findings.tables import claim_here, filled

LINEAR_CELLS = {"linear": "linear", "LRU": "LRU"}
GATED_CELLS = {"GRUCell": "GRU", "lstm": "LSTM"}
VECTOR_CELLS = LINEAR_CELLS | GATED_CELLS
MATRIX_CELLS = {"gla": "GLA", "delta_net": "DeltaNet"}
USUAL_START = (
    "forget_bias"  # start of the LSTMs that differ from the others in it alone
)
BITS = 32  # of a number
# of the strings
HALF = 0.5
FEW = 0.1
# D: of most strings, and of those that have more bits at the same length
SYMBOLS = 8
MANY_SYMBOLS = 64
# K: of strings of MANY_SYMBOLS, and of those of SYMBOLS of as many bits
SHORT_LENGTH = 4
MIDDLE_LENGTH = 8
STRING = ["symbols", "items"]
WHICH = [*STRING, "cell", "usual"]
LENGTHS = {
    "linear": (4, 8, 16, 32),
    "LRU": (4, 8, 16, 32),
    "GRUCell": (4, 8, 16),
    "lstm": (4, 8, 16),
}
LONGEST_LENGTH = 32
DISTANCE = 0.2  # of a slope from 1
OVERHEAD = 5  # bits of state for a bit of the string
FACTOR = 4  # as many numbers
WIDTH = 40  # numbers of the LSTMs of two starts


def curves(rows: pl.DataFrame) -> pl.DataFrame:
    """Return each width of a cell: the share of strings right of all its nets, and the
    extremes of a net.

    `usual`: LSTMs from the usual start; `numbers`: of the state; `bits`: of a string.
    """
    own = rows.filter(having(task="copy", lag=1, cell=VECTOR_CELLS | MATRIX_CELLS))
    whole = (
        pl.col("whole_at_lengths")
        .str.json_path_match("$[0]")
        .cast(pl.Float64)
        .fill_null(0.0)
    )
    usual = (pl.col("init") == USUAL_START).alias("usual")
    knobs = [knob(name, pl.Int64) for name in STRING]
    nets = own.drop_nulls("whole_at_lengths").with_columns(
        *knobs, usual, whole=whole, numbers="carry_numbers"
    )
    share = pl.col("whole")
    bits = (pl.col("items") * pl.col("symbols").log(2)).alias("bits")
    columns = (
        share.mean(),
        share.min().alias("least"),
        share.max().alias("most"),
        pl.len().alias("nets"),
    )
    return (
        nets.group_by(*WHICH, "numbers")
        .agg(*columns)
        .with_columns(bits)
        .sort(*WHICH, "numbers")
    )


def fewest(data: pl.DataFrame) -> dict[tuple[int, int, str], float]:
    """Return, by symbols, items and cell, the fewest numbers of state of `curves` that
    copy half of the strings, infinite if none do; without the LSTMs from the usual
    start."""
    return least_widths(
        data.filter(usual=False), [*STRING, "cell"], pl.col("whole") >= HALF, "numbers"
    )


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw the smallest state that copies half of the strings by their bits; and what
    is right by state."""
    data = curves(rows)
    smallest = fewest(data)
    picture, (left, right) = marks.panels((10.4, 4.2), 1, 2)
    for k, (cell, name) in enumerate((VECTOR_CELLS | MATRIX_CELLS).items()):
        for symbols, beside, more in (
            (SYMBOLS, 1, {}),
            (MANY_SYMBOLS, 1.12, {"ls": "", "mfc": "w"}),
        ):
            items = sorted(
                items for d, items, c in smallest if (d, c) == (symbols, cell)
            )
            bits = [
                each * math.log2(symbols) * (1.04 ** (k - 2) * beside) for each in items
            ]
            numbers = [BITS * smallest[symbols, each, cell] for each in items]
            left.plot(bits, numbers, label="_cell", **marks.look(k, lw=1.1, **more))
        for usual, style in ((False, {}), (True, {"ls": ":", "mfc": "w"})):
            own = data.filter(
                cell=cell, usual=usual, symbols=SYMBOLS, items=MIDDLE_LENGTH
            )
            look = marks.look(
                k, lw=1.1, label=f"{name}, forget bias 1" if usual else name, **style
            )
            if own.height:
                aside = 1.06 ** (k - len(VECTOR_CELLS)) if cell in MATRIX_CELLS else 1
                right.plot(aside * own["numbers"] / MIDDLE_LENGTH, own["whole"], **look)
    ends = np.array([9.0, 130.0])
    grey = {"color": "grey", "lw": 1}
    left.plot(
        ends,
        BITS / math.log2(SYMBOLS) * ends,
        ls="--",
        label="one number per symbol of 8",
        **grey,
    )
    left.plot(ends, ends, label="as many bits as the string", **grey)
    marks.level(right, HALF)
    left.set(
        xscale="log",
        yscale="log",
        xlabel="bits of a string",
        ylabel="bits of state",
        ylim=(8, 10_000),
    )
    right.set(xscale="log", xlabel="numbers of state per symbol", ylim=(-0.03, 1.03))
    right.set_ylabel("share of strings right")
    marks.number_x(left, (12, 24, 48, 96))
    marks.number_x(right, (0.5, 1, 2, 4, 8, 16, 32))
    left.set_title("smallest state that has half of the strings right", fontsize=10)
    right.set_title(f"{MIDDLE_LENGTH} symbols of {SYMBOLS}", fontsize=10)
    marks.legend(left, loc="upper left")
    marks.legend(
        right,
        loc="upper left",
        bbox_to_anchor=(1.01, 1),
        title="both panels",
        title_fontsize=8,
    )
    caption = (
        f"Left: strings of 4 to 32 symbols of {SYMBOLS}; open marks show strings of 4 symbols of"
        f" {MANY_SYMBOLS}. There is no mark where no width copies half of the strings. Nets have"
        f" one layer and train for at most {marks.greatest(rows, 'budget'):,} steps,"
        f" {data['nets'].min() or 0} or {marks.greatest(data, 'nets')} per width. After Jelassi"
        " et al. (2024)."
    )
    return marks.finish(
        picture, rows, data, caption, 165, left=0.07, right=0.85, top=0.93, wspace=0.2
    )


def _of(data: pl.DataFrame, *strings: tuple[int, int, str]) -> list[float]:
    """Return the `fewest` of these symbols, items and cells; none where one was not trained."""
    smallest = fewest(data)
    return [smallest[each] for each in strings] if smallest.keys() >= {*strings} else []


def _long(data: pl.DataFrame) -> Finding:
    own = data.filter(symbols=SYMBOLS, items=LONGEST_LENGTH)
    words = "{name} {nets.most:.2f}"
    linear, gated = (
        pick(own, "most", "cell", cells) for cells in (LINEAR_CELLS, GATED_CELLS)
    )
    can = each(
        linear,
        words,
        lambda shares: max(shares) >= HALF,
        start="best nets: ",
        join=", ",
    )
    return all_of(can, each(gated, words, below(HALF), join=", "), join=", ")


def _length(data: pl.DataFrame) -> Finding:
    """Judge the slope of the fewest numbers of each cell over the length of a string."""
    slopes = {}
    for cell, lengths in LENGTHS.items():
        numbers = _of(data, *((SYMBOLS, items, cell) for items in lengths))
        slope = math.nan
        if math.isfinite(max(numbers, default=math.inf)):
            slope = float(np.polyfit(np.log(lengths), np.log(numbers), 1)[0])
        slopes[VECTOR_CELLS[cell]] = slope, numbers
    return compare(
        slopes, "{name} {a:.2f} ({b:g})", lambda slope, _: abs(slope - 1) <= DISTANCE
    )


def _alphabet(data: pl.DataFrame) -> Finding:
    """Compare few symbols of many with many of few, of as many bits."""
    strings = (MANY_SYMBOLS, SHORT_LENGTH), (SYMBOLS, MIDDLE_LENGTH)
    pairs = {
        name: [_of(data, (*each, cell)) for each in strings]
        for cell, name in VECTOR_CELLS.items()
    }
    return compare(
        pairs, "{name} {a:g} against {b:g}", lambda few, many: few < many, join=", "
    )


def _overhead(data: pl.DataFrame) -> Finding:
    ratios = {
        name: [
            BITS * n / (k * math.log2(d))
            for (d, k, c), n in fewest(data).items()
            if c == cell
        ]
        for cell, name in VECTOR_CELLS.items()
    }
    return each(
        ratios,
        "{name} {nets.least:.1f}",
        at_least(OVERHEAD),
        start="at least ",
        join=", ",
    )


def _start(data: pl.DataFrame) -> Finding:
    own = data.filter(cell="lstm", symbols=SYMBOLS, items=MIDDLE_LENGTH, numbers=WIDTH)
    extremes = (
        own.filter(usual=usual)["least", "most"].to_numpy() for usual in (False, True)
    )
    gates, usual = (shares.ravel().tolist() for shares in extremes)
    span = "{nets.least:.2f} to {nets.most:.2f} from {name}"
    copies = each({"open gates": gates}, span, at_least(HALF))
    return all_of(copies, each({"forget bias 1": usual}, span, below(HALF)), join=", ")


def _matrix(data: pl.DataFrame) -> Finding:
    """Compare cells with a matrix with the others at short strings, and judge them at
    twice the length."""
    cells = MATRIX_CELLS, VECTOR_CELLS
    numbers = [
        _of(data, *((SYMBOLS, SHORT_LENGTH, cell) for cell in each)) for each in cells
    ]
    words = f"{SHORT_LENGTH} symbols: {{a:g}} against {{b:g}}"
    dear = compare({"": numbers}, words, lambda a, b: min(a) >= FACTOR * max(b))
    longer = pick(
        data.filter(symbols=SYMBOLS, items=MIDDLE_LENGTH), "most", "cell", MATRIX_CELLS
    )
    start = f"best at {MIDDLE_LENGTH}: "
    return all_of(
        dear, each(longer, "{name} {nets.most:.2f}", below(FEW), start=start, join=", ")
    )


COROLLARY = "fewer than K log2 D - 1 bits of state: error above 1/2", "corollary 2.8"
PAPER = Paper(
    source=(
        "Jelassi, Brandfonbrener, Kakade & Malach, Repeat after me: transformers are better than"
        " state space models at copying, ICML 2024 (2402.01032); github"
        " sjelassi/transformers_ssm_copy"
    ),
    cost="9 core minutes; 40 minutes on two cores of a busy machine (287 members)",
    read="paper",
    table=curves,
    claims=(
        StandIn(
            "a long string is not learnt within the budget by an LSTM (here: no GRU or LSTM, of"
            f" up to 96 and 128 numbers, has half of the strings of {LONGEST_LENGTH} right in"
            " 2,000 steps, where linear nets and LRUs have)",
            "an LSTM learns to copy 30 and 50 letters, and not 300",
            "section 3.2, appendix B.1",
            _long,
            within=("symbols", "items"),
        ),
        OurClaim(
            "the state must grow in proportion to the string: the fewest numbers that copy half"
            f" of the strings of {SYMBOLS} symbols have a log-log slope of 1, but for"
            f" {DISTANCE:g}, over lengths of 4 to 32 (linear, LRU) and to 16 (GRU, LSTM)",
            *COROLLARY,
            _length,
            within=("symbols", "cell"),
            why=(
                "only linear nets are within 0.2; of the others it may be training, as 2,000 steps"
                " are few for the longer strings"
            ),
        ),
        OurClaim(
            f"at equal bits length costs more than the alphabet: {SHORT_LENGTH} symbols of"
            f" {MANY_SYMBOLS} take fewer numbers than {MIDDLE_LENGTH} of {SYMBOLS}, in each cell"
            " with a vector",
            "26 letters",
            "section 3.1",
            _alphabet,
            within=("items", "symbols", "cell"),
            why=(
                "what counts are the bits: 24 take each cell as many numbers either way, to the"
                " step between our widths"
            ),
        ),
        OurClaim(
            f"no cell with a vector copies with fewer than {OVERHEAD} bits of state for a bit of"
            " the string",
            *COROLLARY,
            _overhead,
            within=("symbols", "items", "cell"),
        ),
        OurClaim(
            f"where training stops short it need not be for want of state: of LSTMs of {WIDTH}"
            " numbers each that starts from open gates copies half of the strings of"
            f" {MIDDLE_LENGTH}, and none from forget bias 1 does",
            "LSTM of 4 layers of 1,024 units",
            "appendix A.2",
            _start,
            within=("symbols", "items", "cell"),
        ),
        OurClaim(
            f"bytes alone do not copy: one layer of GLA or DeltaNet takes {FACTOR} times the"
            f" numbers of any cell with a vector at {SHORT_LENGTH} symbols, and has not {FEW:g}"
            f" of the strings of {MIDDLE_LENGTH} right",
            "Mamba learns to copy 300 letters, the true ones fed in",
            "section 3.2",
            _matrix,
            within=("symbols", "items"),
            post_hoc=True,
        ),
    ),
)


def recall_beside_ceilings() -> str:
    """Say what state recall takes."""
    two = claim_here("arora2024", "with keys written twice").split("; ")[1]
    return filled(
        "To copy half of the strings of 4 to 32 symbols, cells need at least these bits of state"
        " per bit of the string:"
        f" {claim_here('jelassi2024', 'no cell with a vector').removeprefix('at least ')} (`memcap"
        " reproduce jelassi2024 --rows`). If keys are written twice, cells of equal bytes with"
        " the delta rule, with decay alone and with neither recall these shares of the pairs, of"
        f" {two} (`memcap reproduce arora2024 --rows`)."
    )


TABLES = {"recall beside ceilings": recall_beside_ceilings}
