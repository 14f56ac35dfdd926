"""Do N recurrent cells hold more than N numbers of a random signal?

Protocol: independent random numbers drive a recurrent net of N cells. For each delay k
a linear read-out is fitted to the number of k steps before; its squared correlation is
the capacity MC_k. Jaeger proves that the capacities add up to at most N, and to N in
linear nets whose states are independent. The report is known from summaries that others
wrote.

Untrained: random linear reservoirs (Gaussian, spectral radius 0.9) of 5 to 50 cells,
without a verdict, as no row can deny the theorem. The curves come from the eigenvalues
alone, and add up to N by arithmetic. Two estimates from one run of 20,000 steps: by QR
in float64, within 2 % of N; by normal equations in float32 with a ridge of 1e-7, at N =
50 off by over 10 %.

Trained: Elman nets and LSTMs that recall one number (memcap/tasks/delay_line.py, 2 and
4 steps before, one recipe). The capacities of a linear net never rise with the delay
(checked by calculation, not proven here), so it cannot recall the number of L steps
before with an error under 1 - N / (L + 1). Cells that are not linear may.
"""

from functools import cache, partial

import numpy as np
import polars as pl
from scipy import signal

from memcap.figures import Drawn
from memcap.findings import NOT_MEASURED, Finding, OurClaim, Paper, marks
from memcap.findings.claims import having

CELLS = (5, 10, 20, 50)
RADIUS = 0.9
STEPS = 20_000
LAGS = 2_000
NAMES = {"SimpleCell": "Elman", "lstm": "LSTM"}
SUMS = {
    "exact": "exact",
    "float64": "float64, QR",
    "float32": "float32, normal equations",
}
SLACK = 0.02  # how far an error may lie below the line, as the first steps have no older inputs


def reservoir(cells: int) -> tuple[np.ndarray, np.ndarray]:
    """Draw a random linear net: recurrent (N, N) of the spectral radius, and input weights (N,)."""
    rng = np.random.default_rng(cells)
    recurrent = rng.standard_normal((cells, cells))
    scale = RADIUS / float(np.max(np.abs(np.linalg.eigvals(recurrent))))
    return recurrent * scale, rng.standard_normal(cells)


def capacities(recurrent: np.ndarray, lags: int = LAGS) -> np.ndarray:
    """Compute (lags,) exact MC_k of a linear net of independent states, from its
    eigenvalues alone."""
    curve = np.zeros(lags)
    impulse = np.eye(1, lags)[0].astype(complex)
    for pole in np.linalg.eigvals(recurrent):
        states = signal.lfilter([1], [1, -pole], impulse)
        curve += (1 - abs(pole) ** 2) * abs(states) ** 2
        impulse = signal.lfilter([-pole.conjugate(), 1], [1, -pole], impulse)
    return curve


def estimates(recurrent: np.ndarray, inward: np.ndarray) -> tuple[float, float]:
    """Estimate the sum over lags below 2 N + 20: by QR in float64, and by normal
    equations in float32."""
    cells = len(inward)
    lags = 2 * len(inward) + 20
    inputs = np.random.default_rng(0).standard_normal(STEPS)
    states = np.empty((STEPS, cells))
    state = np.zeros(cells)
    for t, x in enumerate(inputs):
        state = recurrent @ state + inward * x
        states[t] = state
    states = states[lags:]
    past = _past(inputs, lags)
    by_qr = ((np.linalg.qr(states)[0].T @ past) ** 2).sum(0) / (past**2).sum(0)
    states = states.astype(np.float32)
    past = past.astype(np.float32)
    cross = states.T @ past
    ridge = np.float32(1e-7) * np.eye(cells, dtype=np.float32)
    solved = np.linalg.solve(
        states.T @ states / len(states) + ridge, cross / len(states)
    )
    return float(by_qr.sum()), float(((cross * solved).sum(0) / (past**2).sum(0)).sum())


def _past(inputs: np.ndarray, lags: int) -> np.ndarray:
    """Return (steps - lags, lags) the inputs of 0, 1, ... steps before."""
    return np.stack([inputs[lags - k : len(inputs) - k] for k in range(lags)], 1)


@cache
def reservoirs() -> pl.DataFrame:
    """Return a line per reservoir: its cells, the exact sum of its capacities, and both
    estimates."""
    nets = {cells: reservoir(cells) for cells in CELLS}
    lines = [
        (cells, float(capacities(net[0]).sum()), *estimates(*net))
        for cells, net in nets.items()
    ]
    return pl.DataFrame(lines, ["cells", *SUMS], orient="row")


def errors(rows: pl.DataFrame) -> pl.DataFrame:
    """Return least and median error over the seeds, by cell, lag and units, with the
    bound of linear nets."""
    own = rows.filter(having(task="delay_line", reals=True, cell=NAMES))
    final = pl.col("final")
    by = ["cell", "lag", "units"]
    scores = (
        final.min().alias("least"),
        final.median().alias("error"),
        pl.len().alias("seeds"),
    )
    bound = (1 - pl.col("units") / (pl.col("lag") + 1)).clip(0).alias("bound")
    named = bound, pl.col("cell").replace_strict(NAMES)
    return own.group_by(by).agg(*scores).with_columns(*named).sort(by)


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw curves of linear reservoirs, sums of capacities, and errors of trained nets
    against the bound."""
    sums = reservoirs()
    trained = errors(rows)
    picture, (curve, total, error) = marks.panels((10.8, 4.2), 1, 3)
    for k, cells in enumerate(CELLS):
        exact = capacities(reservoir(cells)[0])[:100]
        curve.plot(exact, color=marks.look(k)["color"], lw=1.4, label=f"N = {cells}")
    curve.set(
        xlabel="delay k",
        ylabel="capacity $MC_k$ (exact)",
        title="random linear reservoirs",
    )
    marks.theirs(total, sums["cells"], sums["cells"], lw=6, label="N")
    for k, (name, label) in enumerate(SUMS.items()):
        total.plot(sums["cells"], sums[name], label=label, **marks.look(k, lw=1))
    total.set(
        xlabel="cells N",
        ylabel="sum of capacities",
        title="their sum, and how it is missed",
    )
    for k, ((cell, lag), own) in enumerate(
        trained.group_by("cell", "lag", maintain_order=True)
    ):
        error.plot(
            own["units"],
            own["least"],
            label=f"{cell}, lag {lag}",
            **marks.look(k, lw=1),
        )
    for lag, style in zip(
        trained["lag"].unique().sort(), ("--", ":", "-."), strict=False
    ):
        error.plot(
            [0, lag + 1],
            [1, 0],
            color="grey",
            lw=1,
            ls=style,
            label=f"1 - N / {lag + 1}",
        )
    words = {
        "xlabel": "cells N",
        "ylabel": "mean squared error, best seed",
        "title": "one number, trained",
    }
    error.set(ylim=(0, 1.02), **words)
    for axes in (curve, total, error):
        marks.legend(axes, fontsize=7)
    caption = (
        f"Left and middle: nets without training, with spectral radius {RADIUS}, estimated from"
        f" {STEPS:,} steps. Right: the best of up to {marks.greatest(trained, 'seeds')} seeds;"
        " the error of a linear net is at least the grey line. After Jaeger (2001)."
    )
    return marks.finish(
        picture,
        rows,
        trained,
        caption,
        170,
        left=0.055,
        right=0.985,
        top=0.91,
        wspace=0.22,
    )


def _above_the_line(cell: str, data: pl.DataFrame) -> Finding:
    own = data.filter(pl.col("bound") > 0, cell=cell).with_columns(
        over=pl.col("least") - pl.col("bound")
    )
    if own.is_empty():
        return NOT_MEASURED
    nearest = own.sort("over").row(0, named=True)
    text = "nearest: {least:.2f} at lag {lag} with {units}, where linear nets have {bound:.2f}"
    return Finding(text.format(**nearest), nearest["over"] >= -SLACK)


PAPER = Paper(
    source=(
        "Jaeger, Short term memory in echo state networks, GMD report 152, 2001; estimates:"
        " Ballarin et al., 2023"
    ),
    cost=(
        "27 seconds on one core of a busy machine, without compilation (64 members); 5 seconds to"
        " draw"
    ),
    read="notes",
    table=errors,
    claims=(
        OurClaim(
            "trained Elman nets recall no number better than linear nets could (error at least 1"
            f" - N / (L + 1) - {SLACK:g})",
            "at most N, for any net that is read linearly; the bound of one delay is ours",
            "summaries of the report",
            partial(_above_the_line, "Elman"),
            within=("lag",),
        ),
        OurClaim(
            f"nor do LSTMs (error at least 1 - N / (L + 1) - {SLACK:g})",
            "the same",
            "summaries of the report",
            partial(_above_the_line, "LSTM"),
            within=("lag",),
            why=(
                "an LSTM carries two numbers a cell and is not linear: a bound on the sum over"
                " delays does not bind one delay"
            ),
        ),
    ),
)
