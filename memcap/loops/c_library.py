"""A C source as a library of this process, compiled at first use by the system's `cc`.

It lies in the cache folder, beside its digest once tested; its name changes with
source, headers, compiler and processor. Without a compiler the wheel's is taken
(hatch_build.py).
"""

import ctypes
import hashlib
import os
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax

from memcap.runtime import cache

COMPILER = "cc"
FLAGS = ("-O2", "-march=native")
MOST_SECONDS = 120  # that a compiler may take; it usually takes one
PREBUILT = Path(__file__).with_name("prebuilt")
# Instructions that the wheel's libraries use, by Linux's names; the fastest first.
AVX2 = {"avx2", "fma", "f16c", "bmi1", "bmi2", "abm", "movbe"}
LEVELS = {
    "avx512": AVX2 | {"avx512f", "avx512bw", "avx512cd", "avx512dq", "avx512vl"},
    "avx2": AVX2,
}
CPU_INFO = Path("/proc/cpuinfo")


class LibraryError(RuntimeError):
    """This machine cannot have the library; the message follows "as"."""


@dataclass(frozen=True)
class Library:
    """A library in this process: its file, the digest of its bytes, and its handle."""

    path: Path
    digest: str
    handle: ctypes.CDLL

    @property
    def name(self) -> str:
        return f"{self.path.stem}-{self.digest[:8]}"

    def target(self, call: str) -> str:
        """Return XLA's name of a function, unique to this library."""
        return f"{call}_{self.name}"

    @property
    def tested(self) -> bool:
        return _tested(self.path) == self.digest

    def passed(self) -> None:
        cache.write(self.path.with_suffix(".tested"), self.digest.encode())


def load(source: Path, calls: Sequence[str] = ()) -> Library:
    """Load a source's library from the cache or the wheel, or compile it.

    `calls` are its handlers for XLA. Raise LibraryError if it cannot be had.
    """
    try:
        try:
            path = _compiled(source)
        except LibraryError:
            ready = prebuilt(source.stem)
            if ready is None:
                raise
            content = ready.read_bytes()
            path = _cached(
                source.stem, [content], lambda path: path.write_bytes(content)
            )
        library = Library(path, _digest(path), ctypes.CDLL(str(path)))
    except OSError as error:
        raise LibraryError(
            f"its library can be neither written nor loaded ({error})"
        ) from error
    for call in calls:
        if not hasattr(library.handle, call):
            raise LibraryError(f"its library lacks the function {call}")
        capsule = jax.ffi.pycapsule(getattr(library.handle, call))
        jax.ffi.register_ffi_target(library.target(call), capsule, platform="cpu")
    return library


def prebuilt(stem: str) -> Path | None:
    try:
        lines = CPU_INFO.read_text().splitlines()
    except OSError:
        return None
    flags = set(next((line for line in lines if line.startswith("flags")), "").split())
    for level, needs in LEVELS.items():
        path = PREBUILT / f"{stem}_{level}.so"
        if needs <= flags and path.exists():
            return path
    return None


def _compiled(source: Path) -> Path:
    include = jax.ffi.include_dir()
    headers = [*sorted(source.parent.glob("*.h")), Path(include, "xla/ffi/api/c_api.h")]
    # the compiler's version, and the processor's instructions
    macros = _run([COMPILER, *FLAGS, "-dM", "-E", "-x", "c", os.devnull])
    files = [path.read_bytes() for path in (source, *headers)]
    command = [COMPILER, *FLAGS, "-shared", "-fPIC", f"-I{include}", str(source), "-o"]
    parts = [*files, " ".join(FLAGS).encode(), macros]
    return _cached(source.stem, parts, lambda path: _run([*command, str(path)]))


def _cached(stem: str, parts: list[bytes], make: Callable[[Path], Any]) -> Path:
    """Return the cached tested library of these parts, or what `make` writes."""
    key = hashlib.sha256(b"\0".join(parts)).hexdigest()[:16]
    path = cache.folder() / "native" / f"{stem}-{key}.so"
    theirs = any(map(cache.not_ours, (path, path.with_suffix(".tested"))))
    if theirs or not path.exists() or _tested(path) != _digest(path):
        cache.make(path.parent)
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            library = Path(scratch, path.name)
            make(library)
            library.chmod(0o700)  # whatever the umask, nobody else may write it
            # whole or not at all: other processes may make it, too
            library.replace(path)
    return path


def missing(
    library: Callable[[], Library], right: Callable[[], bool], what: str
) -> str | None:
    """Return why this process cannot use a library, or None if it can.

    A new one is first tested by `right`; `what` names what it computes ("an LSTM").
    """
    if jax.default_backend() != "cpu":
        return "it is for CPUs"
    try:
        loaded = library()
        if not loaded.tested:
            if not right():
                return f"{loaded.path} does not compute {what}"
            loaded.passed()
    except LibraryError as error:
        return str(error)
    except (ValueError, jax.errors.JaxRuntimeError) as error:
        return f"XLA does not take it ({str(error).partition(chr(10))[0]})"
    return None


def _run(command: Sequence[str]) -> bytes:
    compiler = f"`{command[0]}`"
    try:
        return subprocess.run(
            command, capture_output=True, check=True, timeout=MOST_SECONDS
        ).stdout
    except OSError as error:
        why = f"there is no C compiler {compiler} here ({error.strerror})"
        raise LibraryError(why) from error
    except subprocess.CalledProcessError as error:
        lines = error.stderr.decode(errors="replace").strip().splitlines()
        lines.append(f"status {error.returncode}")
        line = next((line for line in lines if "error" in line), lines[0])
        raise LibraryError(f"{compiler} cannot compile it ({line})") from error
    except subprocess.TimeoutExpired as error:
        raise LibraryError(f"{compiler} took more than {MOST_SECONDS} s") from error


def _digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def _tested(path: Path) -> str:
    try:
        return path.with_suffix(".tested").read_text()
    except (OSError, UnicodeDecodeError):
        return ""
