"""The answer: how many units for this task at this lag, in words, from what was measured."""

import math
from dataclasses import dataclass
from typing import Any

from memcap.capacity.frontier import Point, Prediction, References, columns, label, predict, references, set_knobs
from memcap.capacity.thresholds import Threshold, threshold
from memcap.knobs import UserError
from memcap.tasks import Task


@dataclass(frozen=True)
class Answer:
    """What can be said of a task and lag.

    Args:
        task, lag, share: what was asked; share of the seeds that should solve.
        point: the frontier there; None if the lag was not measured.
        width: the threshold at `share`; None if not measured.
        prediction: the line through the other lags, where the lag was not measured.
        references: what theory says.
        command: what would measure it.
    """

    task: Task
    lag: int
    share: float
    point: Point | None
    width: Threshold | None
    prediction: Prediction | None
    references: References
    command: str

    def __str__(self) -> str:
        return "\n".join(sentences(self))

    @property
    def held(self) -> int:
        """Symbols (or reals) that must be held at the worst moment."""
        length = self.task.length(self.lag) if self.point is None else self.point.length
        return self.task.facts(self.lag, length).held

    @property
    def units(self) -> int | None:
        """The width to take: the threshold, rounded up. None where it was not reached, or nothing is known."""
        if self.width is not None:
            return None if self.width.censored == "above" else math.ceil(self.width.units)
        return None if self.prediction is None else math.ceil(self.prediction.units)


def answer(task: Task, lag: int, share: float, points: list[Point]) -> Answer:
    """The answer for an LSTM with a dense read-out.

    Args:
        task: with its knobs; only points of an equal task count.
        lag: time steps.
        share: of the seeds that should solve, 0 to 1 exclusive.
        points: a frontier.

    Raises:
        UserError: the task has no such lag.
    """
    if lag < task.smallest_lag:
        raise UserError(f"--lag {lag}: the least lag of {task.name} is {task.smallest_lag}")
    points = [p for p in points if p.task == task and p.cell == "lstm" and p.readout == "dense"]
    measured = [p for p in points if p.lag == lag]
    # Where a lag was measured in several ways, the usual length and rule count first, then the one with most runs.
    point = max(measured, key=lambda p: (p.usual, sum(p.runs)), default=None)
    width = None if point is None else threshold(point.posterior, share)
    predicted = None if point is not None else predict([p for p in points if p.usual], lag, share)
    beyond = max(point.units) if point is not None and width is not None and width.censored == "above" else None
    return Answer(task, lag, share, point, width, predicted, references(task, lag), command(task, lag, beyond))


def command(task: Task, lag: int, beyond: int | None = None) -> str:
    """A command that measures the lag, at three widths or more.

    Args:
        task, lag: what to measure.
        beyond: the widest net that was tried and was not enough. None: widths from half of one unit a symbol held to 1.4
            times as many.
    """
    if beyond is None:
        least, middle, octaves = 1, task.facts(lag, task.length(lag)).held, (-1, -0.5, -0.25, -0.1, 0, 0.1, 0.25, 0.5)
    else:
        least, middle, octaves = beyond + 1, beyond, (0.15, 0.3, 0.5, 0.75, 1)
    widths = sorted({max(least, round(middle * 2**k)) for k in octaves})
    widths += range(widths[-1] + 1, widths[-1] + 4 - len(widths))
    knobs = [f"task.{knob}" for knob in set_knobs(task)]
    grid = f"'axes={{model.units: {widths}, seed: 8}}'"
    return " ".join(["memcap train", f"task={task.name}", *knobs, f"task.lag={lag}", f"study={task.name}_{lag}", grid])


def as_dict(found: Answer) -> dict[str, Any]:
    """The answer as plain values, for JSON. Numbers that don't exist are null."""
    point, known = found.point, found.references
    row = {} if point is None else columns(point)
    units = found.units
    carry = None
    if units is not None:
        carry = 2 * units if point is None else point.carry_numbers(units)
    keys = ("u_exist", "u50", "u50_low", "u50_high", "u50_censored", "u90", "u90_low", "u90_high", "u90_censored")
    return {
        "task": found.task.name,
        "knobs": dict(vars(found.task)),
        "lag": found.lag,
        "measured": point is not None,
        "share": found.share,
        "units": units,
        **{k: row.get(k) for k in keys},
        "carry_numbers": carry,
        "information_floor": known.information_floor,
        "one_per_number": known.one_per_number,
        "constructed": known.constructed,
        "bits": known.bits,
        **{k: row.get(k) for k in ("budget", "recipe", "lr", "seeds", "runs", "lapse", "counts")},
        "predicted": None if found.prediction is None else found.prediction.units,
        "predicted_low": None if found.prediction is None or math.isinf(found.prediction.high) else found.prediction.low,
        "predicted_high": None if found.prediction is None else _finite(found.prediction.high),
        "command": found.command,
    }


def _finite(value: float) -> float | None:
    return None if math.isinf(value) else value


def sentences(found: Answer) -> list[str]:
    """The answer in plain words, a line each."""
    said = _measured(found) if found.point is not None else _not_measured(found)
    known, held = found.references, found.held
    what = "number" if found.task.vocabulary is None else "symbol"
    said.append(
        f"What has to be held: {_count(held, what)}, {known.bits:.3g} bits. Floor, float32 information:"
        f" {_count(known.information_floor, 'unit')}. One carry number a {what} held (a reference, not a floor):"
        f" {_count(known.one_per_number, 'unit')}."
    )
    if known.constructed is not None:
        said.append(f"Hand-set weights solve it, with no training, at {_count(known.constructed, 'unit')}.")
    return said


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + "s" * (number != 1)


def _percent(share: float) -> str:
    return f"{100 * share:.4g} %"


def _measured(found: Answer) -> list[str]:
    point, width = found.point, found.width
    assert point is not None
    assert width is not None
    what = f"{point.label} at lag {found.lag}"
    if found.units is None:
        first = (
            f"{what}: no width up to {_count(round(width.units), 'unit')} was enough for {_percent(found.share)} of the"
            f" seeds (95 % interval from {width.low:.3g} up). That is a result of this training, not of the LSTM;"
            f" measure wider nets: {found.command}"
        )
    else:
        first = (
            f"{what}: take {_count(found.units, 'unit')}, so a carry of {point.carry_numbers(found.units)} numbers (h and"
            f" c). Best estimate of the width at which {_percent(found.share)} of the seeds that train at all solve it"
        )
        if width.censored == "below":
            first += ": the smallest width that was tried, or less"
        interval = f"from {width.low:.3g} to {width.high:.3g} units"
        if math.isinf(width.high):
            interval = f"from {width.low:.3g} units up: the widths tried leave the upper end open"
        first += f" (95 % interval {interval})."
    recipe = point.recipe
    chosen = f" (best of {point.recipes} tried)" if point.recipes > 1 else ""
    counts = ", ".join(f"{u}: {s}/{n}" for u, s, n in zip(point.units, point.solved, point.runs, strict=True))
    exist = "none" if point.u_exist is None else point.u_exist
    said = [
        first,
        f"Measured: {sum(point.runs)} runs, {point.seeds} seeds a width; recipe {recipe['recipe']}{chosen}, lr"
        f" {recipe['lr']:g}, budget {recipe['budget']} steps. Solved seeds by units: {counts}. Smallest width that any"
        f" seed solved: {exist}.",
    ]
    said.append(
        f"Seeds that no width saves (a failure of training, not of size): {point.fit.lapse:.0%}, 95 % interval"
        f" {point.fit.lapse_low:.0%} to {point.fit.lapse_high:.0%}."
    )
    if point.stretched is not None:
        score = "accuracy" if point.task.higher_is_better else "error"
        said.append(
            f"Asked at {point.stretch} times the lag (or length), the solved nets' median {score} is {point.stretched:.3g}."
        )
    return said


def _not_measured(found: Answer) -> list[str]:
    what, predicted = f"{label(found.task)} at lag {found.lag}", found.prediction
    if predicted is None:
        first = f"{what}: NOT MEASURED, and there are too few measured lags to predict it."
    else:
        how = "between" if predicted.inside else "OUTSIDE"
        span = f"95 % prediction interval {predicted.low:.3g} to {predicted.high:.3g}"
        if math.isinf(predicted.high):
            span = "no interval from two lags"
        first = (
            f"{what}: NOT MEASURED. A straight line through the widths that {_percent(found.share)} of the seeds need at"
            f" lags {', '.join(map(str, predicted.lags))} predicts {predicted.units:.3g} units ({span}); the lag lies"
            f" {how} them. A prediction, no measurement."
        )
        if predicted.left_out:
            lags = ", ".join(map(str, predicted.left_out))
            first += f" Left out, because no width tried was enough: lag {lags}; so the line may be too low."
    return [first, f"To measure it: {found.command}"]
