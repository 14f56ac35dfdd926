"""memcap docs: pages on a terminal, into a pipe, and by a name that is nearly right."""

import io
import re
from pathlib import Path

from command import memcap
from rich.console import Console

from memcap.commands.docs import Page

ROOT = Path(__file__).parents[2]


def test_a_pipe_gets_the_markdown(tmp_path):
    page = (ROOT / "docs" / "start.md").read_text(encoding="utf-8")
    assert memcap(tmp_path, "docs", "start").out == page
    assert memcap(tmp_path, "docs", "atlas").out.startswith("# The atlas\n")
    pages = memcap(tmp_path, "docs").out
    assert "start         What can I do in ten minutes?\n" in pages
    assert "index" not in pages
    assert all("?" in line for line in pages.splitlines()[2:-1])  # titles are questions


def test_a_name_that_is_nearly_right_is_guessed(tmp_path):
    done = memcap(tmp_path, "docs", "trian")
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
    assert "trian: no such page; did you mean train" in done.err


def test_a_terminal_breaks_no_command():
    command = "memcap train task=latch 'axes={task.lag: [5, 50], seed: 4}'"
    text = f"# Title\n\n```bash\n{command}     # two lags\n```\n"
    out = io.StringIO()
    Console(file=out, width=50, force_terminal=True, color_system=None).print(
        Page(text), crop=False
    )
    lines = [line.rstrip() for line in out.getvalue().splitlines()]
    assert lines[-2:] == [f"  {command}", "      # two lags"]


def test_what_code_names_is_a_page(tmp_path):
    texts = [path.read_text() for path in (ROOT / "memcap").rglob("*.py")]
    names = {*re.findall(r"memcap docs ([a-z]\w+)", "".join(texts))}
    assert len(names) > 5
    for name in names:
        assert memcap(tmp_path, "docs", name).out.startswith("# "), name
