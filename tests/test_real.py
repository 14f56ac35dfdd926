"""The real sets of examples/real.py, where what ships them is installed, and what was
predicted of them."""

import os
from pathlib import Path

import polars as pl
import pytest
from own_programs import program
from polars.testing import assert_frame_equal

from memcap.own.table import Columns, long_form

ROOT = Path(__file__).parent.parent
DEBIAN = Path(os.environ.get("MEMCAP_DEBIAN", "/"))  # where its packages are unpacked
SIZES = {  # sequences, the longest, numbers or symbols a step, classes
    "vowels": (640, 29, 12, 9),
    "power": (1096, 24, 1, 2),
    "digits": (1797, 64, 1, 10),
    "digit_rows": (1797, 8, 8, 10),
    "mnist_rows": (5000, 28, 28, 10),
    "splice": (3186, 60, 4, 3),
    "language": (8000, 15, 26, 8),
    "syllables": (8000, 15, 26, 5),
    "spelling": (10000, 19, 27, 40),
    "lives": (712, 71, 6, 6),
    "metre": (4000, 50, 14, 5),
    "melody": (3000, 49, 21, 21),
    "choices": (40, 99, 4, 2),
}


@pytest.fixture(scope="module")
def real():
    return program("examples/real.py")


@pytest.fixture(scope="module")
def published():
    return program("sweeps/real/real.py")


def table(real, name, **how):
    try:
        return real.table_of(name, DEBIAN, **how)
    except (SystemExit, ModuleNotFoundError) as missing:
        pytest.skip(f"{missing} (extra `data`)")


def test_the_numbers_of_the_figure_are_those_of_the_rows(published):
    data = published.compared()
    assert_frame_equal(
        pl.read_csv(published.PLACE / "predicted.csv", schema=data.schema),
        data,
        rel_tol=1e-9,
    )
    assert data.height >= 6
    for curve in published.curves().values():
        assert curve.folds == (0, 1, 2, 3, 4)


@pytest.mark.parametrize("name", SIZES)
def test_a_set_is_a_table_that_fit_reads(real, name):
    form = long_form(table(real, name), Columns("answer"))
    arrays = form.arrays
    inputs = arrays["inputs"]
    seen = inputs.shape[2] if inputs.ndim == 3 else len(arrays["symbol_names"])
    classes = len(set(arrays["targets"][arrays.get("mask", ...)].ravel()))
    assert (*inputs.shape[:2], seen, classes) == SIZES[name]
    rows = pl.read_parquet(ROOT / "sweeps" / "real" / "fits.parquet")
    assert rows["knobs"].str.contains(f"real/{name}/sequences-{form.digest}").any()
