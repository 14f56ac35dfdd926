"""The process beside a job: what it sends, says and costs, and how it ends; with
services that each test writes."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import command
import pytest
from command import files
from followed_files import OURS, members_of, put_figure, put_job, put_rows

import memcap
from memcap.config.knobs import UserError
from memcap.store import heartbeat
from memcap.store.study import Study
from memcap.tracking import MirrorProcess, Tracking, process

SERVICE = """
import json, os, sys, time
from pathlib import Path

class Service:
    def __init__(self, target):
        self.target = target
        self.write("made", target.group)

    def write(self, *words):
        with open("sent", "a") as file:
            print(json.dumps(words, default=str), file=file)

    def run(self, run, points, row):
        self.write("run", run.name, sorted(points), row and row.get("status"))

    def progress(self, values):
        self.write("progress")

    def result(self, table, image):
        self.write("result", table, image)

    def close(self):
        self.write("close")
        return "here"

class Slow(Service):
    def run(self, run, points, row):
        super().run(run, points, row)
        time.sleep(0.5)

class Hangs(Service):
    def run(self, run, points, row):
        super().run(run, points, row)
        time.sleep(1000)

class Breaks(Service):
    def run(self, run, points, row):
        raise OSError("disk" + chr(10) + "full")

class Dies(Service):
    def run(self, run, points, row):
        print("out of luck", file=sys.stderr, flush=True)
        os._exit(3)

class Chats(Service):
    def run(self, run, points, row):
        print("a library prints what it likes")
        os.write(1, b"and so does its C\\n")
        super().run(run, points, row)
"""
TOKEN = f"{OURS}00000000"
JOB_FILES = {f"{TOKEN}.json", f"{TOKEN}.members.parquet"}
COMMANDS = {
    "train": ["train"],
    "multirun": ["train", "-m", "seed=0,1"],
    "by_hand": ["mirror", "study"],
}
COMMANDS["python"] = []


@pytest.fixture
def home(tmp_path, monkeypatch, own_module):
    """A working directory with the services, and a study's folder in it. Who waits for
    a mirror has patience: on a busy machine Python alone may take longer to start than
    a job would wait."""
    monkeypatch.setattr(process, "SECONDS_AT_THE_END", 60.0)
    (tmp_path / "my_module.py").write_text(SERVICE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def start(service="Service", seeds=range(30), **settings):
    tracking = Tracking(f"my_module:{service}", **settings)
    return MirrorProcess(
        tracking, Study(Path("study"), "study", session=OURS), members_of(seeds)
    )


def sent(home):
    path = home / "sent"
    return (
        [json.loads(line) for line in path.read_text().splitlines()]
        if path.exists()
        else []
    )


def runs(home):
    return [line[1] for line in sent(home) if line[0] == "run"]


def wait_for(condition, seconds=30.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


def warnings(caplog):
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
    ]


def test_rows_are_sent_while_the_job_trains_and_the_result_at_its_end(home):
    with start() as mirror:
        put_rows(home / "study", TOKEN, [0])
        wait_for(lambda: runs(home) == ["latch-L5-u1-s0"])
        assert heartbeat.read(home / "study") == {}  # a report is none
        put_rows(home / "study", TOKEN, [0, 1])
        put_figure(home / "study")
    assert mirror.where == "here"
    assert list((home / "study" / "jobs").iterdir()) == []
    assert sent(home)[0] == ["made", "study"]
    assert ["run", "latch-L5-u1-s1", [1], "solved"] in sent(home)
    assert sent(home)[-3:] == [
        ["progress"],
        [
            "result",
            [{"lag": 5, "u50": 1.5, "censored": None}],
            str(home / "study/figures/frontier.png"),
        ],
        ["close"],
    ]


def test_nothing_to_send_makes_no_service(home, caplog):
    with start() as mirror:
        put_job(home / "study", TOKEN, range(3))
    assert (mirror.where, sent(home), warnings(caplog)) == ("", [], [])


def test_what_other_commands_write_is_not_sent(home):
    put_rows(home / "study", "bbbbbbbb00000000", [0])
    with start():
        put_rows(home / "study", "bbbbbbbb11111111", [1])
        put_rows(home / "study", TOKEN, [2])
        put_rows(home / "study", f"{OURS}11111111", [0, 1], study="other")
    assert runs(home) == ["latch-L5-u1-s2"]


def test_a_service_that_gets_on_is_waited_for_until_it_is_left_and_what_it_lacks_is_counted(
    home, caplog, monkeypatch
):
    monkeypatch.setattr(process, "SECONDS_AT_THE_END", 3.0)
    monkeypatch.setattr(process, "MOST_SECONDS_AT_THE_END", 4.0)
    mirror = start("Slow", project="p")
    put_rows(home / "study", TOKEN, range(30))
    wait_for(lambda: runs(home))
    began = time.monotonic()
    with mirror:
        put_figure(home / "study")
    assert 4 <= time.monotonic() - began < 12
    assert mirror._process.poll() is not None
    (line,) = warnings(caplog)
    left, _, rest = line.removeprefix("tracking: ").partition(" ")
    assert 31 - len(runs(home)) <= int(left) <= 32 - len(runs(home))
    assert (
        rest
        == "of the members and results were not mirrored; this sends them: memcap mirror study"
        " --to"
        " my_module:Slow --project p"
    )


def test_one_that_needs_no_network_is_waited_for_however_long_it_takes_to_start(
    home, monkeypatch
):
    monkeypatch.setattr(
        process, "SECONDS_AT_THE_END", 0.05
    )  # Python alone takes longer
    monkeypatch.setattr(process, "WITHOUT_NETWORK", ("", "my_module:Service"))
    with start() as mirror:
        put_rows(home / "study", TOKEN, range(3))
    assert mirror.where == "here"


def interrupted(mirror, error):
    with mirror:
        raise error


@pytest.mark.parametrize(
    ("service", "error"), [("Service", KeyboardInterrupt), ("Hangs", KeyboardInterrupt)]
)
def test_an_interrupt_waits_half_a_second_at_most(home, caplog, service, error):
    mirror = start(service)
    put_rows(home / "study", TOKEN, range(3))
    wait_for(lambda: runs(home))
    began = time.monotonic()
    with pytest.raises(error):
        interrupted(mirror, error)
    seconds = time.monotonic() - began
    assert seconds < 3  # 0.5 where nothing else runs
    assert mirror._process.poll() is not None
    assert len(warnings(caplog)) == (service == "Hangs")


def test_a_mistake_waits_for_nobody(home, caplog, monkeypatch):
    for name in ("SECONDS_AT_THE_END", "SECONDS_WHEN_INTERRUPTED"):
        monkeypatch.setattr(process, name, 100.0)
    mirror = start("Hangs")
    began = time.monotonic()
    with pytest.raises(SystemExit):
        interrupted(mirror, SystemExit(2))
    assert time.monotonic() - began < 20
    assert (mirror._process.poll() is not None, warnings(caplog)) == (True, [])


def test_a_signal_to_all_processes_of_a_job_leaves_the_end_to_the_job(home):
    """As SLURM sends it."""
    with start() as mirror:
        put_rows(home / "study", TOKEN, [0])
        wait_for(lambda: runs(home))
        for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT):
            os.kill(mirror._process.pid, number)
        put_rows(home / "study", TOKEN, [0, 1])
    assert runs(home) == ["latch-L5-u1-s0", "latch-L5-u1-s1"]


@pytest.mark.parametrize(
    ("service", "says"),
    [
        ("Breaks", "my_module:Breaks does not work and is left: disk full"),
        (
            "Dies",
            (
                'tracking=my_module:Dies does not work and is left: its process ended ("out of'
                ' luck")'
            ),
        ),
    ],
)
def test_what_keeps_a_service_from_its_work_is_one_warning_and_what_it_lacks_another(
    home, caplog, service, says
):
    with start(service):
        put_rows(home / "study", TOKEN, range(3))
    left = (
        "3 of the members and results were not mirrored; this sends them: memcap mirror study"
        " --to"
    )
    assert warnings(caplog) == [says, f"tracking: {left} my_module:{service}"]


def test_what_a_library_prints_is_no_ones_business(home, caplog, capfd):
    with start("Chats") as mirror:
        put_rows(home / "study", TOKEN, range(3))
    assert (len(runs(home)), mirror.where, warnings(caplog)) == (3, "here", [])
    assert capfd.readouterr() == ("", "")


KILLED = """
import os, sys, time
from pathlib import Path
from followed_files import OURS, members_of, put_job, put_rows
from memcap.store.study import Study
from memcap.tracking import MirrorProcess, Tracking, process
study = Study(Path("study"), "study", session=OURS)
mirror = MirrorProcess(Tracking("my_module:Service"), study, members_of(range(9)))
put_job(Path("study"), OURS + "00000000", range(9))
print(mirror._process.pid, flush=True)
put_rows(Path("study"), OURS + "00000000", range(2))
while not Path("sent").exists():
    time.sleep(0.02)
put_rows(Path("study"), OURS + "00000000", range(7))
print("written", flush=True)
time.sleep(100)
"""


def test_a_job_that_is_killed_is_mirrored_to_its_last_row_and_its_mirror_ends(home):
    tests = Path(__file__).parents[1]
    path = os.pathsep.join([str(home), str(tests), str(tests.parent)])
    with subprocess.Popen(
        [sys.executable, "-c", KILLED],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        mirror = int(process.stdout.readline())
        assert process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: sent(home)[-1] == ["close"])
    assert runs(home) == [f"latch-L5-u1-s{seed}" for seed in range(7)]
    wait_for(lambda: not alive(mirror))
    assert {path.name for path in (home / "study" / "jobs").iterdir()} == JOB_FILES


def alive(pid):
    """Whether a process runs; one that nobody has waited for yet does not."""
    try:
        return (
            Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
        )
    except FileNotFoundError:
        return False


def test_the_mirror_has_the_job_s_priority_and_imports_neither_jax_nor_what_it_does_not_need(
    home,
):
    (home / "my_module.py").write_text(
        SERVICE.replace(
            'self.write("made", target.group)',
            "heavy = {'jax', 'flax', 'hydra', 'wandb', 'trackio', 'matplotlib'} &"
            ' set(sys.modules);self.write("made", sorted(heavy), os.nice(0),'
            " time.process_time())",
        )
    )
    with start():
        put_rows(home / "study", TOKEN, range(3))
        put_figure(home / "study")
    _, heavy, niceness, seconds = sent(home)[0]
    print(f"{seconds:.2f} s of CPU time until its first row")
    assert (heavy, niceness) == (
        [],
        os.nice(0),
    )  # a nicer one gets nothing done on a busy machine
    assert seconds < 2  # 0.3 where nothing else runs


@pytest.mark.parametrize(
    ("how", "mode", "line"),
    [
        *(
            (how, "nomod:X", "nomod:X: no module nomod on Python's path")
            for how in COMMANDS
        ),
        (
            "python",
            "my_module:Servise",
            "my_module:Servise: the module my_module has no Servise",
        ),
        (
            "python",
            "my_module:TOKEN",
            "my_module:TOKEN: cannot be called; a service is a class with the",
        ),
        (
            "python",
            "my_module:Half",
            "my_module:Half: has no progress, close; a service is a class with the",
        ),
        (
            "python",
            "broken:Service",
            "broken:Service: cannot be imported (ModuleNotFoundError: No module",
        ),
        (
            "train",
            "ends:Service",
            "ends:Service: cannot be imported (SystemExit: 3); mend it, or set",
        ),
    ],
)
def test_a_service_that_cannot_be_used_ends_the_command_before_it_trains(
    home, how, mode, line
):
    half = "TOKEN = 1\nclass Half:\n    def run(self): ...\n    def result(self): ...\n"
    (home / "my_module.py").write_text(SERVICE + half)
    (home / "broken.py").write_text("import no_such_library\n")
    (home / "ends.py").write_text("raise SystemExit(3)\n")
    (home / "study").mkdir()
    before = files(home)
    if how == "python":
        with pytest.raises(UserError) as caught:
            memcap.train(memcap.members(task="latch", lag=3), "outputs", tracking=mode)
        said = f"memcap: {caught.value}"
    else:
        option = (
            ["--to", mode] if how == "by_hand" else ["task=latch", f"tracking={mode}"]
        )
        done = command.memcap(home, *COMMANDS[how], *option)
        assert (done.status, done.out) == (2, "")
        (said,) = done.err.splitlines()
    assert said.startswith(f"memcap: tracking={line}")
    assert {name for name in files(home) if "__pycache__" not in name} == set(before)


@pytest.mark.parametrize("mode", ["auto", "online", "offline"])
def test_disabled_by_the_environment_is_off(monkeypatch, mode):
    assert not Tracking("wandb", wandb=mode).is_off
    monkeypatch.setenv("WANDB_MODE", "disabled")
    assert Tracking("wandb", wandb=mode).is_off
    assert not Tracking("trackio").is_off
    assert Tracking().is_off
