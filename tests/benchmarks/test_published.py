"""What benchmarks/README.md quotes of a training step is what results/step.json and results/kernels.json hold."""

import json
import re
import statistics
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PEERS = ("keras", "keras16", "torch", "linen", "nnx", "equinox")


def medians_of(name, clock):
    """Seconds a step by workload, contestant and width; clock: "samples", by the wall, or "cpu"."""
    rows = json.loads((FOLDER / "results" / f"{name}.json").read_text())["rows"]
    return {(r["workload"], r["contestant"], r["shape"]["units"]): statistics.median(r["timing"][clock]) for r in rows}


@pytest.mark.parametrize(("workload", "place"), [("last", 0), ("every", 1)])
def test_the_ratios_are_those_that_were_measured(workload, place):
    medians, page = medians_of("step", "samples"), (FOLDER / "README.md").read_text()
    widths = sorted({units for kind, _, units in medians if kind == workload})

    def shown(title):
        line = re.findall(rf"^\| {re.escape(title)} \|(.*)\|$", page, re.MULTILINE)[place]
        return [float(re.match(r"[\d.]+", cell.strip())[0]) for cell in line.split("|")]

    def seconds(name):
        return [medians[workload, name, units] for units in widths]

    best = [min(every) for every in zip(*map(seconds, PEERS), strict=True)]
    for title, others in (
        ("**memcap**", seconds("keras")),
        ("memcap over torch", seconds("torch")),
        ("memcap over the best peer", best),
    ):
        assert shown(title) == [pytest.approx(o / m, abs=0.006) for o, m in zip(others, seconds("memcap"), strict=True)]


@pytest.mark.parametrize(
    ("workload", "title"),
    [
        ("last", "at the last step, T = 60, B = 128"),
        ("every", "at every step, T = 60, B = 64"),
        ("long", "at every step, T = 200, B = 32"),
    ],
)
def test_the_native_kernels_ratios_are_those_that_were_measured(workload, title):
    medians, page = medians_of("kernels", "cpu"), (FOLDER / "README.md").read_text()
    (line,) = re.findall(rf"^\| {re.escape(title)} \|(.*)\|$", page, re.MULTILINE)
    widths = sorted({units for kind, _, units in medians if kind == workload})
    ratios = [medians[workload, "memcap", units] / medians[workload, "native", units] for units in widths]
    assert [float(cell) for cell in line.split("|")] == [pytest.approx(ratio, abs=0.006) for ratio in ratios]
