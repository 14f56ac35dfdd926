"""An answer in words: plain English, JSON, and a script that trains the net."""

import math
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any

from memcap.answers.answer import PROBABILITY, Answer
from memcap.config.knobs import UserError
from memcap.config.member import Member
from memcap.config.recipes import Recipe
from memcap.frontiers.points import (
    Point,
    closing,
    columns,
    fall_words,
    interval_text,
    scores_words,
    widths_words,
)
from memcap.models.model import MOST_UNITS, Model
from memcap.rule import Evaluation
from memcap.scripts import check_network, script
from memcap.store.published import ATLAS, NAMES
from memcap.terminal.printing import duration
from memcap.terminal.words import plural

HEADING_WIDTH = 100  # of lines in a script's docstring
MOST_LAGS = 8  # that a sentence lists


@dataclass(frozen=True)
class PrintedAnswer(Answer):
    """An answer that prints as words, for Python."""

    @classmethod
    def of(cls, result: Answer) -> "PrintedAnswer":
        """Return an answer in the form that prints."""
        return cls(*(getattr(result, field.name) for field in fields(Answer)))

    def __str__(self) -> str:
        return "\n".join(sentences(self))

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Show the words in a notebook."""
        printer.text(str(self))

    @property
    def why(self) -> str:
        """The words that say what the answer rests on."""
        return "\n".join(why(self))

    def code(self, framework: str) -> str:
        """Return a script that trains and judges a net of this width, in "keras",
        "torch" or "flax".

        Raises:
            UserError: there is no such framework, no width, or no script for this cell or task.
        """
        return code(self, framework)


def code(result: Answer, framework: str) -> str:
    """Return the answer as a script; framework and errors as in `PrintedAnswer.code`."""
    check_network(Model(result.cell, 1, layers=result.layers), framework)
    if result.units is None:
        raise UserError(
            f"code={framework}: no width is known to be enough for {result.task.name} at lag"
            f" {result.lag}, so there is nothing to write; the answer itself says what to measure"
        )
    model = Model(result.cell, result.units, layers=result.layers)
    recipe = result.recipe or Recipe()
    until = "up_to" if result.at == "up_to" else None
    lag = result.training_lag or result.lag
    member = Member(
        result.task, lag, model=model, recipe=recipe, evaluation=Evaluation(until=until)
    )
    return script(member, framework, textwrap.fill(sentences(result)[0], HEADING_WIDTH))


def as_dict(result: Answer) -> dict[str, Any]:
    """Return the answer as plain values, for JSON. Missing numbers are null."""
    point = result.point
    theory = result.references
    row = {} if point is None else columns(point)
    names = ("u50", "u90", "u50_trained", "u90_trained")
    parts = ("", "_low", "_high", "_censored")
    ends = [f"{name}{part}" for name in names for part in parts]
    beyond = (
        None
        if point is None or result.units is None
        else point.stretched_at(result.units)
    )
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
        "training_lag": result.training_lag,
        "estimate": result.estimate,
        "low": result.low,
        "high": result.high,
        "lags": list(result.lags),
        "between": result.between,
        "left_out": list(result.left_out),
        "trains": None if point is None else point.trains,
        **{k: row.get(k) for k in ("u_exist", *ends, "misfit", "fits", "falls_from")},
        "carry_numbers": result.carry_numbers,
        "information_floor": theory.information_floor,
        "one_per_number": theory.one_per_number,
        "constructed": theory.constructed,
        "bits": theory.bits,
        "budget": result.budget,
        "passed_from": result.passed_from,
        "runs_from": result.runs_from,
        **{
            k: row.get(k)
            for k in (
                "recipe",
                "recipes",
                "lr",
                "seeds",
                "runs",
                "lapse",
                "stretch",
                "counts",
            )
        },
        "stretched_units": None if beyond is None else beyond[0],
        "stretched_median": None if beyond is None else beyond[1],
        "beside": [
            {"knobs": dict(vars(each.task)), "units": each.units}
            for each in result.beside
        ],
        "command": result.command,
        "seconds": result.seconds,
    }


def sentences(result: Answer) -> list[str]:
    """Say the width, or why there is none, and the command that would measure it; a
    sentence per line."""
    if result.units is not None:
        lines = _width(result, result.units)
    elif result.point is None:
        lines = _not_measured(result)
    else:
        lines = _no_width(result, result.point)
    return lines if result.own is None else [*lines, _own(result.own)]


def _own(own: Answer) -> str:
    runs = plural(sum(own.point.runs), "run") if own.point is not None else "runs"
    lag = "" if own.as_asked else f", of lag {own.lag} alone,"
    known = "no width" if own.units is None else plural(own.units, "unit")
    return (
        f"Your own {runs}{lag} in {own.source} would give {known}, but the answer above rests on"
        f" more runs. To use only yours, name the folder: memcap answer ... {own.source}"
    )


def _width(result: Answer, units: int) -> list[str]:
    each = "" if result.layers == 1 else f" in each of {result.layers} layers"
    few = result.passed_from < result.share * result.runs_from
    first = (
        f"{_subject(result)}: {plural(units, 'unit')}{each}. {_outcomes(result, units)}"
    )
    if few:
        first += " Some runs fail at any width, so train several, and keep the best."
    lines = [first, *_whole(result)]
    if result.trains_longer:
        lines.append(_longer(result))
    elif result.point is None:
        lines.append(
            f"{_predicted(result)} This is a prediction{_range(result)}: the lag was not"
            " measured."
        )
    elif not result.point.fit.fits:
        lines.append(_misfit(result.point))
    for point in result.points_from:
        if (fall := point.fit.fall) is not None:
            which = "Wider nets" if units <= fall.last else "Nets in between"
            lines.append(f"{fall_words(fall, which)}.")
    if not result.as_asked:
        lines.append(
            f"This answer is for lag {result.lag} alone. It was not measured whether such a net"
            " is also right at shorter lags, and often it is not."
        )
    known = result.as_asked and (result.point is not None or result.trains_longer)
    return lines if known else [*lines, *_measure(result)]


def _longer(result: Answer) -> str:
    """Say that nets should be trained up to a longer lag."""
    lag = result.lag
    longer = result.training_lag
    return (
        f"Train them up to lag {longer}, for which fewer units are known to be enough than for"
        f" lag {lag}: a net that is right at every lag up to {longer} is also right up to {lag}."
    )


def _outcomes(result: Answer, units: int) -> str:
    """Say how many runs of this width and wider ones passed, with an interval of the share."""
    passed = result.passed_from
    runs = result.runs_from
    if not runs:
        return "No net so wide was trained."
    low, high = (100 * end for end in wilson(passed, runs))
    widest = result.widest_from
    widths = f"{units} or more" if widest is None else widths_words(units, widest)
    noun = "unit" if widths == "1" else "units"
    return (
        f"{passed} of {plural(runs, 'training run')}{_where(result)} with {widths} {noun}"
        f" {_pass(result)} within {result.budget:,} steps (95 % interval: {low:.0f} to"
        f" {high:.0f} %)."
    )


def _whole(result: Answer) -> list[str]:
    """Say what a pass means for whole sequences, if a user wants these right."""
    facts = result.task.facts(result.lag, result.task.length(result.lag))
    if facts.answers_due == 1:
        return []
    return [
        f"A net passes if {100 * facts.threshold:g} % of the symbols are right. Then at least"
        f" {100 * facts.least_whole:.0f} % of whole sequences of {facts.answers_due} symbols are"
        " right."
    ]


def _rounded(value: float, noun: str) -> str:
    """Write a number with three significant digits, and its noun."""
    return f"{value:.3g} {noun}" + "s" * (f"{value:.3g}" != "1")


def wilson(passed: int, runs: int) -> tuple[float, float]:
    """Return Wilson's 95 % interval of a share, given that `passed` of `runs` runs passed."""
    z = 1.96
    middle = (passed + z * z / 2) / (runs + z * z)
    half = z / (runs + z * z) * math.sqrt(passed * (runs - passed) / runs + z * z / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


def _not_measured(result: Answer) -> list[str]:
    if result.estimate is None:
        first = f"{_subject(result)} was not measured, and too few other lags were to predict it."
        if result.beside:
            first += (
                f" These were measured{_from(result.beside[0])}:"
                f" {'; '.join(map(_brief, result.beside))}."
            )
    else:
        first = (
            f"{_subject(result)}: some {_rounded(result.estimate, 'unit')} are predicted, more"
            f" than the {MOST_UNITS:,} that are allowed. {_predicted(result)}"
        )
    return [first, *_measure(result)]


def _brief(result: Answer) -> str:
    units = (
        "no width is known" if result.units is None else plural(result.units, "unit")
    )
    return f"{_subject(result)}, {units}"


def _no_width(result: Answer, point: Point) -> list[str]:
    widest = plural(point.units[-1], "unit")
    if not point.trains:
        first = (
            f"{_subject(result)}: no recipe tried trains this. {sum(point.solved)} of"
            f" {plural(sum(point.runs), 'run')} with up to {widest} passed, and not more with"
            f" more units, which says nothing about wider nets ({scores_words(point)}). To try"
            " other recipes first:"
        )
        return [first, result.command]
    lines = [
        f"{_subject(result)}: no width up to {widest} is known to be enough for {_share(result)}"
        f" training runs to {_pass(result)}, within {result.budget:,} training steps. This is a"
        " result of the training, not a limit of the net."
    ]
    if (fall := point.possible_fall) is not None:
        lines.append(
            f"{fall_words(fall, 'Wider nets' if point.fit.fall else 'Wider nets may')}."
        )
    elif not point.fit.fits:
        lines.append(_misfit(point))
    if not result.command:
        return [*lines, f"Nets beyond {MOST_UNITS:,} units are not allowed."]
    if not result.as_asked:
        return [*lines, "To measure every lag up to it:", result.command]
    more = "wider nets" if fall is None else "more seeds of the widths that pass most"
    return [*lines, f"To measure {more}:", result.command]


def _subject(result: Answer) -> str:
    lags = "every lag up to" if result.at == "up_to" else "lag"
    return f"{result.subject} at {lags} {result.lag}"


def _share(result: Answer) -> str:
    return "9 of 10" if result.share == 0.9 else f"{100 * result.share:.4g} % of"


def _pass(result: Answer) -> str:
    if result.at == "up_to":
        return "succeed at every lag"
    if result.at == "steady" and result.first is not None:
        lag, length = result.first.task.stretched(result.lag, result.stretch)
        if lag > result.lag:
            return f"succeed, also at lag {lag},"
        times = length / result.task.length(result.lag)
        return (
            f"succeed, also in sequences {times:.3g} times as long with the same lag,"
        )
    return (
        "succeed at the length that they were trained at"
        if result.task.stream
        else "succeed"
    )


def _where(result: Answer) -> str:
    """Name the lags of `Answer.runs_from`."""
    *lags, last = [str(point.lag) for point in result.points_from]
    if not lags and last == str(result.lag):
        return ""
    return f" at lag{'s' * bool(lags)} {', '.join(lags)}{' and ' * bool(lags)}{last}"


def _measure(result: Answer) -> list[str]:
    """Say which command measures the lag, and how long that takes."""
    time = ""
    if result.seconds is not None:
        long = f"{duration(round(result.seconds))} on one core"
        time = f" (about {long}, as its neighbours took)"
        if not result.beside and result.lag > max(result.lags):
            time = f" (very roughly {long}, as the time has grown with the lag)"
    return [f"To measure it{time}:", result.command]


def _predicted(result: Answer) -> str:
    """Say where the lag lies among the measured ones."""
    between = result.between
    lags = _lags(result.lags)
    if between is not None:
        where = (
            f"It lies between lags {between[0]} and {between[1]}. The measured lags are"
            f" {lags}{_from(result)}."
        )
    else:
        where = f"It lies OUTSIDE the measured lags, {lags}{_from(result)}."
    if result.left_out:
        where += (
            " Lags at which no recipe trained it are left out:"
            f" {', '.join(map(str, result.left_out))}."
        )
    return where


def _range(result: Answer) -> str:
    if result.estimate is None or result.high is None:
        return ""
    return (
        f" (best estimate {result.estimate:.3g}, 95 % interval {result.low:.3g} to"
        f" {result.high:.3g})"
    )


def _lags(lags: Sequence[int]) -> str:
    """List lags; if there are many, the first ones and the last."""
    shown = list(map(str, lags))
    return ", ".join(
        shown if len(lags) <= MOST_LAGS else [*shown[: MOST_LAGS - 2], "...", shown[-1]]
    )


def _from(result: Answer) -> str:
    places = {
        None: "",
        **{name: f", of memcap's published study {name}" for name in NAMES},
    }
    places[ATLAS] = ", of memcap's published atlas"
    return places.get(result.source, f", from the rows in {result.source}")


def _misfit(point: Point) -> str:
    """Warn about counts that the model does not fit."""
    return (
        "These counts do not rise with the width as the model expects"
        f" ({columns(point)['counts']}). Do not rely on this number before more seeds are"
        " trained."
    )


def why(result: Answer) -> list[str]:
    """Say what the answer rests on, a sentence per line."""
    lines = []
    point = result.point
    if result.estimate is not None and result.high is not None:
        lines.append(
            f"Best estimate of the width at which {_share(result)} runs that train at all pass:"
            f" {_rounded(result.estimate, 'unit')}, 95 % interval {result.low:.3g} to"
            f" {result.high:.3g}, from {plural(len(result.lags), 'lag')} together. The width to"
            f" take is enough with a probability of {100 * PROBABILITY:.0f} %, and never less"
            " than at a shorter lag."
        )
    if result.units is not None:
        lines.append(f"The carry has {result.carry_numbers} numbers.")
    lines += [] if point is None else _measured(result, point)
    theory = result.references
    thing = "number" if result.task.vocabulary is None else "symbol"
    lines.append(
        f"A net must hold {plural(result.held, thing)}, or {_rounded(theory.bits, 'bit')}. The"
        f" floor, by float32 information, is {plural(theory.information_floor, 'unit')}. One"
        f" carry number per {thing} held takes {plural(theory.one_per_number, 'unit')} (a"
        " reference, not a floor)."
    )
    if theory.constructed is not None:
        lines.append(
            f"Weights set by hand solve it with {plural(theory.constructed, 'unit')}, without"
            " training."
        )
    return lines


def _measured(result: Answer, point: Point) -> list[str]:
    chosen = f" (best of {point.recipes}, chosen on the seeds that it is judged on)" * (
        point.recipes > 1
    )
    lines = [
        f"Measured there: {plural(sum(point.runs), 'run')}, up to {point.seeds} seeds per"
        f" width{_from(result)}; recipe {point.recipe.name}{chosen}, learning rate"
        f" {point.recipe.lr:g}, at most {point.recipe.budget:,} training steps. Passed, by units:"
        f" {columns(point)['counts']}."
    ]
    if not point.trains:
        return lines
    f = point.fit
    lines.append(
        f"This lag alone: u50 {interval_text(f.u50)}, u90 {interval_text(f.u90)} units."
    )
    if result.at != "trained":
        alone = f"lag {result.lag}" if result.at == "up_to" else "the trained length"
        lines.append(
            f"At {alone} alone, by the same training: u90 {interval_text(point.trained.u90)}"
            " units."
        )
    more = closing(point)
    lines += [f"An interval is open; to close it, {more}."] if more else []
    if point.u_exist is not None:
        lines.append(f"Narrowest net that succeeded: {plural(point.u_exist, 'unit')}.")
    lines.append(
        f"About {100 * f.lapse:.0f} % of runs fail at any width (95 % interval"
        f" {100 * f.lapse_low:.0f} to {100 * f.lapse_high:.0f} %). Train several, and keep the"
        " best."
    )
    here = point.task.stretched(point.lag, result.stretch) == (
        point.lag,
        point.length,
    )  # as of own sequences
    beyond = None if result.units is None or here else point.stretched_at(result.units)
    return lines if beyond is None else [*lines, _stretched(result, point, *beyond)]


def _stretched(result: Answer, point: Point, units: int, median: float) -> str:
    """Say how solved nets of a width score at the stretched length."""
    score = "accuracy" if point.task.higher_is_better else "error"
    longer = point.task.stretched(point.lag, result.stretch)
    chance = ""
    if point.task.is_chance(median, *longer):
        chance = f", about what a net without memory has ({point.task.facts(*longer).chance:.3g})"
    return (
        f"At {result.stretch} times the lag (or length), the median {score} of the solved nets of"
        f" {plural(units, 'unit')} is {median:.3g}{chance}."
    )
