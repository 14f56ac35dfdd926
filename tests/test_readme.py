"""Every command of the README, in order, in one empty folder. Only what is trained is
cut short, by overrides at the end."""

import re
import shlex
import shutil
import subprocess
from pathlib import Path

import pytest

from memcap import cli, store

ROOT = Path(__file__).parent.parent
SHORT = ["recipe.budget=2", "evaluation.sequences=16", "evaluation.stretch=1"]


def commands() -> list[str]:
    text = (ROOT / "README.md").read_text()
    blocks = "".join(re.findall(r"```bash\n(.*?)```", text, re.DOTALL))
    return [
        re.split(r"\s+#\s", line)[0].strip() for line in blocks.splitlines() if line
    ]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("readme")
    shutil.copytree(ROOT / "sweeps", made / "sweeps")
    return made


def test_the_readme_has_its_two_commands_first():
    assert commands()[:2] == ["make study", "make test"]


@pytest.mark.parametrize("command", [c for c in commands() if c.startswith("make ")])
def test_make(command):
    subprocess.run([*shlex.split(command), "--dry-run"], cwd=ROOT, check=True)


@pytest.mark.parametrize(
    "command",
    # those that train come first
    sorted(
        (c for c in commands() if c.startswith("memcap ")),
        key=lambda c: " train " not in c,
    ),
)
def test_command(command, folder, monkeypatch, capfd):
    monkeypatch.chdir(folder)
    monkeypatch.setenv("WANDB_MODE", "offline")
    words = shlex.split(command)[1:]
    if words[0] == "train" and "--cfg" not in words:
        words += SHORT
    if words[1:2] == ["KEY"]:
        rows = store.read(folder / "outputs" / "first_study")
        words[1] = rows.sort("lag", "units")["key"][0]
    cli.main(words)
    assert capfd.readouterr().out.strip()


def test_every_command_is_one_of_these():
    assert all(c.startswith(("make ", "memcap ")) for c in commands())
