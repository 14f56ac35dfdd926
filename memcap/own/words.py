"""Widths judged by their held-out loss, in words, as a table, and as plain values; and
how well nets find rare classes.

Accuracy hides the latter: a net that never names a rare class is still right on all
others.
"""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from memcap.own.losses import FORGIVEN, Loss, LossCurve, WidthLoss
from memcap.own.task import Data
from memcap.terminal.words import Column, Listing, plural

if TYPE_CHECKING:
    from memcap.trained import Trained

RARE = 0.1  # share of the answers
COLUMNS = (
    Column("units", right=True),
    Column("held-out loss", "mean over the folds or repeats, in nats or squared error"),
    Column(
        "enough",
        "nearly as good as the best, by chance or 2 % of the way back to no memory",
    ),
    Column("score", "held-out accuracy, or mean squared error", right=True),
    Column("training loss", right=True),
    Column(
        "runs", "nets trained; in each fold the best on validation counts", right=True
    ),
)


def loss_text(loss: Loss) -> str:
    """Write a loss with its standard error, where it has one."""
    error = f" +- {loss.error:.2g}" if len(set(loss.folds)) > 1 else ""
    return f"{loss.mean:.4g}{error}"


def sentences(curve: LossCurve) -> list[str]:
    """Say which width is enough, or why none is."""
    if not curve.state_helps:
        return _no_width_helps(curve)
    task = curve.task
    best = curve.best
    chosen = curve.enough[0]
    has_split = task.has_own_split
    why = "chance in training" if has_split else "chance, fold by fold"
    if curve.margin == curve.forgiven:
        why = f"{FORGIVEN:.0%} of the way back to a net without memory"
    count = len(curve.folds)
    folds = f"{count} folds"
    if has_split:
        folds = f"{plural(count, 'repeat')} on the file's own split"
    lines = [
        f"{plural(chosen.units, 'unit')}: held-out loss {loss_text(chosen)}, within"
        f" {curve.margin:.2g} ({why}) of the best of {_widths(curve)} ({loss_text(best)} with"
        f" {best.units}), over {folds}."
    ]
    if has_split:
        lines.append(
            f"Other test sequences than these {task.part_sizes[1]:,} may say otherwise: no"
            " margin is of that."
        )
    for width in curve.widths:
        if width.units == curve.below:
            verb = "are" if width.units > 1 else "is"
            lines.append(f"{width.units} {verb} not enough: {loss_text(width)}.")
    lines += _other_rules(curve)
    score = f"{chosen.score:.3f}" if task.loss == "classes" else f"{chosen.score:.4g}"
    lines.append(
        f"Held-out {task.metric} of {chosen.units}: {score}. Without state:"
        f" {loss_text(curve.without_state)} (the best map of the current input); the last"
        f" {curve.steps} steps alone: {loss_text(curve.n_gram)}."
    )
    if not best.beats(curve.n_gram):
        lines.append(
            f"No net beats what sees the last {curve.steps} steps beyond chance: a window of so"
            " many may do."
        )
    learnt = curve.learnt
    if learnt is not None and learnt.units < chosen.units:
        verb = "have" if learnt.units > 1 else "has"
        lines.append(
            f"{plural(learnt.units, 'unit')} {verb} learnt the training sequences (loss"
            f" {learnt.train:.2g} there): more generalise better, as more sequences may do, too."
        )
    if curve.widest_is_best:
        lines.append(
            "The widest net tried is still the best: wider ones may be better (--most)."
        )
    return lines


def _widths(curve: LossCurve) -> str:
    return f"{curve.widths[0].units} to {curve.widths[-1].units} units"


def _no_width_helps(curve: LossCurve) -> list[str]:
    best = curve.best
    why = (
        "Training loss does not fall either: the target does not follow from the sequences,"
        " or it is as hard to learn as a parity."
    )
    if curve.too_few:
        train = min(width.train for width in curve.widths)
        why = (
            f"Training loss falls to {train:.2g}, and held-out loss does not follow: more"
            " sequences, not more units; or what is asked is not in them."
        )
    return [
        f"No width helps: of {_widths(curve)} the best held-out loss is {loss_text(best)} (with"
        f" {best.units}), no better than {loss_text(curve.without_state)} of the best map of the"
        " current input.",
        why,
    ]


def _other_rules(curve: LossCurve) -> list[str]:
    """Say which width other rules choose: that nothing is forgiven, or that the right
    class is enough."""
    chosen = curve.enough[0]
    as_good = curve.as_good
    lines = []
    if curve.by_chance and as_good.units > chosen.units:
        gain = curve.without_state.mean - curve.best.mean
        loss = (chosen.mean - curve.best.mean) / gain
        lines.append(
            f"{as_good.units} do no worse than the best, within chance: {loss_text(as_good)}. With"
            f" {chosen.units} the loss goes {loss:.1%} of the way back to a net without memory."
        )
    often = curve.right_as_often
    if often is not None and often.units < chosen.units:
        verb = "are" if often.units > 1 else "is"
        lines.append(
            f"{plural(often.units, 'unit')} {verb} right as often (accuracy {often.score:.3f}):"
            " enough if you need only the class; with more, probabilities are better."
        )
    return lines


def loss_table(curve: LossCurve) -> Listing:
    """Return a line per width."""
    rows = [
        [
            str(width.units),
            loss_text(width),
            "yes" if width in curve.enough else "",
            f"{width.score:.4g}",
            f"{width.train:.4g}",
            str(width.runs),
        ]
        for width in curve.widths
    ]
    recipe = (
        f"{curve.lag + 1} steps, recipe {curve.recipe.name}, rate {curve.recipe.lr:g}"
    )
    title = f"Loss on sequences not trained on, by width: {curve.task.file}, {recipe}"
    optional = ("runs", "training loss", "score")
    return Listing(title, COLUMNS, rows, optional, sentences(curve))


def as_dict(curve: LossCurve) -> dict[str, Any]:
    """Return the curve as plain values."""

    def plain(loss: Loss) -> dict[str, float]:
        return {"loss": loss.mean, "error": loss.error}

    def units(width: WidthLoss | None) -> int | None:
        return None if width is None else width.units

    return {
        "file": curve.task.file,
        "lag": curve.lag,
        "units": curve.units,
        "not_enough": curve.below or None,
        "best": curve.best.units,
        "as_good": curve.as_good.units if curve.enough and curve.by_chance else None,
        "right_as_often": units(curve.right_as_often),
        "margin": curve.margin,
        "state_helps": curve.state_helps,
        "too_few": curve.too_few,
        "learnt": units(curve.learnt),
        "widest_is_best": curve.widest_is_best,
        "without_state": plain(curve.without_state),
        "last_steps": {"steps": curve.steps, **plain(curve.n_gram)},
        "recipe": curve.recipe.name,
        "lr": curve.recipe.lr,
        "folds": len(curve.folds),
        "widths": [
            {
                "units": width.units,
                **plain(width),
                "score": width.score,
                "enough": width in curve.enough,
            }
            for width in curve.widths
        ],
        "words": sentences(curve),
    }


def shares_of(task: Data) -> np.ndarray:
    """Return the share of each class among the answers of a file, (C,)."""
    file = task.file_content
    answers = file.targets if file.due is None else file.targets[file.due]
    return np.bincount(answers.ravel(), minlength=task.outputs) / answers.size


def has_rare_class(task: Data) -> bool:
    """Tell whether a class has less than a tenth of the answers."""
    return task.loss == "classes" and any(0 < share < RARE for share in shares_of(task))


def recalls(nets: Iterable["Trained"]) -> np.ndarray:
    """Return the share of each class's held-out answers that nets of the same file get
    right, (C,); NaN for a class without answers."""
    counts = []
    for net in nets:
        task = net.member.task
        assert isinstance(task, Data)
        file = task.file_content
        tests = task.parts[2]
        guesses = net.run(np.moveaxis(file.inputs[tests], 0, 1))[0].argmax(-1).T
        answers = file.targets[tests]
        if file.due is None:
            guesses = guesses[:, -1]
        else:
            guesses = guesses[file.due[tests]]
            answers = answers[file.due[tests]]
        right = np.bincount(answers[answers == guesses], minlength=task.outputs)
        counts.append([right, np.bincount(answers, minlength=task.outputs)])
    right, count = np.sum(counts, axis=0)
    return np.where(count > 0, right / np.maximum(count, 1), np.nan)


def rare_words(curve: LossCurve, nets: Iterable["Trained"]) -> str:
    """Say how well the width that is enough finds each class, compared with always answering the
    commonest."""
    with np.load(curve.task.file) as arrays:
        names = arrays.get("class_names", np.arange(curve.task.outputs))
    shares = shares_of(curve.task)
    present = shares > 0  # class numbers may have gaps
    rarest = np.argmin(np.where(present, shares, 1))
    commonest = np.argmax(shares)
    recall = recalls(nets)
    least = int(np.nanargmin(recall))
    return (
        f"Class {names[rarest]} is rare ({shares[rarest]:.1%} of the answers). At"
        f" width {curve.units}: balanced accuracy {np.nanmean(recall):.3f}, the mean of"
        f" each class's share that is found; worst class, {names[least]}: {recall[least]:.3f}."
        f" Always {names[commonest]}: accuracy {shares[commonest]:.3f}, balanced"
        f" {1 / present.sum():.3f}."
    )
