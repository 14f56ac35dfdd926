"""The answer: how many units for this task at this lag, from what was measured at all lags.

One rule for every lag, measured or not: the narrowest width that, with a probability of at least `SURE`, is
enough for the share asked for of the seeds that train at all (memcap.thresholds.lags). A longer lag is never
advised a narrower net than a shorter one (`advice`). In simulated studies 92 to 94 % of fresh seeds pass at
such widths; most of the others are seeds that no width saves (tests/thresholds/test_lags.py).
"""

import math
import re
import shlex
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from memcap.capacity.points import (
    At,
    Point,
    References,
    closing,
    columns,
    interval_text,
    label,
    references,
)
from memcap.cells import cell_facts
from memcap.knobs import UserError, set_words
from memcap.models.model import MOST_UNITS, Model
from memcap.recipes import ResolvedRecipe, race_axes, starts_itself
from memcap.runtime.published import ATLAS, NAMES
from memcap.scripts.answer_code import code
from memcap.tasks import Task
from memcap.terminal.printing import duration
from memcap.terminal.words import plural
from memcap.thresholds.curve import counts, threshold
from memcap.thresholds.lags import believe

SURE = 0.9
DENSE = 50  # up to this lag the advice of every lag counts for longer ones; beyond it that of each next 40 %
# that the command goes up to where nothing is known: what holds one thing may take several units to track it
FEWEST_UNITS = 16
CLOSE = 0.25  # how far around what is predicted, as a share of it, the widths of the command reach


@dataclass(frozen=True)
class Answer:
    """What can be said of a task and lag.

    Args:
        task, lag, share, cell, layers: what was asked; share of the seeds that should pass.
        at: the verdict that counts, as in `Point`.
        stretch: how many times the lag "steady" asks.
        label: name of the line of the frontier that it is read from.
        point: the frontier there; None if the lag was not measured.
        estimate, low, high: the width at which the share passes, from all lags, with a 95 % interval; None
            where it is not known: no width passed, or fewer than two lags were measured, and not this one.
        units: the width to take, of each layer. None where no width tried is known to be enough, more than
            `MOST_UNITS` are predicted, or nothing is known.
        lags: the lags that it rests on.
        left_out: lags at which no recipe trained the task, and which say nothing of widths.
        budget: most training steps of the recipes that it rests on.
        passed_from, runs_from: of `units` units or more, how many runs passed, of how many; at the lag, or at
            the lags measured next to it. 0 where there is no width.
        recipe: what the width was measured by, the lag's own or the next longer one's; None where nothing was
            measured.
        references: what theory says.
        command: what would measure it; empty where only more than `MOST_UNITS` would tell more.
        seconds: how long its neighbours took to measure, on one core; None where nobody knows.
        source: where the rows come from: a name of `memcap.runtime.published`, as "atlas", or a folder; None:
            rows that were handed over.
    """

    task: Task
    lag: int
    share: float
    cell: str
    layers: int
    at: At
    stretch: int
    label: str
    point: Point | None
    estimate: float | None
    low: float | None
    high: float | None
    units: int | None
    lags: tuple[int, ...]
    left_out: tuple[int, ...]
    budget: int | None
    passed_from: int
    runs_from: int
    recipe: ResolvedRecipe | None
    references: References
    command: str
    seconds: float | None
    source: str | None = None

    def __str__(self) -> str:
        return "\n".join(sentences(self))

    def code(self, framework: str) -> str:
        """A script that trains and judges a net of this width, in "keras", "torch" or "flax".

        Raises:
            UserError: no such framework, no width, another cell, or no script for this task.
        """
        if (self.cell, self.layers) != ("lstm", 1):
            what = self.cell if self.layers == 1 else f"{self.layers} layers of {self.cell}"
            raise UserError(f"code={framework}: is written for one layer of an LSTM only, not for {what}")
        return code(framework, self.task, self.lag, self.units, self.recipe, sentences(self)[0])

    @property
    def why(self) -> str:
        """What it rests on, in plain words."""
        return "\n".join(_why(self))

    @property
    def held(self) -> int:
        """Symbols (or reals) that must be held at the worst moment."""
        length = self.task.length(self.lag) if self.point is None else self.point.length
        return self.task.facts(self.lag, length).held

    @property
    def carry_numbers(self) -> int | None:
        """Numbers in the carry of a net of `units` units, in all its layers."""
        each = self.layers * cell_facts(self.cell).numbers_per_unit
        return None if self.units is None else each * self.units

    @property
    def between(self) -> tuple[int, int] | None:
        """The measured lags on either side, where the lag was not measured and lies between two."""
        lags = _next_to(self.lags, self.lag)
        return (lags[0], lags[1]) if self.point is None and len(lags) == 2 else None

    @property
    def settled(self) -> bool:
        """Whether the lag was measured, a width is known to be enough, and the threshold is a number."""
        point = self.point
        return point is not None and self.units is not None and point.fit.u90.is_number(point.units[0])


def answer(
    task: Task,
    lag: int,
    share: float,
    points: Sequence[Point],
    source: str | None = None,
    cell: str = "lstm",
    config_dir: Path | None = None,
    layers: int = 1,
) -> Answer:
    """The answer for layers of a cell with a dense read-out.

    Args:
        task: with its knobs; only points of an equal task count.
        lag: time steps.
        share: of the seeds that should pass, 0 to 1 exclusive.
        points: a frontier, of one verdict.
        source: where its rows come from, for `Answer.source`.
        cell, layers: as in rows.
        config_dir: for `Answer.command`, where a user's own recipes are.

    Raises:
        UserError: the task has no such lag.
    """
    if lag < task.smallest_lag:
        raise UserError(f"--lag {lag}: the least lag of {task.name} is {task.smallest_lag}")
    model = Model(cell, 1, layers=layers)
    points = [p for p in points if (p.task, p.model) == (task, model)]
    # Where a lag was measured in several ways, the usual length and rule count first, then the one with most
    # runs.
    point = max((p for p in points if p.lag == lag), key=lambda p: (p.usual, sum(p.runs)), default=None)
    line = _line(points if point is None else [p for p in points if p.label == point.label])
    trained = {p.lag: p for p in line if p.trains}
    widths, units = None, None
    if point.trains if point is not None else len(trained) > 1:
        widths, units = advice(trained, lag, share)
        if units > (MOST_UNITS if point is None else 2 * point.units[-1]):
            units = None
        if point is not None and threshold(point.posterior, share).censored == "above":
            units = None
    first = point or (None if widths is None else line[0])
    at, stretch, name = "trained", 1, label(task, model)
    if first is not None:
        at, stretch, name = first.at, first.evaluation.stretch, first.label
    near = point or _next_longer(trained.values(), lag)
    nearest = [point] if point is not None else [trained[each] for each in _next_to(trained, lag)]
    outcomes = [] if units is None else [each.passed_from(units) for each in nearest]
    budgets = [p.recipe.budget for p in ([point] if point is not None else trained.values())]
    return Answer(
        *(task, lag, share, cell, layers, at, stretch, name, point),
        *(widths or (None, None, None)),
        units=units,
        lags=() if widths is None else tuple(sorted(trained)),
        left_out=tuple(sorted(p.lag for p in line if not p.trains)),
        budget=max(budgets, default=None),
        passed_from=sum(passed for passed, _ in outcomes),
        runs_from=sum(runs for _, runs in outcomes),
        recipe=None if near is None else near.recipe,
        references=references(task, lag, model=model),
        command=command(task, lag, cell, line, point, widths, units is not None, config_dir, layers),
        seconds=_seconds(line, lag),
        source=source,
    )


def advice(points: Mapping[int, Point], lag: int, share: float) -> tuple[tuple[float, float, float], int]:
    """Estimate, low and high of the width that is enough at a lag, and the width to take there.

    What is enough for a lag that was measured is enough for the shorter ones down to the one measured before
    it; so no lag is advised less than a shorter one, measured or not, or more than the next one measured.

    Args:
        points: by lag, at least one.
        lag: time steps.
        share: of the seeds that train at all and should pass.
    """
    shorter = [each for each in points if each <= lag]
    longer = min((each for each in points if each > lag), default=None)
    far = (round(DENSE * 1.4**k) for k in range(int(math.log(max(lag / DENSE, 1), 1.4)) + 1))
    gap = {each for each in (*range(1, DENSE + 1), *far, lag) if max(shorter, default=0) <= each <= lag}
    lags = sorted({*shorter, *gap} if longer is None else {*shorter, *gap, longer})
    ranks = np.array([0.5, 0.025, 0.975, SURE])
    measured = [{each: counts(p.units, p.solved, p.runs) for each, p in points.items()}]
    if any(p.solved_trained != p.solved for p in points.values()):
        # who passes at the stretched length, too, passes at the trained one: so no width is less there
        measured.append({each: counts(p.units, p.solved_trained, p.runs) for each, p in points.items()})
    beliefs = [believe(some, lags) for some in measured]
    widths = {each: np.max([some[each].quantiles(share, ranks) for some in beliefs], axis=0) for each in lags}
    sure = {each: float(width[3]) for each, width in widths.items()}
    for each in points.keys() & sure.keys():
        if points[each].fit.u90.censored == "below":
            sure[each] = max(sure[each], points[each].units[0])  # nothing narrower was tried
    units = max(sure[each] for each in lags if each <= lag)
    if longer is not None and lag not in points:
        units = min(units, max(sure[each] for each in (*shorter, longer)))
    estimate, low, high = (float(width) for width in widths[lag][:3])
    return (estimate, low, high), math.ceil(units - 1e-6)


def _line(points: Sequence[Point]) -> list[Point]:
    """The points to read lags from, one a lag: measured and judged as usual, or else all in one other way,
    that of most lags."""
    ways = [list(way) for _, way in groupby(sorted(points, key=lambda p: p.label), key=lambda p: p.label)]
    best = max(ways, key=lambda way: (way[0].usual, len({p.lag for p in way})), default=[])
    return sorted({p.lag: p for p in sorted(best, key=lambda p: sum(p.runs))}.values(), key=lambda p: p.lag)


def _next_longer(line: Iterable[Point], lag: int) -> Point | None:
    """The point whose recipe an unmeasured lag takes: of the next longer lag, as what trains a lag trains
    shorter ones, too; of the longest where there is none."""
    points = sorted(line, key=lambda p: p.lag)
    return next((p for p in points if p.lag >= lag), points[-1] if points else None)


def _next_to(lags: Collection[int], lag: int) -> tuple[int, ...]:
    """The next shorter and the next longer one of some lags, as far as there are any."""
    return (
        *sorted(each for each in lags if each < lag)[-1:],
        *sorted(each for each in lags if each > lag)[:1],
    )


def _seconds(line: Sequence[Point], lag: int) -> float | None:
    """How long a lag takes to measure, on one core, as its neighbours did; None outside them."""
    timed = [p for p in line if p.seconds > 0]
    if not timed or not timed[0].lag <= lag <= timed[-1].lag:
        return None
    lags, seconds = np.log2([(p.lag, p.seconds) for p in timed]).T
    return float(np.exp2(np.interp(np.log2(lag), lags, seconds)))


def command(
    task: Task,
    lag: int,
    cell: str = "lstm",
    line: Sequence[Point] = (),
    point: Point | None = None,
    widths: tuple[float, float, float] | None = None,
    enough: bool = False,
    config_dir: Path | None = None,
    layers: int = 1,
) -> str:
    """A command that measures a lag.

    Args:
        task, lag, cell, layers: what to measure.
        line: points of other lags; the next longer one's recipe is taken, without any the recommended one.
        point: what was measured of the lag itself.
        widths: estimate, low and high of what it takes; None where that is not known.
        enough: whether a width is known to be enough. Where it is not, wider nets than were tried are
            measured; where no recipe tried trains the task, other recipes.
        config_dir: where a user's own recipes are.

    Returns:
        The command; nothing where no wider nets are allowed.
    """
    held = task.facts(lag, task.length(lag)).held
    near = point or _next_longer(line, lag)
    words = ["memcap train"]
    if config_dir is not None:
        words.append(f"--config-dir {shlex.quote(str(config_dir))}")
    words += [f"task={task.name}", *(f"task.{knob}" for knob in set_words(task)), f"task.lag={lag}"]
    words += [f"model.cell={cell}"] * (cell != "lstm") + [f"model.layers={layers}"] * (layers != 1)
    words += [] if near is None else near.evaluation_words
    study = re.sub(r"\W+", "_", f"{task.name}_L{lag}")
    if point is not None and not point.trains:
        widest = min(max(point.units[-1], 2 * held, 4), MOST_UNITS)
        raced = race_axes(own_start=starts_itself(cell))
        recipes = ", ".join(f"{name}: [{', '.join(map(str, values))}]" for name, values in raced.items())
        axes = f"{recipes}, model.units: 1..{widest}, seed: 8"
        return " ".join([*words, f"study={study}_race", "design=race", f"'axes={{{axes}}}'"])
    low, high = 1.0, max(FEWEST_UNITS, 2.0 * held)
    if widths is not None:
        low, high = (1 - CLOSE) * widths[1], (1 + CLOSE) * widths[2]
    if point is not None and not enough:
        if point.units[-1] >= MOST_UNITS:
            return ""
        low = point.units[-1] + 1
        high = max(high, 2 * low)
    least = max(1, min(math.floor(low), MOST_UNITS - 2))
    most = min(max(math.ceil(high), least + 2), MOST_UNITS)
    words += [] if near is None else near.recipe.words
    return " ".join(
        [*words, f"study={study}", "design=bisect", f"'axes={{model.units: {least}..{most}, seed: 8}}'"]
    )


def as_dict(result: Answer) -> dict[str, Any]:
    """The answer as plain values, for JSON. Numbers that don't exist are null."""
    point, theory = result.point, result.references
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
        "cell": result.cell,
        "layers": result.layers,
        "measured": point is not None,
        "source": result.source,
        "at": result.at,
        "share": result.share,
        "units": result.units,
        "estimate": result.estimate,
        "low": result.low,
        "high": result.high,
        "lags": list(result.lags),
        "between": result.between,
        "left_out": list(result.left_out),
        "trains": None if point is None else point.trains,
        **{k: row.get(k) for k in ("u_exist", *ends, "misfit", "fits")},
        "carry_numbers": result.carry_numbers,
        "information_floor": theory.information_floor,
        "one_per_number": theory.one_per_number,
        "constructed": theory.constructed,
        "bits": theory.bits,
        "budget": result.budget,
        "passed_from": result.passed_from,
        "runs_from": result.runs_from,
        **{k: row.get(k) for k in ("recipe", "recipes", "lr", "seeds", "runs", "lapse", "stretch", "counts")},
        "stretched_units": None if beyond is None else beyond[0],
        "stretched_median": None if beyond is None else beyond[1],
        "command": result.command,
        "seconds": result.seconds,
    }


def sentences(result: Answer, why: bool = False) -> list[str]:
    """The answer in plain words, a line each; `why`: and what it rests on."""
    return [*_first(result), *(_why(result) if why else [])]


def _share(result: Answer) -> str:
    return "9 of 10" if result.share == 0.9 else f"{100 * result.share:.4g} % of"


def _pass(result: Answer) -> str:
    """What counts as a pass."""
    if result.at == "steady":
        return f"succeed, also on sequences {result.stretch} times as long"
    return "succeed at the length that they were trained at" if result.task.stream else "succeed"


def _where(result: Answer) -> str:
    """The lags at which `Answer.runs_from` ran."""
    if result.point is not None:
        return "there"
    lags = _next_to(result.lags, result.lag)
    return f"at {'lags' if lags[1:] else 'lag'} {' and '.join(map(str, lags))}"


def _first(result: Answer) -> list[str]:
    """The width, or why there is none, and the command."""
    what, point = f"{result.label} at lag {result.lag}", result.point
    measure = [f"To measure it{_time(result)}:", result.command]
    if result.units is not None:
        each = "" if result.layers == 1 else f" in each of {result.layers} layers"
        few = result.passed_from < result.share * result.runs_from
        runs = f"{_share(result)} {'runs that train at all' if few else 'training runs'}"
        lines = [
            f"{what}: {plural(result.units, 'unit')}{each}. From this width on, {runs} {_pass(result)},"
            f" within {result.budget:,} training steps."
        ]
        if few:
            lines[0] += (
                f" Of the {plural(result.runs_from, 'run')} measured {_where(result)}, {result.passed_from}"
                " did: train several, keep the best."
            )
        if point is None:
            lines += [f"{_predicted(result)} A prediction: the lag itself was not measured.", *measure]
            return lines
        return lines if point.fit.fits else [*lines, _misfit(point)]
    if point is None:
        if result.estimate is None:
            return [f"{what} was not measured, nor enough other lags to predict it.", *measure]
        return [
            f"{what}: some {result.estimate:.3g} units are predicted, more than the {MOST_UNITS:,} that are"
            f" allowed at most. {_predicted(result)}",
            *measure,
        ]
    widest = plural(point.units[-1], "unit")
    if not point.trains:
        return [
            f"{what}: no recipe tried trains this. Of {plural(sum(point.runs), 'run')} with up to {widest}"
            f" {sum(point.solved)} passed, and no more with more units, which says nothing of wider nets."
            " To try other recipes first:",
            result.command,
        ]
    lines = [
        f"{what}: no width up to {widest} is known to be enough for {_share(result)} training runs to"
        f" {_pass(result)}, within {result.budget:,} training steps. That is a result of this training, not"
        " of the net."
    ]
    lines += [] if point.fit.fits else [_misfit(point)]
    if not result.command:
        return [*lines, f"Nets beyond {MOST_UNITS:,} units are not allowed."]
    return [*lines, "To measure wider nets:", result.command]


def _time(result: Answer) -> str:
    if result.seconds is None:
        return ""
    return f" (about {duration(round(result.seconds))} on one core, as its neighbours took)"


def _predicted(result: Answer) -> str:
    between, lags = result.between, ", ".join(map(str, result.lags))
    if between is not None:
        where = (
            f"It lies between lags {between[0]} and {between[1]}, of those measured: {lags}{_from(result)}."
        )
    else:
        where = f"It lies OUTSIDE the lags that were measured: {lags}{_from(result)}."
    if result.left_out:
        where += f" No recipe tried trained it at lag {', '.join(map(str, result.left_out))}: left out."
    return where


def _from(result: Answer) -> str:
    places = {None: "", **{name: f", of memcap's published study {name}" for name in NAMES}}
    places[ATLAS] = ", of memcap's published atlas"
    return places.get(result.source, f", from the rows in {result.source}")


def _misfit(point: Point) -> str:
    return (
        f"These counts do not rise with the width as the model expects ({columns(point)['counts']}): do not"
        " lean on this number before more seeds are trained."
    )


def _why(result: Answer) -> list[str]:
    """What the answer rests on."""
    lines, point = [], result.point
    if result.estimate is not None and result.high is not None:
        lines.append(
            f"Best estimate of the width from which on {_share(result)} of those runs pass that train at all:"
            f" {result.estimate:.3g} units, 95 % interval {result.low:.3g} to {result.high:.3g}, from"
            f" {plural(len(result.lags), 'lag')} together. The width to take is enough with a probability of"
            f" {100 * SURE:.0f} %, and is never less than at a shorter lag."
        )
    if result.units is not None:
        lines.append(f"The carry has {result.carry_numbers} numbers.")
    lines += [] if point is None else _measured(result, point)
    theory, thing = result.references, "number" if result.task.vocabulary is None else "symbol"
    lines.append(
        f"What has to be held: {plural(result.held, thing)}, {theory.bits:.3g} bits. Floor, float32"
        f" information: {plural(theory.information_floor, 'unit')}. One carry number per {thing} held (a"
        f" reference, not a floor): {plural(theory.one_per_number, 'unit')}."
    )
    if theory.constructed is not None:
        lines.append(f"Hand-set weights solve it, with no training, at {plural(theory.constructed, 'unit')}.")
    return lines


def _measured(result: Answer, point: Point) -> list[str]:
    """What was counted at the lag itself."""
    chosen = f" (best of {point.recipes}, chosen on the seeds it is judged on)" if point.recipes > 1 else ""
    lines = [
        f"Measured there: {plural(sum(point.runs), 'run')}, up to {point.seeds} seeds per width"
        f"{_from(result)}; recipe {point.recipe.name}{chosen}, learning rate {point.recipe.lr:g}, at"
        f" most {point.recipe.budget:,} training steps. Passed, by units: {columns(point)['counts']}.",
    ]
    if not point.trains:
        return lines
    f = point.fit
    lines.append(f"This lag alone: u50 {interval_text(f.u50)}, u90 {interval_text(f.u90)} units.")
    if result.at == "steady":
        lines.append(f"At the trained length alone: u90 {interval_text(point.trained.u90)} units.")
    more = closing(point)
    lines += [f"An interval is open; to close it, {more}."] if more else []
    if point.u_exist is not None:
        lines.append(f"Narrowest net that succeeded: {plural(point.u_exist, 'unit')}.")
    lines.append(
        f"About {100 * f.lapse:.0f} % of runs fail at any width (95 % interval {100 * f.lapse_low:.0f} to"
        f" {100 * f.lapse_high:.0f} %): train several, keep the best."
    )
    beyond = None if result.units is None else point.stretched_at(result.units)
    if beyond is not None:
        score = "accuracy" if point.task.higher_is_better else "error"
        longer = point.task.stretched(point.lag, result.stretch)
        by_chance = (
            f", about what a net without memory has ({point.task.facts(*longer).chance:.3g})"
            if point.task.is_chance(beyond[1], *longer)
            else ""
        )
        lines.append(
            f"At {result.stretch} times the lag (or length), the median {score} of the solved nets of"
            f" {plural(beyond[0], 'unit')} is {beyond[1]:.3g}{by_chance}."
        )
    return lines
