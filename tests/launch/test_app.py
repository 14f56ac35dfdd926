"""`memcap train`: what Hydra is asked for, what is refused, and what is written."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import study_files
from command import files, installed, memcap

from memcap import commands
from memcap.cells import cell_classes
from memcap.studies import store
from memcap.tasks import task_classes

ROOT = Path(__file__).parents[2]
TINY = ["recipe.budget=40", "evaluation.every=20", "evaluation.sequences=256", "evaluation.stretch=2"]
TASKS = ", ".join(task_classes())
SWEEPS = ", ".join(study_files.NAMES)

REFUSED = [  # arguments, and what the line must hold: what was wrong, and what is allowed
    ("task=recal", f"task=recal: no such choice; one of {TASKS}, or MODULE:CLASS for your own"),
    ("model=lstn", "model=lstn: no such choice; one of elman, gru, lstm (conf/model/)"),
    ("recipe=nope", "recipe=nope: no such choice; one of auto, chrono,"),
    ("sweeps=nope", f"sweeps=nope: no such choice; one of {SWEEPS} (sweeps/)"),
    ("tracking=tensorboard", "tracking=tensorboard: no such choice; one of off, trackio, wandb"),
    ("recipe.name=nope", "recipe=nope: no such recipe; one of auto,"),
    ("model.cell=Foo", f"model.cell=Foo: no such cell; one of {', '.join(cell_classes())}, LSTMCell, or"),
    ("task.nope=3", "task.nope: no such field; task has lag, length, symbols, reals"),
    ("task=copy task.nope=3", "task.nope: no such field; task has lag, length, items,"),
    ("+task.nope=3", "task.nope: no such field; task delay_line has lag, length, symbols, reals"),
    ("model.hidden=3", "model.hidden: no such field; model has cell, units, readout"),
    ("++model.hidden=3", "model.hidden: no such field; model has cell, units, readout"),
    ("units=3", "units: no such key; one of axes, design, engine,"),
    ("+units=3", "units: no such key; one of axes, design, engine,"),
    ("hydra.nope=3", "hydra.nope: no such key"),
    ("model.units=many", "model.units=many: must be a whole number"),
    ("model.units=1.5", "model.units=1.5: must be a whole number"),
    ("model.units=true", "model.units=True: must be a whole number"),
    ("model.units=0", "model.units=0: must be at least 1"),
    ("model.units=-1", "model.units=-1: must be at least 1"),
    ("task.lag=0", "task.lag=0: must be a whole number, at least 1"),
    ("task.lag=-3", "task.lag=-3: must be a whole number, at least 1"),
    ("task=temporal_order task.lag=1", "task.lag=1: must be a whole number, at least 3"),
    ("task.lag=8 task.length=5", "task.length=5: a delay_line of lag 8 needs at least 17 steps"),
    ("task.lag=8 task.length=16", "task.length=16: a delay_line of lag 8 needs at least 17 steps"),
    ("task=latch task.lag=8 task.length=9", "task.length=9: a latch of lag 8 needs at least 10 steps"),
    ("task.symbols=1", "task.symbols=1: must be at least 2 and at most 1024"),
    ("recipe.lr=0", "recipe.lr=0.0: must be above 0"),
    ("recipe.lr=nan", "recipe.lr=nan: must be above 0"),
    ("recipe.lr=fast", "recipe.lr=fast: must be a number"),
    ("recipe.batch=0", "recipe.batch=0: must be at least 1"),
    ("recipe.budget=0", "recipe.budget=0: must be at least 1"),
    (
        "recipe.init=hold recipe.forget_bias=1",
        "recipe.forget_bias=1.0: only recipe.init=forget_bias takes it",
    ),
    ("evaluation.every=0", "evaluation.every=0: must be at least 1"),
    ("evaluation=3", "evaluation=3: must hold fields, as in evaluation.every=VALUE"),
    ("engine.batching=pmap", "engine.batching=pmap: must be one of auto, map, vmap"),
    ("tracking.wandb=maybe", "tracking.wandb=maybe: must be one of auto, online, offline"),
    ("seed=-1", "seed=-1: must be a whole number, at least 0"),
    ("study=3", "study=3: must be text"),
    ("out=", "out=: must be text"),
    ("axes={model.hidden:[1]}", "axes.model.hidden: no such field; an axis is one of seed, task, recipe,"),
    ("axes={units:[1]}", "axes.units: no such field"),
    ("axes={model.units:[]}", "axes.model.units: is empty"),
    ("axes={model.units:[1,0]}", "model.units=0: must be at least 1"),
    ("axes={task:nope}", f"no such task; one of {TASKS}"),
    ("axes={seed:0}", "axes.seed=0: must be how many seeds, at least 1"),
    ("axes=3", "axes=3: must map fields to lists of values"),
    ("axes={model.units:5..2}", "axes.model.units: is empty"),
    ("design=nope", "design=nope: must be one of grid, bisect"),
    (
        "design=bisect axes={model.units:[1,2]}",
        "has 2 of the 3 widths it needs; list more in model.units, or set design=grid",
    ),
    ("-m task.lag=1,2 design=bisect", "has 1 of the 3 widths it needs"),
    ("task.lag", "task.lag: Hydra cannot read it; write KEY=VALUE"),
    ("axes={model.units:[1,2]", "Hydra cannot read it; write KEY=VALUE"),
    ("model.units=1,2", "model.units=1,2: several values need -m"),
    ("~task", "task: was deleted"),
    ("task=null", "take a name, as in task=latch"),
    ("task.lag=${nope}", "task.lag: Interpolation key 'nope' not found"),
    ("--nope", "unrecognized arguments: --nope; see memcap train --help"),
    ("--cfg nope", "invalid choice: 'nope'"),
    ("--cfg job --info", "Only one of --run"),
    ("--config-name nope", "Cannot find primary config 'nope'"),
    ("out=file", "out=file: cannot be written (file is no folder that can); set out to another folder"),
    (
        "out=file/study",
        "out=file/study: cannot be written (file is no folder that can); set out to another folder",
    ),
    ("-m model.units=1,2 out=file/study", "out=file/study: cannot be written (file is no folder that can)"),
    ("out=" + 300 * "x", "cannot be written (File name too long); set out to another folder"),
    (
        "task=latch -m model.units=1,2",
        "unrecognized arguments: model.units=1,2; put options such as -m first",
    ),
    ("-m task=latch,nope", f"task=nope: no such choice; one of {TASKS}"),
    ("-m task=latch model.units=1,0", "model.units=0: must be at least 1"),
    ("-m task=latch task.nope=1,2", "task.nope: no such field"),
    ("-m task.lag=1,2 axes={nope:[1]}", "axes.nope: no such field"),
    ("-m task=latch task.lag=${nope} model.units=1,2", "task.lag: Interpolation key 'nope' not found"),
]
NOISE = (
    "search path:",
    "full_key",
    "object_type",
    "In 'config'",
    "Traceback",
    "Warning",
    "Error executing",
    "pkg://",
)


@pytest.mark.parametrize(("arguments", "expected"), REFUSED)
def test_a_mistake_is_one_line_and_leaves_nothing(tmp_path, arguments, expected):
    (tmp_path / "file").write_text("")
    done = memcap(tmp_path, "train", *arguments.split())
    assert done.status == 2
    assert done.out == ""
    assert done.err.startswith("memcap: ")
    assert done.err.count("\n") == 1
    assert done.err.endswith("\n")
    assert expected in done.err
    assert not [noise for noise in NOISE if noise in done.err]
    assert [p.name for p in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("choice", "package"),
    [
        ("launcher=joblib", "hydra-joblib-launcher"),
        ("launcher=ray", "hydra-ray-launcher"),
        ("launcher=submitit_slurm", "hydra-submitit-launcher"),
        ("launcher=population_slurm", "hydra-submitit-launcher"),
        ("sweeper=optuna", "hydra-optuna-sweeper"),
    ],
)
def test_a_missing_plugin_is_named_with_what_installs_it(tmp_path, choice, package):
    if installed(package):
        pytest.skip(f"{package} is installed")
    done = memcap(tmp_path, "train", "-m", f"hydra/{choice}", "task=latch", *TINY)
    assert (done.status, done.err.count("\n"), list(tmp_path.iterdir())) == (2, 1, [])
    assert done.err.endswith(f": comes with a plugin that is not installed; pip install {package}\n")


@pytest.mark.parametrize("arguments", [["task=latch"], ["-m", "task=latch", "model.units=1,2"]])
def test_a_missing_accelerator_is_named_with_what_installs_it(tmp_path, arguments):
    environment = os.environ | {"JAX_PLATFORMS": "cuda", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-P", "-m", "memcap", "train", *arguments, *TINY]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    line = (
        "memcap: JAX_PLATFORMS=cuda: JAX finds no such device here; pip install 'memcap[cuda]', or"
        " JAX_PLATFORMS=cpu\n"
    )
    assert (done.returncode, done.stderr, list(tmp_path.iterdir())) == (2, line, [])


def test_a_sweep_over_nothing_is_refused(tmp_path):
    done = memcap(tmp_path, "train", "-m", "sweeps=glob(x*)", *TINY)
    assert (done.status, done.err.count("\n"), list(tmp_path.iterdir())) == (2, 1, [])
    assert done.err == f"memcap: sweeps=glob(x*): matches nothing, so there is no job; one of {SWEEPS}\n"


@pytest.mark.parametrize("arguments", [["model.units=1"], ["-m", "model.units=1,2"]])
def test_a_corrupt_shard_is_named_and_left_and_the_job_trains(tmp_path, arguments):
    rows = tmp_path / "outputs" / "adhoc" / "rows"
    rows.mkdir(parents=True)
    (rows / "shard.parquet").write_bytes(b"PAR1, and then nothing")
    done = memcap(tmp_path, "train", *arguments, "task=latch", *TINY)
    assert done.status == 0
    assert done.err.count("shard.parquet: not a readable table of rows; skipped") == 1
    assert (rows / "shard.parquet").read_bytes() == b"PAR1, and then nothing"
    assert len(list(rows.iterdir())) > 1


@pytest.fixture(scope="module")
def multirun(tmp_path_factory):
    """A folder, the arguments of a multirun of four jobs in it, and what the first run said."""
    folder = tmp_path_factory.mktemp("multirun")
    arguments = ["train", "-m", "task=latch", "task.lag=5,50", "model.units=1,2", *TINY]
    return folder, arguments, memcap(folder, *arguments)


def test_a_multirun_makes_a_row_a_job(multirun):
    folder, _, done = multirun
    assert done.status == 0
    assert "Launching 4 jobs, 1 population" in done.out
    assert done.out.count("1 member, ") == 4
    rows = store.read(folder / "outputs")
    assert sorted(rows.select("lag", "units").rows()) == [(5, 1), (5, 2), (50, 1), (50, 2)]
    assert set(rows["task"]) == {"latch"}
    assert set(rows["cell"]) == {"lstm"}
    assert set(rows["budget"]) == {40}
    assert all(json.loads(config)["evaluation"]["stretch"] == 2 for config in rows["config"])


def test_hydra_keeps_its_records_under_the_study(multirun):
    folder, _, _ = multirun
    assert [p.name for p in folder.iterdir()] == ["outputs"]
    assert {p.name for p in (folder / "outputs" / "adhoc").iterdir()} == {
        "curves",
        "figures",
        "hydra",
        "jobs",
        "rows",
        "weights",
    }
    assert len(list(folder.glob("outputs/adhoc/hydra/*/*/.hydra/overrides.yaml"))) == 4


def test_a_rerun_trains_nothing(multirun):
    folder, arguments, first = multirun
    before = {
        path: at for path, at in files(folder).items() if "/hydra" not in path and "/figures" not in path
    }
    again = memcap(folder, *arguments)
    assert again.status == 0
    assert again.err == ""  # no progress bar
    assert {
        path: at for path, at in files(folder).items() if "/hydra" not in path and "/figures" not in path
    } == before
    assert [line for line in again.out.splitlines() if "│" in line] == [
        x for x in first.out.splitlines() if "│" in x
    ]


def test_other_cells_and_axes_share_the_study(multirun):
    folder, _, _ = multirun
    arguments = [
        "model.cell=GRUCell",
        "recipe.init=flax",
        "axes={model.units: [1, 2]}",
        "task.lag=5",
        "out=gru",
    ]
    done = memcap(folder, "train", "task=latch", *arguments, *TINY)
    assert done.status == 0
    assert "Training frontier" in done.out
    assert sorted(p.name for p in (folder / "gru" / "figures").iterdir()) == [
        "frontier.csv",
        "frontier.pdf",
        "frontier.png",
    ]
    rows = store.read(folder / "gru")
    assert sorted(rows.select("cell", "units", "carry_numbers").rows()) == [
        ("GRUCell", 1, 1),
        ("GRUCell", 2, 2),
    ]


def test_a_bad_member_stops_all_jobs_of_a_multirun_before_any_trains(multirun):
    folder, arguments, _ = multirun
    before = files(folder)
    done = memcap(folder, *arguments, "model.units=1,2,-1")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert files(folder) == before


def test_cfg_job_prints_the_whole_configuration(tmp_path):
    done = memcap(tmp_path, "train", "--cfg", "job", "task=latch", "task.lag=5")
    assert done.status == 0
    for part in (
        "task:\n  name: latch\n  lag: 5\n",
        "units: 8",
        "budget: null",
        "successive: 2",
        "study: adhoc",
    ):
        assert part in done.out
    assert not list(tmp_path.iterdir())


def test_info_says_where_configurations_are_looked_for(tmp_path):
    done = memcap(tmp_path, "train", "--info", "searchpath")
    assert done.status == 0
    assert f"file://{ROOT}" in done.out


def test_every_study_is_accepted(tmp_path):
    """But for where it would be written, which is asked once all members are checked."""
    (tmp_path / "file").touch()
    for name in study_files.NAMES:
        done = memcap(tmp_path, "train", "--cfg", "job", f"sweeps={name}")
        assert f"study: {name}\n" in done.out
        done = memcap(tmp_path, "train", f"sweeps={name}", "out=file/in")
        assert done.err.startswith("memcap: out=file/in: cannot be written")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("memcap ", {*commands.summaries()}),
        ("memcap in", {"inspect"}),
        ("memcap s", {"status"}),
        ("memcap train", {"train"}),
        ("memcap train task=", {f"task={name}" for name in task_classes()}),
        ("memcap train -m task=latch model.u", {"model.units="}),
        ("/somewhere/memcap train tracking=w", {"tracking=wandb"}),
        ("memcap plan task=", {f"task={name}" for name in task_classes()}),
        ("memcap plan --d", {"--device"}),
        ("memcap answer --ta", {"--task"}),
        ("memcap frontier outputs --", {"--help", "--at", "--budget", "--strict", "--json"}),
        ("memcap frontier --at ", {"steady", "trained"}),
        ("memcap export abc --layout t", {"torch"}),
        ("memcap frontier --json ", set()),  # a path, which the shell completes
        ("memcap frontier -", {"-h", "--help", "--at", "--budget", "--strict", "--json"}),
        ("memcap my_module:hello --", set()),  # nothing of the current folder runs for a key press
    ],
)
def test_completion(tmp_path, monkeypatch, line, expected):
    monkeypatch.setenv("COMP_LINE", line)
    monkeypatch.setenv("COMP_POINT", str(len(line)))
    done = memcap(tmp_path, "-sc", "query=bash")
    assert done.status == 0
    assert set(done.out.split()) == expected


@pytest.mark.parametrize("arguments", ["train -sc install=bash", "-sc install=bash"])
def test_completion_can_be_installed(tmp_path, arguments):
    done = memcap(tmp_path, *arguments.split())
    assert done.out.rstrip().endswith("complete -o nospace -o default -F hydra_bash_completion memcap")


def test_a_tracked_study_leaves_a_run_a_member_and_one_with_table_and_figure(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1] / "tracking"))
    from readback import read_runs

    folders = {f"WANDB_{name}_DIR": str(tmp_path / name.lower()) for name in ("CONFIG", "CACHE", "DATA")}
    own = {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT), "NETRC": str(tmp_path / "netrc"), **folders}
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    environment = (
        {k: v for k, v in os.environ.items() if not k.startswith("WANDB_")} | own | {"XDG_CACHE_HOME": cache}
    )
    arguments = ["task=latch", "task.lag=5", "axes={model.units: [1, 2]}", "study=tracked", *TINY]
    arguments += ["tracking=wandb", "tracking.wandb=offline", "tracking.project=tests"]
    patient = (
        "from memcap import cli; from memcap.tracking import tracker; tracker.SECONDS_AT_THE_END = 60;"
        " cli.main()"
    )
    command = [sys.executable, "-c", patient, "train", *arguments]
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stderr
    folder = tmp_path / "outputs" / "tracked"
    runs, rows = {run.id: run for run in read_runs(folder).values()}, store.read(folder)
    (study,) = (runs.pop(name) for name in list(runs) if name.startswith("study-"))
    assert runs.keys() == set(rows["key"])
    assert len(runs) == 2
    for row in rows.iter_rows(named=True):
        run = runs[row["key"]]
        assert (run.job_type, run.group, run.project, run.finished) == ("member", "tracked", "tests", True)
        assert run.name == f"latch-L5-u{row['units']}-s0"
        assert set(run.tags) == {"latch", "lag 5", row["recipe"], "lstm"}
        assert run.summary["status"] == row["status"]
        assert run.config["model"]["units"] == row["units"]
        assert [step for step, _ in run.curve("train/loss")] == [*range(2, 41, 2)]
        assert run.curve("eval/accuracy")[-1] == (40, pytest.approx(row["final"]))
    assert (
        done.stdout.splitlines()[-1]
        == f"W&B: 3 runs in {folder}/wandb, sent by: wandb sync {folder}/wandb/offline-run-*"
    )
    assert (study.name, study.job_type) == ("tracked", "study")
    shown = {k: v for point in study.history for k, v in point.items()}
    assert shown["frontier"]["_type"] == "table-file"
    assert (shown["frontier"]["nrows"], shown["figure"]["_type"]) == (1, "image-file")
    read = json.loads(next(study.directory.rglob("*.table.json")).read_text())
    (row,) = (dict(zip(read["columns"], values, strict=True)) for values in read["data"])
    assert (row["task"], row["lag"], row["budget"], row["runs"]) == ("latch", 5, 40, 2)
    assert list(study.directory.rglob("figure*.png"))
