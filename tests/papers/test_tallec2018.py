"""Tallec & Ollivier (2018): what its judges rest on, and where its seeds stand."""

import numpy as np
from study_rows import group, seeds, table

from memcap.papers.tallec2018.paper import PAPER, draw


def copies(**finals):
    """Rows of {start: {T: accuracies of the seeds}}."""
    knobs, groups = {"items": 10, "symbols": 8, "waits": "fixed"}, []
    for start, lengths in finals.items():
        for length, own in lengths.items():
            nets = ({"final": final} for final in own)
            groups += seeds("copy", length, *nets, units=32, knobs=knobs, init=start)
    return PAPER.findings(table(groups))[0]


def sums(**steps):
    """Rows of {start: {T: steps of the first seed}}, or None where no seed is solved; three seeds."""
    groups = []
    for start, lengths in steps.items():
        for length, first in lengths.items():
            solved = {32: (0 if first is None else 3, 3)}
            groups += group("adding", length - 1, solved, init=start, steps=first or 1, budget=2000)
    return PAPER.findings(table(groups))[2]


def test_chrono_off_the_plateau_where_the_constant_bias_is_on_it():
    found = copies(forget_bias={50: [0.5], 100: [0.13, 0.2]}, chrono={50: [0.1], 100: [0.23, 0.27]})
    assert found.holds
    assert found.ours == "constant and chrono, T = 50: 0.50 and 0.10; T = 100: 0.17 and 0.25"
    left = copies(forget_bias={100: [0.13, 0.13, 0.3]}, chrono={100: [0.3, 0.3]})
    assert left.holds is False, "a seed of the constant bias has left it"
    assert copies(forget_bias={100: [0.1]}, chrono={100: [0.2, 0.3, 0.3]}).holds is False


def test_adding_is_faster_at_every_length_or_it_is_not():
    found = sums(forget_bias={50: 400, 100: None}, chrono={50: 300, 100: 700}, hold={50: 100})
    assert found.holds
    text = "median steps of constant and chrono, T = 50: 410 and 310; T = 100: inf and 710"
    assert found.ours == text
    assert sums(forget_bias={50: 300, 100: 400}, chrono={50: 400, 100: 300}).holds is False
    overlap = sums(forget_bias={50: 315}, chrono={50: 300})
    assert overlap.holds is False, "its slowest seed, 320, and their fastest: p = .1"
    assert sums(forget_bias={50: None}, chrono={50: None}).holds is None


def test_the_seeds_of_a_start_lie_between_those_of_its_neighbours():
    drawn = draw(table(group("adding", 49, {32: (8, 8)}, init="chrono", steps=300, budget=2000)))
    (line,) = (each for each in drawn.figure.axes[2].get_lines() if each.get_label() == "chrono")
    places = np.asarray(line.get_xdata())
    assert len(set(places)) == 8
    assert -0.2 < places.min() < -0.1 < places.max() < 0
