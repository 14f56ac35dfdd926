"""Real sequences: what was predicted of them, and what `memcap fit` found."""

import math
from functools import cache
from typing import Any

import numpy as np
import polars as pl
from scipy.stats import spearmanr

from memcap.findings import folder
from memcap.findings.tables import filled, table


def real_sets() -> str:
    """Each real set: what was predicted, and what was found."""
    lines = []
    for row in predicted_widths().to_dicts():
        no_state, last = (
            f"{row[name]:.2f} ({row[f'{name}_predicted']:g})"
            for name in ("current", "last_five")
        )
        enough = row["verdict"]
        if row["measured"] is not None:
            enough = f"{row['measured']} [{row['from']}, {row['to']}]"
        lines.append(
            (
                row["set"],
                f"{row['sequences']:,}, {row['steps']}",
                no_state,
                last,
                f"{row['loss']:.3f} ± {row['error']:.2g} ({row['best']} units)",
                "" if row["shuffled"] is None else f"{row['shuffled']:.3f}",
                guess(row),
                enough,
                row["learnt"] or "",
            )
        )
    heads = "set", "sequences, steps", "no state", "last five", "best net"
    return table((*heads, "shuffled", "predicted", "enough", "learnt"), lines)


def real_predictions() -> str:
    """Tabulate what each real set was said to make a net hold."""
    rows = pl.read_csv(folder("real") / "predictions.csv").to_dicts()
    lines = [(row["set"], row["holds"], guess(row)) for row in rows]
    return table(("set", "what is held", "units"), lines)


def real_in_short() -> str:
    """How well real widths were predicted."""
    sets = predicted_widths().filter(pl.col("measured").is_not_null())
    close, near, inside, miss, rank = foresight(sets, "measured")
    first = foresight(sets, "one_error")
    constants = range(1, 65)
    misses = [np.abs(np.log(sets["measured"] / units)).mean() for units in constants]
    best = int(np.argmin(misses))
    return filled(
        f"**Of {sets.height} widths, {close} were predicted within a factor of 1.5 and {near}"
        f" within 2; {inside} lie in the predicted range.** The typical miss is a factor of"
        f" {miss:.1f}; the best constant, {constants[best]} for every set, misses by"
        f" {np.exp(misses[best]):.1f}. The order of the sets was predicted with a rank"
        f" correlation of {rank:.2f}. (By the first rule: {first[0]} within 1.5,"
        f" {first[1]} within 2, {first[2]} in the range; a factor of"
        f" {first[3]:.1f}; {first[4]:.2f}.)"
    )


def foresight(sets: pl.DataFrame, column: str) -> tuple[int, int, int, float, float]:
    """Return how many widths were predicted within 1.5, within 2, and in their range;
    the typical factor of a miss; and the rank correlation."""
    measured = sets[column]
    predicted = sets["predicted"]
    misses = np.abs(np.log(measured / predicted))
    close, near = (int((misses <= math.log(factor)).sum()) for factor in (1.5, 2))
    inside = sets.filter(pl.col(column).is_between("low", "high")).height
    rank = spearmanr(predicted, measured).statistic
    return close, near, inside, float(np.exp(misses.mean())), rank


@cache
def predicted_widths() -> pl.DataFrame:
    """Predicted and measured widths of real sets, as sweeps/real/real.py compares them."""
    return pl.read_csv(folder("real") / "predicted.csv")


def beside_keras() -> str:
    """Tabulate the losses of `memcap fit` and of Keras's best width on the same test sequences."""
    lines = []
    above: dict[str, list[float]] = {}  # standard errors, by file
    draws = pl.read_csv(folder("real") / "beside_keras.csv")
    draws = draws.sort("file", "draw", "loss", maintain_order=True)
    for (file, draw), nets in draws.group_by("file", "draw", maintain_order=True):
        ours = nets.filter(by="memcap")
        enough = ours.row(by_predicate=pl.col("units") == pl.col("fit"), named=True)
        best = ours.row(0, named=True)
        keras = nets.filter(by="keras").sort("validation").row(0, named=True)
        errors = [
            (net["loss"] - keras["loss"]) / keras["error"] for net in (enough, best)
        ]
        above.setdefault(file, []).append(errors[0])
        lines.append(
            (
                f"{file}, {draw}",
                *(f"{net['loss']:.4f} ({net['units']})" for net in (enough, best)),
                f"{keras['loss']:.4f} ± {keras['error']:.4f} ({keras['units']})",
                " / ".join(f"{error:+.2f}" for error in errors),
            )
        )
    means = ", ".join(
        f"{np.mean(errors):+.2f} for {file}" for file, errors in above.items()
    )
    within = sum(error <= 1 for errors in above.values() for error in errors)
    text = filled(
        f"**In {within} of {len(lines)} comparisons the width called enough is at most one"
        f" standard error above Keras's best; the means over the draws are {means}.**"
    )
    heads = "file, draw", "enough by memcap fit", "its best width", "Keras's best width"
    return f"{text}\n\n{table((*heads, 'standard errors above Keras'), lines)}"


def guess(row: dict[str, Any]) -> str:
    """The predicted width, with its range."""
    return f"{row['predicted']} [{row['low']}, {row['high']}]"


TABLES = {
    "beside Keras": beside_keras,
    "real in short": real_in_short,
    "real sets": real_sets,
    "real predictions": real_predictions,
}
