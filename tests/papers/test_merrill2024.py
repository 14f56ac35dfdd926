"""Merrill et al. (2024): what its judges and its arithmetic rest on."""

import json

from study_rows import group, table

from memcap.papers.merrill2024.paper import lines


def nets(cell, name, *wholes):
    """Nets of a cell on a group, one a seed, each with a share of whole sequences at 16 elements."""
    rows = []
    for seed, whole in enumerate(wholes):
        values = {"score_at_lengths": [1.0, 0.75], "whole_at_lengths": [whole, 0.0]}
        columns = {column: json.dumps(scores) for column, scores in values.items()}
        columns |= {"lengths": "15 31", "cell": cell, "seed": seed}
        rows += group("word_problem", 15, {32: (0, 1)}, knobs={"group": name}, **columns)
    return table(rows)


def test_a_lag_is_one_less_than_the_elements():
    data = lines(nets("irnn", "A4", 0.5))
    assert data.select("group", "elements", "whole", "products").rows() == [
        ("A4", 16, 0.5, 1.0),
        ("A4", 32, 0.0, 0.75),
    ]
