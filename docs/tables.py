"""The tables and sentences of README, docs and results/ that hold measured numbers,
made from the rows.

python docs/tables.py           writes them, as `make tables` does
python docs/tables.py --check   writes nothing; exit status 1 and a line per page that would change

A block of a page stands between `<!-- NAME -->` and `<!-- end -->`. NAME is one of this
file's `BLOCKS`, or a line that begins with `memcap`: then the block is what this
command prints. Or it calls `counts`: then the block is this line of Python and its
table.
"""

import contextlib
import io
import itertools
import json
import math
import re
import shlex
import statistics
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, get_args

import numpy as np
import polars as pl
from scipy.stats import binomtest, kendalltau, spearmanr

from memcap import cli, findings, store
from memcap.answers.answer import Answer, answer
from memcap.answers.question import Question
from memcap.answers.sources import from_rows
from memcap.answers.words import wilson
from memcap.cells.matrix import MatrixCell
from memcap.config.member import task_of
from memcap.figures import gap
from memcap.findings import resample
from memcap.frontiers import cell_map
from memcap.frontiers.cell_map import needs
from memcap.frontiers.comparison import in_numbers, shift
from memcap.frontiers.costs import content, costs, family, sentence
from memcap.frontiers.frontier import best_recipes, fit_all_recipes, frontier
from memcap.frontiers.layers import COUNTS, shapes
from memcap.frontiers.points import Point, label
from memcap.models.model import Model
from memcap.rule import Criterion, Evaluation, solved_words, steady_words, up_to_words
from memcap.store import curves
from memcap.store.columns import task_of as task_of_row
from memcap.store.published import ATLAS, STUDIES, rows_files
from memcap.store.rows import COLUMNS, passed_column
from memcap.tasks import Task
from memcap.terminal.printing import number
from memcap.thresholds.curve import Threshold

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(
    r"(<!-- (?P<name>[^\n]+?) -->\n)(?P<body>.*?)(<!-- end -->)", re.DOTALL
)
QUESTIONS = {  # what must be known after 50 steps: task, knobs
    "a bit, seen once": ("latch",),
    "one of 32 symbols, seen once": ("latch", "symbols=32"),
    "the sum of two of 51 numbers": ("adding",),
    "the order of two symbols": ("temporal_order",),
    "how many steps went by": ("count",),
    "four bits, to be repeated in order": ("copy",),
    "sixteen bits, to be repeated in order": ("copy", "items=16"),
    "at every step, the bit of 50 steps ago": ("delay_line",),
}
COPIES = tuple(("copy", f"items={items}") for items in (2, 4, 8, 16))
OPTIMIZER_NAMES = {"adam": "Adam", "muon": "Muon", "soap": "SOAP", "ggt": "GGT"}
OPTIMIZERS = tuple(OPTIMIZER_NAMES)  # in the order of columns
ADAM = ("adam 0.02", "adam 0.02, 24,000 steps")  # by the rate of its recipe
BESIDE_ADAM = ("adam 0.05", "muon 0.05", "ggt 0.03")
SEQUENCES_OF_MARKS = 10_000  # of sweeps/atlas/known_widths.py
LAYER_TASKS = {
    "delay_line": "delay line of 8",
    "copy": "copy of 8, lag 4",
    "mqar": "recall of 4 pairs",
}
# of sweeps/published_layers.yaml, the layers in which each task has all combinations of parts
LAYERS_WITH_PARTS = {"delay_line": 3, "copy": 3, "mqar": 1}
WITH_PARTS = pl.col("task").replace_strict(LAYERS_WITH_PARTS).eq(
    pl.col("layers")
) & ~pl.col("cell").str.contains("clock")
MOST_UNITS = 48  # of a cell on the map whose state is a vector
# the column of the steps after which a net has a verdict
STEPS_TO = {
    "solved": "steps_to_solve",
    "steady": "steps_to_steady",
    "up_to": "steps_to_up_to",
}
UNIFORM_RATE = 0.06  # of recipe=uniform
FRESH_SEEDS = 8400  # of sweeps/rates.yaml: these and later ones chose no rate
NEAR_THRESHOLDS = ("8 5", "12 7", "20 10", "20 12")  # lags and units
NEAR_IN_SECONDS = ("8 5", "12 6", "20 10")
SHORT = (
    "a bit, seen once",
    "one of 32 symbols, seen once",
    "how many steps went by",
    *list(QUESTIONS)[5:],
)


@cache
def rows_of(study: str) -> pl.DataFrame:
    """The published rows of a study."""
    return store.read(ROOT / "sweeps" / study)


@cache
def all_recipes() -> Sequence[Point]:
    """Every recipe's points of the atlas."""
    return fit_all_recipes(rows_of("atlas"))


@cache
def points() -> Sequence[Point]:
    """The frontier of the atlas, and of delay lines by Muon and GGT."""
    return frontier(pl.concat(map(rows_of, ("atlas", "muon", "ggt"))))


@cache
def points_by_adam() -> Sequence[Point]:
    """The frontier of the atlas alone."""
    return frontier(rows_of("atlas"))


def point(label: str, lag: int) -> Point:
    """One mark of it."""
    return next(p for p in points() if (p.label, p.lag) == (label, lag))


def width(threshold: Threshold) -> str:
    """Units with their interval."""
    sign = {"no": "", "below": "<= ", "above": "> "}[threshold.censored]
    low = f"{threshold.low:.1f}" if threshold.low > 0 else "open"
    high = f"{threshold.high:.1f}" if math.isfinite(threshold.high) else "open"
    return f"{sign}{threshold.units:.1f} [{low}, {high}]"


def u90(each: Point) -> str:
    """Units that 90 % of the seeds need, without an interval."""
    threshold = each.fit.u90
    return (
        f"> {threshold.units:.0f}"
        if threshold.censored == "above"
        else f"{threshold.units:.1f}"
    )


def table(head: Sequence[str], lines: Iterable[Sequence[Any]]) -> str:
    """A Markdown table."""
    text = [head, ["---"] * len(head), *lines]
    return "\n".join(f"| {' | '.join(map(str, line))} |" for line in text)


def filled(text: str) -> str:
    """A paragraph in lines of the width that the pages have."""
    words = text.split(" ")
    lines = [""]
    for word in words:
        if len(lines[-1]) + len(word) + 1 > 110:
            lines.append("")
        lines[-1] += (" " if lines[-1] else "") + word
    return "\n".join(lines)


@cache
def atlas_rows() -> pl.DataFrame:
    """All rows that `memcap answer` reads under the name of the atlas."""
    return pl.concat([store.read(file) for file in rows_files(ATLAS)])


@cache
def advised(task: str, *knobs: str) -> Answer:
    """Return the answer of `memcap answer` at lag 50."""
    return from_rows(atlas_rows(), Question(task_of(task, list(knobs)), 50))


def short_answer() -> str:
    """The answer in two sentences."""
    stream, (dearer, tasks) = advised("delay_line"), dearer_by_lag()
    adam = from_rows(rows_of("atlas"), stream.question)
    optimizers = [OPTIMIZER_NAMES[answer.recipe.optimizer] for answer in (adam, stream)]
    one = controls()["uniform", task_of("latch", []), 50, 1]
    frozen, bias = (f"{good} of {nets}" for good, nets in (one.frozen, one.bias))
    return filled(
        "**A net that sees one thing once and holds it for 50 steps or less needs"
        f" {advised('latch').units} unit. A net that must give the bit of 50 steps ago at every"
        f" step, and so holds 50 bits all the time, needs {adam.units} units with"
        f" {optimizers[0]}, and {stream.units} with {optimizers[1]} ({outcome(stream)} nets), in"
        f" up to {stream.budget:,} training steps.** Lag alone costs next to no width in"
        f" {tasks - len(dearer)} of {tasks} tasks; the other is"
        f" {' and '.join(b.task.name.replace('_', ' ') for _, b in dearer)}. Information costs"
        " width, and how much depends on how well the net was trained. The one unit"
        f" {'inherits its hold' if one.verdict.startswith('inherited') else 'learns to hold'}:"
        f" {bias} nets pass from forget bias 1, which by itself holds nothing for that long. If"
        f" only the read-out is trained, {frozen} pass; if nothing is,"
        f" {max(one.by_recipe, one.wide)} of {one.draws:,}."
    )


def bits(each: Point) -> float:
    """Bits that have to be held at the worst moment."""
    return each.task.facts(each.lag, each.length).bits


@cache
def dearer_by_lag() -> tuple[Sequence[tuple[Point, Point]], int]:
    """Return the shortest lag and lag 50 of the tasks that take more than twice the
    units there, though no more has to be held, and of how many tasks that is."""
    lines: dict[str, list[Point]] = {}
    for p in frontier(atlas_rows()):
        if p.trains and p.model.cell == "lstm" and p.model.layers == 1:
            lines.setdefault(label(p.task), []).append(p)
    ends = []
    for some in lines.values():
        own = [p for p in some if p.at == "up_to"] or some
        shortest = own[0]
        last = next((p for p in own if p.lag == 50), None)
        if last is not None and bits(last) <= bits(shortest):
            ends.append((shortest, last))
    return [
        (a, b) for a, b in ends if b.fit.u90.units > 2 * (1 + a.fit.u90.units)
    ], len(ends)


def lag_and_width() -> str:
    """Say of how many tasks a lag costs width though no more has to be held, and what
    was tried of one."""
    dearer, tasks = dearer_by_lag()
    each = "; ".join(
        f"{b.task.name.replace('_', ' ')} ({bits(b):.1f} bits at each lag), with {u90(a)} units"
        f" at lag {a.lag} and {u90(b)} at lag 50"
        for a, b in dearer
    )
    rows = rows_of("cycle_navigation").with_columns(passed_column())
    counts = (
        rows.group_by("units")
        .agg(pl.col("passed").sum(), pl.len())
        .sort("units")
        .iter_rows()
    )
    passed = ", ".join(f"{good} of {nets} with {units}" for units, good, nets in counts)
    short, long = (
        p for p in frontier(atlas_rows()) if p.task.name == "modular_arithmetic"
    )
    return filled(
        f"The same is true of {tasks - len(dearer)} of the {tasks} tasks that hold equally many"
        " bits at each lag and were measured up to lag 50: at lag 50 they take at most twice the"
        f" units of the shortest lag, plus two (u90). The exception is {each}. Of nets that train"
        " on all lags, with Adam and Muon at rates from .005 to .06, these pass up to lag 50:"
        f" {passed} units (`memcap train sweeps=cycle_navigation`). Modular arithmetic was not"
        f" measured as far: {u90(short)} units at lag {short.lag}, {u90(long)} at {long.lag}."
    )


def questions(names: Iterable[str] = QUESTIONS) -> str:
    """Units to take up to lag 50, and how many runs of this width and wider ones passed."""
    lines = []
    for name in names:
        task, *knobs = QUESTIONS[name]
        words = "".join(f" --knob {knob}" for knob in knobs)
        result = advised(task, *knobs)
        lines.append(
            (
                name,
                f"`memcap answer --task {task} --lag 50{words}`",
                result.units,
                outcome(result),
            )
        )
    head = (
        "what must be known after 50 steps or less",
        "ask",
        "units to take",
        "runs that passed",
    )
    return table(head, lines)


def up_to() -> str:
    """Units to take at every lag up to 50, beside those of lag 50 alone."""
    lines = []
    for task, subject in dict.fromkeys(
        (p.task, p.subject) for p in frontier(rows_of("up_to"))
    ):
        every, alone = (
            from_rows(atlas_rows(), Question(task, 50, at=at))
            for at in ("up_to", "steady")
        )
        cells = [
            (
                result.units or "",
                "" if result.point is None else width(result.point.fit.u90),
                outcome(result),
            )
            for result in (every, alone)
        ]
        lines.append((subject.replace("_", " "), *cells[0], *cells[1]))
    head = ("task", "every lag to 50", "u90", "passed", "lag 50 alone", "u90", "passed")
    return table(head, lines)


def up_to_by_net() -> str:
    """Units at every lag up to one: of an LSTM, of each of its two layers, and of other cells."""
    nets = {
        "LSTM": ("up_to", "lstm"),
        "two layers": ("up_to_layers", "lstm"),
        "GRU": ("up_to_cells", "GRUCell"),
        "SimpleCell": ("up_to_cells", "SimpleCell"),
    }
    points = [
        {(p.task, p.lag): p for p in frontier(rows_of(study).filter(cell=cell))}
        for study, cell in nets.values()
    ]
    lines = []
    for task, lag in (
        place for place in points[0] if any(place in by for by in points[1:])
    ):
        each = [by.get((task, lag)) for by in points]
        widths = (
            "" if p is None else width(p.fit.u90) if p.trains else "not trained"
            for p in each
        )
        lines.append((label(task).replace("_", " "), lag, *widths))
    return table(("task", "every lag to", *nets), lines)


def advice_up_to() -> str:
    """How the advised widths did up to lag 50, and to lags that nothing measured; of a
    stream at these."""
    rows = rows_of("up_to_fresh_seeds").with_columns(passed_column())
    slower = (pl.col("recipe") == "uniform") & (pl.col("lr") < UNIFORM_RATE)
    count = pl.col("passed").sum(), pl.len()
    by_half = rows.filter(slower).group_by("lag", "units").agg(*count).sort("lag")
    place = "task", "knobs", "optimizer", "lag", "units"
    cells = rows.filter(~slower).group_by(place).agg(*count).sort(place)
    by_optimizer = dict[str, list[str]]()
    by_task = dict[str, dict[int, str]]()
    for task, knobs, optimizer, lag, units, passed, seeds in cells.iter_rows():
        kind = task_of_row(task, knobs)
        if kind.stream:
            words = f"{passed} of {seeds} at lag {lag} with {units} units"
            by_optimizer.setdefault(optimizer, []).append(words)
        else:
            of = by_task.setdefault(label(kind), {})
            of[lag] = ", ".join(
                [*filter(None, [of.get(lag)]), f"{passed}/{seeds} ({units})"]
            )
    lags = sorted({lag for of in by_task.values() for lag in of})
    lines = [(name, *(of.get(lag, "") for lag in lags)) for name, of in by_task.items()]
    whole = table(("task, passed (units)", *(f"up to {lag}" for lag in lags)), lines)
    half = ", ".join(
        f"{n} of {of} up to {lag} with {units} units"
        for lag, units, n, of in by_half.rows()
    )
    copies = filled(
        f"With half the rate ({UNIFORM_RATE / 2:g}), these copies of 16 pass: {half}."
    )
    streams = (
        f"by {name}, {', '.join(of_lag)}" for name, of_lag in by_optimizer.items()
    )
    steady = filled(f"These delay lines were steady: {'; '.join(streams)}.")
    return f"{whole}\n\n{copies}\n\n{steady}"


def whole_sequences() -> str:
    """Tabulate the share of sequences without one mistake, of nets that pass."""
    rows = rows_of("whole_sequences").filter(passed_column())
    head = []
    lines = []
    for task, knobs, units in sorted(
        set(rows.select("task", "knobs", "units").iter_rows())
    ):
        own = rows.filter(task=task, knobs=knobs, units=units)
        kind = task_of_row(task, knobs)
        lag = own["lag"][0]
        lags = own["lengths"][0].split()
        shares = zip(*map(json.loads, own["whole_at_lengths"]), strict=True)
        head = [
            "task",
            "units",
            "nets",
            "at least",
            *(f"lag {each}: median (least)" for each in lags),
        ]
        facts = kind.facts(lag, kind.length(lag))
        cells = (f"{statistics.median(each):.3f} ({min(each):.3f})" for each in shares)
        lines.append(
            (label(kind), units, own.height, f"{facts.least_whole:.2f}", *cells)
        )
    return table(head, lines)


class Controls(NamedTuple):
    """How many nets of a condition passed, of how many: as advised, with a frozen cell,
    from forget bias 1 where this is not the start of the recipe; and how many of how
    many draws, of the recipe and wide.
    """

    advised: tuple[int, int]
    frozen: tuple[int, int]
    bias: tuple[int, int] | None
    by_recipe: int
    wide: int
    draws: int

    @property
    def verdict(self) -> str:
        """Say what the nets owe to their start."""
        inherits, learns = (
            2 * passed >= nets
            for passed, nets in (self.frozen, self.bias or self.advised)
        )
        words = ["inherited"] * inherits + ["learned"] * learns or [
            "learned, from that start alone"
        ]
        if luck := max(self.by_recipe, self.wide):
            words.append(f"guessed in {self.draws / luck:,.0f}")
        return ", or ".join(words)


@cache
def controls() -> dict[tuple[str, Task, int, int], Controls]:
    """All conditions of sweeps/learned, by recipe, task, lag and units."""
    counts = counts_by_control()
    conditions = {}
    for row in pl.read_csv(ROOT / "sweeps" / "learned" / "guesses.csv").iter_rows(
        named=True
    ):
        task = task_of_row(row["task"], row["knobs"])
        place = row["recipe"], task, row["lag"], row["units"]
        advised = counts[*place, "advised"]
        frozen = counts[*place, "frozen"]
        bias = None if row["recipe"] == "forget_bias" else counts[*place, "bias"]
        conditions[place] = Controls(
            advised, frozen, bias, row["by_recipe"], row["wide"], row["draws"]
        )
    return conditions


def learned() -> str:
    """Tabulate what the advised nets owe to their start: how many pass with a cell that
    stays as it starts, from a start that knows no lag, and by luck."""
    lines = []
    for (recipe, task, lag, units), nets in controls().items():
        counts = (f"{each[0]}/{each[1]}" if each else "-" for each in nets[:3])
        draws = (f"{luck:,} of {nets.draws:,}" for luck in (nets.by_recipe, nets.wide))
        lines.append(
            (
                label(task).replace("_", " "),
                lag,
                units,
                recipe,
                *counts,
                *draws,
                nets.verdict,
            )
        )
    head = (
        "task",
        "lag",
        "units",
        "recipe",
        "as advised",
        "cell frozen",
        "from forget bias 1",
    )
    return table((*head, "drawn", "drawn wide", "so it is"), lines)


def learned_in_short() -> str:
    """Say what the one unit of a latch owes to its start."""
    latch = controls()["uniform", task_of("latch", []), 50, 1]
    passed = [
        f"{good} of {nets}" for good, nets in (latch.advised, latch.bias, latch.frozen)
    ]
    return filled(
        f"With the advised recipe {passed[0]} nets of one unit latch a bit up to lag 50. From"
        f" forget bias 1, which knows no lag and forgets within a few steps, {passed[1]} do. If"
        f" only the read-out trains and the cell stays as it starts, {passed[2]} do. Of"
        f" {latch.draws:,} untrained nets {latch.by_recipe} pass as the recipe draws them, and"
        f" {latch.wide} with weights from -100 to 100."
    )


def fading_kernel() -> str:
    """Tabulate the units that a sum with fading weights takes, by lag."""
    lines = []
    for p in frontier(rows_of("fading_kernel")):
        counts = (f"{good}/{nets}" for good, nets in zip(p.solved, p.runs, strict=True))
        passed = dict(zip(p.units, counts, strict=True))
        lines.append(
            (
                p.lag,
                width(p.fit.u50),
                width(p.fit.u90),
                *(passed.get(k, "") for k in range(1, 5)),
            )
        )
    head = (
        "lag",
        "units at which half of the seeds pass",
        "nine in ten",
        "1 unit",
        "2 units",
    )
    return table((*head, "3 units", "4 units"), lines)


def counts_by_control() -> dict[tuple[str, Task, int, int, str], tuple[int, int]]:
    """How many nets passed, and how many there were, by recipe, task, lag, units and control."""
    rows = pl.concat(
        [
            rows_of(each)
            for each in ("learned", "up_to_fresh_seeds", "advice_fresh_seeds")
        ]
    )
    at_bias_one = (pl.col("init") == "forget_bias") & (
        pl.col("recipe") != "forget_bias"
    )
    control = (
        pl.when(freeze="cell")
        .then(pl.lit("frozen"))
        .when(at_bias_one)
        .then(pl.lit("bias"))
    )
    rows = rows.with_columns(
        passed_column(), control=control.otherwise(pl.lit("advised"))
    )
    groups = rows.group_by("recipe", "task", "knobs", "lag", "units", "control")
    totals: dict[tuple[str, Task, int, int, str], tuple[int, int]] = {}
    for recipe, name, knobs, *place, passed, nets in groups.agg(
        pl.col("passed").sum(), pl.len()
    ).iter_rows():
        task = task_of_row(name, knobs)  # older rows lack knobs that came since
        sums = totals.get((recipe, task, *place), (0, 0))
        totals[recipe, task, *place] = sums[0] + passed, sums[1] + nets
    return totals


def outcome(result: Answer) -> str:
    """Say how many runs of the advised width and wider ones passed."""
    return "" if result.units is None else f"{result.passed_from} of {result.runs_from}"


def six() -> str:
    """The README's table."""
    return questions(SHORT)


def whole_atlas() -> str:
    """Every mark of the atlas."""
    return marks(points())


def other_tasks() -> str:
    """Every mark of the tasks that the atlas has not."""
    return marks(other_points())


@cache
def other_points() -> Sequence[Point]:
    """The frontier of these tasks."""
    return frontier(rows_of("other_tasks"))


def marks(points: Iterable[Point]) -> str:
    """A line for each task and lag."""
    lines = []
    for p in points:
        r = p.references
        floor = f"{r.least_bits / 8:.3g}", r.information_floor
        theory = (
            *floor,
            r.one_per_number,
            "" if r.constructed is None else r.constructed,
        )
        recipe = f"{p.recipe.name}, {p.recipe.budget:,}"
        widths = width(p.fit.u50), width(p.fit.u90)
        lines.append((p.label.replace("_", " "), p.lag, *widths, *theory, recipe))
    theory = "floor, bytes", "floor", "one per number", "constructed"
    return table(("task", "lag", "u50", "u90", *theory, "recipe, budget"), lines)


def gap_in_short() -> str:
    """Say how far above the floor training ends, and where hand-set nets lie."""
    all_gaps = gap.gaps(
        pl.concat(map(rows_of, ("atlas", "other_tasks", "muon", "ggt")))
    )
    both = [each for each in all_gaps if each.hand_set and each.is_met]
    wider = [
        each.point.label.replace("_", " ")
        for each in both
        if each.any_seed < each.hand_set
    ]
    return filled(
        f"{gap.in_short(all_gaps)} At {len(wider)} of {len(both)} lines with a net set by hand"
        f" ({', '.join(wider)}), some seed found a net with less state: a construction proves"
        " that its width is enough, but not that it is the least."
    )


def costs_by_family() -> str:
    """What each family of tasks costs."""
    lines = []
    for cost in costs(points()):
        own = [p for p in points() if p.measured and family(p) == cost.family]
        contents = [content(p) for p in own]
        interval = (
            f"[{cost.low:.2f}, {cost.high:.2f}]"
            if math.isfinite(cost.low)
            else "too few"
        )
        measured_at = (
            f"{min(contents):g} to {max(contents):g} {cost.unit}s, lags {own_lags(own)}"
        )
        lines.append(
            (
                cost.family.replace("_", " "),
                f"{cost.slope:.2f} {interval}",
                f"units per {cost.unit}",
                measured_at,
            )
        )
    return table(("family", "cost", "in", "measured at"), lines)


def loops() -> str:
    """How often a net's verdict differs between XLA's loop and the LSTM in C on the same seeds."""
    ours, native = (
        rows_of(f"loops/{loop}").with_columns(passed_column())
        for loop in ("while", "native")
    )
    native = native.select("key", "steps", "passed")
    members = ours.join(native, "key", validate="1:1", suffix="_native")
    lines = []
    for (task, knobs, lag), own in members.group_by(
        "task", "knobs", "lag", maintain_order=True
    ):
        what = label(task_of_row(task, knobs)).replace("_", " ")
        lines.append(
            (
                what,
                lag,
                " and ".join(map(str, sorted(own["units"].unique()))),
                *counts_of(own),
            )
        )
    lines.append(("all", "", "", *counts_of(members)))
    head = (
        "task",
        "lag",
        "units",
        "nets",
        "passed by while",
        "passed by native",
        "other verdict",
        "other step",
    )
    turned = members.filter(pl.col("passed") != pl.col("passed_native"))
    lost = turned["passed"].sum()
    chance = binomtest(lost, turned.height).pvalue
    sentence = filled(
        f"Of {turned.height} nets whose verdicts differ, {lost} passed with `while` alone and"
        f" {turned.height - lost} with `native` alone (sign test: p = {chance:.2f}). *Other step*"
        " counts nets whose training ended after another number of steps."
    )
    return f"{table(head, lines)}\n\n{sentence}"


def counts_of(members: pl.DataFrame) -> list[int]:
    """How many nets, how many passed by each of the two loops, and at how many the loops differ."""
    passed = members["passed"]
    native = members["passed_native"]
    other_step = (members["steps"] != members["steps_native"]).sum()
    return [
        members.height,
        passed.sum(),
        native.sum(),
        (passed != native).sum(),
        other_step,
    ]


def own_lags(marks: Sequence[Point]) -> str:
    """The shortest and the longest lag."""
    return f"{min(p.lag for p in marks)} to {max(p.lag for p in marks)}"


def optimizers_on_delay_lines() -> str:
    """How many nets passed by each optimizer, and how long a net took."""
    rows = rows_of("optimizers").filter(task="delay_line")
    near = rows.filter(
        pl.concat_str("lag", "units", separator=" ").is_in(NEAR_THRESHOLDS)
    )
    near = (
        near.with_columns(passed_column())
        .group_by("optimizer", "lr")
        .agg(pl.col("passed").sum(), pl.len())
    )
    near = sorted(near.rows(), key=lambda row: (OPTIMIZERS.index(row[0]), row[1]))
    each = ", ".join(
        f"{passed} of {nets} by {name} {rate:g}" for name, rate, passed, nets in near
    )
    together = (
        "Near the thresholds (5 units at lag 8, 7 at 12, 10 and 12 at 20), these nets passed:"
        f" {each}."
    )
    seconds = "Mean seconds per net, including nets that fail:"
    return "\n\n".join(
        [
            passed_by_optimizer(rows),
            filled(together),
            seconds,
            seconds_by_optimizer(rows),
        ]
    )


@cache
def by_optimizer_of_delay_lines() -> Mapping[tuple[str, int], Mapping[str, Point]]:
    """The points of delay lines that Muon or GGT trained, by task and lag, then by
    optimizer and rate."""
    rows = map(rows_of, ("optimizers_frontier", "muon", "delay_line_budgets"))
    recipes = ("curriculum", "curriculum_muon", "curriculum_ggt")
    lines: dict[tuple[str, int], dict[str, Point]] = {}
    for p in itertools.chain(all_recipes(), *map(fit_all_recipes, rows)):
        if p.task.name == "delay_line" and p.recipe.name in recipes:
            longer = f", {p.recipe.budget:,} steps" * (p.recipe.budget != 8000)
            by = f"{p.recipe.optimizer} {p.recipe.lr:g}{longer}"
            lines.setdefault((p.label, p.lag), {})[by] = p
    return {place: by for place, by in lines.items() if "muon 0.05" in by}


def widths_by_optimizer() -> str:
    """Tabulate the units that delay lines take by Adam, at two rates and for longer, by
    Muon and by GGT."""
    names = (*ADAM, *BESIDE_ADAM)
    cells = [
        (
            name.replace("_", " "),
            lag,
            share,
            *(width(each(by[of])) if of in by else "" for of in names),
        )
        for (name, lag), by in by_optimizer_of_delay_lines().items()
        for share, each in (
            ("half", lambda p: p.fit.u50),
            ("nine in ten", lambda p: p.fit.u90),
        )
    ]
    return table(("task", "lag", "seeds", *names), cells)


def ratio_of_u90(first: Point, second: Point) -> str:
    """The second's u90 over the first's, with its interval."""
    change = shift(first.posterior, second.posterior, 0.9)
    return f"{change.ratio:.2f} [{change.low:.2f}, {change.high:.2f}]"


def units_of_adam() -> str:
    """Tabulate u90 of delay lines of two symbols by an optimizer over that of Adam,
    with 95 % intervals."""
    by_lag = {
        lag: by
        for (name, lag), by in by_optimizer_of_delay_lines().items()
        if name == "delay_line"
    }

    def ratio(by: Mapping[str, Point], first: str, second: str) -> str:
        if not {first, second} <= by.keys():
            return ""
        return ratio_of_u90(by[first], by[second])

    lines = [
        (second, first, *(ratio(by, first, second) for by in by_lag.values()))
        for second in BESIDE_ADAM
        for first in ADAM
    ]
    return table(("by", "of the units by", *(f"lag {lag}" for lag in by_lag)), lines)


def passed_by_units(point: Point) -> str:
    """How many nets passed, by units."""
    counts = zip(point.units, point.solved, point.runs, strict=True)
    return ", ".join(f"{units}: {solved} of {runs}" for units, solved, runs in counts)


def units_in_equal_seconds() -> str:
    """Tabulate the units of delay lines by Adam, and by GGT in as many seconds, with the counts."""
    own = rows_of("optimizers_seconds")
    by_adam_alone = {*own["lag"]} - {*own.filter(optimizer="ggt")["lag"]}
    points = (
        fit_all_recipes(own),
        fit_all_recipes(rows_of("ggt").filter(pl.col("lag").is_in(by_adam_alone))),
    )
    marks = sorted(itertools.chain(*points), key=lambda p: (p.lag, p.recipe.name))
    lines = []
    for lag, by in itertools.groupby(marks, lambda p: p.lag):
        adam, ggt = by
        for p, ratio in ((adam, "1"), (ggt, ratio_of_u90(adam, ggt))):
            steps = f"{p.recipe.optimizer}, {p.recipe.budget:,} steps"
            lines.append(
                (
                    lag,
                    steps,
                    width(p.fit.u50),
                    width(p.fit.u90),
                    ratio,
                    passed_by_units(p),
                )
            )
    near = own.filter(
        pl.concat_str("lag", "units", separator=" ").is_in(NEAR_IN_SECONDS)
    )
    passed = {
        name: int(nets["steady"].sum()) for (name,), nets in near.group_by("optimizer")
    }
    together = (
        f"Of {near.height // 2} nets near the thresholds (5 units at lag 8, 6 at 12, 10 at 20),"
        f" {passed['ggt']} pass by GGT and {passed['adam']} by Adam."
    )
    heads = ("lag", "by", "half", "nine in ten", "of Adam's", "units: nets that pass")
    return f"{table(heads, lines)}\n\n{filled(together)}"


def optimizers_at_50() -> str:
    """Tabulate the units of a delay line of 50 by Adam, Muon and GGT in as many steps,
    with the counts."""
    place = "delay_line", 50, "curriculum"
    adam = [p for p in all_recipes() if (p.label, p.lag, p.recipe.name) == place]
    return widths_and_counts([*adam, *fit_all_recipes(rows_of("optimizers_fifty"))])


def widths_and_counts(points: Iterable[Point]) -> str:
    """Tabulate the widths of points by task, lag, optimizer and rate, with the counts."""
    lines = [
        (
            p.label.replace("_", " "),
            p.lag,
            f"{p.recipe.optimizer} {p.recipe.lr:g}",
            width(p.fit.u50),
            width(p.fit.u90),
            passed_by_units(p),
        )
        for p in points
    ]
    return table(
        ("task", "lag", "by", "half", "nine in ten", "units: nets that pass"), lines
    )


def units_by_ggt() -> str:
    """Tabulate the units of delay lines by Adam and by GGT at the budget of their recipes."""
    adam = {
        p.lag: p
        for p in all_recipes()
        if (p.label, p.recipe.name) == ("delay_line", "curriculum")
    }
    lines = []
    for p in fit_all_recipes(rows_of("ggt")):
        ratio = ratio_of_u90(adam[p.lag], p)
        lines.append(
            (
                p.lag,
                width(adam[p.lag].fit.u90),
                width(p.fit.u90),
                ratio,
                passed_by_units(p),
            )
        )
    return table(
        (
            "lag",
            "u90 by Adam",
            "u90 by GGT",
            "of Adam's",
            "GGT's nets that pass, by units",
        ),
        lines,
    )


def optimizers_elsewhere() -> str:
    """Tabulate the widths by each optimizer of the tasks that hold."""
    points = fit_all_recipes(
        rows_of("optimizers").filter(pl.col("task") != "delay_line")
    )
    return widths_and_counts(
        sorted(
            points,
            key=lambda p: (
                p.label,
                p.lag,
                OPTIMIZERS.index(p.recipe.optimizer),
                p.recipe.lr,
            ),
        )
    )


def rates_by_optimizer() -> str:
    """Count the nets that passed at each rate of each optimizer, with the best rate in bold."""
    rows = rows_of("optimizers_rates").with_columns(passed_column())
    counts = (
        rows.group_by("lag", "units", "optimizer", "lr")
        .agg(pl.col("passed").sum(), pl.len())
        .sort("lr")
    )
    places = counts.sort(
        "lag", pl.col("optimizer").cast(pl.Enum(OPTIMIZERS)), maintain_order=True
    )
    lines = []
    for (lag, units, name), own in places.group_by(
        "lag", "units", "optimizer", maintain_order=True
    ):
        best = own.select((pl.col("passed") / pl.col("len")).max()).item() or None
        texts = [
            (
                f"**{rate:g}: {passed} of {nets}**"
                if passed / nets == best
                else f"{rate:g}: {passed} of {nets}"
            )
            for rate, passed, nets in own.select("lr", "passed", "len").rows()
        ]
        lines.append((lag, units, name, ", ".join(texts)))
    return table(("lag", "units", "by", "peak rate: nets that pass"), lines)


def rates() -> str:
    """How many nets passed at each learning rate: a table for each recipe and verdict,
    then fresh seeds."""
    verdicts = {
        "solved": "one lag alone",
        "steady": "steady",
        "up_to": "every lag up to one",
    }
    rows = rows_of("rates").sort("recipe", "evaluation_until")
    chose = rows.filter(pl.col("seed") < FRESH_SEEDS)
    parts = []
    for (recipe, until), own in chose.group_by(
        "recipe", "evaluation_until", maintain_order=True
    ):
        parts += [f"By `{recipe}`, {verdicts[until]}:", passed_by_optimizer(own)]
    fresh = passed_by_optimizer(rows.filter(pl.col("seed") >= FRESH_SEEDS))
    parts += [
        (
            "On seeds that did not choose the rate (delay lines by `curriculum`, a copy by"
            " `uniform`):"
        ),
        fresh,
    ]
    return "\n\n".join(
        [*parts, "By `uniform`, all tasks together:", rates_of_narrow_and_wide()]
    )


def rates_of_narrow_and_wide() -> str:
    """How many nets passed by `uniform` at each rate, of the narrowest of each task and
    of all wider ones."""
    nets = counts("rates", "seed", "lag", "what", "units", "lr", recipe="uniform")
    nets = nets.filter(pl.col("seed") < FRESH_SEEDS)
    narrow = pl.col("units") == pl.col("units").min().over("lag", "what")
    nets = nets.with_columns(
        which=pl.when(narrow).then(pl.lit("narrowest")).otherwise(pl.lit("wider"))
    )
    each = sorted(nets["lr"].unique())
    lines = [
        (lag, which, *(passed(own.filter(lr=rate)) for rate in each))
        for (lag, which), own in nets.sort("lag", "which").group_by(
            "lag", "which", maintain_order=True
        )
    ]
    return table(("lag", "of each task", *(f"{rate:g}" for rate in each)), lines)


def by_optimizer(rows: pl.DataFrame, cell: Callable[[pl.DataFrame], str]) -> str:
    """A line for each task, lag and width, and a column for each optimizer with its rate."""
    rows = rows.with_columns(passed_column()).sort("task", "knobs", "lag", "units")
    names = rows.select("optimizer", "lr", "lr_width").unique().rows()
    names.sort(key=lambda name: (OPTIMIZERS.index(name[0]), *name[1:]))
    lines = []
    for (task, knobs, lag, units), own in rows.group_by(
        "task", "knobs", "lag", "units", maintain_order=True
    ):
        what = label(task_of_row(task, knobs)).replace("_", " ")
        each = (
            own.filter(optimizer=name, lr=rate, lr_width=power)
            for name, rate, power in names
        )
        lines.append(
            (
                what,
                lag,
                units,
                *("" if nets.is_empty() else cell(nets) for nets in each),
            )
        )
    heads = (
        f"{name} {rate:g}" + (f" (8 / units)^{power:g}" if power else "")
        for name, rate, power in names
    )
    return table(("task", "lag", "units", *heads), lines)


def passed_by_optimizer(rows: pl.DataFrame) -> str:
    """How many nets passed, and the 95 % interval (Wilson) of their share."""

    def share(nets: pl.DataFrame) -> str:
        passed = nets["passed"].sum()
        low, high = wilson(passed, nets.height)
        return f"{passed} of {nets.height} [{low:.2f}, {high:.2f}]"

    return by_optimizer(rows, share)


def seconds_by_optimizer(rows: pl.DataFrame) -> str:
    """Mean seconds of a net."""
    return by_optimizer(rows, lambda nets: f"{nets['run_seconds'].mean():.1f}")


def costs_in_short() -> str:
    """What differs between the families."""
    by_family = {cost.family: cost for cost in costs(points())}
    return filled(
        f"The cost of a bit depends on the task. A copy costs {sentence(by_family['copy'])}, at"
        " any lag. A delay line, which shifts at every step, costs"
        f" {sentence(by_family['delay_line'])} with two symbols,"
        f" {sentence(by_family['delay_line (symbols=4)'])} with four and"
        f" {sentence(by_family['delay_line (symbols=8)'])} with eight. A delay line of reals"
        f" costs {sentence(by_family['delay_line (reals=True)'])}. One slope for all of them"
        " would mean nothing."
    )


def hidden() -> str:
    """Holding tasks at their shortest and longest lag, by the recipes of before and
    under the curricula."""
    lines = []
    for task, *knobs in (
        ("pattern",),
        ("latch", "symbols=8"),
        ("latch", "symbols=32"),
        *COPIES,
    ):
        label_of = label(task_of(task, list(knobs)))
        for lag in (1, 50):
            own = [p for p in all_recipes() if p.label == label_of and p.lag == lag]
            curricula = {
                p.recipe.name: p for p in own if p.recipe.name.startswith("curriculum")
            }
            (before,) = best_recipes(p for p in own if p not in curricula.values())
            lines.append(
                (
                    label_of,
                    lag,
                    f"{width(before.fit.u90)} ({before.recipe.name}, {before.recipe.budget:,})",
                    *(
                        (
                            width(curricula[name].fit.u90)
                            if name in curricula
                            else "not in the atlas"
                        )
                        for name in ("curriculum_chrono", "curriculum_from_one")
                    ),
                )
            )
    head = (
        "task",
        "lag",
        "u90 without a curriculum (recipe, steps)",
        "from half of the lag on",
        "from lag 1 on",
    )
    return table(head, lines)


def fresh_seeds() -> str:
    """How the advised widths did on seeds that nothing was chosen on."""
    counts = (
        rows_of("delay_line_fresh_seeds")
        .group_by("lag", "units")
        .agg(pl.col("steady").sum(), pl.len())
    )
    steady = {
        (lag, units): (good, seeds) for lag, units, good, seeds in counts.iter_rows()
    }
    parts = []
    between = []
    below = []
    for p in points_by_adam():
        if p.label == "delay_line" and p.lag in {lag for lag, _ in steady}:
            *narrower, units = sorted(u for lag, u in steady if lag == p.lag)
            good, seeds = steady[p.lag, units]
            parts.append(f"{good} of {seeds} at lag {p.lag} with {units} units")
            for each in narrower:
                good, seeds = steady[p.lag, each]
                if each > p.fit.u50.units - 2:
                    between.append(
                        f"{good} of {seeds} at lag {p.lag} with {each} units (u90 {u90(p)})"
                    )
            below.append(
                steady[p.lag, max(u for u in narrower if u <= p.fit.u50.units - 2)]
            )
    good, seeds = (sum(column) for column in zip(*below, strict=True))
    return filled(
        "Widths near u90 were tried again on fresh seeds (`memcap train"
        f" sweeps=delay_line_fresh_seeds`). These were steady: {', '.join(parts[:-1])} and"
        f" {parts[-1]}; a little below u90, {' and '.join(between)}; and two units below u50,"
        f" {good} of {seeds}."
    )


def between_lags() -> str:
    """How the advised widths of lags that nothing measured did on seeds that nothing
    was chosen on."""
    rows = rows_of("advice_fresh_seeds").with_columns(passed_column())
    cells = rows.group_by(
        "task", "knobs", "lag", "units", "recipe", maintain_order=True
    )
    lines = [
        (label(task_of_row(task, knobs)), lag, units, recipe, f"{passed}/{seeds}")
        for task, knobs, lag, units, recipe, passed, seeds in cells.agg(
            pl.col("passed").sum(), pl.len()
        ).iter_rows()
    ]
    return table(("task", "lag", "units", "recipe", "passed"), lines)


def every_lag() -> str:
    """Lags between those of the atlas, as predicted from it alone, and as measured since."""
    rows = rows_of("every_lag")
    lines = []
    inside = {0.5: 0, 0.9: 0}
    atlas = points_by_adam()
    passed = 0
    seeds = 0
    for each in frontier(rows):
        thresholds = {0.5: each.fit.u50, 0.9: each.fit.u90}
        if any(threshold.censored != "no" for threshold in thresholds.values()):
            continue
        answers = {
            share: answer(Question(each.task, each.lag, share=share), atlas)
            for share in thresholds
        }
        for share, threshold in thresholds.items():
            inside[share] += (
                answers[share].low <= threshold.units <= answers[share].high
            )
        there = rows.filter(lag=each.lag, units=answers[0.9].units)["steady"]
        passed = passed + there.sum()
        seeds = seeds + len(there)
        cells = (
            f"{answers[share].estimate:.1f} [{answers[share].low:.1f}, {answers[share].high:.1f}]"
            for share in thresholds
        )
        lines.append(
            (
                each.lag,
                *cells,
                *(width(each) for each in thresholds.values()),
                answers[0.9].units,
            )
        )
    head = (
        "lag",
        "u50 predicted",
        "u90 predicted",
        "u50 measured",
        "u90 measured",
        "width to take",
    )
    return (
        table(head, lines)
        + "\n\n"
        + filled(
            f"u50 lies in the predicted 95 % interval at {inside[0.5]} of these {len(lines)}"
            f" lags, and u90 at {inside[0.9]}. Where the width to take was trained, {passed} of"
            f" {seeds} seeds were steady."
        )
    )


def races() -> str:
    """What a race of recipes finds where nothing is recommended, beside what is
    published, and what it takes beside the search alone."""
    rows = rows_of("recipes_race")
    lines = []
    as_good = []
    cheap = 0
    searches = 0
    published = {
        (p.label, p.lag): p.fit.u90 for p in [*points_by_adam(), *other_points()]
    }
    for each in frontier(rows):
        own = rows.filter(task=each.task.name, lag=each.lag)
        winner = each.recipe.name
        budget = each.recipe.budget
        search = own.filter(recipe=winner, budget=budget)["steps"].sum()
        ratio = own["steps"].sum() / search
        searches += search
        cheap += ratio <= MOST_OF_A_RACE
        thresholds = [width(each.fit.u90), "not measured"]
        if threshold := published.get((each.label, each.lag)):
            thresholds[1] = width(threshold)
            as_good.append(
                each.fit.u90.censored != "above"
                and each.fit.u90.units <= threshold.high
            )
        lines.append(
            (
                each.label,
                each.lag,
                f"`{winner}`",
                *thresholds,
                own.height,
                f"{ratio:.2f}",
            )
        )
    head = (
        "task",
        "lag",
        "recipe that won",
        "u90",
        "u90 published",
        "nets",
        "steps over the search's",
    )
    sentence = filled(
        f"u90 lies in the published interval or below it at {sum(as_good)} of {len(as_good)}"
        f" marks. Races and the searches after them took {rows['steps'].sum() / searches:.2f}"
        f" times the training steps of the searches alone, and at most {MOST_OF_A_RACE:g} times"
        f" at {cheap} of {len(lines)} marks."
    )
    return f"{table(head, lines)}\n\n{sentence}"


def layers() -> str:
    """What nets of several layers need at 90 % of the seeds: units per layer, state and
    parameters."""
    lines = []
    for net in (net for nets in shapes(rows_of("layers")) for net in nets):
        p = net.point
        needed = [in_numbers(net.point, "u90", net.counts[name]) for name in COUNTS]
        sign = "> " * (p.fit.u90.censored == "above")
        numbers = (f"{sign}{each.units:,.0f}" for each in needed)
        lines.append((net.line, p.lag, p.model.layers, width(p.fit.u90), *numbers))
    return table(
        ("task", "lag", "layers", "units of each", "numbers of state", "parameters"),
        lines,
    )


@cache
def map_needs(study: str = cell_map.STUDY) -> Sequence[cell_map.Need]:
    """Tabulate what each cell of a map needs, by the better of its recipes."""
    return cell_map.needs(pl.concat([store.read(file) for file in rows_files(study)]))


def by_bytes(all_needs: Sequence[cell_map.Need]) -> str:
    """Bytes of state that each cell needs at each place of a map; those that need fewest first."""
    places = cell_map.by_place(all_needs)
    lines: dict[str, list[str]] = {need.cell: [""] * len(places) for need in all_needs}
    for column, there in enumerate(places.values()):
        best = cell_map.best_of(there)
        for need in there:
            lines[need.cell][column] = (
                f"**{need.words}**" if need in best else need.words
            )
    floors = [
        "the proved floor",
        *(number(there[0].floor) for there in places.values()),
    ]
    head = ("bytes of state", *places)
    return table(
        head, [floors, *([f"`{cell}`", *line] for cell, line in lines.items())]
    )


def map_recipes() -> str:
    """Bytes of state of the cells that were trained by another recipe, too, beside what
    the atlas says."""
    own = {
        (need.cell, need.place): need
        for need in needs(pl.concat(map(rows_of, cell_map.RUNS)))
    }
    trained = set(rows_of(cell_map.RECIPES).select("cell", "task").iter_rows())
    lines = []
    for need in sorted(map_needs(), key=lambda need: need.cell):
        if (need.cell, need.point.task.name) in trained:
            question = Question(
                need.point.task, need.point.lag, need.point.model, at="steady"
            )
            result = from_rows(atlas_rows(), question)
            each = need.u90["bytes"].units / need.point.fit.u90.units
            widths = result.widths if result.at == need.point.at else None
            atlas = (
                "{} [{}, {}]".format(*(number(each * width) for width in widths))
                if widths
                else ""
            )
            recipe = need.point.recipe.name + ", no curriculum" * (
                need.point.recipe.curriculum is None
            )
            line = own[need.cell, need.place].words, need.words, recipe, atlas
            lines.append((f"`{need.cell}`", need.place, *line))
    return table(
        ("cell", "task", "as the other cells", "by the best recipe", "which", "atlas"),
        lines,
    )


def map_seeds(all_needs: Sequence[cell_map.Need]) -> str:
    """Count the seeds on which a map rests."""
    numbers, failures = (
        span(
            pl.Series(
                [need.point.seeds for need in all_needs if need.point.trains is trains]
            ),
            0,
        )
        for trains in (True, False)
    )
    return filled(
        f'Each number of bytes rests on {numbers} seeds, and each "under half" on {failures}, at'
        " the width that has the most; at others a race trained fewer."
    )


def layers_that_pass(own: pl.DataFrame, task: str) -> str:
    """Count the nets of one layered network that pass, as the map judges them, and
    their steps or the best score."""
    verdict, score = (
        ("steady", "stretched") if task == "delay_line" else ("solved", "best")
    )
    passed = own.filter(verdict)
    trained = own["solved"].sum()
    median = passed[STEPS_TO[verdict]].median()
    steps = "" if passed.is_empty() else f", {median:.0f} steps"
    best = "" if passed.height == own.height else f", {own[score].max():.2f}"
    short = f"; {trained} at the trained length" if trained > passed.height else ""
    return f"{passed.height} of {own.height}{steps or best}{short}"


def published_layers() -> str:
    """Count the nets of layers with parts of the published ones that pass, but for
    those that parts_of_layers has."""
    lines: dict[tuple[str, int], dict[str, str]] = {}
    rows = rows_of("published_layers").filter(
        pl.col("curriculum").is_not_null() & ~WITH_PARTS
    )
    for (cell, layers, task), own in rows.group_by("cell", "layers", "task"):
        line = lines.setdefault((cell, layers), {"bytes": ""})
        line[task] = layers_that_pass(own, task)
        line["bytes"] = (
            f"{4 * own['carry_numbers'][0]}" if task == "delay_line" else line["bytes"]
        )
    order = sorted(
        lines,
        key=lambda line: (line[0].partition("+")[0], line[1], len(line[0]), line[0]),
    )
    return table(
        ("cell", "layers", *LAYER_TASKS.values(), "bytes of state, delay line"),
        [
            (
                f"`{line[0]}`",
                line[1],
                *(lines[line].get(key, "") for key in (*LAYER_TASKS, "bytes")),
            )
            for line in order
        ],
    )


def parts_of_layers() -> str:
    """Count the nets that shift, copy and recall, by the parts that each of their layers has."""
    heads = {
        (False, False): "alone",
        (True, False): "gate",
        (False, True): "skip or rate",
        (True, True): "both",
    }
    lines: dict[tuple[str, str, bool], dict[Any, str]] = {}
    for (task, name), own in (
        rows_of("published_layers").filter(WITH_PARTS).group_by("task", "cell")
    ):
        cell, *parts = str(name).split("+")
        line = lines.setdefault(
            (str(task), cell, "conv4" in parts),
            {"bytes": f"{4 * own['carry_numbers'][0]}"},
        )
        line["gate" in parts, bool({"skip", "rate"} & {*parts})] = layers_that_pass(
            own, str(task)
        )
    order = sorted(
        lines, key=lambda line: (list(LAYER_TASKS).index(line[0]), *line[1:])
    )
    return table(
        (
            "task",
            "layers",
            "cell",
            "convolution of 4",
            *heads.values(),
            "bytes of state",
        ),
        [
            (
                LAYER_TASKS[line[0]],
                LAYERS_WITH_PARTS[line[0]],
                f"`{line[1]}`",
                "yes" if line[2] else "no",
                *(lines[line].get(key, "") for key in (*heads, "bytes")),
            )
            for line in order
        ],
    )


def sizes_of_keys() -> str:
    """Count the nets with keys of each size that pass, by bytes of state."""
    heads = {"mqar": "recall of 4 pairs", "parity": "parity of 16 bits"}
    heads |= {"word_problem": "product of 13 permutations", "copy": "copy of 8, lag 4"}
    heads["delay_line"] = "delay line of 8"
    cell = pl.col("cell")
    rows = rows_of("keys").with_columns(
        cell.str.extract(r"(\w+)"),
        K=cell.str.extract(r"key(\d+)").cast(int).fill_null(MatrixCell.keys),
        heads=cell.str.extract(r"heads(\d+)").cast(int).fill_null(1),
        bytes=4 * pl.col("carry_numbers"),
    )
    lines = []
    for (task, name, *sizes), own in rows.group_by("task", "cell", "K", "heads"):
        widths = (
            own.group_by("bytes").agg("solved", "steady").sort("bytes").rows(named=True)
        )
        counts = {
            verdict: ", ".join(
                f"{each['bytes']}: {sum(each[verdict])} of {len(each[verdict])}"
                for each in widths
            )
            for verdict in ("solved", "steady")
        }
        longer = counts["steady"] if task in ("parity", "word_problem") else ""
        lines.append(
            (
                str(task),
                f"`{name}`",
                *sizes,
                counts["solved"],
                longer,
                f"{own['best'].max():.2f}",
            )
        )
    lines.sort(key=lambda line: (list(heads).index(line[0]), line[1:4]))
    head = (
        "task",
        "cell",
        "K",
        "heads",
        "bytes: nets that pass",
        "also 4 times as long",
        "best score",
    )
    return table(head, [(heads[task], *line) for task, *line in lines])


def best_cells() -> str:
    """On each task of the map, the cells that may need the fewest bytes, and those that
    mostly fail."""
    lines = []
    for place, there in cell_map.by_place(map_needs()).items():
        best = ", ".join(
            f"{need.cell} {need.width}" for need in cell_map.best_of(there)
        )
        lines.append(
            (
                place,
                best,
                ", ".join(sorted(n.cell for n in there if not n.point.trains)),
            )
        )
    head = (
        "may need the fewest bytes of state",
        "fewer than half of the seeds at every width",
    )
    return table(("task", *head), lines)


def in_two_runs(runs: Sequence[str]) -> str:
    """Say where the thresholds of a map's second run, with other seeds, lie, and where
    the two differ."""
    first, second = (needs(rows_of(run)) for run in runs)
    again = {(n.cell, n.place): n for n in second}
    pairs = [(n, again[n.cell, n.place]) for n in first]
    met = [(a.u90["bytes"], b.u90["bytes"]) for a, b in pairs if a.is_met and b.is_met]
    inside = sum(a.low <= b.units <= a.high for a, b in met)
    neither = sum(not a.is_met and not b.is_met for a, b in pairs)
    taus = [tau for tau, _ in cell_map.agreement(first, second).values()]
    lines = [
        (f"`{a.cell}`", a.place, a.words, b.words)
        for a, b in pairs
        if a.is_met != b.is_met
        or (
            a.is_met
            and not a.u90["bytes"].low <= b.u90["bytes"].units <= a.u90["bytes"].high
        )
    ]
    return (
        filled(
            f"{len(met)} of {len(pairs)} pairs of cell and task have a u90 in both runs. At"
            f" {inside} of them, the second u90 lies in the first's 95 % interval. At {neither}"
            " pairs no width is enough in either run. Kendall's tau between the two orders of"
            f" the cells that have a u90 in both is {min(taus):.2f} to {max(taus):.2f} by task."
            " The table has the other pairs:"
        )
        + "\n\n"
        + table(("cell", "task", "first run, bytes", "second run, bytes"), lines)
    )


def within(rows: pl.DataFrame, steps: int) -> pl.DataFrame:
    """Count as passed only those nets that passed within some steps."""
    return rows.with_columns(
        pl.col(name) & (pl.col(n) <= steps).fill_null(False)
        for name, n in STEPS_TO.items()
    )


def cell_map_within() -> str:
    """Tabulate what the nets of both runs of the map need if only their first 1,000 steps count."""
    runs = [rows_of(name) for name in cell_map.RUNS]
    (full, early), *of_one = (
        [needs(rows), needs(within(rows, 1000))] for rows in (pl.concat(runs), *runs)
    )
    taus = cell_map.agreement(early, full)
    then = cell_map.by_place(early)
    lines = []
    for place, there in cell_map.by_place(full).items():
        bytes_then = {
            need.cell: need.u90["bytes"].units for need in then[place] if need.is_met
        }
        met = {need.cell: need.u90["bytes"].units for need in there if need.is_met}
        times = np.median([bytes_then[cell] / met[cell] for cell in bytes_then])
        none = ", ".join(f"`{cell}`" for cell in met if cell not in bytes_then)
        lines.append(
            (
                place,
                len(met),
                len(bytes_then),
                none,
                f"{times:.2f}",
                f"{taus[place][0]:.2f}",
            )
        )
    single = [tau for pair in of_one for tau in cell_map.agreement(*pair).values()]
    few = max(cells for tau, cells in single if tau < 0.6)
    text = filled(
        f"By the nets of one run alone, tau lies between {min(single)[0]:.2f} and"
        f" {max(single)[0]:.2f}; it is under .6 only where {few} cells at most are compared."
    )
    head = (
        "task",
        "cells with a u90",
        "in 1,000 steps",
        "no longer",
        "median of bytes, times",
        "tau",
    )
    return f"{text}\n\n{table(head, lines)}"


def of_map(row: Mapping[str, Any]) -> tuple[str, str, str]:
    """Name the task and lag of a row of the map, and its columns of score and verdict."""
    task = task_of_row(row["task"], row["knobs"])
    score, verdict = ("stretched", "steady") if task.stream else ("final", "solved")
    return f"{label(task)}, lag {row['lag']}", score, verdict


def steps_to_pass(row: Mapping[str, Any]) -> str:
    """Say after how many steps the net of a row of the map passes; or "no"."""
    *_, verdict = of_map(row)
    return f"after {row[STEPS_TO[verdict]]:,} steps" if row[verdict] else "no"


def cell_map_budgets() -> str:
    """Compare nets of cells of which under half pass with 3,000 steps with those of
    eight times as many."""
    lines = []
    rows = rows_of("cell_map_budgets")
    net = ("task", "cell", "units")
    rows = rows.filter(pl.col("budget") >= 3000).filter(
        pl.col("budget").n_unique().over(net) == 2
    )
    for _, own in rows.group_by(net):
        short, long = own.sort("budget").to_dicts()
        place, score, _ = of_map(long)
        scores = (f"{each[score]:.3f}" for each in (short, long))
        lines.append(
            (place, f"`{long['cell']}`", long["units"], *scores, steps_to_pass(long))
        )
    return table(
        ("task", "cell", "units", "score, 3,000 steps", "24,000 steps", "passes"),
        sorted(lines),
    )


def half_pass(nets: pl.DataFrame) -> dict[tuple[str, str], int]:
    """Return the bytes of the narrowest nets of which half pass on the map, by task and cell."""
    verdict = pl.when(pl.col("task") == "delay_line").then("steady").otherwise("solved")
    shares = nets.group_by("task", "cell", "carry_numbers").agg(share=verdict.mean())
    least = (
        shares.filter(pl.col("share") >= 0.5)
        .group_by("task", "cell")
        .agg(pl.col("carry_numbers").min())
    )
    return {(task, cell): 4 * numbers for task, cell, numbers in least.iter_rows()}


def cell_map_longer() -> str:
    """Count the nets that pass in 24,000 steps at widths with which under half pass on the map."""
    lines = []
    rows = rows_of("cell_map_budgets")
    net = ("task", "cell", "units")
    rows = rows.filter(pl.col("budget") >= 3000).filter(
        pl.col("budget").n_unique().over(net) == 1
    )
    rows = rows.filter(budget=24_000).join(map_rows(), on=("task", "knobs"), how="semi")
    (rate,) = rows["lr"].unique()
    for _, own in rows.group_by("task", "cell", maintain_order=True):
        place, _, verdict = of_map(own.to_dicts()[0])
        counts = (
            passes(nets, verdict) for nets in (as_on_the_map(own).filter(lr=rate), own)
        )
        steps = own.filter(verdict)[STEPS_TO[verdict]].median()
        lines.append(
            (place, f"`{own['cell'][0]}`", *counts, f"{steps:,.0f}" if steps else "")
        )
    head = (
        "task",
        "cell",
        "units: nets that pass in 3,000 steps",
        "in 24,000",
        "median of their steps",
    )
    return f"{orders_of_half(map_rows().filter(lr=rate), rows)}\n\n{table(head, sorted(lines))}"


def orders_of_half(shorter: pl.DataFrame, longer: pl.DataFrame) -> str:
    """Compare the orders of the cells by the narrowest nets of which half pass, with
    fewer and more steps."""
    before = half_pass(shorter)
    narrower = half_pass(longer)
    after = {
        pair: min(count, narrower.get(pair, count)) for pair, count in before.items()
    }
    taus = []
    for task in dict.fromkeys(task for task, _ in before):
        pairs = [pair for pair in before if pair[0] == task]
        taus.append(
            kendalltau(
                *([counts[pair] for pair in pairs] for counts in (before, after))
            ).statistic
        )
    return filled(
        f"Of {len(before)} pairs of cell and task"
        f" {sum(after[pair] < before[pair] for pair in before)} have narrower nets of which half"
        " pass. Kendall's tau between the two orders of the cells by the bytes of the narrowest"
        f" is {min(taus):.2f} to {max(taus):.2f} by task."
    )


def cell_map_thousand() -> str:
    """Count the nets that pass when trained for 1,000 steps, beside the first 1,000 of
    3,000, and all."""
    lines = []
    rows = rows_of("cell_map_budgets").filter(pl.col("budget") == 1000)
    for _, own in rows.group_by("task", "cell", maintain_order=True):
        place, _, verdict = of_map(own.to_dicts()[0])
        longer = as_on_the_map(own).filter(pl.col("lr") == own["lr"][0])
        nets = own, within(longer, 1000), longer
        lines.append(
            (place, f"`{own['cell'][0]}`", *(passes(each, verdict) for each in nets))
        )
    head = (
        "task",
        "cell",
        "units: nets that pass in 1,000 steps",
        "in the first 1,000 of 3,000",
        "in 3,000",
    )
    return table(head, sorted(lines))


def cell_map_bytes() -> str:
    """Tabulate nets with vectors for a state that have as many bytes as cells with a matrix."""
    lines = []
    rows = (
        rows_of("cell_map_budgets")
        .filter(pl.col("units") > MOST_UNITS)
        .sort("task", "knobs", "cell", "units")
    )
    for row in rows.to_dicts():
        place, score, _ = of_map(row)
        net = (
            f"`{row['cell']}`",
            row["units"],
            4 * row["carry_numbers"],
            f"{row['lr']:g}",
        )
        lines.append((place, *net, f"{row[score]:.3f}", steps_to_pass(row)))
    return table(
        ("task", "cell", "units", "bytes of state", "rate", "score", "passes"), lines
    )


@cache
def map_rows() -> pl.DataFrame:
    """Return the rows of both runs of the map that have the full budget."""
    return pl.concat(map(rows_of, cell_map.RUNS)).filter(pl.col("budget") == 3000)


def as_on_the_map(own: pl.DataFrame) -> pl.DataFrame:
    """Return the nets of the map with the same task, cell and units as some others."""
    return map_rows().join(own, on=("task", "cell", "units"), how="semi")


def passes(nets: pl.DataFrame, verdict: str) -> str:
    """Count the nets that pass, by units."""
    return ", ".join(
        f"{units}: {there[verdict].sum()} of {there.height}"
        for (units,), there in nets.sort("units").group_by("units", maintain_order=True)
    )


def cell_map_rates() -> str:
    """Count the nets that pass by the rate that each race of the map dropped, beside
    those by its winner."""
    lines = []
    for _, own in rows_of("cell_map_rates").group_by(
        "task", "cell", maintain_order=True
    ):
        place, score, verdict = of_map(own.to_dicts()[0])
        nets = as_on_the_map(own), own
        counts = [passes(each, verdict) for each in nets]
        best = (f"{each[score].max():.2f}" for each in nets)
        rate = own["lr"][0]
        lines.append(
            (place, f"`{own['cell'][0]}`", counts[0], f"{rate:g}", counts[1], *best)
        )
    head = (
        "task",
        "cell",
        "units: nets that pass, as on the map",
        "other rate",
        "by it",
        "best score",
        "by it",
    )
    return table(head, sorted(lines))


def budgets_at_50() -> str:
    """What a longer or shorter budget buys at lag 50."""
    at_50 = [p for p in fit_all_recipes(rows_of("delay_line_budgets")) if p.lag == 50]
    by_budget = {budget: _best_within(at_50, budget) for budget in (24000, 8000, 4000)}
    parts = [
        f"{width(p.fit.u90)} units with up to {budget:,} steps"
        for budget, p in by_budget.items()
    ]
    return filled(
        f"At lag 50, 90 % of the seeds need {parts[0]}, {parts[1]}, and {parts[2]}."
    )


def _best_within(several: Iterable[Point], budget: int) -> Point:
    (found,) = best_recipes(p for p in several if p.recipe.budget <= budget)
    return found


def failing_nets() -> str:
    """What rules that give up on delay lines would save, by when they are applied and
    by what they look at."""
    rows = _at_threshold().filter(task="delay_line", cell="lstm", symbols=2)
    lines = []
    for share in (0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9):
        rules = [_give_up(rows, share, by, "task_lag") for by in ("progress", "loss")]
        parts = [
            part
            for saved, stopped in rules
            for part in (saved, f"{stopped} of {rows['passed'].sum()}")
        ]
        lines.append((f"{100 * share:.0f} %", *parts))
    head = (
        "after this share of the budget",
        "by the curriculum's lag: steps saved",
        "passing nets stopped",
    )
    return table((*head, "by the loss: steps saved", "passing nets stopped"), lines)


def failing_nets_by_task() -> str:
    """What one bar for the curriculum's share of the lag would save, task by task."""
    lines = []
    shares = (0.2, 0.4, 0.6)
    for (task, knobs, cell), rows in _at_threshold().group_by(
        "task", "knobs", "cell", maintain_order=True
    ):
        what = label(task_of_row(task, knobs), Model(cell)).replace("_", " ")
        passed = rows["passed"].sum()
        failed = rows.filter(~pl.col("passed"))["steps"].sum()
        rules = [_give_up(rows, share, "progress") for share in shares]
        cells = [f"{saved}, {stopped}" for saved, stopped in rules]
        lags = sorted(rows["task_lag"].unique())
        several = f"{lags[0]} to {lags[-1]}" if lags[1:] else lags[0]
        share_failed = f"{100 * failed / rows['steps'].sum():.0f} %"
        lines.append((what, several, rows.height, passed, share_failed, *cells))
    head = ("task", "lag", "nets", "pass", "steps of those that fail")
    return table(
        (*head, *(f"after {100 * share:.0f} % of the budget" for share in shares)),
        lines,
    )


@cache
def _at_threshold() -> pl.DataFrame:
    """The rows of the study of failing nets."""
    symbols = pl.col("knobs").str.json_path_match("$.symbols").cast(int)
    rows = rows_of("failing_nets").with_columns(passed_column(), symbols=symbols)
    columns = (
        "key",
        "seed",
        "task",
        "knobs",
        "symbols",
        "cell",
        "steps",
        "budget",
        "passed",
    )
    return rows.select(*columns, task_lag="lag")


@cache
def _curves_at_threshold() -> pl.DataFrame:
    """Their curves."""
    return curves.read(ROOT / "sweeps" / "failing_nets")


def _give_up(rows: pl.DataFrame, share: float, by: str, *each: str) -> tuple[str, int]:
    """What a rule that gives up on nets after a share of the budget would save of their
    steps, and how many it would stop that pass, on seeds that it was not fitted on: its
    bar, one for each value of some columns, is the lowest value among the passing nets
    of the other half of the seeds."""
    points = _curves_at_threshold().join(rows, on="key").sort("key", "step")
    seen = points.filter(
        pl.col("step") <= share * pl.col("budget"), pl.col("lag").is_not_null()
    )
    last = seen.group_by("key").agg(
        progress=pl.col("lag").last() / pl.col("task_lag").last(),
        loss=-pl.col("train_loss").tail(3).mean(),
    )
    running = rows.join(last, on="key").filter(
        pl.col("steps") > share * pl.col("budget")
    )
    running = running.with_columns(half=pl.col("seed") % 2)
    passing = running.filter("passed").with_columns(half=1 - pl.col("half"))
    bars = passing.group_by(*each, "half").agg(bar=pl.col(by).min())
    below = (pl.col(by) < pl.col("bar")) | pl.col("bar").is_null()
    failing = running.join(bars, on=[*each, "half"], how="left").filter(below)
    saved = (failing["steps"] - share * failing["budget"]).sum() / rows["steps"].sum()
    return f"{100 * saved:.1f} %", failing["passed"].sum()


def delay_line() -> str:
    """Five lags of it."""
    marks = [point("delay_line", lag) for lag in (1, 5, 12, 25, 50)]
    lines = [
        (p.lag, f"{p.references.bits:g}", width(p.fit.u50), width(p.fit.u90))
        for p in marks
    ]
    return table(
        ("lag", "bits to hold", "units at which half of the seeds pass", "nine in ten"),
        lines,
    )


def latch() -> str:
    """One unit at every lag."""
    marks = {p.lag: p for p in points() if p.label == "latch"}
    assert all(p.units[0] == 1 for p in marks.values())
    near, far = (
        f"{marks[lag].solved[0]} of {marks[lag].runs[0]}" for lag in (50, max(marks))
    )
    return filled(
        "A net sees one bit, then random distractors, and must answer with the bit at the end."
        f" One unit is enough at every measured lag, from {min(marks)} to {max(marks)} steps:"
        f" with one unit {near} seeds learned the task at lag 50, and {far} at lag {max(marks)}."
    )


def recipes() -> str:
    """u90 of three recipes by lag."""
    marks = {
        (p.recipe.name, p.lag): p
        for p in fit_all_recipes(rows_of("delay_line_frontier"))
    }
    names = ("forget_bias", "open_gate", "curriculum")
    heads = [f"{name} ({marks[name, 8].recipe.budget:,} steps)" for name in names]
    lines = [
        (lag, *(u90(marks[name, lag]) for name in names)) for lag in (8, 16, 20, 25, 50)
    ]
    return table(("lag", *heads), lines)


def budgets() -> str:
    """u90 of three budgets by lag."""
    marks = fit_all_recipes(rows_of("delay_line_budgets"))
    most = (4000, 8000, 24000)
    lines = []
    for lag in sorted({p.lag for p in marks}):
        at_lag = [p for p in marks if p.lag == lag]
        lines.append((lag, *(u90(_best_within(at_lag, budget)) for budget in most)))
    return table(("lag", *(f"{budget:,} steps" for budget in most)), lines)


def four_symbols() -> str:
    """Steady seeds by width at lag 8."""
    rows = rows_of("atlas").filter(task="delay_line", lag=8, recipe="curriculum")
    (p,) = [p for p in fit_all_recipes(rows) if p.label == "delay_line (symbols=4)"]
    counts = [
        f"{good} of {seeds}" for good, seeds in zip(p.solved, p.runs, strict=True)
    ]
    return table(("units", *p.units), [("steady", *counts)])


def carry_precision() -> str:
    """What a carry in bfloat16, or with noise, costs in units."""
    names = {"lstm": "float32", "lstm+bfloat16": "bfloat16"}
    lines = [
        (
            names.get(p.model.cell)
            or "noise " + p.model.cell.removeprefix("lstm+noise0"),
            p.lag,
            width(p.fit.u50),
            width(p.fit.u90),
        )
        for p in frontier(rows_of("carry_precision"))
    ]
    return table(("carry", "lag", "half of the seeds", "nine in ten"), lines)


def noisy_latch() -> str:
    """Count the units that noise in the carry costs a latch and a delay line."""
    lines = [
        (
            p.task.name,
            p.lag,
            p.model.cell.removeprefix("lstm+noise"),
            width(p.fit.u50),
            width(p.fit.u90),
        )
        for p in frontier(rows_of("noisy_latch"))
    ]
    return table(("task", "lag", "noise", "half of the seeds", "nine in ten"), lines)


def few_bits() -> str:
    """Count the units that few bits of a carry cost, by theory and in training."""
    lines = [
        (
            p.label.replace(f" ({p.model.cell})", "").replace(f", {p.model.cell}", ""),
            p.lag,
            p.model.cell.removeprefix("lstm+bits").replace("lstm", "32"),
            p.references.information_floor,
            p.u_exist or "",
            width(p.fit.u50),
            width(p.fit.u90),
        )
        for p in frontier(rows_of("few_bits"))
    ]
    head = (
        "task",
        "lag",
        "bits of a number",
        "by theory",
        "narrowest",
        "half of the seeds",
        "nine in ten",
    )
    return table(head, lines)


def _side_question(by: dict[str, str], widths: Sequence[int], which: pl.Expr) -> str:
    """Seeds that passed, of those tried: a table of sweeps/side_questions.

    Args:
        by: heads of the first columns, by the column or knob that they show.
        widths: units of the other columns.
        which: rows that it counts.
    """
    rows = rows_of("side_questions").filter(which)
    knobs = {
        k: pl.col("knobs").str.json_path_match(f"$.{k}")
        for k in by
        if k not in rows.columns
    }
    verdict = (
        pl.when(pl.col("evaluation_until") == "steady")
        .then("steady")
        .otherwise("solved")
    )
    counts = (
        rows.with_columns(passed=verdict, **knobs)
        .group_by(*by, "units", maintain_order=True)
        .agg(pl.col("passed").sum(), pl.len())
    )
    cells: dict[tuple[Any, ...], dict[int, str]] = {}
    for *names, units, passed, seeds in counts.iter_rows():
        cells.setdefault(tuple(names), {})[units] = f"{passed}/{seeds}"
    lines = [
        (*names, *(line.get(units, "") for units in widths))
        for names, line in sorted(cells.items())
    ]
    heads = [f"{units} unit{'s' * (units > 1)}" for units in widths]
    return table((*by.values(), *heads), lines)


def readouts() -> str:
    """Dense, or another LSTM."""
    by = {"task": "task", "lag": "lag", "readout": "read-out"}
    long = pl.col("task").is_in(["latch", "pattern", "adding"]) & (pl.col("lag") == 50)
    return _side_question(by, (1, 2, 3, 4), long | (pl.col("task") == "delay_line"))


def windows() -> str:
    """Stateful, or sliding."""
    by = {
        "window": "window",
        "carry": "carry between windows",
        "label": "answers due",
        "recipe": "recipe",
    }
    return _side_question(by, (1, 4), pl.col("task") == "windows")


def counting() -> str:
    """Time, or tokens."""
    return _side_question(
        {"kind": "what is counted"}, (1, 2, 4), pl.col("task") == "count"
    )


def pattern() -> str:
    """Three classes, or four."""
    which = (pl.col("task") == "pattern") & (pl.col("readout") == "dense")
    return _side_question({"lag": "lag", "classes": "classes"}, (1, 2, 4), which)


def solved() -> str:
    """The rule by which a member is solved."""
    return filled(solved_words(Criterion("accuracy", 0.99).words, Evaluation()))


def steady() -> str:
    """The rule by which it is steady."""
    return filled(steady_words(Evaluation().stretch, Evaluation().every))


def up_to_rule() -> str:
    """The rule by which it is right at every lag up to its own."""
    return filled(up_to_words(Evaluation().every))


def redrawn() -> str:
    """The papers, with how many of their claims hold here, and of ours about their
    experiments; apart from them the studies after a paper of which notes alone were
    read."""
    names: dict[str, list[str]] = {read: [] for read in get_args(findings.Read)}
    for name in findings.papers():
        if (findings.folder(name) / "verdicts.csv").is_file():
            names[findings.find(name).PAPER.read].append(name)
    own = sorted(names["paper"] + names["code"])
    *others, last = (f"`{name}`" for name in names["code"])
    code = f"{', '.join(others)} and {last}"
    counted = (
        f"memcap redraws {len(own)} papers. For {code}, we read the authors' code, but only the"
        " abstract of the text."
    )
    after = (
        f"{len(names['notes'])} more studies follow a paper that we know from the notes of"
        " others. We read at most the beginning of its text."
    )
    return "\n\n".join(
        [filled(counted), _of_papers(own), filled(after), _of_papers(names["notes"])]
    )


def _of_papers(names: Sequence[str]) -> str:
    """A table with a line per paper."""
    lines = []
    for name in names:
        picture = f"../sweeps/{name}/figure.png"
        lines.append(
            (
                f"[`{name}`]({picture})",
                findings.papers()[name],
                *findings.counts(name).values(),
            )
        )
    heads = "its claims that hold here", "by stand-ins", "ours that hold"
    return table(("paper", "question", *heads), lines)


def resampled() -> str:
    """Each claim: the share of shuffles in which it holds, and of draws of seeds that
    give its verdict."""
    claims: list[dict[str, Any]] = []
    lines: list[tuple[str, ...]] = []
    for name in findings.papers():
        if (path := findings.folder(name) / "resampled.csv").is_file():
            claims += [{"paper": name} | line for line in pl.read_csv(path).to_dicts()]
    for claim in claims:
        shuffled = "-" if claim["shuffled"] is None else f"{claim['shuffled']:.3f}"
        text = re.sub(r"([|*_<])", r"\\\1", claim["claim"])
        words = (
            f"`{claim['paper']}`",
            text,
            claim["whose"],
            claim["verdict"],
            claim["within"] or "-",
        )
        lines.append((*words, shuffled, f"{claim['bootstrapped']:.2f}"))
    held = [claim for claim in claims if claim["shuffled"] is not None]
    stands = sum(claim["bootstrapped"] >= 0.95 for claim in claims)
    text = (
        f"{len(held)} of {len(claims)} claims hold: {_number(held)}. By chance, each of them"
        f" holds in at most {max(claim['shuffled'] for claim in held):.1%} of {resample.NUMBER}"
        f" shuffles. {stands} of the {len(claims)} verdicts stay the same in at least 95 % of"
        f" {resample.NUMBER} draws of the seeds."
    )
    heads = "paper", "claim", "whose", "verdict", "alike in", "shuffled", "bootstrapped"
    return f"{filled(text)}\n\n{table(heads, lines)}"


def _number(claims: Sequence[dict[str, Any]]) -> str:
    """How many of the claims are whose."""
    of = [
        f"{sum(claim['whose'] == whose for claim in claims)}"
        for whose in get_args(findings.Whose)
    ]
    return f"{of[0]} of papers, {of[1]} of stand-ins and {of[2]} of ours"


def speed() -> str:
    """A training step against Keras's and PyTorch's, by width."""
    lines = []
    for stack, versions in (
        ("results", "3.11, jax 0.10.2"),
        ("results/python3.13", "3.13, jax 0.12"),
    ):
        report = json.loads((ROOT / "benchmarks" / stack / "step.json").read_text())
        seconds: dict[str, dict[int, float]] = {}
        for row in report["rows"]:
            if row["workload"] == "last":
                times = statistics.median(row["timing"]["samples"])
                seconds.setdefault(row["contestant"], {})[row["shape"]["units"]] = times
        for loop, ours in (("XLA's loops", "memcap"), ("the LSTM in C", "native")):
            for name, peer in (
                ("Keras, JAX backend", "keras"),
                ("`torch.nn.LSTM`", "torch"),
            ):
                ratios = [seconds[peer][u] / seconds[ours][u] for u in (8, 16, 32, 64)]
                lines.append(
                    (versions, loop, name, *(f"{ratio:.1f}" for ratio in ratios))
                )
    head = (
        "Python",
        "memcap by",
        "times as fast as",
        "8 units",
        "16 units",
        "32 units",
        "64 units",
    )
    return table(head, lines)


def studies() -> str:
    """Whole studies beside Keras and PyTorch, on Python 3.11."""
    folder = ROOT / "benchmarks" / "results"
    walls: dict[str, list[float]] = {}
    for sample in json.loads((folder / "study.json").read_text())["samples"]:
        if sample["state"] == "cold":
            walls.setdefault(sample["contestant"], []).append(sample["wall"])
    cold = {
        name: f"{statistics.median(seconds):.1f} s" for name, seconds in walls.items()
    }
    page = (folder / "frontier.md").read_text()
    minutes = [
        float(cell)
        for cell in re.findall(
            r"^\| [^|]+ \| ([\d.]+) \| [\d.]+ \| \d+% \|$", page, re.M
        )
    ]
    keras, _, torch, xla, native = minutes
    return filled(
        f"At equal work, the grid of a small frontier takes {keras / xla:.1f} times less time"
        f" with XLA's loops than with Keras, and {torch / xla:.1f} times less than with PyTorch."
        f" With the loops in C it takes {keras / native:.0f} and {torch / native:.1f} times less"
        " (`python -m benchmarks frontier`; the times of Keras and PyTorch are extrapolated from"
        f" a sample). A short study with an empty cache takes {cold['memcap-native']} in C,"
        f" {cold['memcap']} with XLA's loops, {cold['torch']} with PyTorch and {cold['keras']}"
        " with Keras (`python -m benchmarks study`)."
    )


def designs() -> str:
    """What each design costs, how wide its intervals are and how often they hold the truth."""
    report = json.loads((ROOT / "docs" / "designs.json").read_text())
    results = pl.DataFrame(report["results"])
    means = results.group_by("kind", "line", "design", maintain_order=True).agg(
        pl.col("steps", "width", "held").mean()
    )
    names = means["design"].unique(maintain_order=True).to_list()
    lines = []
    for (kind, line), own in means.group_by("kind", "line", maintain_order=True):
        of = {row["design"]: row for row in own.iter_rows(named=True)}
        base = of["bisect, 8 seeds"]["steps"]
        cells = (
            f"{of[name]['steps'] / base:.2f}, {math.exp(of[name]['width']):.2f},"
            f" {of[name]['held']:.0%}"
            for name in names
        )
        lines.append((f"{line}, {kind}", *cells))
    plan = report["plan"]
    count = f"{plan['simulated']} simulated and {plan['replayed']} replayed studies of each line."
    return f"{table(('line', *names), lines)}\n\n{count}"


def published_tables() -> list[Path]:
    """The rows of all studies that belong to no paper."""
    return [
        path
        for path in sorted((ROOT / "sweeps").rglob("rows.parquet"))
        if path.parent.name not in findings.papers()
    ]


def tables_of_rows() -> str:
    """Each folder of published rows: how many, how many core hours, and the command
    that trained them."""
    lines = []
    for path in published_tables():
        rows = pl.read_parquet(path)
        name = path.parent.relative_to(ROOT / "sweeps").as_posix()
        study, _, loop = name.partition(
            "/"
        )  # sweeps/loops.yaml has a folder for each loop
        words = AGAIN.get(
            name, f"{study}{f' engine.loop={loop} out=outputs/{name}' * bool(loop)}"
        )
        hours = rows["run_seconds"].sum() / 3600
        lines.append(
            (
                f"[{name}]({name}/rows.parquet)",
                f"{len(rows):,}",
                f"{hours:.2f}",
                f"`memcap train sweeps={words}`",
            )
        )
    return table(("table", "rows", "core hours", "trained by"), lines)


def columns() -> str:
    """Each column of the rows, as polars names its type."""
    each = (
        (f"`{name}`", str(dtype), meaning)
        for name, (dtype, meaning, _) in COLUMNS.items()
    )
    return table(("column", "type", "meaning"), each)


def real_sets() -> str:
    """Each real set: what was predicted, and what was found."""
    lines = []
    for row in predicted_widths().iter_rows(named=True):
        units = (
            "no width helps"
            if row["measured"] is None
            else f"{row['measured']} [{row['from']}, {row['to']}]"
        )
        guess = f"{row['predicted']} [{row['low']}, {row['high']}]"
        no_state, last = (
            f"{row[name]:.2f} ({row[f'{name}_predicted']:g})"
            for name in ("current", "last_five")
        )
        shuffled = "" if row["shuffled"] is None else f"{row['shuffled']:.3f}"
        best = f"{row['loss']:.3f} ± {row['error']:.2g} ({row['best']} units)"
        count = f"{row['sequences']:,}, {row['steps']}"
        lines.append(
            (
                row["set"],
                count,
                no_state,
                last,
                best,
                shuffled,
                guess,
                units,
                row["learnt"] or "",
            )
        )
    head = (
        "set",
        "sequences, steps",
        "no state",
        "last five",
        "best net",
        "shuffled",
        "predicted",
        "enough",
        "learnt",
    )
    return table(head, lines)


def real_predictions() -> str:
    """Tabulate what each real set was said to make a net hold."""
    rows = pl.read_csv(ROOT / "sweeps" / "real" / "predictions.csv")
    lines = [
        (row["set"], row["holds"], f"{row['predicted']} [{row['low']}, {row['high']}]")
        for row in rows.iter_rows(named=True)
    ]
    return table(("set", "what is held", "units"), lines)


def real_in_short() -> str:
    """How well real widths were predicted."""
    sets = predicted_widths().filter(pl.col("measured").is_not_null())
    close, near, inside, miss, rank = foresight(sets, "measured")
    by_one_error = foresight(sets, "one_error")
    constants = {
        units: np.abs(np.log(sets["measured"].to_numpy() / units)).mean()
        for units in range(1, 65)
    }
    constant = min(constants, key=constants.__getitem__)
    return filled(
        f"**Of {sets.height} widths, {close} were predicted within a factor of 1.5 and {near}"
        f" within 2; {inside} lie in the predicted range.** The typical miss is a factor of"
        f" {miss:.1f}; the best constant, {constant} for every set, misses by"
        f" {np.exp(constants[constant]):.1f}. The order of the sets was predicted with a rank"
        f" correlation of {rank:.2f}. (By the first rule: {by_one_error[0]} within 1.5,"
        f" {by_one_error[1]} within 2, {by_one_error[2]} in the range; a factor of"
        f" {by_one_error[3]:.1f}; {by_one_error[4]:.2f}.)"
    )


def foresight(sets: pl.DataFrame, column: str) -> tuple[int, int, int, float, float]:
    """Return how many widths were predicted within 1.5, within 2, and in their range;
    the typical factor of a miss; and the rank correlation."""
    measured, predicted = (sets[name].to_numpy() for name in (column, "predicted"))
    misses = np.abs(np.log(measured / predicted))
    close, near = (int((misses <= math.log(factor)).sum()) for factor in (1.5, 2))
    inside = sets.filter(pl.col(column).is_between("low", "high")).height
    return (
        close,
        near,
        inside,
        float(np.exp(misses.mean())),
        spearmanr(predicted, measured).statistic,
    )


@cache
def predicted_widths() -> pl.DataFrame:
    """Predicted and measured widths of real sets, as sweeps/real/real.py compares them."""
    return pl.read_csv(ROOT / "sweeps" / "real" / "predicted.csv")


def counts(study: str, *by: str, **where: Any) -> pl.DataFrame:
    """Count the nets of a study of results/ or of a paper that passed, and all of them.

    Args:
        study: its folder.
        by: columns; `what` is the task with its knobs.
        where: what rows to count have in a column.
    """
    rows = rows_of(study).with_columns(passed_column())
    tasks = rows.select("task", "knobs").unique()
    names = [label(task_of_row(t, knobs)) for t, knobs in tasks.iter_rows()]
    rows = rows.join(tasks.with_columns(what=pl.Series(names)), on=["task", "knobs"])
    rows = rows.filter(
        *(pl.col(name).eq_missing(pl.lit(value)) for name, value in where.items())
    )
    return rows.group_by(*by).agg(pl.col("passed").sum(), nets=pl.len()).sort(*by)


def counted(line: str) -> str:
    """Return a line of Python that calls `counts`, and the table that it gives."""
    found = eval(line, {"counts": counts})
    lines = [
        ["" if value is None else f"{value}" for value in row]
        for row in found.iter_rows()
    ]
    return f"```python\n{line}\n```\n\n{table(found.columns, lines)}"


def beside(study: str) -> dict[tuple[str, int], Point]:
    """The frontier of a study, by label and lag."""
    return {(p.label, p.lag): p for p in frontier(rows_of(study))}


def here(paper: str, begins: str) -> str:
    """Return what a paper's rows say to the claim that begins so."""
    claims = pl.read_csv(findings.folder(paper) / "verdicts.csv")
    (said,) = claims.filter(pl.col("claim").str.starts_with(begins))["here"]
    return said


def passed(rows: pl.DataFrame) -> str:
    """How many nets of a table of counts passed."""
    return f"{rows['passed'].sum()} of {rows['nets'].sum()}"


def fading_beside_latch() -> str:
    """The curse of memory."""
    near, far = (
        width(beside("fading_kernel")["fading_kernel", lag].fit.u90) for lag in (1, 50)
    )
    *holds, last = (
        f"{width(point('latch', lag).fit.u90)} at lag {lag}" for lag in (1, 50, 200)
    )
    return filled(
        f"A sum whose weights fade as a power of the age takes {near} units at lag 1 and {far} at"
        " lag 50 (u90; `memcap frontier sweeps/fading_kernel`). A latch takes"
        f" {', '.join(holds)} and {last} (`memcap frontier atlas`)."
    )


def noisy_carries() -> str:
    """Noise in the carry."""
    marks = beside("carry_precision")
    noisy = {
        noise: marks[f"delay_line (lstm+noise{noise})", 5].fit.u90
        for noise in ("0.1", "0.2")
    }
    some, more = map(width, noisy.values())
    return filled(
        f"A delay line of lag 5 takes {width(marks['delay_line', 5].fit.u90)} units if its carry"
        f" has no noise, {some} if normal noise of .1 is added to every number of the carry at"
        f" every step, and {more} with noise of .2 (u90; `memcap frontier"
        " sweeps/carry_precision`)."
    )


def numbers_per_unit() -> str:
    """Vectors that are held."""
    near, far = (
        width(beside("other_tasks")["vector_hold", lag].fit.u90) for lag in (2, 50)
    )
    return filled(
        f"The units that hold n numbers are {here('collins2017', 'a random n-dimensional')} steps"
        f" (`memcap reproduce collins2017 --rows`). By thresholds, 16 numbers take {near} units"
        f" for 2 steps and {far} for 50 (u90; `memcap frontier atlas`, vector_hold)."
    )


def counting_languages() -> str:
    """Counters that were trained."""
    one = counts("up_to_fresh_seeds", "lag", what="counter_language")
    return filled(
        f"Trained by gradients, {passed(one)} nets of one LSTM unit learn a^n b^n up to the lags"
        f" {', '.join(f'{lag}' for lag in one['lag'])} (`memcap frontier"
        " sweeps/up_to_fresh_seeds`). But no net counts for ever. Nets of four units that"
        f" learnt n to 30 first fail at these n: {here('suzgun2019', 'LSTMs go on')} (`memcap"
        " reproduce suzgun2019 --rows`)."
    )


def parity_by_lags() -> str:
    """Parity, one lag or all."""
    nets = {"what": "parity", "lag": 50, "units": 16}
    rates = {recipe: counts("rates", "lr", recipe=recipe, **nets) for recipe in PARITY}
    alone, every = (passed(found) for found in rates.values())
    fresh = counts("up_to_fresh_seeds", "units", what="parity", lag=50)
    return filled(
        "LSTMs of 16 units learn parity over 50 steps. Of those that train at one lag, which"
        f" rises, {alone} pass; of those that train on all lags up to it, {every} (over all"
        f" rates; `memcap figure seeds sweeps/rates`). On fresh seeds, {passed(fresh)} nets of"
        f" {fresh['units'][0]} units that train on all lags pass (`memcap frontier"
        " sweeps/up_to_fresh_seeds`)."
    )


def parity_by_heads() -> str:
    """The parity of the last N bits, by a read-out for each N or for the last alone."""
    paper = findings.find("khajehabdollahi2024")
    nets = paper.steps_to_solve(store.read(findings.folder("khajehabdollahi2024")))
    size = int(nets["N"].max())

    def learnt(kind: str, size: int) -> str:
        own = nets.filter(kind=kind, N=size, cell="LSTM")["steps"]
        return f"{own.is_finite().sum()} of {len(own)}"

    return filled(
        f"LSTMs learn the parity of the last {size} bits as follows. With a read-out for each N"
        f" up to {size}, {learnt(paper.ALL_AT_ONCE, size)} learn it if all N are trained from the"
        f" first step, and {learnt(paper.ALL_IN_TURN, size)} if N rises. With one read-out for an"
        f" N that rises, {learnt(paper.ONE_IN_TURN, size)} learn it. The parity of 5 bits alone,"
        f" from the start, is learned by {learnt(paper.ONE_AT_ONCE, 5)} (`memcap reproduce"
        " khajehabdollahi2024 --rows`)."
    )


def state_in_use() -> str:
    """How much of a state is used."""
    at_50 = point("delay_line", 50)
    bits = at_50.references.bits
    units = at_50.fit.u90.units
    return filled(
        f"A delay line of lag 50 must hold {bits:g} bits. It takes {units:.1f} units, which have"
        f" {2 * units:.0f} numbers of state, or {2 * units / bits:.1f} for each bit (u90; `memcap"
        " frontier atlas`)."
    )


def recall_beside_ceilings() -> str:
    """Say what state recall takes."""
    two = here("arora2024", "with keys written twice").split("; ")[1]
    return filled(
        "To copy half of the strings of 4 to 32 symbols, cells need at least these bits of state"
        " per bit of the string:"
        f" {here('jelassi2024', 'no cell with a vector').removeprefix('at least ')} (`memcap"
        " reproduce jelassi2024 --rows`). If keys are written twice, cells of equal bytes with"
        " the delta rule, with decay alone and with neither recall these shares of the pairs, of"
        f" {two} (`memcap reproduce arora2024 --rows`)."
    )


def few_units() -> str:
    """Tasks that few units are enough for."""
    kinds = list(dict.fromkeys((p.task, p.subject) for p in frontier(rows_of("up_to"))))
    units = [from_rows(atlas_rows(), Question(task, 50)).units for task, _ in kinds]
    few = sum(each is not None and each <= 4 for each in units)
    return filled(
        f"For {few} of {len(kinds)} synthetic tasks up to lag 50, memcap advises four units or"
        " fewer ([all tasks](measured.md#every-lag-up-to-one); `memcap answer --task TASK --lag"
        " 50`)."
    )


def beyond_50() -> str:
    """Lags that one layer counts."""
    far = counts("kent2024", "cell", lag=100)
    lstm = counts("kent2024", "budget", lag=50, cell="OptimizedLSTMCell", units=4)
    by_budget = [
        f"{good} of {nets} in {budget:,} steps"
        for budget, good, nets in lstm.iter_rows()
    ]
    return filled(
        f"With one layer, {passed(far)} nets of 4 and 16 units learn a lag of 100. A lag of 50"
        f" takes four LSTM units and enough training: {' and '.join(by_budget)} (`memcap"
        " reproduce kent2024 --rows`)."
    )


@cache
def trained_rows() -> pl.DataFrame:
    """All published rows, of studies and papers, each training once: some stand in
    several tables."""
    files = (ROOT / "sweeps").rglob("rows.parquet")
    return pl.concat([store.read(file) for file in sorted(files)]).unique(
        ["key", "finished"]
    )


def recipes_in_rows() -> str:
    """Tabulate what published rows have of each recipe: how many nets, and which rates
    and budgets."""
    lines = []
    for (recipe,), own in (
        trained_rows().sort("recipe").group_by("recipe", maintain_order=True)
    ):
        several = (own[name].unique().sort().to_list() for name in ("lr", "budget"))
        rates, budgets = (
            f"{least:g} to {most:g}" if least != most else f"{least:g}"
            for least, most in ((each[0], each[-1]) for each in several)
        )
        steps = own["steps"].sum() / 1e6
        hours = own["run_seconds"].sum() / 3600
        seeds = own["seed"].n_unique()
        lines.append(
            (
                f"`{recipe}`",
                f"{own.height:,}",
                seeds,
                rates,
                budgets,
                f"{steps:.1f}",
                f"{hours:.1f}",
            )
        )
    head = (
        "recipe",
        "nets",
        "seeds",
        "rates",
        "budgets",
        "million steps",
        "core hours",
    )
    return table(head, lines)


def core_hours() -> str:
    """Say what all published rows took."""
    rows = trained_rows()
    programs = rows.group_by("population").agg(pl.col("compile_seconds").max())
    return filled(
        f"memcap publishes the rows of {rows.height:,} trainings, of"
        f" {rows['steps'].sum() / 1e6:.0f} million steps. By these rows, training and evaluation"
        f" took {rows['run_seconds'].sum() / 3600:.1f} hours of one core (`run_seconds`), and the"
        f" compilation of {programs.height:,} programs took"
        f" {programs['compile_seconds'].sum() / 3600:.1f} hours."
    )


PARITY = ("curriculum_from_one", "uniform")  # at one lag, and at all up to it
AGAIN = {  # rows of a study's other seeds
    f"{name}_again": f"{name} seed=4 out=outputs/{name}_again"
    for name in ("cell_map", "cell_map_tasks")
}
MOST_OF_A_RACE = (
    1.5  # training steps of a race and its search, over those of the search
)


def need() -> str:
    """Tabulate widths predicted from sequences alone beside those of the atlas, a line
    per line of it."""
    lines = []
    for (name,), marks in marks_of_need().group_by("line", maintain_order=True):
        counts = [
            marks.filter(verdict=verdict).height
            for verdict in ("within", "off", "wrong", "unknown")
        ]
        kind = "numbers" if marks["values"].all() else "bits"
        amount = (
            f"{span(marks['amount'])} {kind}" if marks["amount"].count() else "unknown"
        )
        explained = f"{marks['explained'].min():.2f}"
        cells = (
            span(marks["lag"], 0),
            explained,
            amount,
            span(marks["width"]),
            span(marks["u90"]),
        )
        lines.append((name.replace("_", " "), *cells, *counts))
    head = (
        "line",
        "lags",
        "explained",
        "to hold",
        "predicted",
        "u90",
        "within",
        "off",
        "wrong",
        "unknown",
    )
    return table(head, lines)


def need_in_short() -> str:
    """Say how many widths are predicted."""
    marks = marks_of_need()
    number = dict(marks["verdict"].value_counts().iter_rows())
    wider = marks.filter(pl.col("u90") >= 1.5)
    within = wider.filter(verdict="within").height
    said = wider.filter(pl.col("verdict") != "unknown").height
    by_line = (
        marks.group_by("line")
        .agg((pl.col("verdict") == "within").mean())["verdict"]
        .mean()
    )
    ones = marks.filter(pl.col("u90") <= 1.5).height
    unknown, off, wrong = (
        number.get(verdict, 0) for verdict in ("unknown", "off", "wrong")
    )
    return filled(
        f"The prediction is within a factor of 1.5 at {number['within']} of {marks.height} marks"
        f" ({number['within'] / marks.height:.0%}), or at {by_line:.0%} if each line counts"
        f" alike. It is unknown at {unknown} marks, off by more at {off}, and wrong beyond doubt"
        f" at {wrong}. A constant of one unit is within the factor at {ones} marks"
        f" ({ones / marks.height:.0%}). {wider.height} marks take 1.5 units or more: the"
        f" prediction says something at {said} of them, and is within the factor at {within}."
    )


def marks_of_need() -> pl.DataFrame:
    """The marks of sweeps/atlas/need.py."""
    return pl.read_csv(
        ROOT / "sweeps" / "atlas" / "need.csv", schema_overrides={"high": pl.Float64}
    )


def span(values: pl.Series, digits: int = 1) -> str:
    """The least and the greatest of some numbers; "" of none."""
    ends = [
        f"{end:.{digits}f}" for end in (values.min(), values.max()) if end is not None
    ]
    return " to ".join(dict.fromkeys(ends))


def agent_widths() -> pl.DataFrame:
    """The units that each agent takes by two rules: of sweeps/agents/choices.py, that of memcap
    fit and one standard error of the best width's loss; of sweeps/agents.yaml, whose
    sessions have no end (null), the criterion and one ten times as loose."""
    agents = []
    files = pl.read_csv(ROOT / "sweeps" / "agents" / "choices.csv")
    for _, rows in files.group_by(
        "world", "values", "habit", "subject", "sessions", maintain_order=True
    ):
        losses = rows.pivot("units", index="fold", values="loss").drop("fold")
        best = min(losses, key=lambda width: width.mean())
        error = best.std() / len(best) ** 0.5
        classic = next(
            int(width.name) for width in losses if width.mean() <= best.mean() + error
        )
        first = rows.row(0, named=True)
        about = {name: first[name] for name in ("world", "variables", "sessions")}
        agents.append(about | {"units": first["fit"], "other": classic})
    for (world, knobs), rows in rows_of("agents").group_by(
        "task", "knobs", maintain_order=True
    ):
        agent = json.loads(str(knobs))
        about = {
            "world": world,
            "variables": agent["values"] + agent["habit"],
            "sessions": None,
        }
        rules = {"units": 1, "other": 10}
        passed = {
            rule: rows.filter(pl.col("best") <= pl.col("threshold") * k)
            for rule, k in rules.items()
        }
        agents.append(
            about | {rule: nets["units"].min() for rule, nets in passed.items()}
        )
    right = pl.col("units", "other") == pl.col("variables")
    return pl.DataFrame(agents).with_columns(
        right.fill_null(False).name.suffix(" right")
    )


def trials(sessions: int | None) -> str:
    """How many trials an agent's sessions have."""
    return "no end" if sessions is None else f"{sessions * 100:,}"


def share(right: pl.Series) -> str:
    """How many are right, with a 95 % interval."""
    good = int(right.sum())
    return f"{good} of {len(right)} {interval(good, len(right))}"


def dimensions() -> str:
    """Tabulate how often nets of one to four units tell the number of an agent's variables."""
    lines = []
    agents = agent_widths().sort("sessions", "variables", nulls_last=True)
    for (sessions, count), some in agents.group_by(
        "sessions", "variables", maintain_order=True
    ):
        units = (f"{some[rule].fill_null(0).mean():.1f}" for rule in ("units", "other"))
        right = (share(some[f"{rule} right"]) for rule in ("units", "other"))
        cells = itertools.chain(*zip(right, units, strict=True))
        lines.append((trials(sessions), count, *cells))
    return table(
        (
            "trials",
            "variables",
            "right",
            "units, mean",
            "right by the other rule",
            "units, mean",
        ),
        lines,
    )


def dimensions_by_world() -> str:
    """Tabulate the same by world, of agents of any number of variables."""
    agents = agent_widths().sort("sessions", nulls_last=True)
    groups = agents.group_by("world", "sessions", maintain_order=True)
    cells = {key: share(some["units right"]) for key, some in groups}
    worlds, amounts = (dict.fromkeys(names) for names in zip(*cells, strict=True))
    lines = [
        (f"`{world}`", *(cells[world, amount] for amount in amounts))
        for world in sorted(worlds)
    ]
    return table(("world", *map(trials, amounts)), lines)


def known_widths() -> str:
    """Tabulate what `memcap fit` finds in sequences of tasks whose width the atlas has."""
    lines = []
    hits = {"true": [], "noisy": []}
    of_marks = pl.read_csv(
        ROOT / "sweeps" / "atlas" / "known_widths.csv",
        schema_overrides={"knobs": pl.String},
    )
    of_marks = of_marks.sort(pl.col("labels") != "true", maintain_order=True)
    for _, rows in of_marks.group_by(
        "task", "knobs", "lag", "labels", maintain_order=True
    ):
        row = rows.row(0, named=True)
        task = task_of(row["task"], row["knobs"].split(",") if row["knobs"] else ())
        name = label(task)
        labels = row["labels"]
        units = row["fit"]
        threshold = point(name, row["lag"]).fit.u90
        low = math.ceil(threshold.low)
        high = math.ceil(threshold.high)
        score = rows.filter(units=units or rows["units"][0])["score"][0]
        answer = (
            f"{units}, more than {row['below']}"
            if row["below"]
            else units or "no width helps"
        )
        least = (
            score - (score * (1 - score) / SEQUENCES_OF_MARKS) ** 0.5
            if task.loss == "classes"
            else 1
        )
        often = rows.filter(pl.col("score") >= least)["units"].min() if units else None
        if labels in hits:
            hits[labels].append(
                (low <= (units or 0) <= high, low <= (often or units or 0) <= high)
            )
        atlas = (
            f"{max(1, math.ceil(threshold.units))} [{low}, {high}]"
            if labels in hits
            else ""
        )
        lines.append(
            (
                f"{name}, lag {row['lag']}",
                labels,
                atlas,
                answer,
                often or "",
                number(score),
            )
        )
    rules = [
        f"{rule} {sum(each[k] for each in hits['true'])} of {len(hits['true'])} marks, and"
        f" {sum(each[k] for each in hits['noisy'])} of {len(hits['noisy'])} with noise"
        for k, rule in enumerate(("by loss", "by how often the class is right"))
    ]
    head = ("sequences of", "labels", "atlas", "memcap fit", "right as often", "score")
    text = filled(f"**Within the atlas's interval are {'; '.join(rules)}.**")
    return f"{text}\n\n{table(head, lines)}"


def beside_keras() -> str:
    """Tabulate the losses of `memcap fit` and of Keras's best width on the same test sequences."""
    lines = []
    above = {}
    of_files = pl.read_csv(ROOT / "sweeps" / "real" / "beside_keras.csv").sort(
        "file", "draw", maintain_order=True
    )
    for (file, draw), rows in of_files.group_by("file", "draw", maintain_order=True):
        ours, keras = (
            rows.filter(by=name).sort("loss") for name in ("memcap", "keras")
        )
        enough = ours.filter(pl.col("units") == pl.col("fit")).row(0, named=True)
        best = ours.row(0, named=True)
        theirs = keras.sort("validation").row(0, named=True)
        cells = [f"{each['loss']:.4f} ({each['units']})" for each in (enough, best)]
        cells.append(
            f"{theirs['loss']:.4f} ± {theirs['error']:.4f} ({theirs['units']})"
        )
        errors = [
            (each["loss"] - theirs["loss"]) / theirs["error"] for each in (enough, best)
        ]
        above.setdefault(file, []).append(errors[0])
        lines.append(
            (f"{file}, {draw}", *cells, " / ".join(f"{each:+.2f}" for each in errors))
        )
    means = ", ".join(
        f"{np.mean(each):+.2f} for {file}" for file, each in above.items()
    )
    within = sum(each <= 1 for some in above.values() for each in some)
    text = filled(
        f"**In {within} of {len(lines)} comparisons the width called enough is at most one"
        f" standard error above Keras's best; the means over the draws are {means}.**"
    )
    head = (
        "file, draw",
        "enough by memcap fit",
        "its best width",
        "Keras's best width",
        "standard errors above Keras",
    )
    return f"{text}\n\n{table(head, lines)}"


def interval(good: int, number: int) -> str:
    """A 95 % interval of a share."""
    low, high = wilson(good, number)
    return f"[{low:.2f}, {high:.2f}]"


BLOCKS: dict[str, Callable[[], str]] = {
    "the answer": short_answer,
    "six questions": six,
    "questions": questions,
    "atlas": whole_atlas,
    "gap": gap_in_short,
    "costs": costs_by_family,
    "costs in short": costs_in_short,
    "loops": loops,
    "what training hid": hidden,
    "optimizers on delay lines": optimizers_on_delay_lines,
    "widths by optimizer": widths_by_optimizer,
    "units of Adam": units_of_adam,
    "units in equal seconds": units_in_equal_seconds,
    "optimizers at 50": optimizers_at_50,
    "units by ggt": units_by_ggt,
    "optimizers elsewhere": optimizers_elsewhere,
    "rates by optimizer": rates_by_optimizer,
    "rates": rates,
    "fresh seeds": fresh_seeds,
    "advice between lags": between_lags,
    "every lag": every_lag,
    "other tasks": other_tasks,
    "races": races,
    "layers": layers,
    "cell map": lambda: by_bytes(map_needs()),
    "cell map seeds": lambda: map_seeds(map_needs()),
    "cell map recipes": map_recipes,
    "published layers": published_layers,
    "parts of layers": parts_of_layers,
    "sizes of keys": sizes_of_keys,
    "cell map again": lambda: in_two_runs(cell_map.RUNS),
    "cell map tasks": lambda: by_bytes(map_needs("cell_map_tasks")),
    "cell map tasks seeds": lambda: map_seeds(map_needs("cell_map_tasks")),
    "cell map tasks again": lambda: in_two_runs(STUDIES["cell_map_tasks"]),
    "cell map within": cell_map_within,
    "cell map budgets": cell_map_budgets,
    "cell map longer": cell_map_longer,
    "cell map bytes": cell_map_bytes,
    "cell map thousand": cell_map_thousand,
    "cell map rates": cell_map_rates,
    "cell map in short": best_cells,
    "budgets at lag 50": budgets_at_50,
    "delay line": delay_line,
    "latch": latch,
    "recipes": recipes,
    "budgets": budgets,
    "four symbols": four_symbols,
    "carry precision": carry_precision,
    "few bits": few_bits,
    "noisy latch": noisy_latch,
    "read-outs": readouts,
    "windows": windows,
    "counting": counting,
    "pattern": pattern,
    "solved": solved,
    "steady": steady,
    "up to": up_to_rule,
    "every lag up to": up_to,
    "every lag by net": up_to_by_net,
    "advice up to": advice_up_to,
    "whole sequences": whole_sequences,
    "learned or inherited": learned,
    "learned in short": learned_in_short,
    "fading kernel": fading_kernel,
    "lag and width": lag_and_width,
    "need": need,
    "need in short": need_in_short,
    "dimensions": dimensions,
    "known widths": known_widths,
    "dimensions by world": dimensions_by_world,
    "beside Keras": beside_keras,
    "papers": redrawn,
    "claims resampled": resampled,
    "speed": speed,
    "speed of studies": studies,
    "designs": designs,
    "failing nets": failing_nets,
    "failing nets by task": failing_nets_by_task,
    "real in short": real_in_short,
    "real sets": real_sets,
    "real predictions": real_predictions,
    "tables of rows": tables_of_rows,
    "columns": columns,
    "fading beside latch": fading_beside_latch,
    "noisy carries": noisy_carries,
    "numbers per unit": numbers_per_unit,
    "counting languages": counting_languages,
    "parity by lags": parity_by_lags,
    "parity by heads": parity_by_heads,
    "state in use": state_in_use,
    "recall beside ceilings": recall_beside_ceilings,
    "few units": few_units,
    "beyond 50": beyond_50,
    "recipes in rows": recipes_in_rows,
    "core hours": core_hours,
}


def printed(command: str) -> str:
    """What a command prints, as a block of text."""
    out = io.StringIO()
    with (
        tempfile.TemporaryDirectory() as empty,  # no rows of one's own
        contextlib.chdir(empty),
        contextlib.redirect_stdout(out),
    ):
        cli.main(shlex.split(command)[1:])
    return f"```text\n{out.getvalue().rstrip()}\n```"


def renewed(page: str) -> str:
    """A page with its blocks made again.

    Raises:
        KeyError: a block has a name that is not known here.
    """

    def block(match: re.Match[str]) -> str:
        name = match["name"]
        if name.startswith("memcap "):
            body = printed(name)
        else:
            body = counted(name) if name.startswith("counts(") else BLOCKS[name]()
        return f"{match[1]}\n{body}\n\n{match[4]}"

    return BLOCK.sub(block, page)


def main(arguments: Sequence[str]) -> int:
    """Write the pages, or say which would change."""
    stale = 0
    for path in (
        ROOT / "README.md",
        ROOT / "sweeps" / "README.md",
        *sorted((ROOT / "docs").glob("*.md")),
    ):
        page = path.read_text(encoding="utf-8")
        if (new := renewed(page)) != page:
            stale += 1
            print(
                f"{path.relative_to(ROOT)}: not as its rows are; make tables writes it"
            )
            if "--check" not in arguments:
                path.write_text(new, encoding="utf-8")
    return stale if "--check" in arguments else 0


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
