"""A fit that was made before is read, to the bit; no other fit ever is."""

import pytest

from memcap.frontiers import memo as memo_file
from memcap.frontiers.memo import memo
from memcap.runtime import cache
from memcap.thresholds.curve import fit_of, posterior

COUNTS = [4, 5, 6, 8], [0, 1, 3, 4], [4, 4, 4, 4]
NEVER = [4, 8], [0, 0], [4, 4]  # with open ends, and nothing that any seed solved


def fit(units, solved, runs, confidence=0.95):
    return fit_of(posterior(units, solved, runs), confidence)


@pytest.fixture(autouse=True)
def fits_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return cache.folder() / "fits"


@pytest.fixture
def fits_made(monkeypatch):
    """Counts that were fitted, not read."""
    made = []
    original = memo_file.posterior
    monkeypatch.setattr(
        memo_file, "posterior", lambda *counts: made.append(counts) or original(*counts)
    )
    return made


@pytest.mark.parametrize("counts", [COUNTS, NEVER])
def test_a_fit_is_made_once_and_is_the_same_to_the_bit(counts, fits_made):
    for _ in range(2):
        with memo() as fits:
            assert fits.fit(*counts, 0.95) == fit(*counts)
    assert len(fits_made) == 1


def test_other_counts_and_another_confidence_are_other_fits(fits_made):
    units, solved, runs = COUNTS
    for counts in (
        COUNTS,
        (units, [0, 1, 2, 4], runs),
        (units, solved, [4, 4, 4, 5]),
        ([4, 5, 6, 9], solved, runs),
    ):
        with memo() as fits:
            assert fits.fit(*counts, 0.95) == fit(*counts)
    with memo() as fits:
        assert fits.fit(*COUNTS, 0.5) == fit(*COUNTS, 0.5)
    assert len(fits_made) == 5


def test_another_source_of_fits_has_another_file(tmp_path, monkeypatch, fits_made):
    with memo() as fits:
        fits.fit(*COUNTS, 0.95)
    source = tmp_path / "thresholds.py"
    source.write_text("MARGIN = 3.0\n")
    monkeypatch.setattr(memo_file.curve, "__file__", str(source))
    memo_file._version.cache_clear()
    with memo() as fits:
        fits.fit(*COUNTS, 0.95)
    memo_file._version.cache_clear()
    assert len(fits_made) == 2


@pytest.mark.parametrize("damage", ["", "{", "\x00", '{"a": 1}'])
def test_a_damaged_file_is_written_anew(damage, fits_folder, fits_made):
    for write in (
        None,
        lambda text: damage,
        lambda text: text.replace('"no"', '"below"', 1),
    ):
        if write is not None:
            (path,) = fits_folder.iterdir()
            path.write_text(write(path.read_text()))
        with memo() as fits:
            assert fits.fit(*COUNTS, 0.95) == fit(*COUNTS)
    assert len(fits_made) == 3


def test_a_folder_that_cannot_be_made_costs_the_memory_alone(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with memo() as fits:
        assert fits.fit(*COUNTS, 0.95) == fit(*COUNTS)


def test_a_full_file_holds_what_was_used_last(monkeypatch, fits_made):
    monkeypatch.setattr(memo_file, "MOST", 1)
    for counts in (COUNTS, NEVER, NEVER, COUNTS):
        with memo() as fits:
            fits.fit(*counts, 0.95)
    assert len(fits_made) == 3
