"""The common style of figures, and the words of their captions."""

import math
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.mathtext import MathTextParser
from matplotlib.text import Text

from memcap.confirmation import anywhere_words
from memcap.frontiers.frontier import Point
from memcap.rule import (
    Criterion,
    Evaluation,
    Verdict,
    solved_words,
    steady_words,
    up_to_words,
)
from memcap.tasks import FileTask
from memcap.thresholds.curve import Threshold

COLOURS = (
    "#0b5394",
    "#b45f06",
    "#38761d",
    "#741b47",
    "#5b5b5b",
    "#bf9000",
    "#134f5c",
    "#990000",
)
MARKERS = "osD^vP<>"


def leave_dollars(figure: Figure) -> None:
    """Print texts with a dollar as they are, not as formulas."""
    parser = MathTextParser("agg")
    for text in figure.findobj(Text):
        assert isinstance(text, Text)
        lines = text.get_text().splitlines()  # a formula ends with its line
        try:
            for line in lines:
                parser.parse(line)
        except ValueError:
            text.set_parse_math(False)


def colour_and_marker(k: int) -> tuple[str, str]:
    """Return colour and marker of line `k`, distinct for 64 lines."""
    return COLOURS[k % len(COLOURS)], MARKERS[(k + k // len(COLOURS)) % len(MARKERS)]


def draw_interval(axes: Axes, x: float, threshold: Threshold, colour: str) -> None:
    """Draw a bar from low to high, with arrows at open ends."""
    open_high = math.isinf(threshold.high)
    open_low = threshold.low == 0
    high = max(threshold.units, threshold.low) * 1.25 if open_high else threshold.high
    low = threshold.units / 1.25 if open_low else threshold.low
    axes.plot([x, x], [low, high], color=colour, lw=1, alpha=0.5, label="_interval")
    for end, is_open, arrow in ((high, open_high, "^"), (low, open_low, "v")):
        if is_open:
            axes.plot(
                x, end, marker=arrow, color=colour, ms=4, ls="", label="_open_end"
            )


def draw_box(axes: Axes, column: int, line: int, colour: Any) -> None:
    axes.barh(
        line,
        0.94,
        left=column - 0.47,
        height=0.9,
        color=colour,
        edgecolor="#bbbbbb",
        lw=0.5,
    )


def write_in(axes: Axes, x: float, y: float, text: str, **look: Any) -> None:
    axes.text(x, y, text, ha="center", va="center", **look)


def highest_end(threshold: Threshold) -> float:
    return max(
        threshold.units,
        threshold.high if math.isfinite(threshold.high) else threshold.low,
    )


def log2_axes(
    axes: Axes, lags: Sequence[int], widest: float, lowest: float, most_ticks: int
) -> None:
    """Put ascending lags and widths on scales of doublings, with two ticks or more of
    each."""
    axes.set_xscale("log", base=2)
    axes.set_yscale("log", base=2)
    bottom, top = 0.8 * lowest, 1.6 * widest
    powers = [2.0**k for k in _exponents(bottom, top)]
    if len(powers) < 2:
        powers = [2.0**k for k in _exponents(lowest / 2, widest * 2)]
        bottom, top = min(bottom, powers[0] / 1.25), max(top, powers[-1] * 1.25)
    left, right = lags[0] / 1.25, lags[-1] * 1.25
    places = {axes.xaxis: _apart(lags, most_ticks), axes.yaxis: powers}
    if len(lags) == 1:
        places[axes.xaxis] = [lags[0], 2 * lags[0]]
        right = 2 * lags[0] * 1.25
    for axis, ticks in places.items():
        axis.set_ticks(ticks, [f"{tick:g}" for tick in ticks])
        axis.set_ticks([], minor=True)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.grid(color="#dddddd", lw=0.5)


def _exponents(bottom: float, top: float) -> range:
    return range(math.ceil(math.log2(bottom)), math.floor(math.log2(top)) + 1)


def _apart(lags: Sequence[int], most: int) -> list[int]:
    """Choose at most so many of the ascending lags, from the last one down."""
    gap = math.log2(lags[-1] * 1.25 / (lags[0] / 1.25)) / most
    ticks = [lags[-1]]
    for lag in reversed(lags):
        if math.log2(ticks[-1] / lag) >= gap:
            ticks.append(lag)
    return ticks[::-1]


def legend_in_order(axes: Axes, labels: Iterable[str], **look: Any) -> None:
    """Draw a legend in this order; Matplotlib puts lines before bars."""
    handles, names = axes.get_legend_handles_labels()
    by_label = dict(zip(names, handles, strict=True))
    in_order = [label for label in labels if label in by_label]
    axes.legend([by_label[label] for label in in_order], in_order, **look)


def filled(parts: Iterable[str], characters: float) -> str:
    return "\n".join(textwrap.fill(part, round(characters)) for part in parts)


def caption_height(text: str) -> float:
    """Return the inches below the axes that a caption needs."""
    return 0.64 + 0.12 * (text.count("\n") + 1)


def write_below(figure: Figure, text: str) -> None:
    """Write lines below the axes; a figure gets taller if they need more than half."""
    below = caption_height(text)
    figure.set_figheight(max(figure.get_figheight(), 2 * below))
    figure.subplots_adjust(
        left=0.09, right=0.97, top=0.95, bottom=below / figure.get_figheight()
    )
    figure.text(0.02, 0.012, text, fontsize=7, va="bottom")


def choice_of_recipe(points: Sequence[Point]) -> str:
    most = max(p.recipes for p in points)
    if most == 1:
        return ""
    return (
        f" Each lag uses the best of up to {most} recipes, chosen on the seeds that it is"
        " judged on."
    )


def budgets(points: Iterable[Point]) -> str:
    return f"Budgets: {listing(sorted({p.recipe.budget for p in points}))} steps."


def pass_rules(points: Sequence[Point]) -> list[str]:
    """Explain "solved" and, if it counts, "steady", for each way of judging."""
    criteria: dict[tuple[Evaluation, bool], dict[str, set[float]]] = {}
    for p in points:
        # neither stretch nor until decides whether a member is solved
        way = replace(p.evaluation, stretch=1, until=None), isinstance(p.task, FileTask)
        criteria.setdefault(way, {}).setdefault(p.task.metric, set()).add(p.criterion)
    sentences = [
        solved_words(" or ".join(_criteria(each)), *way)
        for way, each in criteria.items()
    ]
    rules: dict[int, dict[int, list[str]]] = {}
    for p in (p for p in points if p.at == "steady"):
        tasks = rules.setdefault(p.evaluation.every, {}).setdefault(
            p.evaluation.stretch, []
        )
        tasks.append(p.task.name)
    for every, stretches in sorted(rules.items()):
        several = [
            f"{stretch} ({listing(tasks)})"
            for stretch, tasks in sorted(stretches.items())
        ]
        sentences.append(
            steady_words(
                " or ".join(several) if len(several) > 1 else min(stretches), every
            )
        )
    for verdict, words in (("up_to", up_to_words), ("anywhere", anywhere_words)):
        intervals = {p.evaluation.every for p in points if p.at == verdict}
        sentences += [words(every) for every in sorted(intervals)]
    return sentences


def _criteria(thresholds: dict[str, set[float]]) -> Iterable[str]:
    for metric, values in sorted(thresholds.items()):
        least = min(values)
        most = max(values)
        yield str(Criterion(metric, most)) + (
            f" (down to {least:.3g}, by lag)" if least < most else ""
        )


def which_seeds_count(points: Sequence[Point]) -> str:
    labels: dict[str, list[str]] = {}
    for p in points:
        verdict = Verdict.SOLVED if p.at == "trained" else Verdict(p.at)
        labels.setdefault(verdict.description, []).append(p.subject)
    seeds = "; ".join(
        f"{verdict} ({listing(names)})" for verdict, names in sorted(labels.items())
    )
    return f"A seed passes if its net is {seeds}."


def seeds(rows: pl.DataFrame) -> str:
    """Return words as "Seeds 0 to 3 and 100."."""
    own = rows["seed"].unique().sort().to_list()
    starts = [seed for seed in own if seed - 1 not in own]
    ends = [seed for seed in own if seed + 1 not in own]
    runs = [
        f"{a} to {b}" if a < b else f"{a}" for a, b in zip(starts, ends, strict=True)
    ]
    return f"Seed{'s' * (len(own) > 1)} {' and '.join(runs)}." if own else ""


def listing(values: Iterable[object]) -> str:
    """Join the distinct values by commas."""
    return ", ".join(map(str, dict.fromkeys(values)))
