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

FEWEST_UNITS = 16  # of the widest net if nothing is known: holding one thing may take several units
MARGIN = 0.25  # by which the widths reach beyond the predicted interval, as a share of its ends


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
    widths: tuple[float, float, float] | None = None,
    enough: bool = False,
) -> str:
    """Return a command that measures the lag of a question; "" if no wider nets are allowed.

    Args:
        question: the task, lag and network to measure.
        line: points of other lags; the recipe is that of the next longer one, or the
            recommended one if there are no points.
        point: the point of the lag itself, if it was measured.
        widths: estimate, low and high of the width that it takes; None if unknown.
        enough: whether a width is known to be enough. If not, the command measures
            wider nets than were tried; if wider ones may fail more, more seeds of the
            widths that pass most; if no recipe tried trains the task, other recipes.
    """
    held = question.task.facts(question.lag, question.task.length(question.lag)).held
    near = point or next_longer(line, question.lag)
    least_high = max(FEWEST_UNITS, 2.0 * held)
    if (
        question.up_to and near is not None and near.at != "up_to"
    ):  # rows of this lag only: a hint
        least_high = max(
            least_high, 0.0 if widths is None else (1 + MARGIN) * widths[2]
        )
        point = near = widths = None
    study = re.sub(r"\W+", "_", f"{question.task.name}_L{question.lag}")
    words = _words(question)
    if near is not None:
        words += near.evaluation_words
    elif question.up_to:
        words.append("evaluation.until=up_to")
    if point is not None and not point.trains:
        widest = min(max(point.units[-1], 2 * held, 4), MOST_UNITS)
        raced = race_axes(starts_itself(question.model.cell), question.up_to)
        recipes = ", ".join(
            f"{name}: [{', '.join(map(str, values))}]" for name, values in raced.items()
        )
        axes = f"{recipes}, model.units: 1..{widest}, seed: 8"
        return " ".join(
            [*words, f"study={study}_race", "design=race", f"'axes={{{axes}}}'"]
        )
    if point is not None and not enough and point.possible_fall is not None:
        first, last = point.around_best
        axes = f"'axes={{model.units: {first}..{last}, seed: {2 * max(point.runs)}}}'"
        return " ".join([*words, *point.recipe.words, f"study={study}", axes])
    low = 1.0
    high = least_high
    if widths is not None:
        low = (1 - MARGIN) * widths[1]
        high = (1 + MARGIN) * widths[2]
    if point is not None and not enough:
        if point.units[-1] >= MOST_UNITS:
            return ""
        low = point.units[-1] + 1
        high = max(high, 2 * low)
    least = max(1, min(math.floor(low), MOST_UNITS - 2))
    most = min(max(math.ceil(high), least + 2), MOST_UNITS)
    words += [] if near is None else near.recipe.words
    axes = f"'axes={{model.units: {least}..{most}, seed: 8}}'"
    return " ".join([*words, f"study={study}", "design=bisect", axes])


def _words(question: Question) -> list[str]:
    words = ["memcap train"]
    if question.config_dir is not None:
        words.append(f"--config-dir {shlex.quote(str(question.config_dir))}")
    knobs = [f"task.{knob}" for knob in set_words(question.task)]
    network = [
        f"model.{word}" for word in set_words(question.model, without=("units",))
    ]
    return [
        *words,
        f"task={question.task.name}",
        *knobs,
        f"task.lag={question.lag}",
        *network,
    ]
