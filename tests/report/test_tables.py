"""Tables and the report at a job's end, on rows that were made up."""

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console
from study_rows import group, table, write

from memcap.capacity.frontier import frontier
from memcap.capacity.points import columns
from memcap.capacity.thresholds import Threshold
from memcap.report.tables import (
    SHOWN_ROWS,
    frontier_table,
    print_summary,
    rows_table,
    summarize,
    threshold_text,
)
from memcap.studies import store

SHARP = {1: (0, 4), 2: (3, 4), 3: (4, 4)}


def printed(renderable):
    """What a table looks like, without the padding."""
    file = io.StringIO()
    Console(width=240, file=file).print(renderable)
    return " ".join(file.getvalue().split())


@pytest.mark.parametrize(
    ("threshold", "text"),
    [
        (Threshold(4.321, 3.5, 5, "no"), "4.32 [3.5, 5]"),
        (Threshold(4.321, 1, math.inf, "no"), "4.32 [1, open]"),
        (Threshold(1, 1, 1, "below"), "<= 1"),
        (Threshold(2, 1, 2.5, "below"), "<= 2 [1, 2.5]"),
        (Threshold(2, 1, math.inf, "below"), "<= 2"),
        (Threshold(8, 6.5, math.inf, "above"), "> 8 [6.5, open]"),
        (Threshold(8, 1, math.inf, "above"), "> 8"),
    ],
)
def test_thresholds(threshold, text):
    assert threshold_text(threshold) == text


def test_the_frontier_is_shown_with_budget_rate_recipe_and_counts():
    (point,) = frontier(
        table(group(counts=SHARP), group(counts=dict.fromkeys(SHARP, (0, 4)), recipe="chrono"))
    )
    text = printed(frontier_table([point]))
    for part in (
        threshold_text(point.fit.u50),
        threshold_text(point.fit.u90),
        "hold (best of 2) 0.03",
        " 1500 ",
        "chosen on the seeds it is judged on",
        "1:0/4 2:3/4 3:4/4",
    ):
        assert part in text


def test_the_frontier_shows_both_verdicts_and_says_what_they_are():
    points = frontier(
        table(group("delay_line", 3, SHARP | {4: (4, 4)}, steady={2: 0, 3: 1}), group("latch", 3, SHARP))
    )
    text = printed(frontier_table(points))
    delay = points[0]
    for threshold in (delay.fit.u50, delay.fit.u90, delay.trained.u50, delay.trained.u90):
        assert threshold_text(threshold) in text
    assert "1:0/4 2:0/4 3:1/4 4:4/4" in text
    assert "steady: the same weights also pass at the stretched length" in text
    alone = printed(frontier_table(points[1:]))
    assert "steady" not in alone
    assert "trained" not in alone
    assert "chosen on the seeds it is judged on" not in text


def test_members_are_cut_off_where_there_are_many():
    rows = table(group(counts={1: (10, 30)}, diverged=5))
    assert f"The first {SHOWN_ROWS} of 30." in printed(rows_table(rows))
    assert rows["key"][0] in printed(rows_table(rows))
    assert "The first" not in printed(rows_table(rows.head(SHOWN_ROWS)))


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_a_terminal_with_whole_keys_and_thresholds(width):
    rows = table(group("delay_line", 20, SHARP | {4: (4, 4)}, recipe="open_gate_relaxed"))
    (point,) = frontier(rows)
    for listing, kept in (
        (rows_table(rows), [*rows["key"]]),
        (frontier_table([point]), [threshold_text(point.fit.u50), threshold_text(point.fit.u90)]),
    ):
        file = io.StringIO()
        Console(width=width, file=file, force_terminal=True, color_system=None).print(listing)
        lines = file.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        assert all(any(each in line for line in lines) for each in kept)
        assert sum(line.lstrip().startswith(("delay_line", *rows["key"])) for line in lines) == len(
            listing.rows
        )


def test_a_job_that_swept_widths_ends_with_the_frontier_its_figure_and_a_table(tmp_path, capsys):
    write(tmp_path, group(counts=SHARP), group("delay_line", 2, SHARP))
    rows = store.read(tmp_path)
    outcome = summarize(rows, tmp_path)
    print_summary(outcome)
    out = capsys.readouterr().out
    assert "Training frontier" in out
    assert f"24 members, 14 solved. Rows and weights: {tmp_path}\n" in out
    picture = tmp_path / "figures" / "frontier.png"
    assert f"Figure: {picture} (data beside it)\n" in out
    assert sorted(p.name for p in picture.parent.iterdir()) == [
        "frontier.csv",
        "frontier.pdf",
        "frontier.png",
    ]
    assert (outcome.table, outcome.picture) == (tuple(columns(p) for p in frontier(rows)), picture)


def test_a_job_of_one_width_ends_with_its_members(tmp_path, capsys):
    rows = table(group(counts={2: (1, 1)}))
    outcome = summarize(rows, tmp_path)
    print_summary(outcome)
    out = capsys.readouterr().out
    assert "Members" in out
    assert rows["key"][0] in out
    assert (outcome.table, outcome.picture) == ((), None)
    assert not list(tmp_path.iterdir())


def test_one_member_is_not_called_members(tmp_path, capsys):
    print_summary(summarize(table(group(counts={2: (1, 1)})), tmp_path))
    assert "\n1 member, 1 solved." in capsys.readouterr().out


def test_a_point_is_drawn_from_its_own_fit():
    (point,) = frontier(table(group(counts=SHARP)))
    moved = replace(point, fit=replace(point.fit, u50=Threshold(7, 6, 8, "no")))
    assert "7 [6, 8]" in printed(frontier_table([moved]))
