"""One self-contained page of a study: frontier, a table to sort, and each member's
curve; nothing is fetched from anywhere."""

import html
import json
import math
from collections.abc import Sequence
from pathlib import Path
from string import Template
from typing import Any

import polars as pl

from memcap.answers.sources import rows_for
from memcap.figures.style import COLOURS, pass_rules, which_seeds_count
from memcap.frontiers.frontier import frontier
from memcap.frontiers.points import Point, columns
from memcap.own.losses import LossCurve, loss_curves
from memcap.own.words import loss_table, loss_text
from memcap.report.job_end import totals
from memcap.report.tables import frontier_table, threshold_text
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
)
MEMBERS += ("status", "steps", "final", "stretched")
MOST_MEMBERS = 2_000
BYTES_OF_CURVES = 500_000
BYTES_OF_A_POINT = 22


def page(rows: pl.DataFrame, curves: pl.DataFrame, title: str) -> str:
    """Write the page, as HTML, of trained members, and of their curves as far as there are any."""
    points = frontier(rows)
    curves_by_width = loss_curves(rows)
    if all(len(point.units) == 1 for point in points):
        points = []
    listings = [loss_table(curve) for curve in curves_by_width]
    listing = listings[0] if listings else frontier_table(points)
    some = rows.sort("task", "knobs", "cell", "layers", "lag", "units", "seed").head(
        MOST_MEMBERS
    )
    data = {
        "points": [_point(point) for point in points],
        "widths": _widths(points, curves_by_width, rows),
        "heads": [column.head for column in listing.columns],
        "thresholds": [[_number(cell) for cell in row] for row in listing.rows],
        "memberHeads": MEMBERS,
        "members": [
            [_plain(cell) for cell in row] for row in some.select(MEMBERS).iter_rows()
        ],
        "curves": _curves(curves, some["key"]),
    }
    caption: list[str] = []
    if points:
        open_ends = "A dashed bar has no end: the widths tried leave it open."
        caption = [which_seeds_count(points), *pass_rules(points)]
        caption += [open_ends] if data["widths"] is None else []
    caption += [sentence for each in listings for sentence in each.notes]
    texts = {
        "title": title,
        "summary": f"{totals(rows)}.",
        "caption": " ".join(caption),
        "members": f"{some.height:,} of {rows.height:,}."
        if some.height < rows.height
        else "",
        "made": (
            f"Made by memcap {', '.join(sorted(set(rows['memcap'].drop_nulls())))}: memcap"
            " report."
        ),
    }
    template = Template(
        Path(__file__).with_name("page.html").read_text(encoding="utf-8")
    )
    script = json.dumps(data, separators=(",", ":"), allow_nan=False).replace(
        "<", "\\u003c"
    )
    return template.substitute(
        {k: html.escape(v) for k, v in texts.items()},
        data=script,
        colours=json.dumps(COLOURS),
    )


def _point(point: Point) -> dict[str, Any]:
    row = columns(point)
    names = ["label", "lag", "u90", "u90_low", "u90_high", "u90_censored"]
    names += ["one_per_number", "recipe", "budget", "counts"]
    return {name: _plain(row[name]) for name in names} | {
        "said": threshold_text(point, "u90")
    }


def _widths(
    points: Sequence[Point], curves: Sequence[LossCurve], rows: pl.DataFrame
) -> dict[str, Any] | None:
    """Return the values to draw against the width, if a frontier against the lag would
    have only one lag. None: draw the frontier."""
    if curves:
        y = "held-out loss (line: mean; points: folds or repeats)"
        series = [_losses(curve) for curve in curves]
    elif len({point.lag for point in points}) == 1:
        y = f"share of seeds that passed at lag {points[0].lag} (line), and their scores"
        series = [_shares(point, rows) for point in points]
    else:
        return None
    return {"y": y, "series": series}


def _losses(curve: LossCurve) -> dict[str, Any]:
    means = [
        [w.units, _plain(w.mean), f"{plural(w.units, 'unit')}: loss {loss_text(w)}"]
        for w in curve.widths
    ]
    folds = [[w.units, _plain(loss)] for w in curve.widths for loss in w.folds]
    return {
        "label": f"{Path(curve.task.file).stem}, lag {curve.lag}",
        "line": means,
        "dots": folds,
    }


def _shares(point: Point, rows: pl.DataFrame) -> dict[str, Any]:
    """Return the shares that passed by width, with each seed's score if that is an accuracy."""
    counts = zip(point.units, point.solved, point.runs, strict=True)
    shares = [
        [u, _plain(k / n), f"{plural(u, 'unit')}: {k} of {n} passed"]
        for u, k, n in counts
    ]
    own = rows_for(rows, point.task, point.model).filter(
        recipe=point.recipe.name, lr=point.recipe.lr
    )
    scores = (
        own.select("units", "final").drop_nulls().rows()
        if point.task.higher_is_better
        else []
    )
    return {
        "label": point.label,
        "line": shares,
        "dots": [[u, _plain(score)] for u, score in scores],
    }


def _plain(value: Any) -> Any:
    """Return a value for JSON, with four digits."""
    if isinstance(value, float):
        return float(f"{value:.4g}") if math.isfinite(value) else None
    return value


def _number(text: str) -> Any:
    """Return a cell of a table, as a number if it is one, so that it sorts as one."""
    try:
        return _plain(float(text)) if text else None
    except ValueError:
        return text


def _curves(curves: pl.DataFrame, keys: pl.Series) -> dict[str, list[list[Any]]]:
    """Return [step, loss, held-out score] by key, thinned evenly to fit a page; and the
    validation loss of members that are judged by it."""
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
        points[str(key)] = [
            [_plain(v) for v in row] for row in thin.select(names).iter_rows()
        ]
    return points
