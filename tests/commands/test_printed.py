"""The words of commands about studies that nobody trained, as printed.txt has them.

PRINTED=write pytest tests/commands/test_printed.py writes the file anew.
"""

import json
import os
import re
import shlex
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from beat_files import MEMBER, first, put
from command import files, memcap
from study_rows import group, write

FILE = Path(__file__).with_name("printed.txt")
SHARP = {1: (0, 4), 2: (3, 4), 3: (4, 4)}
NARROW = {1: (0, 8), 2: (4, 8), 3: (8, 8), 4: (8, 8)}
WIDE = {4: (0, 8), 5: (4, 8), 6: (8, 8), 7: (8, 8)}
ONE = group(counts={1: (1, 1)})
FAILED = {"status": "failed", "reason": "two workers ended while they trained it"}
DAY = 86400.0
COMMAND = "memcap train 'axes={seed: 9}'"
STUDIES = {
    "recipes": (
        group(counts=SHARP),
        group(counts=dict.fromkeys(SHARP, (0, 4)), recipe="chrono"),
    ),
    "verdicts": (
        group("delay_line", 3, SHARP | {4: (4, 4)}, steady={2: 0, 3: 1}),
        group("latch", 3, SHARP),
    ),
    "trained": (group("latch", 3, SHARP),),
    "open": (group(counts={30: (0, 4), 34: (3, 4), 38: (3, 4)}),),
    "closed": (group(counts={u: (0 if u < 5 else 16, 16) for u in range(1, 9)}),),
    "misfit": (group(counts={8: (8, 8), 12: (3, 8), 16: (8, 8)}),),
    "falls": (group(counts={3: (0, 8), 4: (7, 7), 6: (2, 8), 9: (1, 8)}),),
    "few": (group(counts={1: (1, 4), 2: (1, 4), 3: (0, 4)}),),
    "none": (group(counts={2: (0, 8), 4: (0, 8), 8: (0, 8)}),),
    "a": (
        group("delay_line", 5, NARROW),
        group("copy", 3, NARROW),
        group("latch", 9),
        group("latch", 12),
    ),
    "b": (
        group("delay_line", 5, WIDE, recipe="chrono"),
        group("copy", 3, {1: (0, 8), 2: (0, 8)}),
    ),
    "training": (group(counts={1: (2, 4)}, diverged=1),),
    "killed": (
        [group(counts={1: (0, 1)}, finished=datetime.now(UTC))[0] | FAILED],
        group(counts={2: (1, 1)}),
    ),
    "ended": (ONE,),
    "many/one": (ONE,),
    "many/two": (ONE,),
    "up_to": (group(counts={1: (3, 4)}, up_to={1: 2}, evaluation_until="up_to"),),
}
LINES = [
    *(f"frontier {name}" for name in list(STUDIES)[:9]),
    "compare a b",
    "compare a a/rows/made_up.parquet",
    "status training",
    "status before",
    "status started",
    "status killed",
    "status interrupted",
    "status other",
    "status ended",
    "status many",
    "status up_to",
    "inspect",
    "inspect --cell GRUCell --layers 2",
    "knobs latch",
    "knobs recipe",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with these studies, and with jobs that train them, or did."""
    place = tmp_path_factory.mktemp("printed")
    for name, rows in STUDIES.items():
        write(place / name, *rows)
    now = time.time()
    training = first(
        host="elsewhere",
        pid=1,
        folder=str(place),
        started=now - 60,
        updated=now,
        done=4,
        to_come=6,
        running=2,
        seconds_left=3 * DAY,
        longest=(MEMBER,),
    )
    (failed,), _ = STUDIES["killed"]
    killed = first(
        host="elsewhere",
        pid=7,
        folder=str(place),
        updated=now - 20 * DAY,
        command=COMMAND,
    )
    put(place / "training", "a", training, list("bcdefg"))
    begun = replace(training, started=now, done=0, to_come=1, running=0, longest=())
    put(place / "before", "a", begun, ["a"])
    put(place / "started", "a", replace(begun, running=1), ["a"])
    put(place / "killed", "a", killed, [failed["key"], "b", "c"])
    interrupted = replace(killed, ended="interrupted", command=None)
    put(place / "interrupted", "a", interrupted, ["b"])
    put(place / "other", "a", replace(killed, folder="/other/folder"), ["b"])
    ended = first(ended="interrupted", command=COMMAND)
    put(place / "ended", "a", ended, [ONE[0]["key"]])
    return place


@pytest.mark.parametrize("line", LINES)
def test_what_is_printed_is_in_the_file(place, line):
    before = files(place)
    done = memcap(place, *shlex.split(line))
    assert files(place) == before
    assert (done.status, done.err) == (0, "")
    printed = re.sub(r"\b[0-9a-f]{16}\b", "0123456789abcdef", done.out)
    if os.environ.get("PRINTED") == "write":
        with FILE.open("w" if line == LINES[0] else "a", encoding="utf-8") as file:
            file.write(f"$ memcap {line}\n{printed}\n")
    text = FILE.read_text(encoding="utf-8")
    wanted = dict(
        re.findall(r"^\$ memcap (.*)\n((?:(?!\$ ).*\n)*)", text, re.MULTILINE)
    )
    assert f"{printed}\n" == wanted[line]


def test_json_of_a_comparison_has_both_sides_and_what_is_in_one_only(place):
    found = json.loads(memcap(place, "compare", "a", "b", "--json").out)
    assert (found["alone"], found["shared_members"]) == (["latch at 9, 12"], 0)
    copy, delay = found["pairs"]
    assert copy["u50"]["bound"] == copy["second"]["u50"]["censored"] == "above"
    assert copy["u50"]["high"] is None
    first = delay["first"]
    second = delay["second"]
    assert (first["recipe"], second["recipe"], first["at"]) == (
        "hold",
        "chrono",
        "steady",
    )
    ratio = second["u50"]["units"] / first["u50"]["units"]
    assert (
        1 < delay["u50"]["low"] < delay["u50"]["ratio"] == ratio < delay["u50"]["high"]
    )
    other = json.loads(
        memcap(place, *["compare", "a", "b", "--at", "trained", "--json"]).out
    )
    assert other["pairs"][1]["first"]["at"] == "trained"


def test_json_of_a_study_has_its_jobs(place):
    (found,) = json.loads(memcap(place, "status", "training", "--json").out)
    counts = {"members": 10, "running": 2, "waiting": 4}
    assert counts.items() <= found.items()
    assert found["left"] == pytest.approx(3 * DAY, abs=60)
    assert found["jobs"][0]["state"] == "trains, for 60 seconds"
    assert found["longest"][0]["key"] == MEMBER.key
