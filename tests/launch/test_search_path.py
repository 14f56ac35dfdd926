"""Where Hydra looks for configs: tasks, which are made, studies, and a folder of the user's."""

import pytest
import study_files
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.types import RunMode

from memcap.config.member import task_defaults
from memcap.knobs import UserError
from memcap.launch.app import compose_jobs, register, version_base
from memcap.launch.sources import SearchPath, config_dir
from memcap.runtime import ROOT
from memcap.tasks import task_classes


@pytest.fixture
def own(tmp_path):
    """A folder with a study and a recipe."""
    for group, name, text in (
        (
            "sweeps",
            "own",
            "# @package _global_\nstudy: own\naxes: {model.units: [1, 2]}\n",
        ),
        (
            "recipe",
            "mine",
            (ROOT / "conf" / "recipe" / "hold.yaml")
            .read_text()
            .replace("name: hold", "name: mine"),
        ),
    ):
        (tmp_path / group).mkdir()
        (tmp_path / group / f"{name}.yaml").write_text(text)
    return tmp_path


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


def test_a_folder_of_ones_own_adds_choices_while_it_is_looked_in(own):
    assert {"own", "first_study"} <= {*options("sweeps", own)}
    assert {"mine", "hold"} <= {*options("recipe", own)}
    assert SearchPath.folders == []
    assert "own" not in options("sweeps")


@pytest.mark.parametrize("overrides", [["sweeps=own"], ["sweeps=glob(ow*)"]])
def test_jobs_come_of_a_folder_of_ones_own(own, overrides):
    ((job,),) = compose_jobs(
        [*overrides, "task=latch", "recipe=mine"], own, multirun="glob" in overrides[0]
    )
    assert (job.settings.study.name, len(job.members)) == ("own", 2)
    assert {member.recipe.name for member in job.members} == {"mine"}
    with pytest.raises(UserError, match=r"sweeps=own: no such choice"):
        compose_jobs(["sweeps=own"])


def test_jobs_that_train_as_one_are_together():
    overrides = ["task=latch", "model.units=1,2", "out=a,b"]
    assert [len(jobs) for jobs in compose_jobs(overrides, multirun=True)] == [2, 2]
    basic = [*overrides, "hydra/launcher=basic"]
    assert [len(jobs) for jobs in compose_jobs(basic, multirun=True)] == [1] * 4
    assert len(compose_jobs([*overrides, "hydra/sweeper=basic"], multirun=True)) == 2
