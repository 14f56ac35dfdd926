"""The pages: all of them are found, links and pictures lead somewhere, notebooks run,
and the numbers are those of the rows.

`make docs` builds them, with warnings as errors.
"""

import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from breadth import leave
from command import memcap
from own_programs import program

import memcap as face
from memcap import commands, figures
from memcap.launch.app import compose_jobs
from memcap.store.published import sweeps

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
PAGES += sorted(sweeps().rglob("README.md"))
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
TAUGHT = ("question", "start", "remember")  # the pages whose commands are a walk
each_page = pytest.mark.parametrize(
    "page", PAGES, ids=lambda path: f"{path.parent.name}-{path.stem}"
)


def text_of(name):
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def bare(text):
    """Without code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def anchor(heading):
    """What GitHub and MyST make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def lines_of(name):
    """The lines of memcap in a page's blocks, without their remarks."""
    blocks = re.findall(r"```bash\n(.*?)```", text_of(name), re.DOTALL)
    lines = (re.split(r"\s+#\s", line)[0] for line in "".join(blocks).splitlines())
    return [line for line in lines if line.startswith("memcap ")]


@pytest.fixture(scope="module")
def made():
    """docs/pages.py."""
    return program("docs/pages.py")


def test_every_page_is_in_the_table_of_contents_once():
    trees = re.findall(r"```{toctree}\n(.*?)```", text_of("index"), re.DOTALL)
    listed = re.findall(r"^[^:\n].*", "".join(trees), re.MULTILINE)
    assert len(listed) == len(set(listed))
    written = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    made = {"_generated/studies/*", "_generated/command", "_generated/face"}
    assert set(listed) == written | made


@each_page
def test_links_and_pictures_lead_somewhere(page):
    text = bare(page.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\((?!\w+://)([^)\s]+)\)", text):
        name, _, part = target.partition("#")
        linked = page.parent / name if name else page
        assert linked.exists(), target
        if part:
            headings = re.findall(r"^#+ (.+)$", linked.read_text(), re.MULTILINE)
            assert part in map(anchor, headings), target


@pytest.mark.parametrize(
    ("notebook", "lag"),
    [
        *leave([(path, "12") for path in NOTEBOOKS]),
        pytest.param(NOTEBOOKS[0], "50", marks=pytest.mark.slow),
    ],
    ids=lambda value: getattr(value, "stem", value),
)
def test_a_notebook_runs(notebook, lag, tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").mkdir()
    (tmp_path / "sweeps").symlink_to(ROOT / "sweeps")
    monkeypatch.chdir(tmp_path / "examples")
    names = {}
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    code = [cell for cell in cells if cell["cell_type"] == "code"]
    assert "%pip install" in "".join(code[0]["source"])
    for cell in code:
        assert not cell["outputs"], "a notebook is kept without outputs"
        source = "".join(cell["source"]).replace("%pip install", "raise ImportError  #")
        if notebook.stem == "first_steps":
            source = re.sub(r"\b50\b", lag, source)
        exec(compile(source, notebook.name, "exec"), names)
    said = capsys.readouterr().out
    if notebook.stem == "first_steps":
        assert "asked: [0 0 0 0 1 1 1 1] answered: [0 0 0 0 1 1 1 1]" in said
        assert names["frontier"]["u90"].to_list() == [1.0, 1.0]
        assert names["drawn"]._repr_png_().startswith(b"\x89PNG")
    else:
        assert names["verdicts"]["expected"].all()
        assert names["published"] / 2 < names["again"] < 2 * names["published"]


@pytest.mark.parametrize(
    "line",
    leave(
        [line for name in TAUGHT for line in lines_of(name)],
        but=lambda line: " train " in line,
    ),
)
def test_a_command_is_sound(line, tmp_path, monkeypatch):
    _, command, *words = shlex.split(line)
    if command == "train":
        monkeypatch.chdir(tmp_path)
        symbols = np.random.default_rng(0).integers(0, 2, (40, 50))
        np.savez("mine.npz", inputs=symbols, targets=symbols[:, 0])
        assert all(job.members for group in compose_jobs(words) for job in group)
        return
    assert command in commands.summaries()
    assert command != "figure" or words[0] in figures.summaries()
    published = [word for word in words if word.startswith("sweeps/")]
    assert all((ROOT / folder / "rows.parquet").is_file() for folder in published)
    # lines before train the studies in outputs/
    if not published and "outputs/" not in line:
        done = memcap(tmp_path, command, *words)
        assert (done.status, bool(done.out.strip())) == (0, True), done.err


def test_every_study_with_rows_has_a_page_with_the_links_of_the_site(made):
    for rows in sweeps().glob("*/rows.parquet"):
        page = made.study(rows.parent.name)
        assert page.startswith("# ")
        for target, _ in made.LINK.findall(bare(page)):
            name = Path(target)
            is_page = len(name.parts) == 1 and name.suffix == ".md"
            there = (
                sweeps() / name.stem / "README.md" if is_page else made.STUDIES / name
            )
            assert there.resolve().exists(), (rows, target)


def test_the_help_of_every_command_is_there(made):
    page = made.command()
    for name, summary in commands.summaries().items():
        assert f"\n## memcap {name}\n" in page
        assert f"usage: memcap {name}" in page
        assert summary.split()[0] in page


def test_every_name_of_the_face_is_there(made):
    page = made.face()
    for name in face.__all__:
        assert re.search(
            rf"^\.\. auto(class|function|module):: memcap\.{name}$", page, re.MULTILINE
        )
