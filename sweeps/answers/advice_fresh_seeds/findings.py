"""The advice of `memcap answer` where nothing was measured: 20 seeds that nothing was
chosen on, at the advised width and by the recipe that the advice rests on, of lags
between those of the atlas, and of lag 50."""

from memcap.findings.tables import passes, rows_of, table, task_label


def between_lags() -> str:
    """How the advised widths of lags that nothing measured did on seeds that nothing
    was chosen on."""
    counts = passes(
        rows_of("advice_fresh_seeds"), "task", "knobs", "lag", "units", "recipe"
    )
    lines = [
        (task_label(task, knobs), *place, f"{passed}/{nets}")
        for task, knobs, *place, passed, nets in counts.rows()
    ]
    return table(("task", "lag", "units", "recipe", "passed"), lines)


TABLES = {"advice between lags": between_lags}
