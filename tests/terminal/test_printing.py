"""Tables on terminals of any width and elsewhere; numbers, times and JSON."""

import io
import math
import time

import pytest
from rich.console import Console

from memcap.terminal import printing
from memcap.terminal.printing import (
    Column,
    Listing,
    Waiting,
    duration,
    number,
    print_json,
    scaled,
    show,
)
from memcap.terminal.words import plural

KEY = "0123456789abcdef"
TABLE = Listing(
    "Things",
    [
        Column("key"),
        Column("size", "in metres", right=True),
        Column("colour", "what it looks like"),
        Column("note", folds=True),
    ],
    [
        [KEY, "1", "a dark [red]", "short"],
        [KEY[::-1], "1000000", "", " ".join(["long"] * 20)],
    ],
    drops=["colour", "size", "note"],
    notes=["That is all."],
)


def on_terminal(table, width):
    """The lines of a table on a terminal of this width."""
    file = io.StringIO()
    Console(file=file, width=width, force_terminal=True, color_system=None).print(
        table, crop=False
    )
    return [line.rstrip() for line in file.getvalue().splitlines()]


@pytest.mark.parametrize(
    ("width", "left_out"),
    [(57, ""), (56, "colour"), (42, "colour, size"), (20, "colour, size, note")],
)
def test_columns_are_left_out_in_their_order_and_no_key_is_cut(width, left_out):
    lines = on_terminal(TABLE, width)
    text = " ".join(" ".join(lines).split())
    assert lines[0] == "Things"
    assert max(map(len, lines)) <= width
    assert any(line.startswith(KEY) for line in lines)
    assert any(line.startswith(KEY[::-1]) for line in lines)
    heads = lines[1].split()
    assert heads == [
        head for head in ("key", "size", "colour", "note") if head not in left_out
    ]
    assert ("size: in metres" in text) == ("size" in heads)
    assert ("colour: what it looks like" in text) == ("colour" in heads)
    assert "That is all." in text
    said = f"Hidden on a narrow terminal: {left_out}. Piped, the table has all columns."
    assert (said in text) == bool(left_out)
    assert ("a dark [red]" in text) == ("colour" in heads)


def test_only_a_column_that_folds_takes_more_lines():
    assert len(on_terminal(TABLE, 200)) == 3 + 2 + 2
    assert len(on_terminal(TABLE, 70)) > 3 + 2 + 2


def test_of_a_word_longer_than_its_column_nothing_is_lost():
    columns = [Column(head, folds=True) for head in ("note", "more")]
    lines = on_terminal(Listing("", columns, [[KEY * 3, "it is " * 20]]), 50)
    assert "".join(line.split(" ")[0] for line in lines[3:]) == KEY * 3


def test_a_key_is_whole_on_a_terminal_that_is_narrower():
    assert KEY in on_terminal(TABLE, 10)


def test_elsewhere_it_is_plain_with_one_line_a_row(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    show(TABLE)
    assert capsys.readouterr().out.splitlines() == [
        "Things",
        "key                  size  colour        note",
        f"{KEY}        1  a dark [red]  short",
        f"{KEY[::-1]}  1000000                {' '.join(['long'] * 20)}",
        "size: in metres; colour: what it looks like.",
        "That is all.",
    ]


def test_a_table_without_rows_has_its_heads(capsys):
    show(Listing("None", [Column("key")], []))
    assert capsys.readouterr().out == "None\nkey\n"


def test_counts_and_times():
    assert [plural(n, "row") for n in (0, 1, 1000)] == ["0 rows", "1 row", "1,000 rows"]
    seconds = (1, 40, 119, 120, 7199, 7200, 3 * 86400)
    assert [duration(s) for s in seconds] == [
        *(
            "1 second",
            "40 seconds",
            "119 seconds",
            "2 minutes",
            "120 minutes",
            "2 hours",
            "3 days",
        )
    ]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, ""),
        (math.nan, ""),
        (math.inf, "inf"),
        (3.0, "3"),
        (3, "3"),
        (0.98765, "0.988"),
        (0, "0"),
        (1e7, "1e+07"),
    ],
)
def test_numbers(value, text):
    assert number(value) == text


def test_what_is_not_finite_becomes_null(capsys):
    print_json({"a": [1.5, math.nan], "b": (math.inf, "c")})
    assert "".join(capsys.readouterr().out.split()) == '{"a":[1.5,null],"b":[null,"c"]}'


def test_who_waits_is_told_at_what_a_command_is_once_it_takes_long(capsys, monkeypatch):
    monkeypatch.setattr(printing, "SECONDS_OF_SILENCE", 0.05)
    with Waiting("reading"):
        pass
    assert capsys.readouterr().err == ""
    with Waiting("reading") as waiting:
        time.sleep(0.4)
        waiting.now("1 of 2 compiled")
        time.sleep(0.4)
    assert (
        capsys.readouterr().err == "memcap: reading ...\nmemcap: 1 of 2 compiled ...\n"
    )


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (8e-3 * 2**30, "B", "8.59 MB"),
        (7e-7, "s", "700 ns"),
        (7e-4, "s", "700 µs"),
        (1.66e11, "FLOP", "166 GFLOP"),
        (0, "B", "0 B"),
        (999, "B", "999 B"),
    ],
)
def test_a_quantity_has_the_prefix_that_a_person_reads(value, unit, text):
    assert scaled(value, unit) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.99, "0.99"),
        (1 / 256, "0.00391"),
        (0.99957, "0.99957"),
        (0.9994, "0.999"),
        (1.0, "1"),
    ],
)
def test_a_criterion_below_1_is_not_called_1(value, text):
    assert printing.bound(value) == text
