"""The quick loader gives what Hydra's own gives."""

import pickle

import pytest
from hydra import initialize_config_dir
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra.core.global_hydra import GlobalHydra
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import OmegaConf

from memcap.launch.app import register, version_base
from memcap.launch.sweeper import JobLoader
from memcap.recipes import root

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
]


@pytest.fixture
def loaders():
    """Hydra's loader, the quick one, and the config of a multirun."""
    register()
    with initialize_config_dir(str(root() / "conf"), **version_base()):
        loader = GlobalHydra.instance().hydra.config_loader
        master = loader.load_configuration(
            "config", ["hydra.mode=MULTIRUN", "hydra.verbose=true"], RunMode.MULTIRUN
        )
        yield loader, JobLoader(loader.get_search_path()), master


@pytest.mark.parametrize("overrides", JOBS, ids=" ".join)
def test_a_job_is_composed_as_hydra_composes_it(loaders, overrides):
    theirs, ours, master = loaders
    wanted = theirs.load_sweep_config(master, list(overrides))
    for _ in range(2):
        config = ours.load_sweep_config(master, list(overrides))
        assert OmegaConf.to_yaml(config) == OmegaConf.to_yaml(wanted)
        assert OmegaConf.is_struct(config)
        config.task.lag = 77  # in no other job


@pytest.mark.parametrize("override", ["task.nope=3", "nope.lag=3", "task=nope", "task.lag=1,2", "task.lag"])
def test_it_complains_as_hydra_does(loaders, override):
    theirs, ours, master = loaders
    with pytest.raises(HydraException) as wanted:
        theirs.load_sweep_config(master, ["seed=1", override])
    with pytest.raises(type(wanted.value)) as got:
        ours.load_sweep_config(master, ["seed=1", override])
    assert str(got.value) == str(wanted.value)


def test_all_jobs_have_the_time_of_the_multirun(loaders):
    _, ours, master = loaders
    ours.load_sweep_config(master, ["seed=1"])  # a check, before the multirun asks for the time
    assert master.hydra.sweep.dir
    config = ours.load_sweep_config(master, ["seed=1"])
    assert OmegaConf.get_cache(config)["now"] == OmegaConf.get_cache(master)["now"] != {}


def test_other_processes_get_hydras_own(loaders):
    theirs, ours, master = loaders
    ours.load_sweep_config(master, ["seed=1"])
    sent = pickle.loads(pickle.dumps(ours))
    assert type(sent) is ConfigLoaderImpl
    assert sent.load_sweep_config(master, ["task=latch", "seed=2"]) == theirs.load_sweep_config(
        master, ["task=latch", "seed=2"]
    )


def test_hydra_composes_once_for_each_choice(loaders, monkeypatch):
    _, ours, master = loaders
    calls, own = [], ConfigLoaderImpl.load_configuration

    def counted(*arguments, **named):
        calls.append(arguments)
        return own(*arguments, **named)

    monkeypatch.setattr(ConfigLoaderImpl, "load_configuration", counted)
    for task in ("latch", "copy"):
        for seed in range(3):
            assert ours.load_sweep_config(master, [f"task={task}", f"seed={seed}"]).seed == seed
    assert len(calls) == 2
