"""Where Hydra looks for configs: tasks, which are made, studies, and a folder of the user's."""

import pytest
import study_files
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from memcap.config.member import task_defaults
from memcap.launch.app import compose_jobs, register, version_base
from memcap.launch.sources import config_dir
from memcap.runtime import ROOT
from memcap.tasks import task_classes


def options(group, folder=None):
    """The choices of a group."""
    register()
    with (
        config_dir(folder),
        initialize_config_dir(str(ROOT / "conf"), **version_base()),
    ):
        return GlobalHydra.instance().config_loader().get_group_options(group)


def test_tasks_and_studies_are_groups():
    assert options("task") == sorted(task_classes())
    assert options("sweeps") == study_files.NAMES


@pytest.mark.parametrize("name", ["latch", "memcap.tasks.latch:Latch"])
def test_a_task_comes_with_the_defaults_of_its_knobs(name):
    register()
    with initialize_config_dir(str(ROOT / "conf"), **version_base()):
        loader = GlobalHydra.instance().config_loader()
        config = loader.load_configuration("config", [f"task='{name}'"], RunMode.RUN)
    assert dict(config.task) == task_defaults(name)


def test_jobs_that_train_as_one_are_together():
    overrides = ["task=latch", "model.units=1,2", "out=a,b"]
    assert [len(jobs) for jobs in compose_jobs(overrides, multirun=True)] == [2, 2]
    basic = [*overrides, "hydra/launcher=basic"]
    assert [len(jobs) for jobs in compose_jobs(basic, multirun=True)] == [1] * 4
    assert len(compose_jobs([*overrides, "hydra/sweeper=basic"], multirun=True)) == 2
