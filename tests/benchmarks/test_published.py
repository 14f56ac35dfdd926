"""What benchmarks/README.md quotes is what the reports in benchmarks/results/ hold, on
either stack."""

import json
import re
import statistics
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[2] / "benchmarks"
STACKS = ("results", "results/python3.13")  # in the README's order
PEERS = ("keras", "keras16", "torch", "linen", "nnx", "equinox")
OURS = {
    "memcap": ("**memcap**", "memcap"),
    "native": ("**memcap, `engine.loop=native`**", "memcap native"),
}
STUDY = {
    "Keras on JAX, `fit`": "keras",
    "Flax linen": "linen",
    "`torch.nn.LSTM`, eager": "torch",
    "`memcap train engine.loop=reproducible`": "memcap",
    "`memcap train engine.loop=native`": "memcap-native",
}


def report(stack, name):
    return json.loads((FOLDER / stack / f"{name}.json").read_text())


def lines(title, columns):
    """The cells of the README's lines of that title, in order, of tables with so many columns."""
    page = (FOLDER / "README.md").read_text()
    found = re.findall(rf"^\| {re.escape(title)} \|(.*)\|$", page, re.MULTILINE)
    cells = [[cell.strip() for cell in line.split("|")] for line in found]
    return [line for line in cells if len(line) == columns]


@pytest.mark.parametrize("ours", OURS)
@pytest.mark.parametrize(("workload", "place"), [("last", 0), ("every", 1)])
@pytest.mark.parametrize("stack", STACKS)
def test_the_ratios_are_those_that_were_measured(stack, workload, place, ours):
    rows = [row for row in report(stack, "step")["rows"] if row["workload"] == workload]
    medians = {}
    for row in rows:
        net = row["contestant"], row["shape"]["units"]
        medians[net] = statistics.median(row["timing"]["samples"])
    widths = sorted({units for _, units in medians})

    def shown(title):
        cells = lines(title, len(widths))[2 * STACKS.index(stack) + place]
        return [float(re.match(r"[\d.]+", cell)[0]) for cell in cells]

    def seconds(name):
        return [medians[name, units] for units in widths]

    best = [min(every) for every in zip(*map(seconds, PEERS), strict=True)]
    title, short = OURS[ours]
    told = {title: seconds("keras"), f"{short} over torch": seconds("torch")}
    for line, others in (told | {f"{short} over the best peer": best}).items():
        ratios = [other / own for other, own in zip(others, seconds(ours), strict=True)]
        assert shown(line) == pytest.approx(ratios, abs=0.006)


@pytest.mark.parametrize(("title", "name"), STUDY.items())
@pytest.mark.parametrize("stack", STACKS)
def test_a_small_study_took_the_seconds_that_were_measured(stack, title, name):
    walls = {}
    compiling = []
    for sample in report(stack, "study")["samples"]:
        if sample["contestant"] == name:
            walls.setdefault(sample["state"], []).append(sample["wall"])
            compiling += (
                [sample["phases"]["compile"]] if sample["state"] == "cold" else []
            )
    told = walls.get("cold"), compiling, walls.get("filling"), walls.get("warm")
    expected = [
        f"{statistics.median(seconds):.1f}" if seconds else "" for seconds in told
    ]
    # those of a step have shares
    plain = [cells for cells in lines(title, 4) if "(" not in "".join(cells)]
    assert plain[STACKS.index(stack)] == expected


@pytest.mark.parametrize("stack", STACKS)
def test_a_frontier_took_the_minutes_that_were_measured(stack):
    """Ratios of the README's two tables, from the report's own."""
    page = (FOLDER / stack / "frontier.md").read_text()
    readme = (FOLDER / "README.md").read_text()
    found = re.findall(
        r"^\| [^|]+ \| ([\d.]+) \| ([\d.]+) \| \d+% \|$", page, re.MULTILINE
    )  # equal work
    assert len(found) == 5
    shown = re.findall(
        r"^\| [^|]+ \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$", readme, re.MULTILINE
    )
    least = float(found[-1][0])
    for (minutes, other), row in zip(
        found, shown[5 * STACKS.index(stack) :][:5], strict=True
    ):
        *told, ratio = (float(cell) for cell in row)
        assert told == [float(minutes), float(other)]
        assert ratio == pytest.approx(float(minutes) / least, rel=0.03)
