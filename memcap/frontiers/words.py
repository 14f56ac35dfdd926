"""Points of a frontier in words."""

import math
from collections.abc import Callable

from memcap.frontiers.frontier import Point
from memcap.tasks import FileTask
from memcap.terminal.words import number, plural
from memcap.thresholds.curve import Fall, Threshold

SIGNS = {"no": "", "below": "<= ", "above": "> "}  # of a censored threshold


def interval_text(width: Threshold, write: Callable[[float], str] = number) -> str:
    """Write a threshold with its interval: "4.3 [3.5, open]", "<= 2", "> 8 [6.5, open]"."""
    units = SIGNS[width.censored] + write(width.units)
    low = "open" if width.low == 0 else write(width.low)
    high = "open" if math.isinf(width.high) else write(width.high)
    nothing_known = low == high == "open"
    if width.low == width.high or nothing_known:
        return units
    return f"{units} [{low}, {high}]"


def enough_words(width: Threshold) -> str:
    """Say how many units are enough: "1 unit is enough (at most 4)"."""
    units = number(width.units)
    said = f"{units} unit{' is' if units == '1' else 's are'}"
    if width.censored == "above":
        return f"{said} not enough (the interval begins at {number(width.low)})"
    if math.isinf(width.high):
        return f"{said} enough (no upper end is known)"
    if width.censored == "below":
        return f"{said} enough (at most {math.ceil(width.high)})"
    return f"{said} enough ({number(width.low)} to {number(width.high)})"


def widths_words(first: int, last: int) -> str:
    if first == last:
        return str(first)
    return f"{first} {'or' if last == first + 1 else 'to'} {last}"


def fall_words(fall: Fall, which: str = "wider nets") -> str:
    """Say that some nets fail more than narrower ones, with the counts."""
    wider = widths_words(fall.wider, fall.widest)
    few = f"{fall.wider_passed} of {fall.wider_runs} passed with {wider} units"
    narrower = widths_words(fall.first, fall.last)
    return f"{which} fail more: {few}, {fall.passed} of {fall.runs} with {narrower}"


def scores_words(point: Point) -> str:
    """Say what nets of each width scored, and what else could compare the widths."""
    scores = zip(point.units, point.final_by_width, strict=True)
    texts = [f"{units}:{number(score) or 'diverged'}" for units, score in scores]
    words = f"median {point.task.metric} at the end, by units: {' '.join(texts)}"
    if isinstance(point.task, FileTask):
        return f"{words}; {point.task.mend_unsolved}"
    return words


def seeds_to_close(point: Point) -> str | None:
    """Say which seeds to train to close open ends of the intervals of u50 and u90; None
    if there are none."""
    units = point.units
    u50 = point.fit.u50
    u90 = point.fit.u90
    open_low = u50.low == 0
    open_high = math.isinf(u90.high)
    if not open_low and not open_high:
        return None
    if u50.censored == "below":
        if open_low:
            return _train(8, max(1, units[0] // 2), units[0])
        return _train(2 * point.seeds, units[0], units[0])
    under = [u for u in units if u < u50.units]
    over = [u for u in units if u >= u90.units]
    first = under[-1] if open_low and under else math.floor(u50.units)
    last = over[0] if over else units[-1]
    if open_high:
        last = max(last, math.ceil(1.25 * units[-1]))
    tried = zip(units, point.runs, strict=True)
    fewest = min((runs for u, runs in tried if first <= u <= last), default=0)
    return _train(8 if fewest < 8 else 16, first, last)


def _train(seeds: int, first: int, last: int) -> str:
    widths = f"{first} to {last} units" if first < last else plural(last, "unit")
    return f"train {seeds} seeds at {widths}"
