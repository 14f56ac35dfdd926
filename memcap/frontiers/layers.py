"""The state and the parameters that nets with one layer and with several need."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import polars as pl

from memcap.frontiers.comparison import Count, Shift, count_by_units, shift
from memcap.frontiers.frontier import Point, frontier
from memcap.terminal.words import plural

COUNTS = {"carry_numbers": "state", "parameters": "parameters"}
SHARE = 0.9  # share of the seeds that train at all


@dataclass(frozen=True)
class Shape:
    """A net with a number of layers at one task and lag."""

    point: Point  # the frontier there
    # carry numbers and parameters of the whole net by its units, by name
    counts: dict[str, Count]
    # u90 in each of these counts over that of the net with the fewest layers, by name;
    # empty for that net itself
    times: dict[str, Shift]

    @property
    def line(self) -> str:
        """Label of the task and the net, without its layers."""
        return _of_one_layer(self.point).label


def _of_one_layer(point: Point) -> Point:
    return replace(point, model=replace(point.model, layers=1))


def shapes(rows: pl.DataFrame) -> list[list[Shape]]:
    """Group the nets of each task and lag that differ only in their layers, those with
    the fewest first."""
    places: dict[Any, list[Shape]] = {}
    for _, of_task in rows.group_by("task", "knobs", maintain_order=True):
        for point in sorted(frontier(of_task), key=lambda p: p.model.layers):
            nets = places.setdefault(_of_one_layer(point).place, [])
            counts = {name: count_by_units(of_task, point, name) for name in COUNTS}
            shape = Shape(point, counts, {})
            if nets:
                times = {name: _times(nets[0], shape, name) for name in COUNTS}
                shape = replace(shape, times=times)
            nets.append(shape)
    return sorted(places.values(), key=lambda nets: (nets[0].line, nets[0].point.lag))


def _times(first: Shape, second: Shape, name: str) -> Shift:
    counts = (first.counts[name], second.counts[name])
    return shift(first.point.posterior, second.point.posterior, SHARE, counts=counts)


def least(nets: Sequence[Shape], name: str) -> tuple[Shape | None, bool]:
    """Find the net that needs the fewest carry numbers or parameters, by estimate, and
    say whether it surely is: no interval of another net's ratio to it includes 1."""
    reached = [net for net in nets if net.point.fit.u90.censored != "above"]
    if not reached:
        return None, False
    best = min(reached, key=lambda net: net.counts[name](net.point.fit.u90.units))
    others = [_times(best, net, name) for net in nets if net is not best]
    return best, bool(others) and all(times.low > 1 for times in others)


def layers(net: Shape) -> str:
    return plural(net.point.model.layers, "layer")


def sentence(nets: Sequence[Shape]) -> str:
    parts = []
    for name, word in COUNTS.items():
        best, sure = least(nets, name)
        if best is not None:
            number = f"{best.counts[name](best.point.fit.u90.units):.0f}"
            doubt = "" if sure else ", not surely"
            parts.append(f"least {word} {layers(best)} ({number}{doubt})")
    text = "; ".join(parts) or "no width tried is enough"
    return f"{nets[0].line} at lag {nets[0].point.lag}: {text}."
