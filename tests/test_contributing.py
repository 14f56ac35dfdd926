"""What CONTRIBUTING.md and the README show is done here for good: files are written and
commands run as they stand there."""

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
FILES = dict(re.findall(r"```\w+\n# file: (\S+)\n(.*?)```", PAGE, re.DOTALL))
COMMANDS = [
    line
    for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
]
QUICK = ["evaluation.sequences=16", "evaluation.stretch=1", "engine.workers=1"]
PACKAGE = {  # the same files, inside
    "my_tasks.py": "memcap/tasks/pulses.py",
    "my_cells.py": "memcap/cells/fading.py",
    "my_loops.py": "memcap/loops/unrolled.py",
    "my_figures/steps.py": "memcap/figures/steps.py",
    "my_commands/seconds.py": "memcap/commands/seconds.py",
    "my_papers/pulses.py": "sweeps/pulses/findings.py",
    "my_conf/sweeps/pulses.yaml": "sweeps/pulses.yaml",
    "my_conf/recipe/mine.yaml": "conf/recipe/mine.yaml",
}


def write(folder: Path, name: str, text: str) -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


@pytest.fixture(scope="module")
def outside(tmp_path_factory):
    """An empty folder with the page's files in it."""
    folder = tmp_path_factory.mktemp("outside")
    for name, text in FILES.items():
        write(folder, name, text)
    return folder


@pytest.mark.parametrize(
    "command", [line for line in COMMANDS if line.startswith("memcap ")]
)
def test_a_command_of_the_page_runs_outside_the_package(outside, command):
    words = shlex.split(command)[1:]
    done = memcap(
        outside, *words, *(QUICK if words[0] in ("train", "reproduce") else [])
    )
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
    axes = "axes={seed: 4, model.units: [1, 2]}"
    words = (
        "task=my_tasks:Pulses task.lag=2 model.cell=my_cells:Fading recipe.init=flax"
        " recipe.budget=20"
    )
    more = *QUICK[:2], "engine.workers=2", "study=two", axes
    done = memcap(outside, "train", *words.split(), *more)
    assert done.status == 0, done.err
    assert (
        pl.read_parquet(outside / "outputs" / "two" / "rows" / "*.parquet").height == 8
    )


@pytest.mark.slow
def test_the_same_files_inside_the_package(tmp_path):
    for part in ("memcap", "conf", "sweeps"):
        shutil.copytree(
            ROOT / part, tmp_path / part, ignore=shutil.ignore_patterns("__pycache__")
        )
    for name, place in PACKAGE.items():
        text = FILES[name]
        text = text.replace(
            "    rarity: int", '    name = "pulses"\n    rarity: int', 1
        )
        text = text.replace(
            "    def __init__(self, in_f",
            '    name = "fading"\n\n    def __init__(self, in_f',
            1,
        )
        if name == "my_loops.py":
            about = 'windows."""\n\n    def refuses'
            text = text.replace(
                about, about.replace("def", 'name = "unrolled"\n\n    def'), 1
            )
            text += "\n\nLOOP = Unrolled()\n"
        write(tmp_path, place, text.replace("my_tasks:Pulses", "pulses"))
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}

    def run(*words: str) -> str:
        command = [sys.executable, "-m", "memcap", *words]
        done = subprocess.run(
            command,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    assert "seconds" in run("--help")
    trained = [
        "task=pulses",
        "task.lag=2",
        "model.cell=fading",
        "recipe=mine",
        "model.units=2",
        "study=in",
    ]
    trained += [
        "recipe.init=flax",
        "recipe.forget_bias=null",
    ]  # the file's bias is for the file's initialiser
    assert "1 member" in run("train", *trained, *QUICK, "engine.loop=unrolled")
    rows = pl.read_parquet(tmp_path / "outputs" / "in" / "rows" / "*.parquet")
    assert rows["loop"].to_list() == ["unrolled"]
    assert run("figure", "steps", "outputs/in").strip().endswith("steps.png")
    assert run("seconds", "outputs/in").strip().endswith("s")
    assert "Do two units suffice" in run("reproduce", "--list")
    run("reproduce", "pulses", "--check", *QUICK)
    run("collect", "outputs/pulses")
    place = tmp_path / "sweeps" / "pulses"
    shutil.copy(tmp_path / "outputs" / "pulses" / "rows.parquet", place)
    run("reproduce", "pulses", "--rows", "--check", "-o", "sweeps/pulses")
    published = {
        "figure.csv",
        "figure.pdf",
        "figure.png",
        "rows.parquet",
        "verdicts.csv",
    }
    assert {path.name for path in place.iterdir()} >= published | {"findings.py"}


def lines_of_the_readme() -> str:
    (block,) = re.findall(
        r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL
    )
    return block


@pytest.mark.parametrize("lag", ["6", pytest.param("50", marks=pytest.mark.slow)])
def test_the_readmes_python_lines(tmp_path, monkeypatch, capsys, lag):
    monkeypatch.chdir(tmp_path)
    names: dict = {}
    exec(
        compile(re.sub(r"\b50\b", lag, lines_of_the_readme()), "README.md", "exec"),
        names,
    )
    assert set(names["rows"]["status"]) == {"solved"}
    assert names["outputs"].shape == (7, 1, 2)
    assert names["outputs"][-1, 0].argmax() == 1
    said = capsys.readouterr().out
    assert f"latch at every lag up to {lag}: 1 unit." in said


def test_the_page_of_the_python_face_lists_all_of_it():
    page = (ROOT / "docs" / "python.md").read_text()
    missing = [name for name in face.__all__ if f"`memcap.{name}" not in page]
    assert not missing


def test_package_citation_and_changelog_have_one_version():
    assert f"version: {face.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    newest = re.search(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert newest is not None
    assert newest[1] == face.__version__


def test_the_files_of_a_days_work_are_there():
    text = (ROOT / "Makefile").read_text()
    quick = re.search(r"^QUICK := (.*?[^\\])$", text, re.MULTILINE | re.DOTALL)
    assert quick is not None
    places = re.findall(r"tests/[\w/.]+", quick[1])
    assert len(places) > 5
    assert [each for each in places if not (ROOT / each).exists()] == []
