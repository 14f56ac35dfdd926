"""Our own way to run a job leaves what Hydra's own does."""

import logging
import os

import hydra
import pytest
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import run_job, setup_globals
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf, open_dict
from omegaconf.errors import ReadonlyConfigError

from memcap.launch.app import register, version_base
from memcap.launch.composer import Composer
from memcap.launch.hydra_job import JobRunner, Yaml, job_runner
from memcap.recipes import root

PLACES = {"job_dir_key": "hydra.sweep.dir", "job_subdir_key": "hydra.sweep.subdir"}
COMMANDS = [
    ["task=latch"],
    ["task=latch", "hydra.job.chdir=true"],
    ["task=latch", "hydra.output_subdir=null"],
    ["task=copy", "+hydra.job.env_set.MEMCAP_TEST='a b'", "hydra.sweep.subdir=${hydra.job.override_dirname}"],
    ["sweeps=first_study", "hydra.verbose=true", "hydra.output_subdir=own"],
    ["task=latch", "axes=[{task.lag: [1, 2], seed: 2}, {recipe: hold, " + 120 * "x" + ": 1}]"],
]
JOBS = [
    ["seed=1", "task.lag=3"],
    ["seed=2", "study='on: \u00e4, #1'"],
    ["seed=2"],
    ["seed=0", "recipe.lr=1e-3"],
]


class Noted:
    """Callbacks that note what they see."""

    def __init__(self):
        self.seen = []

    def on_job_start(self, config, task_function):
        self.note("start", config, task_function("start"))

    def on_job_end(self, config, job_return):
        self.note("end", config, job_return.status, job_return.task_name)

    def note(self, *what):
        config = what[1]
        text = OmegaConf.to_yaml(config), OmegaConf.is_readonly(config.hydra), OmegaConf.is_struct(config)
        self.seen.append(
            (what[0], *text, *what[2:], HydraConfig.get().job.num, os.environ.get("MEMCAP_TEST"))
        )


def function(config):
    """A job: logs, and says what it sees."""
    if config == "start":
        return None
    logging.getLogger("test").warning("job %s", HydraConfig.get().job.num)
    if config.seed == 0:
        raise RuntimeError("seed 0")
    return config.task.lag, os.getcwd(), HydraConfig.get().runtime.output_dir, OmegaConf.is_struct(config)


def runs(folder, command, ours):
    """What each job leaves: what it returns, what callbacks saw, and the files of all."""
    folder.mkdir()
    noted, left = Noted(), []
    with initialize_config_dir(str(root() / "conf"), **version_base()), pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        setup_globals()
        loader = GlobalHydra.instance().config_loader()
        command = [*command, "out=study", "hydra.sweep.dir=study/jobs"]
        config = loader.load_configuration("config", command, RunMode.MULTIRUN)
        config.hydra.mode = RunMode.MULTIRUN
        config.hydra.job_logging.formatters.simple.format = "%(name)s %(message)s"
        composer = Composer(loader, config)
        context = HydraContext(config_loader=loader, callbacks=noted)
        runner = JobRunner(context)
        for number, overrides in enumerate(JOBS):
            job = composer.config([*command[:1], *overrides])
            with open_dict(job):
                job.hydra.job.id, job.hydra.job.num = str(number), number
                job.hydra.job_logging.formatters.simple.format = "%(name)s %(message)s"
            if ours:
                done = runner.run(function, job)
            else:
                done = run_job(function, job, hydra_context=context, **PLACES)
            assert OmegaConf.is_readonly(done.hydra_cfg.hydra)
            with pytest.raises(ReadonlyConfigError):
                done.hydra_cfg.hydra.job.num = 7
            done.cfg.seed += 1  # it is a copy, of which nobody else knows
            done.cfg.seed -= 1
            what = done.overrides, done.working_dir, done.task_name, done.status, type(done._return_value)
            left.append((*what, str(done._return_value)))
            left.append(tuple(map(OmegaConf.to_yaml, (done.cfg, done.hydra_cfg, job))))
            assert os.getcwd() == str(folder)
    for handler in [each for each in logging.root.handlers if isinstance(each, logging.FileHandler)]:
        logging.root.removeHandler(handler)
        handler.close()
    logging.root.setLevel(logging.WARNING)
    texts = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    return left, noted.seen, texts


@pytest.fixture
def quiet():
    """Logging, and Hydra's config, are afterwards as they were."""
    handlers, level, config = logging.root.handlers[:], logging.root.level, HydraConfig.instance().cfg
    yield
    for handler in set(logging.root.handlers) - set(handlers):
        handler.close()
    logging.root.handlers[:], HydraConfig.instance().cfg = handlers, config
    logging.root.setLevel(level)


@pytest.mark.skipif(not hydra.__version__.startswith("1.3."), reason="other Hydras run jobs by themselves")
@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_job_leaves_what_hydras_own_leaves(tmp_path, quiet, command):
    register()
    place = tmp_path / "place"  # one place for both, as it is in the files
    results = []
    for ours in (False, True):
        results.append(runs(place, command, ours))
        place.rename(tmp_path / str(ours))
    assert results[0] == results[1]
    assert len(results[0][2]) == (4 if "hydra.output_subdir=null" in command else 16)
    assert sum(kind == "end" for kind, *_ in results[0][1]) == len(JOBS)


def test_of_other_hydras_jobs_are_run_by_themselves(monkeypatch):
    context = HydraContext(config_loader=None, callbacks=None)
    monkeypatch.setattr(hydra, "__version__", "1.3.2")
    assert job_runner(context).__self__.__class__ is JobRunner
    monkeypatch.setattr(hydra, "__version__", "1.4.0")
    assert not hasattr(job_runner(context), "__self__")


YAMLS = [
    {},
    {"a": {}, "b": [], "c": {"d": {}, "e": [[]]}},
    {"a": [1, "1", True, None, 1.5, "a: b"], "b": [{"c": 1, "d": [1, [2, 3]]}, [1]]},
    {"a": {"b": {"c": "word " * 40, "d": "\u00e4\u2028\u0085\n x\n", 7: "int", "on": "off", "": ""}}},
    {"a": "${b.c}", "b": {"c": "???", "d": "${now:%Y}"}, "e": RunMode.MULTIRUN},
    {"x" * 99: {"y": 1}, "x" * 130: {"y": {"z": 1}}, "k: #": {"- ": [1, 2], "?": 3}},
    {"a": {"b": {"c": ["word " * 40, "x" * 200, "- a", "'", '"']}}},
    ["a=1", "b='x, y'", "c={d: 1}"],
    ["a=1", "b=2"],
]


def test_text_is_that_of_omegaconf():
    ours = Yaml()
    for config in [*YAMLS, *reversed(YAMLS)]:
        assert ours.dump(config) == OmegaConf.to_yaml(OmegaConf.create(config))
