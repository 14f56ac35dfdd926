"""The page of knobs, and what commands say of them."""

import re
from dataclasses import fields
from pathlib import Path

import pytest
from command import memcap
from own_programs import program

from memcap.launch.jobs import GROUPS

ROOT = Path(__file__).parents[1]
OWN = """from dataclasses import dataclass
from memcap.knobs import knob
from memcap.tasks import task_class

@dataclass(frozen=True)
class Blinks(task_class("latch")):
    'Say how often it blinked. At night.'

    mood: float | None = knob(None, "how it feels", above=0, below=2)
"""


@pytest.fixture(scope="module")
def knobs():
    """docs/knobs.py."""
    return program("docs/knobs.py")


def test_the_page_is_current(knobs):
    page = (ROOT / "docs" / "knobs.md").read_text(encoding="utf-8")
    assert knobs.page() == page, "run: python docs/knobs.py"


def test_the_help_of_train_names_every_key(tmp_path):
    text = memcap(tmp_path, "train", "--help").out
    _, _, keys = text.partition("Keys, as in")
    for group, cls in GROUPS.items():
        _, _, names = keys.partition(f"  {group}.")
        names = names.partition(".  ")[0].replace(",", " ").split()
        assert {f.name for f in fields(cls)} <= {*names}
    assert "seed, axes, design, precision, study, out" in keys


def test_tasks_prints_the_knobs_of_a_task_of_ones_own(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "blinks.py").write_text(OWN)
    *_, mood = memcap(tmp_path, "tasks", "blinks:Blinks").out.strip().splitlines()
    name, default, rest = mood.split(maxsplit=2)
    assert (name, default) == ("task.mood", "null")
    assert re.split(" {2,}", rest) == [
        "null, or number, above 0 and below 2",
        "how it feels",
    ]
