"""docs/frontier.md: its tables are those of the published rows, and the lines that
train are composed and checked."""

import re
import shlex
from pathlib import Path

import pytest

from memcap.launch.app import compose_jobs

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "docs" / "frontier.md").read_text()
LINES = re.findall(r"^memcap train (?!sweeps=).*", PAGE, re.MULTILINE)


@pytest.mark.parametrize(
    ("study", "seeds", "cells"),
    [
        (
            "four",
            range(100, 116),
            len(re.findall(r"^\| [^|]+ \| \d+ \|$", PAGE, re.MULTILINE)),
        ),
        ("sixteen", range(500, 508), 8),
    ],
)
def test_a_line_trains_the_seeds_and_cells_of_its_table(study, seeds, cells):
    (line,) = [line for line in LINES if f"study={study} " in line]
    ((job,),) = compose_jobs(shlex.split(line)[2:], multirun=False)
    assert {member.seed for member in job.members} == set(seeds)
    assert len(job.members) == cells * len(seeds)
