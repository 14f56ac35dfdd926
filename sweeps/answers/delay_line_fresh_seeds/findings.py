"""The widths that `memcap answer` advises for the delay line, and two units less than
half of the seeds need, on seeds that no recipe was tuned on and no width was chosen
on: what a best of several, chosen on its own seeds, is worth."""

from memcap.findings.tables import filled, passes, point, rows_of, u90


def fresh_seeds() -> str:
    """How the advised widths did on seeds that nothing was chosen on."""
    counts = passes(rows_of("delay_line_fresh_seeds"), "lag", "units").sort(
        "lag", "units"
    )
    steady = {(lag, units): nets for lag, units, *nets in counts.rows()}
    parts = []
    between = []
    below = []
    for lag in dict.fromkeys(lag for lag, _ in steady):
        p = point("delay_line", lag, "atlas")
        *narrower, units = (u for at, u in steady if at == lag)
        good, seeds = steady[lag, units]
        parts.append(f"{good} of {seeds} at lag {lag} with {units} units")
        two_less = [u for u in narrower if u <= p.fit.u50.units - 2]
        below.append(steady[lag, max(two_less)])
        for units in narrower[len(two_less) :]:
            good, seeds = steady[lag, units]
            between.append(
                f"{good} of {seeds} at lag {lag} with {units} units (u90 {u90(p)})"
            )
    good, seeds = map(sum, zip(*below, strict=True))
    return filled(
        "Widths near u90 were tried again on fresh seeds (`memcap train"
        f" sweeps=answers/delay_line_fresh_seeds`). These were steady: {', '.join(parts[:-1])} and"
        f" {parts[-1]}; a little below u90, {' and '.join(between)}; and two units below u50,"
        f" {good} of {seeds}."
    )


TABLES = {"fresh seeds": fresh_seeds}
