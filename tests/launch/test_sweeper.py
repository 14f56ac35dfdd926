"""The sweeper `grid`: its jobs are those of Hydra's own `basic`."""

import importlib

import pytest
from command import memcap
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.core.utils import JobReturn, JobStatus
from hydra.errors import HydraException
from hydra.types import HydraContext, RunMode
from omegaconf import OmegaConf

from memcap.config.knobs import UserError
from memcap.launch.app import register, version_base
from memcap.launch.sweeper import GridSweeper, expand
from memcap.runtime.project import root

SWEEPS = [
    {},
    {"arguments": ["task=latch", "task.lag=3"]},
    {
        "arguments": [
            "task=latch,copy",
            "task.lag=range(1,4)",
            "model.units=choice(1,2)",
        ]
    },
    {"arguments": ["recipe=glob(*,exclude=a*)", "task.lag=1"]},
    {"arguments": ["sweeps=glob(del*)"]},
    {"arguments": ["seed=1,2", "task.lag=3", "seed=5", "study='a,b'"]},
    {
        "arguments": [
            "task.lag=shuffle(3)",
            "+more=1,2",
            "~task.symbols",
            "axes={seed:[1,2]}",
            "out=",
        ]
    },
    {
        "arguments": ["task.lag=4,5"],
        "params": {"task.lag": "1,2", "model.units": "range(1,3)"},
    },
]


@pytest.fixture
def loader():
    """Hydra's."""
    register()
    with initialize_config_dir(str(root() / "conf"), **version_base()):
        yield GlobalHydra.instance().config_loader()


@pytest.mark.parametrize("sweep", SWEEPS, ids=str)
def test_jobs_are_those_of_hydras_own_sweeper(loader, sweep):
    basic = importlib.import_module(
        "hydra._internal.core_plugins.basic_sweeper"
    ).BasicSweeper
    params = sweep.get("params")
    arguments = sweep.get("arguments", [])
    overrides = [
        *(f"{key}={value}" for key, value in (params or {}).items()),
        *arguments,
    ]
    parsed = OverridesParser.create(config_loader=loader).parse_overrides(overrides)
    (wanted,) = basic.split_arguments(parsed, None)
    assert expand(params, arguments, loader) == wanted


@pytest.mark.parametrize(
    ("override", "expected"),
    [
        (
            "task.lag=interval(1,5)",
            "task.lag=interval(1,5): has no end of values; hydra/sweeper=grid takes",
        ),
        (
            "recipe=glob(x*)",
            "recipe=glob(x*): matches nothing, so there is no job; one of auto, chrono,",
        ),
    ],
)
def test_a_sweep_without_jobs_or_without_an_end_of_them_is_refused(
    loader, override, expected
):
    with pytest.raises(UserError) as refused:
        expand(None, [override], loader)
    assert str(refused.value).startswith(expected)


def test_what_cannot_be_read_is_hydras_to_say(loader):
    with pytest.raises(HydraException):
        expand(None, ["task.lag"], loader)


class Recorded:
    """A launcher that keeps what it is given; the job whose override is in `fails` fails."""

    def __init__(self, fails=""):
        self.batches = []
        self.fails = fails

    def launch(self, jobs, initial_job_idx):
        self.batches.append((initial_job_idx, jobs))
        return [self.returned(job) for job in jobs]

    def returned(self, job):
        done = JobReturn(overrides=job, status=JobStatus.COMPLETED)
        if self.fails in job:
            done.status = JobStatus.FAILED
            done.return_value = RuntimeError(self.fails)
        return done


def sweep(loader, folder, monkeypatch, launcher, *overrides, **options):
    """What the sweeper returns, with this launcher."""
    monkeypatch.setattr(
        Plugins.instance(), "instantiate_launcher", lambda **_: launcher
    )
    config = loader.load_configuration(
        "config", [*overrides, f"out={folder}"], RunMode.MULTIRUN
    )
    sweeper = GridSweeper(**{"max_batch_size": None, "params": None} | options)
    context = HydraContext(config_loader=loader, callbacks=None)
    sweeper.setup(hydra_context=context, task_function=None, config=config)
    returned = sweeper.sweep(list(overrides))
    (saved,) = folder.rglob("multirun.yaml")
    assert OmegaConf.load(saved).task.name == config.task.name
    return returned


@pytest.mark.parametrize(
    ("size", "batches"), [(None, [3]), (2, [2, 1]), (3, [3]), (9, [3])]
)
def test_a_launcher_gets_so_many_jobs_at_a_time(
    loader, tmp_path, monkeypatch, size, batches
):
    launcher = Recorded()
    returned = sweep(
        loader, tmp_path, monkeypatch, launcher, "seed=1,2,3", max_batch_size=size
    )
    assert (
        [len(jobs) for _, jobs in launcher.batches]
        == batches
        == [len(batch) for batch in returned]
    )
    assert [number for number, _ in launcher.batches] == [
        sum(batches[:k]) for k in range(len(batches))
    ]
    assert [job for _, jobs in launcher.batches for job in jobs] == [
        ["seed=1"],
        ["seed=2"],
        ["seed=3"],
    ]


def test_after_a_batch_with_a_job_that_failed_there_is_no_other(
    loader, tmp_path, monkeypatch
):
    launcher = Recorded(fails="seed=2")
    with pytest.raises(RuntimeError, match="seed=2"):
        sweep(loader, tmp_path, monkeypatch, launcher, "seed=1,2,3,4", max_batch_size=2)
    assert len(launcher.batches) == 1


def test_a_batch_holds_a_job_at_least(tmp_path):
    done = memcap(
        tmp_path,
        "train",
        "-m",
        "task=latch",
        "seed=1,2",
        "hydra.sweeper.max_batch_size=0",
    )
    assert (done.status, list(tmp_path.iterdir())) == (2, [])
    assert done.err == "memcap: hydra.sweeper.max_batch_size=0: must be at least 1\n"
