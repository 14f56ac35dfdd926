"""How the library of a C source comes into a process: compiled, found, made anew if it
is damaged, or refused."""

import platform
import runpy
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from breadth import leave
from command import python
from native_checks import needs_compiler

from memcap.loops import c_library
from memcap.loops.c_library import LibraryError
from memcap.loops.lstm_native import IN_C
from memcap.runtime import cache

ROOT = Path(__file__).parents[2]
SOURCE = IN_C.source
BARE = """
from memcap.loops.lstm_native import IN_C
print(IN_C.library().name, IN_C.size(0, 5, 2, 3, 2, 4, 0), flush=True)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """Of the libraries of one test."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv(cache.PRIVATE_VARIABLE, "")
    return tmp_path / "memcap" / "native"


@pytest.fixture
def source(tmp_path):
    """One that is compiled in a moment."""
    path = tmp_path / "any.c"
    path.write_text("int number(void) { return 1; }\n")
    return path


@pytest.fixture
def compiled(monkeypatch):
    """Commands that compiled a library."""
    seen = []
    run = c_library._run

    def counted(command):
        if "-shared" in command:
            seen.append(command)
        return run(command)

    monkeypatch.setattr(c_library, "_run", counted)
    return seen


@needs_compiler
def test_a_library_is_compiled_once_and_then_found(folder, compiled, source):
    first = c_library.load(source)
    assert (first.path.parent, first.tested, len(compiled)) == (folder, False, 1)
    first.passed()
    second = c_library.load(source)
    assert (second.name, second.tested, len(compiled)) == (first.name, True, 1)
    assert sorted(path.suffix for path in folder.iterdir()) == [".so", ".tested"]


@needs_compiler
@pytest.mark.parametrize("damage", ["other bytes", "not tested", "another one's test"])
def test_a_library_that_is_not_the_one_that_was_tested_is_made_anew(
    compiled, source, damage
):
    first = c_library.load(source)
    first.passed()
    good = first.path.read_bytes()
    seal = first.path.with_suffix(".tested")
    first.path.unlink()  # this process has it mapped
    if damage == "other bytes":
        first.path.write_bytes(b"\x00" * len(good))
    else:
        first.path.write_bytes(good)
        seal.unlink() if damage == "not tested" else seal.write_bytes(b"\xff" * 64)
    again = c_library.load(source)
    assert (again.path, len(compiled)) == (first.path, 2)
    assert again.path.read_bytes() == good


@needs_compiler
@pytest.mark.parametrize("open_part", [*leave(["memcap", "native"]), "library"])
def test_a_library_that_others_could_have_planted_is_not_loaded(
    folder, tmp_path, capsys, open_part
):
    """Its constructor would run before anything of it is tested."""
    first = c_library.load(SOURCE)
    planted = tmp_path / "planted.c"
    ran = tmp_path / "ran"
    planted.write_text(
        "#include <stdio.h>\n__attribute__((constructor)) static void run(void)"
        f' {{ fclose(fopen("{ran}", "w")); }}\n'
    )
    first.path.unlink()
    c_library._run(["cc", "-shared", "-fPIC", str(planted), "-o", str(first.path)])
    first.path.with_suffix(".tested").write_text(c_library._digest(first.path))
    opened = {"memcap": folder.parent, "native": folder, "library": first.path}[
        open_part
    ]
    opened.chmod(0o777)
    library = c_library.load(SOURCE)
    assert not ran.exists()
    assert library.name == first.name
    line = capsys.readouterr().err
    if open_part == "library":
        assert (library.path, line) == (first.path, "")
        assert first.path.stat().st_mode & 0o077 == 0
    else:
        assert library.path.parent.parent == cache.folder() != folder.parent
        assert line.startswith(
            f"memcap: {opened}: other users may write it, so no code from there is run"
        )
        assert line.count("\n") == 1


@needs_compiler
def test_unlike_processors_and_flags_have_libraries_of_their_own(
    folder, source, monkeypatch
):
    run = c_library._run
    names = {c_library.load(source).path.name}
    with monkeypatch.context() as patch:
        # as another processor makes the compiler say
        other = b"#define __OTHER__ 1\n"
        patch.setattr(c_library, "_run", lambda command: run(command) + other)
        names.add(c_library.load(source).path.name)
    monkeypatch.setattr(c_library, "FLAGS", ("-O2",))
    names.add(c_library.load(source).path.name)
    assert names == {path.name for path in folder.glob("*.so")}
    assert len(names) == 3


@needs_compiler
def test_another_header_is_another_library(tmp_path):
    source = tmp_path / "any.c"
    header = tmp_path / "any.h"
    source.write_text('#include "any.h"\nint number(void) { return NUMBER; }\n')
    numbers = []
    for number in (1, 2, 1):
        header.write_text(f"#define NUMBER {number}\n")
        numbers.append(c_library.load(source).handle.number())
    assert numbers == [1, 2, 1]


@pytest.mark.slow
@needs_compiler
def test_processes_may_compile_it_at_the_same_time(folder):
    with ThreadPoolExecutor() as pool:
        done = list(
            pool.map(lambda _: python(folder.parent, "-P", "-c", BARE), range(3))
        )
    assert [ran.returncode for ran in done] == [0] * 3
    assert len({ran.stdout for ran in done}) == 1
    assert [path.suffix for path in folder.iterdir()] == [".so"]


@pytest.mark.breadth
@needs_compiler
@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="a wheel of Linux on x86-64",
)
def test_without_a_compiler_the_wheels_library_is_taken(
    folder, compiled, tmp_path, monkeypatch
):
    """As the hook of the wheel compiles it, for AVX2."""
    pytest.importorskip("hatchling", reason="pip install hatchling")
    build = runpy.run_path(str(ROOT / "hatch_build.py"))["CustomBuildHook"]
    hook = build(str(ROOT), {}, None, None, "", "wheel")
    data = {"force_include": {}}
    hook.initialize("standard", data)
    names = {Path(name).name for name in data["force_include"].values()}
    cells = ("lstm", "gru")
    assert names == {f"{c}_{level}.so" for c in cells for level in c_library.LEVELS}
    monkeypatch.setattr(c_library, "PREBUILT", Path(hook.scratch.name))
    monkeypatch.setattr(c_library, "CPU_INFO", tmp_path / "cpuinfo")
    (tmp_path / "cpuinfo").write_text(f"flags : {' '.join(c_library.LEVELS['avx2'])}\n")
    monkeypatch.setenv("PATH", "")
    library = c_library.load(SOURCE, IN_C.calls)
    assert compiled == []
    assert library.path.parent == folder
    built = Path(hook.scratch.name, "lstm_avx2.so")
    assert library.path.read_bytes() == built.read_bytes()
    assert library.handle.memcap_lstm_size(0, 5, 2, 3, 2, 4, 0) > 0
    hook.finalize("standard", data, "")


WIDE = c_library.LEVELS["avx512"]
NARROW = c_library.LEVELS["avx2"]


@pytest.mark.parametrize(
    ("flags", "name"),
    [
        (WIDE, "lstm_avx512.so"),
        (WIDE - {"avx512bw"}, "lstm_avx2.so"),
        (NARROW - {"fma"}, None),
    ],
)
def test_the_wheels_library_is_the_fastest_that_the_processor_runs(
    tmp_path, monkeypatch, flags, name
):
    monkeypatch.setattr(c_library, "PREBUILT", tmp_path)
    monkeypatch.setattr(c_library, "CPU_INFO", tmp_path / "cpuinfo")
    assert c_library.prebuilt("lstm") is None  # another system
    words = f"model name : any\nflags : sse2 {' '.join(flags)}\n"
    (tmp_path / "cpuinfo").write_text(words)
    assert c_library.prebuilt("lstm") is None  # another wheel
    for path in ("lstm_avx512.so", "lstm_avx2.so"):
        (tmp_path / path).touch()
    assert c_library.prebuilt("lstm") == (name and tmp_path / name)


CANNOT_LOAD = "its library can be neither written nor loaded"


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, r"there is no C compiler `.*/cc` here \(No such file or directory\)$"),
        (
            "echo 'In a file:' >&2; echo 'error: bad value for -march=' >&2; exit 1",
            r"`.*/cc` cannot compile it \(error: bad value for -march=\)$",
        ),
        ("while :; do :; done", r"`.*/cc` took more than 0\.5 s$"),
        # as what a compiler for another machine makes
        ('for last; do :; done; echo "$@" > "$last"', CANNOT_LOAD),
    ],
    ids=["none", "does not know the processor", "hangs", "writes no library"],
)
def test_what_a_compiler_cannot_do_is_the_reason(tmp_path, monkeypatch, script, said):
    compiler = tmp_path / "cc"
    if script is not None:
        compiler.write_text(f"#!/bin/sh\n{script}\n")
        compiler.chmod(0o755)
    monkeypatch.setattr(c_library, "COMPILER", str(compiler))
    monkeypatch.setattr(c_library, "MOST_SECONDS", 0.5)
    with pytest.raises(LibraryError, match=said):
        c_library.load(SOURCE)


@needs_compiler
def test_a_cache_that_cannot_be_written_is_the_reason(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(LibraryError, match=rf"^{CANNOT_LOAD} .*File exists"):
        c_library.load(SOURCE)


@needs_compiler
def test_sizes_that_would_overflow_have_none():
    size = IN_C.size
    assert size(0, 5, 2, 3, 2, 4, 0) > 0
    for which in range(3):
        assert size(which, 2**24, 2, 3, 2, 2**24, 0) == -1
    assert size(0, -1, 2, 3, 2, 4, 0) == -1
