"""How many units does it take where each number of the carry has few bits, and how far
is that from what theory asks for?"""

from memcap.findings.tables import points_of, table, width


def few_bits() -> str:
    """Count the units that few bits of a carry cost, by theory and in training."""
    lines = []
    for p in points_of("few_bits"):
        cell = p.model.cell
        task = p.label.replace(f" ({cell})", "").replace(f", {cell}", "")
        bits = cell.removeprefix("lstm+bits").replace("lstm", "32")
        least = p.references.information_floor, p.u_exist or ""
        lines.append((task, p.lag, bits, *least, width(p.fit.u50), width(p.fit.u90)))
    heads = "task", "lag", "bits of a number", "by theory", "narrowest"
    return table((*heads, "half of the seeds", "nine in ten"), lines)


TABLES = {"few bits": few_bits}
