"""The name `atlas`: the published rows, wherever a folder of rows may stand."""

import json

import pytest
from command import files, memcap
from study_rows import group, table, write

import memcap as package
from memcap.knobs import UserError
from memcap.store import shards
from memcap.store.files import write_table

COUNTS = {2: (0, 8), 3: (8, 8), 4: (8, 8)}
PUBLISHED = group("delay_line", 5, COUNTS)
MINE = group("delay_line", 6, COUNTS)


@pytest.fixture
def place(tmp_path, monkeypatch):
    """An empty working directory, and rows that are published elsewhere."""
    monkeypatch.setattr(shards, "ROOT", tmp_path / "package")
    shards.rows_file("atlas").parent.mkdir(parents=True)
    write_table(shards.rows_file("atlas"), table(PUBLISHED))
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    return here


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("frontier atlas --json", '"lag": 5'),
        ("status atlas", "atlas: 24 of 24 members done"),
        ("verify atlas --rows-only", "OK: 24 rows in 1 file"),
        ("answer --task delay_line --lag 5 atlas --json", '"source": "atlas"'),
    ],
)
def test_commands_read_it_and_write_nothing(place, words, says):
    before = files(place.parent)
    done = memcap(place, *words.split())
    assert (done.status, done.err, says in done.out) == (0, "", True)
    assert files(place.parent) == before


@pytest.mark.parametrize(
    ("words", "path"),
    [
        ("figure seeds atlas", "outputs/published/atlas/figures/seeds.png"),
        ("report atlas", "outputs/published/atlas/report.html"),
    ],
)
def test_what_is_made_of_it_goes_where_studies_are(place, words, path):
    before = files(shards.ROOT)
    done = memcap(place, *words.split())
    assert (done.status, done.out) == (0, f"{path}\n")
    assert (place / path).is_file()
    assert files(shards.ROOT) == before


@pytest.mark.parametrize(
    "words",
    [
        "verify atlas",
        "collect atlas",
        "mirror atlas",
        "probe 0 atlas",
        "export 0 atlas --layout keras -o net.npz",
    ],
)
def test_what_needs_more_than_rows_says_so_in_one_line(place, words):
    before = files(place.parent)
    done = memcap(place, *words.split())
    assert (done.status, done.out) == (2, "")
    assert done.err.startswith("memcap: atlas: ")
    assert done.err.count("\n") == 1
    assert files(place.parent) == before


def test_in_python(place):
    assert package.frontier("atlas")["lag"].to_list() == [5]
    assert package.draw("seeds", "atlas").data["lag"].unique().to_list() == [5]
    assert package.answer("delay_line", 5, "atlas").source == "atlas"
    with pytest.raises(UserError, match="atlas: rows without weights"):
        package.load("atlas", "0")


def test_a_folder_of_that_name_comes_first(place):
    write(place / "atlas", MINE)
    assert package.frontier("atlas")["lag"].to_list() == [6]
    assert package.answer("delay_line", 6, "atlas").source == "./atlas"
    assert (
        package.answer("delay_line", 5).source == "atlas"
    )  # the published one, of which nobody gave the name
    assert json.loads(memcap(place, "frontier", "atlas", "--json").out)[0]["lag"] == 6
    memcap(place, "report", "atlas")
    assert (place / "atlas" / "report.html").is_file()


@pytest.mark.parametrize(
    "words", ["frontier atlas", "answer --task delay_line --lag 5"]
)
def test_where_they_are_damaged_it_says_to_install_again(place, words):
    shards.rows_file("atlas").write_bytes(b"PAR1")
    done = memcap(place, *words.split())
    assert (done.status, done.out) == (2, "")
    assert done.err.endswith("install memcap again\n")


def test_where_no_rows_were_published_it_is_a_name_like_others(place):
    shards.rows_file("atlas").unlink()
    assert "atlas: no such folder or file" in memcap(place, "frontier", "atlas").err
