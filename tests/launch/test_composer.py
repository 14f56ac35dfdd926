"""The jobs of a multirun are composed as Hydra composes them, most of them without it."""

import pytest
from breadth import leave
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from memcap.launch.app import register, version_base
from memcap.launch.composer import Composer
from memcap.runtime import ROOT

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


@pytest.fixture
def loader():
    """Hydra's."""
    register()
    with initialize_config_dir(str(ROOT / "conf"), **version_base()):
        yield GlobalHydra.instance().config_loader()


@pytest.fixture
def multirun(loader):
    """The config of a multirun."""
    overrides = ["hydra.mode=MULTIRUN", "hydra.verbose=true"]
    return loader.load_configuration("config", overrides, RunMode.MULTIRUN)


@pytest.mark.parametrize("overrides", [*JOBS[:2], *leave(JOBS[2:])], ids=" ".join)
def test_a_job_is_composed_as_hydra_composes_it(loader, multirun, overrides):
    composer = Composer(loader.load_sweep_config)
    wanted = loader.load_sweep_config(multirun, overrides)
    for _ in range(2):
        composed = composer(multirun, overrides)
        assert OmegaConf.to_yaml(composed) == OmegaConf.to_yaml(wanted)
        assert OmegaConf.is_struct(composed)
        composed.task.lag = 77  # in no other job


@pytest.mark.parametrize(
    "override", ["task.nope=3", "nope.lag=3", "task=nope", "task.lag=1,2", "task.lag"]
)
def test_it_complains_as_hydra_does(loader, multirun, override):
    with pytest.raises(HydraException) as wanted:
        loader.load_sweep_config(multirun, ["seed=1", override])
    with pytest.raises(type(wanted.value)) as complaint:
        Composer(loader.load_sweep_config)(multirun, ["seed=1", override])
    assert str(complaint.value) == str(wanted.value)


def test_hydra_composes_once_for_each_choice_of_groups(loader, multirun):
    composed = []

    def compose(config, overrides):
        composed.append(overrides)
        return loader.load_sweep_config(config, overrides)

    composer = Composer(compose)
    for task in ("latch", "copy"):
        for seed in range(3):
            config = composer(multirun, [f"task={task}", f"seed={seed}"])
            assert (config.task.name, config.seed) == (task, seed)
            assert (
                config.hydra.sweep.dir == multirun.hydra.sweep.dir
            )  # one time for all
    assert composed == [["task=latch"], ["task=copy"]]
