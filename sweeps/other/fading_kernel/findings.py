"""The other kind of memory: a sum over all that came, with weights that fade as a power
of the age."""

from memcap.findings.tables import filled, point, points_of, table, width


def fading_kernel() -> str:
    """Tabulate the units that a sum with fading weights takes, by lag."""
    widths = range(1, 5)
    lines = []
    for p in points_of("fading_kernel"):
        counts = {units: f"{solved}/{runs}" for units, solved, runs in p.by_width}
        passed = (counts.get(units, "") for units in widths)
        lines.append((p.lag, width(p.fit.u50), width(p.fit.u90), *passed))
    heads = (f"{units} unit{'s' * (units > 1)}" for units in widths)
    half = "units at which half of the seeds pass"
    return table(("lag", half, "nine in ten", *heads), lines)


def fading_beside_latch() -> str:
    """The curse of memory."""
    near, far = (
        width(point("fading_kernel", lag, "fading_kernel").fit.u90) for lag in (1, 50)
    )
    *holds, last = (
        f"{width(point('latch', lag).fit.u90)} at lag {lag}" for lag in (1, 50, 200)
    )
    return filled(
        f"A sum whose weights fade as a power of the age takes {near} units at lag 1 and {far} at"
        " lag 50 (u90; `memcap frontier sweeps/other/fading_kernel`). A latch takes"
        f" {', '.join(holds)} and {last} (`memcap frontier atlas --task latch --all`)."
    )


TABLES = {"fading kernel": fading_kernel, "fading beside latch": fading_beside_latch}
