"""Drawing helpers for papers' figures: nets in colour, references in grey."""

import textwrap
from collections.abc import Iterable
from typing import Any

import polars as pl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from memcap.answers.words import wilson
from memcap.figures import Drawn
from memcap.figures.style import colour_and_marker, seeds, write_below


def panels(size: tuple[float, float], *shape: int, **grid: Any) -> tuple[Figure, Any]:
    """Return a figure of this size in inches, and the axes that `Figure.subplots`
    makes."""
    picture = Figure(figsize=size)
    return picture, picture.subplots(*shape, **grid)


def look(k: int, **more: Any) -> dict[str, Any]:
    """Return colour, marker and size of line number `k` for `plot` and `errorbar`."""
    colour, marker = colour_and_marker(k)
    return {"color": colour, "marker": marker, "ms": 5} | more


def dots(k: int, **more: Any) -> dict[str, Any]:
    """Return colour, marker and size of group number `k` for `scatter`."""
    colour, marker = colour_and_marker(k)
    return {"color": colour, "marker": marker, "s": 22} | more


def with_bars(axes: Axes, data: pl.DataFrame, x: str, y: str, **shape: Any) -> None:
    """Draw a line through medians `y`, with bars to `least` and `greatest`. `shape` is
    what `look` returns; `beside` multiplies all `x`, so that bars do not overlap."""
    bars = [
        (data[y] - data["least"]).to_numpy(),
        (data["greatest"] - data[y]).to_numpy(),
    ]
    places = data[x] * shape.pop("beside") if "beside" in shape else data[x]
    axes.errorbar(places, data[y], yerr=bars, **shape)


def share_bars(
    axes: Axes,
    places: Iterable[float],
    passed: Iterable[int],
    nets: Iterable[int],
    colour: str,
) -> None:
    """Draw the 95 % interval of each share, `passed` of `nets`."""
    for x, k, n in zip(places, passed, nets, strict=True):
        axes.plot([x, x], wilson(k, n), color=colour, lw=1, alpha=0.5, label="_bar")


def with_nets(
    axes: Axes,
    nets: pl.DataFrame,
    x: str,
    y: str,
    k: int,
    label: str,
    beside: float = 1,
) -> None:
    """Draw a line through the medians of `y` at each `x`, and a mark for each net;
    `beside` multiplies all `x`, so that marks do not overlap."""
    medians = nets.group_by(x).agg(pl.col(y).median()).sort(x)
    line = look(k, ms=4, lw=1.1, label=label)
    axes.plot(medians[x] * beside, medians[y], **line)
    axes.scatter(nets[x] * beside, nets[y], **dots(k, alpha=0.5))


def level(axes: Axes, y: float, label: str = "_level", ls: str = ":") -> None:
    """Draw a horizontal grey line, such as chance or the criterion."""
    axes.axhline(y, color="grey", lw=0.8, ls=ls, label=label)


def theirs(axes: Axes, x: Any, y: Any, **shape: Any) -> None:
    """Draw the paper's values, or a bound, as a broad pale line."""
    pale: dict[str, Any] = {"color": "#bbbbbb", "lw": 5, "alpha": 0.6}
    axes.plot(x, y, **pale | shape)


def number_x(axes: Axes, values: Iterable[float], form: str = "g") -> None:
    """Put ticks with numbers at these places of the horizontal axis only."""
    ticks = sorted(set(values))
    axes.set_xticks(ticks, [format(tick, form) for tick in ticks])
    axes.set_xticks([], minor=True)


def legend(axes: Axes, **place: Any) -> None:
    axes.legend(**{"frameon": False, "fontsize": 8} | place)


def finish(
    picture: Figure,
    rows: pl.DataFrame,
    data: pl.DataFrame,
    caption: str,
    width: int,
    **margins: float,
) -> Drawn:
    """Write the caption and the seeds below the panels, in lines of `width` characters;
    return the picture with the numbers drawn. `margins` are those of
    `subplots_adjust`."""
    write_below(picture, textwrap.fill(f"{caption} {seeds(rows)}", width))
    picture.subplots_adjust(**margins)
    return Drawn(picture, data)


def greatest(data: pl.DataFrame, column: str) -> int:
    return max(data[column].drop_nulls().to_list(), default=0)
