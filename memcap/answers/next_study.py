"""The study that would measure what an answer lacks, as a command, and how long it takes."""

import math
import re
import shlex
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import numpy as np

from memcap.config.recipes import race_axes, starts_itself
from memcap.frontiers.frontier import Point
from memcap.knobs import set_words
from memcap.models.model import MOST_UNITS
from memcap.thresholds.falls import possible_fall

if TYPE_CHECKING:
    from memcap.answers.answer import Answer, Question

WIDEST_AT_LEAST = 16  # units of the widest net, if nothing is known of the lag
MARGIN = 0.25  # share of the predicted interval's ends by which widths reach beyond it
REACH = 4  # units on either side of the width at which most seeds passed


def next_to(lags: Collection[int], lag: int) -> tuple[int, ...]:
    """Return the nearest shorter and the nearest longer of some lags, if there are any."""
    shorter = sorted(k for k in lags if k < lag)
    longer = sorted(k for k in lags if k > lag)
    return (*shorter[-1:], *longer[:1])


def longer_point(points: Iterable[Point], lag: int) -> Point | None:
    """Return the point whose recipe an unmeasured lag takes: that of the next longer
    lag, as a recipe that trains a lag trains shorter ones, too; if there is none, that
    of the longest."""
    points = sorted(points, key=lambda p: p.lag)
    return next((p for p in points if p.lag >= lag), points[-1] if points else None)


def command(answer: "Answer") -> str:
    """Return a command that measures the lag of an answer's question; "" if only wider
    nets than are allowed could tell more.

    The recipe is that of the measured lag or of the next longer one, or else the
    recommended one. If no recipe tried trains the task, the command tries others. If no
    width is known to be enough, it measures wider nets than were tried; if wider ones
    may fail more, more seeds of the widths that pass most.
    """
    question = answer.question
    point = answer.point
    name = re.sub(r"\W+", "_", f"{question.task.name}_L{question.lag}")
    words = _words(question)
    held = question.task.facts(question.lag, question.task.length(question.lag)).held
    most = max(WIDEST_AT_LEAST, 2.0 * held)
    near = point or longer_point(answer.points, question.lag)
    if near is None or (question.up_to and near.at != "up_to"):
        # what was measured at this lag alone, if anything, only bounds the widths
        if question.up_to:
            words.append("evaluation.until=up_to")
        if answer.high is not None:
            most = max(most, (1 + MARGIN) * answer.high)
        return " ".join([*words, f"study={name}", _bisection(1, most)])
    words += near.evaluation_words
    if point is not None and not point.trains:
        race = _race(question, max(point.units[-1], 2 * held, 4))
        return " ".join([*words, f"study={name}_race", race])
    words += [*near.recipe.words, f"study={name}"]
    least = 1.0
    if answer.low is not None and answer.high is not None:
        least = (1 - MARGIN) * answer.low
        most = (1 + MARGIN) * answer.high
    if point is not None and answer.units is None:
        if possible_fall(point.counts) is not None:
            first, last = around_best(point)
            return " ".join([*words, _axes(first, last, 2 * max(point.runs))])
        if point.units[-1] >= MOST_UNITS:
            return ""
        least = point.units[-1] + 1
        most = max(most, 2 * least)
    return " ".join([*words, _bisection(least, most)])


def around_best(point: Point) -> tuple[int, int]:
    """Return the first and last width to try around the one at which most seeds passed:
    as far as its neighbours among those tried, and at most `REACH` units."""
    shares = zip(point.solved, point.runs, strict=True)
    ranks = [(solved / runs, runs) for solved, runs in shares]
    best = point.units[ranks.index(max(ranks))]
    narrower = [units for units in point.units if units < best]
    wider = [units for units in point.units if units > best]
    first = max(best - REACH, narrower[-1] + 1 if narrower else 1)
    return first, min(best + REACH, wider[0] - 1 if wider else best)


def seconds(answer: "Answer") -> float | None:
    """Return the seconds to measure the lag on one core, interpolated between measured
    lags or extrapolated to a longer one; the most of the answers in `beside`, if there
    are any; None if unknown."""
    if answer.beside:
        known = [seconds(other) for other in answer.beside]
        return max((s for s in known if s is not None), default=None)
    timed = [point for point in answer.points if point.seconds > 0]
    lag = answer.question.lag
    if not timed or lag < timed[0].lag:
        return None
    x = np.log2([point.lag for point in timed])
    y = np.log2([point.seconds for point in timed])
    if lag <= timed[-1].lag:
        return float(np.exp2(np.interp(np.log2(lag), x, y)))
    if len(timed) <= 2:
        return None
    return float(np.exp2(np.polyval(np.polyfit(x, y, 1), np.log2(lag))))


def _words(question: "Question") -> list[str]:
    words = ["memcap train"]
    if question.config_dir is not None:
        words.append(f"--config-dir {shlex.quote(str(question.config_dir))}")
    words.append(f"task={question.task.name}")
    words += [f"task.{knob}" for knob in set_words(question.task)]
    words.append(f"task.lag={question.lag}")
    network = set_words(question.model, without=("units",))
    return [*words, *(f"model.{word}" for word in network)]


def _race(question: "Question", widest: int) -> str:
    axes = race_axes(starts_itself(question.model.cell), question.up_to)
    recipes = [f"{name}: [{', '.join(map(str, axes[name]))}]" for name in axes]
    units = f"model.units: 1..{min(widest, MOST_UNITS)}"
    return f"design=race 'axes={{{', '.join(recipes)}, {units}, seed: 8}}'"


def _bisection(least: float, most: float) -> str:
    first = max(1, min(math.floor(least), MOST_UNITS - 2))
    last = min(max(math.ceil(most), first + 2), MOST_UNITS)
    return f"design=bisect {_axes(first, last, 8)}"


def _axes(first: int, last: int, seeds: int) -> str:
    return f"'axes={{model.units: {first}..{last}, seed: {seeds}}}'"
