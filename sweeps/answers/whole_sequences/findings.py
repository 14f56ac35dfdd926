"""Whole sequences: a net that is right at 99 % of the symbols, how many sequences does
it say without one mistake?"""

import json
import statistics

from memcap.findings.tables import label, passed_column, rows_of, table, task_of_row


def whole_sequences() -> str:
    """Tabulate the share of sequences without one mistake, of nets that pass."""
    by = "task", "knobs", "units"
    rows = rows_of("whole_sequences").filter(passed_column()).sort(by)
    lags = ()
    lines = []
    for (task, knobs, units), nets in rows.group_by(by, maintain_order=True):
        kind = task_of_row(task, knobs)
        lag = nets["lag"][0]
        least = kind.facts(lag, kind.length(lag)).least_whole
        lags = nets["lengths"][0].split()
        shares = zip(*map(json.loads, nets["whole_at_lengths"]), strict=True)
        cells = (f"{statistics.median(own):.3f} ({min(own):.3f})" for own in shares)
        lines.append((label(kind), units, nets.height, f"{least:.2f}", *cells))
    heads = (f"lag {lag}: median (least)" for lag in lags)
    return table(("task", "units", "nets", "at least", *heads), lines)


TABLES = {"whole sequences": whole_sequences}
