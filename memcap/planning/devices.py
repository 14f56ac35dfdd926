"""Accelerators for which a machine without them can compile (`compile_for`).

Memory, instructions, sharding and compile errors are real; only timings need the chip.
The compilers come with the extra `targets` (`make targets`).
"""

import importlib.util
import os
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import jax
from jax.experimental import topologies
from jax.experimental.compilation_cache import compilation_cache

from memcap.knobs import UserError
from memcap.training.program import (
    MEMORY_FRACTION,
    Executables,
    Program,
    compile_to_fit,
)

# modules that each platform needs
PACKAGES = {"cuda": ("jax_cuda12_plugin", "jax_plugins.xla_cuda12"), "tpu": ("libtpu",)}
_lock = threading.Lock()


@dataclass(frozen=True)
class Device:
    """Chips of one kind. Numbers are per chip."""

    name: str  # its name for `memcap plan --device`
    about: str  # the device in words
    platform: str  # JAX's name of the platform, "cuda" or "tpu"
    kind: str  # JAX's name of the kind of device
    chips: int  # number of chips that share the lanes of a program
    memory: float  # bytes
    bandwidth: float  # bytes per second of that memory
    cache: float  # bytes between that memory and the cores
    peak: float  # float32 operations per second, at the precision at which memcap multiplies

    @property
    def installed(self) -> bool:
        return all(
            importlib.util.find_spec(module) for module in PACKAGES[self.platform]
        )

    @property
    def usable(self) -> float:
        return MEMORY_FRACTION * self.memory


_H100 = {
    "platform": "cuda",
    "kind": "NVIDIA H100 80GB HBM3",
    "memory": 84942979072,
    "bandwidth": 3.352e12,
    "cache": 50 * 2**20,
}
_V5E = {
    "platform": "tpu",
    "kind": "TPU v5 lite",
    "memory": 16 * 2**30,
    "bandwidth": 8.19e11,
    "cache": 128 * 2**20,
}
DEVICES = {
    device.name: device
    for device in (
        Device(
            "h100",
            "one NVIDIA H100 80GB",
            **_H100,
            chips=1,
            peak=132 * 128 * 2 * 1.98e9,
        ),
        # of bfloat16 it does 197e12, and a product of float32 is six of those
        Device("v5e", "one chip of a TPU v5e", **_V5E, chips=1, peak=197e12 / 6),
        Device(
            "v5e-4", "the four chips of a TPU v5e:2x2", **_V5E, chips=4, peak=197e12 / 6
        ),
    )
}


def find(name: str) -> Device:
    """Find a device; raise UserError if it or its compiler is missing."""
    if name not in DEVICES:
        raise UserError(f"{name}: no such device; one of this, {', '.join(DEVICES)}")
    device = DEVICES[name]
    if not device.installed:
        raise UserError(
            f"{name}: its compiler is not installed; pip install 'memcap[targets]'"
            " (in a checkout: make targets)"
        )
    return device


def topology(platform: str) -> Sequence[Any]:
    """Return devices to compile for; from then on this process has no compilation
    cache, as their programs could not be read back."""
    with _lock:
        return _topology(platform)


@cache
def _topology(platform: str) -> Sequence[Any]:
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()  # which forgets that it was in use
    if platform == "cuda":
        text = Path(__file__).with_name("h100.txtpb").read_text()
        return topologies.get_topology_desc(
            platform="cuda", topology_name="", target_config=text, topology="1x1x1"
        ).devices
    # libtpu would ask the cloud which machine this is, and let only one process in
    for name in ("TPU_SKIP_MDS_QUERY", "ALLOW_MULTIPLE_LIBTPU_LOAD"):
        os.environ.setdefault(name, "1")
    os.environ.setdefault("TPU_WORKER_HOSTNAMES", "localhost")
    return topologies.get_topology_desc("v5e:2x2", platform="tpu").devices


def force_cpu() -> None:
    """Let JAX compute only on this machine's CPU; call it before anything else."""
    if not os.environ.get("JAX_PLATFORMS"):
        jax.config.update("jax_platforms", "cpu")


def compile_for(program: Program, device: Device) -> Executables:
    """Compile a program for a device, with as many lanes as fit into its memory.

    The result cannot run here; ask for `memory_analysis()` and `as_text()`.
    """
    chips = tuple(topology(device.platform)[: device.chips])
    lanes = -(-program.lanes // device.chips) * device.chips
    program = replace(program, lanes=lanes, devices=device.chips, chips=chips)
    return compile_to_fit(program, device.usable)
