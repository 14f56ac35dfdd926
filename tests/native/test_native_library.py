"""How the library of the LSTM in C comes into a process: compiled, found, made anew if it is damaged, or
refused."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from native_checks import needs_compiler

from memcap import native
from memcap.native import NativeError, load

ROOT = Path(__file__).parents[2]
BARE = """
from memcap import native
found = native.load()
print(found.name, found.size(0, 5, 2, 3, 2, 4, 0), flush=True)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Of the libraries of one test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "memcap" / "native"


@pytest.fixture
def compiled(monkeypatch):
    """Commands that compiled a library."""
    seen, run = [], native._run

    def counted(command):
        if "-shared" in command:
            seen.append(command)
        return run(command)

    monkeypatch.setattr(native, "_run", counted)
    return seen


@needs_compiler
def test_a_library_is_compiled_once_and_then_found(folder, compiled):
    first = load()
    assert (first.path.parent, first.tested, len(compiled)) == (folder, False, 1)
    first.passed()
    second = load()
    assert (second.name, second.tested, len(compiled)) == (first.name, True, 1)
    assert sorted(path.suffix for path in folder.iterdir()) == [".so", ".tested"]


@needs_compiler
@pytest.mark.parametrize("damage", ["cut", "other bytes", "not tested", "another one's test"])
def test_a_library_that_is_not_the_one_that_was_tested_is_made_anew(compiled, damage):
    first = load()
    first.passed()
    good, seal = first.path.read_bytes(), first.path.with_suffix(".tested")
    first.path.unlink()  # this process has it mapped
    if damage == "cut":
        first.path.write_bytes(good[: len(good) // 2])
    elif damage == "other bytes":
        first.path.write_bytes(b"\x00" * len(good))
    else:
        first.path.write_bytes(good)
        seal.unlink() if damage == "not tested" else seal.write_bytes(b"\xff" * 64)
    again = load()
    assert (again.path, len(compiled)) == (first.path, 2)
    assert again.path.read_bytes() == good


@needs_compiler
def test_unlike_processors_and_flags_have_libraries_of_their_own(folder, monkeypatch):
    names, run = {load().path.name}, native._run
    monkeypatch.setattr(
        native, "_run", lambda command: run(command) + b"#define __OTHER__ 1\n" * ("-dM" in command)
    )
    names.add(load().path.name)
    monkeypatch.setattr(native, "_run", run)
    monkeypatch.setattr(native, "FLAGS", ("-O2",))
    names.add(load().path.name)
    assert names == {path.name for path in folder.glob("*.so")}
    assert len(names) == 3


@needs_compiler
def test_processes_may_compile_it_at_the_same_time(folder):
    def process(_):
        command = [sys.executable, "-P", "-c", BARE]
        return subprocess.run(
            command, capture_output=True, text=True, check=True, env=environment, timeout=200
        ).stdout

    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with ThreadPoolExecutor() as pool:
        said = set(pool.map(process, range(3)))
    assert len(said) == 1
    assert [path.suffix for path in folder.iterdir()] == [".so"]


def script(folder, text):
    """A compiler that does as it is told."""
    path = folder / "cc"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


def test_without_a_compiler_the_reason_is_that(monkeypatch):
    monkeypatch.setenv("PATH", "")
    with pytest.raises(
        NativeError, match=r"^there is no C compiler `cc` here \(No such file or directory\)$"
    ):
        load()


def test_a_compiler_that_does_not_know_the_processor_is_quoted(tmp_path, monkeypatch):
    monkeypatch.setattr(
        native,
        "COMPILER",
        script(tmp_path, "echo 'In a file:' >&2; echo 'error: bad value for -march=' >&2; exit 1"),
    )
    with pytest.raises(NativeError, match=r"cannot compile it \(error: bad value for -march=\)$"):
        load()


def test_a_compiler_that_hangs_is_not_waited_for(tmp_path, monkeypatch):
    monkeypatch.setattr(native, "COMPILER", script(tmp_path, "while :; do :; done"))
    monkeypatch.setattr(native, "MOST_SECONDS", 0.1)
    with pytest.raises(NativeError, match=r"took more than 0\.1 s$"):
        load()


def test_what_cannot_be_loaded_is_refused(tmp_path, monkeypatch):
    """As what a compiler for another machine makes."""
    monkeypatch.setattr(native, "COMPILER", script(tmp_path, 'for last; do :; done; echo "$@" > "$last"'))
    with pytest.raises(NativeError, match=r"^its library can be neither written nor loaded"):
        load()


@needs_compiler
def test_a_cache_that_cannot_be_written_is_the_reason(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(
        NativeError, match=r"^its library can be neither written nor loaded .*Not a directory"
    ):
        load()


@needs_compiler
def test_sizes_that_would_overflow_have_none():
    size = load().size
    assert size(0, 5, 2, 3, 2, 4, 0) > 0
    assert {size(which, 2**24, 2, 3, 2, 2**24, 0) for which in range(3)} == {-1}
    assert {size(0, 5, 2**15 + 1, 3, 2, 4, 1), size(0, 5, 2, 0, 2, 4, 0), size(0, -1, 2, 3, 2, 4, 0)} == {-1}
    assert size(1, 2**20, 2**15, 2**15, 2**15, 2**10, 1) == (2**20 + 1) * 2**10 * 2**18
