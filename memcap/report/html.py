"""One self-contained page of a study; nothing is fetched from anywhere."""

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import polars as pl

from memcap.answers.sources import rows_for
from memcap.answers.words import wilson
from memcap.figures.style import COLOURS, pass_rules, which_seeds_count
from memcap.frontiers.frontier import Point, columns, frontier
from memcap.own.losses import LossCurve, loss_curves
from memcap.own.words import loss_table, loss_text
from memcap.report.tables import frontier_table, threshold_text, totals
from memcap.store.columns import Row
from memcap.terminal.words import plural

MEMBERS = (
    "key",
    "task",
    "lag",
    "cell",
    "units",
    "layers",
    "carry_numbers",
    "parameters",
    "recipe",
    "seed",
    "status",
    "steps",
    "final",
    "stretched",
)
POINT = (
    "label",
    "lag",
    "u90",
    "u90_low",
    "u90_high",
    "u90_censored",
    "one_per_number",
    "recipe",
    "budget",
    "counts",
)
ORDER = ("task", "knobs", "cell", "layers", "lag", "units", "seed")
MOST_MEMBERS = 2_000
BYTES_OF_CURVES = 500_000
BYTES_OF_A_POINT = 22


def page(rows: pl.DataFrame, curves: pl.DataFrame, title: str) -> str:
    points = frontier(rows)
    curves_by_width = loss_curves(rows)
    if all(len(point.units) == 1 for point in points):
        points = []
    listings = [loss_table(curve) for curve in curves_by_width]
    listing = listings[0] if listings else frontier_table(points)
    some = rows.sort(ORDER).head(MOST_MEMBERS)
    widths = _widths(points, curves_by_width, rows)
    data = {
        "points": list(map(_point, points)),
        "widths": widths,
        "heads": [column.head for column in listing.columns],
        "thresholds": [[_number(cell) for cell in row] for row in listing.texts],
        "memberHeads": MEMBERS,
        "members": some.select(MEMBERS).rows(),
        "curves": _curves(curves, some["key"]),
    }
    caption: list[str] = []
    if points:
        caption = [which_seeds_count(points), *pass_rules(points)]
        if widths is None:
            caption.append("A dashed bar has no end: the widths tried leave it open.")
    caption += [sentence for each in listings for sentence in each.notes]
    sample_note = f"{some.height:,} of {rows.height:,}."
    versions = ", ".join(sorted(set(rows["memcap"].drop_nulls())))
    texts = {
        "title": title,
        "summary": f"{totals(rows)}.",
        "caption": " ".join(caption),
        "members": sample_note if some.height < rows.height else "",
        "made": f"Made by memcap {versions}: memcap report.",
    }
    template = Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    script = json.dumps(_plain(data), separators=(",", ":"), allow_nan=False)
    return Template(template).substitute(
        {name: html.escape(text) for name, text in texts.items()},
        data=script.replace("<", "\\u003c"),
        colours=json.dumps(COLOURS),
    )


def _point(point: Point) -> Row:
    row = columns(point)
    return {name: row[name] for name in POINT} | {"said": threshold_text(point, "u90")}


def _widths(
    points: Sequence[Point], curves: Sequence[LossCurve], rows: pl.DataFrame
) -> Row | None:
    """Return values to draw against the width, if there is only one lag; None: draw the
    frontier."""
    if curves:
        y = "held-out loss (line: mean; points: folds or repeats)"
        series = [_losses(curve) for curve in curves]
    elif len({point.lag for point in points}) == 1:
        y = (
            f"share of seeds that passed at lag {points[0].lag} (line, with 95 % intervals),"
            " and their scores (dots)"
        )
        series = [_shares(point, rows) for point in points]
    else:
        return None
    return {"y": y, "series": series}


def _losses(curve: LossCurve) -> Row:
    means = [
        [w.units, w.mean, f"{plural(w.units, 'unit')}: loss {loss_text(w)}"]
        for w in curve.widths
    ]
    folds = [[w.units, loss] for w in curve.widths for loss in w.folds]
    return {
        "label": f"{Path(curve.task.file).stem}, lag {curve.lag}",
        "line": means,
        "dots": folds,
        "bars": [],
    }


def _shares(point: Point, rows: pl.DataFrame) -> Row:
    shares = [
        [u, k / n, f"{plural(u, 'unit')}: {k} of {n} passed"]
        for u, k, n in point.by_width
    ]
    bars = [[u, *wilson(k, n)] for u, k, n in point.by_width]
    scores = []
    if point.task.higher_is_better:
        members = rows_for(rows, point.task, point.model)
        members = members.filter(recipe=point.recipe.name, lr=point.recipe.lr)
        scores = members.select("units", "final").drop_nulls().rows()
    return {"label": point.label, "line": shares, "dots": scores, "bars": bars}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return list(map(_plain, value))
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def _number(text: str) -> Any:
    """Return a cell as a number if it is one, to sort as one."""
    try:
        return float(text) if text else None
    except ValueError:
        return text


def _curves(curves: pl.DataFrame, keys: pl.Series) -> dict[str, list[tuple]]:
    """Return [step, loss, held-out score] by key, thinned to fit a page; and validation
    losses."""
    own = curves.filter(pl.col("key").is_in(keys.to_list()))
    most = max(2, BYTES_OF_CURVES // BYTES_OF_A_POINT // max(own["key"].n_unique(), 1))
    points = {}
    for (key,), curve in own.group_by("key", maintain_order=True):
        every = math.ceil(curve.height / most)
        evaluated = curve["held_out"].is_not_null()
        index = pl.col("index")
        thin = curve.with_row_index().filter(
            (index % every == 0) | (index == curve.height - 1) | evaluated
        )
        names = ["step", "train_loss", "held_out"]
        names += ["validation_loss"] if curve["validation_loss"].count() else []
        points[str(key)] = thin.select(names).rows()
    return points
