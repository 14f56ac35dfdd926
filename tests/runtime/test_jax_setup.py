"""The set-up of JAX, each time in a process of its own: flags and caches are set before
JAX starts; and precision of products."""

import json
import mmap
import os
import subprocess
import sys
from pathlib import Path

import jax
import pytest
from breadth import leave
from test_flags import KNOWN, verdict_of, verdicts

from memcap.config.member import Engine, Member
from memcap.config.recipes import Recipe
from memcap.models.architecture import Architecture
from memcap.models.model import Model
from memcap.runtime import flags, jax_setup
from memcap.tasks import task_class
from memcap.trained import Trained
from memcap.training import program as program_module
from memcap.training.program import Program, compiled

REPORT = """
import sys
from memcap.runtime import flags, jax_setup
flags.CPU_FLAGS = tuple(sys.argv[1:]) or flags.CPU_FLAGS
jax_setup.setup()
import json, os, jax
product = float(jax.jit(lambda x: x + 1)(1.0))
flags = os.environ.get("XLA_FLAGS", "")
print(json.dumps({"product": product, "flags": flags, **jax.config.values}, default=str))
"""
SECONDS = "jax_persistent_cache_min_compile_time_secs"
BYTES = "jax_persistent_cache_min_entry_size_bytes"
OWN = Member(
    task_class("latch")(),
    1,
    model=Model(units=1),
    recipe=Recipe("hold", budget=2, batch=3),
)


def python(script: str, folder: Path, *arguments: str, **environment: str) -> str:
    """Stdout of a script in a process that knows no flag and has an empty cache."""
    kept = {
        k: v
        for k, v in os.environ.items()
        if k not in ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR", SECONDS.upper())
    }
    path = os.pathsep.join(
        filter(None, [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH")])
    )
    ran = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", script, *arguments],
        env=kept
        | {"XDG_CACHE_HOME": str(folder), "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"}
        | environment,
        cwd=folder if folder.is_dir() else None,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def prepared(folder: Path, *flags: str, **environment: str) -> dict:
    """What REPORT says: the flags, and every value of JAX's config."""
    options = json.loads(python(REPORT, folder, *flags, **environment))
    assert options["product"] == 2
    return options


def test_flags_and_cache_are_set_and_the_verdict_is_kept(tmp_path):
    (tmp_path / "jax.py").write_text(
        "raise ImportError('not this one')"
    )  # in the current folder
    options = prepared(tmp_path, KNOWN)
    assert options["flags"] == KNOWN
    cache = Path(options["jax_compilation_cache_dir"])
    assert cache == tmp_path / "memcap" / "xla"
    assert list(cache.iterdir())  # also the smallest program is kept
    assert (options[SECONDS], options[BYTES]) == (0.0, -1)
    # the process's own products are no concern of memcap
    assert options["jax_default_matmul_precision"] is None
    assert verdicts(tmp_path) == {verdict_of(KNOWN): "yes"}


def test_a_users_flags_and_cache_are_kept(tmp_path):
    own = "--xla_cpu_enable_fast_math=false"
    mine = str(tmp_path / "mine")
    options = prepared(tmp_path, KNOWN, XLA_FLAGS=own, JAX_COMPILATION_CACHE_DIR=mine)
    assert options["flags"] == f"{own} {KNOWN}"
    assert options["jax_compilation_cache_dir"] == mine
    assert (options[SECONDS], options[BYTES]) == (1.0, 0)  # JAX's own


COMPILES = """
from memcap.runtime.jax_setup import setup
setup()
import jax
print([float(jax.jit(function)(1.0)) for function in (lambda x: x + 1, lambda x: x * 3)])
"""
EMPTIES = """
import sys, warnings
from pathlib import Path
from memcap.runtime import cache, flags, jax_setup
jax_setup.setup()
import jax
if "worker" in sys.argv:
    warnings.resetwarnings()
    warnings.simplefilter("error")
    jax_setup.apply_settings(jax_setup.worker_settings())
for path in Path(jax.config.values["jax_compilation_cache_dir"]).iterdir():
    path.write_bytes(b"")
print(float(jax.jit(lambda x: x + 1)(1.0)))
"""


@pytest.mark.breadth
def test_a_program_whose_process_was_killed_while_writing_is_compiled_once_more(
    tmp_path,
):
    """The kernel breaks a write off between pages, or before the first."""
    python(COMPILES, tmp_path)
    folder = tmp_path / "memcap" / "xla"
    programs = list(folder.iterdir())
    assert len(programs) == 2
    for pages, path in enumerate(programs):
        path.write_bytes(
            path.read_bytes().ljust(mmap.PAGESIZE)[: pages * mmap.PAGESIZE]
        )
    assert python(COMPILES, tmp_path) == "[2.0, 3.0]\n"
    # JAX would warn, which is an error here, of a program that it cannot read in a user's own cache
    assert (
        python(COMPILES, tmp_path, JAX_COMPILATION_CACHE_DIR=str(folder))
        == "[2.0, 3.0]\n"
    )
    assert all(path.stat().st_size % mmap.PAGESIZE for path in programs)


@pytest.mark.breadth
@pytest.mark.parametrize("process", ["own", "worker"])
def test_a_program_that_another_process_is_writing_is_compiled_without_a_word(
    tmp_path, process
):
    python(COMPILES, tmp_path)
    assert python(EMPTIES, tmp_path, process) == "2.0\n"


def test_a_cache_folder_that_cannot_be_made_stops_nothing(tmp_path):
    file = tmp_path / "file"
    file.touch()
    found = prepared(file / "below", KNOWN)
    assert found["flags"] == KNOWN
    assert found["jax_compilation_cache_dir"] is None


# Without the command

NOTEBOOK = """
import json, os, memcap
recipe = memcap.Recipe("hold", budget=2, batch=3)
member = memcap.Member(memcap.tasks.Latch(), 1, model=memcap.Model(units=1), recipe=recipe)
(row,) = memcap.train([member], progress=False).iter_rows(named=True)
import jax
cache = jax.config.values["jax_compilation_cache_dir"]
columns = ("key", "matmul_precision", "xla_flags", "scan")
print(json.dumps({name: row[name] for name in columns} | {"cache": cache}))
"""


@pytest.mark.breadth
def test_a_process_that_never_ran_the_command_is_set_up_as_well(tmp_path):
    found = json.loads(python(NOTEBOOK, tmp_path))
    works = [
        flag
        for flag in flags.CPU_FLAGS
        if verdicts(tmp_path)[verdict_of(flag)] == "yes"
    ]
    assert KNOWN in works
    cache = tmp_path / "memcap" / "xla"
    assert found == {
        **{
            "key": OWN.key,
            "matmul_precision": "highest",
            "xla_flags": " ".join(works),
            "scan": "loop",
        },
        "cache": str(cache),
    }
    assert list(cache.iterdir())


# Precision


@pytest.fixture
def coarse():
    """A process that has asked for products of 8 bits."""
    jax.config.update("jax_default_matmul_precision", "bfloat16")
    yield
    jax.config.update("jax_default_matmul_precision", None)


@pytest.mark.parametrize("loop", ["while", *leave(["associative"])])
def test_the_products_of_a_compiled_program_are_exact_whatever_the_process_has_set(
    coarse, monkeypatch, loop
):
    texts = []
    build = jax.stages.Lowered.compile

    def seen(self, *arguments, **options):
        texts.append(self.as_text())
        return build(self, *arguments, **options)

    monkeypatch.setattr(jax.stages.Lowered, "compile", seen)
    program_module._jobs.clear()
    assert compiled(
        Program.of(OWN, Engine(loop=loop))
    ).evaluate  # once it is there, too
    assert len(texts) == 2  # training, and evaluation
    for text in texts:
        products = [line for line in text.splitlines() if "dot_general" in line]
        assert len(products) >= 2
        assert all("precision = [HIGHEST, HIGHEST]" in line for line in products)


def test_the_products_of_a_loaded_network_are_exact_as_well(coarse, monkeypatch):
    precisions = []
    build = Architecture.build

    def seen(self, weights):
        precisions.append(jax.config.jax_default_matmul_precision)
        return build(self, weights)

    monkeypatch.setattr(Architecture, "build", seen)
    loaded = Trained(OWN, OWN.architecture.init(OWN.init, [0]))
    assert precisions == ["bfloat16"]  # no product is traced here
    loaded.run([[0]])
    loaded.step([0])
    assert precisions[1:] == ["highest", "highest"]


def test_programs_of_others_are_removed_before_any_is_read(tmp_path):
    """What anybody may write, a link, and, where this is root, what belongs to another."""
    planted = {"open": 0o666, "ours": 0o600, "of_the_umask": 0o664, "theirs": 0o600}
    for name, mode in planted.items():
        (tmp_path / name).write_bytes(b"program")
        (tmp_path / name).chmod(mode)
    (tmp_path / "link").symlink_to(tmp_path / "ours")
    if os.geteuid() == 0:
        os.chown(tmp_path / "theirs", 65534, 65534)
    jax_setup._remove_unfit(tmp_path)
    left = {path.name for path in tmp_path.iterdir()}
    assert left - {"theirs"} == {"ours", "of_the_umask"}
    assert ("theirs" in left) == (os.geteuid() != 0)
