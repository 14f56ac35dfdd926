"""Merrill et al. (2024): elements of a sequence."""

from study_rows import at_lengths, seeds, table

from memcap.papers.merrill2024.paper import lines


def test_a_lag_is_one_less_than_the_elements():
    scores = at_lengths([15, 31], [0.5, 0.0], [1.0, 0.75])
    data = lines(table(seeds("word_problem", 15, scores, units=32, knobs={"group": "A4"}, cell="irnn")))
    scored = [("A4", 16, 0.5, 1.0), ("A4", 32, 0.0, 0.75)]
    assert data.select("group", "elements", "whole", "products").rows() == scored
