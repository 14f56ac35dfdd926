"""The numbers of README and docs are made from the rows, and nobody has typed over them."""

import re
from pathlib import Path

import pytest
from own_programs import program

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def tables():
    """docs/tables.py."""
    return program("docs/tables.py")


@pytest.mark.slow
def test_every_page_is_as_its_rows_are(tables, capsys):
    assert tables.main(check=True) == 0, capsys.readouterr().out


def test_every_block_stands_on_a_page_and_every_page_has_known_ones(tables):
    names = {
        match["name"]
        for page in tables.pages()
        for match in tables.BLOCK.finditer(page.read_text())
    }
    made = ("counts(", *(f"{kind} " for kind in tables.OF_NAMES))
    assert {name for name in names if not name.startswith(made)} == set(tables.blocks())
    assert sum(name.startswith("memcap ") for name in names) == 2


@pytest.mark.breadth
def test_a_number_that_was_typed_over_is_seen(tables):
    page = (ROOT / "docs" / "question.md").read_text()
    (line,) = re.findall(
        r"^\| at every step, the bit of 50 steps ago.*\|$", page, re.MULTILINE
    )
    wrong = page.replace(line, re.sub(r"\d+ \|$", "12 |", line))
    assert wrong != page
    assert tables.renewed(wrong) == page


def test_an_unknown_block_is_refused(tables):
    with pytest.raises(KeyError, match="nonsense"):
        tables.renewed("<!-- nonsense -->\n<!-- end -->")
