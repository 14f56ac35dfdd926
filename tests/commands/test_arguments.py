"""Rows, as the commands share them."""

import pytest
from study_rows import group, write

from memcap.knobs import UserError
from memcap.store import rows_of


def test_rows_are_read_or_missed_in_one_line(tmp_path):
    with pytest.raises(UserError, match="holds no rows; train a study first"):
        rows_of(tmp_path)
    write(tmp_path, group(counts={1: (1, 3)}))
    assert rows_of(tmp_path).height == 3
