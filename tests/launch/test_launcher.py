"""The launcher `population`: what it trains, what each job leaves, and what becomes of
jobs that fail."""

import sys
from collections import Counter
from types import ModuleType

import polars as pl
import pytest
from command import memcap
from hydra.core.config_store import ConfigStore
from hydra.core.plugins import Plugins
from hydra.core.utils import JobStatus
from hydra.plugins.sweeper import Sweeper
from omegaconf import OmegaConf

from memcap import store
from memcap.launch.app import compose_jobs
from memcap.studies import run
from memcap.training.engine import train

pytestmark = pytest.mark.usefixtures("quick_file")

# A job by itself has the program that it shares with others: one per task and width, as
# the length is one. `reproducible`: whatever compiler is here.
TINY = [
    "engine.loop=reproducible",
    "engine.workers=1",
    "task.length=16",
    "recipe.budget=40",
]
TINY += ["evaluation.every=20", "evaluation.sequences=64", "evaluation.stretch=1"]
MIXED = ["task=latch,delay_line", "task.lag=1,3", "model.units=1,2", "seed=0"]
WIDTHS = ["task=latch", "task.lag=3", "model.units=1,2,3,4"]
# of a run, not of a member
OWN = [
    "compile_seconds",
    "run_seconds",
    "population",
    "finished",
    "study",
    "program_steps",
]


@pytest.fixture(scope="module")
def mixed(tmp_path_factory):
    """The folder of a multirun of 8 jobs, and what it said."""
    folder = tmp_path_factory.mktemp("mixed")
    return folder, memcap(folder, "train", "-m", *MIXED, *TINY)


def logs(folder):
    """The log of each job, by the job's number."""
    return {path.parent.name: path.read_text() for path in folder.rglob("train.log")}


@pytest.mark.breadth
def test_rows_are_those_of_the_basic_launcher(mixed, tmp_path):
    assert (
        memcap(tmp_path, "train", "-m", *MIXED, *TINY, "hydra/launcher=basic").status
        == 0
    )
    rows, basic = (store.read(folder).drop(OWN) for folder in (mixed[0], tmp_path))
    assert rows.height == 8
    exact = pl.exclude(pl.Float64)
    assert rows.select(exact).equals(basic.select(exact))
    for column in ("final", "best", "train_loss", "stretched"):
        assert rows[column].to_list() == pytest.approx(
            basic[column].to_list(), rel=1e-3
        )


def test_a_job_has_its_folder_files_and_log(mixed):
    folder, _ = mixed
    (multirun,) = (folder / "outputs/adhoc/hydra").iterdir()
    assert {path.name for path in multirun.iterdir()} == {
        "multirun.yaml",
        *map(str, range(8)),
    }
    said = logs(folder)
    overrides = "task=delay_line task.lag=1 model.units=2 seed=0"
    records = multirun / "5" / ".hydra"
    typed = OmegaConf.load(records / "overrides.yaml")
    assert typed == [*overrides.split(), *TINY]
    config = OmegaConf.load(records / "config.yaml")
    assert (config.task.name, config.model.units) == ("delay_line", 2)
    hydra = OmegaConf.load(records / "hydra.yaml").hydra
    assert (hydra.job.num, hydra.runtime.output_dir) == (5, str(multirun / "5"))
    assert said["5"].count("\n") == 1
    assert f"#5 {overrides} " in said["5"]
    assert all(": 1 member, " in log for log in said.values())


def test_a_multirun_ends_with_a_line_a_job_the_frontier_and_its_figure(mixed):
    folder, done = mixed
    assert (done.status, done.out.count(": 1 member, ")) == (0, 8)
    assert "Launching 8 jobs, 1 population\n" in done.out
    assert done.out.count("Training frontier") == 1
    assert "\n8 members, " in done.out
    assert (folder / "outputs/adhoc/figures/frontier.png").exists()
    # a shard a program: each task at each width, of both lags
    assert store.read(folder)["population"].n_unique() == 4


def test_jobs_that_train_as_one_are_together():
    overrides = ["task=latch", "model.units=1,2", "out=a,b"]
    assert [len(jobs) for jobs in compose_jobs(overrides, multirun=True)] == [2, 2]
    basic = [*overrides, "hydra/launcher=basic"]
    assert [len(jobs) for jobs in compose_jobs(basic, multirun=True)] == [1] * 4


@pytest.mark.breadth
def test_a_search_stays_in_its_job(tmp_path):
    axes = "axes={model.units: [1, 2, 3], seed: 1}"
    done = memcap(
        tmp_path,
        "train",
        "-m",
        "task=latch",
        "task.lag=1,2",
        axes,
        "design=bisect",
        *TINY,
    )
    assert done.status == 0
    assert "2 jobs, 2 populations" in done.out


@pytest.mark.breadth
def test_a_group_that_raises_is_halved_until_the_culprit_is_alone(
    tmp_path, monkeypatch
):
    ended = Counter()
    calls = []

    def fragile(members, *arguments):
        calls.append(len(members))
        sound = [
            m for m in members if m.model.units < 3
        ]  # these end, then the third raises
        ended.update(m.model.units for m in sound)
        if any(m.model.units == 3 for m in members):
            train(sound, *arguments)
            raise RuntimeError("of 3 units")
        ended.update(m.model.units for m in members if m.model.units > 3)
        return train(members, *arguments)

    monkeypatch.setattr(run, "train", fragile)
    with pytest.raises(RuntimeError, match="of 3 units"):
        memcap(tmp_path, "train", "-m", *WIDTHS, *TINY)
    assert calls == [4, 2, 1, 1]  # the first half of the four was done
    assert ended == {1: 1, 2: 1, 4: 1}
    assert set(store.read(tmp_path)["units"]) == {1, 2, 4}
    said = logs(tmp_path)
    assert "model.units=3 " in said["2"]
    assert "failed, RuntimeError: of 3 units" in said["2"]
    assert all(": 1 member, " in said[number] for number in "013")
    assert (tmp_path / "outputs/adhoc/figures/frontier.png").exists()


def test_an_interrupted_multirun_stops_at_once(tmp_path, monkeypatch):
    calls = []

    def interrupted(members, *_):
        calls.append(members)
        raise KeyboardInterrupt

    monkeypatch.setattr(run, "train", interrupted)
    done = memcap(tmp_path, "train", "-m", *WIDTHS, *TINY)
    assert (done.status, len(calls), logs(tmp_path)) == (130, 1, {})
    assert "Training frontier" not in done.out


@pytest.mark.breadth
@pytest.mark.parametrize("launcher", ["population", "basic"])
def test_hydras_settings_of_a_job_hold(tmp_path, launcher):
    own = [
        "hydra.job.chdir=true",
        "hydra.output_subdir=own",
        f"hydra/launcher={launcher}",
        "+hydra.job.env_set.MEMCAP_TEST='a b'",
    ]
    own += ["hydra.sweep.subdir=${hydra.job.num}-${hydra.job.override_dirname}"]
    own += [
        f"hydra.job.config.override_dirname.exclude_keys=[{','.join(w.split('=')[0] for w in TINY)}]"  # noqa: E501
    ]
    done = memcap(
        tmp_path,
        "train",
        "-m",
        "task=latch",
        "model.units=1,2",
        "task.lag=2",
        *TINY,
        *own,
    )
    assert (done.status, store.read(tmp_path).height) == (0, 2)
    assert logs(tmp_path).keys() == {
        f"{n}-model.units={n + 1},task.lag=2,task=latch" for n in (0, 1)
    }
    for path in tmp_path.rglob("train.log"):
        hydra = OmegaConf.load(path.parent / "own" / "hydra.yaml").hydra
        assert (hydra.runtime.output_dir, hydra.job.env_set.MEMCAP_TEST) == (
            str(path.parent),
            "a b",
        )


class MadeUp(Sweeper):
    """A sweeper that makes up its jobs, so that none is looked at before they begin."""

    __module__ = "hydra_plugins.made_up"

    def setup(self, *, hydra_context, task_function, config):
        plugins = Plugins.instance()
        setting = hydra_context, task_function, config
        self.launcher = plugins.instantiate_launcher(*setting)

    def sweep(self, arguments):
        jobs = [[*arguments, f"model.units={units}"] for units in (1, 0, 2)]
        MadeUp.returned = self.launcher.launch(jobs, 0)


@pytest.mark.breadth
def test_a_bad_job_that_a_sweeper_makes_up_fails_alone(tmp_path):
    memcap(tmp_path, "train", "--cfg", "job")  # Hydra looks for plugins
    Plugins.instance().register(MadeUp)
    module = sys.modules.setdefault("hydra_plugins", ModuleType("hydra_plugins"))
    module.made_up = sys.modules[__name__]
    node = {"_target_": "hydra_plugins.made_up.MadeUp"}
    ConfigStore.instance().store(group="hydra/sweeper", name="made_up", node=node)
    words = ["hydra/sweeper=made_up", "task=latch", "task.lag=3", *TINY]
    assert memcap(tmp_path, "train", "-m", *words).status == 0
    first, bad, last = MadeUp.returned
    assert 20 <= first.return_value <= 80  # the score
    assert first.status == last.status == JobStatus.COMPLETED
    assert bad.status == JobStatus.FAILED
    assert set(store.read(tmp_path)["units"]) == {1, 2}
    assert "model.units=0: must be at least 1" in logs(tmp_path)["1"]


@pytest.fixture
def trained(monkeypatch):
    """The calls of the engine: each the list of its members."""
    calls = []

    def recorded(members, *arguments):
        calls.append(list(members))
        return train(members, *arguments)

    monkeypatch.setattr(run, "train", recorded)
    return calls


@pytest.mark.breadth
def test_jobs_are_trained_together_if_their_settings_are_one(tmp_path, trained):
    done = memcap(tmp_path, "train", "-m", *WIDTHS, *TINY, "out=a,b")
    assert "8 jobs, 2 populations" in done.out
    assert [len(members) for members in trained] == [4, 4]
    assert done.out.count("Training frontier") == 2
    assert all(store.read(tmp_path / name).height == 4 for name in "ab")


@pytest.mark.breadth
def test_jobs_in_folders_of_their_own_write_the_rows_where_a_rerun_finds_them(tmp_path):
    words = [
        "train",
        "-m",
        *WIDTHS,
        *TINY,
        "hydra.job.chdir=true",
        "hydra/launcher=basic",
    ]
    for seen in ("training", ""):
        done = memcap(tmp_path, *words)
        assert (done.status, done.err.count("memcap: "), seen in done.err) == (
            0,
            0,
            True,
        )
        assert "\n4 members, " in done.out
    assert len(list(tmp_path.rglob("rows/*.parquet"))) == 4


@pytest.mark.breadth
def test_what_is_typed_beats_what_the_sweeper_was_given(tmp_path):
    study = tmp_path / "own" / "sweeps" / "given.yaml"
    study.parent.mkdir(parents=True)
    study.write_text(
        "# @package _global_\nhydra: {sweeper: {params: {model.units: '0', task.lag: '2,3'}}}\n"
    )
    own = ["--config-dir", "own", "sweeps=given"]
    done = memcap(tmp_path, "train", "-m", *own, "task=latch", "model.units=1,2", *TINY)
    assert done.status == 0
    assert sorted(store.read(tmp_path).select("lag", "units").rows()) == [
        (2, 1),
        (2, 2),
        (3, 1),
        (3, 2),
    ]
    assert memcap(tmp_path, "train", "-m", *own, "task=latch", *TINY).status == 2
