"""Hewitt et al. (2020): the widths of the paper."""

import pytest

from memcap.papers.hewitt2020.paper import width


@pytest.mark.parametrize(
    ("depth", "types", "units"),
    [
        (3, 2, 6),
        (3, 8, 24),
        (3, 32, 42),
        (3, 128, 60),
        (5, 2, 10),
        (5, 8, 40),
        (5, 32, 70),
        (5, 128, 100),
    ],
)
def test_the_widths_of_the_published_configurations(depth, types, units):
    assert width(depth, types) == units
