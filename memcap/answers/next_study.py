"""The study that would measure what an answer lacks, as a command."""

import math
import re
import shlex
from collections.abc import Iterable, Sequence

from memcap.answers.question import Question
from memcap.config.knobs import set_words
from memcap.config.recipes import race_axes, starts_itself
from memcap.frontiers.points import Point
from memcap.models.model import MOST_UNITS
from memcap.thresholds.falls import possible_fall

FEWEST_UNITS = 16  # of the widest net if nothing is known
MARGIN = 0.25  # share of the predicted interval's ends by which widths reach beyond it
REACH = 4  # units on either side of the width at which most seeds passed


def next_longer(line: Iterable[Point], lag: int) -> Point | None:
    """Return the point whose recipe an unmeasured lag takes: that of the next longer
    lag, as a recipe that trains a lag trains shorter ones, too; if there is none, that
    of the longest."""
    points = sorted(line, key=lambda p: p.lag)
    return next((p for p in points if p.lag >= lag), points[-1] if points else None)


def command(
    question: Question,
    line: Sequence[Point] = (),
    point: Point | None = None,
    interval: tuple[float, float] | None = None,
    enough: bool = False,
) -> str:
    """Return a command that measures the lag of a question; "" if no wider nets are allowed.

    Args:
        question: the task, lag and network to measure.
        line: points of other lags; the recipe is that of the next longer one, or the
            recommended one if there are no points.
        point: the point of the lag itself, if it was measured.
        interval: ends of the interval of the width that it takes; None if unknown.
        enough: whether a width is known to be enough. If not, the command measures
            wider nets than were tried; if wider ones may fail more, more seeds of the
            widths that pass most; if no recipe tried trains the task, other recipes.
    """
    held = question.task.facts(question.lag, question.task.length(question.lag)).held
    near = point or next_longer(line, question.lag)
    most = max(FEWEST_UNITS, 2.0 * held)
    if near is not None and question.up_to and near.at != "up_to":
        # rows of this lag alone are only a hint
        most = max(most, (1 + MARGIN) * interval[1] if interval else 0.0)
        point = near = interval = None
    words = _words(question)
    if near is not None:
        words += near.evaluation_words
    elif question.up_to:
        words.append("evaluation.until=up_to")
    name = re.sub(r"\W+", "_", f"{question.task.name}_L{question.lag}")
    study = f"study={name}"
    if point is not None and not point.trains:
        recipes = _race(question, max(point.units[-1], 2 * held, 4))
        return " ".join([*words, f"{study}_race", "design=race", recipes])
    if near is not None:
        words += near.recipe.words
    words.append(study)
    if point is not None and not enough and possible_fall(point.counts) is not None:
        first, last = around_best(point)
        return " ".join([*words, _axes(first, last, 2 * max(point.runs))])
    least = 1.0
    if interval is not None:
        least = (1 - MARGIN) * interval[0]
        most = (1 + MARGIN) * interval[1]
    if point is not None and not enough:
        if point.units[-1] >= MOST_UNITS:
            return ""
        least = point.units[-1] + 1
        most = max(most, 2 * least)
    first = max(1, min(math.floor(least), MOST_UNITS - 2))
    last = min(max(math.ceil(most), first + 2), MOST_UNITS)
    return " ".join([*words, "design=bisect", _axes(first, last, 8)])


def around_best(point: Point) -> tuple[int, int]:
    """Return the first and last width to try around the one at which most seeds passed."""
    shares = zip(point.solved, point.runs, strict=True)
    ranks = [(solved / runs, runs) for solved, runs in shares]
    best = ranks.index(max(ranks)) + 1
    tried = (0, *point.units, point.units[-1] + 1)
    first = max(tried[best - 1] + 1, tried[best] - REACH)
    return first, min(tried[best + 1] - 1, tried[best] + REACH)


def _words(question: Question) -> list[str]:
    words = ["memcap train"]
    if question.config_dir is not None:
        words.append(f"--config-dir {shlex.quote(str(question.config_dir))}")
    words.append(f"task={question.task.name}")
    words += [f"task.{knob}" for knob in set_words(question.task)]
    words.append(f"task.lag={question.lag}")
    network = set_words(question.model, without=("units",))
    return [*words, *(f"model.{word}" for word in network)]


def _race(question: Question, widest: int) -> str:
    axes = race_axes(starts_itself(question.model.cell), question.up_to)
    recipes = [f"{name}: [{', '.join(map(str, axes[name]))}]" for name in axes]
    units = f"model.units: 1..{min(widest, MOST_UNITS)}"
    return f"'axes={{{', '.join(recipes)}, {units}, seed: 8}}'"


def _axes(first: int, last: int, seeds: int) -> str:
    return f"'axes={{model.units: {first}..{last}, seed: {seeds}}}'"
