"""The environment of a training: versions, device, flags and the code itself."""

import hashlib
import importlib.metadata
import json
import os
import platform
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import jax

from memcap.cells import cell_class
from memcap.config.member import Member
from memcap.runtime import ROOT, jax_setup

PACKAGES = ("memcap", "jax", "jaxlib", "flax", "optax")


@cache
def environment() -> dict[str, Any]:
    device = jax.devices()[0]
    return {
        "python": platform.python_version(),
        **{name: importlib.metadata.version(name) for name in PACKAGES},
        "backend": device.platform,
        "device": device.device_kind,
        "matmul_precision": jax_setup.PRECISION,
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "git_commit": _git_commit(),
    }


def _git_commit() -> str | None:
    """Return the commit of a checkout; None for a wheel, or if unknown."""
    if not (ROOT / ".git").exists():
        return None
    command = ["git", "-C", str(ROOT), "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def fingerprint(member: Member) -> str:
    """Return a digest of all but config and program that decides a member's result."""
    cell = cell_class(member.model.cell)
    return _fingerprint(type(member.task).__module__, cell.__module__)


@cache
def _fingerprint(*modules: str) -> str:
    # Without the commit, as the code itself says more.
    stack = {k: value for k, value in environment().items() if k != "git_commit"}
    parts = [stack, *map(_code, ("memcap", *modules))]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@cache
def _code(module: str) -> str:
    name = getattr(sys.modules[module], "__file__", None)
    if name is None:  # a notebook's definitions have no file
        files = []
    elif Path(name).stem == "__init__":
        files = sorted(Path(name).parent.rglob("*.py"))
    else:
        files = [Path(name)]
    return hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
