"""What is missing for a job, a plugin or an accelerator: one line, which says what installs it."""

import pytest
from breadth import leave
from command import TINY, installed, memcap, python


@pytest.mark.parametrize(
    ("choice", "package"),
    [
        ("launcher=joblib", "hydra-joblib-launcher"),
        ("launcher=submitit_slurm", "hydra-submitit-launcher"),
        ("sweeper=optuna", "hydra-optuna-sweeper"),
    ],
)
def test_a_missing_plugin_is_named_with_what_installs_it(tmp_path, choice, package):
    if installed(package):
        pytest.skip(f"{package} is installed")
    done = memcap(tmp_path, "train", "-m", f"hydra/{choice}", "task=latch", *TINY)
    assert (done.status, done.err.count("\n"), list(tmp_path.iterdir())) == (2, 1, [])
    assert done.err.endswith(
        f": comes with a plugin that is not installed; pip install {package}\n"
    )


@pytest.mark.parametrize(
    "arguments", [["task=latch"], *leave([["-m", "task=latch", "model.units=1,2"]])]
)
def test_a_missing_accelerator_is_named_with_what_installs_it(tmp_path, arguments):
    done = python(
        tmp_path, "-P", "-m", "memcap", "train", *arguments, *TINY, JAX_PLATFORMS="cuda"
    )
    line = (
        "memcap: JAX_PLATFORMS=cuda: JAX finds no such device here; pip install 'memcap[cuda]',"
        " or JAX_PLATFORMS=cpu\n"
    )
    assert (done.returncode, done.stderr, list(tmp_path.iterdir())) == (2, line, [])
