"""Windows of one long series: what they show, and that no step is on two sides of a split."""

import numpy as np
import polars as pl
import pytest
from study_checks import refusal

from memcap.own.table import Columns, long_form
from memcap.own.task import own_task

COUNT = 203
SERIES = pl.DataFrame(
    {
        "hour": np.arange(COUNT)[::-1],
        "wind": np.random.default_rng(0).permutation(COUNT)[::-1] + 0.5,
        "load": np.arange(COUNT)[::-1] % 30 + 100.5,
    }
)
COLUMNS = {"target": "load", "step": "hour", "window": 5, "ahead": 3}


def form_of(frame=SERIES, **columns):
    return long_form(frame, Columns(**COLUMNS | columns))


def test_a_window_shows_features_and_target_and_asks_for_the_target_later(tmp_path):
    form = form_of()
    ordered = SERIES.sort("hour")
    wind = ordered["wind"].to_numpy()
    load = ordered["load"].to_numpy()
    inputs = form.arrays["inputs"]
    starts = [int(np.flatnonzero(wind == window[0, 0])[0]) for window in inputs]
    for start, window, target in zip(
        starts, inputs, form.arrays["targets"], strict=True
    ):
        np.testing.assert_allclose(window[:, 0], wind[start : start + 5])
        np.testing.assert_allclose(window[:, 1], load[start : start + 5])
        assert target == load[start + 7]
    assert "Target: load +3, values" in form.words[2]

    task = own_task(form.save(tmp_path / "a.npz"), "time")
    for fold in range(5):
        steps = [
            {start + step for start in np.take(starts, part) for step in range(8)}
            for part in task.__class__(**vars(task) | {"fold": fold}).parts
        ]
        assert max(steps[0]) < min(steps[1])
        assert max(steps[1]) < min(steps[2])


def test_a_series_of_one_variable_shows_its_own_past_unless_that_is_dropped():
    alone = form_of(SERIES.select("hour", "load")).arrays
    both = form_of().arrays
    np.testing.assert_array_equal(alone["inputs"], both["inputs"][..., 1:])
    np.testing.assert_array_equal(alone["targets"], both["targets"])
    wind = form_of(drop=("load",)).arrays
    np.testing.assert_array_equal(wind["inputs"], both["inputs"][..., :1])


def test_windows_of_several_series_lie_each_in_one_and_in_the_same_blocks():
    later = SERIES.with_columns(load=pl.col("load") + 1000)
    two = pl.concat(
        [SERIES.with_columns(who=pl.lit("a")), later.with_columns(who=pl.lit("b"))]
    )
    one, both = form_of().arrays, form_of(two, sequence="who").arrays
    for name in ("inputs", "targets", "groups"):
        first, second = np.split(both[name], 2)
        np.testing.assert_array_equal(first, one[name])
        shift = {"inputs": [0, 1000], "targets": 1000, "groups": 0}[name]
        np.testing.assert_array_equal(second, one[name] + shift)


def test_gaps_are_not_asked():
    gaps = SERIES.with_columns(load=pl.col("load").replace(100.5, None))
    with_gaps = form_of(gaps, missing="mask").arrays
    assert with_gaps["targets"].min() > 101
    assert with_gaps["inputs"].shape[2] == 3


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        (
            {"window": 18},
            "203 steps do not make windows in each of 10 blocks; with --ahead",
        ),
        ({"group": "wind"}, "--window: blocks of the series are its groups and parts"),
        ({"drop": ("load", "wind")}, "no column that the net could see"),
        ({"target": "gone"}, "has no column `gone` (--target)"),
        ({"window": 10**7}, "--window 10000000: 203 steps do not"),
    ],
)
def test_what_makes_no_windows_is_one_line(columns, said):
    assert said in refusal(lambda: form_of(**columns))
