"""What the types of arrays say is true: tests/shapes_check.py, a process of its own
that reads them."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

CHECK = Path(__file__).with_name("shapes_check.py")


@pytest.mark.slow
def test_the_shapes_that_types_say_are_those_of_the_arrays():
    command = [sys.executable, "-m", "pytest", str(CHECK), "-q", "-x"]
    command += ["-p", "no:cacheprovider", "-p", "no:xdist"]
    alone = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith("PYTEST_")
    }
    done = subprocess.run(
        command,
        cwd=CHECK.parents[1],
        env=alone,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_memcap_runs_without_the_libraries_that_check_shapes(tmp_path):
    script = (
        "import sys; sys.modules.update(jaxtyping=None, beartype=None); import"
        " memcap.training.step"
    )
    subprocess.run([sys.executable, "-c", script], cwd=CHECK.parents[1], check=True)
