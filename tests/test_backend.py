"""The set-up of JAX, each time in a process of its own: flags and caches are set before JAX starts."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPORT = """
import sys
from memcap import backend
backend.CPU_FLAGS = tuple(sys.argv[1:]) or backend.CPU_FLAGS
backend.prepare()
import os, jax
print(float(jax.jit(lambda x: x + 1)(1.0)))
print(os.environ.get("XLA_FLAGS", ""))
print(jax.config.values["jax_compilation_cache_dir"])
print(jax.config.values["jax_default_matmul_precision"])
"""
KNOWN = "--xla_cpu_prefer_vector_width=512"
UNKNOWN = "--xla_no_such_flag=true"


def prepared(folder: Path, *flags: str, **environment: str) -> list[str]:
    """Lines of REPORT: a product, the flags, the cache, the precision."""
    kept = {k: v for k, v in os.environ.items() if k not in ("XLA_FLAGS", "JAX_COMPILATION_CACHE_DIR")}
    path = os.pathsep.join(filter(None, [str(Path(__file__).parents[1]), os.environ.get("PYTHONPATH")]))
    ran = subprocess.run(
        [sys.executable, "-W", "error", "-c", REPORT, *flags],
        env=kept | {"XDG_CACHE_HOME": str(folder), "PYTHONPATH": path, "JAX_PLATFORMS": "cpu"} | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert lines[0] == "2.0"
    return lines


def verdicts(folder: Path) -> list[str]:
    return [path.read_text() for path in (folder / "memcap").glob("flags-*")]


def test_flags_and_cache_are_set_and_the_verdict_is_kept(tmp_path):
    _, flags, cache, precision = prepared(tmp_path, KNOWN)
    assert flags == KNOWN
    assert Path(cache) == tmp_path / "memcap" / "xla"
    assert list(Path(cache).iterdir())  # also the smallest program is kept
    assert precision == "highest"
    assert verdicts(tmp_path) == ["yes"]


def test_an_unknown_flag_is_not_set(tmp_path):
    assert prepared(tmp_path, KNOWN, UNKNOWN)[1] == ""
    assert verdicts(tmp_path) == ["no"]


@pytest.mark.parametrize(("verdict", "flags"), [("no", ""), ("yes", KNOWN), ("", KNOWN), ("ye", KNOWN)])
def test_a_verdict_is_believed_if_it_is_whole(tmp_path, verdict, flags):
    from memcap import backend

    name = f"flags-jaxlib-{backend.importlib.metadata.version('jaxlib')}-{backend.hash_of((KNOWN,))}"
    (tmp_path / "memcap").mkdir()
    (tmp_path / "memcap" / name).write_text(verdict)
    assert prepared(tmp_path, KNOWN)[1] == flags
    assert verdicts(tmp_path) == ["no" if verdict == "no" else "yes"]


def test_a_users_flags_and_cache_are_kept(tmp_path):
    own = "--xla_cpu_enable_fast_math=false"
    mine = str(tmp_path / "mine")
    _, flags, cache, _ = prepared(tmp_path, KNOWN, XLA_FLAGS=own, JAX_COMPILATION_CACHE_DIR=mine)
    assert flags == f"{own} {KNOWN}"
    assert cache == mine
    other = "--xla_cpu_prefer_vector_width=256"
    assert prepared(tmp_path, KNOWN, XLA_FLAGS=other)[1] == other


def test_a_cache_folder_that_cannot_be_made_stops_nothing(tmp_path):
    file = tmp_path / "file"
    file.touch()
    _, flags, cache, _ = prepared(file / "below", KNOWN)
    assert flags == KNOWN
    assert cache == "None"


def test_the_cache_folder_follows_the_environment(tmp_path, monkeypatch):
    from memcap import backend

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert backend.cache_folder() == tmp_path / "memcap"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert backend.cache_folder() == Path.home() / ".cache" / "memcap"
