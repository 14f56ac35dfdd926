"""The C reads and writes its buffers and nothing else: random calls, sound and unsound, under sanitizers
(fuzz.c)."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import jax
import pytest
from native_checks import needs_compiler

from memcap.loops import c_library, lstm_native
from memcap.loops.c_library import COMPILER
from memcap.loops.lstm_native import SOURCE, TESTED, _right

SANITIZED = (
    "-O1",
    "-g",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    "-Wall",
    "-Wextra",
    "-Werror",
    "-Wno-psabi",
)
WIDTHS = {
    "-msse2": ("sse2", 4),
    "-mavx2 -mfma": ("avx2", 8),
    "-mavx512f": ("avx512f", 16),
}  # what the processor must know, and W


def known() -> set[str]:
    """Instruction sets of this processor, as Linux calls them."""
    path = Path("/proc/cpuinfo")
    lines = path.read_text().splitlines() if path.exists() else []
    return set(next((line for line in lines if line.startswith("flags")), "").split())


@needs_compiler
@pytest.mark.parametrize("flags", WIDTHS if platform.machine() in ("x86_64", "AMD64") else ["-march=native"])
def test_random_calls_stay_within_their_buffers(tmp_path, flags):
    needed, width = WIDTHS.get(flags, ("", 4))
    if needed and needed not in known():
        pytest.skip(f"the processor has no {needed}")
    include = [f"-I{jax.ffi.include_dir()}", f"-I{SOURCE.parent}"]
    command = [
        COMPILER,
        *SANITIZED,
        *flags.split(),
        *include,
        str(Path(__file__).with_name("fuzz.c")),
        "-lm",
        "-o",
    ]
    built = subprocess.run(
        [*command, str(tmp_path / "fuzz")], capture_output=True, text=True, check=False, timeout=200
    )
    if "asan" in built.stderr and "cannot find" in built.stderr:
        pytest.skip("the compiler has no sanitizers")
    assert built.returncode == 0, built.stderr
    environment = {
        **os.environ,
        "ASAN_OPTIONS": "detect_stack_use_after_return=0",
    }  # GCC 12's own check of it aligns vectors badly
    done = subprocess.run(
        [tmp_path / "fuzz", "1000"], capture_output=True, text=True, check=False, env=environment, timeout=200
    )
    assert (done.returncode, done.stdout) == (0, f"1000 cases, vectors of {width}\n"), (
        done.stdout + done.stderr
    )


@needs_compiler
@pytest.mark.parametrize("flags", ["-mavx2 -mfma", "-msse2"])
def test_narrower_vectors_compute_the_same(tmp_path, monkeypatch, flags):
    """A machine that has the widest is not the only one on which it must be right."""
    needed, width = WIDTHS[flags]
    if needed not in known():
        pytest.skip(f"the processor has no {needed}")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(c_library, "FLAGS", ("-O2", *flags.split()))
    lstm_native.library.cache_clear()
    try:
        lanes = lstm_native.size(2, 1, 1, 1, 1, 1, 1) // 2 // 8  # two slots of x and 7 rows, of 2 vectors
        assert lanes == 2 * width
        assert all(_right(*sizes) for sizes in TESTED)
    finally:
        lstm_native.library.cache_clear()


ARM = "aarch64-linux-gnu-gcc", "qemu-aarch64"  # Debian: gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user


@pytest.mark.skipif(not all(map(shutil.which, ARM)), reason=f"needs {' and '.join(ARM)}")
def test_random_calls_on_an_emulated_arm(tmp_path):
    """Without the sanitizer of addresses, which does not run there."""
    include = [f"-I{jax.ffi.include_dir()}", f"-I{SOURCE.parent}"]
    command = [
        ARM[0],
        "-O2",
        "-static",
        "-fsanitize=undefined",
        "-fno-sanitize-recover=all",
        *include,
        "-o",
        "fuzz",
    ]
    subprocess.run(
        [*command, str(Path(__file__).with_name("fuzz.c")), "-lm"], cwd=tmp_path, check=True, timeout=200
    )
    done = subprocess.run(
        [ARM[1], "fuzz", "200"], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=200
    )
    assert (done.returncode, done.stdout) == (0, "200 cases, vectors of 4\n"), done.stdout + done.stderr
