"""One layer, two or four: which shape of an LSTM needs the fewest numbers in its carry,
and which the fewest parameters?"""

from memcap.findings.tables import COUNTS, in_numbers, rows_of, shapes, table, width


def layers() -> str:
    """What nets of several layers need at 90 % of the seeds: units per layer, state and
    parameters."""
    lines = []
    for net in (net for nets in shapes(rows_of("layers")) for net in nets):
        p = net.point
        needed = [in_numbers(net.point, "u90", net.counts[name]) for name in COUNTS]
        sign = "> " * (p.fit.u90.censored == "above")
        numbers = (f"{sign}{each.units:,.0f}" for each in needed)
        lines.append((net.line, p.lag, p.model.layers, width(p.fit.u90), *numbers))
    return table(
        ("task", "lag", "layers", "units of each", "numbers of state", "parameters"),
        lines,
    )


TABLES = {"layers": layers}
