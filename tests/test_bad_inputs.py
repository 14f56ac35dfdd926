"""What users get wrong: words (bad_inputs.txt), files, paths and the environment. Each
is one line on stderr, status 2, and nothing written. What a job's own knobs refuse is
in test_config.py.
"""

import contextlib
import errno
import os
import pwd
import re
import shutil
import threading
import zipfile
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import study_files
from command import files, memcap
from jax.errors import JaxRuntimeError
from study_rows import group, write

from memcap import cli as cli_module, figures
from memcap.cells import cell_classes
from memcap.launch import session
from memcap.runtime import cache, jax_setup
from memcap.store import files as files_module, shards
from memcap.store.files import write_table
from memcap.store.rows import frame
from memcap.tasks import task_classes

TINY = (
    "task=latch task.lag=2 model.units=1 recipe=hold recipe.budget=20 recipe.batch=8"
    " engine.loop=reproducible"
)
LISTED = "(memcap train --help lists all)"
TOO_DEEP = "a file of configs nests too deep, or has an alias that contains itself"
NO_UTF8 = "a file of configs is no YAML in UTF-8 ("
YAML = {  # study files that cannot be read, and what is said of them
    "tag": (
        "study: !!python/object/apply:os.system ['touch ran']",
        "tag.yaml, line 2: ",
    ),
    "open": ("study: [x", "open.yaml, line 3: "),
    "twice": ("study: x\nstudy: y", "twice.yaml, line 3: found duplicate key study"),
    "tab": ("\tstudy: x", "tab.yaml, line 2: "),
    "itself": ("study: &a [*a]", TOO_DEEP),
    "latin": ("study: caf\xe9", NO_UTF8),
    "nul": ("study: \0", NO_UTF8),
    "key": ("nope: 1", "nope: no such key"),
    "group": ("task: 3", "task=3: must hold fields, as in task.lag=VALUE"),
    "date": ("seed: 2020-02-02", "seed=2020-02-02: must be a whole number"),
    "other_task": (
        "defaults: [{override /task: latch}]\ntask: {name: copy}",
        "task.name=copy: but the knobs are those of task=latch",
    ),
    "axis": (
        "axes: {task.name: copy}",
        "axes.task.name: no such field; an axis is one",
    ),
    "default": (
        "defaults: [{override /task: nope}]",
        "task=nope: no such choice; one of",
    ),
    "resolver": ("study: ${nope:1}", "nope"),
    "loop": ("study: ${study}", "study: "),
}
RECIPES = {  # files of recipes that an axis names
    "tag": ("lr: !!python/name:os.system", "tag.yaml, line 1: "),
    "itself": ("lr: &a [*a]", TOO_DEEP),
    "list": ("- lr", "list.yaml: must hold fields, as in lr: 0.01"),
    "field": (
        "learning_rate: 1",
        "recipe.learning_rate: no such field; recipe has name,",
    ),
    "short": ("lr: 0.1", "conf/recipe/short.yaml"),
    "latin": ("lr: \xe9", "latin.yaml: cannot be read ("),
}
NO_ROWS = {  # commands of places without rows, and what is said of these
    "frontier nowhere": "nowhere: no such folder",
    "frontier mk[/i]": "mk[/i]: no such folder",
    "frontier [bold]": "[bold]: holds no rows",
    "frontier fifo": "fifo: holds no rows",
    "frontier loop": "loop: ",
    f"frontier {'x' * 300}": "",
    "frontier text.parquet": "text.parquet: not a readable table of rows",
    "frontier weights.npz": "weights.npz: not a readable table of rows",
    "frontier other.parquet": "other.parquet: no column key; not a table of rows",
    "collect nowhere": "nowhere: no such folder",
    "verify nowhere": "nowhere: no such folder",
    "figure frontier zero.parquet": "zero.parquet: not a readable table of rows",
    "mirror zero.parquet": "zero.parquet: not a readable table of rows",
}
NAMES = {  # of what there is, as the table has them
    "<tasks>": (
        f"{', '.join([*task_classes()][:12])} and {len(task_classes()) - 12} more {LISTED}"
    ),
    "<all tasks>": ", ".join(task_classes()),
    "<sweeps>": (
        f"{', '.join(study_files.NAMES[:12])} and {len(study_files.NAMES) - 12} more {LISTED}"
    ),
    "<cells>": ", ".join(cell_classes()),
    "<figures>": ", ".join(figures.summaries()),
    "<300 x>": "x" * 300,
    "<5000 9>": "9" * 5000,
}
# Words of the libraries below, which mean nothing to a user.
NOISE = (
    "search path:|full_key|object_type|In 'config'|Traceback|Warning|pkg://|Error exec"
)


def table():
    """(words, what the line must hold), of bad_inputs.txt; those of `train`, which
    Hydra composes twice, are slow."""
    command = ""
    found = []
    for line in (Path(__file__).parent / "bad_inputs.txt").read_text().splitlines():
        for name, names in NAMES.items():
            line = line.replace(name, names)
        if line.startswith("    "):
            words, expected = line.strip().partition("=>")[::2]
            typed = f"{command} {words}".split()
            slow = pytest.mark.slow if typed[:1] == ["train"] else ()
            name = "".join([*typed, expected.strip()])[:50]
            found.append(pytest.param(typed, expected.strip(), marks=slow, id=name))
        elif line.endswith(":"):
            command = line.removesuffix(":")
    return found


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a study, and with much that is none."""
    folder = tmp_path_factory.mktemp("bad")
    write(folder / "study", group("latch", 5, {1: (0, 2), 2: (2, 2), 3: (2, 2)}))
    write(folder / "other", group("latch", 7))
    for name in ("empty", "[bold]", "conf/sweeps/folder.yaml", "conf/recipe"):
        (folder / name).mkdir(parents=True)
    (folder / "zero.parquet").touch()
    for name in ("text.parquet", "file"):
        (folder / name).write_text("no rows")
    np.savez(folder / "weights.npz", x=np.zeros(3))
    pl.DataFrame({"lag": [1]}).write_parquet(folder / "other.parquet")
    numbers = np.full((4, 3, 1), 1e300)
    np.savez(folder / "huge.npz", inputs=numbers, targets=np.array([0, 1, 0, 1]))
    with (
        zipfile.ZipFile(folder / "bomb.npz", "w") as archive,
        archive.open("inputs.npy", "w") as member,
    ):
        head = {"descr": "<f8", "fortran_order": False, "shape": (10**9,)}
        np.lib.format.write_array_header_1_0(member, head)
    os.mkfifo(folder / "fifo")
    (folder / "loop").symlink_to("loop")
    for part, texts, head in (
        ("sweeps", YAML, "# @package _global_\n"),
        ("recipe", RECIPES, ""),
    ):
        for name, (text, _) in texts.items():
            (folder / "conf" / part / f"{name}.yaml").write_bytes(
                (head + text + "\n").encode("latin-1")
            )
    (folder / "conf" / "sweeps" / "package.yaml").write_text("study: x\n")
    return folder


def refused(folder, arguments, expected):
    """One line, status 2, and nothing written."""
    before = files(folder)
    done = memcap(folder, *arguments)
    assert (done.status, done.out, done.err.count("\n")) == (2, "", 1), done
    assert done.err.startswith("memcap: ")
    assert expected in done.err
    assert not re.search(NOISE, done.err)
    assert len(done.err) < 700
    assert files(folder) == before


@pytest.mark.parametrize(("words", "expected"), table())
def test_a_mistake_is_one_line_and_leaves_nothing(place, words, expected):
    refused(place, words, expected)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (
            ["report", "study", "-o", "\0"],
            "\\x00: holds a zero byte, which no name or value does",
        ),
        (
            ["train", "study=\udcff"],
            "study=\\udcff: is not UTF-8; write it in letters that are",
        ),
        (["train", "recipe.optimizer=a\nb"], "recipe.optimizer=a\\nb: "),
        (
            ["train", "-m", "sweeps=glob(x*)"],
            "sweeps=glob(x*): matches nothing, so there is no job; one of",
        ),
    ],
)
def test_letters_that_a_line_cannot_show(place, words, expected):
    refused(place, words, expected)


@pytest.mark.parametrize("words", ["collect", "report study -o", "figure frontier"])
def test_an_empty_name_is_not_the_current_folder(place, words):
    line = ": is empty; name a file or folder, . for this one; see memcap "
    refused(place, [*words.split(), ""], line)


@pytest.mark.parametrize(
    ("command", "name"),
    [("train", name) for name in YAML] + [("train -m", "itself"), ("plan", "itself")],
)
def test_a_bad_study_file(place, command, name):
    words = [*command.split(), "--config-dir", "conf", f"sweeps={name}"]
    refused(place, words, YAML[name][1])
    assert not (place / "ran").exists()


@pytest.mark.parametrize("name", RECIPES)
def test_a_bad_file_of_a_recipe_that_an_axis_names(place, name):
    words = ["train", "--config-dir", "conf", f"axes={{recipe: [{name}]}}"]
    refused(place, words, RECIPES[name][1])


@pytest.mark.parametrize("line", NO_ROWS)
def test_a_place_without_rows(place, line):
    refused(place, line.split(), NO_ROWS[line])


# The machine


class NoHome:
    """A user whom the machine does not know."""

    def getpwuid(self, uid):
        raise KeyError(uid)


@pytest.mark.breadth
def test_without_a_home_nothing_is_cached_and_all_works(tmp_path, monkeypatch):
    for name in ("HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(pwd, "getpwuid", NoHome().getpwuid)
    assert not jax_setup._is_writable(cache.folder())
    assert memcap(tmp_path, "train", *TINY.split()).status == 0


@pytest.mark.parametrize(
    ("part", "number"),
    [
        ("rows", errno.ENOSPC),
        ("weights", errno.EDQUOT),
        ("curves", errno.EIO),
        ("rows", errno.EFBIG),
    ],
)
def test_a_disk_that_is_full_or_gone(tmp_path, monkeypatch, part, number):
    """Nothing is left of the file that did not fit. (A real one, as small tmpfs, gave the same.)"""
    sync = os.fsync

    def full(descriptor):
        if f"/{part}/." in os.readlink(f"/proc/self/fd/{descriptor}"):
            raise OSError(number, os.strerror(number))
        sync(descriptor)

    monkeypatch.setattr(files_module.os, "fsync", full)
    done = memcap(tmp_path, "train", *TINY.split(), "out=study")
    assert (done.status, done.out) == (2, "")
    why = f"cannot be read or written ({os.strerror(number)})"
    assert done.err.count(f"memcap: disk: {why}; set out to another folder\n") == 1
    assert "Error executing" not in done.err + done.out
    assert not list((tmp_path / "study" / part).iterdir())


@pytest.mark.breadth
def test_a_figure_that_does_not_fit_on_the_disk_is_told_of_after_all_rows_are_safe(
    tmp_path, monkeypatch
):
    def full(path, content):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(files_module, "replace", full)
    axes = "axes={model.units: [1, 2, 3]}"
    done = memcap(tmp_path, "train", *TINY.split(), axes, "out=study")
    assert done.status == 2
    assert done.err.splitlines()[-1] == (
        "memcap: study/figures: the figure cannot be written (full); rows are safe, and"
        " memcap figure frontier STUDY -o FOLDER draws it elsewhere"
    )
    assert shards.read(tmp_path / "study").height == 3


@pytest.mark.breadth
def test_what_fits_into_no_memory(tmp_path, monkeypatch):
    def too_large(*arguments, **options):
        raise JaxRuntimeError(
            "RESOURCE_EXHAUSTED: Out of memory allocating 5033295026768 bytes.\nAnd more."
        )

    monkeypatch.setattr(session, "run_study", too_large)
    done = memcap(tmp_path, "train", *TINY.split())
    line = "memory: RESOURCE_EXHAUSTED: Out of memory allocating 5033295026768 bytes."
    line += "; lower engine.lanes, recipe.batch, task.lag or model.units\n"
    assert (done.status, done.out, done.err) == (2, "", f"memcap: {line}")
    for launcher in ("population", "basic"):
        words = f"train -m hydra/launcher={launcher} {TINY} seed=1,2"
        done = memcap(tmp_path, *words.split())
        assert (done.status, "Traceback" in done.err) == (2, False)
        assert done.err.splitlines()[-1] == f"memcap: {line}".strip()


def test_on_a_gpu_the_line_says_how_to_share_its_memory(tmp_path, monkeypatch):
    def taken(*arguments, **options):
        raise JaxRuntimeError("INTERNAL: CUDA_ERROR_OUT_OF_MEMORY: out of memory")

    monkeypatch.setattr(session, "run_study", taken)
    monkeypatch.setattr("jax.default_backend", lambda: "gpu")
    done = memcap(tmp_path, "train", *TINY.split())
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "CUDA_ERROR_OUT_OF_MEMORY" in done.err
    assert "as in XLA_CLIENT_MEM_FRACTION=0.4 (memcap docs accelerators)" in done.err


def test_a_folder_that_is_deleted_while_its_study_trains(tmp_path, monkeypatch):
    def deleted(folder, *arguments):
        shutil.rmtree(folder)
        return write(folder, *arguments)

    write = shards.write
    monkeypatch.setattr(shards, "write", deleted)
    done = memcap(tmp_path, "train", *TINY.split(), "out=study")
    assert (done.status, done.out, done.err.count("memcap: ")) == (2, "", 1)
    assert "Error executing" not in done.err
    assert "study/weights/" in done.err
    assert "set out to another folder" in done.err


def test_tables_do_not_ask_the_disk_through_polars(monkeypatch):
    """Whose errors on a full one are none of the operating system's."""

    def fill_full(path, fill):
        with path.open("wb", buffering=0) as file:
            fill(file)

    monkeypatch.setattr(files_module, "write", fill_full)
    with pytest.raises(OSError, match="No space left") as raised:
        write_table(Path("/dev/full"), frame(group()))
    assert raised.value.errno == errno.ENOSPC


@pytest.mark.breadth
def test_what_is_no_file_among_a_studys_files_is_named_and_passed_over(tmp_path):
    write(tmp_path / "study", group("latch", 5, {1: (0, 2), 2: (2, 2), 3: (2, 2)}))
    expected = memcap(tmp_path, "frontier", "study").out
    tables = ("rows/x.parquet", "curves/x.parquet")
    archives = ("weights/x.npz", "checkpoints/x.npz")
    for name in (*tables, *archives, "jobs/x.json"):
        (tmp_path / "study" / name).mkdir(parents=True)
    done = memcap(tmp_path, "frontier", "study")
    assert (done.status, done.out, done.err.count("\n")) == (0, expected, 1)
    why = "memcap: study/rows/x.parquet: cannot be read (Is a directory); skipped"
    assert done.err.startswith(why)
    assert "1 file of rows cannot be read" in memcap(tmp_path, "status", "study").out
    found = memcap(tmp_path, "verify", "study")
    assert (found.status, found.err) == (1, "")
    assert all(f"study/{name}: " in found.out for name in (*tables, *archives))
    assert memcap(tmp_path, "collect", "study").status == 0
    assert memcap(tmp_path, "train", *TINY.split(), "out=study").status == 0


def test_a_name_is_bounded_where_it_is_given(tmp_path):
    (tmp_path / "recipe").mkdir()
    recipe = f"defaults: [hold]\nname: {'r' * 5000}\n"
    (tmp_path / "recipe" / "long.yaml").write_text(recipe)
    for name, value in (("study", "s" * 256), ("recipe", "long")):
        choice = f"{name}={value}"
        done = memcap(tmp_path, "train", "-cd", ".", *TINY.split(), choice)
        assert (done.status, done.out) == (2, "")
        assert done.err.startswith(f"memcap: {name}")
        assert "must have at most" in done.err


def test_a_figure_is_not_written_through_a_link(tmp_path):
    write(tmp_path / "study", group())
    (tmp_path / "mine").mkdir()
    (tmp_path / "study" / "figures").symlink_to(tmp_path / "mine")
    done = memcap(tmp_path, "figure", "frontier", "study")
    assert (done.status, "is a link; name the folder" in done.err) == (2, True)
    assert not list((tmp_path / "mine").iterdir())


def test_markup_in_a_path_is_a_path(tmp_path):
    for line in (
        f"train {TINY} out='mk[/i]'",
        "status mk[/i]",
        "frontier mk[/i]",
        "verify mk[/i]",
        "collect mk[/i]",
        "figure frontier mk[/i]",
    ):
        done = memcap(tmp_path, *line.split())
        assert done.status == 0, done
        if not line.startswith(("frontier", "verify")):
            assert "mk[/i]" in done.out


def test_it_ends_at_once_where_a_thread_still_trains(monkeypatch):
    """At its own end the interpreter would abort such a thread, and itself."""
    over = threading.Event()
    left = []
    thread = threading.Thread(target=over.wait, name="memcap-worker")
    thread.start()
    monkeypatch.setattr(cli_module.os, "_exit", left.append)
    with contextlib.suppress(SystemExit):
        cli_module.main(["nope"])
    over.set()
    thread.join()
    assert left == [2]


def test_own_code_that_leaves_python_is_one_line(tmp_path):
    for word, text in (("1", "raise SystemExit(0)"), ("2", "import sys; sys.exit(3)")):
        (tmp_path / f"leaves{word}.py").write_text(f"{text}\n")
        done = memcap(tmp_path, "--module", f"leaves{word}", "tasks")
        assert (done.status, done.out, done.err.count("\n")) == (2, "", 1)
        assert "raises SystemExit" in done.err
    (tmp_path / "own.py").write_text(
        '"""Of somebody."""\ndef add_arguments(parser): pass\n'
        "def run(arguments): raise SystemExit(0)\n"
    )
    (tmp_path / "ends.py").write_text("import own\n")
    done = memcap(tmp_path, "ends:own")
    assert (done.status, done.err.count("\n")) == (2, 1)
    assert "SystemExit: 0, at " in done.err


@pytest.mark.parametrize("command", [["train", *TINY.split()], ["frontier"]])
def test_too_few_addresses_are_said_before_a_library_aborts(
    tmp_path, monkeypatch, command
):
    monkeypatch.setattr(
        jax_setup.resource, "getrlimit", lambda _: (1 << 30, jax_setup.LEAST_ADDRESSES)
    )
    jax_setup.setup.cache_clear()
    done = memcap(tmp_path, *command)
    jax_setup.setup.cache_clear()
    assert (done.status, "ulimit -v 1048576: JAX and polars" in done.err) == (2, True)
