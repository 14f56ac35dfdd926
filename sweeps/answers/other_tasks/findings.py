"""Tasks outside the atlas: how many units does each need at lags 2 to 50, by the recipe
that is recommended for it?"""

from memcap.findings.tables import marks, points_of


def other_tasks() -> str:
    """The mark of the longest lag of each task that the atlas has not."""
    longest = {
        point.label: point for point in points_of("other_tasks")
    }  # by rising lag
    return marks(longest.values())


TABLES = {"other tasks": other_tasks}
