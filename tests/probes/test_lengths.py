"""Longer than trained: hand-set nets hold on, a net that counts does not care for lag,
and some tasks have no longer ones."""

import pytest
from probe_checks import hand_set, untrained

from memcap.own.task import Data
from memcap.probes import NotForThis, lengths
from memcap.tasks.delay_line import DelayLine
from memcap.tasks.latch import Latch

pytestmark = pytest.mark.usefixtures("quick_file")


def test_a_latch_holds_at_twenty_times_the_lag():
    table = lengths.probe(hand_set(Latch(), 3)).table
    assert table["times"].to_list() == [1, 2, 5, 10, 20]
    assert table["lag"].to_list() == [3, 6, 15, 30, 60]
    assert set(table["accuracy"]) == set(table["whole"]) == {1.0}


@pytest.mark.breadth
def test_a_stream_keeps_its_lag_and_gets_longer():
    table = lengths.probe(hand_set(DelayLine(), 2)).table
    assert table["lag"].unique().to_list() == [2]
    assert table["length"].to_list() == [14 * times for times in (1, 2, 5, 10, 20)]
    assert set(table["accuracy"]) == {1.0}


def test_a_file_has_no_longer_sequences():
    with pytest.raises(NotForThis, match="no longer sequences"):
        lengths.probe(untrained(Data(), 3, units=1))
