"""The delay line of two symbols at lags between those of the atlas: what are the
predictions of `memcap answer` worth there?"""

from memcap.findings.tables import (
    Question,
    answer,
    filled,
    points_of,
    rows_of,
    table,
    width,
)

SHOWN = 5  # of so many lags one has a line


def every_lag() -> str:
    """Say how the predictions between the atlas's lags did, and tabulate some of them."""
    lines = []
    inside = {0.5: 0, 0.9: 0}  # thresholds in the predicted interval, by share of seeds
    steady = []
    for p in points_of("every_lag"):
        measured = {0.5: p.fit.u50, 0.9: p.fit.u90}
        if any(threshold.censored != "no" for threshold in measured.values()):
            continue
        predicted = {
            share: answer(Question(p.task, p.lag, share=share), points_of("atlas"))
            for share in measured
        }
        cells = []
        for share, found in predicted.items():
            inside[share] += found.low <= measured[share].units <= found.high
            cells.append(f"{found.estimate:.1f} [{found.low:.1f}, {found.high:.1f}]")
        cells += map(width, measured.values())
        units = predicted[0.9].units
        steady.extend(rows_of("every_lag").filter(lag=p.lag, units=units)["steady"])
        lines.append((p.lag, *cells, units))
    predictions = "u50 predicted", "u90 predicted"
    heads = "lag", *predictions, "u50 measured", "u90 measured", "advised"
    text = filled(
        f"u50 lies in the predicted 95 % interval at {inside[0.5]} of {len(lines)} lags, and u90"
        f" at {inside[0.9]}. Where the advised width was trained, {sum(steady)} of {len(steady)}"
        " seeds were steady. The table has every fifth lag (`memcap frontier"
        " sweeps/answers/every_lag --all` prints what was measured at each)."
    )
    return f"{text}\n\n{table(heads, lines[::SHOWN])}"


TABLES = {"every lag": every_lag}
