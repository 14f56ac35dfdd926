"""`memcap knobs`, and the page that is made of it."""

import json
from dataclasses import fields
from pathlib import Path

from command import memcap

from memcap.commands.knobs import groups
from memcap.launch.jobs import GROUPS, JOB_KEYS
from memcap.tasks import task_classes

ROOT = Path(__file__).parents[2]
OWN = """from dataclasses import dataclass
from memcap.knobs import knob
from memcap.tasks import task_class

@dataclass(frozen=True)
class Blinks(task_class("latch")):
    'Say how often it blinked. At night.'

    mood: float | None = knob(None, "how it feels", above=0, below=2)
"""


def test_the_page_is_current(tmp_path):
    page = (ROOT / "docs" / "knobs.md").read_text()
    assert memcap(tmp_path, "knobs", "--markdown").out == page, (
        "run: memcap knobs --markdown > docs/knobs.md"
    )


def test_every_knob_is_there_with_a_meaning():
    found = [knob for group in groups() for knob in group.knobs]
    assert all(knob.meaning and knob.range and knob.default for knob in found)
    names = {knob.name for knob in found}
    of_groups = {
        f"{group}.{f.name}" for group, cls in GROUPS.items() for f in fields(cls)
    }
    assert of_groups <= names
    assert {name for name in names if "." not in name} == {*JOB_KEYS} - {
        "task",
        *GROUPS,
    }
    for name, cls in task_classes().items():
        knobs = {knob.name for knob in groups(name)[1].knobs}
        assert knobs == {f"task.{f.name}" for f in fields(cls)}


def test_a_task_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "blinks.py").write_text(OWN)
    _, own = json.loads(memcap(tmp_path, "knobs", "blinks:Blinks", "--json").out)
    assert own["title"] == "Task blinks:Blinks: Say how often it blinked. At night"
    mood = {
        "name": "task.mood",
        "default": "null",
        "range": "null, or number, above 0 and below 2",
        "meaning": "how it feels",
    }
    assert own["knobs"][-1] == mood


def test_json_has_all_and_the_recipes(tmp_path):
    *found, recipes = json.loads(memcap(tmp_path, "knobs", "--json").out)
    assert len(found) == len(groups())
    assert recipes["recipes"]["hold"]["budget"] == 1500
