"""Compare two studies: divide u50 and u90 of the second by those of the first, at each
task and lag.

The intervals take the two studies as independent, so neither should hold members of the other.

  memcap compare outputs/before outputs/after
  memcap compare outputs/first_study outputs/mine --at trained
"""

import math
from argparse import ArgumentParser, Namespace
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from memcap.commands.arguments import PLACE, add_json, add_strict, add_verdict, location
from memcap.frontiers.comparison import Pair, Shift, compare, count_directions
from memcap.frontiers.frontier import Point, frontier
from memcap.knobs import UserError, grouped
from memcap.report.tables import threshold_text
from memcap.store import rows_of
from memcap.store.columns import Row
from memcap.terminal.words import (
    Column,
    Listing,
    NumberColumn,
    number,
    order,
    print_json,
    show,
)

COLUMNS = (
    Column("task", "task of the first / of the second, if they differ"),
    NumberColumn("lag"),
    Column("u50 A"),
    Column("u50 B"),
    Column(
        "u50 B/A",
        "units at which half of the seeds pass, of the second divided by the first, with a 95 %"
        " interval",
    ),
    Column("u90 A"),
    Column("u90 B"),
    Column(
        "u90 B/A",
        "the same for 90 % of the seeds (< and > mark a bound, if one threshold is a bound; ? if"
        " both are)",
    ),
    Column("recipes", "recipe of the first / of the second, if they differ"),
)
DROPS = ("recipes", "u50 A", "u50 B", "u90 A", "u90 B")


def add_arguments(parser: ArgumentParser) -> None:
    parser.add_argument("first", type=location, help=f"A: {PLACE}")
    parser.add_argument("second", type=location, help="B: the same")
    add_verdict(parser)
    add_strict(parser)
    add_json(parser)
    parser.epilog = order(DROPS)


def run(arguments: Namespace) -> None:
    """Print one line per task and lag that both have."""
    places = arguments.first, arguments.second
    tables = [rows_of(place, arguments.strict) for place in places]
    first, second = (frontier(rows, arguments.at, arguments.budget) for rows in tables)
    pairs, alone = compare(first, second)
    a, b = places
    if not pairs:
        raise UserError(
            f"{a}, {b}: have no task at a lag in common; memcap frontier shows each"
        )
    shared = len({*tables[0]["key"]} & {*tables[1]["key"]})
    if arguments.json:
        table = [_columns(pair) for pair in pairs]
        print_json({"pairs": table, "alone": _places(alone), "shared_members": shared})
        return
    notes = [_verdicts(pairs)]
    if alone:
        notes.append(f"In one of them only: {'; '.join(_places(alone))}.")
    if shared:
        notes.append(
            f"NOT independent: {shared:,} members are in both; as a rule the intervals are too"
            " wide then."
        )
    rows = list(map(_row, pairs))
    show(Listing(f"B = {b} against A = {a}", COLUMNS, rows, DROPS, notes))


def ratio(shift: Shift) -> str:
    """Write a shift with its interval."""
    sign = {"below": "< ", "above": "> "}.get(shift.bound, "")
    text = "?" if shift.ratio is None else sign + number(shift.ratio)
    if shift.low == 0 and math.isinf(shift.high):
        return text
    low = number(shift.low) if shift.low else "open"
    high = "open" if math.isinf(shift.high) else number(shift.high)
    return f"{text} [{low}, {high}]"


def _either(first: str, second: str) -> str:
    return first if first == second else f"{first} / {second}"


def _row(pair: Pair) -> list[Any]:
    a = pair.first
    b = pair.second
    recipes = (f"{p.recipe.name}, {p.recipe.budget:,} steps" for p in (a, b))
    cells = [_either(a.label, b.label), a.lag]
    for name, shift in (("u50", pair.u50), ("u90", pair.u90)):
        cells += [threshold_text(a, name), threshold_text(b, name), ratio(shift)]
    return [*cells, _either(*recipes)]


def _verdicts(pairs: list[Pair]) -> str:
    lines = []
    for name in ("u50", "u90"):
        less, more, unsure = count_directions(getattr(pair, name) for pair in pairs)
        needs = f"B needs fewer units at {less}, more at {more}"
        lines.append(f"{name}: {needs}; at {unsure} the interval holds 1")
    return f"Of {len(pairs)}: {'. '.join(lines)}. The studies are taken as independent."


def _places(points: Iterable[Point]) -> list[str]:
    labels = grouped(points, lambda point: point.label)
    return [
        f"{label} at {', '.join(str(point.lag) for point in own)}"
        for label, own in labels.items()
    ]


def _side(point: Point) -> Row:
    return {
        "label": point.label,
        "at": point.at,
        **point.recipe_columns("recipe", "lr", "budget"),
        "u50": asdict(point.fit.u50),
        "u90": asdict(point.fit.u90),
    }


def _columns(pair: Pair) -> Row:
    return {
        "task": pair.first.task.name,
        "lag": pair.first.lag,
        "first": _side(pair.first),
        "second": _side(pair.second),
        "u50": asdict(pair.u50),
        "u90": asdict(pair.u90),
    }
