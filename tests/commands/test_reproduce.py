"""`memcap reproduce`: every paper for a moment, verdicts that are checked, and errors
in one line."""

import re

import polars as pl
import pytest
from command import memcap
from study_rows import fake, group, table

from memcap import findings, store
from memcap.commands import reproduce
from memcap.store import files
from memcap.store.rows import frame
from memcap.studies.writer import row_of

pytestmark = pytest.mark.usefixtures("quick_file")

TABLE = {"claim", "whose", "paper", "read", "here", "verdict", "expected", "why"}
OWN = '''"""Is there a latch? tests/test_contributing.py trains such a paper."""

import polars as pl
from matplotlib.figure import Figure

from memcap.figures import Drawn
from memcap.findings import Claim, Finding, Paper


def draw(rows):
    return Drawn(Figure(), rows.select("units", "solved"))


def one_unit(rows):
    return Finding(str(rows["units"].min()), rows["units"].min() == 1)


PAPER = Paper("me, here", "a moment", (Claim("one unit", "1", "here", one_unit),))
'''


def tiny_run(folder, name):
    """`memcap reproduce --tiny` draws and judges, and says that it means nothing."""
    done = memcap(folder, "reproduce", name, "--tiny", "engine.workers=1")
    assert done.status == 0, done.err
    there = folder / "outputs" / f"{name}_tiny" / "paper"
    assert (there / "figure.png").is_file()
    assert set(pl.read_csv(there / "verdicts.csv").columns) == TABLE
    assert (
        "A tiny run shows that all parts work; its verdicts mean nothing." in done.out
    )


def unsolved(member):
    """What a net without memory would come to."""
    chance = member.facts.chance
    at_lengths = tuple(
        (member.task.facts(*each).chance, 0.0) for each in member.lengths
    )
    return fake(
        member, status="unsolved", score=chance, stretched=chance, at_lengths=at_lengths
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(findings.papers()))
def test_every_paper_is_drawn_and_judged_where_nothing_was_solved(
    name, tmp_path, monkeypatch
):
    """As in a tiny run, of which nothing is trained here: test_sweeps.py trains what
    each study asks for."""

    def instead(members, folder, *, study, engine):
        (folder / "rows").mkdir(parents=True)
        rows = [row_of(unsolved(each), study, "") for each in members]
        files.write_table(folder / "rows" / "untrained.parquet", frame(rows))

    monkeypatch.setattr(reproduce, "train", instead)
    tiny_run(tmp_path, name)


@pytest.mark.slow
def test_a_tiny_run_trains(tmp_path):
    tiny_run(tmp_path, "collins2017")
    assert set(store.read(tmp_path / "outputs" / "collins2017_tiny")["steps"]) == {
        reproduce.TINY_BUDGET
    }


def test_a_verdict_that_is_not_expected_is_a_line(tmp_path, monkeypatch):
    (tmp_path / "my_reproductions").mkdir()
    (tmp_path / "my_reproductions" / "hello.py").write_text(OWN)
    monkeypatch.syspath_prepend(tmp_path)
    name = "my_reproductions:hello"
    files.write_table(tmp_path / "wide.parquet", table(group(counts={3: (1, 2)})))
    line = f"reproduce {name} --rows wide.parquet --check -o drawn"
    done = memcap(tmp_path, *line.split())
    assert done.status == 1
    assert done.err == f"memcap: not as {name} expects: one unit\n"
    assert (tmp_path / "drawn" / "figure.png").is_file()


def test_a_paper_is_judged_by_the_rows_in_its_own_folder(tmp_path):
    done = memcap(tmp_path, "reproduce", "collins2017", "--rows", "--check")
    assert done.status == 0, done.err
    drawn = tmp_path / "outputs" / "collins2017" / "published"
    assert (drawn / "figure.png").is_file()
    written = (findings.folder("collins2017") / "verdicts.csv").read_bytes()
    assert (drawn / "verdicts.csv").read_bytes() == written
    line = f"reproduce collins2017 --rows {findings.folder('collins2017')} --resample 2"
    again = memcap(tmp_path, *line.split(), "--check", "-o", "o")
    assert again.status == 0, again.err
    resampled = pl.read_csv(tmp_path / "o" / "resampled.csv")
    assert resampled["bootstrapped"].to_list() == [1.0] * 6
    assert "Of 2 shuffles of outcomes, and 2 draws of seeds" in again.out
    assert (tmp_path / "o" / "verdicts.csv").read_bytes() == written


def own_verdicts(name, verdicts):
    """The verdicts of a paper's own claims that hold on its published rows."""
    published = pl.read_csv(findings.folder(name) / "verdicts.csv")
    same = published.filter(whose="paper", verdict="holds")
    return verdicts.join(same, on="claim", how="semi")["verdict"].to_list()


def test_the_list_begins_with_the_front_and_leaves_out_the_archive(tmp_path):
    listed = memcap(tmp_path, "reproduce", "--list")
    named = re.findall(r"^([a-z_]+\d{4}) ", listed.out, re.MULTILINE)
    assert named[:2] == ["arora2024", "beck2024"]
    assert {*named[:7]} == {
        "arora2024",
        "beck2024",
        "collins2017",
        "grazzi2024",
        "hochreiter1997",
        "merrill2024",
        "siems2025",
    }
    assert "bai2018" in named[7:]
    everything = memcap(tmp_path, "reproduce", "--list", "--all")
    whole = re.findall(r"^([a-z_]+\d{4}) ", everything.out, re.MULTILINE)
    assert whole[: len(named)] == named
    notes = {n for n in whole if findings.find(n).PAPER.read == "notes"}
    assert {*whole[len(named) :]} == notes


def test_the_list_has_all_papers_and_counts_apart_what_notes_alone_say(tmp_path):
    done = memcap(tmp_path, "reproduce", "--list", "--all")
    papers = findings.papers()
    after = [name for name in papers if findings.find(name).PAPER.read == "notes"]
    assert {"chung2026", "jaeger2001", "zyxue2018"} < {*after}
    redrawn = len(papers) - len(after)
    studies = f"{redrawn} papers redrawn, and {len(after)} studies after a paper"
    assert studies in done.out
    texts = [name for name in papers if findings.find(name).PAPER.read == "paper"]
    own = [
        claim.expected
        for name in texts
        for claim in findings.find(name).PAPER.claims
        if claim.whose == "paper" and claim.reached
    ]
    counts = (
        f"We read the text of {len(texts)} papers and judge {len(own)} of their own claims,"
        f" by scaled-down protocols of ours: {sum(own)} hold (on other seeds, "
    )
    assert counts in done.out
    again = [
        verdict
        for name in texts
        for file in findings.folder(name).glob("other_seeds.csv")
        for verdict in own_verdicts(name, pl.read_csv(file))
    ]
    assert f"(on other seeds, {again.count('holds')} of {len(again)})" in done.out
    assert again
    (beck,) = re.findall(r"^beck2024 .*", done.out, re.MULTILINE)
    assert "  1 of 1  2 of 2    1 of 1  " in beck
    for name, question in papers.items():
        assert f"{name}  " in done.out
        assert question in done.out
