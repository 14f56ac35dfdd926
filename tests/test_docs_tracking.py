"""docs/tracking.md, line by line: what trains is trained for a moment, what needs an
account or a browser is left out."""

import re
import shlex
from pathlib import Path

import pytest
from command import memcap

from memcap.store.curves import (
    MOST_POINTS,
    MOST_RUNNING,
    RUNNING_AFTER,
    SECONDS_BETWEEN_WRITES,
)
from memcap.tracking import mirror, tracker

PAGE = (Path(__file__).parent.parent / "docs" / "tracking.md").read_text()
BLOCKS = re.findall(r"```(bash|python)\n(.*?)```", PAGE, re.DOTALL)
SHORT = ["recipe.budget=20", "evaluation.sequences=16", "evaluation.stretch=1"]
ELSEWHERE = ("pip ", "trackio show ")


@pytest.fixture(scope="module")
def followed(tmp_path_factory):
    """Where the page is followed."""
    return tmp_path_factory.mktemp("page")


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block(number, followed, monkeypatch, capsys):
    monkeypatch.chdir(followed)
    for name in ("CONFIG", "CACHE", "DATA"):
        monkeypatch.setenv(f"WANDB_{name}_DIR", str(followed / name.lower()))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("TRACKIO_DIR", str(followed / "trackio"))
    language, text = BLOCKS[number]
    if "trackio" in text:
        pytest.importorskip("trackio", reason="needs memcap[trackio]")
    if language == "python":
        short = "units=[1, 2], budget=20, sequences=16, stretch=1)"
        exec(text.replace("units=[1, 2])", short), {})
    for line in text.splitlines() if language == "bash" else ():
        if not line.startswith(ELSEWHERE):
            name, *words = shlex.split(line)
            assert name == "memcap"
            done = memcap(followed, *words, *(SHORT if words[0] == "train" else []))
            assert done.status == 0, done.err
            print(done.out, done.err)
    said = capsys.readouterr().out
    assert "does not work" not in said
    if "tracking=" in text or "mirror" in text:
        assert re.search(r"^(W&B|trackio): \d+ runs in ", said, re.MULTILINE)


def test_the_page_says_the_numbers_of_the_code():
    words = " ".join(PAGE.split())
    assert f"at most {MOST_POINTS} points" in words
    assert f"more than {mirror.MOST_MEMBER_RUNS} members" in words
    assert f"trains longer than {RUNNING_AFTER:g} seconds" in words
    assert f"every {mirror.SECONDS_BETWEEN_POINTS:g} seconds" in words
    assert f"{tracker.SECONDS_AT_THE_END:g} seconds at most" in words
    assert tracker.SECONDS_WHEN_INTERRUPTED == 0.5
    assert "has half a second more" in words
    assert f"the {MOST_RUNNING} that have trained longest" in words
    assert f"rewritten every {SECONDS_BETWEEN_WRITES:g} seconds" in words
