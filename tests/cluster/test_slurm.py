"""memcap on a SLURM of one node, started here: arrays, launchers; jobs cancelled,
requeued and drained; a worker killed."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cluster_checks import COMMAND, QUICK, SWEEP, environment, memcap, same

from memcap import store
from memcap.store.rows import frame
from memcap.training import workers

MISSING = shutil.which("slurmctld", path=f"{os.environ['PATH']}:/usr/sbin") is None
pytestmark = [
    pytest.mark.cluster,
    pytest.mark.skipif(
        MISSING, reason="there is no SLURM; apt-get install slurm-wlm munge"
    ),
    pytest.mark.skipif(
        os.geteuid() != 0, reason="SLURM's daemons are started here, which takes root"
    ),
]
SCRIPT = Path(__file__).with_name("slurm.sh")
# 4 members that train in a blink, then 4 that take some seconds each.
MIXED = (
    "axes=[{task: latch, task.lag: 3, model.units: [1, 2], seed: 2, recipe.budget: 40},"
    " {task: delay_line, task.lag: 20, model.units: 2, seed: 4, recipe.budget: 4000}]"
)
STUDY = ["train", MIXED, *QUICK]
SHARES = (
    shlex.join([*COMMAND, *STUDY])
    + " engine.shard=$SLURM_ARRAY_TASK_ID engine.shards=2"
)


@pytest.fixture(scope="module", autouse=True)
def slurm(tmp_path_factory):
    """The SLURM, in the environment of this process while the tests run; it ends with
    this process, however that ends."""
    folder = tmp_path_factory.mktemp("slurm")
    before = dict(os.environ)
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(
        [SCRIPT, folder, "2"], **pipes, start_new_session=True
    ) as daemons:
        assert daemons.stdout.readline() == "up\n"
        os.environ["SLURM_CONF"] = str(folder / "slurm.conf")
        os.environ["PATH"] = f"{folder / 'bin'}:{os.environ['PATH']}"
        yield
        os.environ.clear()
        os.environ.update(before)
        daemons.stdin.close()


def ask(*words):
    """Stdout of one of SLURM's commands, which the controller of a busy machine
    sometimes hangs up on."""
    for _ in range(5):
        done = subprocess.run(
            words, capture_output=True, text=True, check=False, timeout=60
        )
        if done.returncode == 0:
            break
        time.sleep(0.5)
    assert done.returncode == 0, done
    return done.stdout.strip()


def until(condition, seconds=300):
    """Wait for something that comes true, and return it."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if found := condition():
            return found
        time.sleep(0.3)
    raise AssertionError(f"{condition} did not come true within {seconds} s")


def submit(folder, *options, command=(*COMMAND, *STUDY)):
    """Number of the job that runs the command, whose stdout and stderr go to FOLDER/said.* ."""
    wrapped = command if isinstance(command, str) else shlex.join(command)
    words = ["sbatch", "--parsable", "--output=said.%a", "--open-mode=append", *options]
    words += [f"--wrap=exec {wrapped}"]
    return subprocess.run(
        words,
        cwd=folder,
        env=environment(folder),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    ).stdout.strip()


def states(job):
    """The states of a job's tasks."""
    return set(
        ask(
            "squeue",
            "--array",
            "--noheader",
            "--states=all",
            "--format=%T",
            f"--jobs={job}",
        ).split()
    )


def said(folder):
    """What the tasks of the job printed."""
    return "".join(path.read_text() for path in sorted(folder.glob("said.*")))


def worker_pids(folder):
    """Process numbers of the workers that were started in the folder."""
    lines = ask("ps", "-ww", "-eo", "pid,args").splitlines()
    pids = [int(line.split()[0]) for line in lines if workers.MAIN in line]
    return [
        pid for pid in pids if Path(f"/proc/{pid}/cwd").resolve() == folder.resolve()
    ]


def rows(folder):
    """The rows so far."""
    return store.read(folder) if list(folder.rglob("*.parquet")) else frame([])


@pytest.mark.parametrize(
    ("options", "cores"),
    [(["--ntasks=1"], 1), (["--cpus-per-task=2"], 2), (["--ntasks=2"], 2)],
)
def test_a_job_counts_the_cores_that_it_was_given(tmp_path, options, cores):
    counted = [
        COMMAND[0],
        "-P",
        "-c",
        "from memcap.runtime import cores; print(cores.count())",
    ]
    job = submit(tmp_path, *options, command=counted)
    until(lambda: states(job) == {"COMPLETED"})
    assert said(tmp_path) == f"{min(cores, len(os.sched_getaffinity(0)))}\n"


def test_an_array_of_two_tasks_trains_a_study_in_shares(tmp_path):
    job = submit(tmp_path, "--array=0-1", command=SHARES)
    until(lambda: states(job) == {"COMPLETED"})
    assert rows(tmp_path).height == 8
    assert said(tmp_path).count("\n4 members, ") == 2


def test_a_cancelled_job_keeps_what_had_ended(tmp_path):
    job = submit(tmp_path)
    until(lambda: rows(tmp_path).height)
    ask("scancel", job)
    until(lambda: states(job) == {"CANCELLED"} and "interrupted" in said(tmp_path))
    kept = int(
        re.search(r"interrupted \(SIGTERM\); (\d) members? saved", said(tmp_path))[1]
    )
    assert rows(tmp_path).height == kept < 8


def test_a_requeued_job_trains_what_is_missing(tmp_path):
    job = submit(tmp_path, "--requeue")
    until(lambda: rows(tmp_path).height)
    before = rows(tmp_path)
    ask("scontrol", "requeue", job)
    until(lambda: states(job) == {"PENDING"})
    ask(
        "scontrol", "update", f"jobid={job}", "StartTime=now"
    )  # SLURM would wait for two minutes
    until(lambda: states(job) == {"COMPLETED"})
    assert "Restarts=1" in ask("scontrol", "show", "job", job)
    after = rows(tmp_path)
    assert after.height == 8
    assert set(before.select("key", "finished").rows()) <= set(
        after.select("key", "finished").rows()
    )


def test_a_job_goes_on_when_its_worker_is_killed(tmp_path):
    job = submit(tmp_path, "--cpus-per-task=2")
    until(lambda: rows(tmp_path).height)
    own = until(lambda: worker_pids(tmp_path))
    assert len(own) == 1
    os.kill(own[0], signal.SIGKILL)
    until(lambda: states(job) == {"COMPLETED"})
    assert rows(tmp_path).height == 8
    assert "queued again" in said(tmp_path)


def test_a_drained_node_ends_its_job_and_starts_no_other(tmp_path):
    node = ask("hostname", "--short")
    job = submit(tmp_path, "--array=0-1%1", command=SHARES)
    until(lambda: rows(tmp_path).height)
    ask("scontrol", "update", f"nodename={node}", "state=drain", "reason=test")
    try:
        until(lambda: states(job) == {"COMPLETED", "PENDING"})
        assert rows(tmp_path).height == 4
    finally:
        ask("scontrol", "update", f"nodename={node}", "state=resume")
    until(lambda: states(job) == {"COMPLETED"})
    assert rows(tmp_path).height == 8


@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    """Rows of the sweep of 200 members under the launcher `population`."""
    folder = tmp_path_factory.mktemp("population")
    memcap(folder, "train", *SWEEP)
    return store.read(folder)


def test_a_multirun_through_submitit(tmp_path, alone):
    pytest.importorskip(
        "hydra_plugins.hydra_submitit_launcher",
        reason="pip install hydra-submitit-launcher",
    )
    out, _ = memcap(tmp_path, "train", *SWEEP, "hydra/launcher=submitit_slurm")
    same(store.read(tmp_path), alone)
    assert out.count("Training frontier") == 1
    assert "\n200 members, " in out
    tasks = {
        path.name.rpartition("_log")[0]
        for path in tmp_path.rglob(".submitit/*/*_log.out")
    }
    assert len(tasks) == 4
    assert len(list(tmp_path.rglob(".hydra/overrides.yaml"))) == 4
