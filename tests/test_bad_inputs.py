"""What users get wrong: options, files, paths and the environment. Each is one line on stderr, status 2, and
nothing written.

What a job's own knobs refuse is in test_config.py and test_hydra_app.py, what commands ask for in
test_cli.py.
"""

import contextlib
import errno
import os
import pwd
import shutil
import threading
import zipfile
import zlib
from itertools import pairwise
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from command import files, memcap
from jax.errors import JaxRuntimeError
from matplotlib.figure import Figure
from study_rows import group, write

from memcap import cli as cli_module
from memcap.launch import session
from memcap.runtime import cache, jax_setup
from memcap.store import files as files_module
from memcap.store import shards
from memcap.store.rows import frame

TINY = (
    "task=latch task.lag=2 model.units=1 recipe=hold recipe.budget=20 recipe.batch=8 engine.loop=reproducible"
)
LAUGHS = (
    "[&a [1, 1], " + ", ".join(f"&{b} [*{a}, *{a}]" for a, b in pairwise("abcdefghijklmnopqrstuvwxyz")) + "]"
)
YAML = {  # study files that cannot be read, and what is said of them
    "tag": (
        "study: !!python/object/apply:os.system ['touch ran']",
        "tag.yaml, line 2: could not determine a constructor",
    ),
    "own_tag": (
        "study: !mine x",
        "own_tag.yaml, line 2: could not determine a constructor for the tag '!mine'",
    ),
    "open": ("study: [x", "open.yaml, line 3: expected ',' or ']'"),
    "twice": ("study: x\nstudy: y", "twice.yaml, line 3: found duplicate key study"),
    "tab": ("\tstudy: x", "tab.yaml, line 2: found character '\\t' that cannot start any token"),
    "colon": ("study: a: b", "colon.yaml, line 2: mapping values are not allowed here"),
    "quote": ("study: 'x", "quote.yaml, line 3: found unexpected end of stream"),
    "anchor": ("study: *nowhere", "anchor.yaml, line 2: found undefined alias 'nowhere'"),
    "itself": ("study: &a [*a]", "a file of configs nests too deep, or has an alias that contains itself"),
    "inside": (
        "axes: &a {model.units: 1, b: [*a]}",
        "a file of configs nests too deep, or has an alias that contains itself",
    ),
    "latin": (
        "study: caf\xe9",
        "a file of configs is no YAML in UTF-8 ('utf-8' codec can't decode byte 0xe9",
    ),
    "nul": ("study: \0", "a file of configs is no YAML in UTF-8 (unacceptable character #x0000"),
    "key": ("nope: 1", "nope: no such key"),
    "group": ("task: 3", "task=3: must hold fields, as in task.lag=VALUE"),
    "number": ("study: 3", "study=3: must be text"),
    "date": ("seed: 2020-02-02", "seed=2020-02-02: must be a whole number"),
    "other_task": (
        "defaults: [{override /task: latch}]\ntask: {name: copy}",
        "task.name=copy: but the knobs are those of task=latch",
    ),
    "no_task": ("task: {name: nope}", "task.name=nope: but the knobs are those of task=delay_line"),
    "axis": (
        "axes: {task.name: copy}",
        "axes.task.name: no such field; an axis is one of seed, task, recipe,",
    ),
    "default": ("defaults: [{override /task: nope}]", "task=nope: no such choice; one of adding,"),
    "resolver": ("study: ${nope:1}", "Unsupported interpolation type nope"),
    "loop": ("study: ${study}", "study: Recursive interpolation"),
}
RECIPES = {  # files of recipes that an axis names
    "tag": ("lr: !!python/name:os.system", "tag.yaml, line 1: could not determine a constructor"),
    "open": ("lr: [1", "open.yaml, line 2: expected ',' or ']'"),
    "itself": ("lr: &a [*a]", "a file of configs nests too deep, or has an alias that contains itself"),
    "list": ("- lr", "list.yaml: must hold fields, as in lr: 0.01"),
    "field": ("learning_rate: 1", "recipe.learning_rate: no such field; recipe has name, init,"),
    "short": ("lr: 0.1", "conf/recipe/short.yaml"),
    "latin": ("lr: \xe9", "latin.yaml: cannot be read ('utf-8' codec can't decode"),
}
READERS = ("frontier", "collect", "verify", "figure frontier", "compare study", "mirror")
NO_ROWS = {  # places without rows, and what is said of them
    "nowhere": "nowhere: no such folder",
    "mk[/i]": "mk[/i]: no such folder",
    "[bold]": "[bold]: holds no rows",
    "empty": "empty: holds no rows",
    "fifo": "fifo: holds no rows",
    "loop": "loop: ",
    "x" * 300: "",
}
NO_TABLES = {  # files that hold none, of which `collect` wants to make one and `verify` says so
    "zero.parquet": "zero.parquet: not a readable table of rows",
    "text.parquet": "text.parquet: not a readable table of rows",
    "weights.npz": "weights.npz: not a readable table of rows",
    "other.parquet": "other.parquet: no column key; not a table of rows",
}
OPTIONS = [
    ("report study -o \0", "\\x00: holds a zero byte, which no name or value does"),
    ("report study -o .", ".: cannot be written (Is a directory); choose another file with -o"),
    ("report study -o /", "/: cannot be written (Is a directory); choose another file with -o"),
    ("report study -o fifo", "fifo: cannot be written (not a regular file); choose another file with -o"),
    ("tasks --lag 1000001", "--lag: 1000001: must be at most 1,000,000; see memcap tasks --help"),
    ("tasks --lag 9999999999999999", "--lag: 9999999999999999: must be at most 1,000,000,000"),
    ("tasks --lag 1e3", "--lag: 1e3: must be a whole number, at least 1"),
    ("tasks --lag", "--lag: expected one argument"),
    ("tasks --lags", "--lags"),
    ("tasks latch", "unrecognized arguments: latch"),
    ("answer --task delay_line --lag 2000000", "--lag: 2000000: must be at most 1,000,000"),
    ("answer --task delay_line --lag 99999999999999999999999999999", "must be at most 1,000,000,000"),
    ("answer --task delay_line --lag -1", "--lag: -1: must be a whole number, at least 1"),
    ("answer --task delay_line --lag 3.5", "--lag: 3.5: must be a whole number, at least 1"),
    ("answer --task latch,copy --lag 3", "no such task; one of adding,"),
    (
        "answer --task latch --lag 3 --budget 99999999999",
        "--budget: 99999999999: must be at most 1,000,000,000",
    ),
    ("answer --task latch --lag 3 --budget many", "--budget: many: must be a whole number"),
    ("answer --task latch --lag 3 --confidence 0", "--confidence: 0: must be a number above 0 and below 1"),
    (
        "answer --task latch --lag 3 --confidence -0.5",
        "--confidence: -0.5: must be a number above 0 and below 1",
    ),
    (
        "answer --task latch --lag 3 --confidence high",
        "--confidence: high: must be a number above 0 and below 1",
    ),
    ("answer --task latch --lag 3 --knob", "--knob: expected one argument"),
    ("answer --task latch --lag 3 --knob symbols=two", "task.symbols=two: must be a whole number"),
    ("answer --task latch --lag 3 --knob symbols=", "task.symbols=None: must be a whole number"),
    ("answer --task latch --lag 3 --knob symbols=[2]", "task.symbols=[2]: must be a whole number"),
    (
        "answer --task latch --lag 3 --knob symbols=99999999999",
        "task.symbols=99999999999: must be at least 2 and at most 1024",
    ),
    (
        "answer --task latch --lag 3 --knob symbols=${nope}",
        "--knob symbols=${nope}: the value cannot be read",
    ),
    ("answer --task latch --lag 3 --knob symbols=[", "--knob symbols=[: the value cannot be read"),
    (
        "answer --task latch --lag 3 --knob symbols=!!python/name:os.system",
        "--knob symbols=!!python/name:os.system: the value cannot be read",
    ),
    ("answer --task latch --lag 3 --knob =3", "task.: no such field"),
    ("answer --task latch --lag 3 --knob lag=4", "task.lag: no such field"),
    ("answer --task delay_line --lag 3 --knob reals=perhaps", "task.reals=perhaps: must be true or false"),
    ("answer --task nowhere:Task --lag 3", "no module nowhere"),
    ("answer --task os:path --lag 3", "must be a class derived from memcap.tasks.Task"),
    ("answer --task : --lag 3", "must be MODULE:NAME"),
    ("answer --task latch --lag 3 --config-dir text.parquet", "--config-dir text.parquet: no such folder"),
    ("answer --task latch --lag 3 study study", "unrecognized arguments: study"),
    ("inspect --timesteps 1000001", "--timesteps: 1000001: must be at most 1,000,000"),
    (
        "inspect --timesteps 999999999999999999999",
        "--timesteps: 999999999999999999999: must be at most 1,000,000,000",
    ),
    ("inspect --units 4097", "model.units=4097: must be at least 1 and at most 4096"),
    ("inspect --units 99999999999", "--units: 99999999999: must be at most 1,000,000,000"),
    ("inspect --features 0", "--features: 0: must be a whole number, at least 1"),
    ("inspect --features 999999999999", "--features: 999999999999: must be at most 1,000,000,000"),
    ("inspect --cell nowhere:Cell", "no module nowhere"),
    ("inspect --cell os:path", "must be a class derived from memcap.cells.Cell or flax.nnx.RNNCellBase"),
    ("inspect --cell ..:x", "must be MODULE:NAME"),
    ("inspect 5", "unrecognized arguments: 5"),
    ("frontier study --budget 0", "--budget: 0: must be a whole number, at least 1"),
    ("frontier study --at never", "--at: invalid choice: 'never'"),
    ("frontier study study", "unrecognized arguments: study"),
    ("frontier --json=yes study", "--json: ignored explicit argument 'yes'"),
    ("compare study", "the following arguments are required: second"),
    ("compare", "the following arguments are required: first, second"),
    ("compare study nowhere", "nowhere: no such folder or file"),
    ("compare nowhere study", "nowhere: no such folder or file"),
    ("compare study study --at never", "--at: invalid choice: 'never'"),
    ("compare study study --budget -3", "--budget: -3: must be a whole number, at least 1"),
    ("status nowhere", "nowhere: no such folder; give the folder of a study"),
    ("status text.parquet", "text.parquet: no such folder; give the folder of a study"),
    ("status fifo", "fifo: no such folder; give the folder of a study"),
    ("status empty", "empty: holds no study; train one first"),
    ("status study study", "unrecognized arguments: study"),
    ("knobs nope", "nope: no such group of knobs; one of job,"),
    ("knobs recipe task", "unrecognized arguments: task"),
    ("knobs --html", "unrecognized arguments: --html"),
    ("mirror study --to tensorboard", "tracking.mode=tensorboard: must be one of off, wandb, trackio"),
    ("mirror study --wandb perhaps", "--wandb: invalid choice: 'perhaps'"),
    ("mirror study --runs none", "--runs: invalid choice: 'none'"),
    ("mirror study --project", "--project: expected one argument"),
    ("mirror study --project=", "tracking.project: is empty; name one, or leave it out"),
    ("mirror study --entity=", "tracking.entity: is empty; name one, or leave it out"),
    ("verify study --weights", "unrecognized arguments: --weights"),
    ("collect study --strictly", "unrecognized arguments: --strictly"),
    ("collect text.parquet", "text.parquet: cannot be written into; give the folder of a study"),
    ("figure frontier study -o text.parquet", "text.parquet: the figure cannot be written"),
    ("figure frontier study -o text.parquet/below", "text.parquet/below: the figure cannot be written"),
    ("figure frontier study -o " + "x" * 300, "cannot be written (File name too long)"),
    ("figure frontier study --width 3", "unrecognized arguments: --width"),
    ("figure ../frontier study", "../frontier: no such figure; one of budget,"),
    ("figure [red] study", "[red]: no such figure; one of budget,"),
    ("export 00 --layout flax --results study", "the following arguments are required: -o/--output"),
    ("export 00 --layout flax --results study -o", "-o/--output: expected one argument"),
    ("export zz --layout flax --results study -o x.npz", "zz: 0 members in study have such a key"),
    ("export [/i] --layout flax --results study -o x.npz", "[/i]: 0 members in study have such a key"),
    ("export atlas:nope --layout flax -o x.npz", "atlas:nope: no such net; one of a task that has some, as"),
    ("export atlas:latch-L0 --layout flax -o x.npz", "atlas:latch-L0: no such net; one of atlas:latch-"),
    ("plan =3", "task, model, recipe, tracking and sweeps take a name, as in task=latch"),
    ("plan --device tpu9", "tpu9: no such device; one of this, h100,"),
    ("plan --config-dir nowhere", "--config-dir nowhere: no such folder"),
    ("plan --config-dir text.parquet", "--config-dir text.parquet: no such folder"),
    ("plan task=nope", "task=nope: no such choice"),
    ("plan task.lag=0", "task.lag=0: must be a whole number, at least 1"),
    ("plan units=3", "units: no such key; one of axes,"),
    ("plan model.units=1,2", "model.units=1,2: several values need -m"),
    ("plan task=latch task.name=copy", "task.name=copy: but the knobs are those of task=latch"),
    ("plan --confg-dir conf", "--confg-dir"),
    ("trian", "invalid choice: 'trian'"),
    ("TRAIN", "invalid choice: 'TRAIN'"),
    ("-v", "the following arguments are required: COMMAND"),
    ("[/i]", "invalid choice: '[/i]'"),
    (":", "command=:: must be MODULE:NAME"),
    ("a:b:c", "command=a:b:c: must be MODULE:NAME"),
    ("../x:y", "command=../x:y: must be MODULE:NAME"),
]
TRAINING = [  # what only the whole of a job's choices tells
    ("recipe.batch=99999999999", "recipe.batch=99999999999: must be at least 1 and at most 1,048,576"),
    ("model.units=99999999999", "model.units=99999999999: must be at least 1 and at most 4096"),
    ("task.lag=99999999999", "task.lag=99999999999: must be a whole number, at least 1 and at most 1000000"),
    ("task.length=99999999999", "task.length=99999999999: must be a whole number"),
    ("recipe.budget=99999999999", "recipe.budget=99999999999: must be at least 1 and at most 1,000,000,000"),
    ("evaluation.sequences=99999999999", "evaluation.sequences=99999999999: must be at least 1"),
    ("evaluation.stretch=99999999999", "evaluation.stretch=99999999999: must be at least 1 and at most 100"),
    ("engine.workers=99999999999", "engine.workers=99999999999: must be at least 0 and at most 1024"),
    (
        "axes={seed:1000000000}",
        "axes.seed=1000000000: 1,000,000,000 are more than the 1,000,000 that a command",
    ),
    (
        "axes={task.lag:1..1000000000}",
        "axes.task.lag=1..1000000000: 1,000,000,000 are more than the 1,000,000",
    ),
    (
        "axes={seed:100000,task.lag:1..1000,model.units:1..100}",
        "axes: 10,000,000,000 are more than the 1,000,000 that a command can have; split them: some lags or",
    ),
    ("-m seed=range(1000000000)", "seed=range(1000000000): 1,000,000,000 are more than the 1,000,000"),
    ("-m seed=range(1000) task.lag=range(1,2000)", "-m: jobs: 1,999,000 are more than the 1,000,000"),
    ("study=../../x", "study=../../x: must be a name, without / and \\; for another folder set out (in"),
    ("study=..", "study=..: must be a name"),
    ("study=a/b", "study=a/b: must be a name"),
    ("task=data task.file=fifo", "task.file=fifo: is no regular file"),
    ("task=data task.file=/dev/zero", "task.file=/dev/zero: is no regular file"),
    ("task=data task.file=empty", "task.file=empty: cannot be read (Is a directory)"),
    ("task=data task.file=bomb.npz", "task.file=bomb.npz: holds more than 64 MiB of numbers"),
    ("task=data task.file=huge.npz", "task.file=huge.npz: `inputs` holds numbers above 1e+18, too large for"),
    ("engine.shard=3 engine.shards=3", "engine.shard=3: must be below engine.shards=3"),
    ("seed=99999999999", "seed=99999999999: must be a whole number"),
    ("recipe.lr=inf", "recipe.lr=inf: must be above 0"),
    (
        "task=latch task.name=copy",
        "task.name=copy: but the knobs are those of task=latch; choose a task by task=NAME alone",
    ),
    ("task=latch task.name=nope", "task.name=nope: but the knobs are those of task=latch"),
    ("task=latch task.name=null", "task.name=None: but the knobs are those of task=latch"),
    ("-m task=latch task.name=latch,copy", "task.name=copy: but the knobs are those of task=latch"),
    (
        "recipe=hold recipe.name=chrono",
        "recipe.name=chrono: but the values are those of recipe=hold; choose a recipe by",
    ),
    ("recipe=hold recipe.name=auto", "recipe.name=auto: but the values are those of recipe=hold"),
    ("-m recipe=hold,chrono recipe.name=hold", "recipe.name=hold: but the values are those of recipe=chrono"),
    (
        "-m task=latch,copy task.items=2",
        "task.items: no such field; task=latch has lag, length, symbols, distractors",
    ),
    (
        "-m task=copy,latch task.items=2,3",
        "task.items: no such field; task=latch has lag, length, symbols, distractors",
    ),
    ("-m task=choice(copy,adding) task.items=2", "task.items: no such field; task=adding has lag, length"),
    ("-m task=glob(*) task.items=2", "task.items: no such field; task=adding has lag, length"),
    ("-m task=latch,temporal_order task.lag=1", "task.lag=1: must be a whole number, at least 3"),
    ("-m model=lstm,nope", "model=nope: no such choice; one of elman, gru, lstm, or a file of model/ in"),
    ("out=mk[/i]", "out=mk[/i]: Hydra cannot read it"),
    ("out='text.parquet/mk[/i]'", "out=text.parquet/mk[/i]: cannot be written"),
    ("out=text.parquet", "out=text.parquet: cannot be written"),
    ("out=fifo", "out=fifo: cannot be written"),
    ("out=loop", ": cannot be read or written (Too many levels of symbolic links); set out"),
    ("hydra.run.dir=/dev/null/x", "hydra.run.dir=/dev/null/x: cannot be written"),
    ("-m hydra.sweep.dir=/dev/null/x seed=1,2", "hydra.sweep.dir=/dev/null/x: cannot be written"),
    ("study=\udcff", "study=\\udcff: is not UTF-8; write it in letters that are"),
    ("out=/proc/study", "/proc/study: cannot be read or written"),
    ("--config-dir nowhere", "memcap: --config-dir nowhere: no such folder\n"),
    ("--config-dir text.parquet", "memcap: --config-dir text.parquet: no such folder\n"),
    ("--config-dir conf sweeps=folder", "sweeps=folder: no such choice"),
    ("-cd= sweeps=first_study", "--config-dir : no such folder"),
    ("--config-path nowhere", "nowhere"),
    ("-m seed=range(1,5,0)", "seed=range(1,5,0): has a step of 0, and so no end"),
    ("-sc zsh", "Expecting one subcommand from ['install', 'uninstall', 'query']"),
    ("--multirun --run", "Only one of --run"),
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study, and with much that is none."""
    folder = tmp_path_factory.mktemp("bad")
    write(folder / "study", group("latch", 5, {1: (0, 2), 2: (2, 2), 3: (2, 2)}))
    for name in ("empty", "[bold]", "conf/sweeps/folder.yaml", "conf/recipe"):
        (folder / name).mkdir(parents=True)
    (folder / "zero.parquet").touch()
    (folder / "text.parquet").write_text("no rows")
    np.savez(folder / "weights.npz", x=np.zeros(3))
    pl.DataFrame({"lag": [1]}).write_parquet(folder / "other.parquet")
    numbers = np.full((4, 3, 1), 1e300)
    np.savez(folder / "huge.npz", inputs=numbers, targets=np.array([0, 1, 0, 1]))
    with zipfile.ZipFile(folder / "bomb.npz", "w") as archive, archive.open("inputs.npy", "w") as member:
        head = {"descr": "<f8", "fortran_order": False, "shape": (10**9,)}
        np.lib.format.write_array_header_1_0(member, head)
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to("loop")
    for part, texts, head in (("sweeps", YAML, "# @package _global_\n"), ("recipe", RECIPES, "")):
        for name, (text, _) in texts.items():
            (folder / "conf" / part / f"{name}.yaml").write_bytes((head + text + "\n").encode("latin-1"))
    return folder


def refused(folder, arguments, expected):
    """One line, status 2, and nothing written."""
    before = files(folder)
    done = memcap(folder, *arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done
    assert done.err.startswith("memcap: ")
    assert expected in done.err
    assert len(done.err) < 700
    assert files(folder) == before


@pytest.mark.parametrize(("words", "expected"), OPTIONS)
def test_a_bad_option(place, words, expected):
    refused(place, words.split(), expected)


@pytest.mark.parametrize(
    "words", ["collect", "status", "answer --task latch --lag 5", "report study -o", "compare study"]
)
def test_an_empty_name_is_not_the_current_folder(place, words):
    refused(place, [*words.split(), ""], ": is empty; name a file or folder, . for this one; see memcap ")


@pytest.mark.parametrize(("words", "expected"), TRAINING)
def test_a_bad_choice_of_a_job(place, words, expected):
    refused(place, ["train", *words.split()], expected)


def test_an_error_stays_on_one_line_whatever_was_typed(place):
    refused(place, ["train", "recipe.optimizer=a\nb"], "recipe.optimizer=a\\nb: ")


@pytest.mark.parametrize("name", YAML)
@pytest.mark.parametrize("command", ["train", "train -m", "plan"])
def test_a_bad_study_file(place, command, name):
    refused(place, [*command.split(), "--config-dir", "conf", f"sweeps={name}"], YAML[name][1])
    assert not (place / "ran").exists()


@pytest.mark.parametrize("part", ["sweeps", "recipe"])
@pytest.mark.parametrize("command", ["train", "plan"])
def test_aliases_that_stand_for_millions_of_values_are_not_copied(tmp_path, command, part):
    (tmp_path / "conf" / part).mkdir(parents=True)
    (tmp_path / "conf" / part / "laughs.yaml").write_text(f"axes: {{model.units: {LAUGHS}}}\n")
    choice = "sweeps=laughs" if part == "sweeps" else "axes={recipe: [laughs]}"
    line = f"conf/{part}/laughs.yaml: its aliases stand for more than 100,000 values; write fewer"
    refused(tmp_path, [command, "--config-dir", "conf", choice], line)


@pytest.mark.parametrize("name", RECIPES)
def test_a_bad_file_of_a_recipe_that_an_axis_names(place, name):
    refused(place, ["train", "--config-dir", "conf", f"axes={{recipe: [{name}]}}"], RECIPES[name][1])


@pytest.mark.parametrize("name", NO_ROWS)
@pytest.mark.parametrize("command", READERS)
def test_a_place_without_rows(place, command, name):
    refused(place, [*command.split(), name], NO_ROWS[name])


@pytest.mark.parametrize("name", NO_TABLES)
@pytest.mark.parametrize("command", [each for each in READERS if each not in ("collect", "verify")])
def test_a_file_without_rows(place, command, name):
    refused(place, [*command.split(), name], NO_TABLES[name])


# The machine


class NoHome:
    """A user whom the machine does not know."""

    def getpwuid(self, uid):
        raise KeyError(uid)


def test_without_a_home_nothing_is_cached_and_all_works(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", NoHome().getpwuid)
    assert not jax_setup._is_writable(cache.folder())
    assert memcap(tmp_path, "train", *TINY.split()).status == 0


@pytest.mark.parametrize("part", ["rows", "weights", "curves"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO])
def test_a_disk_that_is_full_or_gone(tmp_path, monkeypatch, part, number):
    """Nothing is left of the file that did not fit. (A real one, as small tmpfs, gave the same.)"""
    sync = os.fsync

    def full(descriptor):
        if f"/{part}/." in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(files_module.os, "fsync", full)
    done = memcap(tmp_path, "train", *TINY.split(), "out=study")
    said = [line for line in done.err.splitlines() if line.startswith("memcap: ")]
    assert (done.status, done.out) == (2, "")
    assert said == [
        f"memcap: disk: cannot be read or written ({os.strerror(number)}); set out to another folder"
    ]
    assert "Error executing" not in done.err + done.out
    assert not list((tmp_path / "study" / part).iterdir())


def test_a_figure_that_does_not_fit_on_the_disk_is_told_of_after_all_rows_are_safe(tmp_path, monkeypatch):
    """A picture that is cut short there is an error of its compression, not of the disk."""

    def full(*arguments, **options):
        raise zlib.error("Error -5 while finishing compression")

    monkeypatch.setattr(Figure, "savefig", full)
    axes = "axes={model.units: [1, 2, 3]}"
    done = memcap(tmp_path, "train", *TINY.split(), axes, "out=study")
    assert (done.status, done.err.splitlines()[-1]) == (
        2,
        "memcap: study/figures: the figure cannot be written (Error -5 while finishing compression); rows are"
        " safe, and memcap figure frontier STUDY -o FOLDER draws it elsewhere",
    )
    assert shards.read(tmp_path / "study").height == 3


def test_what_fits_into_no_memory(tmp_path, monkeypatch):
    def too_large(*arguments, **options):
        raise JaxRuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 5033295026768 bytes.\nAnd more.")

    monkeypatch.setattr(session, "run_study", too_large)
    done = memcap(tmp_path, "train", *TINY.split())
    line = "memory: RESOURCE_EXHAUSTED: Out of memory allocating 5033295026768 bytes."
    line += "; lower engine.lanes, recipe.batch, task.lag or model.units\n"
    assert (done.status, done.out, done.err) == (2, "", f"memcap: {line}")
    for launcher in ("population", "basic"):
        done = memcap(tmp_path, "train", "-m", f"hydra/launcher={launcher}", *TINY.split(), "seed=1,2")
        assert (done.status, "Traceback" in done.err) == (2, False)
        assert done.err.splitlines()[-1] == f"memcap: {line}".strip()


def test_a_folder_that_is_deleted_while_its_study_trains(tmp_path, monkeypatch):
    def deleted(folder, *arguments):
        shutil.rmtree(folder)
        return write(folder, *arguments)

    write = shards.write
    monkeypatch.setattr(shards, "write", deleted)
    done = memcap(tmp_path, "train", *TINY.split(), "out=study")
    assert (done.status, done.out, done.err.count("memcap: "), "Error executing" in done.err) == (
        2,
        "",
        1,
        False,
    )
    assert (
        "study/weights: cannot be read or written (No such file or directory); set out to another folder"
        in done.err
    )


def test_tables_do_not_ask_the_disk_through_polars(tmp_path):
    """Whose errors on a full one are none of the operating system's."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("no /dev/full")
    (tmp_path / "rows").mkdir()
    seen = []

    def fill_full(path, fill, with_digest=True):
        with full.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space left") as raised:
            fill(file)
        seen.append(raised.value.errno)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(files_module, "write", fill_full)
        shards.write_table(tmp_path / "rows" / "a.parquet", frame(group()))
    assert seen == [errno.ENOSPC]


@pytest.mark.parametrize("make", [Path.mkdir, os.mkfifo])
def test_what_is_no_file_among_a_studys_files_is_named_and_passed_over(tmp_path, make):
    """Nothing waits for the other end of a FIFO."""
    write(tmp_path / "study", group("latch", 5, {1: (0, 2), 2: (2, 2), 3: (2, 2)}))
    expected = memcap(tmp_path, "frontier", "study").out
    for name in ("rows/x.parquet", "weights/x.npz", "curves/x.parquet", "jobs/x.json", "checkpoints/x.npz"):
        (tmp_path / "study" / name).parent.mkdir(exist_ok=True)
        make(tmp_path / "study" / name)
    done = memcap(tmp_path, "frontier", "study")
    assert (done.status, done.out, done.err.count("\n")) == (0, expected, 1)
    what = "not a regular file" if make is os.mkfifo else "cannot be read (Is a directory)"
    assert done.err.startswith(f"memcap: study/rows/x.parquet: {what}; skipped")
    assert "1 file of rows cannot be read" in memcap(tmp_path, "status", "study").out
    found = memcap(tmp_path, "verify", "study")
    assert (found.status, found.err) == (1, "")
    assert all(f"study/{name}: " in found.out for name in ("rows/x.parquet", "weights/x.npz"))
    assert memcap(tmp_path, "collect", "study").status == 0
    assert memcap(tmp_path, "train", *TINY.split(), "out=study").status == 0


def test_markup_in_a_path_is_a_path(tmp_path):
    for command in ("train", "status", "frontier", "verify", "collect", "compare", "figure frontier"):
        words = (
            [*TINY.split(), "out='mk[/i]'"]
            if command == "train"
            else ["mk[/i]"] * (1 + (command == "compare"))
        )
        done = memcap(tmp_path, *command.split(), *words)
        assert done.status == 0, done
        if command in ("train", "status", "collect", "figure frontier"):
            assert "mk[/i]" in done.out


def test_it_ends_at_once_where_a_thread_still_trains(monkeypatch):
    """At its own end the interpreter would abort such a thread, and itself."""
    over, left = threading.Event(), []
    thread = threading.Thread(target=over.wait, name="memcap-worker")
    thread.start()
    monkeypatch.setattr(cli_module.os, "_exit", left.append)
    with contextlib.suppress(SystemExit):
        cli_module.main(["nope"])
    over.set()
    thread.join()
    assert left == [2]
