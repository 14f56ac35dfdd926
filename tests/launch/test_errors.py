"""Users' mistakes in a job: each is one line, which says what is allowed, and leaves nothing."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import study_files
from command import installed, memcap

from memcap.cells import cell_classes
from memcap.tasks import task_classes

ROOT = Path(__file__).parents[2]
TINY = ["recipe.budget=40", "evaluation.every=20", "evaluation.sequences=256", "evaluation.stretch=2"]
LISTED = "(memcap train --help lists all)"
TASKS = f"{', '.join([*task_classes()][:12])} and {len(task_classes()) - 12} more {LISTED}"
SWEEPS = f"{', '.join(study_files.NAMES[:12])} and {len(study_files.NAMES) - 12} more {LISTED}"

REFUSED = [  # arguments, and what the line must hold: what was wrong, and what is allowed
    ("task=recal", f"task=recal: no such choice; one of {TASKS}, or MODULE:CLASS for your own"),
    (
        "task=latches",
        f"task=latches: no such choice; did you mean latch? one of {TASKS}, or MODULE:CLASS for",
    ),
    (
        "model=lstn",
        "model=lstn: no such choice; did you mean lstm? one of elman, gru, lstm, or a file of model/ in",
    ),
    ("recipe=nope", "recipe=nope: no such choice; one of auto, chrono,"),
    ("sweeps=nope", f"sweeps=nope: no such choice; one of {SWEEPS}, or a file of sweeps/ in --config-dir"),
    ("sweeps=first", "sweeps=first: no such choice; did you mean first_study? one of"),
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
    ("axes={task:nope}", f"no such task; one of {', '.join(task_classes())}, or MODULE:CLASS"),
    ("axes={seed:0}", "axes.seed=0: must be how many seeds, at least 1"),
    ("axes=3", "axes=3: must map fields to lists of values"),
    ("axes={model.units:5..2}", "axes.model.units: is empty"),
    ("design=nope", "design=nope: must be one of grid, bisect"),
    (
        "design=bisect axes={model.units:[1,2]}",
        "has 2 of the 3 widths it needs; list more in model.units, or set design=grid",
    ),
    ("design=adaptive precision=1", "precision=1: must be null, or a number above 0 and below 1"),
    ("design=bisect precision=.1", "precision=0.1: is for design=adaptive alone, not design=bisect"),
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
