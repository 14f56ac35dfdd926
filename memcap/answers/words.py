"""An answer in words: sentences, JSON, and a script that trains the net."""

import math
import textwrap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from memcap.answers.answer import Answer, Kind
from memcap.answers.next_study import command as command_of, seconds
from memcap.cells import cell_facts
from memcap.cells.sizes import KEYS
from memcap.config.member import Member
from memcap.config.recipes import ResolvedRecipe
from memcap.frontiers.frontier import (
    Point,
    References,
    columns,
    counts_text,
    label,
    next_to,
    references,
)
from memcap.frontiers.words import (
    enough_words,
    fall_words,
    scores_words,
    seeds_to_close,
)
from memcap.knobs import UserError
from memcap.models.model import MOST_UNITS
from memcap.rule import SHORTER_LAGS, Evaluation
from memcap.scripts import check_network, definition, lags_words, script
from memcap.store.shards import ATLAS, NAMES, OUTPUTS, STUDIES
from memcap.store.status import incomplete
from memcap.tasks.mqar import Mqar
from memcap.terminal.words import InWords, duration, plural
from memcap.thresholds.falls import possible_fall
from memcap.thresholds.lags import PROBABILITY

# studies whose rows answer questions
ANSWERING = frozenset().union(*STUDIES.values())
HEADING_WIDTH = 115  # of lines in a script's docstring
MOST_LAGS = 8  # that a sentence lists
# What the JSON has of an answer, and of what theory says
OF_ANSWER = ("units", "training_lag", "estimate", "low", "high", "lags")
OF_THEORY = (
    "information_floor",
    "readout_floor",
    "one_per_number",
    "constructed",
    "bits",
)
# Columns of a point (memcap.frontiers.frontier.columns) that the JSON has, too: those
# of its fit (u_exist: the narrowest net that passed), and those of its runs
OF_FIT = (
    "u_exist",
    *(
        name + end
        for name in ("u50", "u90", "u50_trained", "u90_trained")
        for end in ("", "_low", "_high", "_censored")
    ),
    "misfit",
    "fits",
    "falls_from",
)
OF_RUNS = ("recipe", "recipes", "lr", "seeds", "runs", "lapse", "stretch", "counts")


class AnswerInWords(Answer, InWords):
    """An answer that prints as sentences: what `memcap.answer` returns."""

    def __str__(self) -> str:
        return "\n".join(sentences(self))

    @property
    def why(self) -> str:
        """Return what the answer rests on."""
        return "\n".join(why(self))

    def code(self, framework: str, file: str | Path | None = None) -> str:
        """Return a script that trains and judges a net of this width, in "keras",
        "torch" or "flax". With a file, such as net.py, write it there, and its
        sequences beside it.

        Raises:
            UserError: no such framework, no width, or no script for this cell or task.
        """
        command = f"memcap.answer(...).code({framework!r}, {str(file or 'net.py')!r})"
        return code(self, framework, None if file is None else Path(file), command)


# The width, or why there is none


def sentences(answer: Answer) -> list[str]:
    question = answer.question
    first, *lines = SAYS[answer.kind](answer)
    if answer.missing:
        lines.insert(0, incomplete(answer.missing, question.folder))
    if answer.units is not None and answer.lacks == "shorter lags":
        lines.append(
            f"This answer is for lag {question.lag} alone. It was not measured whether such a"
            " net is also right at shorter lags, and often it is not."
        )
    elif answer.units is not None and answer.lacks == "later starts":
        lines.append(
            "In these nets' sequences what counts began at the first step. It was not measured"
            f" whether such a net is also right after {question.task.filler}, and often it is"
            " not."
        )
    lines += [*_elsewhere(answer), *_next_step(answer)]
    if _contradicts(answer):
        lines.append(_second_answer(answer))
    return [first, *lines]


def _measured(answer: Answer) -> list[str]:
    point = answer.point
    misfit = [] if point is None or point.fit.fits else [_misfit(point)]
    return [*_width(answer), *misfit, *_falls(answer)]


def _longer(answer: Answer) -> list[str]:
    lag = answer.training_lag
    train = (
        f"Train them up to lag {lag}, where so few units were measured to be enough: a net that"
        f" is right at every lag up to {lag} is also right up to {answer.question.lag}."
    )
    return [*_width(answer), train, *_falls(answer)]


def _predicted(answer: Answer) -> list[str]:
    return [*_width(answer), _place(answer), *_falls(answer)]


def _not_enough(answer: Answer) -> list[str]:
    point = answer.point
    assert point is not None
    lines = [
        f"{_subject(answer)}: no width up to {plural(point.units[-1], 'unit')} is known to be"
        f" enough for {_share(answer)} training runs to {_passes(answer)}, within"
        f" {_budget(answer):,} training steps. This is a result of the training, not a limit of"
        " the net."
    ]
    fall = possible_fall(point.counts)
    if fall is not None:
        which = "Wider nets" if point.fit.fall else "Wider nets may"
        lines.append(f"{fall_words(fall, which)}.")
    elif not point.fit.fits:
        lines.append(_misfit(point))
    return lines


def _untrained(answer: Answer) -> list[str]:
    point = answer.point
    assert point is not None
    return [
        f"{_subject(answer)}: most seeds failed at every width. {sum(point.solved)} of"
        f" {plural(sum(point.runs), 'run')} with up to {plural(point.units[-1], 'unit')} passed"
        f" within {_budget(answer):,} steps, and not more with more units"
        f" ({scores_words(point)}).{_further(answer)} Train longer or change the recipe."
    ]


def _further(answer: Answer) -> str:
    counts = [
        f"{passed} of {runs} with {plural(units, 'unit')} in {budget:,} steps"
        for (units, budget), (passed, runs) in sorted(answer.further.items())
    ]
    return f" Of wider nets and longer training: {', '.join(counts)}." if counts else ""


def _too_wide(answer: Answer) -> list[str]:
    assert answer.estimate is not None
    return [
        f"{_subject(answer)}: some {_rounded(answer.estimate, 'unit')} are predicted, more than"
        f" the {MOST_UNITS:,} that are allowed. {_place(answer)}"
    ]


def _between(answer: Answer) -> list[str]:
    low, high = sorted(answer.beside, key=lambda other: other.units or 0)
    return [
        f"{_subject(answer)}: between {_beside(answer, low)} and {_beside(answer, high)}; not"
        f" measured. Both are{_from(low).removeprefix(',')}."
    ]


def _unknown(answer: Answer) -> list[str]:
    widths = [f"{_beside(answer, other)}{_from(other)}" for other in answer.beside]
    if widths:
        return [f"{_subject(answer)}: not measured; known: {'; '.join(widths)}."]
    lines = [f"{_subject(answer)}: not measured, and at too few lags for a prediction."]
    if answer.cells:
        question = answer.question
        lines.append(
            f"Cells with rows of {question.task.name}: {', '.join(answer.cells)}. memcap rank"
            f" {question.model.cell} compares cells on the tasks of the map."
        )
    return lines


SAYS: dict[Kind, Callable[[Answer], list[str]]] = {
    "measured": _measured,
    "longer": _longer,
    "predicted": _predicted,
    "tested": _predicted,
    "not enough": _not_enough,
    "untrained": _untrained,
    "too wide": _too_wide,
    "between": _between,
    "unknown": _unknown,
}


# Parts of these sentences


def _width(answer: Answer) -> list[str]:
    question = answer.question
    units = answer.units
    assert units is not None
    assert answer.estimate is not None
    width = plural(units, "unit")
    layers = question.model.layers
    where = "" if layers == 1 else f" in each of {layers} layers"
    if layers == 1 and isinstance(question.task, Mqar) and question.task.vocabulary:
        where = _in_bytes(answer, units)
    if answer.kind == "predicted":
        about = max(1, round(answer.estimate))
        width = f"about {plural(about, 'unit')}"
        if about < units:
            width += f", at most {units:,}"
        where += ", predicted from other lags; not measured"
    first = f"{_subject(answer)}: {width}{where}. {_share_passed(answer, units)}"
    passes = answer.passes
    if passes.passed < question.share * passes.runs:
        first += " Some runs fail at any width, so train several, and keep the best."
    facts = question.task.facts(question.lag, question.task.length(question.lag))
    if facts.answers_due == 1:
        return [first]
    return [
        first,
        f"A net passes if {100 * facts.threshold:g} % of the symbols are right. Then at least"
        f" {100 * facts.least_whole:.0f} % of whole sequences of {facts.answers_due} symbols are"
        " right.",
    ]


def _in_bytes(answer: Answer, units: int) -> str:
    cell = answer.question.model.cell
    facts = cell_facts(cell)
    widths = units, answer.low or 0, answer.high or 0
    size, low, high = (f"{facts.carry_bytes(width):,.0f}" for width in widths)
    keys = ""
    if facts.inputs:
        numbers = cell.partition("+key")[2].partition("+")[0] or KEYS
        keys = f" with keys of {numbers} numbers"
    return (
        f", or {size} bytes of state{keys} ({_share(answer)} runs pass at {low} to {high}"
        " bytes: 95 % interval)"
    )


def _share_passed(answer: Answer, units: int) -> str:
    points, width, passed, runs = answer.passes
    caveat = ""
    if width < units:
        caveat = (
            "No net so wide was trained: it is enough if wider nets do not fail more often"
            " than those that were. "
        )
    elif width > units and answer.kind != "predicted":
        caveat = (
            "No net of that width was trained; a curve through the counts of narrower and"
            " wider ones gives it. "
        )
    chosen = ", on new seeds," if answer.fresh else ""
    fewer = ""
    point = answer.training_point
    narrower = [each for each in point.units if each < units] if point else []
    if point and narrower:
        few, tried = point.passed(narrower[-1])
        fewer = f" With {plural(narrower[-1], 'unit')} {few} of {tried} did."
    low, high = (100 * end for end in wilson(passed, runs))
    return (
        f"{caveat}{passed} of {plural(runs, 'training run')}{_at_lags(answer, points)} with"
        f" {plural(width, 'unit')}{chosen} {_passes(answer)} within {_budget(answer):,} steps"
        f" (95 % interval: {low:.0f} to {high:.0f} %).{fewer}"
    )


def _at_lags(answer: Answer, points: Sequence[Point]) -> str:
    """Say at which lags something was measured; "" if it is the question's own."""
    lags = list(dict.fromkeys(str(point.lag) for point in points))
    if len(lags) > 1:
        return f" at lags {', '.join(lags[:-1])} and {lags[-1]}"
    return "" if lags == [str(answer.question.lag)] else f" at lag {lags[0]}"


def _passes(answer: Answer) -> str:
    """Return the verb for runs that pass, such as "succeed at every lag"."""
    task = answer.question.task
    lag = answer.question.lag
    if answer.at in SHORTER_LAGS:
        return "succeed at every lag"
    if answer.at == "steady" and answer.example is not None:
        stretch = answer.example.evaluation.stretch
        stretched_lag, length = answer.example.task.stretched(lag, stretch)
        if stretched_lag > lag:
            return f"succeed, also at lag {stretched_lag},"
        times = length / task.length(lag)
        return (
            f"succeed, also in sequences {times:.3g} times as long with the same lag,"
        )
    return (
        "succeed at the length that they were trained at" if task.stream else "succeed"
    )


def _falls(answer: Answer) -> list[str]:
    units = answer.units or 0
    falls = [point.fit.fall for point in answer.nearest if point.fit.fall]
    return [
        f"{fall_words(fall, 'Wider nets' if units <= fall.last else 'Nets in between')}."
        for fall in falls
    ]


def _misfit(point: Point) -> str:
    return (
        "These counts do not rise with the width as the model expects"
        f" ({counts_text(point)}). Do not rely on this number before more seeds are"
        " trained."
    )


def _subject(answer: Answer) -> str:
    question = answer.question
    name = label(question.task, question.model)
    if answer.example is not None:
        name = answer.example.subject
    at = answer.beside[0].at if answer.beside else answer.at
    lags = "every lag up to" if at in SHORTER_LAGS else "lag"
    begins_anywhere = at == "anywhere" and question.task.filler
    where = ", wherever in a sequence the task begins" if begins_anywhere else ""
    if question.at not in SHORTER_LAGS and question.task.has_other_lags(question.lag):
        where = " alone"
    return f"{name} at {lags} {question.lag}{where}"


def _place(answer: Answer) -> str:
    lags = f"{_lags(answer.lags)}{_from(answer)}."
    where = f"It lies OUTSIDE the measured lags, {lags}"
    if lags_around := _lags_around(answer):
        where = "It lies between lags {} and {}.".format(*lags_around)
        where += f" The measured lags are {lags}"
    if is_far(answer):
        where += " For more than twice the longest of them no script is written."
    left_out = ", ".join(map(str, _left_out(answer)))
    if left_out:
        where += f" Lags at which no recipe trained it are left out: {left_out}."
    return where


def _lags(lags: Sequence[int]) -> str:
    texts = list(map(str, lags))
    if len(texts) > MOST_LAGS:
        texts = [*texts[: MOST_LAGS - 2], "...", texts[-1]]
    return ", ".join(texts)


def _lags_around(answer: Answer) -> tuple[int, ...] | None:
    """Return the measured lags on both sides of an unmeasured one, if any."""
    lags = next_to(answer.lags, answer.question.lag)
    return lags if answer.point is None and len(lags) == 2 else None


def _left_out(answer: Answer) -> list[int]:
    return [lag for lag, point in answer.points.items() if not point.trains]


def _from(answer: Answer) -> str:
    source = answer.source
    if source is None:
        return ""
    if source == ATLAS:
        return ", of memcap's published atlas"
    if source in NAMES:
        return f", of memcap's published study {source}"
    return f", from the rows in {source}"


def _beside(answer: Answer, other: Answer) -> str:
    own = vars(answer.question.task)
    knobs = vars(other.question.task).items()
    differs = [f"{name}={value}" for name, value in knobs if value != own[name]]
    return f"{plural(other.units or 0, 'unit')} ({', '.join(differs) or 'one layer'})"


def _elsewhere(answer: Answer) -> list[str]:
    # what is predicted to be too wide is so whatever was measured elsewhere
    if answer.elsewhere is None or answer.kind == "too wide":
        return []
    study, point, units = answer.elsewhere
    question = answer.question
    lags = f"every lag up to {point.lag}"
    hint = ""
    if point.at not in SHORTER_LAGS:
        lags = f"lag {point.lag}{' alone' * question.up_to}"
        is_same = (point.task, point.lag) == (question.task, question.lag)
        if is_same and question.up_to and study in ANSWERING:
            hint = ": --exactly answers from it"
    passed, runs = point.passed(units)
    nets = f"{passed} of {plural(runs, 'run')} with {plural(units, 'unit')}"
    verdict = "are right on longer sequences, too" if point.at == "steady" else "pass"
    net = label(point.task, point.model)
    return [
        f"Also measured: {net} at {lags}, where {nets} {verdict} (study {study}{hint})."
    ]


def _next_step(answer: Answer) -> list[str]:
    command = command_of(answer)
    if answer.is_known:
        return ["To train such nets:", command]
    if answer.kind == "untrained":
        return ["To try other recipes:", command]
    if answer.kind == "not enough":
        if not command:
            return [f"Nets beyond {MOST_UNITS:,} units are not allowed."]
        more = "wider nets"
        if answer.point and possible_fall(answer.point.counts) is not None:
            more = "more seeds of the widths that pass most"
        if answer.lacks:
            more = "every lag up to it, wherever the task begins"
        return [f"To measure {more}:", command]
    time = seconds(answer)
    if time is None:
        return ["To measure it:", command]
    words = duration(math.ceil(time))
    return [f"To measure it (very roughly {words} on one core):", command]


def _contradicts(answer: Answer) -> bool:
    """Return whether `second` answers otherwise, and as much of what was asked."""
    other = answer.second
    if other is None or other.units in (None, answer.units):
        return False
    return other.lacks is None or answer.lacks is not None


def _second_answer(answer: Answer) -> str:
    other = answer.second
    assert other is not None
    points = other.nearest
    lags = _at_lags(other, points)
    if other.lacks:
        lags = f" of lag {other.question.lag} alone"
    nets = f"{plural(sum(sum(point.runs) for point in points), 'run')}{lags}"
    width = "no width" if other.units is None else plural(other.units, "unit")
    whose = f"The {nets}{_from(other)},"
    if other.source == str(OUTPUTS):
        whose = f"Your own {nets} in {other.source}"
    return (
        f"{whose} would give {width}, but the answer above rests on nearer or more runs. To"
        f" use only those, name them: memcap answer ... {other.source}"
    )


def _budget(answer: Answer) -> int | None:
    point = answer.training_point
    points = answer.trainable.values() if point is None else [point]
    return max((p.recipe.budget for p in points), default=None)


def _share(answer: Answer) -> str:
    share = answer.question.share
    return "9 of 10" if share == 0.9 else f"{100 * share:.4g} % of"


def _rounded(value: float, noun: str) -> str:
    text = f"{value:.3g}"
    return f"{text} {noun}" if text == "1" else f"{text} {noun}s"


def wilson(passed: int, runs: int) -> tuple[float, float]:
    z = 1.96
    middle = (passed + z * z / 2) / (runs + z * z)
    half = z / (runs + z * z) * math.sqrt(passed * (runs - passed) / runs + z * z / 4)
    return max(0.0, middle - half), min(1.0, middle + half)


# What it rests on


def why(answer: Answer) -> list[str]:
    lines = []
    if answer.second is not None and not _contradicts(answer):
        lines.append(_second_answer(answer))
    if answer.estimate is not None:
        lines.append(
            f"Best estimate of the width at which {_share(answer)} runs that train at all pass:"
            f" {_rounded(answer.estimate, 'unit')}, 95 % interval {answer.low:.3g} to"
            f" {answer.high:.3g}, from {plural(len(answer.lags), 'lag')} together. With a"
            f" probability of {100 * PROBABILITY:.0f} %, the width to take is enough. This assumes"
            " that nets with up to half as many units more do not fail again, and that few seeds"
            " need much wider nets than most: where many do, it is enough less often. The width is"
            " at least that of any shorter lag."
        )
    if answer.units is not None:
        lines.append(f"The carry has {_carry_numbers(answer)} numbers.")
    if answer.point is not None:
        lines += _on_measurement(answer, answer.point)
    return lines + _on_theory(answer)


def _on_measurement(answer: Answer, point: Point) -> list[str]:
    recipe = point.recipe
    chosen = ""
    if point.recipes > 1:
        chosen = f" (best of {point.recipes}, chosen on the seeds that it is judged on)"
    lines = [
        f"Measured there: {plural(sum(point.runs), 'run')}, up to {point.seeds} seeds per"
        f" width{_from(answer)}; recipe {recipe.name}{chosen}, learning rate"
        f" {recipe.lr:g}, at most {recipe.budget:,} training steps. Passed, by units:"
        f" {counts_text(point)}."
    ]
    if not point.trains:
        return lines
    fit = point.fit
    lines.append(
        f"This lag alone: for half of the runs {enough_words(fit.u50)}; for 9 of 10"
        f" {enough_words(fit.u90)}."
    )
    if point.at != "trained":
        alone = f"lag {point.lag}" if point.at in SHORTER_LAGS else "the trained length"
        u90 = enough_words(point.trained_fit.u90)
        lines.append(f"At {alone} alone, by the same training: for 9 of 10 {u90}.")
    if more := seeds_to_close(point):
        lines.append(f"An interval is open; to close it, {more}.")
    if point.u_exist is not None:
        lines.append(f"Narrowest net that succeeded: {plural(point.u_exist, 'unit')}.")
    lines.append(
        f"About {100 * fit.lapse:.0f} % of runs fail at any width (95 % interval"
        f" {100 * fit.lapse_low:.0f} to {100 * fit.lapse_high:.0f} %). Train several, and keep the"
        " best."
    )
    return lines + _on_stretched(answer, point)


def _on_stretched(answer: Answer, point: Point) -> list[str]:
    task = point.task
    longer = task.stretched(point.lag, point.evaluation.stretch)
    score = None if answer.units is None else point.stretched_at(answer.units)
    if score is None or longer == (point.lag, point.length):
        return []  # a user's own sequences have no longer ones
    units, median = score
    chance = ""
    if task.is_chance(median, *longer):
        guess = task.facts(*longer).chance
        chance = f", about what a net without memory has ({guess:.3g})"
    name = "accuracy" if task.higher_is_better else "error"
    return [
        f"At lag {longer[0]}, in {longer[1]:,} steps, the median {name} of the solved nets of"
        f" {plural(units, 'unit')} is {median:.3g}{chance}."
    ]


def _on_theory(answer: Answer) -> list[str]:
    task = answer.question.task
    lag = answer.question.lag
    theory = _references(answer)
    length = answer.point.length if answer.point else task.length(lag)
    noun = "number" if task.vocabulary is None else "symbol"
    symbols = plural(task.facts(lag, length).held, noun)
    kind = "a reference, not a floor"
    if theory.linear_floor == theory.one_per_number:
        kind = "a floor for linear cells"
    elif theory.linear_floor:
        kind = f"the floor for linear cells is {theory.linear_floor:,}"
    readout = ""
    if theory.readout_floor > 1:
        readout = f", and by a linear read-out {plural(theory.readout_floor, 'unit')}"
    lines = [
        f"A net must hold {symbols}, or {_rounded(theory.bits, 'bit')}. The"
        f" floor, by float32 information, is {plural(theory.information_floor, 'unit')}"
        f"{readout}. One carry number per {noun} held takes"
        f" {plural(theory.one_per_number, 'unit')} ({kind})."
    ]
    if theory.constructed is not None:
        by_hand = plural(theory.constructed, "unit")
        lines.append(f"Weights set by hand solve it with {by_hand}, without training.")
    return lines


def _references(answer: Answer) -> References:
    question = answer.question
    return references(question.task, question.lag, model=question.model)


def _carry_numbers(answer: Answer) -> int | None:
    model = answer.question.model
    per_unit = model.layers * cell_facts(model.cell).numbers_per_unit
    return None if answer.units is None else per_unit * answer.units


# The net: its definition, a script, JSON


def is_far(answer: Answer) -> bool:
    return answer.kind == "predicted" and answer.question.lag > 2 * answer.lags[-1]


def defining_answer(answer: Answer) -> Answer | None:
    """Return the answer that defines a net: this one, or the wider of two beside it.
    None without a width, or if it is predicted for too long a lag."""
    if answer.kind == "between":
        answer = max(answer.beside, key=lambda other: other.units or 0)
    return None if answer.units is None or is_far(answer) else answer


def _training(answer: Answer) -> tuple[ResolvedRecipe, str | None]:
    """Return the recipe of an answer with a width, and the verdict until which to
    train. If the rows began at the first step, but the question may begin anywhere, the
    recipe also draws what comes before."""
    assert answer.recipe is not None
    if answer.lacks == "later starts":
        recipe = replace(answer.recipe, lags="uniform", before="drawn")
        return recipe, answer.question.at
    return answer.recipe, answer.at if answer.at in SHORTER_LAGS else None


def code(
    answer: Answer, framework: str, file: Path | None = None, command: str = ""
) -> str:
    """Return the script of `AnswerInWords.code`; its docstring names `command`, which
    writes it."""
    question = answer.question
    check_network(question.model, framework)
    source = defining_answer(answer)
    if source is None:
        raise UserError(f"code={framework}: {' '.join(sentences(answer)[:2])}")
    recipe, until = _training(source)
    member = Member(
        question.task,
        source.training_lag,
        model=replace(question.model, units=source.units),
        recipe=recipe,
        evaluation=Evaluation(until=until),
    )
    heading = textwrap.fill(sentences(answer)[0], HEADING_WIDTH)
    return script(member, framework, heading, file, command, width_words(answer))


def width_words(answer: Answer) -> str:
    if answer.is_width_measured:
        passes = answer.passes
        return f"{passes.passed} of {plural(passes.runs, 'training run')} passed"
    return "not measured" if answer.lacks is None else "not measured as asked"


def definition_lines(answer: Answer) -> list[str]:
    """Say how to define and train the net in Keras, if a script has this network and
    recipe."""
    source = defining_answer(answer)
    if source is None:
        return []
    question = answer.question
    model = replace(question.model, units=source.units)
    recipe, _ = _training(source)
    subject = question.task, source.training_lag or question.lag, recipe
    try:
        lines = definition("keras", *subject, model)
    except UserError:
        return []
    layer = "the layer" if model.layers == 1 else f"each of the {model.layers} layers"
    if source is not answer:
        layer = "the wider net"
    task = question.task
    inputs = "numbers" if task.vocabulary is None else "symbols, one-hot"
    return [
        f"In Keras {layer} is as follows, to be trained at {lags_words(*subject)}; a step has"
        f" {plural(task.features, 'feature')} ({inputs}). --code keras, torch or flax prints the"
        " whole script:",
        *lines[:-1],
        f"# with the peak learning rate for lag {subject[1]}:",
        lines[-1],
    ]


def as_dict(answer: Answer) -> dict[str, Any]:
    """Return the answer as plain values for JSON; missing numbers are null."""
    question = answer.question
    point = answer.point
    row = {} if point is None else columns(point)
    theory = _references(answer)
    stretched = (None, None)
    if point is not None and answer.units is not None:
        stretched = point.stretched_at(answer.units) or stretched
    return {
        "task": question.task.name,
        "knobs": dict(vars(question.task)),
        "lag": question.lag,
        "cell": question.model.cell,
        "layers": question.model.layers,
        "measured": point is not None,
        "source": answer.source,
        "at": answer.at,
        "share": question.share,
        **{name: getattr(answer, name) for name in OF_ANSWER},
        "between": _lags_around(answer),
        "left_out": _left_out(answer),
        "trains": row.get("trains"),
        **{name: row.get(name) for name in OF_FIT},
        "carry_numbers": _carry_numbers(answer),
        **{name: getattr(theory, name) for name in OF_THEORY},
        "budget": _budget(answer),
        "passed": answer.passes.passed,
        "nets": answer.passes.runs,
        "nets_units": answer.passes.units,
        **{name: row.get(name) for name in OF_RUNS},
        "stretched_units": stretched[0],
        "stretched_median": stretched[1],
        "beside": [
            {"knobs": dict(vars(other.question.task)), "units": other.units}
            for other in answer.beside
        ],
        "elsewhere": answer.elsewhere
        and {
            "study": answer.elsewhere.study,
            "units": answer.elsewhere.units,
            **columns(answer.elsewhere.point),
        },
        "missing": answer.missing,
        "command": command_of(answer),
        "seconds": seconds(answer),
    }
