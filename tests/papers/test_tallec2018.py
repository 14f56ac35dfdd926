"""Tallec & Ollivier (2018): where its seeds stand."""

import numpy as np
from study_rows import group, table

from memcap.papers.tallec2018.paper import draw


def test_the_seeds_of_a_start_lie_between_those_of_its_neighbours():
    drawn = draw(table(group("adding", 49, {32: (8, 8)}, init="chrono", steps=300, budget=2000)))
    (line,) = (each for each in drawn.figure.axes[2].get_lines() if each.get_label() == "chrono")
    places = np.asarray(line.get_xdata())
    assert len(set(places)) == 8
    assert -0.2 < places.min() < -0.1 < places.max() < 0
