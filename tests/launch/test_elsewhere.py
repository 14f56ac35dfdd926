"""Jobs that a launcher runs in other processes: what they are told, how the command
ends. The launchers: tests/cluster."""

import logging
import os
import pickle
import signal
import sys
from functools import cache
from types import ModuleType

import pytest
from breadth import leave
from command import TINY, memcap
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import run_job
from hydra.plugins.launcher import Launcher
from omegaconf import open_dict

from memcap.runtime import cores, signals
from memcap.studies import run
from memcap.training.engine import train

pytestmark = pytest.mark.usefixtures("quick_file")

LATCH = ["task=latch", "task.lag=3", "engine.workers=1"]
JOBS = [*LATCH, "model.units=1,2"]


class Elsewhere(Launcher):
    """Runs each job as another process would: with a pickled copy of what it is given,
    which is not of this process."""

    __module__ = "hydra_plugins.elsewhere"

    def setup(self, *, hydra_context, task_function, config):
        self.context = hydra_context
        self.task = task_function
        self.config = config

    def launch(self, job_overrides, initial_job_idx):
        # as in another process
        here = signals._watch
        signals._watch = None
        try:
            return self.launch_elsewhere(job_overrides, initial_job_idx)
        finally:
            signals._watch = here

    def launch_elsewhere(self, job_overrides, initial_job_idx):
        returned = []
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        logging.getLogger("jax").setLevel(logging.NOTSET)
        for number, overrides in enumerate(job_overrides, initial_job_idx):
            task = pickle.loads(pickle.dumps(self.task))
            config = self.context.config_loader.load_sweep_config(
                self.config, overrides
            )
            assert not task.ledger.rows
            assert not task.ledger.expected
            task.process = -1
            with open_dict(config):
                config.hydra.job.id = str(number)
                config.hydra.job.num = number
            places = {
                "job_dir_key": "hydra.sweep.dir",
                "job_subdir_key": "hydra.sweep.subdir",
            }
            returned.append(
                run_job(
                    task_function=task,
                    config=config,
                    hydra_context=self.context,
                    **places,
                )
            )
        return returned


@cache
def register():
    """Make the launcher known to Hydra."""
    Plugins.instance().register(Elsewhere)
    sys.modules.setdefault(
        "hydra_plugins", ModuleType("hydra_plugins")
    ).elsewhere = sys.modules[__name__]
    ConfigStore.instance().store(
        group="hydra/launcher",
        name="elsewhere",
        node={"_target_": "hydra_plugins.elsewhere.Elsewhere"},
    )


@pytest.fixture
def told(tmp_path, monkeypatch):
    """The launcher is there; a list of what each job was told: cores, and who hears SIGTERM."""
    memcap(tmp_path, "train", "--cfg", "job")  # Hydra looks for plugins
    register()
    for name in (cores.CORES_VARIABLE, "OMP_NUM_THREADS", "SUBMITIT_EXECUTOR"):
        monkeypatch.setenv(name, "")  # so that it is taken back at the end
        monkeypatch.delenv(name)
    found = []

    def noted(members, *arguments):
        found.append(
            (
                os.environ.get(cores.CORES_VARIABLE),
                getattr(signal.getsignal(signal.SIGTERM), "__qualname__", None),
            )
        )
        return train(members, *arguments)

    monkeypatch.setattr(run, "train", noted)
    return found


@pytest.mark.breadth
def test_the_command_ends_with_what_others_trained(tmp_path, told):
    first = memcap(tmp_path, "train", "-m", "hydra/launcher=elsewhere", *JOBS, *TINY)
    assert first.status == 0
    assert len(told) == 2
    for done in (
        first,
        memcap(tmp_path, "train", "-m", "hydra/launcher=elsewhere", *JOBS, *TINY),
    ):  # again: nothing to train
        assert done.out.count("Training frontier") == 1
        assert "\n2 members, 2 solved" in done.out
    assert len(told) == 2
    memcap(tmp_path, "train", "-m", "hydra/launcher=elsewhere", *JOBS, "seed=1", *TINY)
    last = memcap(tmp_path, "train", "-m", "hydra/launcher=elsewhere", *JOBS, *TINY)
    assert "\n2 members, 2 solved" in last.out  # the study has four


def test_shares_of_a_study_end_as_one(tmp_path, told):
    shares = [
        "axes={model.units: [1, 2], seed: 2}",
        "engine.shard=0,1",
        "engine.shards=2",
        "tracking=wandb",
        "tracking.wandb=offline",
    ]
    done = memcap(
        tmp_path, "train", "-m", "hydra/launcher=elsewhere", *LATCH, *shares, *TINY
    )
    assert done.out.count("Training frontier") == 1
    assert "\n4 members, " in done.out
    assert done.out.count("W&B: ") == 1


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, "1"),
        *leave(
            [
                ({"OMP_NUM_THREADS": "3"}, "3"),
                ({"SUBMITIT_EXECUTOR": "slurm", "OMP_NUM_THREADS": "3"}, None),
            ]
        ),
    ],
)
def test_a_job_has_its_share_of_the_cores_hears_signals_and_logs_little(
    tmp_path, told, monkeypatch, environment, expected
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    memcap(
        tmp_path,
        "train",
        "-m",
        "hydra/launcher=elsewhere",
        *LATCH,
        "model.units=1",
        *TINY,
    )
    assert told == [(expected, "_leave_to_thread")]
    assert logging.getLogger("jax").level == logging.WARNING
