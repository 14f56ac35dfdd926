"""Tallec & Ollivier (2018): what its judges and its arithmetic rest on."""

import numpy as np
import polars as pl
from study_rows import group, table

from memcap.papers import NOT_MEASURED
from memcap.papers.tallec2018.paper import PAPER, draw

PLATEAU, VARIABLE, ADDING = PAPER.claims


def copies(waits="fixed", **finals):
    """{start: {T: accuracies of the seeds}}."""
    knobs = {"items": 10, "symbols": 8, "waits": waits}
    groups = []
    for start, lengths in finals.items():
        for length, seeds in lengths.items():
            for final in seeds:
                groups += group("copy", length, {32: (0, 1)}, knobs=knobs, init=start, final=final)
    return table(groups)


def sums(**steps):
    """{start: {T: steps of the first seed}}, or None where no seed is solved; three seeds."""
    groups = []
    for start, lengths in steps.items():
        for length, first in lengths.items():
            groups += group(
                "adding",
                length - 1,
                {32: (3 * (first is not None), 3)},
                init=start,
                steps=first or 1,
                budget=2000,
            )
    return table(groups)


def test_chrono_off_the_plateau_where_the_constant_bias_is_on_it():
    data = copies(forget_bias={50: [0.5], 100: [0.13, 0.2]}, chrono={50: [0.1], 100: [0.23, 0.27]})
    assert PLATEAU.judge(data).holds
    assert PLATEAU.judge(data).ours == "constant and chrono, T = 50: 0.50 and 0.10; T = 100: 0.17 and 0.25"
    assert PLATEAU.judge(data.filter(lag=50)).holds is False
    one = copies(forget_bias={100: [0.13, 0.13, 0.3]}, chrono={100: [0.3, 0.3]})
    assert PLATEAU.judge(one).holds is False, "a seed of the constant bias has left it"
    assert PLATEAU.judge(copies(forget_bias={100: [0.1]}, chrono={100: [0.2, 0.3, 0.3]})).holds is False
    assert PLATEAU.judge(copies(forget_bias={50: [0.3]}, chrono={50: [0.9]})).holds is False, (
        "both have left it"
    )
    assert PLATEAU.judge(data.filter(pl.col("init") == "chrono")) == NOT_MEASURED
    assert VARIABLE.judge(data) == NOT_MEASURED


def test_adding_is_faster_at_every_length_or_it_is_not():
    faster = sums(forget_bias={50: 400, 100: None}, chrono={50: 300, 100: 700}, hold={50: 100})
    assert ADDING.judge(faster).holds
    assert (
        ADDING.judge(faster).ours
        == "median steps of constant and chrono, T = 50: 410 and 310; T = 100: inf and 710"
    )
    assert ADDING.judge(sums(forget_bias={50: 300, 100: 400}, chrono={50: 400, 100: 300})).holds is False
    overlap = sums(forget_bias={50: 315}, chrono={50: 300})
    assert ADDING.judge(overlap).holds is False, "its slowest seed, 320, and their fastest: p = .1"
    assert ADDING.judge(sums(forget_bias={50: None}, chrono={50: None})) == NOT_MEASURED


def test_the_seeds_of_a_start_lie_between_those_of_its_neighbours():
    drawn = draw(table(group("adding", 49, {32: (8, 8)}, init="chrono", steps=300, budget=2000)))
    (line,) = (each for each in drawn.figure.axes[2].get_lines() if each.get_label() == "chrono")
    places = np.asarray(line.get_xdata())
    assert len(set(places)) == 8
    assert -0.2 < places.min() < -0.1 < places.max() < 0
