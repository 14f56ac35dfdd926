"""The pages: all of them are found, links and pictures lead somewhere, notebooks run, and the numbers are
those of the rows.

`make docs` builds them, with warnings as errors.
"""

import importlib.util
import itertools
import json
import re
import shlex
from pathlib import Path

import polars as pl
import pytest
from command import memcap

import memcap as face
from memcap import commands, figures, papers
from memcap.capacity.answer import answer
from memcap.capacity.frontier import frontier
from memcap.capacity.law import laws
from memcap.capacity.sources import atlas
from memcap.config import task_of
from memcap.launch.app import populations
from memcap.studies import store

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.glob("*.md"))]
NOTEBOOKS = sorted((ROOT / "examples").glob("*.ipynb"))
TAUGHT = ("question", "start")  # the pages whose commands are a walk
each_page = pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)


def text_of(name):
    return (DOCS / f"{name}.md").read_text(encoding="utf-8")


def bare(text):
    """Without code."""
    return re.sub(r"`[^`\n]*`", "", re.sub(r"```.*?```", "", text, flags=re.DOTALL))


def anchor(heading):
    """What GitHub and MyST make of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def lines_of(name):
    """The commands of a page's blocks, without their remarks."""
    blocks = re.findall(r"```bash\n(.*?)```", text_of(name), re.DOTALL)
    return [line for block in blocks for full in block.splitlines() if (line := re.split(r"\s+#\s", full)[0])]


def tables():
    """All lines of tables of the question's page."""
    return [
        tuple(c.strip() for c in line.strip("|").split("|"))
        for line in text_of("question").splitlines()
        if line[:1] == "|"
    ]


@pytest.fixture(scope="module")
def points():
    return frontier(store.read(atlas()))


@pytest.fixture(scope="module")
def made():
    """docs/pages.py."""
    spec = importlib.util.spec_from_file_location("pages", DOCS / "pages.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_page_is_in_the_table_of_contents_once():
    listed = [
        line
        for tree in re.findall(r"```{toctree}\n(.*?)```", text_of("index"), re.DOTALL)
        for line in tree.splitlines()
    ]
    listed = [line for line in listed if line and not line.startswith(":")]
    assert len(listed) == len(set(listed))
    written = {path.stem for path in DOCS.glob("*.md")} - {"index"}
    assert set(listed) == written | {"_generated/gallery", "_generated/command", "_generated/face"}


@each_page
def test_links_and_pictures_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", bare(page.read_text(encoding="utf-8"))):
        if "://" not in target:
            name, _, part = target.partition("#")
            there = (page.parent / name).resolve() if name else page
            assert there.exists(), target
            headings = (
                re.findall(r"^#+ (.+)$", there.read_text(encoding="utf-8"), re.MULTILINE) if part else []
            )
            assert not part or part in map(anchor, headings), target


@each_page
def test_what_is_included_begins_and_ends_where_it_says(page):
    for name, options in re.findall(
        r"```{include} (\S+)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL
    ):
        included = (page.parent / name).read_text(encoding="utf-8")
        marks = re.findall(r':(?:start-after|end-before): "(.+)"', options)
        assert [included.count(mark) for mark in marks] == [1, 1]
        assert included.index(marks[0]) < included.index(marks[1])


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs(notebook, tmp_path, monkeypatch, capsys):
    (tmp_path / "examples").mkdir()
    (tmp_path / "results").symlink_to(ROOT / "results")
    monkeypatch.chdir(tmp_path / "examples")
    names = {}
    for cell in json.loads(notebook.read_text(encoding="utf-8"))["cells"]:
        if cell["cell_type"] == "code":
            assert not cell["outputs"], "a notebook is kept without outputs"
            exec(compile("".join(cell["source"]), notebook.name, "exec"), names)
    said = capsys.readouterr().out
    if notebook.stem == "first_steps":
        assert "asked: [0 0 0 0 1 1 1 1] answered: [0 0 0 0 1 1 1 1]" in said
        assert names["frontier"]["u90"].to_list() == [1.0, 1.0]
    else:
        assert set(names["verdicts"]["verdict"]) == {"holds"}
        assert names["published"] / 2 < names["again"] < 2 * names["published"]


def test_there_are_two_notebooks():
    assert [path.stem for path in NOTEBOOKS] == ["first_steps", "paper_redrawn"]


@pytest.mark.parametrize(
    "line", [line for name in TAUGHT for line in lines_of(name) if line.startswith("memcap ")]
)
def test_a_command_is_sound(line, tmp_path):
    _, command, *words = shlex.split(line)
    if command == "train":
        assert all(job.members for group in populations(words) for job in group)
        return
    assert command in commands.summaries()
    assert command != "figure" or words[0] in figures.summaries()
    folders = [
        word for word in words if word.startswith(("results/", "outputs/"))
    ]  # outputs: of a study that lines before train
    assert all(
        (ROOT / folder / "rows.parquet").is_file() for folder in folders if folder.startswith("results/")
    )
    if not folders:
        done = memcap(tmp_path, command, *words)
        assert (done.status, bool(done.out.strip())) == (0, True), done.err


def test_output_stands_there_as_it_is_printed(tmp_path):
    shown = re.findall(
        r"```bash\n(memcap [^\n]+)\n```\n\n```text\n(.*?)```",
        text_of("question") + text_of("start"),
        re.DOTALL,
    )
    assert len(shown) == 2
    for line, output in shown:
        assert memcap(tmp_path, *shlex.split(line)[1:]).out.rstrip("\n") == output.rstrip("\n")


def test_the_answers_at_lag_50(points):
    asked = [line for line in tables() if line[1].startswith("`memcap answer")]
    assert len(asked) == 8
    for _, line, units in asked:
        words = shlex.split(line.strip("`"))
        task, lag, knobs = words[3], int(words[5]), [b for a, b in itertools.pairwise(words) if a == "--knob"]
        assert answer(task_of(task, knobs), lag, 0.9, points).units == int(units)


def test_the_delay_lines_table(points):
    there = {p.lag: p for p in points if p.label == "delay_line"}
    shown = [line for line in tables() if len(line) == 4 and "[" in line[2]]
    assert [int(line[0]) for line in shown] == [1, 5, 12, 25, 50]
    for lag, bits, *widths in shown:
        point = there[int(lag)]
        assert float(bits) == point.references.bits
        for said, width in zip(widths, (point.fit.u50, point.fit.u90), strict=True):
            sign = {"no": "", "below": "<= "}[width.censored]
            assert said == f"{sign}{width.units:.1f} [{width.low:.1f}, {width.high:.1f}]"


def test_the_law(points):
    slopes = {law.cell: f"{law.slope:.2f}" for law in laws(points)}
    said = (
        f"an LSTM costs about {slopes['lstm']} units a bit, a GRU {slopes['GRUCell']}, an Elman net"
        f" {slopes['SimpleCell']}."
    )
    assert said in " ".join(text_of("question").split())


def test_the_latch_is_learned_with_one_unit_at_every_lag(points):
    latch = {p.lag: p for p in points if p.label == "latch"}
    assert (min(latch), max(latch)) == (1, 200)
    assert all(p.units[0] == 1 and p.solved[0] >= 0.75 * p.runs[0] for p in latch.values())
    counts = [f"{latch[lag].solved[0]} of {latch[lag].runs[0]}" for lag in (50, 200)]
    text = " ".join(text_of("question").split())
    assert f"at lag 50 {counts[0]} seeds learned it with one unit, and at lag 200 {counts[1]}." in text


def test_the_tables_of_side_questions_have_the_counts_of_the_rows():
    rows = store.read(ROOT / "results" / "side_questions")
    knob = {
        name: pl.col("knobs").str.json_path_match(f"$.{name}")
        for name in ("window", "carry", "label", "kind", "classes")
    }
    passed = pl.when(pl.col("evaluation_until") == "steady").then("steady").otherwise("solved")
    rows = rows.with_columns(passed=passed, lag=pl.col("lag").cast(pl.String), **knob)

    def counts(task, by, widths, **only):
        found = (
            rows.filter(pl.col("task").is_in(task), **only)
            .group_by(*by, "units")
            .agg(pl.col("passed").sum(), pl.len())
        )
        cells = {(*line[:-3], line[-3]): f"{line[-2]}/{line[-1]}" for line in found.iter_rows()}
        return {(*name, *(cells.get((*name, u), "") for u in widths)) for *name, _ in cells}

    wanted = counts(["latch", "pattern", "adding"], ["task", "lag", "readout"], (1, 2, 3, 4), lag="50")
    wanted |= counts(["delay_line"], ["task", "lag", "readout"], (1, 2, 3, 4))
    wanted |= counts(["windows"], ["window", "carry", "label", "recipe"], (1, 4))
    wanted |= counts(["count"], ["kind"], (1, 2, 4))
    wanted |= counts(["pattern"], ["lag", "classes"], (1, 2, 4), readout="dense")
    assert {line for line in tables() if re.fullmatch(r"\d/4", line[-1])} == wanted
    carried = dict(
        rows.filter(task="pattern", lag="50", units=1).select("readout", "carry_numbers").iter_rows()
    )
    assert f"carries {carried['lstm']} numbers, not {carried['dense']})" in " ".join(
        text_of("question").split()
    )


def test_the_gallery_has_each_published_paper_with_its_verdicts(made):
    page, results = made.gallery(), ROOT / "results"
    published = sorted(path.parts[-3] for path in results.glob("*/paper/verdicts.csv"))
    assert published
    assert set(published) <= set(papers.summaries())
    for name in papers.summaries():
        assert (f"\n### {name}\n" in page) == (name in published)
        assert f"memcap reproduce {name}" in page
    for name in published:
        for line in pl.read_csv(results / name / "paper" / "verdicts.csv").iter_rows(named=True):
            assert f"| {made._text(line['claim'])} |" in page
        assert f"\n\n```text\nmemcap reproduce {name} --rows results/{name} --check\n```\n\n" in page
    for target in re.findall(r"\]\((\.\.[^)]+)\)", page):
        assert (DOCS / "_generated" / target).resolve().exists(), target


def test_the_help_of_every_command_is_there(made):
    page = made.command()
    for name, summary in commands.summaries().items():
        assert f"\n## memcap {name}\n" in page
        assert f"usage: memcap {name}" in page
        assert summary.split()[0] in page


def test_every_name_of_the_face_is_there(made):
    page = made.face()
    for name in face.__all__:
        assert re.search(rf"^\.\. auto(class|function|module):: memcap\.{name}$", page, re.MULTILINE)
