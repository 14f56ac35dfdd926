"""Does a window of a smooth signal ask for more units when it has more time steps?

Protocol: white noise below 10 Hz, and its values of 0, 1/4, 1/2, 3/4 and 1 second
before; a second has T steps. An LSTM of 100 units with a linear read-out learns it from
80 sequences of 2.5 seconds by Adam at 0.001, 1,000 updates of 50, from Keras's start
(their code, experiments/capacity.ipynb, has the losses; the paper says that they keep
the best net by its validation loss). Their own unit, the LMU, whose memory of 100
numbers is read without training, has T from 100 to 100,000, the LSTM T from 25 to
1,600. So the two orders of magnitude of their abstract may be of T; ours are of the
error at equal T.

Ours: the same signal and delays (memcap/tasks/bandlimited_delay.py), always fresh.
Answers count from step T on; their losses also count the steps before, where zero is
due. Four arms: `theirs` (their net, start, rate and updates); `lmu`
(memcap/cells/lmu.py, whose memory of 100 numbers spans T steps, by their rate and
updates, and with a read-out that is learned); `start` (as theirs, but each recurrent
block is orthogonal by itself, and so twice as large); `ours` (10 to 40 units, recipe
`forget_bias` with a bias of 2, a rate of 0.03 that falls as a cosine, batches of 32, up
to 10,000 updates, ended once a twentieth of the variance is left). At T = 400 each of
the first two arms is one net, so none of the paper's claims is about that T.

Errors are shares of the error without memory: for their validation losses 0.0851, that
of T = 1,600, at each T. The grey line is a linear code: the best n numbers of a window
leave this much of it (Slepian's eigenvalues). Nets of 10 and 15 units do worse as T
grows, where their updates end before they have learnt.
"""

from collections.abc import Sequence
from functools import partial

import numpy as np
import polars as pl
from scipy.linalg import toeplitz

from memcap.figures import Drawn
from memcap.findings import (
    NOT_MEASURED,
    Claim,
    Effect,
    Finding,
    OurClaim,
    Paper,
    StandIn,
    marks,
)
from memcap.findings.claims import compare, first_of, having, knob, over_seeds
from memcap.findings.resample import give_narrower
from memcap.tasks.bandlimited_delay import BandlimitedDelay

CYCLES = 10
LEVEL = 0.37
UNITS = 100
SHORT_LAGS = (25, 100)
TASK = BandlimitedDelay(CYCLES)
ARMS = {
    "theirs": "theirs: 100 units, 1,000 updates",
    "start": "start: recurrent blocks twice as large",
    "ours": "ours: 20 units, up to 10,000 updates",
    "lmu": "LMU: 100 units, 1,000 updates",
}
LOSSES = {
    25: 0.0193,
    100: 0.0173,
    400: 0.0701,
    1600: 0.0851,
}  # of the validation sequences, after 500 epochs
CHANCE = LOSSES[1600]  # of a net without memory
DISTANCE = 0.1  # how far a share may be from theirs
RISE = 1.5  # how many times a width may rise from T to 4 T
FREEDOM = 2 * CYCLES


def leaves(steps: int) -> np.ndarray:
    """Compute (steps + 1,) the share of a window's variance that its best 0, 1, ...
    numbers leave."""
    eigenvalues = np.linalg.eigvalsh(
        toeplitz(np.sinc(2 * CYCLES / steps * np.arange(steps)))
    )[::-1]
    return 1 - np.append(0, np.cumsum(eigenvalues)) / steps


def shares(rows: pl.DataFrame) -> pl.DataFrame:
    """Return errors over the seeds as shares of that without memory, by arm, T and units."""
    level = knob("rms", pl.Float64)
    theirs = having(rms=LEVEL, units=UNITS)
    keras = theirs & having(init="keras")
    lmu = pl.col("cell").str.starts_with("lmu")
    arms = {"lmu": lmu, "theirs": keras, "start": theirs, "ours": level == TASK.rms}
    arm = first_of("arm", **arms)
    own = rows.filter(having(task=TASK.name, cycles=CYCLES))
    without = {lag: TASK.facts(lag, lag).chance for lag in own["lag"].unique()}
    final = (
        pl.col("final")
        / level**2
        / pl.col("lag").replace_strict(without, return_dtype=pl.Float64)
    )
    nets = own.with_columns(arm, final, T="lag").drop_nulls(["arm", "final"])
    scores = *over_seeds("share"), pl.col("solved").sum(), pl.col("steps").median()
    return nets.group_by("arm", "units", "T").agg(*scores).sort("arm", "T", "units")


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw errors of 100 units against T, the paper's and ours; and ours against units,
    a line per T."""
    data = shares(rows)
    picture, (left, right) = marks.panels((10, 4.6), 1, 2)
    marks.theirs(
        left,
        list(LOSSES),
        [loss / CHANCE for loss in LOSSES.values()],
        label="the paper",
    )
    for k, (arm, label) in enumerate(ARMS.items()):
        own = data.filter(
            (pl.col("arm") == arm) & ((arm != "ours") | (pl.col("units") == FREEDOM))
        )
        marks.with_bars(left, own, "T", "share", label=label, **marks.look(k, lw=1.2))
    left.set(xlabel="T, steps of a window of 10 cycles", xscale="log", ylim=(0, 1.05))
    left.set_ylabel("error, as a share of that without memory")
    marks.number_x(left, sorted({*LOSSES, *data["T"]}))
    left.set_title("their net of 100 units, and 20 units with our recipe")
    right.set(title="ours, by width", xlabel="units", xlim=(0, 42), ylim=(0, 1.05))
    line = leaves(10 * FREEDOM)[:45]
    label = "n = 2 units, as many as are carried"
    marks.theirs(right, range(45), line, label="left by the best n numbers, n = units")
    marks.theirs(right, np.arange(45) / 2, line, ls=(0, (1, 0.6)), label=label)
    for k, ((steps,), own) in enumerate(
        data.filter(arm="ours").group_by("T", maintain_order=True)
    ):
        look = marks.look(k + len(ARMS), lw=1.2, label=f"T = {steps}")
        marks.with_bars(right, own, "units", "share", **look)
    solved = TASK.facts(UNITS, UNITS)
    for axes in (left, right):
        marks.level(
            axes, solved.threshold / solved.chance, "solved: 5 % of the variance"
        )
        marks.legend(axes)
    caption = (
        f"Points are the median over up to {marks.greatest(data, 'seeds')} seeds, and bars reach"
        f" to all of them. Right: nets train for at most {marks.greatest(rows, 'budget'):,}"
        " updates, and end when solved. The grey line is the error that a linear code of n"
        " numbers leaves of a window, as a share of its variance. After Voelker, Kajic &"
        " Eliasmith (2019); the paper's marks are validation losses of their code, divided by"
        " that of T = 1,600."
    )
    return marks.finish(
        picture,
        rows,
        data,
        caption,
        160,
        left=0.065,
        right=0.985,
        top=0.93,
        wspace=0.13,
    )


def _medians(data: pl.DataFrame, arm: str) -> dict[int, float]:
    """Return the median share by T, of the nets of 100 units of an arm."""
    return dict(data.filter(arm=arm).select("T", "share").iter_rows())


def _as_theirs(data: pl.DataFrame) -> Finding:
    own = data.filter(pl.col("T").is_in(SHORT_LAGS), arm="theirs")
    nets = {steps: ends for steps, *ends in own["T", "least", "greatest"].iter_rows()}
    pairs = {steps: (nets.get(steps), LOSSES[steps] / CHANCE) for steps in SHORT_LAGS}
    words = "{a:.2f} at T = {name}"
    return compare(pairs, words, _near, join=", ")


def _near(ours: Sequence[float], theirs: float) -> bool:
    return all(abs(share - theirs) <= DISTANCE for share in ours)


def _half_of_theirs(data: pl.DataFrame, arm: str, digits: int) -> Finding:
    """Judge whether the nets of an arm leave at most half as much as theirs."""
    theirs = _medians(data, "theirs")
    other = _medians(data, arm)
    lags = sorted({*SHORT_LAGS} | (theirs.keys() & other.keys()))
    pairs = {steps: (other.get(steps), theirs.get(steps)) for steps in lags}
    words = f"{{a:.{digits}f}} instead of {{b:.2f}} at T = {{name}}"
    return compare(pairs, words, lambda ours, theirs: ours <= theirs / 2, join=", ")


def _widths(data: pl.DataFrame) -> dict[int, int | None]:
    """Return the narrowest width from which on every seed solves it, by T; None where none does."""
    widths: dict[int, int | None] = {}
    own = data.filter(arm="ours").select(
        "T", "units", pl.col("solved") == pl.col("seeds")
    )
    for steps, units, solved in own.iter_rows():
        widths[steps] = (widths.get(steps) or units) if solved else None
    return widths


def _judge_widths(data: pl.DataFrame, most: float) -> Finding:
    """Judge whether some width up to `most` is enough at each T; not measured where
    none is, and none beyond `most` was tried."""
    widths = _widths(data)
    widest = data.filter(arm="ours")["units"].max()
    text = ", ".join(
        f"{units or 'none tried'} at T = {steps}" for steps, units in widths.items()
    )
    if not widths or (None in widths.values() and widest <= most):
        return NOT_MEASURED
    holds = all(units is not None and units <= most for units in widths.values())
    return Finding(text, holds)


def _same_width(data: pl.DataFrame) -> Finding:
    widths = _widths(data)
    first = widths.get(min(widths, default=0))
    if first is None or max(widths) < 4 * min(widths):
        return NOT_MEASURED
    return _judge_widths(data, RISE * first)


WIDER = Effect(
    "40 units in place of 20 at T = 100", partial(give_narrower, rms=TASK.rms, lag=100)
)


PAPER = Paper(
    source=(
        "Voelker, Kajic & Eliasmith, Legendre memory units: continuous-time representation in"
        " recurrent neural networks, NeurIPS 2019"
    ),
    cost="83 minutes on one core of a busy machine, without compilation (39 members)",
    read="code",
    table=shares,
    claims=(
        Claim(
            f"an LSTM of {UNITS} units, trained as theirs, leaves a fifth of the error without"
            f" memory at T = 25 and 100 (each net: their shares +- {DISTANCE:g})",
            f"losses {LOSSES[25]:g} and {LOSSES[100]:g}, of {CHANCE:g}:"
            f" {LOSSES[25] / CHANCE:.2f}, {LOSSES[100] / CHANCE:.2f}",
            "output of their code",
            _as_theirs,
            within=("lag", "rms", "cell"),
            post_hoc=True,
        ),
        StandIn(
            f"an LMU of {UNITS} units leaves less than half as much as that LSTM at each T",
            "memory capacity is better by two orders of magnitude",
            "abstract",
            lambda data: _half_of_theirs(data, "lmu", 3),
            within=("lag", "rms"),
        ),
        OurClaim(
            "that is training: recurrent blocks that start twice as large leave less than half as"
            " much",
            "one start only",
            "their code",
            lambda data: _half_of_theirs(data, "start", 2),
            within=("lag", "rms", "cell"),
        ),
        OurClaim(
            "content, not steps, sets the width: the least of 10 to 40 units from which on every"
            f" net solves it, at most {RISE:g} times at 4 T",
            "none; all its LSTMs have 100 units",
            "their code",
            _same_width,
            within=("rms", "units"),
            denies=WIDER,
        ),
        OurClaim(
            f"a window of {CYCLES} cycles takes at most {FREEDOM} + 1 units, one per degree of"
            " freedom, at every T",
            "its LMU has 100 for such a window",
            "their code",
            lambda data: _judge_widths(data, FREEDOM + 1),
            within=("rms", "units"),
            denies=WIDER,
        ),
    ),
)
