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


def real_in_short() -> str:
    """How well real widths were predicted."""
    sets = predicted_widths().filter(pl.col("measured").is_not_null())
    close, near, inside, miss, rank = foresight(sets, "measured")
    constant, of_constant = best_constant(sets["measured"])
    return filled(
        f"**Of {sets.height} widths, {close} were predicted within a factor of 1.5 and {near}"
        f" within 2; {inside} lie in the predicted range.** The typical miss is a factor of"
        f" {miss:.1f}; the best constant, {constant} for every set, misses by"
        f" {of_constant:.1f}. The order of the sets was predicted with a rank"
        f" correlation of {rank:.2f}."
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


def one_error_width(nets: pl.DataFrame) -> tuple[int, float]:
    """Return the narrowest width whose validation loss, of all folds, is within a standard
    error of the lowest, and how high it may be (Breiman et al., 1984).

    Args:
        nets: with columns `units` and `validation`, a line per width and fold.
    """
    loss = pl.col("validation")
    of_width = nets.group_by("units").agg(
        mean=loss.mean(), error=loss.std() / pl.len().sqrt()
    )
    most = of_width.sort("mean").select(pl.col("mean") + pl.col("error")).item(0, 0)
    return of_width.filter(pl.col("mean") <= most)["units"].min(), most


@cache
def further() -> pl.DataFrame:
    """Each further set: what was predicted, what memcap fit found, and whether Keras's
    loop agrees."""
    place = folder("real")
    nets = pl.read_csv(place / "further_nets.csv")
    found = pl.read_csv(place / "further.csv")
    lines = []
    for row in pl.read_csv(place / "further_predictions.csv").iter_rows(named=True):
        lines += [
            row | line | {"agrees": agrees(line, nets.filter(set=row["set"]))}
            for line in found.filter(set=row["set"]).to_dicts()
        ]
    return pl.DataFrame(lines, infer_schema_length=None)


def agrees(line: dict[str, Any], nets: pl.DataFrame) -> bool:
    """Return whether the width of memcap fit is as good as the one that Keras's loop
    chooses; where there is none, whether Keras's nets do no better than no state."""
    ours, theirs = (nets.filter(by=by) for by in ("memcap", "keras"))
    units, most = one_error_width(theirs)
    chosen = theirs.filter(units=units)["held_out"]
    above = chosen.mean() + chosen.std() / len(chosen) ** 0.5
    width = line["width"]
    if width is None:
        return above >= line["last step"]
    in_keras = theirs.filter(units=width)["validation"].mean() <= most
    return in_keras or ours.filter(units=width)["held_out"].mean() <= above


def lower_than_keras(nets: pl.DataFrame) -> pl.Series:
    """Tell for each set and width of both whether memcap's nets have the lower loss."""
    means = nets.group_by("set", "units", "by").agg(pl.col("held_out").mean())
    ours, theirs = (means.filter(by=by) for by in ("memcap", "keras"))
    both = ours.join(theirs, on=["set", "units"])
    return both["held_out"] < both["held_out_right"]


def further_beside_keras() -> str:
    """Compare the widths and losses of memcap fit and of Keras's loop on further sets."""
    sets = further()
    none = sets.filter(pl.col("width").is_null(), pl.col("agrees")).height
    later = sets.filter(choice="after the recipes")
    few = sets.filter(verdict="too few to tell").height
    ratio = (sets["keras_seconds"] / sets["memcap_seconds"]).median()
    lower = lower_than_keras(pl.read_csv(folder("real") / "further_nets.csv"))
    return filled(
        f"**For {sets['agrees'].sum()} of {sets.height} sets `memcap fit` names a width whose"
        f" loss lies within one standard error of that of Keras's choice, or neither gains by"
        f" state ({none}); of the {later.height} that have chosen no recipe, for"
        f" {later['agrees'].sum()}.** For {few} it says that there are too few sequences to tell,"
        f" where Keras's rule always names a width. At equal width nets of `memcap fit` have the"
        f" lower held-out loss in {lower.sum()} of {lower.len()} pairs. Keras's loop takes"
        f" {ratio:.1f} times the CPU time of `memcap fit` (the median)."
    )


def further_predicted() -> str:
    """How well the widths of further sets were predicted, beside two that know less."""
    sets = further().with_columns(measured="width")
    known = sets.filter(verdict="enough")
    close, near, inside, _, _ = foresight(known, "measured")
    return filled(
        f"**{close} of {known.height} widths lie within a factor of 1.5 of the prediction, {near}"
        f" within 2, and {inside} in the predicted range.** {misses(known)}"
    )


def misses(known: pl.DataFrame) -> str:
    """By which typical factor the prediction misses, and the number of classes, and a constant."""
    classes = known.with_columns(predicted="classes")
    miss, rank = foresight(known, "measured")[3:]
    of_classes, rank_of_classes = foresight(classes, "measured")[3:]
    constant, of_constant = best_constant(known["measured"])
    return (
        f"The typical miss is a factor of {miss:.1f}, with a rank correlation of {rank:.2f}; of"
        f" the number of classes (1 for values) {of_classes:.1f}, with {rank_of_classes:.2f}; of"
        f" the best constant, {constant} units, {of_constant:.1f}."
    )


def best_constant(measured: pl.Series) -> tuple[int, float]:
    """Return the one width that misses all by the smallest typical factor, and the factor."""
    misses = [np.abs(np.log(measured / units)).mean() for units in range(1, 65)]
    best = int(np.argmin(misses))
    return best + 1, float(np.exp(misses[best]))


def guess(row: dict[str, Any]) -> str:
    """The predicted width, with its range."""
    return f"{row['predicted']} [{row['low']}, {row['high']}]"


TABLES = {
    "further sets beside Keras": further_beside_keras,
    "further sets predicted": further_predicted,
    "real in short": real_in_short,
    "real sets": real_sets,
}
