"""The curve of one member in training: points by step, thinned so that memory and mirror do not grow with them."""

from collections.abc import Mapping, Sequence
from typing import Any

MOST_POINTS = 100  # a curve on a screen needs no more; W&B costs about 0.2 ms and 335 bytes a point
_HELD = 10 * MOST_POINTS  # points held before a running curve is thinned, so that the final thinning has a choice

Points = dict[int, dict[str, Any]]


def add_point(points: Points, step: int, values: Mapping[str, Any]) -> None:
    """Add `values` at `step`, in place. Values of one step that come in several calls share a point; the later wins."""
    points.setdefault(step, {}).update(values)
    if len(points) > _HELD:
        kept = thin(points, _HELD // 2)
        points.clear()
        points.update(kept)


def thin(points: Points, most: int = MOST_POINTS) -> Points:
    """At most `most` of the points, in the order of their steps, evenly spread over the steps.

    The first and the last are always kept. A metric that is seldom logged is not starved by one that is logged often:
    the points are shared out among the sets of metrics that appear together.

    Args:
        points: metrics by step, in any order.
        most: 2 or more.
    """
    steps = sorted(points)
    if len(steps) > most:
        groups: dict[frozenset[str], list[int]] = {}
        for step in steps:
            groups.setdefault(frozenset(points[step]), []).append(step)
        share = max(2, most // len(groups))
        steps = spread(sorted(step for group in groups.values() for step in spread(group, share)), most)
    return {step: points[step] for step in steps}


def spread(steps: Sequence[int], most: int = MOST_POINTS) -> Sequence[int]:
    """At most `most` of the sorted `steps`: for each of `most` evenly spaced marks, the last step not beyond it."""
    if len(steps) <= most:
        return steps
    first, span = steps[0], steps[-1] - steps[0]
    marks = [first + span * i // (most - 1) for i in range(most)]
    kept, at = [], 0
    for mark in marks:
        while at + 1 < len(steps) and steps[at + 1] <= mark:
            at += 1
        if not kept or kept[-1] != steps[at]:
            kept.append(steps[at])
    return kept
