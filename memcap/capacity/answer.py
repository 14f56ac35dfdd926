"""The answer: how many units for this task at this lag, from what was measured."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from memcap.capacity.points import At, Point, References, columns, label, references, set_knobs
from memcap.capacity.prediction import Prediction, predict
from memcap.capacity.thresholds import Threshold, enough, threshold
from memcap.knobs import UserError
from memcap.models.network import MOST_UNITS, Architecture, Model
from memcap.tasks import Task
from memcap.words import plural

ATLAS = "atlas"  # the source of the rows that memcap publishes


@dataclass(frozen=True)
class Answer:
    """What can be said of a task and lag.

    Args:
        task, lag, share: what was asked; share of the seeds that should pass.
        at: the verdict that counts, as in `Point`.
        stretch: how many times the lag "steady" asks.
        label: name of the line of the frontier that it is read from.
        point: the frontier there; None if the lag was not measured.
        width: the threshold at `share`; None if not measured.
        prediction: what the other lags predict, where the lag was not measured.
        units: the width to take: `enough` of what was measured, or the prediction rounded up. None where no
            width tried is known to be enough, more than `MOST_UNITS` are predicted, or nothing is known.
        references: what theory says.
        command: what would measure it; empty where only more than `MOST_UNITS` would tell more.
        source: where the rows come from: "atlas", or a folder; None: rows that were handed over.
    """

    task: Task
    lag: int
    share: float
    at: At
    stretch: int
    label: str
    point: Point | None
    width: Threshold | None
    prediction: Prediction | None
    units: int | None
    references: References
    command: str
    source: str | None = None

    def __str__(self) -> str:
        return "\n".join(sentences(self))

    @property
    def held(self) -> int:
        """Symbols (or reals) that must be held at the worst moment."""
        length = self.task.length(self.lag) if self.point is None else self.point.length
        return self.task.facts(self.lag, length).held

    @property
    def carry_numbers(self) -> int | None:
        """Numbers in the carry of a net of `units` units."""
        network = Architecture(
            Model("lstm", 1), self.task.features, self.task.outputs
        )  # `units` may be more than can be trained
        return None if self.units is None else network.numbers_per_unit() * self.units

    @property
    def budget(self) -> int | None:
        """Most training steps of the recipes that it rests on."""
        if self.point is not None:
            return self.point.recipe["budget"]
        return None if self.prediction is None else self.prediction.budget

    @property
    def settled(self) -> bool:
        """Whether the lag was measured, a width is known to be enough, and the threshold is a number."""
        return (
            self.point is not None
            and self.width is not None
            and self.units is not None
            and self.width.is_number(self.point.units[0])
        )


def answer(task: Task, lag: int, share: float, points: Sequence[Point], source: str | None = None) -> Answer:
    """The answer for an LSTM with a dense read-out.

    Args:
        task: with its knobs; only points of an equal task count.
        lag: time steps.
        share: of the seeds that should pass, 0 to 1 exclusive.
        points: a frontier, of one verdict.
        source: where its rows come from, for `Answer.source`.

    Raises:
        UserError: the task has no such lag.
    """
    if lag < task.smallest_lag:
        raise UserError(f"--lag {lag}: the least lag of {task.name} is {task.smallest_lag}")
    points = [p for p in points if p.task == task and p.cell == "lstm" and p.readout == "dense"]
    line = _line(points)
    # Where a lag was measured in several ways, the usual length and rule count first, then the one with most
    # runs.
    point = max((p for p in points if p.lag == lag), key=lambda p: (p.usual, sum(p.runs)), default=None)
    width = None if point is None else threshold(point.posterior, share)
    predicted = None if point is not None else predict(line, lag, share)
    units = None if predicted is None or predicted.units > MOST_UNITS else math.ceil(predicted.units)
    if point is not None:
        units = enough(point.posterior, share)
    beyond = max(point.units) if point is not None and units is None else None
    source_point = point or (None if predicted is None else line[0])
    at, stretch, name = "trained", 1, label(task)
    if source_point is not None:
        at, stretch, name = source_point.at, source_point.evaluation.stretch, source_point.label
    theory, measure = references(task, lag), command(task, lag, beyond)
    return Answer(
        task, lag, share, at, stretch, name, point, width, predicted, units, theory, measure, source
    )


def _line(points: Sequence[Point]) -> list[Point]:
    """The points to predict from, one a lag: measured and judged as usual, or else all in one other way, that
    of most lags."""
    ways = [list(way) for _, way in groupby(sorted(points, key=lambda p: p.label), key=lambda p: p.label)]
    best = max(ways, key=lambda way: (way[0].usual, len({p.lag for p in way})), default=[])
    return list({p.lag: p for p in sorted(best, key=lambda p: sum(p.runs))}.values())


def command(task: Task, lag: int, beyond: int | None = None) -> str:
    """A command that measures the lag, at three widths or more, where so many are allowed.

    Args:
        task, lag: what to measure.
        beyond: the widest net that was tried and was not enough. None: widths from half of one unit a symbol
            held to 1.4 times as many.

    Returns:
        The command; nothing where no wider nets are allowed.
    """
    if beyond is None:
        least, middle, octaves = (
            1,
            task.facts(lag, task.length(lag)).held,
            (-1, -0.5, -0.25, -0.1, 0, 0.1, 0.25, 0.5),
        )
    elif beyond >= MOST_UNITS:
        return ""
    else:
        least, middle, octaves = beyond + 1, beyond, (0.15, 0.3, 0.5, 0.75, 1)
    widths = sorted({max(least, round(min(middle, MOST_UNITS) * 2**k)) for k in octaves})
    widths += range(widths[-1] + 1, widths[-1] + 4 - len(widths))
    widths = sorted({min(width, MOST_UNITS) for width in widths})
    knobs = [f"task.{knob}" for knob in set_knobs(task)]
    grid = f"'axes={{model.units: {widths}, seed: 8}}'"
    return " ".join(
        ["memcap train", f"task={task.name}", *knobs, f"task.lag={lag}", f"study={task.name}_{lag}", grid]
    )


def as_dict(result: Answer) -> dict[str, Any]:
    """The answer as plain values, for JSON. Numbers that don't exist are null."""
    point, theory, predicted = result.point, result.references, result.prediction
    row = {} if point is None else columns(point)
    ends = [
        f"{name}{end}"
        for name in ("u50", "u90", "u50_trained", "u90_trained")
        for end in ("", "_low", "_high", "_censored")
    ]
    beyond = None if point is None or result.units is None else point.stretched_at(result.units)
    return {
        "task": result.task.name,
        "knobs": dict(vars(result.task)),
        "lag": result.lag,
        "measured": point is not None,
        "source": result.source,
        "at": result.at,
        "share": result.share,
        "units": result.units,
        **{k: row.get(k) for k in ("u_exist", *ends)},
        "carry_numbers": result.carry_numbers,
        "information_floor": theory.information_floor,
        "one_per_number": theory.one_per_number,
        "constructed": theory.constructed,
        "bits": theory.bits,
        "budget": result.budget,
        **{k: row.get(k) for k in ("recipe", "recipes", "lr", "seeds", "runs", "lapse", "stretch", "counts")},
        "stretched_units": None if beyond is None else beyond[0],
        "stretched_median": None if beyond is None else beyond[1],
        "predicted": None if predicted is None else predicted.units,
        "predicted_low": None if predicted is None else predicted.low,
        "predicted_high": None if predicted is None or math.isinf(predicted.high) else predicted.high,
        "predicted_between": None if predicted is None else predicted.between,
        "command": result.command,
    }


def sentences(result: Answer) -> list[str]:
    """The answer in plain words, a line each."""
    lines = _measured(result) if result.point is not None else _not_measured(result)
    theory, what = result.references, "number" if result.task.vocabulary is None else "symbol"
    lines.append(
        f"What has to be held: {plural(result.held, what)}, {theory.bits:.3g} bits."
        f" Floor, float32 information: {plural(theory.information_floor, 'unit')}."
        f" One carry number per {what} held (a reference, not a floor):"
        f" {plural(theory.one_per_number, 'unit')}."
    )
    if theory.constructed is not None:
        lines.append(f"Hand-set weights solve it, with no training, at {plural(theory.constructed, 'unit')}.")
    return lines


def _verb(result: Answer) -> str:
    """What counts as a pass."""
    if result.at == "steady":
        return f"solve it, and still do at {result.stretch} times the lag"
    return "solve it at the length they were trained at" if result.task.stream else "solve it"


def _share(result: Answer) -> str:
    return f"{100 * result.share:.4g} % of the seeds that train at all"


def _interval(low: float, high: float) -> str:
    if math.isinf(high):
        return f"95 % interval from {low:.3g} units up: the widths tried leave the upper end open"
    return f"95 % interval from {low:.3g} to {high:.3g} units"


def _take(result: Answer) -> str:
    assert result.units is not None
    return f"take {plural(result.units, 'unit')}, so a carry of {result.carry_numbers} numbers (h and c)"


def _from(result: Answer) -> str:
    places = {None: "", ATLAS: ", of memcap's published atlas"}
    return places.get(result.source, f", from the rows in {result.source}")


def _measured(result: Answer) -> list[str]:
    point, width = result.point, result.width
    assert point is not None
    assert width is not None
    what = f"{result.label} at lag {result.lag}"
    if result.units is None:
        widest = plural(max(point.units), "unit")
        best = f"over {widest}" if width.censored == "above" else f"{width.units:.3g} units"
        wider = (
            f"measure wider nets: {result.command}"
            if result.command
            else f"nets beyond {MOST_UNITS:,} units are not allowed."
        )
        first = (
            f"{what}: no width up to {widest} is known to be enough for {_share(result)} to {_verb(result)}"
            " with up to"
            f" {result.budget:,} training steps: best estimate {best}, {_interval(width.low, width.high)}."
            " That is a result of"
            f" this training, not of the LSTM; {wider}"
        )
    else:
        best = f"best estimate {width.units:.3g} units"
        if width.censored == "below":
            best = "the smallest width that was tried, or less"
        first = (
            f"{what}: {_take(result)}. With up to {result.budget:,} training steps {_share(result)}"
            f" {_verb(result)}, from this width"
            f" on: {best}, {_interval(width.low, width.high)}."
        )
        if result.units > math.ceil(width.units):
            first += " The width to take allows for that interval."
    lines = [first]
    if result.at == "steady":
        alone = point.trained.u90
        words = f"{alone.units:.3g} units, {_interval(alone.low, alone.high)}"
        if alone.censored == "above":
            words = f"not reached by {plural(round(alone.units), 'unit')}"
        lines.append(f"The same for 90 % of the seeds and the trained length alone: {words}.")
    recipe = point.recipe
    chosen = f" (best of {point.recipes}, chosen on the seeds it is judged on)" if point.recipes > 1 else ""
    counts = ", ".join(f"{u}: {s}/{n}" for u, s, n in zip(point.units, point.solved, point.runs, strict=True))
    exist = "none" if point.u_exist is None else point.u_exist
    word = "steady" if result.at == "steady" else "solved"
    lines += [
        f"Measured: {sum(point.runs)} runs, up to {point.seeds} seeds per width{_from(result)}; recipe"
        f" {recipe['recipe']}{chosen},"
        f" lr {recipe['lr']:g}, budget {recipe['budget']} steps. Seeds {word}, by units: {counts}. Smallest"
        " width at which any"
        f" seed was: {exist}.",
        f"Seeds that no width saves (a failure of training, not of size): {point.fit.lapse:.0%}, 95 %"
        " interval"
        f" {point.fit.lapse_low:.0%} to {point.fit.lapse_high:.0%}.",
    ]
    beyond = None if result.units is None else point.stretched_at(result.units)
    if beyond is not None:
        score = "accuracy" if point.task.higher_is_better else "error"
        lines.append(
            f"Asked at {result.stretch} times the lag (or length), the median {score} of the solved nets of"
            f" {plural(beyond[0], 'unit')} is {beyond[1]:.3g}."
        )
    return lines


def _not_measured(result: Answer) -> list[str]:
    what, predicted = f"{result.label} at lag {result.lag}", result.prediction
    measure = f"To measure it: {result.command}"
    if predicted is None:
        return [f"{what}: NOT MEASURED, and there are too few measured lags to predict it.", measure]
    lags = ", ".join(map(str, predicted.lags))
    if predicted.between is None:
        how = f"The lag lies OUTSIDE the measured ones: a straight line through lags {lags}"
    else:
        how = (
            f"Interpolated between lags {predicted.between[0]} and {predicted.between[1]} (measured: {lags})"
        )
    interval = _interval(predicted.low, predicted.high)
    if len(predicted.lags) == 2:
        interval = "no interval from two lags"
    if result.units is None:
        take, which = f"no width up to {MOST_UNITS:,}, the most allowed, is known to be enough", "some larger"
    else:
        take, which = f"predicted: {_take(result)}", "this"
    lines = [
        f"{what}: NOT MEASURED; {take}. With up to {result.budget:,} training steps {_share(result)} should"
        f" {_verb(result)}, from"
        f" {which} width on: best estimate {predicted.units:.3g} units, {interval}.",
        f"{how}{_from(result)}. A prediction, no measurement.",
    ]
    if predicted.left_out:
        lags = ", ".join(map(str, predicted.left_out))
        lines[-1] += f" Left out, because no width tried was enough: lag {lags}; so it may be too low."
    return [*lines, measure]
