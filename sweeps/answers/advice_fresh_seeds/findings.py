"""The advice of `memcap answer` where nothing was measured: 20 seeds that nothing was
chosen on, at the advised width and by the recipe that the advice rests on, of lags
between those of the atlas, and of lag 50."""

import polars as pl

from memcap.findings.tables import filled, passed, passes, rows_of, table, task_label

AIM = 0.9  # of the nets are to pass


def between_lags() -> str:
    """Count the advised nets that passed on seeds that nothing was chosen on, and tabulate
    the advice that fell short."""
    counts = passes(
        rows_of("advice_fresh_seeds"), "task", "knobs", "lag", "units", "recipe"
    )
    is_short = pl.col("passed") < AIM * pl.col("nets")
    lines = [
        (task_label(task, knobs), *place, f"{good} of {nets}")
        for task, knobs, *place, good, nets in counts.filter(is_short).rows()
    ]
    right = counts.filter(~is_short)
    text = filled(
        f"Nine in ten nets or more pass for {right.height} of {counts.height} pieces of advice,"
        f" {passed(right)} in all. The table has the others (`memcap frontier"
        " sweeps/answers/advice_fresh_seeds --all` counts the nets of each)."
    )
    return f"{text}\n\n{table(('task', 'lag', 'units', 'recipe', 'passed'), lines)}"


TABLES = {"advice between lags": between_lags}
