"""docs/probes.md: the table of what a carry costs is that of the published rows."""

import re
from pathlib import Path

from memcap.capacity.frontier import frontier
from memcap.studies import store

ROOT = Path(__file__).parent.parent
NAMES = {"lstm": "float32", "lstm+bfloat16": "bfloat16"}


def test_the_units_of_a_carry_are_those_of_the_rows():
    text = (ROOT / "docs" / "probes.md").read_text().split("| carry | lag |")[1].split("\n\n")[0]
    shown = [line.strip("| ").split(" | ") for line in text.splitlines()[2:]]
    points = frontier(store.read(ROOT / "results" / "carry_precision"))
    assert len(shown) == len(points) == 10
    for line, point in zip(shown, points, strict=True):
        name = NAMES.get(point.cell) or "noise " + re.sub(r"^lstm\+noise0", "", point.cell)
        widths = (point.fit.u50, point.fit.u90)
        assert line == [name, str(point.lag), *(f"{w.units:.1f} [{w.low:.1f}, {w.high:.1f}]" for w in widths)]
