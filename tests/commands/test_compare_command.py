"""`memcap compare` in words and JSON."""

import json

import pytest
from command import files, memcap
from study_rows import group, write

NARROW = {1: (0, 8), 2: (4, 8), 3: (8, 8), 4: (8, 8)}
WIDE = {4: (0, 8), 5: (4, 8), 6: (8, 8), 7: (8, 8)}


@pytest.fixture
def two(tmp_path):
    """Two studies: of a delay line and a copy, in both; of other lags, in one."""
    write(
        tmp_path / "a",
        group("delay_line", 5, NARROW),
        group("copy", 3, NARROW),
        group("latch", 9),
        group("latch", 12),
    )
    write(
        tmp_path / "b",
        group("delay_line", 5, WIDE, recipe="chrono"),
        group("copy", 3, {1: (0, 8), 2: (0, 8)}),
    )
    return tmp_path


def test_in_words(two):
    before = files(two)
    done = memcap(two, "compare", "a", "b")
    assert (done.status, done.err) == (0, "")
    title, heads, copy, delay, about, *notes = done.out.splitlines()
    assert title == "B = b against A = a"
    assert (
        " ".join(heads.split())
        == "task lag u50 A u50 B u50 B/A u90 A u90 B u90 B/A recipes"
    )
    assert copy.startswith("copy          3  1.93 [")
    assert "  > 1.04 [" in copy
    assert ", open]" in copy
    assert "hold, 1,500 steps / chrono, 1,500 steps" in delay
    assert (
        "u50 B/A: units at which half of the seeds pass, of the second divided by the first"
        in about
    )
    assert notes == [
        (
            "Of 2: u50: B needs fewer units at 0, more at 1; at 1 the interval holds 1. u90: B"
            " needs fewer units at 0, more at 1; at 1 the interval holds 1. The studies are taken"
            " as independent."
        ),
        "In one of them only: latch at 9, 12.",
    ]
    assert files(two) == before


def test_in_json(two):
    done = memcap(two, "compare", "a", "b", "--json")
    found = json.loads(done.out)
    assert (found["alone"], found["shared_members"]) == (["latch at 9, 12"], 0)
    copy, delay = found["pairs"]
    assert (
        copy["task"],
        copy["u50"]["bound"],
        copy["u50"]["high"],
        copy["second"]["u50"]["censored"],
    ) == (*("copy", "above", None, "above"),)
    assert delay["first"]["recipe"] == "hold"
    assert (delay["second"]["recipe"], delay["first"]["at"]) == ("chrono", "steady")
    assert 1 < delay["u50"]["low"] < delay["u50"]["ratio"] < delay["u50"]["high"]
    assert (
        delay["u50"]["ratio"]
        == delay["second"]["u50"]["units"] / delay["first"]["u50"]["units"]
    )
    other = json.loads(
        memcap(two, "compare", "a", "b", "--at", "trained", "--json").out
    )
    assert other["pairs"][1]["first"]["at"] == "trained"


def test_members_of_both_are_told_of(two):
    done = memcap(two, "compare", "a", "a/rows/made_up.parquet")
    assert "NOT independent: 88 members are in both" in done.out
