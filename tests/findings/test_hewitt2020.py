"""Hewitt et al. (2020): the widths of the paper."""

import pytest

from memcap import findings

study = findings.load("hewitt2020")


@pytest.mark.parametrize(
    ("depth", "types", "units"), [(3, 2, 6), (3, 128, 60), (5, 8, 40), (5, 128, 100)]
)
def test_the_widths_of_the_published_configurations(depth, types, units):
    assert study.width(depth, types) == units
