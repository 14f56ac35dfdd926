"""What benchmarks/README.md quotes of a training step is what results/step.json holds."""

import json
import re
import statistics
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
PEERS = ("keras", "keras16", "torch", "linen", "nnx", "equinox")


@pytest.fixture(scope="module")
def medians():
    rows = json.loads((FOLDER / "results" / "step.json").read_text())["rows"]
    return {(r["workload"], r["contestant"], r["shape"]["units"]): statistics.median(r["timing"]["samples"]) for r in rows}


@pytest.mark.parametrize(("workload", "place"), [("last", 0), ("every", 1)])
def test_the_ratios_are_those_that_were_measured(medians, workload, place):
    page = (FOLDER / "README.md").read_text()
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
