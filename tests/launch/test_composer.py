"""Jobs are composed as Hydra composes them, most of them without it."""

import pytest
from breadth import leave
from hydra import initialize_config_dir
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from memcap.launch.app import register, version_base
from memcap.launch.composer import Composer
from memcap.launch.jobs import job_of
from memcap.runtime.project import root

JOBS = [
    [],
    ["task.lag=3", "seed=4", "model.units=2"],
    ["task=latch", "task.lag=3", "out=here", "study=name", "design=bisect"],
    ["model=gru", "task=copy", "task.items=2", "recipe=hold", "recipe.lr=0.1"],
    ["sweeps=first_study", "axes=null", "evaluation.every=7"],
    ["axes={model.units: [1, 2], seed: 4}", "task.lag=3", "task.lag=5"],
    ["task.length=9", "+task={more: 1}", "task.lag=5"],
    ["task.lag=5", "++task.lag=3", "+more=1"],
    ["~task.symbols", "task.lag=5"],
    ["task.lag=${seed}", "study='a, b'"],
    ["hydra.job.chdir=true", "task.lag=5"],
    ["recipe.lr=1e-2", "study=${task.name}", "out='a=b'"],
]


class Counted:
    """Hydra's loader, which counts how many jobs it composes."""

    def __init__(self, loader: ConfigLoader):
        self.loader = loader
        self.jobs = 0

    def load_sweep_config(self, config, overrides):
        self.jobs += 1
        return self.loader.load_sweep_config(config, overrides)


@pytest.fixture
def multirun():
    """Hydra's loader, and the config of a multirun."""
    register()
    with initialize_config_dir(str(root() / "conf"), **version_base()):
        loader = Counted(GlobalHydra.instance().config_loader())
        overrides = ["hydra.mode=MULTIRUN", "hydra.verbose=true"]
        yield (
            loader,
            loader.loader.load_configuration("config", overrides, RunMode.MULTIRUN),
        )


@pytest.mark.parametrize("overrides", [*JOBS[:2], *leave(JOBS[2:])], ids=" ".join)
def test_a_job_is_composed_as_hydra_composes_it(multirun, overrides):
    loader, config = multirun
    composer = Composer(*multirun)
    wanted = loader.load_sweep_config(config, list(overrides))
    for _ in range(2):
        composed = composer.config(list(overrides))
        assert OmegaConf.to_yaml(composed) == OmegaConf.to_yaml(wanted)
        assert OmegaConf.is_struct(composed)
        composed.task.lag = 77  # in no other job


@pytest.mark.parametrize(
    "override", ["task.nope=3", "nope.lag=3", "task=nope", "task.lag=1,2", "task.lag"]
)
@pytest.mark.parametrize("part", ["job", "config"])
def test_it_complains_as_hydra_does(multirun, override, part):
    loader, config = multirun
    with pytest.raises(HydraException) as wanted:
        loader.load_sweep_config(config, ["seed=1", override])
    with pytest.raises(type(wanted.value)) as complaint:
        getattr(Composer(*multirun), part)(["seed=1", override])
    assert str(complaint.value) == str(wanted.value)


def test_all_jobs_have_the_time_of_the_multirun(multirun):
    _, config = multirun
    composer = Composer(*multirun)
    composer.config(["seed=1"])  # a check, before the multirun asks for the time
    assert config.hydra.sweep.dir
    composed = composer.config(["seed=1"])
    assert (
        OmegaConf.get_cache(composed)["now"] == OmegaConf.get_cache(config)["now"] != {}
    )


def test_hydra_composes_once_for_each_choice_and_each_job_is_made_once(multirun):
    loader, _ = multirun
    composer = Composer(*multirun)
    for task in ("latch", "copy"):
        for seed in range(3):
            overrides = [f"task={task}", f"seed={seed}"]
            (member,) = composer.job(overrides).members
            assert (member.task.name, member.seed) == (task, seed)
            assert composer.job(overrides) is composer.job(overrides)
            assert job_of(composer.config(overrides)) == composer.job(overrides)
    assert loader.jobs == 2
