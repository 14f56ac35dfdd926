"""The numbers of README and docs are made from the rows, and nobody has typed over them."""

from pathlib import Path

import pytest
import yaml
from own_programs import program

from memcap.findings import find, papers
from memcap.store.shards import studies

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


def test_the_shelf_names_studies_once(tables):
    """The archive is all side questions, and the studies after a paper known from notes."""
    shelf = yaml.safe_load((ROOT / "docs" / "shelf.yaml").read_text())
    names = [name for part in shelf.values() for name in part]
    assert sorted({*names} & {*studies()}) == sorted(names)
    other = {path.stem for path in (ROOT / "sweeps" / "other").glob("*.yaml")}
    notes = {n for n in papers() if find(n).PAPER.read == "notes"}
    assert {*shelf["archive"]} == other | notes


def test_notebooks_open_in_colab_once_the_project_is_on_github(
    tables, tmp_path, monkeypatch
):
    monkeypatch.setattr(tables, "ROOT", tmp_path)
    (tmp_path / "examples").mkdir()
    (tmp_path / "examples" / "a.ipynb").touch()
    citation = tmp_path / "CITATION.cff"
    citation.write_text("repository-code: https://github.com/b/c\n")
    colab = "https://colab.research.google.com/github/b/c/blob/HEAD/examples/a.ipynb"
    assert f"[a.ipynb]({colab})" in tables.colab()
