"""What a build takes from elsewhere: addresses of the project, and loops in C, compiled.

The latter are for machines without a compiler (memcap/loops/c_library.py).
`HATCH_BUILD_HOOK_ENABLE_CUSTOM=true python -m build --wheel` makes such a wheel, on
Linux and x86-64.
"""

import importlib.util
import re
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

LOOPS = "memcap/loops"
SOURCES = ("lstm", "gru")
LEVELS = {
    "avx512": "x86-64-v4",
    "avx2": "x86-64-v3",
}  # what has neither trains by XLA's loops
TAG = "py3-none-manylinux_2_17_x86_64"  # of the C library only memcpy, memset and strchr are called


# the addresses that CITATION.cff may have, by their names on PyPI
ADDRESSES = {"Documentation": "url", "Source": "repository-code"}
# a link or a picture of the README that leads to a file of the project
RELATIVE = re.compile(r"(!?)\[([^\]]+)\]\((?!https?:|#)([^)]+)\)")


class CustomMetadataHook(MetadataHookInterface):
    """Takes addresses from CITATION.cff: while it has none, a wheel has none."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the addresses, and the README with links to the files of the repository."""
        root = Path(self.root)
        cited = (root / "CITATION.cff").read_text(encoding="utf-8")
        found = {
            name: re.search(rf"^{key}: *\"?([^\s\"]+)", cited, re.MULTILINE)
            for name, key in ADDRESSES.items()
        }
        urls = {name: match[1] for name, match in found.items() if match}
        page = (root / "README.md").read_text(encoding="utf-8")
        if "Source" in urls:
            page = hosted(page, urls["Source"].rstrip("/"))
        metadata["urls"] = urls
        metadata["readme"] = {"content-type": "text/markdown", "text": page}


def hosted(page: str, repository: str) -> str:
    """Return a page whose links lead to the files of a repository on GitHub."""

    def link(match: re.Match[str]) -> str:
        picture, words, target = match.groups()
        kind = "raw" if picture else "blob"
        return f"{picture}[{words}]({repository}/{kind}/HEAD/{target})"

    return RELATIVE.sub(link, page)


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
