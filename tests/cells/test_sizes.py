"""The table of what reference widths ask of cells says what their own carries say."""

import subprocess
import sys

import pytest

from memcap.cells import CellFacts, cell_class, cell_facts
from memcap.cells.registry import count
from memcap.cells.sizes import FACTS


@pytest.mark.parametrize("name", FACTS)
def test_a_line_of_the_table_is_what_is_counted(name):
    assert cell_class(name).name == name
    assert cell_facts(name) == FACTS[name]
    assert {count(name, features) for features in (1, 3)} == {FACTS[name]}


def test_a_cell_without_a_line_is_counted():
    assert "lstm+bfloat16" not in FACTS
    assert cell_facts("lstm+bfloat16") == CellFacts(2, 32)


def test_the_names_of_the_package_are_there_and_no_others():
    script = "from memcap import cells; print([getattr(cells, name) for name in cells.__all__]); cells.cell"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.stdout
    assert done.stderr.endswith("AttributeError: module 'memcap.cells' has no attribute 'cell'\n")
