"""Arora et al. (2024): recall without training, and what a lead is."""

import numpy as np
import polars as pl
import pytest
from study_rows import seeds, table

from memcap import findings

study = findings.load("arora2024")


def nets(cell, units, pairs, *finals, layout="stacked"):
    knobs = {"symbols": 32, "pairs": pairs, "layout": layout}
    return seeds(
        "mqar",
        pairs,
        *({"final": each} for each in finals),
        units=units,
        knobs=knobs,
        cell=cell,
    )


def recalled(cell, units, pairs, rewrites, strength=1.0, trials=300):
    """One sequence after another, by the rules as they are written down."""
    rng = np.random.default_rng(7)
    right = 0
    for _ in range(trials):
        keys = rng.normal(size=(32, 16))
        values = rng.normal(size=(32, units))
        keys /= np.linalg.norm(keys, axis=1)[:, None]
        values /= np.linalg.norm(values, axis=1)[:, None]
        state = np.zeros((units, 16))
        latest = {}
        said = iter(rng.permutation(32))
        for key in rng.permutation(np.tile(np.arange(pairs), 1 + rewrites)):
            latest[key] = value = next(said)
            old = state @ keys[key] if cell == "delta_net" else 0
            state += strength * np.outer(values[value] - old, keys[key])
        right += sum(
            np.argmax(values @ state @ keys[key]) == value
            for key, value in latest.items()
        )
    return right / trials / pairs


def test_recall_without_training_is_that_of_the_rules():
    linear = recalled("linear_attention", 8, 16, 0)
    assert study.constructed("linear_attention", 8, 16, 0) == pytest.approx(
        linear, abs=0.03
    )
    best = max(recalled("delta_net", 8, 16, 1, strength) for strength in (0.5, 1.0))
    assert study.constructed("delta_net", 8, 16, 1) == pytest.approx(best, abs=0.03)
    # keys in few directions stand in each other's way, and eight of sixteen numbers hardly do
    assert (
        study.constructed("delta_net", 8, 8, 0)
        > study.constructed("delta_net", 8, 16, 0) + 0.1
    )


def test_other_rows_of_the_task_are_left_out():
    own = table(nets("gla", 8, 8, 0.9))
    separate = table(nets("gla", 8, 8, 0.5, layout="separate"))
    assert study.curves(separate).is_empty()
    assert study.curves(pl.concat([separate, own])).equals(study.curves(own))
