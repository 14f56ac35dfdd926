"""Set up JAX before it is imported: fast compilation on CPUs, and a compilation cache that outlives the process.

Two XLA flags make the small programs of a study compile in less time and run faster on a CPU. A
jaxlib that doesn't know a flag aborts the process, so they are tried in a child process first, once a jaxlib version.
"""

import hashlib
import importlib.metadata
import os
import subprocess
import sys
from pathlib import Path

CPU_FLAGS = ("--xla_cpu_use_fusion_emitters=false", "--xla_cpu_prefer_vector_width=512")
_PROBE = "import jax; jax.jit(lambda x: x + 1)(1.0)"


def cache_folder() -> Path:
    """$XDG_CACHE_HOME/memcap, by default ~/.cache/memcap."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "memcap"


def _flags_work(folder: Path) -> bool:
    verdict = folder / f"flags-jaxlib-{importlib.metadata.version('jaxlib')}-{hash_of(CPU_FLAGS)}"
    try:
        known = verdict.read_text()
    except OSError:
        known = ""
    if known in ("yes", "no"):
        return known == "yes"
    environment = {**os.environ, "XLA_FLAGS": " ".join(CPU_FLAGS), "JAX_PLATFORMS": "cpu"}
    works = subprocess.run([sys.executable, "-c", _PROBE], env=environment, capture_output=True, check=False).returncode == 0
    try:
        folder.mkdir(parents=True, exist_ok=True)
        verdict.write_text("yes" if works else "no")
    except OSError:
        pass  # no cache folder: ask again next time
    return works


def _writable(folder: Path) -> bool:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return False
    return os.access(folder, os.W_OK)


def hash_of(flags: tuple[str, ...]) -> str:
    """8 hex digits that change with the flags."""
    return hashlib.sha256(" ".join(flags).encode()).hexdigest()[:8]


def prepare() -> None:
    """Set flags and the compilation cache. Call it before JAX is first used; a user's own XLA_FLAGS and cache are kept."""
    folder = cache_folder()
    flags = os.environ.get("XLA_FLAGS", "")
    if not any(flag.split("=")[0] in flags for flag in CPU_FLAGS) and _flags_work(folder):
        os.environ["XLA_FLAGS"] = f"{flags} {' '.join(CPU_FLAGS)}".strip()
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # XLA's remarks on cached CPU code are no concern of the user

    import jax

    if jax.config.values["jax_compilation_cache_dir"] is None and _writable(folder / "xla"):
        jax.config.update("jax_compilation_cache_dir", str(folder / "xla"))
    # Accelerators would round the factors of a product to 8 or 11 bits: enough noise to blur what a carry holds.
    jax.config.update("jax_default_matmul_precision", "highest")
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    jax.config.update("jax_persistent_cache_min_entry_size_bytes", -1)
