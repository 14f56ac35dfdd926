"""The curve of one member in training: points by step, thinned so that memory and mirror do not grow with
them."""

from collections.abc import Mapping, Sequence
from typing import Any

MOST_POINTS = 100  # a curve on a screen needs no more; W&B costs about 0.2 ms and 335 bytes a point
MOST_HELD = 3 * MOST_POINTS  # of a running curve: 4,096 members in flight hold up to 0.35 GB

Points = dict[int, dict[str, Any]]


def add_point(points: Points, step: int, values: Mapping[str, Any]) -> None:
    """Add `values` at `step`, in place. Values of one step that come in several calls share a point; the
    later wins."""
    points.setdefault(step, {}).update(values)
    if len(points) > MOST_HELD:
        kept = _coarse(points, 2 * MOST_POINTS)
        points.clear()
        points.update(kept)


def thin(points: Points, most: int = MOST_POINTS) -> Points:
    """At most `most` of the points, in the order of their steps, evenly spread over the steps.

    The first and the last are always kept. A metric that is seldom logged is not starved by one that is
    logged often: the points are shared out among the sets of metrics that appear together.

    Args:
        points: metrics by step, in any order.
        most: 2 or more.
    """
    steps = sorted(points)
    if len(steps) > most:
        groups = _groups(points)
        share = max(2, most // len(groups))
        steps = spread(sorted(step for group in groups for step in spread(group, share)), most)
    return {step: points[step] for step in steps}


def _groups(points: Points) -> list[list[int]]:
    """The steps of the points of each set of metrics, sorted."""
    groups: dict[frozenset[str], list[int]] = {}
    for step in sorted(points):
        groups.setdefault(frozenset(points[step]), []).append(step)
    return list(groups.values())


def _coarse(points: Points, most: int) -> Points:
    """About `most` of the points, or fewer. A curve that is made coarse again and again does not become
    uneven.

    Of each stretch of steps the first point is kept, and of all the last. Lengths of stretches are powers of
    two: two short ones make a longer one.
    """
    groups, kept = _groups(points), {max(points)}
    for steps in groups:
        stretches, length = steps, 1
        while len(stretches) > max(2, most // len(groups)):
            length *= 2
            stretches = list({step // length: step for step in reversed(steps)}.values())
        kept.update(stretches)
    return {step: points[step] for step in sorted(kept)}


def spread(steps: Sequence[int], most: int = MOST_POINTS) -> Sequence[int]:
    """At most `most` of the sorted `steps`: for each of `most` evenly spaced marks, the last step not beyond
    it."""
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
