"""Tables on terminals of any width and elsewhere; numbers, times and JSON."""

import io
import math
import time

import pytest
from rich.console import Console

from memcap.terminal.words import (
    Blocks,
    Column,
    Listing,
    Waiting,
    bound,
    duration,
    number,
    plural,
    print_json,
    scaled,
    show,
    text_of,
)

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
    assert {KEY, KEY[::-1]} <= {line.split(" ")[0] for line in lines}
    heads = lines[1].split()
    hidden = left_out.split(", ")
    assert heads == [
        head for head in ("key", "size", "colour", "note") if head not in hidden
    ]
    assert ("size: in metres" in text) == ("size" in heads)
    assert ("a dark [red]" in text) == ("colour" in heads)
    assert "That is all." in text
    said = f"Hidden on a narrow terminal: {left_out}. Piped, the table has all columns."
    assert (said in text) == bool(left_out)


def test_sentences_are_paragraphs_on_a_terminal(capsys):
    columns = [Column("claim"), Column("here"), Column("paper"), Column("read")]
    rows = [["it holds", "yes " * 12, "-", "page 1"]]
    table = Blocks("Claims", columns, rows, ["read"])
    yes = "yes " * 8
    assert on_terminal(table, 44) == [
        "Claims",
        "it holds",
        f"      here: {yes}".rstrip(),
        f"      {yes[:16]}".rstrip(),
        "Hidden on a narrow terminal: read. Piped,",
        "the table has all columns.",
    ]
    show(table)
    assert capsys.readouterr().out.splitlines()[1].split() == [
        "claim",
        "here",
        "paper",
        "read",
    ]


def test_only_a_column_that_folds_takes_more_lines():
    assert len(on_terminal(TABLE, 200)) == 3 + 2 + 3
    assert len(on_terminal(TABLE, 70)) > 3 + 2 + 3


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
        "size: in metres.",
        "colour: what it looks like.",
        "That is all.",
    ]


def test_a_table_without_rows_has_its_heads(capsys):
    show(Listing("None", [Column("key")], []))
    assert capsys.readouterr().out == "None\nkey\n"


@pytest.mark.parametrize(
    ("write", "texts"),
    [
        (
            plural,
            {(0, "row"): "0 rows", (1, "row"): "1 row", (1000, "row"): "1,000 rows"},
        ),
        (
            duration,
            {
                (1,): "1 second",
                (119,): "119 seconds",
                (120,): "2 minutes",
                (7199,): "120 minutes",
                (7200,): "2 hours",
                (3 * 86400,): "3 days",
            },
        ),
        (
            number,
            {
                (None,): "",
                (math.nan,): "",
                (math.inf,): "inf",
                (3,): "3",
                (0.98765,): "0.988",
            },
        ),
        (text_of, {(None,): "", (True,): "yes", (2**40,): str(2**40), (1e7,): "1e+07"}),
        (
            scaled,
            {
                (8e-3 * 2**30, "B"): "8.59 MB",
                (7e-7, "s"): "700 ns",
                (7e-4, "s"): "700 \u00b5s",
                (1.66e11, "FLOP"): "166 GFLOP",
                (0, "B"): "0 B",
                (999, "B"): "999 B",
            },
        ),
        # a criterion below 1 is not called 1
        (
            bound,
            {
                (0.99,): "0.99",
                (1 / 256,): "0.00391",
                (0.99957,): "0.99957",
                (1.0,): "1",
            },
        ),
    ],
)
def test_values_in_words(write, texts):
    assert {value: write(*value) for value in texts} == texts


def test_what_is_not_finite_becomes_null(capsys):
    print_json({"a": [1.5, math.nan], "b": (math.inf, "c")})
    assert "".join(capsys.readouterr().out.split()) == '{"a":[1.5,null],"b":[null,"c"]}'


def test_who_waits_is_told_at_what_a_command_is_once_it_takes_long(capsys, monkeypatch):
    monkeypatch.setattr("memcap.terminal.words.SECONDS_OF_SILENCE", 0.05)
    with Waiting("reading"):
        pass
    assert capsys.readouterr().err == ""
    with Waiting("reading") as waiting:
        time.sleep(0.4)
        waiting.now("1 of 2 compiled")
        time.sleep(0.4)
    said = "memcap: reading ...\nmemcap: 1 of 2 compiled ...\n"
    assert capsys.readouterr().err == said
