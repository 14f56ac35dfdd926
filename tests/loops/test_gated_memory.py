"""The C reads and writes its buffers and nothing else: random calls, sound and unsound,
under sanitizers (fuzz.c)."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import jax
import pytest
from breadth import leave
from native_checks import needs_compiler

from memcap.loops import c_library, gru_native, lstm_native
from memcap.loops.c_library import COMPILER
from memcap.loops.gated_native import GatedC

LSTM = lstm_native.IN_C
GRU = gru_native.IN_C
SANITIZED = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SANITIZED += ("-Wall", "-Wextra", "-Werror", "-Wno-psabi")
# what the processor must know, and W
WIDTHS = {
    "-msse2": ("sse2", 4),
    "-mavx2 -mfma": ("avx2", 8),
    "-mavx512f": ("avx512f", 16),
}
ALL_WIDTHS = (
    list(WIDTHS) if platform.machine() in ("x86_64", "AMD64") else ["-march=native"]
)


def label(value):
    """Of a case."""
    return value if isinstance(value, str) else value.name


def known() -> set[str]:
    """Instruction sets of this processor, as Linux calls them."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())


def random_calls(folder, cell, compiler, flags, count, runner=()) -> str:
    """Compile fuzz.c for a cell, make so many random calls, and return what it says."""
    include = [f"-I{jax.ffi.include_dir()}", f"-I{cell.source.parent}"]
    source = [f'-DSOURCE="{cell.source.name}"', str(Path(__file__).with_name("fuzz.c"))]
    command = [compiler, *flags, *include, *source, "-lm", "-o", "fuzz"]
    # GCC 12's own check of stacks aligns vectors badly
    environment = os.environ | {"ASAN_OPTIONS": "detect_stack_use_after_return=0"}
    options = {"cwd": folder, "env": environment, "timeout": 200, "check": False}
    options |= {"capture_output": True, "text": True}
    built = subprocess.run(command, **options)
    if "asan" in built.stderr and "cannot find" in built.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    done = subprocess.run([*runner, "./fuzz", str(count)], **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@needs_compiler
@pytest.mark.slow
@pytest.mark.parametrize(
    ("cell", "flags"),
    [*((LSTM, flags) for flags in ALL_WIDTHS), (GRU, ALL_WIDTHS[-1])],
    ids=label,
)
def test_random_calls_stay_within_their_buffers(tmp_path, cell, flags):
    needed, width = WIDTHS.get(flags, ("", 4))
    if needed and needed not in known():
        pytest.skip(f"the processor has no {needed}")
    options = [*SANITIZED, *flags.split()]
    said = random_calls(tmp_path, cell, COMPILER, options, 1000)
    assert said == f"1000 cases, vectors of {width}\n"


@needs_compiler
@pytest.mark.parametrize(
    ("cell", "flags"),
    leave([(LSTM, "-mavx2 -mfma"), (LSTM, "-msse2"), (GRU, "-msse2")]),
    ids=label,
)
def test_narrower_vectors_compute_the_same(tmp_path, monkeypatch, cell, flags):
    """A machine that has the widest is not the only one on which it must be right."""
    needed, width = WIDTHS[flags]
    if needed not in known():
        pytest.skip(f"the processor has no {needed}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(c_library, "FLAGS", ("-O2", *flags.split()))
    GatedC.library.cache_clear()
    try:
        # of a slot: x, the carry, gates, tanh c
        rows = 1 + 4 + (3 if cell is LSTM else 1)
        # two slots, two vectors a row
        assert cell.size(2, 1, 1, 1, 1, 1, 1) == 2 * rows * 2 * width
        assert cell.check()
    finally:
        GatedC.library.cache_clear()


ARM = (
    "aarch64-linux-gnu-gcc",
    "qemu-aarch64",
)  # Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user


@pytest.mark.skipif(
    not all(map(shutil.which, ARM)), reason=f"needs {' and '.join(ARM)}"
)
@pytest.mark.parametrize("cell", [LSTM, GRU], ids=label)
def test_random_calls_on_an_emulated_arm(tmp_path, cell):
    """Without the sanitizer of addresses, which does not run there."""
    compiler, emulator = ARM
    flags = ["-O2", "-static", "-fsanitize=undefined", "-fno-sanitize-recover=all"]
    said = random_calls(tmp_path, cell, compiler, flags, 200, [emulator])
    assert said == "200 cases, vectors of 4\n"
