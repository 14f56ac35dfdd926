"""What a wheel holds, and that it works where no checkout is."""

import ast
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from study_files import NAMES

pytest.importorskip("hatchling", reason="pip install hatchling")
ROOT = Path(__file__).parent.parent
# what a wheel lacks: folders of the checkout, and make
CHECKOUT = re.compile(
    r"\b(docs|tests|benchmarks|examples|conf)/\w"
    r"|(?<!in a checkout: )\bmake (study|tests?|targets|tables|nets)\b"
)


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with a wheel in it, as pip unpacks it."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [
        sys.executable,
        "-m",
        "hatchling",
        "build",
        "-t",
        "wheel",
        "-d",
        str(folder),
    ]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (wheel,) = folder.glob("*.whl")
    zipfile.ZipFile(wheel).extractall(folder / "site")
    return folder / "site"


@pytest.fixture
def run(installed, tmp_path):
    """Run Python in an empty folder, on the wheel's files."""

    def python(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, *words],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(installed)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return python


@pytest.mark.breadth
def test_it_judges_a_papers_rows_in_an_empty_folder(run, tmp_path):
    assert "/site/memcap/" in run("-c", "import memcap; print(memcap.__file__)")
    run("-m", "memcap", "reproduce", "collins2017", "--rows", "--check")
    drawn = {
        path.name
        for path in (tmp_path / "outputs" / "collins2017" / "published").iterdir()
    }
    assert drawn == {"figure.csv", "figure.pdf", "figure.png", "verdicts.csv"}


def test_it_prints_pages_and_where_they_are_hosted(run, installed):
    assert run("-m", "memcap", "docs", "start").startswith(
        "# What can I do in ten minutes?\n"
    )
    assert "Documentation" not in run("-m", "memcap", "--help")
    (metadata,) = installed.glob("*.dist-info/METADATA")
    text = metadata.read_text()
    metadata.write_text(
        text.replace("\n", "\nProject-URL: Documentation, https://d\n", 1)
    )
    assert run("-m", "memcap", "--help").endswith("\nDocumentation: https://d\n")
    metadata.write_text(text)


def test_it_finds_every_study(run):
    text = run("-m", "memcap", "train", "--help")
    lists = re.findall(r"^  (sweeps=\S*)  +(.*?)$(?=\n  \w|\n\n)", text, re.M | re.S)
    names = [head[7:] + name for head, of in lists for name in re.split(r",\s+", of)]
    assert sorted(names) == NAMES
    assert "study: gu2023_rates\n" in run(
        "-m", "memcap", "train", "--cfg", "job", "sweeps=papers/gu2023_rates"
    )


@pytest.mark.breadth
def test_the_atlas_is_read_by_its_name(run, tmp_path):
    assert run("-m", "memcap", "status", "atlas").startswith("atlas: ")
    assert (
        run("-c", "import memcap; print(memcap.answer('latch', 5, 'atlas').source)")
        == "atlas\n"
    )
    assert not [*tmp_path.iterdir()]


@pytest.mark.breadth
def test_it_writes_scripts_and_has_the_published_nets(run):
    script = run(
        "-m", "memcap", "answer", "--task", "latch", "--lag", "5", "--code", "torch"
    )
    compile(script, "script", "exec")
    assert (
        run("-c", "import memcap; print(memcap.load('atlas:latch-L5').member.lag)")
        == "5\n"
    )


def test_all_but_figures_is_in_it(installed):
    package = installed / "memcap"
    there = {path.relative_to(package) for path in package.rglob("*") if path.is_file()}
    files = [(path, path.relative_to(ROOT / "memcap")) for path in sources("memcap")]
    files += [(path, path.relative_to(ROOT)) for path in sources("sweeps")]
    files += [(path, path.relative_to(ROOT)) for path in ROOT.glob("docs/*.md")]
    files += [
        (path, path.relative_to(ROOT)) for path in ROOT.glob("docs/watch/*.[chj]*")
    ]
    assert {name for _, name in files} <= there
    assert not [name for name in there if name.suffix == ".png"]
    (wheel,) = installed.parent.glob("*.whl")
    assert wheel.stat().st_size < 10e6


def sources(folder):
    """The files of a folder of the project that a wheel has."""
    return [
        path
        for path in (ROOT / folder).rglob("*")
        if path.is_file()
        and path.suffix not in (".png", ".pdf", ".pyc", ".so")
        and path.parent.name != "figures"
    ]


def said(path):
    """The texts of a file that a user may read: those of its code, and the help of a command."""
    tree = ast.parse(path.read_text())
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant)]
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef)
    docs = {
        ast.get_docstring(node, clean=False)
        for node in ast.walk(tree)
        if isinstance(node, documented)
    }
    if path.parent.name == "commands":
        docs.discard(ast.get_docstring(tree, clean=False))
    return [text for text in texts if isinstance(text, str) and text not in docs]


def test_no_message_sends_a_user_to_what_is_in_a_checkout_alone():
    paths = [*(ROOT / "memcap").rglob("*.py")]
    assert len(paths) > 150
    sent = {
        (path.name, text)
        for path in paths
        for text in said(path)
        if CHECKOUT.search(text)
    }
    assert not sent
