"""Numbers, JSON and rows, as the commands share them."""

import math

import pytest
from study_rows import group, write

from memcap.console import number, print_json, rows_of
from memcap.knobs import UserError


@pytest.mark.parametrize(
    ("value", "text"),
    [(None, ""), (math.nan, ""), (math.inf, "inf"), (3.0, "3"), (3, "3"), (0.98765, "0.988"), (0, "0"), (1e7, "1e+07")],
)
def test_numbers(value, text):
    assert number(value) == text


def test_what_is_not_finite_becomes_null(capsys):
    print_json({"a": [1.5, math.nan], "b": (math.inf, "c")})
    assert "".join(capsys.readouterr().out.split()) == '{"a":[1.5,null],"b":[null,"c"]}'


def test_rows_are_read_or_missed_in_one_line(tmp_path):
    with pytest.raises(UserError, match="holds no rows; train a study first"):
        rows_of(tmp_path)
    write(tmp_path, group(counts={1: (1, 3)}))
    assert rows_of(tmp_path).height == 3
