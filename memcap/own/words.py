"""Widths judged by their held-out loss, in words, as a table, and as plain values."""

from typing import Any

from memcap.own.losses import FORGIVEN, Loss, LossCurve
from memcap.terminal.printing import Column, Listing
from memcap.terminal.words import plural

COLUMNS = (
    Column("units", right=True),
    Column("held-out loss", "mean over the folds or repeats, in nats or squared error"),
    Column(
        "enough", "as good as the best within chance, or within 2 % of what state gains"
    ),
    Column("score", "held-out accuracy, or mean squared error", right=True),
    Column("training loss", right=True),
    Column(
        "runs", "nets trained; in each fold the best on validation counts", right=True
    ),
)


def loss_text(loss: Loss) -> str:
    """Write a loss with its standard error, where it has one."""
    return f"{loss.mean:.4g}" + (
        f" +- {loss.error:.2g}" if len(set(loss.folds)) > 1 else ""
    )


def sentences(curve: LossCurve) -> list[str]:
    """Say which width is enough, or why none is."""
    best = curve.best
    tried = f"{curve.widths[0].units} to {curve.widths[-1].units} units"
    references = (
        f"Without state: {loss_text(curve.without_state)} (the best map of the current input);"
        f" the last {curve.steps} steps alone: {loss_text(curve.n_gram)}."
    )
    if not curve.state_helps:
        lines = [
            f"No width helps: of {tried} the best held-out loss is {loss_text(best)} (with"
            f" {best.units}), no better than {loss_text(curve.without_state)} of the best map of"
            " the current input."
        ]
        if curve.too_few:
            train = min(width.train for width in curve.widths)
            return [
                *lines,
                (
                    f"Training loss falls to {train:.2g}, and held-out loss does not follow: more"
                    " sequences, not more units; or what is asked is not in them."
                ),
            ]
        why = "the target does not follow from the sequences, or it is as hard to learn as a parity"
        return [*lines, f"Training loss does not fall either: {why}."]
    own_split = curve.task.has_own_split
    chosen = curve.enough[0]
    why = "chance in training" if own_split else "chance, fold by fold"
    if curve.margin == curve.forgiven:
        why = f"{FORGIVEN:.0%} of what state gains"
    within = (
        f"within {curve.margin:.2g} ({why}) of the best of {tried} ({loss_text(best)} with"
        f" {best.units})"
    )
    units = plural(chosen.units, "unit")
    folds = f"{len(curve.folds)} folds"
    if own_split:
        folds = f"{plural(len(curve.folds), 'repeat')} on the file's own split"
    lines = [f"{units}: held-out loss {loss_text(chosen)}, {within}, over {folds}."]
    if own_split:
        judges = curve.task.part_sizes[1]
        lines.append(
            f"Other test sequences than these {judges:,} may say otherwise: no margin is of that."
        )
    if curve.below:
        below = next(each for each in curve.widths if each.units == curve.below)
        verb = "are" if curve.below > 1 else "is"
        lines.append(f"{curve.below} {verb} not enough: {loss_text(below)}.")
    lines += other_rules(curve)
    score = (
        f"{chosen.score:.3f}" if curve.task.loss == "classes" else f"{chosen.score:.4g}"
    )
    lines.append(
        f"Held-out {curve.task.metric} of {chosen.units}: {score}. {references}"
    )
    if not best.beats(curve.n_gram):
        lines.append(
            f"No net beats what sees the last {curve.steps} steps beyond chance: a window of so"
            " many may do."
        )
    if curve.learnt is not None and curve.learnt.units < chosen.units:
        verb = "have" if curve.learnt.units > 1 else "has"
        lines.append(
            f"{plural(curve.learnt.units, 'unit')} {verb} learnt the training sequences (loss"
            f" {curve.learnt.train:.2g} there): more generalise better, as more sequences may do,"
            " too."
        )
    if curve.widest_is_best:
        lines.append(
            "The widest net tried is still the best: wider ones may be better (--most)."
        )
    return lines


def other_rules(curve: LossCurve) -> list[str]:
    """Say which width other rules choose: that nothing is forgiven, or that the right
    class is enough."""
    chosen = curve.enough[0]
    lines = []
    if curve.by_chance and curve.as_good.units > chosen.units:
        lost = (chosen.mean - curve.best.mean) / (
            curve.without_state.mean - curve.best.mean
        )
        lines.append(
            f"{curve.as_good.units} are as good as the best but for chance:"
            f" {loss_text(curve.as_good)}; with {chosen.units}, {lost:.1%} of what state gains is"
            " lost."
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
    enough = {width.units for width in curve.enough}
    rows = [
        [
            str(width.units),
            loss_text(width),
            "yes" if width.units in enough else "",
            f"{width.score:.4g}",
            f"{width.train:.4g}",
            str(width.runs),
        ]
        for width in curve.widths
    ]
    recipe = f"{curve.recipe.name} at {curve.recipe.lr:g}"
    title = f"Held-out loss by width: {curve.task.file}, lag {curve.lag}, {recipe}"
    return Listing(
        title, COLUMNS, rows, ("runs", "training loss", "score"), sentences(curve)
    )


def as_dict(curve: LossCurve) -> dict[str, Any]:
    """Return the curve as plain values."""

    def plain(loss: Loss) -> dict[str, float]:
        return {"loss": loss.mean, "error": loss.error}

    return {
        "file": curve.task.file,
        "lag": curve.lag,
        "units": curve.units,
        "not_enough": curve.below or None,
        "best": curve.best.units,
        "as_good": curve.as_good.units if curve.enough and curve.by_chance else None,
        "right_as_often": curve.right_as_often.units if curve.right_as_often else None,
        "margin": curve.margin,
        "state_helps": curve.state_helps,
        "too_few": curve.too_few,
        "learnt": curve.learnt.units if curve.learnt else None,
        "widest_is_best": curve.widest_is_best,
        "without_state": plain(curve.without_state),
        "last_steps": {"steps": curve.steps, **plain(curve.n_gram)},
        "recipe": curve.recipe.name,
        "lr": curve.recipe.lr,
        "folds": len(curve.folds),
        "widths": [
            {
                "units": each.units,
                **plain(each),
                "score": each.score,
                "enough": each in curve.enough,
            }
            for each in curve.widths
        ],
        "words": sentences(curve),
    }
