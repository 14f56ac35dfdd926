"""What does a carry in bfloat16, or a noisy one, cost in units, if the net is trained
with it?"""

from memcap.findings.tables import filled, point, points_of, table, width


def carry_precision() -> str:
    """What a carry in bfloat16, or with noise, costs in units."""
    names = {"lstm": "float32", "lstm+bfloat16": "bfloat16"}
    lines = [
        (
            names.get(p.model.cell)
            or "noise " + p.model.cell.removeprefix("lstm+noise"),
            p.lag,
            width(p.fit.u50),
            width(p.fit.u90),
        )
        for p in points_of("carry_precision")
    ]
    return table(("carry", "lag", "half of the seeds", "nine in ten"), lines)


def noisy_carries() -> str:
    """Noise in the carry."""
    none, some, more = (
        width(point(f"delay_line{carry}", 5, "carry_precision").fit.u90)
        for carry in ("", " (lstm+noise0.1)", " (lstm+noise0.2)")
    )
    return filled(
        f"A delay line of lag 5 takes {none} units if its carry"
        f" has no noise, {some} if normal noise of 0.1 is added to every number of the carry at"
        f" every step, and {more} with noise of 0.2 (u90; `memcap frontier"
        " sweeps/other/carry_precision`)."
    )


TABLES = {"carry precision": carry_precision, "noisy carries": noisy_carries}
