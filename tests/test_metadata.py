"""What catalogues read of the project is made from its sources, and is whole.

CI has it judged by mlcroissant and cffconvert, too, which are not installed here.
"""

import re
from pathlib import Path

import pytest
from own_programs import program

ROOT = Path(__file__).parents[1]


@pytest.fixture
def metadata():
    """docs/metadata.py."""
    return program("docs/metadata.py")


def test_it_is_as_its_sources_are(metadata, capsys):
    assert metadata.main(["--check"]) == 0, capsys.readouterr().out


def test_the_lock_has_a_hash_of_each_library_and_names_no_host():
    lock = (ROOT / "requirements.lock").read_text()
    entries = lock.replace("\\\n", " ").splitlines()
    assert len(entries) > 100
    assert [
        entry
        for entry in entries
        if not re.match(
            r"[\w.-]+(\[[\w, -]+\])?==\S+ .*--hash=sha256:[0-9a-f]{64}", entry
        )
    ] == []
    assert "://" not in lock
    # without extras here, pip 23.2 takes the newest version for another's and refuses it
    assert "\netils[epath, epy]==" in lock


@pytest.fixture
def hosted(tmp_path):
    """A project with a README, and the addresses in its CITATION.cff."""
    text = "[A](docs/a.md#b), [C](https://c.org) and ![D\nE](sweeps/d.png)"
    (tmp_path / "README.md").write_text(text)

    def metadata(citation):
        (tmp_path / "CITATION.cff").write_text(citation)
        found = {}
        hook = program("hatch_build.py").CustomMetadataHook(str(tmp_path), {})
        hook.update(found)
        return found["urls"], found["readme"]["text"]

    return metadata


def test_a_wheels_readme_links_to_where_the_project_is_hosted(hosted):
    assert hosted("version: 1\n") == (
        {},
        "[A](docs/a.md#b), [C](https://c.org) and ![D\nE](sweeps/d.png)",
    )
    home = "https://github.com/a/b"
    urls, page = hosted(f'url: https://d.org\nrepository-code: "{home}/"\n')
    assert urls == {"Documentation": "https://d.org", "Source": f"{home}/"}
    assert page == (
        f"[A]({home}/blob/HEAD/docs/a.md#b), [C](https://c.org)"
        f" and ![D\nE]({home}/raw/HEAD/sweeps/d.png)"
    )
