"""XLA flags that let a study's small programs compile and run faster on a CPU.

A jaxlib that does not know a flag aborts the process, as 0.12 does on the first one. So
each is tried in a child process, once per jaxlib version.
"""

import contextlib
import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import cache as once
from pathlib import Path

import jaxlib

from memcap.knobs import UserError
from memcap.runtime import cache

CPU_FLAGS = ("--xla_cpu_use_fusion_emitters=false", "--xla_cpu_prefer_vector_width=512")
# The first does not import JAX, but is not public and may be removed one day.
_PROBES = (
    "from jaxlib import xla_client; xla_client.make_cpu_client()",
    "import jax; jax.jit(lambda x: x + 1)(1.0)",
)
_REFUSALS = (b"Unknown flag", b"Couldn't interpret value")  # of a flag, of its value


@once
def complete() -> str:
    """Return XLA_FLAGS with the flags that jaxlib knows and the user has not set."""
    theirs = os.environ.get("XLA_FLAGS", "").strip()
    if theirs and not theirs.startswith("--"):  # XLA takes it for the name of a file
        theirs = _flags_of_file(theirs)
    if theirs and _verdict(theirs) == "no":
        raise UserError(
            f"XLA_FLAGS={theirs}: this jaxlib knows no such flag or value, and would abort;"
            " unset it"
        )
    unset = [flag for flag in CPU_FLAGS if flag.split("=")[0] not in theirs]
    with ThreadPoolExecutor() as pool:
        known = list(pool.map(is_known, unset))
    added = [flag for flag, good in zip(unset, known, strict=True) if good]
    return " ".join([theirs, *added]).strip()


def _flags_of_file(name: str) -> str:
    with contextlib.suppress(OSError, ValueError):
        words = Path(name).read_text().split()
        if words and words[0].startswith("--"):
            return " ".join(words)
    raise UserError(
        f"XLA_FLAGS={name}: neither flags, which begin with --, nor a file of flags; unset it"
    )


def is_known(flag: str) -> bool:
    """Try a flag in a child process, unless the cache folder holds the verdict."""
    return _verdict(flag) == "yes"


def _verdict(flag: str) -> str:
    """Return whether jaxlib knows all flags: "yes", "no", or "" if unknown."""
    name = f"flag-jaxlib-{jaxlib.__version__}-{digest(flag)}"
    path = cache.folder() / name
    try:
        answer = path.read_text()
    except (OSError, UnicodeDecodeError):
        answer = ""
    if answer in ("yes", "no"):
        return answer
    environment = {**os.environ, "XLA_FLAGS": flag, "JAX_PLATFORMS": "cpu"}
    works = unknown = False
    for probe in _PROBES:
        # -P: do not import a file jax.py of the current folder
        process = subprocess.run(
            [sys.executable, "-P", "-c", probe],
            env=environment,
            capture_output=True,
            check=False,
        )
        works = process.returncode == 0
        unknown = any(words in process.stderr for words in _REFUSALS)
        if works or unknown:
            break
    answer = "yes" if works else "no" if unknown else ""
    if answer:  # any other failure says nothing about the flag
        cache.write(path, answer.encode())
    return answer


def digest(flag: str) -> str:
    return hashlib.sha256(flag.encode()).hexdigest()[:8]
