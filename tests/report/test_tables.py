"""Tables of members and of the frontier, and what a job ends with: words, a figure and
a number for a sweeper."""

import io
import math

import polars as pl
import pytest
from rich.console import Console
from study_rows import group, table, write

from memcap import store
from memcap.frontiers.frontier import columns, frontier
from memcap.frontiers.words import interval_text
from memcap.report.tables import (
    SHOWN_ROWS,
    frontier_table,
    par2_score,
    print_summary,
    rows_table,
    summarize,
    totals,
)
from memcap.store.rows import frame
from memcap.thresholds.curve import Threshold

SHARP = {1: (0, 4), 2: (3, 4), 3: (4, 4)}


def printed(renderable, **options):
    """The lines of a table."""
    file = io.StringIO()
    Console(file=file, **options).print(renderable)
    return file.getvalue().splitlines()


def words(rows):
    """The table of these rows, without the padding."""
    return " ".join(" ".join(printed(rows_table(rows), width=240)).split())


@pytest.mark.parametrize(
    ("threshold", "text"),
    [
        (Threshold(4.321, 3.5, 5, "no"), "4.32 [3.5, 5]"),
        (Threshold(4.321, 1, math.inf, "no"), "4.32 [1, open]"),
        (Threshold(33.01, 0, 46.52, "no"), "33 [open, 46.5]"),
        (Threshold(1, 1, 1, "below"), "<= 1"),
        (Threshold(2, 1, 2.5, "below"), "<= 2 [1, 2.5]"),
        (Threshold(4, 0, math.inf, "below"), "<= 4"),
        (Threshold(8, 6.5, math.inf, "above"), "> 8 [6.5, open]"),
    ],
)
def test_thresholds(threshold, text):
    assert interval_text(threshold) == text


def test_members_are_cut_off_where_there_are_many():
    rows = table(group(counts={1: (10, 30)}, diverged=5))
    assert f"The first {SHOWN_ROWS} of 30." in words(rows)
    assert rows["key"][0] in words(rows)
    assert "The first" not in words(rows.head(SHOWN_ROWS))


def test_members_are_told_apart_by_what_was_swept():
    """As after a sampler, which draws learning rates; another recipe has its own, which
    nobody set."""
    rates = [group(counts={1: (1, 1)}, lr=lr) for lr in (0.0123, 0.05)]
    knobs = [
        group("delay_line", counts={1: (0, 1)}, knobs={"symbols": n}) for n in (3, 4)
    ]
    other = group(counts={1: (1, 1)}, recipe="chrono", lr=0.05, clip=0.5)

    def heads(*groups):
        return {column.head for column in rows_table(table(*groups)).columns}

    usual = heads(rates[0])
    assert heads(rates[0], other) == usual == heads()
    assert heads(*rates, other) - usual == {"lr"}
    assert heads(*knobs) - usual == {"task.symbols"}
    text = words(table(*rates))
    assert "hold 0.0123 solved" in text
    assert "hold 0.05 solved" in text


def test_a_stretched_score_of_chance_is_called_so():
    """Half of the answers are right by chance; of an error it is the variance."""
    rows = table(group(counts={1: (2, 2), 2: (1, 1)}, steady={1: 1}))
    text = words(rows)
    assert text.count("0.5 (chance)") == 1
    assert text.count("chance: about what a net without memory has there.") == 1
    assert "(chance)" not in words(rows.filter("steady"))
    errors = table(group("adding", counts={1: (2, 2)}, steady={1: 1}))
    assert words(errors).count("10 (chance)") == 1


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_a_terminal_with_whole_keys_and_thresholds(width):
    counts = SHARP | {4: (4, 4)}
    rows = table(group("delay_line", 20, counts, recipe="open_gate_relaxed"))
    (point,) = frontier(rows)
    thresholds = [interval_text(point.fit.u50), interval_text(point.fit.u90)]
    for listing, kept in (
        (rows_table(rows), list(rows["key"])),
        (frontier_table([point]), thresholds),
    ):
        lines = printed(listing, width=width, force_terminal=True, color_system=None)
        assert max(map(len, lines)) <= width
        assert all(any(text in line for line in lines) for text in kept)
        starts = ("delay_line", *rows["key"])
        shown = [line for line in lines if line.lstrip().startswith(starts)]
        assert len(shown) == len(listing.rows)


def test_a_job_that_swept_widths_ends_with_the_frontier_its_figure_and_a_table(
    tmp_path, capsys
):
    write(tmp_path, group(counts=SHARP), group("delay_line", 2, SHARP))
    rows = store.read(tmp_path)
    outcome = summarize(rows, tmp_path)
    print_summary(outcome)
    _, heads, *lines = capsys.readouterr().out.splitlines()
    assert heads.split() == ["task", "lag", "u50", "u90", "passed"]  # also where piped
    assert max(map(len, lines[:2])) <= 80
    picture = tmp_path / "figures" / "frontier.png"
    assert lines[-3:] == [
        f"Other columns, and seeds that close open intervals: memcap frontier {tmp_path}",
        f"Figure: {picture} (data beside it)",
        f"24 members, 14 solved. Rows and weights: {tmp_path}",
    ]
    assert outcome.picture == picture
    ends = {path.suffix for path in picture.parent.glob("frontier.*")}
    assert ends == {".csv", ".pdf", ".png"}
    numbers = pl.read_csv(picture.with_suffix(".csv"), infer_schema_length=None)
    assert numbers.to_dicts() == list(map(columns, frontier(rows)))


def test_a_job_of_one_width_ends_with_its_members(tmp_path, capsys):
    rows = table(group(counts={2: (1, 1)}))
    print_summary(summarize(rows, tmp_path))
    out = capsys.readouterr().out
    assert out.startswith("Members\n")
    assert rows["key"][0] in out
    assert "\n1 member, 1 solved." in out
    assert not list(tmp_path.iterdir())


NAMES = (
    "steps_to_solve",
    "budget",
    "evaluation_until",
    "steps_to_up_to",
    "steps_to_anywhere",
)
SOLVED = [(100, 300, "solved", None, None), (300, 300, "solved", None, None)]
UNSOLVED = (None, 1000, "steady", None, None)


@pytest.mark.parametrize(
    ("rows", "steps"), [([*SOLVED, UNSOLVED], 800), (SOLVED, 200), ([UNSOLVED], 2000)]
)
def test_the_score_is_the_mean_of_steps_and_an_unsolved_member_is_worse_than_any_solved(
    rows, steps
):
    assert par2_score(pl.DataFrame(rows, NAMES, orient="row")) == steps


def test_a_share_without_members_has_a_score():
    assert par2_score(frame([])) == 0.0


def test_where_every_lag_is_asked_those_count_that_are_right_at_each():
    """Two of three are solved, after 100 and 110 steps, one of them at every lag."""
    rows = group(counts={1: (2, 3)}, up_to={1: 1}, budget=900, evaluation_until="up_to")
    assert (
        totals(table(rows))
        == "3 members, 2 solved, 1 of them at every lag up to their own"
    )
    assert par2_score(table(rows)) == pytest.approx((100 + 1800 + 1800) / 3)
    assert totals(table(group(counts={1: (2, 3)}))) == "3 members, 2 solved"
