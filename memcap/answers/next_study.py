"""The command of the study that follows from an answer, and how long it takes."""

import math
import re
import shlex

import numpy as np

from memcap.answers.answer import Answer, Question
from memcap.config.recipes import race_axes, recipe_file, recommended, starts_itself
from memcap.frontiers.frontier import Point, longer_point
from memcap.knobs import set_words
from memcap.models.model import MOST_UNITS
from memcap.thresholds.falls import possible_fall

# A study tries nets up to this many units, or wider if more are known to be needed.
LEAST_WIDEST = 16
# It begins and ends by this share beyond the interval that is predicted.
MARGIN = 0.25
# Widths tried again reach at most this many units beyond the one at which most seeds
# passed.
REACH = 4
SEEDS = 8  # of a width


def command(answer: Answer) -> str:
    """Return the command that trains nets of the advised width, or else that of
    `measurement`."""
    point = answer.training_point
    if point is None or not answer.is_known:
        return measurement(answer)
    words = _start(answer.question, point.lag)
    if point.length != point.task.length(point.lag):
        words.append(f"task.length={point.length}")
    words += [*point.evaluation_words, *point.recipe.words]
    words += [_study(answer.question, point.lag), f"model.units={answer.units}"]
    return " ".join([*words, f"'axes={{seed: {SEEDS}}}'"])


def measurement(answer: Answer) -> str:
    """Return a command that measures the lag; "" if only wider nets than are allowed
    could tell more.

    If wider nets may fail more, it measures more seeds of the widths that pass most.
    """
    question = answer.question
    study = _study(question, question.lag)
    words = _start(question, question.lag)
    held = question.task.facts(question.lag, question.task.length(question.lag)).held
    point = answer.point
    if point is not None and answer.kind == "untrained":
        if answer.lacks is None:
            words += point.evaluation_words
        race = _race(question, max(point.units[-1], 2 * held, 4))
        return " ".join([*words, f"{study}_race", race])
    least = 1.0
    # the widest net to try, in units: twice the number of symbols that a net must hold
    most = max(LEAST_WIDEST, 2.0 * held)
    if answer.high is not None:
        most = max(most, (1 + MARGIN) * answer.high)
    model = _model(answer)
    if model is None:
        # Rows judged in another way, if there are any, only say how wide to go.
        if question.up_to:
            words.append(f"evaluation.until={question.at}")
        return " ".join([*words, study, _bisection(least, most)])
    words += [*model.evaluation_words, *model.recipe.words, study]
    if answer.low is not None and answer.high is not None:
        least = (1 - MARGIN) * answer.low
        most = (1 + MARGIN) * answer.high
    if answer.kind == "not enough":
        if possible_fall(model.counts) is not None:
            first, last = around_best(model)
            return " ".join([*words, _axes(first, last, 2 * max(model.runs))])
        if model.units[-1] >= MOST_UNITS:
            return ""
        least = model.units[-1] + 1
        most = max(most, 2 * least)
    return " ".join([*words, _bisection(least, most)])


def _model(answer: Answer) -> Point | None:
    """Return the measurement whose rule and recipe a study of the lag takes, if any was
    judged as asked."""
    if answer.lacks is not None:
        return None
    return answer.point or longer_point(answer.points.values(), answer.question.lag)


def around_best(point: Point) -> tuple[int, int]:
    """Return the first and last width to try around the one that passed most, nearer
    than the next widths tried."""
    # of equal shares, the one with the most runs, and then the narrowest width
    ranks = {units: (solved / runs, runs) for units, solved, runs in point.by_width}
    best = max(ranks, key=ranks.__getitem__)
    narrower = [units for units in point.units if units < best]
    wider = [units for units in point.units if units > best]
    first = max(best - REACH, narrower[-1] + 1 if narrower else 1)
    return first, min(best + REACH, wider[0] - 1 if wider else best)


def seconds(answer: Answer) -> float | None:
    """Return the seconds that the study of `command` takes on one core, if known.

    Nets that measure a lag are scaled from the most similar measured point.
    """
    point = answer.training_point
    if point is not None and answer.is_known:
        nearest = min(point.units, key=lambda units: abs(units - (answer.units or 0)))
        place = point.units.index(nearest)
        return SEEDS * point.seconds_by_width[place] / point.runs[place]
    question = answer.question
    axes = re.search(
        r"bisect 'axes={model.units: (\d+)\.\.(\d+), seed", measurement(answer)
    )
    answers = (answer, *answer.beside)
    points = [p for each in answers for p in each.points.values() if p.seconds]
    if answer.elsewhere and not points:
        points = [answer.elsewhere.point]
    if not axes or not points:
        return None
    first, last = map(int, axes.groups())
    widths = last - first + 1  # of which it tries each, or those of halving the range
    widths = min(widths, widths.bit_length() + 1)
    length = question.task.length(question.lag)
    step = length * question.model.layers * math.sqrt(first * last)
    steps = {_work(point) / sum(point.runs): point for point in points}
    alike = steps[min(steps, key=lambda work: abs(math.log(work / step)))]
    budget = _budget(answer) / alike.recipe.budget
    return SEEDS * widths * step * budget * alike.seconds / _work(alike)


def _work(point: Point) -> int:
    units = int(np.dot(point.units, point.runs))
    return point.length * point.model.layers * units


def _budget(answer: Answer) -> int:
    model = _model(answer)
    if model is not None:
        return model.recipe.budget
    question = answer.question
    until = question.at if question.up_to else "solved"
    return recipe_file(recommended(question.task, question.lag, until))["budget"]


def _study(question: Question, lag: int) -> str:
    name = re.sub(r"\W+", "_", f"{question.task.name}_L{lag}")
    return f"study={name}"


def _start(question: Question, lag: int) -> list[str]:
    start = ["memcap train"]
    if question.config_dir is not None:
        start.append(f"--config-dir {shlex.quote(str(question.config_dir))}")
    start.append(f"task={question.task.name}")
    start += [f"task.{knob}" for knob in set_words(question.task)]
    start.append(f"task.lag={lag}")
    start += [f"model.{knob}" for knob in set_words(question.model, without=("units",))]
    return start


def _race(question: Question, widest: int) -> str:
    until = "solved"
    if question.up_to:
        until = question.at if question.task.filler else "up_to"
    axes = race_axes(starts_itself(question.model.cell), until)
    recipes = [f"{name}: [{', '.join(map(str, axes[name]))}]" for name in axes]
    units = f"model.units: 1..{min(widest, MOST_UNITS)}"
    return f"design=race 'axes={{{', '.join(recipes)}, {units}, seed: {SEEDS}}}'"


def _bisection(least: float, most: float) -> str:
    first = max(1, min(math.floor(least), MOST_UNITS - 2))
    last = min(max(math.ceil(most), first + 2), MOST_UNITS)
    return f"design=bisect {_axes(first, last, SEEDS)}"


def _axes(first: int, last: int, seeds: int) -> str:
    return f"'axes={{model.units: {first}..{last}, seed: {seeds}}}'"
