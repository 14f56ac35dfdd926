"""The atlas: what `memcap answer` knows where your own rows say nothing."""

import json
import math
from collections.abc import Sequence
from functools import cache

import polars as pl

from memcap.figures import Drawn, gap
from memcap.findings import folder, load
from memcap.findings.tables import (
    Answer,
    Point,
    Question,
    atlas_rows,
    filled,
    from_rows,
    frontier,
    label,
    marks,
    outcome,
    passes,
    point,
    points_of,
    question_task,
    recipes_of,
    rows_for,
    rows_of,
    table,
    task_of,
    u90,
    width,
)

from .costs import costs, sentence
from .picture import of_rows

QUESTIONS = {  # what must be known after 50 steps: task, knobs
    "one bit, seen once, anywhere": ("latch",),
    "one of 32 symbols, seen once, anywhere": ("latch", "symbols=32"),
    "the sum of two of 51 numbers": ("adding",),
    "the order of two symbols": ("temporal_order",),
    "how many steps went by": ("count",),
    "four bits, to be repeated in order": ("copy",),
    "sixteen bits, to be repeated in order": ("copy", "items=16"),
    "at every step, the bit of 50 steps ago": ("delay_line",),
}


SEQUENCES_OF_MARKS = 10_000  # of sweeps/answers/atlas/known_widths.py

DEFINITIONS = (
    "one bit, seen once, anywhere",
    "one of 32 symbols, seen once, anywhere",
    "sixteen bits, to be repeated in order",
    "at every step, the bit of 50 steps ago",
)


BEST = ("atlas", "muon", "ggt")
COPIES = tuple(("copy", f"items={items}") for items in (2, 4, 8, 16))
STRICTEST = ("anywhere", "up_to", "steady", "trained")


def draw(rows: pl.DataFrame) -> Drawn:
    """Draw units against the bits that a task holds, with a line and its slope for each
    family of tasks."""
    return of_rows(rows)


def definitions() -> str:
    """The answer to whoever asks how to define an LSTM."""
    results = {name: advised(*QUESTIONS[name]) for name in DEFINITIONS}
    lines = [
        (
            name,
            f"`LSTM({result.units})`",
            f"`nn.LSTM(features, {result.units})`",
            outcome(result) + whole_lists(result),
        )
        for name, result in results.items()
    ]
    heads = (
        "what it must still know after 50 steps or less",
        "in Keras",
        "in PyTorch",
        "trained nets that passed",
    )
    return (
        "**Do not size it by the length. Size it by what it must still know.**\n\n"
        + table(heads, lines)
    )


@cache
def advised(task: str, *knobs: str) -> Answer:
    """The answer of `memcap answer` at lag 50."""
    return from_rows(atlas_rows(), Question(question_task(task, knobs), 50), "atlas")


def whole_lists(result: Answer) -> str:
    """Return the share of whole lists that nets which pass repeat without a mistake: of
    the advised nets on fresh seeds, or else the least that it can be; "" for tasks
    with one answer."""
    question = result.question
    facts = question.task.facts(question.lag, question.task.length(question.lag))
    if facts.answers_due == 1:
        return ""
    rows = rows_for(rows_of("anywhere_fresh_seeds"), question.task, question.model)
    rows = rows.filter(lag=question.lag, units=result.units, anywhere=True)
    texts = rows["whole_at_lengths"].drop_nulls()
    shares = [share for text in texts for share in json.loads(text)]
    least = f"{100 * (min(shares) if shares else facts.least_whole):.0f}"
    span = f"{least} to {100 * max(shares):.0f} %" if shares else f"at least {least} %"
    return f": {100 * facts.threshold:g} % of their bits right, {span} of whole lists"


def short_answer() -> str:
    """The answer in a paragraph."""
    stream = advised("delay_line")
    dearer, tasks = dearer_by_lag()
    adam = from_rows(rows_of("atlas"), stream.question)
    units = sorted({adam.units, stream.units})
    latch = advised("latch")
    longest = latch.question.task.length(latch.question.lag)
    conditions = load("learned").controls()
    place = task_of("latch", []), 50, 1
    one = conditions["uniform", *place]
    passed = one.bias, conditions["hold", *place].bias, one.frozen
    bias, alone, frozen = (f"{good} of {nets}" for good, nets in passed)
    return filled(
        "**An LSTM that sees one bit once, anywhere in a sequence, and holds it for 50 steps or"
        f" less needs {latch.units} unit: {outcome(latch)} trained nets have 99 % of their answers"
        f" right wherever the bit comes in sequences of up to {longest} steps. An LSTM that must"
        " give the bit of 50 steps ago at every step, and so holds 50 bits all the time, needs"
        f" {' to '.join(map(str, units))} units, by optimizer ({outcome(stream)} nets pass with"
        f" {stream.units}).** A longer lag alone costs little width: {tasks - len(dearer)} of"
        f" {tasks} tasks take less than 1.5 times as many units at lag 50 as at the shortest lag;"
        f" {joined(dearer)} take more. Information costs"
        " width, and how much depends on how well the net was trained. Holding is"
        f" {'inherited from the start' if one.verdict.startswith('inherited') else 'learnt'}:"
        f" from forget bias 1, which by itself holds nothing for 50 steps, {bias} nets learn it"
        f" by recipe `uniform` (all lags, {budget_of('uniform')} steps), and {alone} by `hold` (lag"
        f" 50 alone, {budget_of('hold')} steps). With only the read-out trained, {frozen} nets"
        f" learn it, and of {one.draws:,} untrained nets {max(one.by_recipe, one.wide)} hold a bit"
        " by luck."
    )


def budget_of(recipe: str) -> str:
    """Return the most training steps of the latches that a recipe trained."""
    (steps,) = rows_of("learned").filter(recipe=recipe, task="latch")["budget"].unique()
    return f"{steps:,}"


def bits(each: Point) -> float:
    """Bits that have to be held at the worst moment."""
    return each.task.facts(each.lag, each.length).bits


@cache
def dearer_by_lag() -> tuple[Sequence[tuple[Point, Point]], int]:
    """Return the shortest lag and lag 50 of the tasks that take half more units there,
    or yet more, though no more has to be held, and of how many tasks that is."""
    lines: dict[str, list[Point]] = {}
    for p in frontier(atlas_rows()):
        if p.trains and p.model.cell == "lstm" and p.model.layers == 1:
            lines.setdefault(label(p.task), []).append(p)
    ends = []
    for some in lines.values():
        strictest = next(at for at in STRICTEST if any(p.at == at for p in some))
        own = [p for p in some if p.at == strictest]
        shortest = own[0]
        last = next((p for p in own if p.lag == 50), None)
        if last is not None and bits(last) <= bits(shortest):
            ends.append((shortest, last))
    dearer = [(a, b) for a, b in ends if b.fit.u90.units >= 1.5 * a.fit.u90.units]
    return sorted(dearer, key=lambda pair: pair[1].fit.u90.units), len(ends)


def joined(dearer: Sequence[tuple[Point, Point]]) -> str:
    """Name the tasks of pairs of points."""
    *names, last = (b.task.name.replace("_", " ") for _, b in dearer)
    return f"{', '.join(names)} and {last}"


def lag_and_width() -> str:
    """Say of how many tasks a lag costs width though no more has to be held, and what
    was tried of one."""
    dearer, tasks = dearer_by_lag()
    exceptions = ", ".join(
        f"{b.task.name.replace('_', ' ')} from {u90(a)} at lag {a.lag} to {u90(b)}"
        for a, b in dearer
    )
    counts = passes(rows_of("cycle_navigation"), "units").sort("units")
    passed = ", ".join(
        f"{good} of {nets} with {units}" for units, good, nets in counts.rows()
    )
    short, long = (
        p for p in frontier(atlas_rows()) if p.task.name == "modular_arithmetic"
    )
    return filled(
        f"Of {tasks} tasks that hold equally many bits at each lag and were measured up to lag 50,"
        f" {tasks - len(dearer)} take less than 1.5 times as many units at lag 50 as at the"
        " shortest lag (u90, by the strictest verdict that was measured). The others rise:"
        f" {exceptions}. Nets of cycle navigation were also trained on all lags at once, with Adam"
        f" and Muon at rates from 0.005 to 0.06; up to lag 50, {passed} units pass (`memcap train"
        " sweeps=other/cycle_navigation`). Modular arithmetic"
        f" was not measured as far: {u90(short)} units at lag {short.lag}, {u90(long)} at"
        f" {long.lag}."
    )


def questions() -> str:
    """Units to take up to lag 50, and how many runs of this width and of narrower ones
    passed."""
    lines = []
    for name, (task, *knobs) in QUESTIONS.items():
        words = "".join(f" --knob {knob}" for knob in knobs)
        command = f"`memcap answer --task {task} --lag 50{words}`"
        result = advised(task, *knobs)
        less = (result.units - 1, result.units - 2)
        narrower = "; ".join(
            "{}: {} of {}".format(units, *result.point.passed(units))
            for units in less
            if units in result.point.units
        )
        lines.append((name, command, result.units, outcome(result), narrower))
    first = "what must be known after 50 steps or less"
    heads = "ask", "units to take", "runs that passed", "with fewer units"
    return table((first, *heads), lines)


def whole_atlas() -> str:
    """The mark of each task's longest lag."""
    longest = {point.label: point for point in points_of(*BEST)}  # by rising lag
    return marks(longest.values())


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


def costs_in_short() -> str:
    """Say what differs between the families."""
    by_family = {cost.family: cost for cost in costs(points_of(*BEST))}
    return filled(
        f"The cost of a bit depends on the task. A copy costs {sentence(by_family['copy'])}, at"
        " any lag. A delay line, which shifts at every step, costs"
        f" {sentence(by_family['delay_line'])} with two symbols,"
        f" {sentence(by_family['delay_line (symbols=4)'])} with four and"
        f" {sentence(by_family['delay_line (symbols=8)'])} with eight. A delay line of reals"
        f" costs {sentence(by_family['delay_line (reals=True)'])}. One slope for all of them"
        " would mean nothing."
    )


def delay_line() -> str:
    """Five lags of it."""
    lines = []
    for lag in (1, 5, 12, 25, 50):
        p = point("delay_line", lag)
        bits = f"{p.references.bits:g}"
        lines.append((lag, bits, width(p.fit.u50), width(p.fit.u90)))
    half = "units at which half of the seeds pass"
    return table(("lag", "bits to hold", half, "nine in ten"), lines)


def latch() -> str:
    """One unit at every lag."""
    marks = {p.lag: p for p in points_of("atlas") if p.label == "latch"}
    assert all(p.units[0] == 1 for p in marks.values())
    near, far = (
        f"{marks[lag].solved[0]} of {marks[lag].runs[0]}" for lag in (50, max(marks))
    )
    return filled(
        "A net sees one bit, then random distractors, and must answer with the bit at the end."
        f" One unit is enough at every measured lag, from {min(marks)} to {max(marks)} steps:"
        f" with one unit {near} seeds learned the task at lag 50, and {far} at lag {max(marks)}."
    )


def four_symbols() -> str:
    """Steady seeds by width at lag 8."""
    (p,) = (
        p
        for p in recipes_of("atlas")
        if (p.label, p.lag, p.recipe.name)
        == ("delay_line (symbols=4)", 8, "curriculum")
    )
    counts = zip(p.solved, p.runs, strict=True)
    steady = (f"{good} of {seeds}" for good, seeds in counts)
    return table(("units", *p.units), [("steady", *steady)])


def need_in_short() -> str:
    """Say how many widths are predicted."""
    marks = marks_of_need()
    is_within = pl.col("verdict") == "within"
    within = marks.filter(is_within).height
    by_line = marks.group_by("line").agg(is_within.mean())["verdict"].mean()
    ones = marks.filter(pl.col("u90") <= 1.5).height
    return filled(
        f"The prediction is within a factor of 1.5 at {within} of {marks.height} marks"
        f" ({within / marks.height:.0%}), or at {by_line:.0%} if each line counts"
        f" alike. A constant of one unit is within it at {ones} marks ({ones / marks.height:.0%})."
    )


def marks_of_need() -> pl.DataFrame:
    """The marks of sweeps/answers/atlas/need.py."""
    return pl.read_csv(
        folder("atlas") / "need.csv", schema_overrides={"high": pl.Float64}
    )


def known_widths() -> str:
    """Count the widths of the atlas that `memcap fit` finds in sequences."""
    mark = "task", "knobs", "lag", "labels"
    rows = pl.read_csv(
        folder("atlas") / "known_widths.csv", schema_overrides={"knobs": pl.String}
    ).sort(pl.col("labels") != "true", maintain_order=True)
    hits = {"true": [], "noisy": []}  # whether each rule is in the atlas's interval
    rows = rows.filter(pl.col("labels").is_in(list(hits)))
    for (task, knobs, lag, labels), nets in rows.group_by(mark, maintain_order=True):
        kind = task_of(task, knobs.split(",") if knobs else ())
        units = nets["fit"][0] or 0
        score = nets.filter(units=units or nets["units"][0])["score"][0]
        least = 1
        if kind.loss == "classes":
            least = score - (score * (1 - score) / SEQUENCES_OF_MARKS) ** 0.5
        often = nets.filter(pl.col("score") >= least)["units"].min() if units else 0
        u90 = point(label(kind), lag).fit.u90
        low = math.ceil(u90.low)
        high = math.ceil(u90.high)
        hits[labels].append([low <= width <= high for width in (units, often or units)])
    rules = []
    for rule, true, noisy in zip(
        ("by loss", "by how often the class is right"),
        zip(*hits["true"], strict=True),
        zip(*hits["noisy"], strict=True),
        strict=True,
    ):
        rules.append(
            f"{rule} {sum(true)} of {len(true)} marks, and {sum(noisy)} of {len(noisy)}"
            " with noise"
        )
    return filled(
        f"**Within the atlas's interval are {'; '.join(rules)}**"
        " ([known_widths.csv](known_widths.csv))."
    )


def advice(task: str) -> str:
    """Return what `memcap answer` advises for a task, with its command."""
    result = advised(task)
    return (
        f"`memcap answer --task {task} --lag 50` advises {result.units} units"
        f" ({outcome(result)} nets)"
    )


def parity() -> str:
    """Say what parity takes at all lengths."""
    return filled(
        f"For the parity of every number of bits up to 50, {advice('parity')}."
    )


def pattern() -> str:
    """Say what the pattern takes at all lags."""
    return filled(
        "For a net to be right at every lag up to 50, wherever the pattern begins,"
        f" {advice('pattern')}."
    )


TABLES = {
    "the answer": short_answer,
    "advice on parity": parity,
    "advice on pattern": pattern,
    "definitions": definitions,
    "questions": questions,
    "atlas": whole_atlas,
    "gap": gap_in_short,
    "costs in short": costs_in_short,
    "delay line": delay_line,
    "latch": latch,
    "four symbols": four_symbols,
    "lag and width": lag_and_width,
    "need in short": need_in_short,
    "known widths": known_widths,
}
