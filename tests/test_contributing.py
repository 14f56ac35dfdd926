"""What CONTRIBUTING.md and the README show is done here: files are written and commands
run as they stand there."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from command import memcap

import memcap as face

pytestmark = pytest.mark.usefixtures("quick_file")

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text()
README = (ROOT / "README.md").read_text()
FILES = dict(re.findall(r"```\w+\n# file: (\S+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = re.findall(r"^memcap [^&\n]+$", PAGE, re.MULTILINE)
QUICK = ["evaluation.sequences=16", "evaluation.stretch=1", "engine.workers=1"]
PACKAGE = {  # the same files, inside
    "my_tasks.py": "memcap/tasks/pulses.py",
    "my_cells.py": "memcap/cells/fading.py",
    "my_loops.py": "memcap/loops/unrolled.py",
    "my_figures/steps.py": "memcap/figures/steps.py",
    "my_commands/seconds.py": "memcap/commands/seconds.py",
    "my_papers/pulses.py": "sweeps/papers/pulses/findings.py",
    "my_conf/sweeps/pulses.yaml": "sweeps/papers/pulses.yaml",
    "my_conf/recipe/mine.yaml": "conf/recipe/mine.yaml",
}
NAMED = {  # lines before which a class sets its name there
    "    rarity: int": '    name = "pulses"\n',
    "    def __init__(\n        self, in_f": '    name = "fading"\n\n',
    "    def refuses": '    name = "unrolled"\n\n',
}


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """An empty folder with the page's files in it."""
    folder = tmp_path_factory.mktemp("outside")
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return folder


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_of_the_page_runs_outside_the_package(outside, command):
    _, name, *words = shlex.split(command)
    quick = QUICK if name in ("train", "reproduce") else []
    done = memcap(outside, name, *words, *quick)
    assert done.status == 0, done.err
    assert done.out.strip()


def test_what_they_left(outside):
    rows = pl.read_parquet(outside / "outputs" / "pulses" / "rows" / "*.parquet")
    assert set(rows["task"]) == {"my_tasks:Pulses"}
    assert set(rows["recipe"]) == {"mine", "forget_bias"}
    assert rows.height == 8
    assert (outside / "outputs" / "pulses" / "figures" / "steps.png").exists()


@pytest.mark.breadth
def test_worker_processes_find_them_too(outside):
    (command,) = [line for line in COMMANDS if "my_cells:Fading" in line]
    axes = "axes={seed: 4, model.units: [1, 2]}"
    words = shlex.split(command.removesuffix(" model.units=2"))[1:]
    done = memcap(outside, *words, *QUICK[:2], "engine.workers=2", "study=two", axes)
    assert done.status == 0, done.err
    rows = pl.read_parquet(outside / "outputs" / "two" / "rows" / "*.parquet")
    assert rows.height == 8


@pytest.mark.slow
def test_the_same_files_inside_the_package(tmp_path):
    no_bytecode = shutil.ignore_patterns("__pycache__")
    for part in ("memcap", "conf", "docs", "sweeps"):
        shutil.copytree(ROOT / part, tmp_path / part, ignore=no_bytecode)
    for name, place in PACKAGE.items():
        text = FILES[name].replace("my_tasks:Pulses", "pulses")
        for line, setting in NAMED.items():
            text = text.replace(line, setting + line, 1)
        if name == "my_loops.py":
            text += "\n\nLOOP = Unrolled()\n"
        (tmp_path / place).parent.mkdir(exist_ok=True)
        (tmp_path / place).write_text(text)

    def run(line: str) -> str:
        command = [sys.executable, "-m", "memcap", *line.split()]
        environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
        return subprocess.check_output(
            command, cwd=tmp_path, env=environment, text=True
        )

    quick = " ".join(QUICK)
    assert "seconds" in run("--help")
    # the recipe's bias is for the recipe's initialiser
    net = "model.cell=fading model.units=2 recipe=mine recipe.init=flax recipe.forget_bias=null"
    line = f"train task=pulses task.lag=2 {net} study=in engine.loop=unrolled {quick}"
    assert "1 member" in run(line)
    rows = pl.read_parquet(tmp_path / "outputs" / "in" / "rows" / "*.parquet")
    assert rows["loop"].to_list() == ["unrolled"]
    assert run("figure steps outputs/in").strip().endswith("steps.png")
    assert run("seconds outputs/in").strip().endswith("s")
    assert "Do two units suffice" in run("reproduce --list")
    run(f"reproduce pulses --check {quick}")
    run("collect outputs/pulses")
    folder = tmp_path / "sweeps" / "papers" / "pulses"
    shutil.copy(tmp_path / "outputs" / "pulses" / "rows.parquet", folder)
    run("reproduce pulses --rows --check -o sweeps/papers/pulses")
    published = "findings.py figure.csv figure.pdf figure.png rows.parquet verdicts.csv"
    assert {path.name for path in folder.iterdir()} >= set(published.split())


@pytest.mark.parametrize("lag", ["6", pytest.param("50", marks=pytest.mark.slow)])
def test_the_readmes_python_lines(tmp_path, monkeypatch, capsys, lag):
    monkeypatch.chdir(tmp_path)
    (lines,) = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    names: dict = {}
    exec(compile(re.sub(r"\b50\b", lag, lines), "README.md", "exec"), names)
    assert set(names["rows"]["status"]) == {"solved"}
    assert names["outputs"].shape == (7, 1, 2)
    assert names["outputs"][-1, 0].argmax() == 1
    said = capsys.readouterr().out
    assert f"latch at every lag up to {lag}: 1 unit." in said


def test_the_map_names_all_of_the_package():
    entries = {path.name for path in (ROOT / "memcap").iterdir()}
    unnamed = {"__init__.py", "__main__.py", "__pycache__", "py.typed"}
    table = PAGE.partition("| in `memcap/` |")[2]
    named = {name.rstrip("/") for name in re.findall(r"`([\w./]+)`", table)}
    assert entries - unnamed <= named


def test_the_page_of_the_python_face_lists_all_of_it():
    page = (ROOT / "docs" / "python.md").read_text()
    assert [name for name in face.__all__ if f"`memcap.{name}" not in page] == []


def test_package_citation_and_changelog_have_one_version():
    assert f"version: {face.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    heads = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert heads[0] == face.__version__
