"""The numbers of README and docs are made from the rows, and nobody has typed over them."""

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


def test_an_unknown_block_is_refused(tables):
    with pytest.raises(KeyError, match="nonsense"):
        tables.renewed("<!-- nonsense -->\n<!-- end -->")
