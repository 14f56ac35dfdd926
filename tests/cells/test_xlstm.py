"""mLSTM and sLSTM: how they start, and what they recall."""

import numpy as np
import pytest

from memcap.models.architecture import Architecture
from memcap.models.model import Model

F = 4
U = 5
NAMES = ("mlstm", "slstm")


@pytest.mark.usefixtures("quick_compile")
def test_a_net_starts_as_the_authors_start_theirs():
    weights = {
        name: Architecture(Model(name, U), F, 2).init(None, [1])["cell"]
        for name in NAMES
    }
    assert not np.any(weights["mlstm"]["gate"])
    write, keep = weights["mlstm"]["bias"]
    bias = np.split(weights["slstm"]["bias"], 4)
    assert keep == 3
    assert 0 < abs(write) < 0.5  # five standard deviations
    assert not np.any(weights["slstm"]["recurrent"])
    np.testing.assert_allclose(bias[1], [3, 3.75, 4.5, 5.25, 6])
    assert not np.any([bias[0], bias[2], bias[3]])
