"""A wheel with the loops in C already compiled, for machines without a compiler
(memcap/loops/c_library.py).

`HATCH_BUILD_HOOK_ENABLE_CUSTOM=true python -m build --wheel` makes it, on Linux and
x86-64; without the variable this file is not read.
"""

import importlib.util
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

LOOPS = "memcap/loops"
SOURCES = ("lstm", "gru")
LEVELS = {
    "avx512": "x86-64-v4",
    "avx2": "x86-64-v3",
}  # what has neither trains by XLA's loops
TAG = "py3-none-manylinux_2_17_x86_64"  # of the C library only memcpy, memset and strchr are called


class CustomBuildHook(BuildHookInterface):
    """Compiles with the flags of the first use, but for the processor."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Add a library for each source and level."""
        del version
        jaxlib = importlib.util.find_spec("jaxlib")
        assert jaxlib is not None
        assert jaxlib.origin is not None
        self.scratch = tempfile.TemporaryDirectory()
        include, loops = (
            Path(jaxlib.origin).with_name("include"),
            Path(self.root, LOOPS),
        )
        for name in SOURCES:
            for level, march in LEVELS.items():
                library = Path(self.scratch.name, f"{name}_{level}.so")
                command = [
                    "cc",
                    "-O2",
                    f"-march={march}",
                    "-shared",
                    "-fPIC",
                    "-s",
                    f"-I{include}",
                ]
                subprocess.run(
                    [*command, str(loops / f"{name}.c"), "-o", str(library)], check=True
                )
                build_data["force_include"][str(library)] = (
                    f"{LOOPS}/prebuilt/{library.name}"
                )
        build_data["pure_python"], build_data["tag"] = False, TAG

    def finalize(
        self, version: str, build_data: dict[str, Any], artifact_path: str
    ) -> None:
        """Remove the libraries, which the wheel has by now."""
        del version, build_data, artifact_path
        self.scratch.cleanup()
