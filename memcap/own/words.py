"""Widths judged by their loss, in words, as a table, and as plain values."""

from typing import Any

from memcap.own.losses import FORGIVEN, MOST_MARGIN, Loss, LossCurve, WidthLoss
from memcap.own.references import ALL, MOST_COLUMNS, WINDOW
from memcap.terminal.words import Column, Listing, NumberColumn, plural

ZERO = 1e-6  # nats, or share of the variance; a lower loss is written as 0
NAMES = {  # of references
    "constant": "always the same",
    "last step": "the last step",
    "window": f"the last {WINDOW} steps",
    ALL: "all steps side by side",
}
MEANINGS = {  # of those that no net beats
    "window": f"{WINDOW} steps suffice, without a state",
    ALL: "a model that is given all steps at once does as well",
}
COLUMNS = (
    NumberColumn("units"),
    Column(
        "validation loss", "chooses the width; losses are nats, or shares of variance"
    ),
    Column(
        "enough",
        "by validation no worse than the best beyond chance, or by at most 2 % of what state"
        " gains",
    ),
    Column(
        "held-out loss", "of sequences that chose nothing; mean over folds or repeats"
    ),
    NumberColumn("score", "held-out accuracy, or typical error in the target's unit"),
    NumberColumn("training loss"),
    NumberColumn("runs", "nets trained; in each fold the best on validation counts"),
)


def loss_text(loss: Loss) -> str:
    if loss.mean < ZERO:
        return "0"
    error = f" +- {loss.error:.2g}" if loss.error > ZERO else ""
    return f"{loss.mean:.4g}{error}"


def sentences(curve: LossCurve) -> list[str]:
    if not curve.state_helps:
        return [*_no_width_helps(curve), *_memory(curve)]
    lines = _chosen(curve) if curve.enough else _too_few(curve)
    if curve.task.has_own_split:
        lines.append(
            f"Other test sequences than these {curve.task.part_sizes[1]:,} may say otherwise: no"
            " margin is of that."
        )
    lines += _narrower(curve)
    chosen = curve.within[0]
    lines.append(f"Held-out {_score(curve, chosen)}.")
    lines += _memory(curve)
    if curve.widest_is_best:
        lines.append(
            "The widest net tried is still the best: wider ones may be better (--most)."
        )
    return lines


def _score(curve: LossCurve, width: WidthLoss) -> str:
    if curve.task.loss == "classes":
        return f"accuracy of {width.units}: {width.score:.3f}"
    unit = "the target's unit" if curve.task.outputs == 1 else "spreads of each value"
    return f"error of {width.units}: {width.score:.4g} in {unit} (root mean square)"


def _chosen(curve: LossCurve) -> list[str]:
    best = curve.best
    chosen = curve.enough[0]
    has_split = curve.task.has_own_split
    why = "chance in training" if has_split else "chance, fold by fold"
    if curve.margin == curve.forgiven:
        why = f"{FORGIVEN:.0%} of the way back to a net without memory"
    return [
        f"{plural(chosen.units, 'unit')}{_range(curve)}: held-out loss {loss_text(chosen)}. On"
        f" validation, which chose it, within {curve.margin:.2g} ({why}) of {best.units} units,"
        f" the best there of {_widths(curve)}, over {_folds(curve)}."
    ]


def _range(curve: LossCurve) -> str:
    low, high = curve.interval or (0, 0)
    return f" ({low} to {high} by other folds)" if low < high else ""


def _folds(curve: LossCurve) -> str:
    count = len(curve.folds)
    if curve.task.has_own_split:
        return f"{plural(count, 'repeat')} on the file's own split"
    return plural(count, "fold")


def _too_few(curve: LossCurve) -> list[str]:
    low, high = curve.interval or (0, 0)
    best = curve.best
    narrow = curve.within[0]
    lowest = min(curve.widths, key=lambda width: width.mean)
    why = (
        f"by validation {narrow.units} would do, and the held-out loss of {narrow.units} is"
        f" {loss_text(narrow)}, of {lowest.units} {loss_text(lowest)}"
    )
    if curve.margin > MOST_MARGIN * curve.gain:
        why = (
            f"chance moves the loss by {curve.margin:.2g}, and state gains {curve.gain:.2g}, over"
            f" {_folds(curve)}; the best is {loss_text(best)} with {best.units}"
        )
    return [f"Too few sequences to tell the width, {low} to {high} units: {why}."]


def _narrower(curve: LossCurve) -> list[str]:
    narrower = curve.next_narrower
    lines = []
    if narrower is not None and curve.did_not_train(narrower):
        lines.append(
            f"{narrower.units} did not train in every fold ({narrower.runs} nets), so"
            f" {narrower.units} may be enough: more starts may show it (--seeds)."
        )
    elif narrower is not None:
        verb = "are" if narrower.units > 1 else "is"
        lines.append(f"{narrower.units} {verb} not enough: {loss_text(narrower)}.")
    return lines


def _widths(curve: LossCurve) -> str:
    return f"{curve.widths[0].units} to {curve.widths[-1].units} units"


def _memory(curve: LossCurve) -> list[str]:
    losses = curve.references
    reached = [f"{NAMES[kind]} {loss_text(loss)}" for kind, loss in losses.items()]
    lines = [f"Without a net: {'; by '.join(reached)}."]
    if ALL not in losses:
        lines.append(
            f"A model of {NAMES[ALL]} was left out: above {MOST_COLUMNS:,} columns."
        )
    if not curve.state_helps:
        return lines
    constant = losses["constant"]
    for kind, loss in list(losses.items())[2:]:
        if not loss.beats(curve.without_state):
            continue
        if loss.is_nothing_of(constant):
            lines.append(f"By {NAMES[kind]} next to nothing is left: {MEANINGS[kind]}.")
        elif not curve.best.beats(loss):
            lines.append(f"Nets cannot be told from {NAMES[kind]}: {MEANINGS[kind]}.")
        if loss.beats(curve.best) and not curve.best.is_nothing_of(constant):
            lines.append(
                f"Nets have not learnt all that follows from {NAMES[kind]}: more sequences, or"
                " another recipe, may change the width."
            )
    return lines


def _no_width_helps(curve: LossCurve) -> list[str]:
    best = curve.best
    last = curve.without_state
    found = f"of {_widths(curve)} validation chose {best.units}: held-out loss {loss_text(best)}"
    if curve.verdict == "no state needed":
        why = "no better beyond chance"
        if last.is_nothing_of(curve.references["constant"]):
            why = "and the last step leaves next to nothing open"
        return [
            f"No state is needed: by the last step alone {loss_text(last)}; {found}, {why}."
        ]
    if curve.memory is not None:
        verdict = "Too few sequences to tell whether a state helps"
        if curve.verdict == "did not train":
            verdict = "The nets did not train"
        return [
            f"{verdict}: {found}; by the last step alone {loss_text(last)}. By"
            f" {NAMES[curve.memory]}, without a net, it is"
            f" {loss_text(curve.references[curve.memory])}, so the target does follow from the"
            " sequences. More sequences, another recipe (memcap train), wider nets (--most) or more"
            " starts (--seeds) may show it."
        ]
    if curve.verdict == "too few to tell":
        gain, chance = best.gain(last)
        return [
            f"Too few sequences to tell whether a state helps: {found}; by the last step alone"
            f" {loss_text(last)}. The gain is {gain:.2g}, and chance moves it by up to"
            f" {chance:.2g} over {_folds(curve)}: more sequences or more folds (--folds) may"
            " show it."
        ]
    why = (
        "Training loss does not fall either: the target does not follow from the sequences,"
        " or it is as hard to learn as a parity."
    )
    if curve.by_heart:
        train = min(width.train for width in curve.widths)
        why = (
            f"Training loss falls to {train:.2g}, and held-out loss does not follow: what is asked"
            " is not in the sequences, or so few do not show it."
        )
    return [
        f"No width helps beyond chance: {found}; by the last step alone {loss_text(last)}.",
        why,
    ]


def loss_table(curve: LossCurve) -> Listing:
    rows = [
        [
            str(width.units),
            loss_text(width.on_validation),
            "yes" if width in curve.within else "",
            loss_text(width),
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
    def plain(loss: Loss) -> dict[str, float]:
        return {"loss": loss.mean, "error": loss.error}

    return {
        "file": curve.task.file,
        "lag": curve.lag,
        "verdict": curve.verdict,
        "units": curve.units,
        "interval": curve.interval,
        "not_enough": curve.below or None,
        "best": curve.best.units,
        "margin": curve.margin,
        "gain": curve.gain,
        "state_helps": curve.state_helps,
        "by_heart": curve.by_heart,
        "learnt": curve.learnt.units if curve.learnt else None,
        "widest_is_best": curve.widest_is_best,
        "references": {kind: plain(loss) for kind, loss in curve.references.items()},
        "recipe": curve.recipe.name,
        "lr": curve.recipe.lr,
        "folds": len(curve.folds),
        "widths": [
            {
                "units": width.units,
                **plain(width),
                "validation_loss": width.on_validation.mean,
                "score": width.score,
                "enough": width in curve.within,
                "runs": width.runs,
            }
            for width in curve.widths
        ],
        "words": sentences(curve),
    }
