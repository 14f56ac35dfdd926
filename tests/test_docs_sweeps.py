"""Each line of docs/sweeps.md and docs/clusters.md, of docs/accelerators.md those that
share a study, and of docs/frontier.md those that train, is composed and checked here, as
far as can be without training.

Where a plugin of Hydra is missing its line is composed without it: `make test-cluster`
has the plugins.
"""

import argparse
import itertools
import re
import shlex
from pathlib import Path

import pytest
import study_files
from breadth import leave
from command import installed

from memcap import commands
from memcap.launch.app import compose_jobs
from memcap.launch.errors import PLUGINS
from memcap.tasks import task_classes

pytestmark = pytest.mark.usefixtures("quick_file")

DOCS = Path(__file__).parent.parent / "docs"
PAGES = "".join((DOCS / name).read_text() for name in ("sweeps.md", "clusters.md"))
BLOCKS = re.findall(r"```bash\n(.*?)```", PAGES, re.DOTALL)
SCRIPTS = [block for block in BLOCKS if block.startswith("# file: ")]
LINES = "".join(block for block in BLOCKS if block not in SCRIPTS).splitlines()
TRAIN = [line for line in LINES if line.startswith(("memcap train", "memcap plan"))]
ACCELERATORS = (DOCS / "accelerators.md").read_text()
SHARED = re.findall(
    r"^.*(memcap train .* engine\.shards=\d+).*$", ACCELERATORS, re.MULTILINE
)
PLUGGED = r"\+?hydra[/.](launcher|sweeper)\b|.*interval\("


def jobs(line):
    """The populations of jobs that a line trains."""
    words = shlex.split(line)[2:]
    choices = (
        line.replace("population_slurm", "submitit_slurm").replace("=", "/").split()
    )
    packages = [PLUGINS[choice] for choice in choices if choice in PLUGINS]
    # trials are made up as they go
    if any("optuna" in package or not installed(package) for package in packages):
        words = [word for word in words if not re.match(PLUGGED, word)]
    return compose_jobs(
        [word for word in words if word != "-m"], multirun="-m" in words
    )


@pytest.mark.parametrize(
    "line",
    leave([line for line in TRAIN if "glob" not in line], but=TRAIN[:3].__contains__),
)
def test_a_line_is_composed_and_its_members_are_sound(line):
    assert all(job.members for group in jobs(line) for job in group)


@pytest.mark.slow
def test_all_studies_are_run_by_one_line(tmp_path):
    (line,) = [line for line in TRAIN if "glob(*)" in line]
    groups = jobs(f"{line} axes=null design=grid")
    found = [job.settings.study.name for group in groups for job in group]
    assert found == study_files.NAMES
    groups = compose_jobs(["task=glob(*)"], multirun=True)
    tasks = {job.members[0].task.name for group in groups for job in group}
    assert tasks == set(task_classes())


def keys(groups):
    jobs = itertools.chain(*groups)
    return sorted(member.key for job in jobs for member in job.members)


def shares(command, first, last, variables):
    """The keys of all shares of a command that names its share by a variable of a shell."""
    lines = [
        re.sub(r"\$\w+", lambda match, k=k: variables.get(match[0], str(k)), command)
        for k in range(first, last + 1)
    ]
    return sorted(key for line in lines for key in keys(jobs(line)))


@pytest.mark.parametrize(
    "line", [line for line in TRAIN if "engine.shard=range" in line]
)
def test_the_shares_of_a_line_are_the_study(line):
    assert keys(jobs(line)) == keys(compose_jobs(["sweeps=first_study"]))


@pytest.mark.breadth
@pytest.mark.parametrize("command", SHARED)
def test_the_shares_of_a_line_about_accelerators_are_the_study(command):
    last = int(command.rpartition("=")[2]) - 1 if "$" in command else 0
    assert shares(command, 0, last, {}) == keys(compose_jobs(["sweeps=first_study"]))


def test_the_shares_of_the_script_are_the_study():
    (script,) = SCRIPTS
    assert f"sbatch {script.split()[2]}" in LINES
    (command,) = re.findall(r"^exec (memcap train .*)", script, re.MULTILINE)
    first, last = map(int, re.search(r"--array=(\d+)-(\d+) ", script).groups())
    count = {"$SLURM_ARRAY_TASK_COUNT": str(last - first + 1)}
    shared = shares(command, first, last, count)
    assert shared == keys(compose_jobs(["sweeps=first_study"]))


@pytest.mark.parametrize(
    "line", [line for line in LINES if line not in TRAIN and line.startswith("memcap ")]
)
def test_other_commands_take_their_arguments(line):
    _, name, *words = shlex.split(line)
    parser = argparse.ArgumentParser()
    commands.find(name).add_arguments(parser)
    parser.parse_args(words)


FRONTIER = (DOCS / "frontier.md").read_text()
ROWS = re.findall(r"^\| [^|]+ \| \d+ \|$", FRONTIER, re.MULTILINE)


@pytest.mark.parametrize(
    ("study", "seeds", "count"),
    [("four", range(100, 116), len(ROWS)), ("sixteen", range(500, 508), 8)],
)
def test_a_line_about_frontiers_trains_the_seeds_and_cells_of_its_table(
    study, seeds, count
):
    (line,) = re.findall(rf"^memcap train .*study={study} .*", FRONTIER, re.MULTILINE)
    ((job,),) = compose_jobs(shlex.split(line)[2:])
    assert {member.seed for member in job.members} == set(seeds)
    assert len(job.members) == count * len(seeds)
