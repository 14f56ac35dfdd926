"""The table of tasks."""

import json
import math

import pytest
from command import memcap

from memcap.tasks import task_classes


@pytest.mark.parametrize("lag", [3, 50])
def test_every_task_is_listed_with_its_references(tmp_path, lag):
    words = memcap(tmp_path, "tasks", "--lag", lag).out
    rows = json.loads(memcap(tmp_path, "tasks", "--lag", lag, "--json").out)
    assert {row["task"] for row in rows} == set(task_classes())
    for row in rows:
        task = task_classes()[row["task"]]()
        assert row["chance"] == task.facts(lag, task.length(lag)).chance
        assert row["task"] in words
    by_task = {row["task"]: row for row in rows}
    assert by_task["delay_line"]["one_per_number"] == math.ceil((lag + 1) / 2)
    assert (by_task["latch"]["bits"], by_task["latch"]["constructed"]) == (1, 1)
