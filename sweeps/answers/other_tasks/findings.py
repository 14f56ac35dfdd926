"""Tasks outside the atlas: how many units does each need at lags 2 to 50, by the recipe
that is recommended for it?"""

from memcap.findings.tables import marks, points_of


def other_tasks() -> str:
    """Every mark of the tasks that the atlas has not."""
    return marks(points_of("other_tasks"))


TABLES = {"other tasks": other_tasks}
