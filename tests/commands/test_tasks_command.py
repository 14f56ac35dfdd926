"""The table of tasks."""

import io
import json
import math

import pytest
from command import memcap
from rich.console import Console

from memcap.commands.tasks import task_rows, tasks_table
from memcap.tasks import task_classes


@pytest.mark.parametrize("lag", [3, 50])
def test_every_task_is_listed_with_its_references(lag):
    rows = {row["task"]: row for row in task_rows(lag)}
    assert rows.keys() == set(task_classes())
    assert rows["delay_line"]["one_per_number"] == math.ceil((lag + 1) / 2)
    assert rows["latch"]["bits"] == 1
    assert all(
        rows[name]["chance"] == cls().facts(lag, cls().length(lag)).chance
        for name, cls in task_classes().items()
    )
    file = io.StringIO()
    Console(width=240, file=file).print(tasks_table(lag))
    assert all(name in file.getvalue() for name in task_classes())


def test_the_command_says_so_in_json(tmp_path):
    rows = {
        row["task"]: row
        for row in json.loads(memcap(tmp_path, "tasks", "--lag", 50, "--json").out)
    }
    assert (rows["delay_line"]["bits"], rows["latch"]["constructed"]) == (50, 1)
