"""Which dies of noise in the carry, a bit that is held or a line of bits that is
shifted?"""

from memcap.findings.tables import points_of, table, width


def noisy_latch() -> str:
    """Count the units that noise in the carry costs a latch and a delay line."""
    lines = [
        (
            p.task.name,
            p.lag,
            p.model.cell.removeprefix("lstm+noise"),
            width(p.fit.u50),
            width(p.fit.u90),
        )
        for p in points_of("noisy_latch")
    ]
    return table(("task", "lag", "noise", "half of the seeds", "nine in ten"), lines)


TABLES = {"noisy latch": noisy_latch}
