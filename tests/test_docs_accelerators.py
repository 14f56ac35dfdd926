"""Each line of docs/accelerators.md that trains is composed here, share by share: together they train the
whole study, once."""

import re
import shlex
from pathlib import Path

import pytest
from hydra import compose, initialize_config_dir

from memcap.launch.app import register, version_base
from memcap.launch.jobs import job_of
from memcap.recipes import root

PAGE = (Path(__file__).parent.parent / "docs" / "accelerators.md").read_text()
LINES = [
    block.strip() for block in re.findall(r"```bash\n(.*?)```", PAGE, re.DOTALL) if "memcap train" in block
]


def jobs(line: str) -> list[list[str]]:
    """The overrides of each job that a line starts."""
    command = re.search(r"memcap train (.*?)(?:' *$|'$| & done|$)", line)
    assert command is not None
    words = [
        w
        for w in shlex.split(
            command[1].replace("'engine.shard=range", "engine.shard=range").replace(")'", ")")
        )
        if w != "-m"
    ]
    shards = int(next(w for w in words if w.startswith("engine.shards=")).partition("=")[2])
    return [
        [
            re.sub(r"^engine\.shard=.*", f"engine.shard={k}", word)
            for word in words
            if not word.startswith("hydra/")
        ]
        for k in range(shards)
    ]


@pytest.mark.parametrize("line", LINES)
def test_the_shares_of_a_line_are_the_study(line):
    register()
    with initialize_config_dir(str(root() / "conf"), **version_base()):
        whole = job_of(compose("config", ["sweeps=first_study"])).members
        shares = [job_of(compose("config", overrides)).members for overrides in jobs(line)]
    assert len(shares) > 1
    assert sorted(m.key for share in shares for m in share) == sorted(m.key for m in whole)


def test_the_page_has_one_line_for_each_kind_of_place():
    assert [next(w for w in ("CUDA", "sbatch", "submitit", "gcloud") if w in line) for line in LINES] == [
        *("CUDA", "sbatch", "submitit", "gcloud")
    ]
