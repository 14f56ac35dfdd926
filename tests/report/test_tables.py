"""Tables and the report at a job's end, on rows that were made up."""

import io
import math

import polars as pl
import pytest
from rich.console import Console
from study_rows import group, table, write

from memcap import store
from memcap.frontiers.frontier import frontier
from memcap.frontiers.points import columns
from memcap.frontiers.words import interval_text
from memcap.report.job_end import print_summary, summarize
from memcap.report.tables import SHOWN_ROWS, frontier_table, rows_table
from memcap.thresholds.curve import Threshold

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
        (Threshold(33.01, 0, 46.52, "no"), "33 [open, 46.5]"),
        (Threshold(1, 1, 1, "below"), "<= 1"),
        (Threshold(2, 1, 2.5, "below"), "<= 2 [1, 2.5]"),
        (Threshold(4, 0, math.inf, "below"), "<= 4"),
        (Threshold(8, 6.5, math.inf, "above"), "> 8 [6.5, open]"),
        (Threshold(8, 0, math.inf, "above"), "> 8"),
    ],
)
def test_thresholds(threshold, text):
    assert interval_text(threshold) == text


def test_the_frontier_is_shown_with_budget_rate_recipe_and_counts():
    (point,) = frontier(
        table(
            group(counts=SHARP),
            group(counts=dict.fromkeys(SHARP, (0, 4)), recipe="chrono"),
        )
    )
    text = printed(frontier_table([point]))
    for part in (
        interval_text(point.fit.u50),
        interval_text(point.fit.u90),
        "hold (best of 2) 0.03",
        " 1500 ",
        "chosen on the seeds that it is judged on",
        "1:0/4 2:3/4 3:4/4",
    ):
        assert part in text


def test_the_frontier_shows_both_verdicts_and_says_what_they_are():
    points = frontier(
        table(
            group("delay_line", 3, SHARP | {4: (4, 4)}, steady={2: 0, 3: 1}),
            group("latch", 3, SHARP),
        )
    )
    text = printed(frontier_table(points))
    delay = points[0]
    for threshold in (
        delay.fit.u50,
        delay.fit.u90,
        delay.trained.u50,
        delay.trained.u90,
    ):
        assert interval_text(threshold) in text
    assert "1:0/4 2:0/4 3:1/4 4:4/4" in text
    assert "steady: the same weights also pass at the stretched length" in text
    alone = printed(frontier_table(points[1:]))
    assert "steady" not in alone
    exact = "trained: pass at exactly the lag and length they were trained at; shorter lags may fail."  # noqa: E501
    assert exact in text
    assert exact in alone
    assert "u90 trained" not in alone
    assert "chosen on the seeds that it is judged on" not in text


def test_open_intervals_are_said_to_be_open_with_what_closes_them():
    (point,) = frontier(table(group(counts={30: (0, 4), 34: (3, 4), 38: (3, 4)})))
    text = printed(frontier_table([point]))
    assert " [open, " in text
    assert (
        "is at least 20. To close such intervals: latch at lag 5, train 8 seeds at 30 to"
        in text
    )
    closed = table(group(counts={u: (0 if u < 5 else 16, 16) for u in range(1, 9)}))
    assert "To close" not in printed(frontier_table(frontier(closed)))


def test_counts_that_no_rising_curve_gives_are_flagged():
    odd, usual = (
        frontier(table(group(counts=dict(zip((8, 12, 16), counts, strict=True)))))
        for counts in (((8, 8), (3, 8), (8, 8)), ((3, 8), (7, 8), (8, 8)))
    )
    assert (odd[0].fit.fits, usual[0].fit.fits) == (False, True)
    assert "8:8/8 12:3/8 16:8/8 misfit" in printed(frontier_table(odd))
    assert "misfit" not in printed(frontier_table(usual))


def test_counts_that_fall_are_flagged_and_said():
    (point,) = points = frontier(
        table(group(counts={3: (0, 8), 4: (7, 7), 6: (2, 8), 9: (1, 8)}))
    )
    assert point.fit.u90.units <= 4
    text = printed(frontier_table(points))
    assert "9:1/8 falls" in text
    said = "latch at lag 5: wider nets fail more: 3 of 16 passed with 6 to 9 units, 7 of 7 with 4"
    assert said in " ".join(text.split())
    assert columns(point)["falls_from"] == 6


@pytest.mark.parametrize(
    "counts", [{1: (1, 4), 2: (1, 4), 3: (0, 4)}, {2: (0, 8), 4: (0, 8), 8: (0, 8)}]
)
def test_where_no_recipe_trains_a_task_no_lower_bound_is_printed(counts):
    points = frontier(table(group(counts=counts)))
    text = printed(frontier_table(points))
    assert not points[0].trains
    assert "too few pass: under half of the seeds at every width" in text
    assert f"median accuracy at the end, by units: {points[0].units[0]}:0." in " ".join(
        text.split()
    )
    assert ">" not in text.replace(
        "(<=: the narrowest width tried is enough; >: the widest is not)", ""
    )


def test_members_are_cut_off_where_there_are_many():
    rows = table(group(counts={1: (10, 30)}, diverged=5))
    assert f"The first {SHOWN_ROWS} of 30." in printed(rows_table(rows))
    assert rows["key"][0] in printed(rows_table(rows))
    assert "The first" not in printed(rows_table(rows.head(SHOWN_ROWS)))


def test_members_are_told_apart_by_what_was_swept():
    """As after a sampler, which draws learning rates; another recipe has its own, which
    nobody set."""
    rates = [group(counts={1: (1, 1)}, lr=lr) for lr in (0.0123, 0.05)]
    knobs = [
        group("delay_line", counts={1: (0, 1)}, knobs={"symbols": symbols})
        for symbols in (3, 4)
    ]
    other = group(counts={1: (1, 1)}, recipe="chrono", lr=0.05, clip=0.5)

    def heads(*groups):
        return {column.head for column in rows_table(table(*groups)).columns}

    usual = heads(rates[0])
    assert heads(rates[0], other) == usual == heads()
    assert heads(*rates, other) - usual == {"lr"}
    assert heads(*knobs) - usual == {"task.symbols"}
    text = printed(rows_table(table(*rates)))
    assert "hold 0.0123 solved" in text
    assert "hold 0.05 solved" in text


def test_a_stretched_score_of_chance_is_called_so():
    """Half of the answers are right by chance; of an error it is the variance."""
    rows = table(group(counts={1: (2, 2), 2: (1, 1)}, steady={1: 1}))
    text = printed(rows_table(rows))
    assert text.count("0.5 (chance)") == 1
    assert text.count("chance: about what a net without memory has there.") == 1
    assert "(chance)" not in printed(rows_table(rows.filter("steady")))
    errors = table(group("adding", counts={1: (2, 2)}, steady={1: 1}))
    assert printed(rows_table(errors)).count("10 (chance)") == 1


@pytest.mark.parametrize("width", [80, 120])
def test_tables_fit_a_terminal_with_whole_keys_and_thresholds(width):
    rows = table(
        group("delay_line", 20, SHARP | {4: (4, 4)}, recipe="open_gate_relaxed")
    )
    (point,) = frontier(rows)
    for listing, kept in (
        (rows_table(rows), [*rows["key"]]),
        (
            frontier_table([point]),
            [interval_text(point.fit.u50), interval_text(point.fit.u90)],
        ),
    ):
        file = io.StringIO()
        Console(width=width, file=file, force_terminal=True, color_system=None).print(
            listing
        )
        lines = file.getvalue().splitlines()
        assert max(map(len, lines)) <= width
        assert all(any(each in line for line in lines) for each in kept)
        assert sum(
            line.lstrip().startswith(("delay_line", *rows["key"])) for line in lines
        ) == len(listing.rows)


def test_a_job_that_swept_widths_ends_with_the_frontier_its_figure_and_a_table(
    tmp_path, capsys
):
    write(tmp_path, group(counts=SHARP), group("delay_line", 2, SHARP))
    rows = store.read(tmp_path)
    outcome = summarize(rows, tmp_path)
    print_summary(outcome)
    out = capsys.readouterr().out
    _, heads, *lines = out.splitlines()
    assert heads.split() == [
        "task",
        "lag",
        "u50",
        "u90",
        "passed",
    ]  # also where it is piped
    assert max(map(len, lines[:2])) <= 80
    assert (
        f"Other columns, and seeds that close open intervals: memcap frontier {tmp_path}\n"
        in out
    )
    assert f"24 members, 14 solved. Rows and weights: {tmp_path}\n" in out
    picture = tmp_path / "figures" / "frontier.png"
    assert f"Figure: {picture} (data beside it)\n" in out
    assert sorted(p.name for p in picture.parent.iterdir()) == [
        "frontier.csv",
        "frontier.pdf",
        "frontier.png",
    ]
    numbers = pl.read_csv(
        picture.with_suffix(".csv"), infer_schema_length=None
    ).to_dicts()
    assert (numbers, outcome.picture) == ([columns(p) for p in frontier(rows)], picture)


def test_a_job_of_one_width_ends_with_its_members(tmp_path, capsys):
    rows = table(group(counts={2: (1, 1)}))
    outcome = summarize(rows, tmp_path)
    print_summary(outcome)
    out = capsys.readouterr().out
    assert "Members" in out
    assert rows["key"][0] in out
    assert outcome.picture is None
    assert not list(tmp_path.iterdir())


def test_one_member_is_not_called_members(tmp_path, capsys):
    print_summary(summarize(table(group(counts={2: (1, 1)})), tmp_path))
    assert "\n1 member, 1 solved." in capsys.readouterr().out
