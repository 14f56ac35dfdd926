"""The commands of the pages: those of the README and docs/tracking.md are run, cut short
by overrides; of the others, what trains is composed and checked, as far as can be
without training.

Where a plugin of Hydra is missing its line is composed without it: `make test-cluster`
has the plugins.
"""

import argparse
import re
import shlex
import subprocess
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import study_files
from breadth import leave
from command import installed, memcap

from memcap import commands, figures
from memcap.launch.app import compose_jobs
from memcap.launch.errors import PLUGINS
from memcap.store import shards
from memcap.tasks import task_classes

pytestmark = pytest.mark.usefixtures("quick_file")

ROOT = Path(__file__).parent.parent
SHORT = ["recipe.budget=2", "evaluation.sequences=16", "evaluation.stretch=1"]
PLUGGED = re.compile(r"\+?hydra[/.](launcher|sweeper)\b|.*interval\(")


def text_of(page):
    return (ROOT / page).read_text(encoding="utf-8")


def lines_of(*pages):
    """The commands of the pages' blocks, without their remarks."""
    text = "".join(map(text_of, pages)).replace("\\\n", "")
    blocks = re.findall(r"```bash\n(?!# file)(.*?)```", text, re.DOTALL)
    return [re.split(r"\s+#\s", line)[0] for line in "".join(blocks).splitlines()]


README = [line for line in lines_of("README.md") if line != "pip install ."]
TRACKING = lines_of("docs/tracking.md")
SWEEPS = lines_of("docs/studies.md", "docs/clusters.md")
WALKS = lines_of("docs/question.md", "docs/start.md", "docs/remember.md")
COMMANDS = [line for line in SWEEPS + WALKS if line.startswith("memcap ")]
TRAIN = [line for line in COMMANDS if re.match("memcap (train|plan)", line)]
OF_STUDIES = [
    line
    for line in lines_of(*(ROOT / "sweeps").rglob("README.md"))
    if re.match("memcap (?!train|plan|docs)", line)
]
FRONTIER = text_of("docs/frontier.md")
TABLE = re.findall(r"^\| [^|]+ \| \d+ \|$", FRONTIER, re.MULTILINE)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Where pages are followed: a folder with a user's sequences."""
    folder = tmp_path_factory.mktemp("page")
    sequences, steps = np.divmod(np.arange(300), 10)
    columns = {"machine": sequences, "time": steps, "load": steps % 3}
    columns["fault"] = sequences % 2
    pl.DataFrame(columns).write_csv(folder / "mine.csv")
    return folder


@pytest.fixture(autouse=True)
def no_browser(monkeypatch):
    """Let `memcap watch` open none."""
    monkeypatch.setattr("webbrowser.open", lambda address: True)


def follow(line, folder, monkeypatch):
    """Run a line of a page, in a moment; return what it prints."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(folder / name.lower()))
    program, *words = shlex.split(line)
    assert program == "memcap"
    more = {"train": SHORT, "fit": ["--check"]}
    done = memcap(folder, *words, *more.get(words[0], []))
    assert done.status == 0, done.err
    return done.out + done.err


@pytest.mark.parametrize("line", README)
def test_a_command_of_the_readme(line, folder, monkeypatch):
    if line.startswith("make "):
        subprocess.run([*line.split(), "--dry-run"], cwd=ROOT, check=True)
    else:
        assert follow(line, folder, monkeypatch).strip()


@pytest.mark.slow
@pytest.mark.parametrize("line", TRACKING)
def test_a_command_of_tracking(line, folder, monkeypatch):
    said = follow(line, folder, monkeypatch)
    assert "does not work" not in said
    if "tracking=" in line or "mirror" in line:
        assert re.search(r"^W&B: \d+ runs in ", said, re.MULTILINE)


@pytest.mark.slow
def test_the_python_lines_of_tracking(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("WANDB_MODE", "offline")
    (lines,) = re.findall(
        r"```python\n(.*?)```", text_of("docs/tracking.md"), re.DOTALL
    )
    short = "units=[1, 2], budget=20, sequences=16, stretch=1)"
    exec(lines.replace("units=[1, 2])", short), {})
    assert re.search(r"^W&B: \d+ runs in ", capsys.readouterr().out, re.MULTILINE)


def members(line):
    """The members of all jobs of a line, by job."""
    words = shlex.split(line)[2:]
    choices = line.replace("=", "/")
    packages = [PLUGINS[choice] for choice in choices.split() if choice in PLUGINS]
    # trials of optuna are made up as they go
    if packages and ("optuna" in packages[0] or not installed(packages[0])):
        words = [word for word in words if not PLUGGED.match(word)]
    overrides = [word for word in words if word != "-m"]
    populations = compose_jobs(overrides, multirun="-m" in words)
    return [job.members for jobs in populations for job in jobs]


@pytest.mark.parametrize(
    "line",
    leave([line for line in TRAIN if "glob" not in line], but=TRAIN[:3].__contains__),
)
def test_what_trains_is_composed_and_its_members_are_sound(line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    symbols = np.random.default_rng(0).integers(0, 2, (40, 50))
    np.savez("mine.npz", inputs=symbols, targets=symbols[:, 0])
    assert all(members(line))


def check(line):
    """Check that a command that does not train takes what is typed; return its words."""
    name, *words = shlex.split(line)[1:]
    parser = argparse.ArgumentParser()
    commands.find(name).add_arguments(parser)
    parser.parse_args(words)
    assert name != "figure" or words[0] in figures.summaries()
    studies = [word for word in words if word.startswith("sweeps/")]
    assert all(shards.paths(ROOT / study) for study in studies)
    return name, *words


def test_what_pages_of_studies_say_is_taken():
    assert len(OF_STUDIES) > 10
    for line in OF_STUDIES:
        check(line)


@pytest.mark.parametrize("line", leave([x for x in COMMANDS if x not in TRAIN]))
def test_what_does_not_train_is_run_if_it_needs_no_rows_of_yours(line, tmp_path):
    name, *words = check(line)
    if "/" not in line:
        done = memcap(tmp_path, name, *words)
        assert (done.status, bool(done.out.strip())) == (0, True), done.err


@pytest.mark.slow
def test_all_studies_are_run_by_one_line():
    (line,) = [line for line in TRAIN if "glob(*)" in line]
    jobs = members(line)
    assert len(jobs) == len(study_files.NAMES)
    tasks = [job[0].task.name for job in members("memcap train -m task=glob(*)")]
    assert sorted(tasks) == sorted(task_classes())


def test_a_line_trains_the_seeds_and_cells_of_its_table():
    (line,) = re.findall("^memcap train .*study=four .*", FRONTIER, re.MULTILINE)
    (job,) = members(line)
    assert {member.seed for member in job} == set(range(100, 116))
    assert len(job) == len(TABLE) * 16


def test_a_net_of_pytorch_learns_what_sequences_yields(capsys):
    pytest.importorskip("torch")
    blocks = re.findall(r"```python\n(.*?)```", text_of("docs/measure.md"), re.DOTALL)
    (script,) = [block for block in blocks if "nn.Module" in block]
    assert len(script.split("\n")) <= 40
    exec(script, {"__name__": "net"})
    assert capsys.readouterr().out.startswith("RIGHT AT EVERY LAG UP TO 20")
